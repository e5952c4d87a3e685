"""What the fast verdict costs beside the map that it is of, for ``bench/trust.py``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np

from bench.measure import interleaved


def cases() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Models, and what explains something of each."""
    import torch
    from torchvision.models import resnet50
    from ultralytics import YOLO

    from isotherm import explain, open_model
    from isotherm.cam.scores import Detection
    from isotherm.data.photographs import PHOTOGRAPHS
    from isotherm.data.pictures import read_picture
    from isotherm.data.scenes import make_scene
    from isotherm.data.shape_questions import HELD_OUT, make_question

    coffee = read_picture(next(p for p in PHOTOGRAPHS if p.name == "coffee").fpath).array
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    scene, shapes = make_scene(3).picture, make_question(HELD_OUT[0], "count")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        resnet, yolo = resnet50().eval(), YOLO("yolo11s-seg.yaml")
    opened = {
        "EfficientNet-Lite0, a photograph": (open_model("imagenet"), coffee, {}),
        "classifier of scenes": (open_model("scenes"), scene, {}),
        "detector of scenes, one box": (open_model("detector"), scene, {"target": Detection(0)}),
        "tiny-vlm, how many": (open_model("tiny-vlm"), shapes.picture, {"prompt": shapes.question}),
        "ResNet-50, random weights, noise": (open_model(resnet), noise, {}),
        "YOLO11s-seg at 640, random weights, noise, one box": (
            open_model(yolo, size=640, confidence=0.0),
            noise,
            {"target": Detection(0)},
        ),
    }
    for name, (view, picture, asked) in opened.items():
        yield name, lambda trust, view=view, picture=picture, asked=asked: explain(view, picture, trust=trust, **asked)


def at_once(job: Callable[[], Any]) -> Any:
    """A check that takes no closer look, as that of a map that leaves no doubt, whichever this one is."""
    nothing = (math.inf, math.inf)  # is unsure, and nothing leaves doubt
    with (
        patch("isotherm.metrics.gain.CLEAR", nothing),
        patch("isotherm.cam.gain.UNSURE", nothing),
        patch("isotherm.vlm.gain.UNSURE", nothing),
    ):
        return job()


def costs(*, quick: bool = False) -> list[dict[str, Any]]:
    """Seconds of the map, of its verdict, and of one that takes two passes, medians of interleaved runs."""
    out = []
    for name, explained in cases():
        ready = explained("fast")
        line = ready.judged().trust_lines[0]
        jobs = {
            "map": lambda one=explained: one("off"),
            "verdict": lambda one=ready: one.judged(),
            "two passes": lambda one=ready: at_once(one.judged),
        }
        out.append({"model": name, "line": line, "seconds": interleaved(jobs, repeats=2 if quick else 9)})
    return out
