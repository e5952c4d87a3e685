"""Targets by their users' names: where they peak, that they sum to 1, and every form of annotation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from isotherm.errors import AnnotationError, OptionError, ShapeError
from isotherm.systems.bridgevla import (
    create_multi_scale_heatmap,
    generate_hm_from_pt,
    generate_target_heatmap_from_annotation,
)
from isotherm.targets import gaussian


def peak(heatmap):
    """(x, y), the index of the largest cell."""
    y, x = divmod(int(heatmap.argmax()), heatmap.shape[-1])
    return x, y


def test_a_map_per_point():
    maps = generate_hm_from_pt(torch.tensor([[112.0, 112.0], [56.0, 168.0]]), res=224, sigma=10.0)
    assert maps.shape == (2, 224, 224)
    assert [peak(m) for m in maps] == [(112, 112), (56, 168)]
    assert torch.allclose(maps.sum((1, 2)), torch.ones(2), atol=1e-5)
    # the ratio of the peak to the cell one sigma away is e^(1/2)
    assert float(maps[0, 112, 112] / maps[0, 112, 122]) == pytest.approx(math.exp(0.5), rel=1e-5)


def test_resolution_is_height_and_width():
    maps = generate_hm_from_pt([(30, 10)], res=(20, 40), sigma=2)
    assert maps.shape == (1, 20, 40)
    assert peak(maps[0]) == (30, 10)


def test_cut_at_three_sigmas_unless_more_is_wanted():
    near, far = (generate_hm_from_pt([16.0, 16.0], 33, 2.0, thres)[0] for thres in (3, 5))
    assert near[16, 16 + 6] > 0
    assert near[16, 16 + 7] == 0
    assert far[16, 16 + 7] > 0


@pytest.mark.parametrize(
    ("text", "flag", "places"),
    [
        ("[0.3, 0.4, 0.7, 0.6]", "detection_1", [(50, 50)]),
        ("[(0.3, 0.4, 0.2, 0.2), (0.7, 0.8, 0.1, 0.1)]", "detection_2", [(30, 40), (70, 80)]),
        ("[[0.2, 0.3], [0.8, 0.7]]", "detection_2", [(20, 30), (80, 70)]),
        ("[0.5, 0.5]", "single_point", [(50, 50)]),
        ("[[0.3, 0.4], [0.6, 0.5]]", "grasp_point", [(30, 40), (60, 50)]),
        ("[0, .4, 1, .6]", "detection_1", [(50, 50)]),
    ],
)
def test_every_form_of_annotation(text, flag, places):
    target = generate_target_heatmap_from_annotation(text, flag, image_size=100, sigma=2.0)
    assert target.shape == (1, 100, 100)
    assert float(target.sum()) == pytest.approx(1, abs=1e-5)
    expected = gaussian(torch.tensor(places).float(), (100, 100), sigma_cells=2.0, kind="probability").heatmap.values
    assert torch.allclose(target[0], expected.mean(0), atol=1e-6)


def test_pixels_and_other_boxes():
    pixels = generate_target_heatmap_from_annotation("[10, 20, 30, 40]", "detection_1", (60, 50), normalized=False)
    shares = generate_target_heatmap_from_annotation("[.2, .333333333, .6, .666666666]", "detection_1", (60, 50))
    extents = generate_target_heatmap_from_annotation(
        "[10, 20, 20, 20]", "detection_1", (60, 50), normalized=False, box_format="xywh"
    )
    assert torch.allclose(pixels, shares, atol=1e-5)
    assert torch.allclose(pixels, extents, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "flag", "words"),
    [
        ("[0.5, 0.5", "single_point", "column 10"),
        ("[0.5, 1.5]", "single_point", r"y = 1\.5; expected a number from 0 to 1 \(pixels are not normalised\)"),
        ("[[0.1, 0.2], [0.3, 0.4, 0.5, 0.6]]", "detection_2", "2 numbers together"),
        ("__import__('os')", "detection_1", "column 1"),
    ],
)
def test_texts_of_other_forms_are_refused_where_they_break(text, flag, words):
    with pytest.raises(AnnotationError, match=words):
        generate_target_heatmap_from_annotation(text, flag)


def test_several_widths():
    points = torch.tensor([[112.0, 112.0], [20.0, 30.0]])
    maps = create_multi_scale_heatmap(points, image_size=224, scales=[2.0, 5.0, 10.0])
    assert maps.shape == (3, 224, 224)
    assert torch.allclose(maps.sum((1, 2)), torch.ones(3), atol=1e-5)
    assert torch.allclose(maps[1], generate_hm_from_pt(points, 224, 5.0, thres=30).mean(0), atol=1e-6)
    mean = create_multi_scale_heatmap(points, 224, [2.0, 5.0], reduce="mean")
    assert torch.allclose(mean, maps[:2].mean(0))
    largest = create_multi_scale_heatmap(points, 224, [2.0, 5.0], reduce="max")
    assert float(largest.max()) == pytest.approx(1)
    assert float(largest[112, 117]) == pytest.approx(math.exp(-0.5), rel=1e-5)


def test_misuse(unchecked):
    with pytest.raises(ShapeError, match=r"shape \(2, 3\); expected \(n, 2\)"):
        generate_hm_from_pt(torch.zeros(2, 3), 8, 1.0)
    with pytest.raises(OptionError, match="sigma"):
        generate_hm_from_pt([1.0, 1.0], 8, 0.0)
    with pytest.raises(OptionError, match="at least one"):
        create_multi_scale_heatmap([1.0, 1.0], 8, [])
    with pytest.raises(OptionError, match="reduce is 'sum'"):
        create_multi_scale_heatmap([1.0, 1.0], 8, [1.0], reduce="sum")
    with pytest.raises(OptionError, match="flag is 'point'"):
        generate_target_heatmap_from_annotation("[0.5, 0.5]", "point")


@pytest.mark.parametrize(
    "make", [lambda p: generate_hm_from_pt(p, 16, 2.0), lambda p: create_multi_scale_heatmap(p, 16)]
)
@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[3.0, 4.0], [math.nan, 4.0]], r"point 1 is \[nan, 4.0\]; expected finite numbers: leave out"),
        ([[math.inf, 4.0]], r"point 0 is \[inf, 4.0\]"),
        ([[1, 2], [3]], r"points are \[\[1, 2\], \[3\]\]; expected \(n, 2\) numbers"),
        ("abc", "points are 'abc'"),
        (None, "points are None"),
        ([[1, 2, 3]], r"points have shape \(1, 3\)"),
    ],
)
def test_points_that_are_none_give_no_empty_map(unchecked, make, points, message):
    """A map that is 0 everywhere is no target: a loss on it is 0, without a word."""
    with pytest.raises(ShapeError, match=message):
        make(points)


def test_points_come_in_many_forms(unchecked):
    expected = generate_hm_from_pt(torch.tensor([[3.0, 4.0], [5.0, 6.0]]), 16, 2.0)
    for points in ([(3, 4), (5, 6)], [torch.tensor([3, 4]), torch.tensor([5, 6])], np.array([[3, 4], [5, 6]])):
        assert torch.allclose(generate_hm_from_pt(points, np.int64(16), 2.0).float(), expected)
    assert generate_hm_from_pt([], 16, 2.0).shape == (0, 16, 16)
    with pytest.raises(ShapeError, match="there are no points"):
        create_multi_scale_heatmap([], 16)


@pytest.mark.parametrize("size", [16.5, "16", None, (16,), (16, 16, 16), 0, (16, -1)])
def test_sizes_that_are_none(unchecked, size):
    with pytest.raises(OptionError, match=r"the size of the maps is .*; expected a whole number of cells"):
        generate_hm_from_pt([[3.0, 4.0]], size, 2.0)


@pytest.mark.parametrize("annotation", [None, [0.5, 0.5], b"[0.5, 0.5]"])
def test_an_annotation_is_text(unchecked, annotation):
    for flag in ("single_point", "detection_2"):
        with pytest.raises(OptionError, match=r"the annotation is a .*; expected text with numbers in brackets"):
            generate_target_heatmap_from_annotation(annotation, flag)
