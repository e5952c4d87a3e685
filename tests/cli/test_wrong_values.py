"""Wrong values of every option of every command: refused in the words of the command line, before a model is opened, and
nothing is left behind.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from PIL import Image

from isotherm.cli import main, options
from isotherm.jobs import open_model
from rigs.breadth import wide

COMMANDS = {
    "Explain": ["explain", "a.png", "--model", "scenes"],
    "Count": ["count", "a.png", "--model", "tiny-vlm", "--category", "red"],
    "Layers": ["layers", "--model", "scenes"],
    "EvalFsc147": ["eval", "fsc147", "folder", "--model", "tiny-vlm", "--out", "out"],
    "EvalKeypoints": ["eval", "keypoints", "--run", "folder"],
    "EvalGrounding": ["eval", "grounding", "--run", "folder"],
    "EvalGaze": ["eval", "gaze", "folder", "folder"],
    "PredictKeypoints": ["predict", "keypoints", "a.png", "--run", "folder"],
    "PredictGrounding": ["predict", "grounding", "a.png", "pick the red block"],
    "TrainKeypoints": ["train", "keypoints", "--config", "a.yaml"],
    "TrainGrounding": ["train", "grounding", "--config", "a.yaml"],
    "TrainAnticipation": ["train", "anticipation", "--config", "a.yaml"],
    "Sweep": ["sweep", "a.yaml"],
    "AblateAnticipation": ["ablate", "anticipation", "--config", "a.yaml"],
    "GazePredict": ["gaze", "predict", "clip.mp4", "--out", "out"],
    "GazeImport": ["gaze", "import", "a.csv", "--format", "pupil-core"],
    "GazeDraw": ["gaze", "draw", "a.parquet", "--video", "clip.mp4"],
    "GazeConvert": ["gaze", "convert", "a.parquet", "--to", "zarr"],
    "Lift": ["lift", "a.json"],
}
SOME = ("Explain", "Count", "EvalKeypoints", "TrainGrounding", "GazeImport", "Lift")
"""One of each kind, for make test; the two longest lists of options are among them."""
WORDS = {
    "--point": ["1", "1,2,3", "nan,1", "1,inf", ""],
    "--box": ["-1", "1,2,3", "0,0,inf,inf", "nan,0,9,9", "9,9,1,1", ","],
    "--crop": ["1,2,3", "0,0,inf,inf", "9,9,1,1"],
    "--size": ["0", "640x", "-5", "9999999"],
    "--grid": ["3", "0x3", "x"],
    "--class": ["", "a,,b"],
    "--classes": ["", "a,,b"],
    "--device": ["toaster", "cuda:x", ""],
    "--like": ["missing.png", "1,2,3", ""],
    "--style": ["bogus"],
    "--colormap": ["bogus"],
    "--method": ["bogus", "gradcam,hirescam"],
    "--target": ["bogus", "keypoint", ""],
    "--preprocess": ["bogus", "no.such.module:name"],
}
"""Wrong values of options in words."""


class ReachedError(BaseException):
    """A model would have been opened."""


def wrong_values(flag: str, hint: Any) -> list[str]:
    """What nobody can mean by an option of this kind."""
    text = str(hint)
    if "Literal" in text:
        return ["bogus"]
    if "int" in text:
        return ["x", "-1", "1.5"]
    if "float" in text:
        return ["x", "nan"]
    return WORDS.get(flag, []) if "Path" not in text else []


@pytest.mark.parametrize("name", [*SOME, *wide(name for name in COMMANDS if name not in SOME)])
def test_wrong_values_are_refused_before_a_model_is_opened_and_leave_nothing(name, tmp_path, monkeypatch, capsys):
    def reached(*_args, **_options):
        raise ReachedError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(open_model, "open_with", reached)
    Image.new("RGB", (40, 30)).save("a.png")
    Path("folder").mkdir()
    for fname in ("a.yaml", "clip.mp4", "a.csv", "a.parquet", "a.json"):
        Path(fname).write_text("{}")
    before = set(tmp_path.rglob("*"))
    command, mistakes, tried = getattr(options, name), [], 0
    hints = get_type_hints(command)
    for field in fields(command):
        flag = f"--{getattr(command, 'names', {}).get(field.name, field.name).replace('_', '-')}"
        if field.name in getattr(command, "positional", ()):
            continue
        if name == "EvalFsc147" and flag in ("--method", "--preprocess"):  # looked at behind the data
            continue
        for value in wrong_values(flag, hints[field.name]):
            tried += 1
            words = [word for i, word in enumerate(COMMANDS[name]) if flag not in COMMANDS[name][max(i - 1, 0) : i + 1]]
            try:
                code: Any = main([*words, f"{flag}={value}"])
            except ReachedError:
                code = "a model was opened"
            told = capsys.readouterr()
            unfit = code != 2 or told.out or "not foreseen" in told.err or flag not in told.err
            if unfit or set(tmp_path.rglob("*")) != before:
                mistakes.append((flag, value, code, told.err[-300:]))
    assert tried > 2
    assert not mistakes
