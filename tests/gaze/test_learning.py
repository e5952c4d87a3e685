"""A toy that only gaze decides: two sprites, and the answer is the kind of the one that somebody looks at."""

from __future__ import annotations

import torch

from isotherm.gaze.fusion import fusion_from
from isotherm.gaze.inputs import GazeInputs, derangement
from isotherm.gaze.model import AnticipationConfig, AnticipationModel
from isotherm.gaze.objective import anticipation_loss
from isotherm.gaze.probe import ProbeConfig
from isotherm.gaze.trainable import expect_gradients
from isotherm.models.transformers.vjepa2.build import make_vjepa2

SETTINGS = dict(
    crop_size=16,
    patch_size=4,
    frames_per_clip=2,
    tubelet_size=2,
    hidden_size=32,
    num_attention_heads=2,
    num_hidden_layers=1,
    mlp_ratio=2.0,
    pred_hidden_size=16,
    pred_num_attention_heads=1,
    pred_num_hidden_layers=1,
)
STEPS = 60
KINDS = 4
"""Colours of a sprite; every clip has two of them, so that without gaze one half is the best that can be reached."""


def sprites(b: int, *, seed: int) -> tuple[torch.Tensor, GazeInputs, torch.Tensor]:
    """Clips (b, 2, 3, 16, 16), gaze at the first of the two sprites, and its kind."""
    rng = torch.Generator().manual_seed(seed)
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    kinds = torch.rand(b, KINDS, generator=rng).argsort(1)[:, :2]
    cells = torch.rand(b, 16, generator=rng).argsort(1)[:, :2]
    video = 0.1 * torch.randn(b, 2, 3, 4, 4, 4, 4, generator=rng)
    for i in range(2):
        row, column = cells[:, i] // 4, cells[:, i] % 4
        # the cells of (row, pixel in it, column, pixel in it)
        video[torch.arange(b), :, :, row, :, column, :] += 2 * colours[kinds[:, i]][:, None, :, None, None]
    at = torch.stack([cells[:, 0] % 4, cells[:, 0] // 4], dim=-1) * 4 + 2.0
    still = torch.zeros(b, 2)
    gaze = GazeInputs(at[:, None].expand(b, 2, 2), still.long(), still + 1, still, (16, 16))
    return video.flatten(5, 6).flatten(3, 4), gaze, kinds[:, 0]


def accuracy(model: AnticipationModel, video: torch.Tensor, gaze: GazeInputs, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return float((model(video, gaze)["noun"].argmax(-1) == labels).float().mean())


def trained(fusion: str | None) -> AnticipationModel:
    """A model with gaze added to its patches, or with no way in for it, on the same clips in the same order."""
    config = AnticipationConfig(
        classes={"noun": KINDS},
        fusion=None if fusion is None else fusion_from({"name": fusion, "at": "embeddings"}),
        encoder="full",
        predictor="none",
        probe=ProbeConfig(blocks=0, heads=2, mlp_ratio=2.0),
    )
    model = AnticipationModel(make_vjepa2(SETTINGS, seed=0), config)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=4e-3)
    for step in range(STEPS):
        video, gaze, labels = sprites(64, seed=step)
        optimizer.zero_grad()
        told = None if fusion is None else gaze
        anticipation_loss(model(video, told), {"noun": labels}, loss="cross_entropy").backward()
        if step == 0:
            expect_gradients(model)
        optimizer.step()
    return model


def test_gaze_added_to_patches_is_learned_within_seconds_and_is_what_decides():
    model = trained("patch_add")
    video, gaze, labels = sprites(400, seed=1000)
    assert accuracy(model, video, gaze, labels) > 0.95
    other = gaze.shuffled(derangement(400, torch.Generator().manual_seed(0)))
    assert accuracy(model, video, other, labels) < 0.6
    assert accuracy(model, video, GazeInputs.missing(400, 2, (16, 16)), labels) < 0.6


def test_without_gaze_the_pictures_bound_holds():
    """It learns which two sprites there are, and no more: the same training, so what gaze adds is no matter of time."""
    model = trained(None)
    video, _, labels = sprites(400, seed=1000)
    with torch.no_grad():
        right = float((model(video, None)["noun"].argmax(-1) == labels).float().mean())
    assert 1 / KINDS + 0.1 < right < 0.5 + 3 * (0.5 * 0.5 / 400) ** 0.5
