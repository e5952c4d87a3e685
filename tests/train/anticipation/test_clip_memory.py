"""Decoded clips are kept as far as there is room, with everything that a batch is made of."""

from __future__ import annotations

import torch

from isotherm.data.anticipation.transforms import TransformedClip
from isotherm.frame import Frame
from isotherm.train.anticipation.clip_memory import ClipMemory, ReadClip

BYTES = 2 * 3 * 4 * 4


def read(value):
    video = torch.full((2, 3, 4, 4), value / 255)
    clip = TransformedClip(video, Frame.identity((4, 4)), torch.tensor([-0.5, -0.25], dtype=torch.float64), None)
    return ReadClip((video * 255).round().to(torch.uint8), clip)


def test_clips_are_kept_until_there_is_no_room():
    memory = ClipMemory[ReadClip](2 * BYTES + 1)
    for i in range(4):
        memory.keep(i, read(i).bare(), read(i).n_bytes)
    assert len(memory) == 2
    assert memory.get(2) is None
    kept = memory.get(1)
    assert torch.equal(kept.pictures, read(1).pictures)
    assert kept.clip.before_s.tolist() == [-0.5, -0.25]
    assert kept.clip.video.numel() == 0  # the pictures in float32 would take four times as much
    memory.keep(1, read(9), 1)
    assert torch.equal(memory.get(1).pictures, read(1).pictures)
