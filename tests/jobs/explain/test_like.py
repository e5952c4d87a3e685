"""Boxes that show what to look for, as text and back."""

from __future__ import annotations

import pytest

from isotherm.errors import OptionError
from isotherm.jobs.explain.like import check_within, format_like, parse_like, picture_of_like


def test_text_and_boxes_by_name():
    assert parse_like(" 1,2,3,4 ") == {"this": [(1, 2, 3, 4)]}
    assert parse_like("a bus = 1, 2, 3, 4; wheel=-5,6,7,8.5;a bus=0,0,9,9;") == {
        "a bus": [(1, 2, 3, 4), (0, 0, 9, 9)],
        "wheel": [(-5, 6, 7, 8.5)],
    }
    shown = parse_like("a=b=1,2,3,4;5,6,7,8")
    assert list(shown) == ["a=b", "this"]
    assert parse_like(format_like(shown)) == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no box; expected boxes x0,y0,x1,y1"),
        (";", "is no box"),
        ("1,2,3,4;;5,6,7,8", "'' is no box"),
        ("1,2,3", "'1,2,3' is no box"),
        ("1,2,3,4,5", "is no box"),
        ("bus", "'bus' is no box"),
        ("=1,2,3,4", "has an empty name"),
        ("3,2,1,4", "x0 must be less than x1"),
        ("1,2,3,2", "y0 less than y1"),
        ("1,2,inf,4", "x0 must be less"),
        ("nan,2,3,4", "x0 must be less"),
    ],
)
def test_what_is_no_box_is_refused(text, message):
    with pytest.raises(OptionError, match=message):
        parse_like(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("othre.png", r"--like: there is no file 'othre.png'; did you mean other.png\?, or give boxes; expected boxes"),
        ("a,b=c.jpg", "--like: there is no file 'a,b=c.jpg'"),
        ("other", "--like: there is no file 'other'"),
        (".", "--like . is a folder; expected one picture's file"),
        ("1,2,3", "--like '1,2,3' is no box"),
        ("1,2,3,4.x5", "--like: there is no file"),
        ("9,2,3,4", "--like 9,2,3,4: x0 must be less"),
    ],
)
def test_what_names_a_file_is_not_said_to_be_no_box(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.png").touch()
    with pytest.raises(OptionError, match=f"^{message}"):
        picture_of_like(text)


def test_a_box_must_show_something_of_the_picture():
    check_within({"a": [(-5, -5, 1, 1), (63, 47, 900, 900)]}, 48, 64, "a.jpg")
    for box in ((64, 0, 70, 9), (0, 47.5, 9, 60), (-9, 0, 0.5, 9)):
        with pytest.raises(OptionError, match=r"does not lie on a\.jpg, which is 64 pixels wide and 48 high"):
            check_within({"a": [(0, 0, 9, 9), box]}, 48, 64, "a.jpg")
