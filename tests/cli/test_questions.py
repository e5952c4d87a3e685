"""``isotherm explain --prompt``: a map per word, a count, several pictures in one prompt, and every mistake in one line."""

from __future__ import annotations

import html
import json

import pytest
from PIL import Image

from isotherm.cli import main
from isotherm.data.shape_questions import HELD_OUT, make_question
from isotherm.heatmap import Heatmap

MODEL = ["--model", "tiny-vlm", "--weights", "none", "--trust", "off", "--quiet"]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(2):
        Image.fromarray(make_question(i, "count").picture).resize((48 + 16 * i, 48)).save(f"{i}.png")
    return tmp_path


def items(folder):
    return [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]


def test_a_map_per_word(pictures, capsys):
    assert (
        main(
            [
                "explain",
                "0.png",
                *MODEL,
                "--prompt",
                "how many red ?",
                "--answer",
                "2 red",
                "--target",
                "answer",
                "--out",
                "out",
            ]
        )
        == 0
    )
    (item,) = items(pictures / "out")
    assert "log_prob of '2' in '2 red'" in json.dumps(item)
    assert len(list((pictures / "out").glob("*.npz"))) == 2
    assert (pictures / "out" / "report.html").is_file()
    assert json.loads((pictures / "out" / "run.json").read_text())["question"] == {
        "prompt": "how many red ?",
        "answer": "2 red",
        "versus": None,
        "fill": None,
    }


def test_several_pictures_in_one_prompt(pictures):
    assert (
        main(
            [
                "explain",
                "0.png",
                "1.png",
                *MODEL,
                "--prompt",
                "how many red ?",
                "--answer",
                "2",
                "--versus",
                "3",
                "--together",
                "--out",
                "out",
            ]
        )
        == 0
    )
    first, second = items(pictures / "out")
    assert len(list((pictures / "out").glob("*.npz"))) == 2
    assert "'2' rather than '3', picture 1 of 2" in json.dumps(first)
    assert "'2' rather than '3', picture 2 of 2" in json.dumps(second)


def test_a_picture_that_one_prompt_lacks_is_told(pictures, capsys):
    (pictures / "cut.png").write_bytes((pictures / "0.png").read_bytes()[:60])
    question = ["--prompt", "how many red ?", "--answer", "2", "--versus", "3", "--together", "--out", "out"]
    assert (
        main(["explain", "0.png", "cut.png", "1.png", *[word for word in MODEL if word != "--quiet"], *question]) == 1
    )
    assert "asked about 2 pictures only: 1 could not be read" in capsys.readouterr().err
    assert [one["status"] for one in items(pictures / "out")] == ["failed", "done", "done"]


