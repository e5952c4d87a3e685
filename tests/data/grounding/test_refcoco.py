"""Referring expressions: a record per sentence, at the centre of the object's box."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from isotherm.data.grounding import read_refcoco
from isotherm.errors import InputError

INSTANCES = {
    "images": [{"id": 7, "file_name": "a.jpg", "height": 40, "width": 80}],
    "annotations": [{"id": 3, "image_id": 7, "bbox": [10, 4, 20, 8]}],
}


def ref(**changes):
    sentences = [{"sent": "the left cup", "tokens": ["the"], "sent_id": 1}, {"raw": "Cup at left."}]
    return {"ref_id": 1, "ann_id": 3, "image_id": 7, "split": "train", "sentences": sentences} | changes


@pytest.fixture
def read(tmp_path):
    Image.fromarray(np.zeros((40, 80, 3), np.uint8)).save(tmp_path / "a.jpg")

    def make(*refs, instances=INSTANCES, **options):
        (tmp_path / "refs.json").write_text(",\n".join(map(json.dumps, refs)).join("[]"))
        (tmp_path / "instances.json").write_text(json.dumps(instances))
        return read_refcoco(tmp_path / "refs.json", tmp_path / "instances.json", tmp_path, **options)

    return make


def test_every_sentence_is_a_record_at_the_centre_of_the_box(read):
    data = read(ref(), ref(split="val", sentences=["a mug"]))
    assert [record.text for record in data] == ["the left cup", "Cup at left.", "a mug"]
    assert all(record.places[0][0].points.tolist() == [[20, 8]] for record in data)
    assert [record.text for record in read(ref(), ref(split="val", sentences=["a mug"]), split="val")] == ["a mug"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ann_id": 4}, r"refs.json:2: there is no annotation 4"),
        ({"image_id": 8}, r"refs.json:2: there is no image 8"),
        ({"ann_id": "3"}, r"refs.json:2: 'ann_id' is '3'; expected a whole number"),
        ({"sentences": "the cup"}, r"refs.json:2: 'sentences' is 'the cup'; expected a list"),
        ({"sentences": [{"tokens": []}]}, r"refs.json:2: a sentence is empty"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(read, changes, message):
    with pytest.raises(InputError, match=message):
        read(ref(), ref(**changes))
    assert len(read(ref(), ref(**changes), skip_bad=True)) == 2


def test_boxes_and_pictures_that_contradict_the_file_are_refused(read):
    bad = [{"id": 3, "image_id": 7, "bbox": [1, 2, -3, 4]}]
    with pytest.raises(InputError, match=r"instances.json:1: bbox is .*at least 0"):
        read(ref(), instances=INSTANCES | {"annotations": bad})
    other = [{"id": 7, "file_name": "a.jpg", "height": 80, "width": 80}]
    with pytest.raises(InputError, match=r"the file says that a\.jpg is 80 x 80 pixels; upright it is 80 x 40"):
        read(ref(), instances=INSTANCES | {"images": other})


def test_pickles_and_splits_that_there_are_not(read, tmp_path):
    with pytest.raises(InputError, match="is a pickle, which can run code"):
        read_refcoco(tmp_path / "refs(unc).p", tmp_path / "instances.json", tmp_path)
    with pytest.raises(InputError, match="no ref is of the split 'test'; there are train"):
        read(ref(), split="test")
