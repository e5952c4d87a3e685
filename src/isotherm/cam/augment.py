"""Augmentation smoothing: the mean map over mirrored and brightened copies, all in one batch.

The mirrored copies come back through their Frame, so the maps are averaged on the same cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.attribute import Attribution, Layers, attribute, attribute_again
from isotherm.cam.fuse import Fuse
from isotherm.cam.scores.targets import Score
from isotherm.cam.trace import LayerMap, Method
from isotherm.cam.view import Inputs, View
from isotherm.frame import Frame
from isotherm.ops.resample import to_frame

GAINS = (0.9, 1.0, 1.1)


def attribute_augmented(
    view: View,
    inputs: Inputs,
    *,
    methods: Sequence[Method],
    score: Score | None = None,
    layers: Layers = "auto",
    how: Fuse = "mean",
    gains: Sequence[float] = GAINS,
) -> Attribution:
    """As :func:`isotherm.cam.attribute.attribute`, averaged over copies of each picture.

    Classifiers see each picture at every gain and mirrored, 2 x len(gains) copies; detectors at every gain only,
    because a mirrored picture has its finding at another anchor. The preprocessed input is multiplied by the gain.
    """
    plain = attribute(view, inputs, methods=methods, score=score, layers=layers, how=how)
    targets = plain.targets
    if not len(targets):
        return plain
    mirror = targets.pins is None
    copies = [(gain, flip) for gain in gains for flip in ((False, True) if mirror else (False,))]
    t = len(targets)
    index = torch.arange(t).repeat(len(copies))
    one = inputs.take(targets.picture)
    batch = replace(
        inputs.take(targets.picture[index]),
        tensor=torch.cat([(one.tensor.flip(-1) if flip else one.tensor) * gain for gain, flip in copies]),
        frame=Frame.cat([one.frame.flipped() if flip else one.frame for _, flip in copies]),
    )
    maps, notes = attribute_again(view, batch, targets.take(index), methods=methods, layers=layers, how=how)
    merged = tuple(_merge(m, p, len(copies)) for m, p in zip(maps, plain.maps, strict=True))
    said = f"smoothed over {len(copies)} copies of the picture" + ("" if mirror else " (brightness only: a detection has no mirrored anchor)")
    return replace(plain, maps=merged, notes=(*plain.notes, *notes, said))


def _merge(many: LayerMap, plain: LayerMap, copies: int) -> LayerMap:
    """Mean over the copies on the cells of the plain map."""
    t = len(plain.values)
    total: Float[Tensor, "t h w"] = torch.zeros_like(plain.values)
    for k in range(copies):
        part = slice(k * t, (k + 1) * t)
        total = total + to_frame(many.values[part], many.frame[part], plain.frame, outside="edge")
    return LayerMap(plain.name, total / copies, plain.frame)


