"""The evidence gain of maps of pictures and clips: how much better a class is known from what a map marks than from the
rest.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from isotherm.cam.fields import Axis
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.trace import LayerMap, Targets, at_moments
from isotherm.cam.view import Inputs, View
from isotherm.frame import Frame
from isotherm.metrics.fills import ground_fill
from isotherm.metrics.gain import Gain, evidence_gain, random_half
from isotherm.metrics.ranking import rank_cells
from isotherm.metrics.references import mix
from isotherm.metrics.trust import BELIEVABLE
from isotherm.ops.hashing import pixels_key
from isotherm.ops.resample import to_frame
from isotherm.relevance.judge import Pause, go_on

BATCH, CLIP_BATCH = 8, 4
"""Covered pictures, and clips, that go through the model together."""


def picture_gain(
    view: View,
    inputs: Inputs,
    target: Targets,
    shown: LayerMap,
    *,
    thorough: bool = False,
    seed: int = 0,
    pause: Pause = go_on,
) -> Gain | None:
    """The gain of one map; None where its target is no class among others.

    Args:
        inputs: of the model; pictures or clips.
        target: the one that the map is of.
        shown: the map, one row.
        thorough: look at all fractions.
        seed: of ties and random halves.
        pause: called before the model is run.
    """
    if target.rivals is None or target.which is None:
        return None
    row, rerun = inputs.take(target.picture), ViewRerun(view, inputs, target)
    (region,), clip = inside(row.frame), shown.time is not None
    frames = row.tensor[0] if clip else row.tensor
    fill = ground_fill(frames, region=region.to(frames.device).expand(len(frames), -1, -1))
    maps = to_frame(shown.values, shown.frame, row.frame, outside="edge").float()
    if shown.time is not None:
        maps = stacked(at_moments(maps, shown.time, Axis(0.5, 1.0), len(frames)))
    key = mix(seed, pixels_key(row.tensor))
    rank, units = rank_cells(maps[0].cpu(), region=region.repeat(len(frames), 1), seed=key)

    def logits(covers: Bool[Tensor, "n mh w"]) -> Float[Tensor, "n 1 k"]:
        pause()
        over = covers.unflatten(1, (len(frames), -1)) if clip else covers
        changed = torch.where(over.unsqueeze(-3).to(row.tensor.device), fill, row.tensor)
        return rerun.rival_logits(changed, torch.zeros(len(covers), dtype=torch.long))[:, None]

    def half(number: int) -> Bool[Tensor, "mh w"]:
        return random_half((int(region.shape[0]), int(region.shape[1])), seed=mix(key, number)).repeat(len(frames), 1)

    return evidence_gain(
        rank,
        units,
        logits,
        target.which.tolist(),
        half=half,
        whole=None if target.among is None else target.among.float(),
        below=BELIEVABLE,
        thorough=thorough,
        batch=CLIP_BATCH if clip else BATCH,
    )


def stacked(values: Shaped[Tensor, "*b m h w"]) -> Shaped[Tensor, "*b mh w"]:
    """A clip's moments below each other, as one tall picture."""
    return values.flatten(-3, -2)


def inside(frame: Frame) -> Bool[Tensor, "t h w"]:
    """Which input pixels show the picture at all; a letterbox's margins are nothing to take away."""
    parts = []
    for one in frame:
        h, w = (int(v) for v in one.source_size.tolist())
        source = Frame.identity((h, w))
        parts.append(to_frame(torch.ones(h, w), source, one, mode="nearest") > 0)
    return torch.stack(parts)
