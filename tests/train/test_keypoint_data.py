"""Sources of a recipe: read by their content, joined, held back by the picture's name."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.errors import InputError, OptionError
from isotherm.train.keypoint_data import DataChoice, Source, read_data, read_source, recognised
from isotherm.train.recipe import from_plain


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(20):
        Image.fromarray(np.full((30, 40, 3), i, np.uint8)).save(tmp_path / "images" / f"{i}.png")
    rows = ["picture,beak_x,beak_y,tail_x,tail_y"] + [f"{i}.png,{5 + i / 2},10,20,{i}" for i in range(20) for _ in (0,)]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    coco = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in range(3)],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "keypoints": [5, 6, 2, 7, 8, 2],
                "num_keypoints": 2,
                "bbox": [0, 0, 20, 20],
                "area": 400,
                "iscrowd": 0,
            }
            for i in range(3)
        ],
        "categories": [{"id": 1, "name": "bird", "keypoints": ["beak", "tail"], "skeleton": []}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    (tmp_path / "beetles.csv").write_text(
        'picture,group,scale_bar,scale_bar_cm,width,length\n1.png,Hawaii,"1 1; 11 1",1,"5 5; 5 15","2 10; 22 10"\n'
    )
    (tmp_path / "beetles.json").write_text(
        json.dumps([{"picture": "1.png", "group": "BeetlePalooza", "lines": {"length": [[2, 10], [22, 10]]}}])
    )
    return tmp_path


def test_files_are_recognised_by_their_content(folder):
    names = {"table.csv": "table", "coco.json": "coco", "beetles.csv": "beetles", "beetles.json": "beetles"}
    for name, form in names.items():
        assert recognised(folder / name) == form
        said = []
        data = read_source(Source(file=name, images="images"), root=folder, say=said.append)
        assert f"({form}, recognised by its content)" in said[0]
        assert data.names == (
            ("width_p0", "width_p1", "length_p0", "length_p1") if form == "beetles" else ("beak", "tail")
        )


@pytest.mark.parametrize("name", ["table.csv", "coco.json", "beetles.csv"])
def test_a_recipe_says_in_which_pixels_places_of_turned_pictures_are(folder, name):
    tags = Image.Exif()
    tags[0x0112] = 3
    for i in range(20):
        Image.fromarray(np.full((30, 40, 3), i, np.uint8)).save(folder / "images" / f"{i}.png", exif=tags.tobytes())
    upright, stored = [], []
    plain = read_source(Source(file=name, images="images"), root=folder, say=upright.append)
    source = from_plain(DataChoice, {"train": [{"file": name, "images": "images", "orientation": "stored"}]}).train[0]
    turned = read_source(source, root=folder, say=stored.append)
    places = torch.tensor([40.0, 30.0]) - plain[0].points
    torch.testing.assert_close(turned[0].points, places, equal_nan=True)
    assert any("say orientation 'stored'" in line for line in upright)
    assert any(line.startswith("note: ") and "as stored, as was said" in line for line in stored)


def test_sets_are_joined_and_told_what_their_points_are(folder):
    sources = (Source(file="coco.json", images="images"), Source(file="table.csv", images="images"))
    choice = DataChoice(
        train=sources,
        hold_out=0.0,
        exchangeable=(("beak", "tail"),),
        lines={"length": ("tail", "beak")},
        oks_sigmas=(0.1, 0.2),
    )
    training, validation = read_data(choice, root=folder)
    assert len(training) == 23
    assert len(validation) == 0
    assert training.exchangeable == ((0, 1),)
    assert training.lines == {"length": (1, 0)}
    assert training.oks_sigmas == (0.1, 0.2)
    assert torch.equal(
        training[0].points, torch.tensor([[5.5, 6.5], [7.5, 8.5]])
    )  # COCO counts from the centre of the first pixel
    assert torch.equal(training[3].points[0], torch.tensor([5.0, 10.0]))


def test_what_is_held_back_follows_the_picture(folder):
    choice = DataChoice(train=(Source(file="table.csv", images="images"),), hold_out=0.3)
    training, validation = read_data(choice, root=folder)
    assert len(training) + len(validation) == 20
    assert 2 <= len(validation) <= 10
    # without its last lines the others stay on their sides
    lines = (folder / "table.csv").read_text().splitlines()
    (folder / "table.csv").write_text("\n".join(lines[:12]))
    fewer = read_data(choice, root=folder)
    assert {r.name for r in fewer[1]} == {r.name for r in validation if int(r.name.split(".")[0]) < 11}
    other = read_data(DataChoice(train=choice.train, hold_out=0.3, seed=1), root=folder)
    assert {r.name for r in other[1]} != {r.name for r in fewer[1]}


def test_generated_beetles_need_no_file(tmp_path):
    source = Source(format="generated", split="validation", first=3, count=2, side=64)
    found = read_source(source, root=tmp_path)
    assert [r.name for r in found] == [
        r.name
        for r in read_source(Source(format="generated", split="validation", first=3, count=5, side=64), root=tmp_path)
    ][:2]
    assert found[0].picture.shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ({"train": []}, "no source to train on"),
        ({"train": [{"file": "a.csv", "format": "generated"}]}, "give one of the two"),
        ({"train": [{}]}, "give one of the two"),
        ({"train": [{"fil": "a.csv"}]}, "did you mean 'file'"),
        ({"train": [{"format": "generated", "count": 0}]}, "count 0"),
        ({"train": [{"format": "generated"}], "hold_out": 1.0}, "hold_out is 1"),
    ],
)
def test_bad_choices(plain, says):
    with pytest.raises(OptionError, match=says):
        from_plain(DataChoice, plain, where="data")


def test_bad_files(folder):
    with pytest.raises(InputError, match=r"nothing\.csv cannot be read"):
        read_source(Source(file="nothing.csv"), root=folder)
    with pytest.raises(InputError, match="no file of annotations"):
        read_source(Source(file="images/1.png"), root=folder)
    with pytest.raises(OptionError, match="there is no point 'wing'; there are beak, tail"):
        read_data(
            DataChoice(train=(Source(file="coco.json", images="images"),), lines={"l": ("wing", "tail")}), root=folder
        )
    with pytest.raises(OptionError, match="differ in names"):
        read_data(
            DataChoice(train=(Source(file="coco.json", images="images"), Source(file="beetles.json", images="images"))),
            root=folder,
        )
    (folder / "images" / "1.png").write_text("no picture")
    with pytest.raises(InputError, match=r"coco\.json:\d+"):
        read_source(Source(file="coco.json", images="images"), root=folder)
    said = []
    training, _ = read_data(
        DataChoice(train=(Source(file="coco.json", images="images"),), hold_out=0.0),
        root=folder,
        skip_bad=True,
        say=said.append,
    )
    assert len(training) == 2
    assert any(line.startswith("skipped: ") and "coco.json:" in line for line in said)
