"""Cells by the energy of the weights on the way: networks that learned to look beside the middles of their windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm.cam.attribute import attribute
from isotherm.cam.methods import gradcam
from isotherm.cam.receptive import Follower, following
from isotherm.errors import OptionError
from rigs.tiny_views import TinyClassifier, TinyNet

SIDE = torch.tensor([2.0, 1.0, 0.1])
"""Columns and rows of kernels that look to the left and up."""


def looking_aside(depth: int, seed: int = 0) -> nn.Sequential:
    """Convolutions of stride 2, padded on the right and below, whose weights have random signs and look up and left."""
    generator, layers = torch.Generator().manual_seed(seed), []
    for i in range(depth):
        convolution = nn.Conv2d(3 if i == 0 else 24, 24, 3, 2, bias=False)
        signs = torch.randint(0, 2, convolution.weight.shape, generator=generator) * 2.0 - 1
        convolution.weight.data = signs * SIDE * SIDE[:, None]
        layers += [nn.ZeroPad2d((0, 1, 0, 1)), convolution]
    return nn.Sequential(*layers).eval()


def followed(run, x):
    with torch.no_grad(), Follower(x, weighed=True) as follower:
        field = follower.of(run(x))
    assert field is not None
    return field


def test_the_gradients_centre_of_energy_is_where_the_weights_say():
    """Random signs in every channel, over 48 draws; the windows' middles lie clearly beside it."""
    model, x = looking_aside(3), torch.rand(48, 3, 96, 128, requires_grad=True)
    out = model(x)
    i, j = out.shape[2] // 2, out.shape[3] // 2
    signs = torch.randint(0, 2, out.shape[:2], generator=torch.Generator().manual_seed(1)) * 2.0 - 1
    (gradient,) = torch.autograd.grad((out[:, :, i, j] * signs).sum(), x)
    energy = gradient.square().sum((0, 1))
    y = float((energy.sum(1) * (torch.arange(96) + 0.5)).sum() / energy.sum())
    column = float((energy.sum(0) * (torch.arange(128) + 0.5)).sum() / energy.sum())
    field = followed(model, x[:1].detach())
    placed, middles = field.placed("kernels"), field.placed("windows")
    assert (placed.y.first + 8 * i, placed.x.first + 8 * j) == pytest.approx((y, column), abs=0.3)
    assert middles.first == (7.5, 7.5)
    assert middles.y.first + 8 * i - y > 4


@pytest.mark.parametrize(
    ("run", "off"),
    [
        (lambda x, w: F.conv2d(F.conv2d(x, w, stride=2), w, dilation=2), -1 - 4),
        (lambda x, w: F.conv_transpose2d(x, w), +1),
        (lambda x, w: F.conv_transpose2d(F.conv2d(x, w, stride=2), w, stride=2), -1 + 1),
        (lambda x, w: F.max_pool2d(F.interpolate(F.conv2d(x, w), scale_factor=2), 3)[:, :, :, 1:], -1),
        (lambda x, w: F.conv2d(x, w, padding=1) + x, -0.5),
    ],
    ids=["strided and dilated", "transposed", "there and back", "pooled, stretched and cut", "half of the branches"],
)
def test_offsets_add_up(run, off):
    """A kernel whose energy is in its left column alone."""
    left = torch.zeros(3, 3, 3, 3)
    left[..., 0] = 1
    field = followed(lambda x: run(x, left), torch.rand(1, 3, 40, 40))
    assert (field.x.off, field.y.off) == pytest.approx((off, 0))


def test_random_weights_are_taken_for_what_their_windows_are():
    for seed in range(20):
        torch.manual_seed(seed)
        model = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 8, 8, 3, 2, 1) for i in range(4)))
        assert followed(model, torch.rand(1, 3, 64, 64)).placed("kernels").first == (0.5, 0.5)


def aside() -> TinyNet:
    """A classifier whose first convolution looks through its right column alone, and is even otherwise."""
    model = TinyNet()
    for convolution in (model.first, model.second):
        convolution.weight.data = convolution.weight.data.sign()
    model.first.weight.data[..., :-1] = 0
    return model


def test_maps_lie_where_kernels_look_unless_told_and_it_is_said():
    view = TinyClassifier(aside())
    inputs = view.prepare([np.zeros((40, 60, 3), np.uint8)])

    def explained():
        done = attribute(view, inputs, methods=[gradcam])
        return done.maps[0].frame[0], [
            note for note in done.notes if "to where the trained weights before it look" in note
        ]

    frame, notes = explained()
    view.placing = "windows"
    middle, none = explained()
    assert none == []
    assert len(notes) == 1
    assert "px to the right and 0.0 px down" in notes[0]
    right, same = (frame.points_to_source(torch.zeros(1, 2)) - middle.points_to_source(torch.zeros(1, 2)))[0].tolist()
    assert right > 1
    assert same == pytest.approx(0, abs=1e-9)
    view.placing = "kernel"
    with pytest.raises(OptionError, match="placing"):
        explained()


def test_weights_that_change_move_cells():
    """In place, as in training; tensors that stand in for them, as in a check by random weights, do not."""
    model, x = TinyNet(), torch.rand(1, 3, 64, 64)

    def place():
        kept = []
        handle = model.first.register_forward_hook(lambda _m, _a, out: kept.append(out))
        with torch.no_grad(), following(model, x, ["first@0"]) as lookup:
            model(x)
        handle.remove()
        return lookup("first@0", kept[0]).placed("kernels").x

    before = place()
    own = model.first.weight
    model.first.weight = nn.Parameter(aside().first.weight.detach())
    assert place() == before
    model.first.weight = own
    with torch.no_grad():
        own.copy_(aside().first.weight)
    assert place().first > before.first
