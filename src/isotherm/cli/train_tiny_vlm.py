"""``isotherm train tiny-vlm``: the model that ships, from its seed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from isotherm.atomic import atomic_write
from isotherm.cli.progress import progress_lines
from isotherm.cli.vlm_options import TrainTinyVlm
from isotherm.data.shape_questions import HELD_OUT, VALIDATION
from isotherm.errors import OptionError
from isotherm.train.run_folder import RunFolder
from isotherm.zoo.tiny_vlm.network import save_tiny_vlm
from isotherm.zoo.tiny_vlm.training import TinyVlmTraining, accuracy, recipe_of, train_tiny_vlm

VALIDATED, JUDGED = 300, 1500
"""Questions of each kind, at checkpoints and in the end."""


def run(options: TrainTinyVlm, arguments: Sequence[str]) -> int:
    if options.threads is not None:
        if options.threads < 1:
            raise OptionError(f"--threads {options.threads}: expected at least 1")
        torch.set_num_threads(options.threads)
    config = TinyVlmTraining(seed=options.seed, steps=options.steps)
    dpath = options.out or Path("runs") / f"tiny-vlm-{options.seed}"
    folder = RunFolder(dpath, recipe_of(config))
    console = Console(stderr=True, quiet=options.quiet, highlight=False)
    with progress_lines(console) as say:
        model = train_tiny_vlm(config, folder, validation=VALIDATION[:VALIDATED], say=say)
    shares = accuracy(model, HELD_OUT[:JUDGED])
    facts = {
        "command": shlex.join(["isotherm", *arguments]),
        "training": recipe_of(config)["training"],
        "held_out": shares,
        "held_out_questions": JUDGED,
    }
    fpath = save_tiny_vlm(model, dpath / "tiny-vlm.safetensors", **facts)
    with atomic_write(fpath.with_suffix(".json")) as file:
        file.write((json.dumps(facts, indent=1) + "\n").encode())
    print("held out: " + ", ".join(f"{kind} {share:.1%}" for kind, share in shares.items()) + f"\nmodel: {fpath}")
    return 0
