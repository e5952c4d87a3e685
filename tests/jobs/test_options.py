"""Options of jobs: as JSON and back, as a command line and back, checked whichever way they came."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import tyro

from isotherm.cli.main import _paired
from isotherm.cli.options import Command
from isotherm.errors import OptionError
from isotherm.jobs.count.options import CountJob
from isotherm.jobs.evaluate.fsc147_options import EvalFsc147Job
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.options import JobOptions
from isotherm.jobs.predict.keypoints_options import PredictKeypointsJob
from isotherm.jobs.sweep.options import SweepJob
from isotherm.jobs.train.keypoints_options import TrainKeypointsJob
from isotherm.jobs.train.shipped_options import TrainScenesJob
from rigs.job_options import EVERYTHING

KINDS = {type(options) for options in EVERYTHING}


def named(options: JobOptions) -> str:
    return f"{type(options).__name__}{EVERYTHING.index(options)}"


@pytest.mark.parametrize("options", EVERYTHING, ids=named)
def test_json_gives_the_same_options_back(options):
    text = json.dumps(options.to_json())
    assert type(options).from_json(text) == options
    assert type(options).from_json(json.loads(text)) == options


@pytest.mark.parametrize("options", EVERYTHING, ids=named)
def test_the_command_line_asks_for_the_same(options):
    line = options.command_line()
    assert line[: 1 + len(options.words)] == ["isotherm", *options.words]
    parsed = tyro.cli(Command, prog="isotherm", args=_paired(line[1:]))  # type: ignore[call-overload]
    assert {f.name: getattr(parsed, f.name) for f in fields(options)} == {
        f.name: getattr(options, f.name) for f in fields(options)
    }


def test_every_option_of_every_job_is_tried():
    for kind in KINDS:
        # what a job has from another one is tried there
        base = kind.__mro__[1] if kind is not ExplainJob and kind is not TrainScenesJob else JobOptions
        inherited = {f.name for f in fields(base)}
        tried = [options for options in EVERYTHING if type(options) is kind]
        for field in (f for f in fields(kind) if f.name not in inherited):
            values = {str(getattr(options, field.name)) for options in tried}
            if kind is TrainScenesJob and field.name == "config":
                continue  # tried by the detector's
            assert values - {str(field.default)}, f"{kind.__name__}.{field.name}"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "the options of the job explain are no JSON"),
        ([], "are a list; expected a JSON object"),
        ({"sources": ["a"], "smoth": "none"}, "explain: smoth is not an option; did you mean 'smooth'"),
        ({"sources": ["a"], "fuse": "maximum"}, "fuse"),
        ({"sources": ["a"], "batch": "many"}, "batch"),
        ({"sources": ["a"], "batch": 0}, "--batch 0: expected a whole number of at least 1"),
        ({"sources": ["a"], "confidence": 3}, "--confidence 3"),
        ({}, "sources"),
    ],
)
def test_json_that_is_wrong_is_refused_with_the_place(data, message):
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        ExplainJob.from_json(data)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fuse": "maximum"}, "--fuse is 'maximum'; did you mean 'max'"),
        ({"trust": "fsat"}, "--trust is 'fsat'; did you mean 'fast'"),
        ({"dtype": "float8"}, "--dtype is 'float8'"),
        ({"opacity": 1.5}, "--opacity 1.5"),
        ({"max_frames": 0}, "--max-frames 0"),
        ({"seed": -1}, "--seed -1"),
        ({"allow_code": None, "top": 0}, "--top 0"),
        ({"start_s": -1.0}, "--start-s -1.0: expected seconds"),
        ({"start_s": 2.0, "end_s": 2.0}, "--end-s 2.0: expected more seconds than --start-s, 2"),
        ({"renormalise": True, "shared_scale": True}, "--renormalise gives each box a scale of its own"),
        ({"like": "1,2,3"}, "--like '1,2,3' is no box"),
        ({"like": "1,2,3,4", "classes": "bus"}, "--classes and --like both say what to look for"),
    ],
)
def test_every_literal_is_checked_on_construction(options, message):
    with pytest.raises(OptionError, match=message):
        ExplainJob(sources=("a.jpg",), **options)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": "a.jpg"}, r"--sources is 'a.jpg'; expected several, such as \('a.jpg',\)"),
        ({"sources": 3}, "--sources is 3; expected several"),
        ({"sources": (3,)}, "--sources is 3; expected text"),
        ({"batch": "4"}, "--batch is '4'; expected a whole number"),
        ({"batch": 4.0}, "--batch is 4.0; expected a whole number"),
        ({"batch": True}, "--batch is True; expected a whole number"),
        ({"confidence": "high"}, "--confidence is 'high'; expected a number"),
        ({"recursive": 1}, "--recursive is 1; expected True or False"),
        ({"out": 5}, "--out is 5; expected a path"),
        ({"model": None}, "--model is None; expected text"),
        ({"size": 640}, "--size is 640; expected text"),
        ({"size": (480, 640)}, "--size is .*; expected text"),
    ],
)
def test_values_of_another_kind_are_refused_when_the_options_are_made(options, message):
    with pytest.raises(OptionError, match=message):
        ExplainJob(**{"sources": ("a.jpg",), **options})


@pytest.mark.usefixtures("unchecked")
def test_values_that_only_look_different_are_taken():
    made = ExplainJob(
        sources=[Path("a.jpg"), "b.jpg"],
        out="results",
        model=Path("w.pt"),
        batch=np.int64(4),
        confidence=np.float32(0.5),
        opacity=1,
    )
    same = ExplainJob(
        sources=("a.jpg", "b.jpg"), out=Path("results"), model="w.pt", batch=4, confidence=0.5, opacity=1.0
    )
    assert made == same
    assert hash(made) == hash(same)
    assert ExplainJob.from_json(json.dumps(made.to_json())) == same
    assert TrainScenesJob(set=["seed=1"]).set == ("seed=1",)


@pytest.mark.parametrize(
    ("job", "options", "message"),
    [
        (TrainKeypointsJob, {"config": "a.yaml", "devices": 0}, "--devices 0: expected a whole number of at least 1"),
        (TrainKeypointsJob, {"config": "a.yaml", "nodes": -1}, "--nodes -1: expected a whole number of at least 1"),
        (TrainKeypointsJob, {"config": "a.yaml", "steps": 0}, "--steps 0: expected a whole number of at least 1"),
        (TrainScenesJob, {"steps": 0}, "--steps 0: expected a whole number of at least 1"),
        (TrainScenesJob, {"seed": -1}, "--seed -1: expected a whole number of at least 0"),
        (SweepJob, {"recipe": "a.yaml", "at_once": 0}, "--at-once 0: expected a whole number of at least 1"),
        (
            CountJob,
            {"sources": ["a.jpg"], "category": "x", "model": "tiny-vlm", "overlap": 5.0},
            "--overlap 5: expected a share",
        ),
        (
            CountJob,
            {"sources": ["a.jpg"], "category": "x", "model": "tiny-vlm", "crop_side": -5},
            "--crop-side -5: expected a whole number",
        ),
        (
            CountJob,
            {"sources": ["a.jpg"], "category": "x", "model": "tiny-vlm", "grid": "0x3"},
            "--grid 0x3: expected rows x columns",
        ),
        (
            CountJob,
            {"sources": ["a.jpg"], "category": "x", "model": "tiny-vlm", "strategy": "custom", "crop": ["5,5,1,9"]},
            "--crop 5,5,1,9: x0 must be less than x1",
        ),
        (
            EvalFsc147Job,
            {"data": "d", "out": "o", "model": "tiny-vlm", "split": "tset"},
            "--split is 'tset'; did you mean 'test'",
        ),
        (PredictKeypointsJob, {"sources": ["a.jpg"], "run": "r", "box": "1,2,3"}, "--box 1,2,3: expected four numbers"),
    ],
)
def test_numbers_and_words_that_no_job_could_use_are_refused_where_they_are_given(job, options, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        job.from_json(options)


def test_a_source_that_begins_like_an_option_is_one_on_the_command_line():
    assert ExplainJob(sources=("-a.jpg", "b.jpg")).command_line()[2:] == ["./-a.jpg", "b.jpg"]
