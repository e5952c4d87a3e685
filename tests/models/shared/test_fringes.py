"""Measured frames against affine maps composed by hand from the parameters that were drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from isotherm.errors import InputError
from isotherm.models.shared.fringes import measure, wave
from rigs.breadth import wide
from rigs.transform_chains import affine, chain, floats, run, worst, worst_of_boxes


@pytest.mark.parametrize("in_bytes", [False, True])
def test_chains_of_real_transforms(in_bytes):
    """What bytes are rounded to, and where antialiasing filters truly look, leaves a hundredth of a pixel."""
    off = []
    for seed in range(6):
        steps, whole, size, source = chain(seed)
        one = measure(lambda p, steps=steps: run(steps, Image.fromarray(p), in_bytes=in_bytes), source)
        assert one.frame.size == size
        assert worst_of_boxes(steps, whole, size, source) < 1e-3
        off.append(worst(one.frame, whole))
    assert max(off) < 0.05
    assert np.median(off) < (0.005 if in_bytes else 0.002)


@pytest.mark.parametrize("in_bytes", [False, True])
def test_a_picture_that_fills_less_than_half_of_the_output_is_measured(in_bytes):
    steps, whole, _, source = chain(275)
    shown = run(steps, Image.fromarray(np.full((*source, 3), 200, np.uint8)), in_bytes=in_bytes) > 0
    assert shown.mean() < 0.5
    one = measure(lambda p: run(steps, Image.fromarray(p), in_bytes=in_bytes), source)
    assert worst(one.frame, whole) < 0.05


def test_offset_factor_and_sign_of_the_values_do_not_matter():
    def negative(picture):
        small = np.asarray(Image.fromarray(picture).resize((60, 50), Image.Resampling.BILINEAR), np.float32)
        return (7 - small.transpose(2, 0, 1) * np.array([0.01, -0.5, 0.0], np.float32)[:, None, None]) / 3

    one = measure(negative, (100, 90))
    assert one.sign == (-1, 1, 0)
    assert worst(one.frame, affine(1.5, 0, 0, 0, 2, 0)) < 0.05


@pytest.mark.parametrize(
    "bending", [v2.RandomPerspective(0.15, 1.0), v2.ElasticTransform(40.0, 5.0)], ids=["perspective", "elastic"]
)
def test_what_bends_pictures_is_refused(bending):
    def bent(picture):
        torch.manual_seed(3)
        return bending(floats(Image.fromarray(picture))).numpy()

    with pytest.raises(InputError, match="bends the picture"):
        measure(bent, (120, 160))


@pytest.mark.parametrize("source", [(5, 5), (4, 64), (400, 6)])
def test_small_and_thin_pictures(source):
    one = measure(lambda p: p.transpose(2, 0, 1).astype(np.float32), source)
    assert worst(one.frame, np.eye(3)) < 0.1


def test_a_line_has_no_places():
    with pytest.raises(InputError, match="at least 4 pixels"):
        measure(lambda p: p.transpose(2, 0, 1).astype(np.float32), (1, 64))


def test_a_wave_is_one():
    picture = wave((3, 64), 1, 2.0, 0.0)
    assert picture.shape == (3, 64, 3)
    assert abs(float(picture[:, :, 0].mean()) - 128) < 1
    assert picture[0, 0, 0] > 220
    assert picture[0, 16, 0] < 40


@pytest.mark.parametrize("resample", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
@pytest.mark.parametrize(("w", "h", "side"), [(480, 640, 320), *wide([(640, 480, 224), (300, 200, 640)])])
def test_a_letterbox_of_bytes_is_placed_to_a_fiftieth_of_a_pixel(w, h, side, resample):
    """What rounding to bytes takes out of the middle of a picture leaves the rest of it in use."""
    nw, nh = (round(n * side / max(w, h)) for n in (w, h))
    left, top = (side - nw) // 2, (side - nh) // 2

    def letterbox(picture):
        canvas = Image.new("RGB", (side, side), (114, 114, 114))
        canvas.paste(Image.fromarray(picture).resize((nw, nh), resample), (left, top))
        return np.asarray(canvas, np.float32).transpose(2, 0, 1) / 255

    measured = measure(letterbox, (h, w)).frame.to_source.numpy()
    truth = np.array([[w / nw, 0, -left * w / nw], [0, h / nh, -top * h / nh]])
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]]).T
    assert np.abs(measured @ corners - truth @ corners).max() < 0.02
