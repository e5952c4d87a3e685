"""Boxes of heads from CSV and JSON."""

from __future__ import annotations

import json

import pytest

from isotherm.data.gaze.head_boxes import read_head_boxes
from isotherm.errors import InputError

EXPECTED = {0: [[1, 2, 11, 12, 1], [20, 2, 30, 12, 0.5]], 7: [[3, 4, 5, 6, 1]]}
CSV = "frame,x0,y0,x1,y1,score\n0,1,2,11,12,\n0,20,2,30,12,0.5\n7,3,4,5,6,1\n"
LIST = [
    {"frame": 0, "x0": 1, "y0": 2, "x1": 11, "y1": 12},
    {"frame": 0, "x0": 20, "y0": 2, "x1": 30, "y1": 12, "score": 0.5},
    {"frame": 7, "x0": 3, "y0": 4, "x1": 5, "y1": 6},
]
FRAMES = {"0": [[1, 2, 11, 12], [20, 2, 30, 12, 0.5]], "7": [[3, 4, 5, 6]]}


@pytest.mark.parametrize(
    ("name", "text"),
    [("b.csv", CSV), ("b.csv", "\ufeff" + CSV), ("b.json", json.dumps(LIST)), ("b.json", json.dumps(FRAMES))],
)
def test_every_form_says_the_same(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert {k: v.tolist() for k, v in read_head_boxes(tmp_path / name).items()} == EXPECTED


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("b.txt", "", r"expected \.csv or \.json"),
        ("b.csv", "frame,x,y\n", "has the columns frame, x, y; expected frame, x0"),
        ("b.csv", "frame,x0,y0,x1,y1\n0,9,2,3,4\n", "line 2.*is no box; x0 must be less"),
        ("b.csv", "frame,x0,y0,x1,y1\n0,9,2,nan,4\n", "line 2.*is no box"),
        ("b.csv", "frame,x0,y0,x1,y1\n0.5,1,2,3,4\n", "the frame is '0.5'"),
        ("b.csv", "frame,x0,y0,x1,y1\n0,a,2,3,4\n", "expected four numbers"),
        ("b.csv", "frame,x0,y0,x1,y1,score\n0,1,2,3,4,7\n", "the score is 7"),
        ("b.json", "{", "cannot be read"),
        ("b.json", "3", "holds a int"),
        ("b.json", '[{"frame": 0}]', "entry 0: expected an object with frame"),
        ("b.json", '{"0": [[1, 2, 3]]}', "frame 0: expected a list of"),
        ("b.json", '{"-1": [[1, 2, 3, 4]]}', "the frame is '-1'"),
    ],
)
def test_what_is_no_such_file_is_named(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_head_boxes(tmp_path / name)


def test_a_missing_file_is_named_with_the_nearest(tmp_path):
    (tmp_path / "heads.csv").write_text(CSV)
    with pytest.raises(InputError, match=r"there is no file of boxes.*heads.csv"):
        read_head_boxes(tmp_path / "head.csv")
