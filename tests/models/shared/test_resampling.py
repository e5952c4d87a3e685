"""A known filter's unevenness is taken out of a measured map, and what no filter explains stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from isotherm.models.shared.fringes import measure
from isotherm.models.shared.resampling import resampled, straightened
from rigs.transform_chains import affine, floats, worst

SOURCE = (170, 226)


def measured(step, source=SOURCE):
    return measure(lambda p: step(floats(Image.fromarray(p))).numpy(), source).frame


@pytest.mark.parametrize(
    ("step", "whole"),
    [
        (v2.Resize((75, 100), antialias=True), affine(2.26, 0, 0, 0, 170 / 75, 0)),
        (v2.Resize((200, 61), antialias=True), affine(226 / 61, 0, 0, 0, 0.85, 0)),
        (v2.Resize((75, 100), interpolation=InterpolationMode.BICUBIC), affine(2.26, 0, 0, 0, 170 / 75, 0)),
        (v2.Resize((75, 100), antialias=False), affine(2.26, 0, 0, 0, 170 / 75, 0)),
        (
            lambda x: F.horizontal_flip(F.resize(F.crop(x, 9, 21, 140, 180), [100, 99])),
            affine(-180 / 99, 0, 201, 0, 1.4, 9),
        ),
        (v2.Pad([3, 5, 7, 11]), affine(1, 0, -3, 0, 1, -5)),
        (
            lambda x: F.center_crop(F.resize(x, 96), [64, 64]),
            affine(226 / 127, 0, 32 * 226 / 127, 0, 170 / 96, 16 * 170 / 96),
        ),
    ],
    ids=[
        "shrunk",
        "shrunk and enlarged",
        "cubic",
        "not antialiased",
        "cut out and mirrored",
        "padded",
        "as classifiers are fed",
    ],
)
def test_one_resampling_is_exact(step, whole):
    assert worst(measured(step), whole) < 2e-5


def test_a_turn_is_exact():
    degrees = 17.0
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    there = affine(1, 0, 113, 0, 1, 85) @ affine(cos, -sin, 0, sin, cos, 0) @ affine(1, 0, -113, 0, 1, -85)
    turned = measured(lambda x: F.rotate(x, degrees, interpolation=InterpolationMode.BILINEAR))
    assert worst(turned, there) < 2e-5


def test_a_crop_that_is_hardly_shrunk_covers_whole_pixels():
    """Interpolation of 120.98 pixels and antialiased shrinking of 121 make the same pixels."""
    hardly = measured(lambda x: F.resize(F.crop(x, 0, 0, 121, 92), [120, 109]))
    assert worst(hardly, affine(92 / 109, 0, 0, 0, 121 / 120, 0)) < 1e-4


def test_what_no_filter_explains_stays_where_it_was_measured():
    """Nearest neighbours look up to half a pixel beside; and shrinking twice is no filter that is known."""
    nearest = measured(v2.Resize((75, 100), interpolation=InterpolationMode.NEAREST_EXACT))
    assert worst(nearest, affine(2.26, 0, 0, 0, 170 / 75, 0)) < 0.1
    twice = measured(lambda x: F.resize(F.resize(x, [120, 150]), [60, 80]))
    assert worst(twice, affine(226 / 80, 0, 0, 0, 170 / 60, 0)) < 0.03


def test_a_filter_by_hand():
    """Two pixels in one: each new one is the mean of what lies under a triangle of two pixels to either side."""
    field = np.arange(6.0).reshape(1, 6).repeat(2, 0).astype(complex)
    rows = [np.array([0.0, 1.0, 0.0]), np.array([2.0, 0.0, 0.0])]
    made = resampled(field, rows, np.arange(3), np.arange(2), "linear, antialiased")
    # weights 1/4, 3/4, 3/4, 1/4 around the middle, those beyond the border left out
    assert made[0] == pytest.approx(
        [(0.75 * 0 + 0.75 * 1 + 0.25 * 2) / 1.75, 2.5, (0.25 * 3 + 0.75 * 4 + 0.75 * 5) / 1.75]
    )
    plain = resampled(field, rows, np.arange(3), np.arange(2), "linear")
    assert plain[0] == pytest.approx([0.5, 2.5, 4.5])


def test_a_map_that_turns_is_not_straightened():
    turned = [np.array([0.01, 1.0, 0.0]), np.array([1.0, -0.01, 0.0])]
    assert straightened(turned, (100, 100)) is turned
    (yx, _, y0), _ = straightened([np.array([1e-5, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])], (100, 100))
    assert (yx, y0) == (0, pytest.approx(5e-4))
