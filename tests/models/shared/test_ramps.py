"""What ramps show is the centroid of what a pixel is made of, to the precision of floats."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from isotherm.models.shared.fringes import measure
from isotherm.models.shared.ramps import centroids, ramp
from rigs.transform_chains import beside, chain, looked_at, run, worst


def pairs(picture):
    """The mean of two pixels in one, in values that fall."""
    x = picture[..., 0].astype(float)
    return 7 - 0.02 * (x[:, ::2] + x[:, 1::2]) / 2


def around(y, x):
    rng = np.random.default_rng(0)
    return np.stack(np.meshgrid(y, x, indexing="ij"), -1) + rng.uniform(-20, 20, (len(y), len(x), 2))


@pytest.mark.parametrize("width", [60, 700])
def test_pairs_of_pixels_by_hand(width):
    """A ramp begins anew after 256 pixels; of a wide picture another one shows what lies there."""
    there = np.arange(width // 2) * 2 + 1.0
    y, x = centroids(pairs, (5, width), around(np.arange(5) + 0.5, there))
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(5)[:, None] + 0.5, y.shape), atol=1e-9)
    np.testing.assert_allclose(x, np.broadcast_to(there, x.shape), atol=1e-9)


def test_values_along_a_curve_give_no_centroids():
    assert centroids(lambda p: pairs(p) ** 2, (5, 60), around(np.arange(5), np.arange(30))) is None
    assert centroids(lambda p: np.zeros((5, 30)), (5, 60), around(np.arange(5), np.arange(30))) is None


def test_ramps_show_what_lines_show_one_by_one():
    """Of a crop that is shrunk and turned: pixels look up to a tenth of a pixel beside the map."""
    steps, whole, _, source = chain(22)
    places, total = looked_at(steps, source)
    expected = np.nan_to_num(places[::-1]).transpose(1, 2, 0)
    y, x = centroids(lambda p: run(steps, Image.fromarray(p), in_bytes=False)[0], source, expected)
    seen = np.abs(total - 1) < 1e-3
    np.testing.assert_allclose(x[seen], places[0][seen], atol=1e-3)
    np.testing.assert_allclose(y[seen], places[1][seen], atol=1e-3)
    assert beside(steps, whole, source) > 0.03


@pytest.mark.parametrize("seed", [22, 142, 162, 106, 153])
def test_a_ripple_of_the_pixels_does_not_lean_the_map(seed):
    """Chains that shrink and turn, whose maps were up to a hundredth of a pixel off by waves alone."""
    steps, whole, _, source = chain(seed)
    one = measure(lambda p: run(steps, Image.fromarray(p), in_bytes=False), source)
    assert worst(one.frame, whole) < 1e-3


def test_a_ramp_grows_by_one():
    picture = ramp((3, 300), 1, 10)
    assert picture.shape == (3, 300, 3)
    assert (np.diff(picture[0, :, 0].astype(int)) % 256 == 1).all()
    assert ramp((300, 3), 0, 10)[:, 1, 2].tolist() == picture[0, :, 0].tolist()
