"""The loop knows nothing of a model but what its task says: which weights, how fast, in which order, and what to look at."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isotherm.errors import OptionError
from isotherm.progress import Progress
from isotherm.train.loop import CollapsedError, LoopConfig, Part, Task, run_loop
from isotherm.train.parameters import ParameterGroup
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule
from isotherm.train.watch import Watch

CONFIG = LoopConfig(
    steps=6, batch=4, rate=0.1, decay=0.0, average=None, keep_every=3, log_every=1, schedule=Schedule(shape="constant")
)


class Line(nn.Module):
    """y = slope x + bias; no part of it is called a head."""

    def __init__(self):
        super().__init__()
        self.slope, self.bias = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x):
        return self.slope * x + self.bias


class Countdown(Watch):
    """Is alarmed after so many steps."""

    def __init__(self, left):
        self.left, self.steps = left, []

    def look(self, maps, *, step):
        self.steps.append(step)
        return {"largest": float(maps.amax())}

    @property
    def alarmed(self):
        return len(self.steps) >= self.left

    def message(self, loss):
        return f"after {len(self.steps)} looks it is over"

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = list(state["steps"])


class Fitting(Task):
    """Fits y = 2 x; of pictures by number, x is the number over ten."""

    count = 8

    def __init__(self, rates=None, looks=None):
        self.model, self.rates, self.looks = Line(), rates or {"slope": 0.1, "bias": 0.1}, looks
        self.watches, self.seen = [], []

    def groups(self):
        return [
            ParameterGroup(rate=rate, decay=0.0, parameters=[getattr(self.model, n)]) for n, rate in self.rates.items()
        ]

    def watch(self):
        if self.looks is None:
            return None
        self.watches.append(Countdown(self.looks))
        return self.watches[-1]

    def labelled(self, index):
        return len(index), len(index)

    def part(self, forward, index, epoch, *, done, device):
        x = index.float() / 10
        self.seen.append(index.tolist())
        found = forward(x)
        return Part(((found - 2 * x) ** 2).mean(), found.detach()[:, None, None, None])


def test_each_group_has_its_rate_and_what_is_in_none_is_frozen(tmp_path):
    """The first step of AdamW moves every weight by its rate."""
    config = LoopConfig(**{**vars(CONFIG), "steps": 1, "clip": None})
    task = Fitting({"slope": 0.25})
    run_loop(config, task, RunFolder(tmp_path / "a", {}))
    assert task.model.slope.item() == pytest.approx(0.25, abs=1e-5)
    assert task.model.bias.item() == 0.5
    both = Fitting({"slope": 0.25, "bias": 0.01})
    run_loop(config, both, RunFolder(tmp_path / "b", {}))
    assert both.model.slope.item() == pytest.approx(0.25, abs=1e-5)
    assert both.model.bias.item() == pytest.approx(0.49, abs=1e-5) or both.model.bias.item() == pytest.approx(
        0.51, abs=1e-5
    )


def test_figures_of_the_watch_are_logged_and_its_alarm_is_told_once(tmp_path):
    task, said = Fitting(looks=2), []
    run_loop(CONFIG, task, folder := RunFolder(tmp_path / "a", {}), say=said.append)
    assert [line for line in said if isinstance(line, str)] == ["after 2 looks it is over"]
    rows = folder.figures()
    assert rows[0]["largest"] == 0.5  # of the first step, before anything is learnt
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(CollapsedError, match="after 2 looks it is over"):
        run_loop(
            LoopConfig(**{**vars(CONFIG), "stop_collapsed": True}), Fitting(looks=2), RunFolder(tmp_path / "b", {})
        )


def test_progress_is_data(tmp_path):
    said = []
    run_loop(CONFIG, Fitting(), RunFolder(tmp_path, {}), say=said.append)
    assert [(p.step, p.total, p.stage) for p in said] == [(i, 6, "training") for i in range(1, 7)]
    assert said[-1].last
    assert not said[0].last
    assert "loss" in said[0].text


def test_a_watch_goes_on_where_it_was(tmp_path):
    def stop(message):
        if isinstance(message, Progress) and message.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_loop(CONFIG, Fitting(looks=100), RunFolder(tmp_path, {}), say=stop)
    task = Fitting(looks=100)
    run_loop(CONFIG, task, RunFolder(tmp_path, {}))
    assert task.watches[0].steps == [0, 1, 2, 3, 4, 5]
    whole = Fitting(looks=100)
    run_loop(CONFIG, whole, RunFolder(tmp_path / "whole", {}))
    assert torch.equal(task.model.slope, whole.model.slope)
    assert torch.equal(task.model.bias, whole.model.bias)


def test_a_task_may_choose_what_a_step_shows(tmp_path):
    class Backwards(Fitting):
        def rows(self, step, config):
            return torch.tensor([7 - step] * config.batch), torch.zeros(config.batch, dtype=torch.long)

    task = Backwards()
    run_loop(CONFIG, task, RunFolder(tmp_path, {}))
    assert task.seen == [[7 - step] * 4 for step in range(6)]


def test_nothing_to_train_is_said(tmp_path):
    class Nothing(Fitting):
        count = 0

    with pytest.raises(OptionError, match="no pictures to train on"):
        run_loop(CONFIG, Nothing(), RunFolder(tmp_path, {}))
