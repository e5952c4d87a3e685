"""Options that are given twice, on every command: refused, for only the last would count."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from isotherm import explain
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


def test_a_picture_that_a_processor_does_not_take_fails_alone(tmp_path, monkeypatch, capsys):
    """The other pictures of the folder, and what is counted in them, are not its affair."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (500, 1)).save("row.png")
    Image.new("RGB", (48, 48), (200, 30, 30)).save("z.png")
    model = ["--model", "tiny-vlm", "--weights", "none"]
    question = ["--prompt", "how many red ?", "--answer", "2", "--trust", "off", "--raw", "none"]
    assert main(["explain", "row.png", "z.png", *model, *question, "--out", "explained"]) == 1
    assert "does not take pictures of 500 x 1 pixels" in capsys.readouterr().err
    assert (
        main(["count", "row.png", "z.png", *model, "--category", "red", "--strategy", "global", "--out", "counted"])
        == 1
    )
    assert main(["explain", "row.png", "z.png", *model, *question, "--together", "--out", "one"]) == 2
    for folder, states in {"explained": ["failed", "done"], "counted": ["failed", "done"], "one": ["failed"]}.items():
        assert [item["status"] for item in read_items(tmp_path / folder)] == states


@pytest.mark.parametrize("side", [1, 3, 4])
def test_a_picture_of_few_rows_in_python(side):
    """Neither a PIL picture nor the bytes of a file leave open which side is which."""
    picture = Image.new("RGBA", (50, side), (200, 30, 30, 255))
    picture.save(file := io.BytesIO(), "PNG")
    for given in (picture, file.getvalue()):
        assert explain("scenes", given, trust="off")[0].frame.source_size.tolist() == [side, 50]
