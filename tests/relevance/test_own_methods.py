"""Methods and scores that somebody wrote, and that are none: refused by their names, with what was expected."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm import explain, open_model
from isotherm.cam.scores import Score
from isotherm.errors import MethodError, OptionError, TargetError
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run

PHOTO = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def scenes():
    return open_model("scenes")


class Mine:
    """A method that gives what it is told to."""

    name, signed, needs = "mine", True, frozenset({"activation"})

    def __init__(self, give=None, **changes) -> None:
        self.give = give
        for name, value in changes.items():
            setattr(self, name, value)

    def __call__(self, trace):
        return self.give(trace)


class NoSigns:
    name, needs = "mine", frozenset()

    def __call__(self, trace):
        return []


def activation(trace):
    return trace.need_layers()[0].activation


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Mine(lambda trace: None), "the method mine gave a NoneType; expected a list with a map for each layer"),
        (Mine(lambda trace: []), "the method mine gave an empty list"),
        (Mine(lambda trace: activation(trace).sum(1)), "the method mine gave a Tensor"),
        (Mine(lambda trace: [activation(trace).sum(1)]), "the method mine gave a list"),
        (Mine(lambda trace: [trace.need_layers()[0].map_of(activation(trace))]), "without channels"),
        (
            Mine(lambda trace: [trace.need_layers()[0].map_of(activation(trace).sum(1).to(torch.complex64))]),
            "are torch.complex64; expected real numbers",
        ),
        (Mine, "Mine is a class; give an object of it, Mine\\(\\)"),
        (NoSigns(), "NoSigns is no method: it has no signed"),
        (lambda trace: [], "<lambda> is no method: it has no name, signed, needs"),
        (Mine(needs={"activations"}), "the method mine needs 'activations'; expected words of activation,"),
        (Mine(needs="activation"), "needs of the method mine is 'activation'; expected a set of words"),
        (Mine(needs=None), "needs of the method mine is None"),
        (Mine(explains={"picture"}), "the method mine explains 'picture'; expected words of pictures, clips, answers"),
        ("propagation", "'propagation' explains answers; ask a question with prompt"),
    ],
)
def test_what_is_no_method_is_refused(scenes, method, message):
    with pytest.raises(MethodError, match=message):
        explain(scenes, PHOTO, method=[method], trust="off")


def test_a_method_of_ones_own_that_is_one(scenes):
    mine = Mine(lambda trace: [layer.map_of(layer.activation.sum(1)) for layer in trace.need_layers()])
    assert explain(scenes, PHOTO, method=mine, trust="off")[0].meta["method"] == "mine"


def test_a_score_that_gives_no_targets_is_refused(scenes):
    class Nothing(Score):
        def __call__(self, prediction, inputs):
            return None

    with pytest.raises(TargetError, match=r"the score Nothing gave a NoneType; expected isotherm.cam.scores.Targets"):
        explain(scenes, PHOTO, target=Nothing(), trust="off")


@pytest.mark.parametrize("opened", ["scenes", torch.nn.Linear(2, 2), object()])
def test_a_job_is_given_an_open_model_or_refuses(opened, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    with pytest.raises(OptionError, match=r"expected what isotherm.open_model gives"):
        run(ExplainJob(sources=(str(tmp_path / "a.png"),), out=tmp_path / "run"), opened=opened)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_job_takes_what_open_model_gives(scenes, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    job = ExplainJob(sources=(str(tmp_path / "a.png"),), trust="off", out=tmp_path / "run")
    assert run(job, opened=scenes).done == 1
