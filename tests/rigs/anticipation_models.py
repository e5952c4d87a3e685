"""Anticipation models so small that they run in milliseconds, and gaze for them."""

from __future__ import annotations

import copy
from functools import cache

import torch

from isotherm.gaze.fusion import FusionConfig
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.model import AnticipationConfig, AnticipationModel
from isotherm.gaze.probe import ProbeConfig
from isotherm.models.transformers.vjepa2.build import make_vjepa2

FRAMES, SIDE = 8, 32
TINY = dict(
    crop_size=SIDE,
    patch_size=8,
    frames_per_clip=FRAMES,
    tubelet_size=2,
    hidden_size=48,
    num_attention_heads=3,
    num_hidden_layers=2,
    pred_hidden_size=24,
    pred_num_attention_heads=2,
    pred_num_hidden_layers=2,
    pred_zero_init_mask_tokens=False,
    # the published 0.02 would make attention so flat that no test could see what it reads
    initializer_range=0.2,
)
CLASSES = {"verb": 3, "noun": 4, "action": 12}


@cache
def _pretrained() -> torch.nn.Module:
    """Never handed out itself: a copy is made in an eighth of the time that drawing its weights takes."""
    return make_vjepa2(TINY, seed=0)


def tiny_model(fusion: FusionConfig | None = None, **options) -> AnticipationModel:
    """The same pretrained weights whatever the rest."""
    return AnticipationModel(copy.deepcopy(_pretrained()), tiny_config(fusion, **options))


def tiny_config(fusion: FusionConfig | None = None, **options) -> AnticipationConfig:
    defaults = dict(classes=CLASSES, probe=ProbeConfig(heads=4, blocks=1))
    return AnticipationConfig(fusion=fusion, **(defaults | options))


def clips_of(b: int = 2, *, frames: int = FRAMES, seed: int = 0) -> torch.Tensor:
    return torch.randn(b, frames, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def random_gaze(b: int = 2, *, frames: int = FRAMES, seed: int = 0, tracked: bool = False) -> GazeInputs:
    """Anywhere, with every state among the frames unless tracked."""
    rng = torch.Generator().manual_seed(seed)
    state = torch.zeros(b, frames, dtype=torch.long)
    if not tracked:
        state[:, 1], state[:, 4] = 1, 2
    time_s = (torch.arange(1 - frames, 1) / 8).expand(b, frames)
    return GazeInputs(
        torch.rand(b, frames, 2, generator=rng) * SIDE,
        state,
        torch.rand(b, frames, generator=rng),
        time_s,
        (SIDE, SIDE),
    )


def loss_of(logits: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([values.square().mean() for values in logits.values()]).sum()
