"""One channel that has collapsed is named while the others learn, and does not end the run."""

from __future__ import annotations

import torch

from isotherm.train.collapse import CollapseWatch


def maps(dead):
    made = torch.zeros(2, 2, 8, 8)
    made[:, 0, 2, 2] = 9.0
    made[:, 1, 5, 5] = 0.0 if dead else 9.0
    return made


def test_a_collapsed_channel_is_warned_of_once_and_by_name():
    watch, said = CollapseWatch("logits", (8, 8), patience=3, after=1, names=("width", "length")), []
    for step in range(9):
        watch.look(maps(dead=True), step=step)
        said += [(step, line) for line in watch.warnings()]
    assert [step for step, _ in said] == [3]  # after three looks, of which the first step's is none
    assert said[0][1].startswith("the maps of length have been uniform for 3 steps")
    assert not watch.alarmed  # half of the maps are well
    again = CollapseWatch("logits", (8, 8), patience=3, after=1, names=("width", "length"))
    again.load_state_dict(watch.state_dict())
    assert again.warnings() == []


def test_a_channel_that_comes_back_is_not_warned_of():
    watch = CollapseWatch("logits", (8, 8), patience=3, after=0, names=("width", "length"))
    for step in range(12):
        watch.look(maps(dead=step % 3 != 2), step=step)
        assert watch.warnings() == []


def test_a_watch_without_names_warns_of_no_channel():
    watch = CollapseWatch("logits", (8, 8), patience=2, after=0)
    for step in range(4):
        watch.look(maps(dead=True), step=step)
    assert watch.warnings() == []
    watch.load_state_dict({"uniform": [0.5]})  # of a checkpoint that knew of no channels
    assert list(watch.uniform) == [0.5]
