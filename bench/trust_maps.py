"""Maps of generated scenes that rest on the evidence, and maps that do not, for ``bench/trust.py``.

Whether a map rests on the evidence is known of the picture: the area under its ROC curve over the pixels of what decides the
class, an object or a watermark, is at least .8; of one that does not at most .6. Maps between these are left out. No map
of random weights, or of weights that learned shuffled labels, rests on any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.trust_models import MARKED, misled, watermarked
from bench.vlm import auc

RIGHT, WRONG = 0.8, 0.6
METHODS = ("hirescam", "layercam", "gradcampp", "eigengradcam", "eigencam")
OFTEN = ("hirescam", "layercam")
"""Methods whose maps of models that learned nothing are judged."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A map that is judged.

    Args:
        kind: where it comes from.
        rests: on the evidence.
        gain: the evidence gain.
        verdict: of the fast check.
    """

    kind: str
    rests: bool
    gain: float
    verdict: str


def _targets(view: Any, inputs: Any, classes: tuple[int, ...], names: tuple[str, ...]) -> Any:
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute
    from isotherm.cam.scores import Classes

    return attribute(view, inputs, methods=[getattr(methods, name) for name in names], score=Classes(classes))


def of_few(target: Any, classes: int) -> Any:
    """A target as a model has it that knows fewer classes: itself, and those that come behind it, but for some that the
    model would say instead of it where others are left.
    """
    width, rivals, own = target.among.shape[1], target.rivals, int(target.which[0])
    others = [(own + i) % width for i in range(1, width)]
    others.sort(
        key=lambda other: bool(target.among[0, other] > target.among[0, own])
    )  # which keeps the order of equals
    columns = [own, *others[: classes - 1]]
    return replace(
        target,
        rivals=lambda prediction, index: rivals(prediction, index)[:, columns],
        which=torch.zeros_like(target.which),
        among=target.among[:, columns],
    )


def judged(view: Any, inputs: Any, target: Any, shown: Any, classes: int | None = None) -> tuple[float, str]:
    """The gain of a map and what it comes to.

    Args:
        classes: how many the model knows; None: all that it does.
    """
    from isotherm.cam.gain import picture_gain
    from isotherm.metrics.trust import Trust

    target = target if classes is None else of_few(target, classes)
    gain = picture_gain(view, inputs, target, shown)
    assert gain is not None
    return gain.value, Trust(gain=gain, evidence=bool((shown.values > 0).any())).verdict


def altered(values: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """A map moved, mirrored and shuffled."""
    h, w = values.shape
    return {
        "shifted by a half": values.roll((h // 2, w // 2), (0, 1)),
        "mirrored": values.flip(1),
        "shuffled cells": values.flatten()[torch.from_numpy(rng.permutation(h * w))].view(h, w),
    }


def edges(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """How much a picture changes from pixel to pixel, in cells."""
    grey = picture.mean(0)
    steep = torch.zeros_like(grey)
    steep[1:-1, 1:-1] = (grey[2:, 1:-1] - grey[:-2, 1:-1]).hypot(grey[1:-1, 2:] - grey[1:-1, :-2])
    return F.adaptive_avg_pool2d(steep[None, None], size)[0, 0]


def scenes(seed: int, count: int, classes: int | None = None) -> Iterator[Trial]:
    """Of the classifier of a training seed, of the same with random weights, and of those that were misled.

    Args:
        classes: as if they knew so many.
    """
    from isotherm.data.scenes import held_out_scenes
    from isotherm.zoo.scenes.view import SceneView, load_scenes

    view = load_scenes(seed)
    nonsense, marking = SceneView(misled("shuffled", seed)), SceneView(misled("watermark", seed))
    for number, scene in enumerate(islice(held_out_scenes(count), count)):
        yield from _of_scene(view, nonsense, scene, seed, number, classes)
        yield from _of_watermark(view, marking, scene, number, classes)


def _of_scene(view: Any, nonsense: Any, scene: Any, seed: int, number: int, classes: int | None) -> Iterator[Trial]:
    from isotherm.cam.trace import LayerMap
    from isotherm.metrics.randomisation import randomised
    from isotherm.metrics.references import centre_map

    inputs, rng = view.prepare([scene.picture]), np.random.default_rng(number)
    with torch.no_grad():
        logits = view.run(inputs).logits[0]
    present = [int(k) for k in scene.labels]
    for k in [k for k in present if logits[k] > 0][:2]:
        evidence = torch.from_numpy(scene.masks[present.index(k)])
        done = _targets(view, inputs, (k,), METHODS)
        frame = done.maps[0].frame
        made = {f"{name}, as it is": m.values[0].float() for name, m in zip(METHODS, done.maps, strict=True)}
        own = done.maps[0].values[0].float()
        absent = [c for c in range(len(view.names)) if c not in present]
        others = {"absent class": absent[number % len(absent)]}
        others |= {"other class": next(c for c in present if c != k)} if len(present) > 1 else {}
        size = (int(own.shape[0]), int(own.shape[1]))
        made |= altered(own, rng) | {"centre": centre_map(size) + 1.5, "edges": edges(inputs.tensor[0], size)}
        made |= {
            f"map of an {name}": _targets(view, inputs, (c,), ("hirescam",)).maps[0].values[0].float()
            for name, c in others.items()
        }
        for kind, values in made.items():
            yield from _tried(kind, view, inputs, done.targets, LayerMap("map", values[None], frame), evidence, classes)
        for part, words in ((1.0, "all weights random"), (0.25, "last stages random")):
            yield from _ignorant(
                words,
                view,
                inputs,
                k,
                randomised(view.model, part, seed=seed * 1000 + number, calibrate=lambda: view.run(inputs)),
                classes,
            )
        yield from _ignorant("shuffled labels", nonsense, inputs, k, nullcontext(), classes)


def _of_watermark(view: Any, marking: Any, scene: Any, number: int, classes: int | None) -> Iterator[Trial]:
    """A class that a watermark decides: the map of the model that learned so, and one of an object."""
    from isotherm.cam.trace import LayerMap

    pictures, where = watermarked(torch.from_numpy(scene.picture).permute(2, 0, 1)[None], seed=number)
    inputs = marking.prepare([pictures[0].permute(1, 2, 0).numpy()])
    done = _targets(marking, inputs, (MARKED,), OFTEN)
    for name, m in zip(OFTEN, done.maps, strict=True):
        shown = LayerMap("map", m.values[:1].float(), m.frame)
        yield from _tried(f"{name} of a watermark", marking, inputs, done.targets, shown, where[0], classes)
    other = _targets(view, inputs, (int(scene.labels[0]),), ("hirescam",)).maps[0]
    shown = LayerMap("map", other.values.float(), other.frame)
    yield from _tried("object beside a watermark", marking, inputs, done.targets, shown, where[0], classes)


def _ignorant(
    kind: str, view: Any, inputs: Any, k: int, around: AbstractContextManager[Any], classes: int | None
) -> Iterator[Trial]:
    with around:
        for name in OFTEN:
            done = _targets(view, inputs, (k,), (name,))
            gain, verdict = judged(view, inputs, done.targets, done.maps[0], classes)
            yield Trial(f"{name}, {kind}", False, gain, verdict)


def _tried(
    kind: str, view: Any, inputs: Any, target: Any, shown: Any, evidence: Tensor, classes: int | None
) -> Iterator[Trial]:
    from isotherm.ops.resample import to_source

    lies = auc(to_source(shown.values, shown.frame)[0].flatten(), evidence.flatten())
    if lies >= RIGHT or lies <= WRONG:
        yield Trial(kind, lies >= RIGHT, *judged(view, inputs, target, shown, classes))
