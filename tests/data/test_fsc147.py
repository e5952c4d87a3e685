"""FSC-147's files: what is read, what is generated in their format, and the message of every mistake."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from isotherm.data.fsc147 import ANNOTATIONS, CLASSES, PICTURES, SPLITS, read_fsc147, write_generated_fsc147
from isotherm.data.shape_questions import COLOURS
from isotherm.errors import InputError, OptionError

PLACES = [[10.5, 20.0], [30, 40.25]]
ENTRY = {
    "H": 768,
    "W": 1024,
    "box_examples_coordinates": [[[5, 15], [5, 25], [16, 25], [16, 15]], [[25, 35], [25, 45], [35, 45], [35, 35]]],
    "box_examples_path": ["a.jpg", "b.jpg"],
    "density_path": "2.npy",
    "points": PLACES,
    "ratio_h": 0.5,
    "ratio_w": 0.5,
    "r": [1, 2],
}


@pytest.fixture
def folder(tmp_path):
    """Two pictures as the authors' files have them."""
    (tmp_path / PICTURES).mkdir()
    for name in ("2.jpg", "3.jpg"):
        Image.new("RGB", (64, 48)).save(tmp_path / PICTURES / name)
    write(tmp_path, {"2.jpg": ENTRY, "3.jpg": ENTRY | {"points": [], "box_examples_coordinates": []}})
    (tmp_path / SPLITS).write_text(
        json.dumps({"train": [], "val": ["3.jpg"], "test": ["3.jpg", "2.jpg"], "test_coco": ["2.jpg"], "val_coco": []})
    )
    (tmp_path / CLASSES).write_text("2.jpg\tsea shells\n3.jpg\thot air balloons\n\n")
    return tmp_path


def write(folder, annotations):
    (folder / ANNOTATIONS).write_text(json.dumps(annotations))


def test_reads_the_authors_files(folder):
    empty, shells = read_fsc147(folder)
    assert (empty.name, empty.count, empty.category) == ("3.jpg", 0, "hot air balloons")
    assert empty.points.shape == (0, 2)
    assert empty.boxes.shape == (0, 4)
    assert shells.count == 2
    assert shells.category == "sea shells"
    assert shells.points.tolist() == PLACES
    assert shells.boxes.tolist() == [[5, 15, 16, 25], [25, 35, 35, 45]]
    assert shells.fpath == folder / PICTURES / "2.jpg"
    assert [p.name for p in read_fsc147(folder, "test_coco")] == ["2.jpg"]
    assert read_fsc147(folder, "train") == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / CLASSES).unlink(), f"has no {CLASSES}"),
        (lambda f: [p.unlink() for p in (f / PICTURES).iterdir()] and (f / PICTURES).rmdir(), f"has no {PICTURES}"),
        (lambda f: (f / PICTURES / "2.jpg").unlink(), r"2\.jpg is missing"),
        (lambda f: write(f, {"3.jpg": ENTRY}), "has nothing about 2.jpg"),
        (lambda f: write(f, []), "expected an object"),
        (lambda f: (f / ANNOTATIONS).write_text("{\n nonsense}"), ":2: column 2: not JSON"),
        (lambda f: (f / ANNOTATIONS).write_bytes(b"\xff\xfe"), "is not UTF-8"),
        (
            lambda f: write(f, {"3.jpg": ENTRY, "2.jpg": {"points": PLACES}}),
            "2.jpg: there is no 'box_examples_coordinates'",
        ),
        (lambda f: write(f, {"3.jpg": ENTRY, "2.jpg": ENTRY | {"points": "many"}}), "2.jpg: 'points' is 'many'"),
        (
            lambda f: write(f, {"3.jpg": ENTRY, "2.jpg": ENTRY | {"points": [[1, 2], [3]]}}),
            r"2.jpg: point 1 is \[3\]; expected 2 numbers",
        ),
        (
            lambda f: write(f, {"3.jpg": ENTRY, "2.jpg": ENTRY | {"points": [[1, None]]}}),
            "2.jpg: point 0: a coordinate is None",
        ),
        (
            lambda f: write(f, {"3.jpg": ENTRY, "2.jpg": ENTRY | {"box_examples_coordinates": [[5, 15, 16, 25, 3]]}}),
            "box 0 is .*; expected four corners",
        ),
        (lambda f: (f / CLASSES).write_text("3.jpg\tballoons\n"), "has no class of 2.jpg"),
        (
            lambda f: (f / CLASSES).write_text("2.jpg sea shells\n"),
            f"{CLASSES}:1: '2.jpg sea shells'; expected a picture's name, a tab and its class",
        ),
        (
            lambda f: (f / CLASSES).write_text("2.jpg\tsea shells\n3.jpg\tballoons\n2.jpg\tshells\n"),
            f"{CLASSES}:3: 2.jpg has the class 'shells' here and 'sea shells' above; expected one",
        ),
        (
            lambda f: (f / ANNOTATIONS).write_text('{"2.jpg": {"points": []}, "2.jpg": {"points": [[1, 2]]}}'),
            f"{ANNOTATIONS}: 2.jpg is described twice, and not alike",
        ),
        (
            lambda f: (f / SPLITS).write_text(json.dumps({"test": ["2.jpg", "3.jpg", "2.jpg"]})),
            "2.jpg is in the split 'test' twice; it would count twice",
        ),
        (lambda f: (f / SPLITS).write_text(json.dumps({"test": "2.jpg"})), "'test' is '2.jpg'"),
        (lambda f: (f / SPLITS).write_text(json.dumps({"test": ["../2.jpg"]})), "'../2.jpg' is not a picture's name"),
    ],
)
def test_every_mistake_has_its_message(folder, damage, says):
    damage(folder)
    with pytest.raises(InputError, match=says):
        read_fsc147(folder, "test")


