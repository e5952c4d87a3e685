"""How far work deep inside is: told to whoever listens, now and then, and drawn as a bar."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm import explain
from isotherm.errors import JobCancelled
from isotherm.methods import RISE, Occlusion
from isotherm.progress import Progress, bar, listening, tell

PICTURE = np.full((32, 32, 3), 90, np.uint8)


def predict(x):
    return torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3))], 1)


@pytest.mark.parametrize("method", [RISE(masks=30, grid=4), Occlusion()], ids=["RISE", "Occlusion"])
def test_methods_of_many_changed_pictures_tell_how_far_they_are(method, monkeypatch):
    monkeypatch.setattr("isotherm.progress.EVERY_S", 0.0)
    steps = []
    explain(predict, PICTURE, size=32, target=[0, 1], method=method, trust="off", progress=steps.append)
    assert {one.stage for one in steps} == {method.name}
    assert [one.step for one in steps] == sorted({one.step for one in steps})
    assert steps[-1].last
    assert len(steps) > 5


def test_the_bar_is_drawn_on_the_standard_error_stream_and_only_where_it_was_asked_for(capsys):
    explain(predict, PICTURE, size=32, method=RISE(masks=20, grid=4), trust="off", progress=True)
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.endswith("RISE [########################] 20 of 20\n")
    explain(predict, PICTURE, size=32, method=RISE(masks=20, grid=4), trust="off")
    assert capsys.readouterr().err == ""


def test_whoever_is_told_may_end_the_work():
    def cancel(message):
        raise JobCancelled("enough")

    with pytest.raises(JobCancelled, match="enough"):
        explain(predict, PICTURE, size=32, method=RISE(masks=20, grid=4), trust="off", progress=cancel)


def test_of_many_steps_a_few_are_told_and_the_last_one_always():
    steps = []
    with listening(steps.append):
        for step in range(1, 1001):
            tell(Progress(step=step, total=1000))
    assert [steps[0].step, steps[-1].step] == [1, 1000]
    assert len(steps) < 100
    tell(Progress(step=1, total=2))  # nobody listens any more
    assert len(steps) < 100
    bar("a remark draws nothing")
