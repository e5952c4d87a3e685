"""Augmentation smoothing: the mean map over mirrored and brightened copies, all in one batch.

Mirrored copies come back through their Frame, so the maps are averaged on the same cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.attribute import Attribution, Layers, attribute, attribute_again
from isotherm.cam.nonfinite import check_maps
from isotherm.cam.origin import is_finite
from isotherm.cam.trace import Fuse, LayerMap, Targets
from isotherm.cam.view import Inputs, View
from isotherm.frame import Frame
from isotherm.ops.resample import to_frame
from isotherm.relevance.method import Method
from isotherm.relevance.score import Score

GAINS = (0.9, 1.0, 1.1)


def attribute_augmented(
    view: View,
    inputs: Inputs,
    *,
    methods: Sequence[Method],
    score: Score | None = None,
    layers: Layers = "auto",
    how: Fuse = "mean",
    most: int | None = None,
    gains: Sequence[float] = GAINS,
) -> Attribution:
    """As :func:`isotherm.cam.attribute.attribute`, averaged over copies of each picture.

    Classifiers see each picture at every gain and mirrored, 2 x len(gains) copies; detectors at every gain only,
    because a mirrored picture has its finding at another anchor. The preprocessed input is multiplied by the gain.
    """
    plain = attribute(view, inputs, methods=methods, score=score, layers=layers, how=how, most=most)
    if not len(plain.targets):
        return plain
    rows = inputs.take(plain.targets.picture)
    maps, notes = augment_again(view, rows, plain.targets, methods=methods, layers=layers, how=how, gains=gains)
    for gain in () if all(is_finite(m.values.float()) for m in maps) else gains:
        # a brighter copy can overflow where the picture itself does not: say so of that copy
        again = inputs.with_tensor(inputs.tensor * gain)
        attribute(view, again, methods=methods, score=score, layers=layers, how=how, most=most)
    check_maps(plain.rerun, maps, methods, lambda rerun, method: None)
    return replace(plain, maps=maps, notes=tuple(dict.fromkeys((*plain.notes, *notes))))


def augment_again(
    view: View,
    inputs: Inputs,
    targets: Targets,
    *,
    methods: Sequence[Method],
    layers: Layers = "auto",
    how: Fuse = "mean",
    gains: Sequence[float] = GAINS,
) -> tuple[tuple[LayerMap, ...], tuple[str, ...]]:
    """As :func:`isotherm.cam.attribute.attribute_again`, averaged over copies: ``inputs`` has one row per target."""
    mirror = targets.pins is None
    copies = [(gain, flip) for flip in ((False, True) if mirror else (False,)) for gain in gains]
    index = torch.arange(len(targets)).repeat(len(copies))
    batch = replace(
        inputs.take(index),
        tensor=torch.cat([(inputs.tensor.flip(-1) if flip else inputs.tensor) * gain for gain, flip in copies]),
        frame=Frame.cat([inputs.frame.flipped() if flip else inputs.frame for _, flip in copies]),
    )
    maps, notes = attribute_again(view, batch, targets.take(index), methods=methods, layers=layers, how=how)
    note = f"smoothed over {len(copies)} copies of the picture" + (
        "" if mirror else " (brightness only: a detection has no mirrored anchor)"
    )
    return tuple(_mean(m, len(copies)) for m in maps), (*notes, note)


def _mean(many: LayerMap, copies: int) -> LayerMap:
    """Mean over the copies on the cells of the first, which is not mirrored."""
    t = len(many.values) // copies
    frame = many.frame[:t]
    total: Float[Tensor, "t *m h w"] = torch.zeros_like(many.values[:t])
    for k in range(copies):
        part = slice(k * t, (k + 1) * t)
        total = total + to_frame(many.values[part], many.frame[part], frame, outside="edge")
    return LayerMap(many.name, total / copies, frame, None if many.sizes is None else many.sizes[:t], many.time)