def test_what_is_said_twice_alike_is_said_once(folder):
    text = json.dumps(ENTRY)
    (folder / ANNOTATIONS).write_text(f'{{"3.jpg": {text}, "2.jpg": {text}, "2.jpg": {text}}}')
    (folder / CLASSES).write_text("2.jpg\tsea shells\n3.jpg\tballoons\n2.jpg\tsea shells\n")
    assert [one.count for one in read_fsc147(folder)] == [2, 2]


def test_a_wrong_split_or_folder(folder):
    with pytest.raises(OptionError, match=r"no split 'tset' in .*; it has train, val, test, test_coco, val_coco"):
        read_fsc147(folder, "tset")
    with pytest.raises(InputError, match="there is no folder"):
        read_fsc147(folder / "nowhere")


def test_a_generated_set_is_true(tmp_path):
    folder = write_generated_fsc147(tmp_path / "shapes", count=8, seed=3)
    splits = {name: read_fsc147(folder, name) for name in ("test", "val", "train")}
    assert [len(s) for s in splits.values()] == [4, 2, 2]
    assert len({p.name for s in splits.values() for p in s}) == 8
    for one in splits["test"]:
        picture = np.asarray(Image.open(one.fpath)).astype(float)
        assert picture.shape == (144, 144, 3)
        assert 1 <= one.count <= 20
        assert len(one.boxes) == min(3, one.count)
        assert (
            (one.boxes[:, :2] < one.points[:3]) & (one.points[:3] < one.boxes[:, 2:])
        ).all()  # the exemplars are the first objects
        apart = np.linalg.norm(one.points[:, None] - one.points[None], axis=-1) + 1e9 * np.eye(one.count)
        assert apart.min() > 8
        for x, y in one.points:  # each object has the category's colour
            seen = picture[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean((0, 1))
            assert min(COLOURS, key=lambda c: np.abs(np.array(COLOURS[c]) - seen).sum()) == one.category


def test_a_generated_set_follows_from_its_seed(tmp_path):
    a, b, c = (
        write_generated_fsc147(tmp_path / name, count=2, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert (a / PICTURES / "1.png").read_bytes() == (b / PICTURES / "1.png").read_bytes()
    assert (a / ANNOTATIONS).read_text() == (b / ANNOTATIONS).read_text()
    assert (a / ANNOTATIONS).read_text() != (c / ANNOTATIONS).read_text()
    crowded = read_fsc147(write_generated_fsc147(tmp_path / "d", count=1, side=96, shapes=(12, 12), least=12), "test")[
        0
    ]
    assert crowded.count == 12


@pytest.mark.parametrize("given", [{"count": 0}, {"shapes": (8, 5)}, {"shapes": (5, 200)}, {"least": 6}, {"seed": -1}])
def test_what_cannot_be_generated(tmp_path, given):
    with pytest.raises(OptionError, match="expected numbers above 0"):
        write_generated_fsc147(tmp_path, **given)
