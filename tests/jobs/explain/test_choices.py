"""Options that do not fit the model or the pictures: refused once, or told, in the command line's words."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from isotherm.errors import OptionError
from isotherm.jobs.explain.choices import methods_of
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run
from isotherm.runs.read import list_runs
from rigs.reporters import Listening
from rigs.videos import write_clip

DETECTORS = "is for detectors, and this model (scene classifier, training seed 0) is a classifier; leave it out, or"
CLASSIFIERS = "is for classifiers, and this model (heatmap detector, training seed 0) is a detector; leave it out, or"


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(name)
    return "a.png", "b.png", "c.png"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("scenes", {"box": "0"}, f"--box 0 {DETECTORS}"),
        ("scenes", {"target": "left"}, f"--target left {DETECTORS}"),
        ("detector", {"top": 2}, f"--top 2 {CLASSIFIERS}"),
        ("detector", {"cls": "0", "versus": "1"}, f"--versus 1 {CLASSIFIERS}"),
        ("detector", {"target": "mask"}, "--target mask: this detector gives no mask; explain its class or box"),
        ("scenes", {"cls": "unicorn"}, "--class unicorn: there is no class 'unicorn' among the model's"),
        ("scenes", {"top": 9999}, "--top 9999: top 9999 of"),
    ],
)
def test_what_no_picture_of_this_model_can_have_is_refused_once(pictures, model, options, message):
    reporter = Listening()
    with pytest.raises(OptionError) as refusal:
        run(ExplainJob(sources=pictures, model=model, trust="off", **options), reporter)
    assert message in str(refusal.value)
    assert reporter.items == []  # and not once for each picture
    assert list(list_runs()) == []  # nothing is left behind


@pytest.mark.parametrize("names", ["gradcam,hirescam,gradcam", "grad-cam,gradcam"])
def test_a_method_beside_itself_is_refused(names):
    with pytest.raises(OptionError, match=r"--compare .* would stand beside itself; name each once"):
        methods_of(ExplainJob(sources=("a.png",), compare=names))


def test_options_of_videos_are_named_where_only_pictures_were_given(pictures, tmp_path):
    line = "--every, --end-s: for videos alone, and only pictures were given, so nothing changes"
    options = {"model": "scenes", "trust": "off", "every": 3, "end_s": 2.0}
    run(ExplainJob(sources=pictures[:1], **options), reporter := Listening())
    assert ("note", line) in reporter.messages
    write_clip(tmp_path / "clip.mp4", frames=4, rate=10)
    run(ExplainJob(sources=("a.png", "clip.mp4"), **options), reporter := Listening())
    assert ("note", line) not in reporter.messages
