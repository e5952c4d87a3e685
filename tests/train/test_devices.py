"""Two processes that share every batch end where one ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.errors import OptionError
from isotherm.train.devices import Devices
from isotherm.train.keypoint_run import recipe_from, train_run
from isotherm.train.keypoints import train_keypoints
from isotherm.train.run_folder import RunFolder, read_figures
from rigs.dots import CONFIG, dots, model
from rigs.no_compiler import NO_COMPILER

SCRIPT = """
import os
import sys
sys.path.insert(0, {tests!r})
sys.modules["torchmetrics"] = None  # Lightning asks for its version, which loads it and all that it measures with
import torch
torch.set_num_threads(1)
from isotherm.train.devices import Devices
from train.test_devices import train, train_groups
worker = Devices(accelerator="cpu", devices=2).worker()
train(worker, worker.agree(sys.argv[1] + str(worker.rank)))
train_groups(worker, sys.argv[1] + "groups")
worker.agree("done")
os.write(1, f"finished {{worker.rank}} {{worker.world}}\\n".encode())  # at once: both write to one pipe
"""


def train(worker, run):
    """Six steps, on the pictures that every process has for itself."""
    kind, config = dots(30), replace(CONFIG, steps=6, keep_every=3, log_every=3, accumulate=2)
    data = cache_keypoints(kind, f"{run}-cache{worker.rank}", side=40)
    folder = RunFolder(Path(run), {})
    train_keypoints(
        config, model(), data, kind, folder, worker=worker, validate=lambda averaged, step: {"error": float(step)}
    )


def train_groups(worker, run):
    """A recipe with pictures of two groups, which validates by figures of each."""
    generated = {"format": "generated", "side": 32, "groups": ["Hawaii", "BioRepo"]}
    plain = {
        "data": {
            "train": [{**generated, "count": 12}],
            "validation": [{**generated, "split": "validation", "count": 6}],
        },
        "model": {"widths": [8, 16], "depth": 1, "head_options": {"widths": [8], "groups": 4}},
        "training": {
            **{"size": [32, 32], "steps": 4, "batch": 4, "backbone_rate": 1.0, "keep_every": 2, "log_every": 2},
            **{"average": None, "schedule": {"shape": "constant", "warm_up": 0}, "rate": 1e-4},
            "objective": {"loss": "mse", "decoder": "soft_argmax"},
            "judged_by": "val/hawaii/length_line_err_cm",
        },
    }
    train_run(recipe_from(plain), Path(run), root=Path(), worker=worker)


def test_two_processes_train_what_one_trains(tmp_path, programs):
    script = tmp_path / "script.py"
    script.write_text(NO_COMPILER + SCRIPT.format(tests=str(Path(__file__).parents[1])))
    # the first of the two finds torch imported; the second is started by it, from the file
    program = f"import sys; sys.argv[0] = {str(script)!r}; exec(open(sys.argv[0]).read())"
    two_of_them = programs.start(program, [str(tmp_path / "run2-")], cwd=tmp_path)
    try:
        # meanwhile: the first of the two waits for the second to import torch
        alone = Devices(accelerator="cpu", devices=1).worker()
        train(alone, str(tmp_path / "run1-0"))
        train_groups(alone, str(tmp_path / "run1-groups"))
        ended = two_of_them.wait()
    except BaseException:
        two_of_them.kill()
        raise
    assert ended.returncode == 0, ended
    assert "finished 0 2" in ended.stdout
    one, two = (torch.load(tmp_path / f"run{count}-0" / "checkpoint.pt", weights_only=True) for count in (1, 2))
    assert one["step"] == two["step"] == 6
    # the order of sums differs, and AdamW turns the sign of a tiny gradient into a whole step
    for name, value in one["model"].items():
        if name == "head.final.bias":  # cross-entropy does not know it: its gradient is rounding alone
            continue
        torch.testing.assert_close(two["model"][name], value, atol=2e-4, rtol=2e-3)
    first = {name: value for name, value in one["average"]["values"].items() if "head" in name}
    assert first
    rows = [(tmp_path / f"run{count}-0" / "metrics.csv").read_text().splitlines() for count in (1, 2)]
    losses = [[float(row.split(",")[1]) for row in lines[1:] if row.split(",")[1]] for lines in rows]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert not (tmp_path / "run2-1").exists()  # only the first process writes
    # the figures of groups, of their lines and of each point's maps
    one, two = (read_figures(tmp_path / f"run{count}-groups" / "metrics.csv") for count in (1, 2))
    assert [list(row) for row in one] == [list(row) for row in two]
    assert [row["step"] for row in two if "val/hawaii/length_line_err_cm" in row] == [2, 4]
    for before, after in zip(one, two, strict=True):
        for name in (n for n in before if n.startswith(("val/", "validation ", "step", "labelled"))):
            assert after[name] == pytest.approx(before[name], rel=2e-3, abs=2e-3), name


def test_bad_devices():
    with pytest.raises(OptionError, match="devices is 0"):
        Devices(devices=0)
    with pytest.raises(OptionError, match="there is no device 'cuda:99'"):
        Devices(accelerator="cuda:99").worker()
    with pytest.raises(OptionError, match="there is no device 'toaster'"):
        Devices(accelerator="toaster").worker()
    assert Devices(accelerator="cpu").worker().device == torch.device("cpu")
