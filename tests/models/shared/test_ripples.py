"""A plane is found under ripples that lean one by least squares."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.models.shared.ripples import plane_under_ripples

PLANE = np.array([1.7, -0.2, 31.0])


def rippled(*waves, size=(60, 80)):
    """(values, points) of a plane with waves of (amplitude, periods a pixel along x and y, radians)."""
    v, u = np.meshgrid(*(np.arange(n) + 0.5 for n in size), indexing="ij")
    points = np.stack([u, v, np.ones_like(u)], -1)
    return points @ PLANE + sum(a * np.sin(2 * np.pi * (fx * u + fy * v) + at) for a, fx, fy, at in waves), points


def corners_off(row):
    return max(abs((row - PLANE) @ np.array([x, y, 1.0])) for x in (0, 80) for y in (0, 60))


@pytest.mark.parametrize("turned", [False, True])
def test_slow_and_fast_ripples_are_told_from_the_plane(turned):
    values, points = rippled((0.05, 0.021, 0.0, 0.3), (0.03, 0.31, 0.12, 1.0), (0.02, 0.0, 0.4402, 2.0))
    where = np.ones(values.shape, bool)
    if turned:
        where = np.abs(points[..., 0] - 40) + np.abs(points[..., 1] - 30) < 38
    plain = np.linalg.lstsq(points[where], values[where], rcond=None)[0]
    row, left = plane_under_ripples(values, points, where)
    assert corners_off(plain) > 0.02
    assert corners_off(row) < 1e-4
    assert left < 1e-4


def test_a_plane_alone_is_that_plane():
    values, points = rippled((0.0, 0.1, 0.1, 0.0))
    row, left = plane_under_ripples(values, points, np.ones(values.shape, bool))
    np.testing.assert_allclose(row, PLANE, atol=1e-9)
    assert left < 1e-9


def test_what_is_not_asked_may_be_nan():
    values, points = rippled((0.05, 0.05, 0.0, 0.3))
    where = np.ones(values.shape, bool)
    where[:5], values[:5] = False, np.nan
    assert corners_off(plane_under_ripples(values, points, where)[0]) < 1e-4
