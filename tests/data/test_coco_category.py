"""Keypoint files as they are met: what of them is read, and what was assumed."""

from __future__ import annotations

import copy
import json

import pytest

from isotherm.data.coco import read_coco
from isotherm.data.coco_category import left_right_swaps
from isotherm.data.point_table import read_point_table
from isotherm.errors import InputError, OptionError
from isotherm.points import State
from rigs.keypoint_sets import save_pictures

PLAIN = {
    "images": [{"id": 1, "file_name": "one.png", "width": 40, "height": 30}],
    "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}],
    "annotations": [
        {"id": 5, "image_id": 1, "category_id": 1, "keypoints": [4, 5, 2, 6, 7, 2], "bbox": [1, 2, 9, 8], "area": 50},
        {"id": 6, "image_id": 1, "category_id": 1, "keypoints": [8, 9, 2, 3, 2, 1]},
    ],
}


@pytest.fixture
def read(tmp_path):
    save_pictures(tmp_path)

    def read(change, **options):
        content = copy.deepcopy(PLAIN)
        change(content)
        (tmp_path / "a.json").write_text(json.dumps(content, indent=1))
        return read_coco(tmp_path / "a.json", tmp_path, **options)

    return read


def test_left_and_right():
    assert left_right_swaps(["Left ear", "x", "Right ear", "right_leg"]) == ((0, 2),)
    assert left_right_swaps(["cleft", "eyeL"]) == ()


def test_a_plain_file_has_no_notes(read):
    data = read(lambda content: None)
    assert (len(data), data.notes, data.skipped) == (2, (), ())


# --- face sets: 300W, AFLW, COFW, WFLW ----------------------------------------------------------------------


def test_a_category_without_names_of_points_has_as_many_as_its_annotations(read):
    data = read(lambda content: content["categories"][0].pop("keypoints"))
    assert data.names == ("point_1", "point_2")
    assert data[0].points.tolist() == [[4.5, 5.5], [6.5, 7.5]]
    assert "its 2 points are called point_1 and so on (names says others)" in data.notes[0]


def test_names_are_those_that_are_given(read):
    data = read(lambda content: content["categories"][0].pop("keypoints"), names=["left_eye", "right_eye"])
    assert (data.names, data.swaps, data.notes) == (("left_eye", "right_eye"), ((0, 1),), ())


# --- animals: AP-10K, Animal Kingdom ------------------------------------------------------------------------


def two(content):
    content["categories"].append(content["categories"][0] | {"id": 2, "name": "dog"})
    content["annotations"][1]["category_id"] = 2


def test_categories_with_the_same_points_are_read_together_and_keep_their_names(read):
    data = read(two)
    assert data.groups == {"cat": 1, "dog": 1}
    assert "all 2 categories are read, whose points are the same (category chooses one)" in data.notes[0]
    for one in ("dog", 2):
        assert [record.name for record in read(two, category=one)] == ["one.png#6"]


def test_annotations_of_a_category_that_is_not_listed_are_read_where_their_points_fit(read):
    def change(content):
        two(content)
        content["annotations"][0]["category_id"] = 9

    data = read(change)
    assert data.groups == {"category 9": 1, "dog": 1}
    assert "the category 9 is not among the file's" in data.notes[1]
    assert len(read(change, category="dog")) == 1


def test_categories_with_other_points_are_refused_until_one_is_chosen(read):
    def change(content):
        two(content)
        content["categories"][1]["keypoints"] = ["tail", "nose"]

    with pytest.raises(OptionError, match=r"their points differ; those with keypoints: cat \(1\), dog \(2\)"):
        read(change)
    assert read(change, category="dog").names == ("tail", "nose")


# --- skeletons: ATRW, CrowdPose, ExLPose --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skeleton", "lines", "note"),
    [
        ([[0, 1]], {"nose to tail": (0, 1)}, "is numbered from 0"),
        ([[2, 1], [1, 3]], {"tail to nose": (1, 0)}, "a line of the skeleton is no pair of two of the 2 points"),
        ([[2, 2]], {}, "a line of the skeleton is no pair"),
        ([[1, 2, 3], ["a", 1]], {}, "left out: 2 times"),
    ],
)
def test_a_skeleton_that_departs_from_the_format_is_read_as_far_as_it_can_be_meant(read, skeleton, lines, note):
    data = read(lambda content: content["categories"][0].update(skeleton=skeleton))
    assert data.lines == lines
    assert note in data.notes[0]


# --- more points than names, and points in lists ------------------------------------------------------------


def whole_body(content):
    for annotation in content["annotations"]:
        annotation["keypoints"] += [1, 1, 2]


def test_of_more_points_than_names_the_first_are_read(read):
    data = read(whole_body)
    assert data[0].points.tolist() == [[4.5, 5.5], [6.5, 7.5]]
    assert "there are 3 points and 2 names, and the first 2 are read (names says all): 2 times" in data.notes[0]
    assert read(whole_body, names=["a", "b", "c"])[0].points[2].tolist() == [1.5, 1.5]


def test_of_fewer_points_than_names_none_are_guessed(read):
    with pytest.raises(InputError, match="has 3 numbers; expected 6"):
        read(lambda content: content["annotations"][1].update(keypoints=[1, 2, 2]))


def test_points_in_lists_of_their_own_are_read(read):
    data = read(lambda content: content["annotations"][0].update(keypoints=[[4, 5, 2], [6, 7, 0]]))
    assert data[0].points[0].tolist() == [4.5, 5.5]
    assert data[0].state.tolist() == [State.LABELLED, State.UNLABELLED]


# --- areas and boxes that say nothing -----------------------------------------------------------------------


def test_an_area_and_a_box_of_0_are_taken_for_unknown_and_the_points_are_read(read):
    data = read(lambda content: content["annotations"][0].update(area=0, bbox=[0, 0, 0, 0]))
    assert (data[0].area, data[0].box) == (None, None)
    assert data[0].points.tolist() == [[4.5, 5.5], [6.5, 7.5]]
    assert "an area of 0 is taken for one that is not known: once at" in data.notes[0]
    assert "annotation 5" in data.notes[0]
    assert "an empty box is taken for one that is not known" in data.notes[1]


def test_an_area_and_a_box_of_0_in_a_table_are_taken_for_unknown(tmp_path):
    save_pictures(tmp_path)
    rows = "picture,nose_x,nose_y,area,box_x0,box_y0,box_x1,box_y1\none.png,3,4,0,0,0,0,0\n"
    (tmp_path / "a.csv").write_text(rows)
    data = read_point_table(tmp_path / "a.csv")
    assert (data[0].area, data[0].box, data[0].points.tolist()) == (None, None, [[3, 4]])
    assert [note.partition(":")[0] for note in data.notes] == [
        "an area of 0 is taken for one that is not known",
        "an empty box is taken for one that is not known",
    ]


# --- pictures elsewhere -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["annotations", "annotations/val", "."])
@pytest.mark.parametrize("pictures", [".", "images"])
def test_pictures_are_found_beside_the_folder_of_annotations(tmp_path, place, pictures):
    for folder in (place, pictures):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    save_pictures(tmp_path / pictures)
    fpath = tmp_path / place / "a.json"
    fpath.write_text(json.dumps(PLAIN))
    data = read_coco(fpath)
    assert data[0].picture.resolve() == (tmp_path / pictures / "one.png").resolve()
    moved = (tmp_path / pictures).resolve() != fpath.parent.resolve()
    assert [note.partition(" (images says")[0] for note in data.notes] == (
        [f"its pictures are taken from {tmp_path / pictures}"] if moved else []
    )
