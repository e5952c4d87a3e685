"""Attacks by files of weights, folders and texts: each once in here, and those that switches concern where all of them are
set and all else was imported first.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bench.attacks.attack import DOORS, Attack, Hostile
from bench.attacks.orders import ORDERS, SWITCHES
from bench.attacks.page import tables
from bench.attacks.registry import ATTACKS
from bench.attacks.trial import FAULTS, tried

from isotherm.models.weights.files import open_weights
from rigs.breadth import wide

ROOT = Path(__file__).parents[1]
LONG = {  # a second each, as they read all of what they are before they give it up
    "a gigabyte of zeros in a megabyte",
    "100,000 brackets",
    "100,000 lists within each other",
    "100,000 empty tensors",
    "a YOLO whose description is a program",
    "TorchScript that writes a file",
}
LOOSENED = (
    "protocol 2",
    "a program beside weights",
    "an activation that is a program",
    "a YOLO that is a program",
    "a YOLO whose description is a program",
    "code by auto_map",
    "a kernel of the hub",
    "a checkpoint among timm's arguments",
    "weights that are a pickle",
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path / "home"))


def test_every_attack_is_another_and_none_is_lost():
    assert len({(a.kind, a.name) for a in ATTACKS}) == len(ATTACKS) > 150
    assert set(LOOSENED) <= {a.name for a in ATTACKS}


@pytest.mark.parametrize("kind", list(dict.fromkeys(a.kind for a in ATTACKS)))
def test_no_attack_has_an_effect(tmp_path, kind):
    outcomes = {
        (a.name, a.doors[0]): tried(a, a.doors[0], tmp_path / "trial")
        for a in ATTACKS
        if a.kind == kind and a.name not in LONG
    }
    assert {pair: o for pair, o in outcomes.items() if o.result in FAULTS} == {}
    assert all(o.message for o in outcomes.values() if o.result == "refused")


def test_a_program_that_is_let_through_is_seen(tmp_path):
    """The rig itself: the same file leaves its marker once the user allows it."""
    with pytest.MonkeyPatch.context() as patch:  # a door that unpickles what it is given
        patch.setitem(DOORS, "weights", lambda path: pickle.loads(path.read_bytes()))
        attack = next(a for a in ATTACKS if a.name == "protocol 2")
        assert tried(attack, "weights", tmp_path / "open").result == "RAN"
    marker, fpath = tmp_path / "marker", tmp_path / "weights.pt"
    torch.save({"state_dict": {"a": torch.ones(2)}, "b": Hostile(marker)}, fpath)
    open_weights(fpath, allow_code=fpath)
    assert marker.exists()

    def opened(folder: Path, marker: Path) -> Path:
        torch.save({"a": torch.ones(2)}, folder / "weights.pt")
        marker.mkdir()
        return folder / "weights.pt"

    plain = Attack("plain weights", "archive of torch", "runs code", opened, ("weights",))
    assert (
        tried(plain, "weights", tmp_path / "trial").result == "error"
    )  # harmless weights are opened, which is a fault here


@pytest.mark.parametrize(
    ("order", "switch"), [("all others first", "all that loosen"), *wide([("ultralytics first", "none set")])]
)
def test_nothing_runs_whatever_was_imported_and_set(tmp_path, order, switch):
    fpath = tmp_path / "results.json"
    command = [sys.executable, "-P", "-m", "bench.attacks.child", ",".join(ORDERS[order]), str(fpath), *LOOSENED]
    env = {
        **os.environ,
        **SWITCHES[switch],
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    outcomes = json.loads(fpath.read_text())
    assert {name for name, *_ in outcomes} == set(LOOSENED)
    assert [o for o in outcomes if o[3] in FAULTS] == []


def test_the_table_tells_what_each_meets():
    outcomes = [
        [a.name, a.kind, d, "opened" if a.harmless else "refused", "it is | refused", 0.1]
        for a in ATTACKS
        for d in a.doors
    ]
    text = tables([{"order": "first", "switch": "none set", "outcomes": outcomes}])
    assert f"{len(ATTACKS)} attacks" in text
    assert ", 0 had one" in text
    assert "it is \\| refused" in text
