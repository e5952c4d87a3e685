"""Equal runs give equal bytes: everything that is written is written twice, by processes that hash differently, in folders
of other names and at other times.
"""

from __future__ import annotations

import os
import subprocess
import sys

WRITES = r"""
import shutil, sys, tempfile
from importlib.resources import files
from pathlib import Path
import torch
from isotherm.cli import main

torch.manual_seed(0)
for name in ("scene-1.jpg", "scene-4.jpg"):
    shutil.copy(str(files("isotherm") / "assets" / name), name)
assert main(["explain", "scene-1.jpg", "scene-4.jpg", "--model", "scenes", "--out", "explain", "--compare", "gradcam,layercam",
    "--quiet"]) == 0
assert main(["train", "scenes", "--steps", "4", "--set", "training.close_ups=8", "--set", "training.close_up_steps=2",
    "--set", "training.scenes=8", "--set", "training.batch=2", "--set", "training.log_every=1", "--set", "training.schedule.warm_up=1",
    "--set", "validated=2", "--set", "held_out=2", "--out", "scenes.safetensors", "--quiet"]) == 0
assert main(["train", "detector", "--steps", "3", "--set", "training.scenes=8", "--set", "training.batch=2",
    "--set", "training.log_every=1", "--set", "training.schedule.warm_up=1", "--set", "validated=2", "--set", "held_out=2",
    "--out", "detector.safetensors", "--quiet"]) == 0

from isotherm import Heatmap, explain
maps = explain("scenes", "scene-1.jpg", trust="off")
maps[0].save("map.npz")
maps[0].save("map.safetensors")
Path("notebook.html").write_text(maps._repr_html_())
"""
TIMES = {"run.json", "items.jsonl"}
"""Records of when and with what something was done: nothing else holds a time."""


def test_everything_that_is_written_is_written_twice_alike(tmp_path):
    processes = []
    for number in (1, 2):
        folder = tmp_path / f"folder-{number}"
        folder.mkdir()
        env = {**os.environ, "PYTHONHASHSEED": str(number), "TZ": ["UTC", "Asia/Tokyo"][number - 1]}
        command = [sys.executable, "-P", "-c", WRITES]
        processes.append(
            subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    for process in processes:
        said, _ = process.communicate()
        assert process.returncode == 0, said
    first, second = ({f.relative_to(d): f for f in d.rglob("*") if f.is_file()} for d in sorted(tmp_path.iterdir()))
    assert first.keys() == second.keys()
    assert {f.suffix for f in first} >= {".npz", ".safetensors", ".jpg", ".html", ".csv", ".json"}
    unequal = [str(f) for f in first if f.name not in TIMES and first[f].read_bytes() != second[f].read_bytes()]
    assert unequal == []
    for fpath in first.values():
        if fpath.suffix in (".csv", ".json", ".jsonl", ".html"):
            assert b"\r" not in fpath.read_bytes(), fpath
