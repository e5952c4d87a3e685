"""Augmented batches: where a spot lands is where its frame says; colours by hand and beside torchvision; the same from a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.data.keypoint_augment import Augmentation, draw, mirrored_points, recolour, warp
from isotherm.errors import OptionError
from isotherm.frame import Frame

CACHED, SIZE = (40, 40), (32, 32)
STRONG = Augmentation(flip=0.5, degrees=180, scale=(0.7, 1.5), shift=0.15)


def spots(at, sigma=2.5):
    """Bright Gaussians in cached pictures, (b, 3, 40, 40) uint8."""
    cells = torch.arange(40) + 0.5
    g = torch.exp(
        -((cells - at[:, 0, None]) ** 2)[:, None, :] / (2 * sigma**2)
        - ((cells - at[:, 1, None]) ** 2)[:, :, None] / (2 * sigma**2)
    )
    return (255 * g).to(torch.uint8)[:, None].expand(-1, 3, -1, -1)


def centres(pictures):
    weight = pictures[:, 0].double()
    cells = torch.arange(32) + 0.5
    total = weight.sum((1, 2))
    return torch.stack([(weight.sum(1) * cells).sum(1), (weight.sum(2) * cells).sum(1)], -1) / total[:, None]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_a_spot_lands_where_the_frame_says(seed):
    at = 20 + 3 * torch.randn(6, 2, generator=torch.Generator().manual_seed(seed))
    source = Frame.stack([Frame.resize((80 + 10 * i, 160), CACHED) for i in range(6)])
    drawn = draw(STRONG, torch.arange(6), seed=seed, epoch=3, cached=CACHED, size=SIZE)
    pictures, frame = warp(spots(at), source, drawn, SIZE)
    points = source.points_to_source(at[:, None].double())
    expected = frame.points_from_source(points)[:, 0]
    whole = ((expected > 9) & (expected < 23)).all(-1)  # its Gaussian is not cut off
    np.testing.assert_allclose(centres(pictures)[whole], expected[whole], atol=0.06)


def test_without_augmentation_it_is_a_plain_resize():
    at = torch.tensor([[11.0, 25.5]])
    drawn = draw(Augmentation(), torch.tensor([5]), seed=0, epoch=0, cached=CACHED, size=SIZE)
    pictures, frame = warp(spots(at), Frame.stack([Frame.identity(CACHED)]), drawn, SIZE)
    assert frame.allclose(Frame.stack([Frame.resize(CACHED, SIZE)]))
    expected = torch.nn.functional.interpolate(spots(at).float() / 255, SIZE, mode="bilinear", align_corners=False)
    torch.testing.assert_close(pictures, expected, atol=1e-5, rtol=0)
    assert torch.equal(recolour(pictures, drawn, Augmentation()), pictures)


def test_what_is_drawn_depends_on_seed_epoch_and_picture_alone():
    everything = {"cached": CACHED, "size": SIZE}
    whole = draw(STRONG, torch.arange(8), seed=1, epoch=2, **everything)
    part = draw(STRONG, torch.tensor([6, 3]), seed=1, epoch=2, **everything)
    assert torch.equal(part.to_cells, whole.to_cells[[6, 3]])
    assert torch.equal(part.noise_seed, whole.noise_seed[[6, 3]])
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert not torch.equal(draw(STRONG, torch.arange(8), **other, **everything).to_cells, whole.to_cells)
    assert len(draw(STRONG, torch.arange(0), seed=1, epoch=2, **everything).flipped) == 0


def test_ranges_are_kept_and_filled():
    drawn = draw(STRONG, torch.arange(2000), seed=0, epoch=0, cached=CACHED, size=SIZE)
    linear = drawn.to_cells[:, :, :2]
    factor = (40 / 32) / torch.linalg.det(linear).abs().sqrt()
    assert 0.7 <= factor.min() < 0.72
    assert 1.47 < factor.max() <= 1.5
    assert 0.45 < drawn.flipped.double().mean() < 0.55
    assert torch.equal(torch.linalg.det(linear) < 0, drawn.flipped)
    centre = drawn.to_cells @ torch.tensor([16.0, 16.0, 1.0]).double()
    assert 5.9 < (centre - 20).abs().max() <= 6


def test_colours_beside_torchvision():
    """torchvision 0.29: brightness, contrast and saturation, 1e-6."""
    from torchvision.transforms.v2 import functional as theirs

    picture = torch.rand(4, 3, 8, 9)
    changes = Augmentation(brightness=0.4, contrast=0.5, saturation=0.6)
    drawn = draw(changes, torch.arange(4), seed=0, epoch=0, cached=CACHED, size=SIZE)
    got = recolour(picture, drawn, changes)
    for i in range(4):
        b, c, s = drawn.colour[i].tolist()
        expected = theirs.adjust_saturation(theirs.adjust_contrast(theirs.adjust_brightness(picture[i], b), c), s)
        torch.testing.assert_close(
            got[i], expected, atol=2e-4, rtol=0
        )  # torchvision rounds the luma's factors to four digits


def test_hue_grey_and_noise():
    red = torch.zeros(2, 3, 4, 4)
    red[:, 0] = 1
    turn = Augmentation(hue=0.5)
    drawn = draw(turn, torch.arange(2), seed=0, epoch=0, cached=CACHED, size=SIZE)
    third = type(drawn)(**(vars(drawn) | {"hue": torch.tensor([1 / 3, -1 / 3])}))
    got = recolour(red, third, turn)
    assert got[0, :, 0, 0].tolist() == pytest.approx([0, 1, 0], abs=1e-6)  # a third of a turn: green, or blue
    assert got[1, :, 0, 0].tolist() == pytest.approx([0, 0, 1], abs=1e-6)
    grey = Augmentation(grey=1.0)
    got = recolour(red, draw(grey, torch.arange(2), seed=0, epoch=0, cached=CACHED, size=SIZE), grey)
    assert got.flatten(2)[:, :, 0].tolist() == [pytest.approx([0.299] * 3)] * 2
    noisy = Augmentation(noise=0.1)
    drawn = draw(noisy, torch.arange(2), seed=0, epoch=0, cached=CACHED, size=SIZE)
    got = recolour(torch.full((2, 3, 64, 64), 0.5), drawn, noisy)
    assert got.std().item() == pytest.approx(0.1, rel=0.05)
    assert not torch.equal(got[0], got[1])


def test_left_and_right_change_names_in_a_mirror():
    points = torch.arange(12.0).view(2, 3, 2)
    state = torch.tensor([[1, 0, 2], [1, 0, 2]])
    moved, states = mirrored_points(points, state, torch.tensor([True, False]), ((0, 2),))
    assert torch.equal(moved[0], points[0, [2, 1, 0]])
    assert states.tolist() == [[2, 0, 1], [1, 0, 2]]
    assert torch.equal(moved[1], points[1])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"flip": 1.5}, "flip is 1.5; expected a probability"),
        ({"degrees": -1.0}, "degrees is -1"),
        ({"scale": (0.0, 1.0)}, "scale is"),
        ({"scale": (2.0, 1.0)}, "in order"),
        ({"hue": 0.6}, "from 0 to 0.5"),
        ({"noise": float("nan")}, "noise is nan"),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(OptionError, match=says):
        Augmentation(**options)
