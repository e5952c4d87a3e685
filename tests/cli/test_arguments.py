"""Options that are given twice, on every command: refused, for only the last would count."""

from __future__ import annotations

import pytest
from PIL import Image

from isotherm.cli import main
from isotherm.cli.count import Count
from isotherm.cli.main import refuse_repeated
from isotherm.cli.options import Explain
from isotherm.errors import OptionError
from isotherm.runs.read import read_items


def test_two_classes_in_two_options_are_refused_with_the_way_to_ask_for_both(capsys):
    assert main(["explain", "photo.jpg", "--class", "star", "--class=ring"]) == 2
    assert "--class is given 2 times (star, ring)" in (told := capsys.readouterr().err)
    assert "--class star,ring" in told


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Explain, ["--shared-scale", "--shared-scale"]),
        (Count, ["--crop", "0,0,9,9", "--crop", "1,1,9,9"]),
        (Explain, ["--seed", "1", "--", "--seed", "2"]),
    ],
)
def test_switches_and_what_may_be_repeated(command, words):
    refuse_repeated(words, command)


@pytest.mark.parametrize(
    ("command", "words"),
    [(Explain, ["--max-frames", "3", "--max_frames", "4"]), (Count, ["--category", "red", "--category", "green"])],
)
def test_any_other_option(command, words):
    with pytest.raises(OptionError, match="is given 2 times"):
        refuse_repeated(words, command)


def test_pictures_of_one_row_and_of_one_pixel(tmp_path, monkeypatch):
    """A file says which side is which, however few pixels it has."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (500, 1), (200, 30, 30)).save("row.png")
    Image.new("RGB", (1, 1)).save("pixel.png")
    assert main(["explain", "row.png", "pixel.png", "--model", "scenes", "--trust", "off", "--out", "out"]) == 0
    assert [item["name"] for item in read_items(tmp_path / "out")] == ["row.png", "pixel.png"]
