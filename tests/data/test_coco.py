"""COCO keypoints: a file by hand, an oracle, round trips, and a table of bad files."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from isotherm.data.coco import read_coco
from isotherm.data.coco_category import PERSON_SIGMAS
from isotherm.data.coco_writer import write_coco
from isotherm.errors import InputError, OptionError
from isotherm.points import State
from oracles.annotations import coco_points
from rigs.keypoint_sets import assert_same_records, made, parts, save_pictures

NAN = float("nan")
GOOD = {
    "info": {"year": 2026},
    "images": [
        {"id": 7, "file_name": "one.png", "width": 40, "height": 30},
        {"id": 8, "file_name": "day/two.png", "width": 20, "height": 20},
    ],
    "categories": [
        {"id": 1, "name": "stone"},
        {"id": 2, "name": "bird", "keypoints": ["beak", "left_eye", "right_eye"], "skeleton": [[1, 2], [1, 3]]},
    ],
    "annotations": [
        {
            "id": 70,
            "image_id": 7,
            "category_id": 2,
            "keypoints": [4, 5, 2, 6.5, 7, 1, 0, 0, 0],
            "bbox": [2, 3, 10, 8],
            "area": 55.5,
            "iscrowd": 0,
        },
        {"id": 71, "image_id": 7, "category_id": 2, "keypoints": [-9, 5, 2, 39.5, 29.5, 2, 39.6, 29, 1]},
        {"id": 72, "image_id": 8, "category_id": 2, "keypoints": [0, 0, 0, 0, 0, 0, 0, 0, 0], "bbox": [0, 0, 1, 1]},
        {"id": 73, "image_id": 7, "category_id": 2, "keypoints": [1, 1, 2, 0, 0, 0, 0, 0, 0], "iscrowd": 1},
        {"id": 74, "image_id": 99, "category_id": 1, "segmentation": []},
    ],
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    dpath = tmp_path_factory.mktemp("pictures")
    save_pictures(dpath)
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.new("RGB", (40, 30)).save(dpath / "turned.jpg", exif=tags.tobytes())
    (dpath / "broken.png").write_text("not a picture at all")
    return dpath


def written(dpath, content):
    fpath = dpath / "points.json"
    fpath.write_text(json.dumps(content, indent=1))
    return fpath


def changed(*path, to):
    """GOOD with one place changed, a name at the end of the path set or (to=None) taken away."""
    content = copy.deepcopy(GOOD)
    at = content
    for step in path[:-1]:
        at = at[step]
    if to is None:
        del at[path[-1]]
    else:
        at[path[-1]] = to
    return content


def test_a_file_by_hand(tmp_path, pictures):
    fpath = written(tmp_path, GOOD)
    got = read_coco(fpath, pictures)
    assert got.names == ("beak", "left_eye", "right_eye")
    assert got.lines == {"beak to left_eye": (0, 1), "beak to right_eye": (0, 2)}
    assert got.swaps == ((1, 2),)
    assert got.oks_sigmas is None
    first, second = got
    assert torch.equal(first.points.nan_to_num(-1), torch.tensor([[4.5, 5.5], [7.0, 7.5], [-1, -1]]))
    assert first.state.tolist() == [State.LABELLED, State.OCCLUDED, State.UNLABELLED]
    assert (first.box, first.area, first.name) == ((2.0, 3.0, 12.0, 11.0), 55.5, "one.png#70")
    line_before = fpath.read_text().splitlines().index('   "id": 70,')  # counted from 1: the brace of the entry
    assert first.origin == f"{fpath}:{line_before}"
    # (39.5, 29.5) + 0.5 is the corner, which is inside
    assert second.state.tolist() == [State.OUT_OF_FRAME, State.LABELLED, State.OUT_OF_FRAME]
    assert (second.box, second.area) == (None, None)
    assert first.picture == second.picture == pictures / "one.png"
    crowd, unlabelled = got.skipped
    assert "annotation 73: a crowd" in crowd
    assert "1 annotations without any labelled point" in unlabelled


@pytest.mark.usefixtures("unchecked")
def test_coordinates_from_the_edge_stay(tmp_path, pictures):
    first = read_coco(written(tmp_path, GOOD), pictures, pixel="edge")[0]
    assert first.points[0].tolist() == [4.0, 5.0]
    assert first.box == (2.0, 3.0, 12.0, 11.0)
    with pytest.raises(OptionError, match="pixel is 'corner'; expected 'centre'"):
        read_coco(written(tmp_path, GOOD), pictures, pixel="corner")


def test_a_person_has_the_constants_of_coco(tmp_path, pictures):
    # cocoeval.py, Params.setKpParams: np.array([.26, .25, .25, .35, .35, .79, .79, ...]) / 10
    names = [
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ]
    content = changed("annotations", to=[]) | {"categories": [{"id": 1, "name": "person", "keypoints": names}]}
    got = read_coco(written(tmp_path, content), pictures)
    expected = (
        np.array([0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89])
        / 10
    )
    assert np.allclose(got.oks_sigmas, expected, rtol=1e-12)
    assert got.swaps == tuple((i, i + 1) for i in range(1, 17, 2))
    assert len(PERSON_SIGMAS) == 17
    assert len(got) == 0


@pytest.mark.parametrize("category", ["bird", 2, None])
def test_categories(tmp_path, pictures, category):
    assert len(read_coco(written(tmp_path, GOOD), pictures, category=category)) == 2


TWO = changed("categories", 0, "keypoints", to=["top"])
BAD_CATEGORIES = [
    (GOOD, "bear", r"'bear' is no category; those with keypoints: bird \(2\)"),
    (GOOD, "stone", "'stone' has no keypoints"),
    (TWO, None, r"more than one category, and their points differ; those with keypoints: stone \(1\), bird \(2\)"),
    (changed("annotations", to=[]) | {"categories": [{"id": 1, "name": "stone"}]}, None, "no category has keypoints"),
]


@pytest.mark.parametrize(("content", "category", "says"), BAD_CATEGORIES)
def test_categories_that_are_not_there(tmp_path, pictures, content, category, says):
    with pytest.raises(OptionError, match=says):
        read_coco(written(tmp_path, content), pictures, category=category)


FIRST = ("annotations", 0)
BAD_FILES = {
    # wrong as a whole: raised always
    "no list": (changed("images", to=None), "no list 'images'"),
    "a list": ([1], "no list 'categories'"),
    "list of another kind": (changed("annotations", to={}), "no list 'annotations'"),
    "category without id": (changed("categories", 0, "id", to=None), "there is no 'id'"),
    "categories with one id": (changed("categories", 0, "id", to=2), "two categories have the same id"),
    "names twice": (
        changed("categories", 1, "keypoints", to=["a", "a", "b"]),
        "two keypoints have the same name: a, a, b",
    ),
    "a name that is none": (
        changed("categories", 1, "keypoints", to=["a", 3, "b"]),
        "name 1 of the keypoints is 3; expected text",
    ),
    "too few sigmas": (changed("categories", 1, "oks_sigmas", to=[0.1]), "oks_sigmas has 1 numbers; expected 3"),
    "swaps of words": (changed("categories", 1, "swaps", to=[["a", "b"]]), "swaps has"),
}
BAD_ENTRIES = {
    # one annotation is wrong: raised, or left out
    "no object": (changed(*FIRST, to=[1]), r"found \[1\]; expected an object"),
    "unknown picture": (changed(*FIRST, "image_id", to=99), "annotation 70: there is no image 99"),
    "id twice": (changed(*FIRST, "id", to=71), "annotation 71: the id occurs twice"),
    "no id": (changed(*FIRST, "id", to=None), "there is no 'id'; expected a whole number"),
    "an id of text": (changed(*FIRST, "id", to="70"), "'id' is '70'; expected a whole number"),
    "an id that is true": (changed(*FIRST, "id", to=True), "'id' is True"),
    "no keypoints": (
        changed(*FIRST, "keypoints", to=None),
        "annotation 70: there is no 'keypoints'; expected 9 numbers",
    ),
    "too few": (
        changed(*FIRST, "keypoints", to=[1, 2, 2]),
        "has 3 numbers; expected 9, x, y and v of each: beak, left_eye, right_eye",
    ),
    "text": (changed(*FIRST, "keypoints", 4, to="7"), "annotation 70: y of left_eye is '7'; expected a number"),
    "null": (changed(*FIRST, "keypoints", to=[None] * 9), "x of beak is None"),
    "nan": (changed(*FIRST, "keypoints", 0, to=NAN), "x of beak is nan; expected a finite number"),
    "beyond float64": (changed(*FIRST, "keypoints", 0, to=10**400), "x of beak is inf; expected a finite number"),
    "beyond float32": (changed(*FIRST, "keypoints", 0, to=1e300), "no finite place"),
    "v of 3": (changed(*FIRST, "keypoints", 2, to=3), "v of beak is 3; expected 0"),
    "half a v": (changed(*FIRST, "keypoints", 5, to=0.5), "v of left_eye is 0.5"),
    "box of three": (changed(*FIRST, "bbox", to=[1, 2, 3]), r"'bbox' is \[1, 2, 3\]; expected \[x, y, width, height\]"),
    "box of text": (changed(*FIRST, "bbox", to=["1", 2, 2, 3]), "a number of 'bbox' is '1'"),
    "an area of text": (changed(*FIRST, "area", to="12"), "'area' is '12'; expected a number"),
    "crowd of text": (changed(*FIRST, "iscrowd", to="no"), "'iscrowd' is 'no'; expected 0 or 1"),
    "scale below 0": (changed(*FIRST, "px_per_cm", to=-1), "'px_per_cm' is -1"),
    "group of numbers": (changed(*FIRST, "group", to=3), "'group' is 3; expected text"),
}
BAD_IMAGES = {
    # a picture is wrong, and with it the annotations 70 and 71
    "missing": (
        changed("images", 0, "file_name", to="on.png"),
        r"annotation 70: there is no picture .*did you mean .*one\.png",
    ),
    "broken": (changed("images", 0, "file_name", to="broken.png"), "is not a picture that can be read"),
    "escaping": (changed("images", 0, "file_name", to="../one.png"), "lies outside of the folder"),
    "absolute": (changed("images", 0, "file_name", to="/etc/hostname"), "lies outside of the folder"),
    "no name": (changed("images", 0, "file_name", to=""), "'file_name' is ''; expected text"),
    "another size": (
        changed("images", 0, "width", to=41),
        "the file says that one.png is 41 x 30 pixels; upright it is 40 x 30",
    ),
    "a size of text": (changed("images", 0, "width", to="40"), "'width' is '40'"),
    "turned": (
        changed("images", 0, "file_name", to="turned.jpg"),
        "is 40 x 30 pixels; upright it is 30 x 40. That is its size as stored: say orientation 'stored'",
    ),
    "without id": (changed("images", 0, "id", to=None), "there is no 'id'"),
    "picture id twice": (changed("images", 1, "id", to=7), "image 7: the id occurs twice"),
}


@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_bad_files(tmp_path, pictures, case, skip_bad):
    content, says = BAD_FILES[case]
    with pytest.raises(InputError, match=rf"points\.json.*{says}"):
        read_coco(written(tmp_path, content), pictures, skip_bad=skip_bad)


def test_every_case_is_tried():
    assert not BAD_ENTRIES.keys() & BAD_IMAGES.keys()


@pytest.mark.parametrize("case", [*BAD_ENTRIES, *BAD_IMAGES])
def test_bad_entries(tmp_path, pictures, case):
    content, says = (BAD_ENTRIES | BAD_IMAGES)[case]
    fpath = written(tmp_path, content)
    with pytest.raises(InputError, match=rf"points\.json:\d+.*{says}") as caught:
        read_coco(fpath, pictures)
    got = read_coco(fpath, pictures, skip_bad=True)
    assert str(caught.value) in got.skipped
    kept = {record.name.partition("#")[2] for record in got}
    assert kept == ({"71"} if case in BAD_ENTRIES else set())


@pytest.mark.parametrize("orientation", ["stored", "upright"])
def test_a_turned_picture_of_its_stored_size_is_read_where_somebody_says_the_orientation(
    tmp_path, pictures, orientation
):
    content = changed("images", 0, "file_name", to="turned.jpg")
    record = read_coco(written(tmp_path, content), pictures, orientation=orientation)[0]
    # (4.5, 5.5) as stored is turned by a quarter: (30 - 5.5, 4.5)
    assert record.points[0].tolist() == ([24.5, 4.5] if orientation == "stored" else [4.5, 5.5])
    assert record.box == ((19, 2, 27, 12) if orientation == "stored" else (2, 3, 12, 11))
    wrong = copy.deepcopy(content)
    wrong["images"][0]["width"] = 41
    with pytest.raises(InputError, match="is 41 x 30 pixels; upright it is 30 x 40"):
        read_coco(written(tmp_path, wrong), pictures, orientation=orientation)


def test_syntax_errors_say_where(tmp_path, pictures):
    (tmp_path / "a.json").write_text('{"images": [\n{"id": 1,}]}')
    with pytest.raises(InputError, match=r"a\.json:2: column 1\d: not JSON"):
        read_coco(tmp_path / "a.json", pictures)


NUMBERS = st.integers(-8, 200) | st.floats(-50, 90, width=32)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([7, 8]), st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 2)), min_size=3, max_size=3)
        ),
        max_size=4,
    )
)
def test_the_oracle_reads_the_same(tmp_path, pictures, objects):
    content = copy.deepcopy(GOOD)
    content["annotations"] = [
        {"id": i, "image_id": image, "category_id": 2, "keypoints": [k for point in points for k in point]}
        for i, (image, points) in enumerate(objects)
        if any(v for *_, v in points)
    ]
    fpath = written(tmp_path, content)
    got = read_coco(fpath, pictures)
    points, states = coco_points(fpath.read_text(), {"one.png": (40, 30), "day/two.png": (20, 20)})
    assert [r.state.tolist() for r in got] == states
    for record, expected in zip(got, points, strict=True):
        assert np.allclose(record.points.numpy(), np.array(expected), rtol=1e-6, atol=1e-6, equal_nan=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts())
def test_round_trip(tmp_path, pictures, parts):
    one = made(parts, pictures)
    write_coco(one, tmp_path / "out.json", images_dpath=pictures)
    got = read_coco(tmp_path / "out.json", pictures)
    assert_same_records(got, one)
    for what in ("names", "swaps", "exchangeable", "lines", "oks_sigmas"):
        assert getattr(got, what) == getattr(one, what)
    assert got.skipped == ()


def test_what_is_written_is_what_coco_says(tmp_path, pictures):
    one = read_coco(written(tmp_path, GOOD), pictures)
    write_coco(one, tmp_path / "out.json", images_dpath=pictures)
    whole = json.loads((tmp_path / "out.json").read_text())
    assert whole["images"] == [{"id": 1, "file_name": "one.png", "width": 40, "height": 30}]
    assert whole["categories"][0]["skeleton"] == [[1, 2], [1, 3]]
    assert whole["annotations"][0] == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": 2,
        "keypoints": [4, 5, 2, 6.5, 7, 1, 0, 0, 0],
        "bbox": [2, 3, 10, 8],
        "area": 55.5,
    }
    assert [v for v in whole["annotations"][1]["keypoints"][2::3]] == [1, 2, 1]


def test_what_cannot_be_written(tmp_path, pictures):
    one = read_coco(written(tmp_path, GOOD), pictures)
    with pytest.raises(InputError, match=r"lies outside of .*give a folder as images_dpath"):
        write_coco(one, tmp_path / "out.json")
    in_memory = replace(one, records=[replace(one[0], picture=np.zeros((30, 40, 3), np.uint8))])
    with pytest.raises(InputError, match="its picture is in memory; save it"):
        write_coco(in_memory, tmp_path / "out.json", images_dpath=pictures)
    assert not (tmp_path / "out.json").exists()