def film(fpath, picture, frames=8):
    av = pytest.importorskip("av", reason="videos need PyAV")
    with av.open(str(fpath), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = (
            picture.shape[1],
            picture.shape[0],
            "yuv420p",
            4_000_000,
        )
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_a_video_has_a_map_per_moment(pictures, capsys):
    film("clip.mp4", make_question(HELD_OUT[28], "count").picture)
    assert (
        main(
            [
                "explain",
                "clip.mp4",
                "--model",
                "tiny-vlm",
                "--trust",
                "off",
                "--prompt",
                "how many red ?",
                "--together",
                "--out",
                "out",
            ]
        )
        == 0
    )
    told = " ".join(capsys.readouterr().err.split())
    assert "moment 4 of 4" in told
    assert "picture 1 of" not in told
    assert len(items(pictures / "out")) == 4
    page = (pictures / "out" / "report.html").read_text()
    assert "clip.mp4, moment 4 of 4" in page


def test_several_videos_are_pictures_and_said_to_be(pictures, capsys):
    for i in range(2):
        film(f"{i}.mp4", make_question(i, "count").picture, frames=2 + i)
    given = [m for m in MODEL if m != "--quiet"]
    assert (
        main(
            [
                "explain",
                "0.mp4",
                "1.mp4",
                *given,
                "--prompt",
                "how many red ?",
                "--answer",
                "2",
                "--together",
                "--out",
                "out",
            ]
        )
        == 0
    )
    told = " ".join(capsys.readouterr().err.split())
    assert "asked about 5 pictures and not about a video" in told
    assert "picture 5 of 5" in told


def test_the_question_and_its_answer_are_shown_everywhere(pictures, capsys):
    Image.fromarray(make_question(HELD_OUT[28], "count").picture).save("two.png")
    given = [
        "explain",
        "two.png",
        "--model",
        "tiny-vlm",
        "--trust",
        "off",
        "--prompt",
        "how many red ?",
        "--method",
        "attention",
    ]
    assert main([*given, "--answer", "4", "--out", "out"]) == 0
    shown = ("question: 'how many red ?'", "answer: '2'", "explained: '4', which the model did not answer")
    told = capsys.readouterr().err
    page = html.unescape((pictures / "out" / "report.html").read_text())
    for line in shown:
        assert line in told
        assert f'<p class="line">{line}</p>' in page
    (item,) = items(pictures / "out")
    assert (item["question"], item["answer"], item["forced"]) == ("how many red ?", "2", "4")
    assert any("method" in line or "model" in line for line in item["chosen"])
    (npz,) = (pictures / "out").glob("*.npz")
    assert Heatmap.load(npz).meta["answer"] == "2"


def test_a_count_is_not_spoken_of_where_a_place_is_answered(pictures, capsys):
    Image.fromarray(make_question(HELD_OUT[18], "where").picture).save("place.png")
    assert (
        main(
            [
                "explain",
                "place.png",
                "--model",
                "tiny-vlm",
                "--trust",
                "off",
                "--prompt",
                "where is red ?",
                "--target",
                "count",
                "--out",
                "out",
            ]
        )
        == 2
    )
    told = " ".join(capsys.readouterr().err.split())
    assert "which has no number" in told
    assert "expected number" not in told


def test_the_choice_is_told(pictures, capsys):
    given = [m for m in MODEL if m != "--quiet"]
    assert main(["explain", "0.png", *given, "--prompt", "how many red ?", "--target", "next", "--out", "out"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "method: " in told
    assert "in our comparison" in told


def test_a_mask_says_how_well_the_map_fits(pictures, capsys):
    Image.fromarray((make_question(0, "count").evidence * 255).astype("uint8")).save("mask.png")
    given = [m for m in MODEL if m != "--quiet"]
    assert (
        main(
            [
                "explain",
                "0.png",
                *given,
                "--prompt",
                "how many red ?",
                "--answer",
                "2",
                "--mask",
                "mask.png",
                "--fill",
                "blur",
                "--out",
                "out",
            ]
        )
        == 0
    )
    told = " ".join(capsys.readouterr().err.split())
    assert "energy in the mask" in told
    assert "random" in told
    Image.new("L", (9, 9)).save("small.png")
    assert (
        main(
            [
                "explain",
                "0.png",
                *given,
                "--prompt",
                "how many red ?",
                "--answer",
                "2",
                "--mask",
                "small.png",
                "--out",
                "other",
            ]
        )
        == 2
    )
    assert "the mask is 9 x 9 and the picture 48 x 48" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", " "], "--prompt is empty"),
        (["--answer", "2"], "--answer goes with --prompt"),
        (["--together"], "--together goes with --prompt"),
        ([], "give one with --prompt"),
        (["--prompt", "how many ?", "--class", "red"], "--class and --prompt do not go together"),
        (["--prompt", "how many ?", "--versus", "3"], "give the first as --answer"),
        (["--prompt", "how many ?", "--target", "words"], "a question's targets are count, answer"),
        (["--prompt", "how many ?", "--method", "eigencam"], "no method 'eigencam' for language models"),
        (["--prompt", "how many ?", "--layer", "model.visual"], "sums to nothing"),
        (["--prompt", "zebras !", "--answer", "2"], "has no word of 'zebras !', so there is nothing to ask"),
        (["--prompt", "how many ?", "--answer", "zebra", "--target", "whole"], "has no tokens for 'zebra'"),
    ],
)
def test_mistakes(pictures, capsys, arguments, message):
    assert main(["explain", "0.png", *MODEL, *arguments, "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert message in " ".join(said.split())
    assert "Traceback" not in said


def test_a_prompt_to_a_model_without_words(pictures, capsys):
    assert main(["explain", "0.png", "--model", "scenes", "--prompt", "how many red ?", "--out", "out", "--quiet"]) == 2
    assert "answers no questions" in capsys.readouterr().err


def test_layers_and_methods(capsys):
    assert main(["layers", "--model", "tiny-vlm", "--weights", "none"]) == 0
    assert "auto: vision tokens" in capsys.readouterr().out
    assert main(["methods"]) == 0
    assert "attention_gradient" in capsys.readouterr().out


@pytest.mark.parametrize("together", [[], ["--together"]], ids=["each", "together"])
def test_words_that_the_model_lacks_are_noted_as_they_are_in_counting(pictures, capsys, together):
    given = [word for word in MODEL if word != "--quiet"]
    asked = ["--prompt", "how many red zebras ?", "--target", "whole", "--answer", "2"]
    assert main(["explain", "0.png", "1.png", *given, *asked, *together, "--out", "out"]) == 0
    assert capsys.readouterr().err.count("has no 'zebras': give a prompt of words that it knows") == 2


def test_the_answer_to_a_question_about_each_frame_is_told_where_it_changes(pictures, capsys):
    film("clip.mp4", make_question(HELD_OUT[28], "count").picture, frames=3)
    asked = ["--model", "tiny-vlm", "--trust", "off", "--prompt", "how many red ?", "--method", "attention"]
    assert main(["explain", "clip.mp4", *asked, "--out", "out"]) == 0
    told = capsys.readouterr().err
    assert told.count("answer: '2'") == 1  # of three frames that are alike
    assert "clip.mp4#000000\n  question: 'how many red ?'\n  answer: '2'" in told
    assert [item["answer"] for item in items(pictures / "out")] == ["2"] * 3


@pytest.mark.parametrize(("frames", "moments"), [(1, 0), (3, 2)])
def test_a_video_of_an_odd_number_of_frames(pictures, capsys, frames, moments):
    """The network sees two frames a moment; one frame alone is a picture, and said to be one."""
    film("clip.mp4", make_question(HELD_OUT[28], "count").picture, frames=frames)
    asked = [*(m for m in MODEL if m != "--quiet"), "--prompt", "how many red ?", "--answer", "2", "--together"]
    assert main(["explain", "clip.mp4", *asked, "--out", "out"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert (f"moment {moments} of {moments}" in told) == bool(moments)
    assert ("asked about 1 picture and not about a video" in told) == (not moments)
