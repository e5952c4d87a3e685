"""Views of a picture: where crops lie, what is refused, who owns a place."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.errors import OptionError
from isotherm.systems.counting_views import CountView, checked_box, depths, own_shares, owners, views_of


def test_the_views_of_each_strategy():
    size = (90, 120)  # h, w
    assert [(v.role, v.box) for v in views_of(size, "global")] == [("whole", (0, 0, 120, 90))]
    assert [(v.role, v.box) for v in views_of(size, "comparison")] == [
        ("whole", (0, 0, 120, 90)),
        ("beside", (30, 22, 90, 68)),
    ]
    assert [v.box for v in views_of(size, "comparison", crops=[(10, 20, 50.2, 60)])][1] == (10, 20, 51, 60)
    hybrid = views_of(size, "hybrid", overlap=0.2)
    assert [v.role for v in hybrid] == ["whole"] + ["part"] * 4
    assert [v.box for v in hybrid[1:]] == [
        (0, 0, 66, 50),
        (54, 0, 120, 50),
        (0, 40, 66, 90),
        (54, 40, 120, 90),
    ]  # half of 0.2 x 60 and of 0.2 x 45 more
    dense = views_of(size, "dense", grid=(2, 3), overlap=0.5)
    assert [v.box for v in dense] == [
        (0, 0, 50, 56),
        (30, 0, 90, 56),
        (70, 0, 120, 56),
        (0, 34, 50, 90),
        (30, 34, 90, 90),
        (70, 34, 120, 90),
    ]
    assert dense[4].name == "row 2, column 2"
    assert dense[4].size == (56, 60)
    assert [v.box for v in views_of(size, "dense", grid=(1, 2), overlap=0.0)] == [(0, 0, 60, 90), (60, 0, 120, 90)]
    assert [v.box for v in views_of(size, "custom", crops=[(0, 0, 40, 40), (60, 0, 120, 90)])] == [
        (0, 0, 40, 40),
        (60, 0, 120, 90),
    ]


@pytest.mark.parametrize(
    ("strategy", "given", "says"),
    [
        ("desne", {}, "strategy is 'desne'; expected one of global, comparison, dense, hybrid, custom"),
        ("dense", {"grid": (0, 3)}, "the grid is 0 x 3"),
        ("dense", {"grid": (9, 9)}, "has cells below 16 pixels"),
        ("dense", {"overlap": 1.0}, "overlap is 1.0; expected a share"),
        ("dense", {"overlap": -0.1}, "overlap is -0.1"),
        ("custom", {}, "none was given"),
        ("global", {"crops": [(0, 0, 40, 40)]}, "go with the strategies comparison and custom"),
        ("comparison", {"crops": [(0, 0, 40, 40), (0, 0, 50, 50)]}, "a comparison has one crop and 2 were given"),
        ("custom", {"crops": [(0, 0, 121, 40)]}, "outside of the picture, which is 120 x 90 pixels"),
        ("custom", {"crops": [(-1, 0, 40, 40)]}, "outside of the picture"),
        ("custom", {"crops": [(40, 0, 40, 40)]}, "ends before it starts"),
        ("custom", {"crops": [(0, 50, 40, 40)]}, "ends before it starts"),
        ("custom", {"crops": [(0, 0, 15, 40)]}, "is 15 x 40 pixels; a model sees nothing in less than 16 x 16"),
        ("custom", {"crops": [(0, 0, 40)]}, "has 3 numbers"),
        ("custom", {"crops": [(0, 0, float("nan"), 40)]}, "four finite numbers"),
    ],
)
def test_what_cannot_be_is_refused(strategy, given, says):
    with pytest.raises(OptionError, match=says.replace("(", r"\(")):
        views_of((90, 120), strategy, **given)


def test_a_box_to_the_very_edge_is_a_box():
    assert checked_box((0, 0, 120, 90), (90, 120)) == (0, 0, 120, 90)


@pytest.mark.parametrize(
    ("rows", "columns", "overlap"), [(1, 1, 0.2), (2, 2, 0.2), (3, 3, 0.5), (2, 4, 0.8), (3, 3, 0.0)]
)
def test_of_a_grid_each_place_has_the_owner_whose_cell_it_lies_in(rows, columns, overlap):
    views = views_of((120, 120), "dense", grid=(rows, columns), overlap=overlap)
    ys, xs = np.mgrid[0.5:120:3, 0.5:120:3]
    xy = np.stack([xs.ravel(), ys.ravel()], -1)
    cell = (xy[:, 1] // (120 / rows) * columns + xy[:, 0] // (120 / columns)).astype(int)
    assert (owners(views, (120, 120), xy) == cell).all()
    area = np.array([v.size[0] * v.size[1] for v in views])
    np.testing.assert_allclose(own_shares(views, (120, 120)) * area, 120 * 120 / rows / columns, rtol=0.04)


def test_sides_on_the_edge_of_the_picture_cut_nothing():
    left, right = CountView("a", (0, 0, 60, 50)), CountView("b", (40, 0, 100, 50))
    xy = np.array([[1.0, 1.0], [45.0, 25.0], [99.0, 1.0]])
    np.testing.assert_allclose(depths([left, right], (50, 100), xy), [[50, 15, -np.inf], [-np.inf, 5, 50]], rtol=1e-4)
    assert owners([CountView("a", (0, 0, 40, 40))], (50, 100), np.array([[50.0, 45.0], [10.0, 10.0]])).tolist() == [
        -1,
        0,
    ]
