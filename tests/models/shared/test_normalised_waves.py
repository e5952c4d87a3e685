"""Transforms that normalise each picture by its own values: measured all the same, or refused where it is not by an
offset and a factor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

import isotherm
from isotherm.errors import InputError
from isotherm.models.shared.fringes import measure
from isotherm.models.shared.normalised_waves import circled, normalises, signs
from isotherm.models.shared.own_transform import OwnTransform
from rigs.breadth import wide
from rigs.transform_chains import affine, chain, floats, run, worst


def clipped(x):
    low, high = np.percentile(x, [5, 95])
    return (np.clip(x, low, high) - low) / (high - low + 1e-8)


NORMALISATIONS = {
    "z-score": lambda x: (x - x.mean()) / (x.std() + 1e-8),
    "z-score by channel": lambda x: (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5),
    "min-max, negative": lambda x: 1 - (x - x.min()) / (x.max() - x.min() + 1e-8),
    "clipped percentiles": clipped,
}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("z-score", "last"),
        ("z-score", "first"),
        ("z-score by channel", "last"),
        ("min-max, negative", "last"),
        ("clipped percentiles", "first"),
        *wide([("z-score by channel", "first"), ("min-max, negative", "first"), ("clipped percentiles", "last")]),
    ],
)
def test_chains_are_measured_behind_and_before_a_normalisation(name, place):
    normalise = NORMALISATIONS[name]
    for seed in range(2):
        steps, whole, size, source = chain(seed)

        def transform(picture, steps=steps):
            if place == "last":
                return normalise(run(steps, Image.fromarray(picture), in_bytes=False))
            x = torch.from_numpy(normalise(floats(picture).numpy()))
            for step in steps:
                x = step(x)
            return x.numpy()

        one = measure(transform, source)
        assert one.normalises
        assert one.sign == ((-1, -1, -1) if "negative" in name else (1, 1, 1))
        assert one.frame.size == size
        assert worst(one.frame, whole) < 0.02


def letterboxed(picture):
    """Of 320 x 120 pixels, more than half a grey border."""
    square = Image.new("RGB", (128, 128), (114, 114, 114))
    square.paste(Image.fromarray(picture).resize((128, 48), Image.Resampling.BILINEAR), (0, 40))
    return np.asarray(square, np.float32).transpose(2, 0, 1) / 255


def test_a_border_is_no_part_of_the_waves():
    expected = affine(2.5, 0, 0, 0, 2.5, -100)
    normalised = measure(lambda p: NORMALISATIONS["z-score"](letterboxed(p)), (120, 320))
    assert normalised.normalises
    assert worst(normalised.frame, expected) < 0.25  # the corners lie 100 pixels outside of the picture
    assert not measure(letterboxed, (120, 320)).normalises


def test_no_chain_with_a_fixed_normalisation_counts_as_one():
    for seed in range(12):
        steps, _, size, source = chain(seed)
        shown = np.ones(size, bool)
        assert not normalises(lambda p, steps=steps: run(steps, Image.fromarray(p), in_bytes=True), source, size, shown)


def test_equalised_histograms_are_refused():
    def equalised(picture):
        return floats(v2.functional.equalize(Image.fromarray(picture))).numpy()

    with pytest.raises(InputError, match="more than an offset and a factor"):
        measure(equalised, (120, 160))


def test_an_ellipse_by_hand():
    """A cosine with middle 3 and factor 2, a sine with middle -1 and factor 0.5, and a border in one point."""
    turns = np.linspace(0, 5, 400).reshape(20, 20)
    answer = 3 + 2 * np.cos(turns) + 1j * (-1 + 0.5 * np.sin(turns))
    answer[:4] = 3.1 - 1j
    made = circled(answer)
    np.testing.assert_allclose(made[4:], np.exp(1j * turns[4:]), atol=1e-6)
    assert not made[:4].any()
    with pytest.raises(InputError):
        circled(turns + 1j * turns)


def test_signs_are_those_relative_to_the_channel_that_varies_most():
    ramp = np.arange(12.0).reshape(3, 4)
    assert signs(np.stack([ramp, -3 * ramp, 0 * ramp])) == (-1, 1, 0)
    assert signs(np.zeros((2, 3, 4))) == (0, 0)


def test_maps_say_that_colours_depend_on_the_picture_and_lie_in_place():
    def standard(picture):
        x = np.asarray(picture, np.float32)[10:90, 30:130].transpose(2, 0, 1)
        return (x - x.mean()) / (x.std() + 1e-6)

    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    own = OwnTransform(standard)
    inputs = own.batch([picture])
    expected = torch.tensor([[[1.0, 0.0, 30.0], [0.0, 1.0, 10.0]]], dtype=torch.float64)
    torch.testing.assert_close(inputs.frame.to_source, expected, atol=0.02, rtol=0)
    assert inputs.blank.tolist() == [0, 0, 0]
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 4),
    )
    maps = isotherm.explain(net, picture, preprocess=standard, target=1, trust="off")
    assert any("colours depend on the picture" in line for line in maps.chosen)
