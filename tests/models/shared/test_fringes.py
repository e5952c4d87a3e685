"""Measured frames against affine maps composed by hand from the parameters that were drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from isotherm.errors import InputError
from isotherm.models.shared.fringes import measure, wave

BILINEAR = InterpolationMode.BILINEAR


def affine(a, b, c, d, e, f):
    return np.array([[a, b, c], [d, e, f], [0.0, 0.0, 1.0]])


def drawn(rng, size):
    """(a transform, its affine map from output to input in edge-origin pixels, the output's size)."""
    h, w = size
    kind = int(rng.integers(0, 7))
    if kind == 0:
        new = int(rng.integers(48, 160)), int(rng.integers(48, 160))
        return v2.Resize(new, interpolation=BILINEAR, antialias=True), affine(w / new[1], 0, 0, 0, h / new[0], 0), new
    if kind == 1:
        top, left = int(rng.integers(0, h // 4 + 1)), int(rng.integers(0, w // 4 + 1))
        new = int(rng.integers(h // 2, h - top + 1)), int(rng.integers(w // 2, w - left + 1))
        return lambda x: F.crop(x, top, left, *new), affine(1, 0, left, 0, 1, top), new
    if kind == 2:
        left, top, right, bottom = (int(v) for v in rng.integers(0, 16, 4))
        mode = ("constant", "edge", "reflect")[int(rng.integers(0, 3))]
        new = h + top + bottom, w + left + right
        return v2.Pad([left, top, right, bottom], padding_mode=mode), affine(1, 0, -left, 0, 1, -top), new
    if kind == 3:
        return v2.RandomHorizontalFlip(1.0), affine(-1, 0, w, 0, 1, 0), size
    if kind == 4:
        return v2.RandomVerticalFlip(1.0), affine(1, 0, 0, 0, -1, h), size
    degrees = float(rng.uniform(-40, 40))
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = affine(1, 0, w / 2, 0, 1, h / 2) @ affine(cos, -sin, 0, sin, cos, 0) @ affine(1, 0, -w / 2, 0, 1, -h / 2)
    if kind == 5:
        return lambda x: F.rotate(x, degrees, interpolation=BILINEAR), turned, size
    x, y = (int(v) for v in rng.integers(-8, 9, 2))
    zoom = float(rng.uniform(0.8, 1.25))
    # torchvision's affine turns clockwise, where its rotation turns the other way
    back = affine(1, 0, w / 2, 0, 1, h / 2) @ affine(cos, sin, 0, -sin, cos, 0) @ affine(1 / zoom, 0, 0, 0, 1 / zoom, 0)
    back = back @ affine(1, 0, -w / 2 - x, 0, 1, -h / 2 - y)
    return lambda p: F.affine(p, degrees, [x, y], zoom, [0.0, 0.0], interpolation=BILINEAR), back, size


def chain(seed):
    """(transforms, the map from the output to the source, size of the output, of the source)."""
    rng = np.random.default_rng(seed)
    source = size = int(rng.integers(100, 240)), int(rng.integers(100, 240))
    steps, whole = [], np.eye(3)
    for _ in range(int(rng.integers(1, 5))):
        step, matrix, size = drawn(rng, size)
        steps.append(step)
        whole = whole @ matrix
    return steps, whole, size, source


def floats(picture):
    return F.to_dtype(F.to_image(picture), torch.float32, scale=True)


def run(steps, picture, *, in_bytes):
    x = picture if in_bytes else floats(picture)
    for step in steps:
        x = step(x)
    return (floats(x) if in_bytes else x).numpy()


def worst(frame, whole):
    h, w = frame.size
    corners = np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]], float).T
    return float(np.abs((whole[:2] - frame.to_source.numpy()) @ corners).max())


@pytest.mark.parametrize("in_bytes", [False, True])
def test_chains_of_real_transforms(in_bytes):
    """What bytes are rounded to, and where antialiasing filters truly look, leaves a hundredth of a pixel."""
    off = []
    for seed in range(12):
        steps, whole, size, source = chain(seed)
        one = measure(lambda p, steps=steps: run(steps, Image.fromarray(p), in_bytes=in_bytes), source)
        assert one.frame.size == size
        off.append(worst(one.frame, whole))
    assert max(off) < 0.05
    assert np.median(off) < (0.005 if in_bytes else 0.002)


def test_offset_factor_and_sign_of_the_values_do_not_matter():
    def negative(picture):
        small = np.asarray(Image.fromarray(picture).resize((60, 50), Image.Resampling.BILINEAR), np.float32)
        return (7 - small.transpose(2, 0, 1) * np.array([0.01, -0.5, 0.0], np.float32)[:, None, None]) / 3

    one = measure(negative, (100, 90))
    assert one.sign == (-1, 1, 0)
    assert worst(one.frame, affine(1.5, 0, 0, 0, 2, 0)) < 0.05


def test_pictures_normalised_by_themselves_are_refused():
    def standard(picture):
        x = picture[5:, 7:].transpose(2, 0, 1).astype(np.float32)
        return (x - x.mean()) / max(float(x.std()), 1e-6)

    with pytest.raises(InputError, match="by its own values"):
        measure(standard, (64, 80))


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
