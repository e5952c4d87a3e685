"""One count of several views: by hand, and on simulated counts whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.systems.counting_fusion import Sighting, fuse
from isotherm.systems.counting_views import CountView, views_of
from rigs.breadth import wide

SIZE = (50, 100)
LEFT, RIGHT = CountView("left", (0, 0, 60, 50)), CountView("right", (40, 0, 100, 50))
WHOLE = CountView("whole", (0, 0, 100, 50), "whole")


def xy(*places):
    return np.array(places, np.float64).reshape(-1, 2)


def test_each_object_outside_of_the_overlap_counts_once():
    fused = fuse([Sighting(LEFT, 2.0, xy((10, 10), (20, 40))), Sighting(RIGHT, 1.0, xy((90, 10)))], SIZE, same_px=5)
    assert fused.count == 3
    assert list(zip(fused.view, fused.peak, strict=True)) == [(0, 0), (0, 1), (1, 0)]
    assert fused.unplaced == 0


def test_a_pair_in_the_overlap_is_one_whoever_owns_the_place():
    # each lies on the other's side of the border at 50: by ownership alone both would be lost
    fused = fuse([Sighting(LEFT, 1.0, xy((52, 20))), Sighting(RIGHT, 1.0, xy((48, 20)))], SIZE, same_px=6)
    assert fused.count == 1
    # each on its own side: by ownership alone both would count
    fused = fuse([Sighting(LEFT, 1.0, xy((48, 20))), Sighting(RIGHT, 1.0, xy((52, 20)))], SIZE, same_px=6)
    assert fused.count == 1
    assert fused.view.tolist() == [0]  # 12 pixels inside of the left, as far as the right one: the first stays
    fused = fuse([Sighting(LEFT, 1.0, xy((52, 20))), Sighting(RIGHT, 1.0, xy((53, 20)))], SIZE, same_px=6)
    assert fused.view.tolist() == [1]  # deeper inside of the right one


def test_two_that_stand_together_stay_two():
    fused = fuse(
        [Sighting(LEFT, 2.0, xy((49, 20), (53, 20))), Sighting(RIGHT, 2.0, xy((50, 20), (54, 20)))], SIZE, same_px=10
    )
    assert fused.count == 2
    # one view takes them for one: its dot has one partner, and the other stays
    fused = fuse([Sighting(LEFT, 1.0, xy((51, 20))), Sighting(RIGHT, 2.0, xy((50, 20), (54, 20)))], SIZE, same_px=10)
    assert fused.count == 2


def test_a_dot_without_a_partner_counts_where_its_view_owns_the_place():
    assert fuse([Sighting(LEFT, 1.0, xy((45, 20))), Sighting(RIGHT, 0.0, xy())], SIZE, same_px=5).count == 1
    assert fuse([Sighting(LEFT, 1.0, xy((57, 20))), Sighting(RIGHT, 0.0, xy())], SIZE, same_px=5).count == 0


def test_places_that_only_one_view_sees_have_no_partner_there():
    # the right view ends at 40: what lies at 30 it does not see, so what it has at 41 is another one
    fused = fuse([Sighting(LEFT, 1.0, xy((30, 20))), Sighting(RIGHT, 1.0, xy((41, 20)))], SIZE, same_px=12)
    assert fused.count == 1  # the left one alone: 41 belongs to the left view, which has nothing there
    assert fused.view.tolist() == [0]
    # nor does it see 25, however near a partner may be: an object of each
    assert fuse([Sighting(LEFT, 1.0, xy((25, 20))), Sighting(RIGHT, 1.0, xy((51, 20)))], SIZE, same_px=26).count == 2


def test_without_joining_the_owner_counts():
    fused = fuse([Sighting(LEFT, 1.0, xy((48, 20))), Sighting(RIGHT, 1.0, xy((52, 20)))], SIZE, same_px=0)
    assert fused.count == 2


def test_only_as_many_peaks_as_were_counted_are_dots():
    fused = fuse([Sighting(LEFT, 1.0, xy((10, 10), (20, 20), (30, 30)))], SIZE, same_px=5)
    assert fused.count == 1
    assert fused.peak.tolist() == [0]


def test_what_has_no_dot_is_added_by_the_share_that_a_view_owns():
    # the left crop is 60 wide and owns 50 of it
    fused = fuse([Sighting(LEFT, 7.0, xy((10, 10))), Sighting(RIGHT, 0.0, xy())], SIZE, same_px=5)
    assert fused.unplaced == pytest.approx(6 * 50 / 60, rel=0.02)
    assert fused.count == pytest.approx(1 + fused.unplaced)
    assert len(fused.view) == 1


def test_the_whole_stands_in_where_no_crop_gave_a_count():
    whole = Sighting(WHOLE, 4.0, xy((10, 10), (45, 10), (70, 10), (90, 10)))
    fused = fuse([whole, Sighting(LEFT, 1.0, xy((10, 12))), Sighting(RIGHT, None, xy())], SIZE, same_px=5)
    assert fused.count == 3  # one of the left crop, and what lies right of it
    assert fused.view.tolist() == [1, 0, 0]
    left = fuse(
        [Sighting(WHOLE, 4.0, xy()), Sighting(LEFT, 1.0, xy((10, 12))), Sighting(RIGHT, None, xy())], SIZE, same_px=5
    )
    assert left.count == pytest.approx(
        1 + 4 * 0.4, rel=0.05
    )  # two fifths of the picture are seen by no crop that counts
    assert fuse([whole, Sighting(LEFT, None, xy()), Sighting(RIGHT, None, xy())], SIZE, same_px=5).count == 4
    # a whole that agrees with nothing is no part of the sum
    assert (
        fuse(
            [Sighting(WHOLE, 40.0, xy()), Sighting(LEFT, 1.0, xy((10, 12))), Sighting(RIGHT, 0.0, xy())],
            SIZE,
            same_px=5,
        ).count
        == 1
    )


def test_without_any_count_there_is_none():
    assert fuse([Sighting(LEFT, None, xy()), Sighting(RIGHT, None, xy())], SIZE, same_px=5).count is None
    assert fuse([Sighting(WHOLE, None, xy((10, 10)))], SIZE, same_px=5).count is None
    assert fuse([Sighting(WHOLE, 0.0, xy((10, 10)))], SIZE, same_px=5).count == 0


def test_a_crop_that_is_only_compared_adds_nothing():
    assert (
        fuse(
            [Sighting(WHOLE, 3.0, xy((10, 10))), Sighting(CountView("c", (0, 0, 50, 50), "beside"), 2.0, xy((20, 20)))],
            SIZE,
            same_px=5,
        ).count
        == 3
    )


def test_four_crops_that_see_one_object_count_it_once():
    views = views_of((100, 100), "dense", grid=(2, 2), overlap=0.4)
    seen = [
        Sighting(v, 1.0, xy((50 + dx, 50 + dy)))
        for v, (dx, dy) in zip(views, [(-2, -2), (2, -1), (-1, 2), (2, 2)], strict=True)
    ]
    assert fuse(seen, (100, 100), same_px=8).count == 1


# --- against known truth -------------------------------------------------------------------------------------

SIDE, RADIUS = 144, 5


def simulated(seed, *, noise, missed, overlap=0.2):
    """A picture's true count, and what a model might say of each crop: counts of what is at least half visible, dots off by ``noise`` pixels."""
    rng = np.random.default_rng(seed)
    places = []
    wanted = int(rng.integers(5, 21))
    while len(places) < wanted:
        at = rng.uniform(RADIUS + 1, SIDE - RADIUS - 1, 2)
        if all(np.hypot(*(at - p)) > 2 * RADIUS + 1 for p in places):
            places.append(at)
    at = np.array(places)
    out = []
    for view in views_of((SIDE, SIDE), "dense", overlap=overlap):
        low, high = np.array(view.box[:2]), np.array(view.box[2:])
        visible = ((np.minimum(at + RADIUS, high) - np.maximum(at - RADIUS, low)) / (2 * RADIUS)).clip(0, 1).prod(
            1
        ) > 0.5
        count = max(0, int(visible.sum()) + (int(rng.choice([-1, 1])) if rng.uniform() < missed else 0))
        dots = (at[visible] + rng.normal(0, noise, (int(visible.sum()), 2))).clip(low + 0.1, high - 0.1)
        out.append(Sighting(view, float(count), dots[rng.uniform(size=len(dots)) > missed][:count]))
    return wanted, out


def errors(noise, missed, same_px, seeds=60):
    found = []
    for seed in range(seeds):
        true, seen = simulated(seed, noise=noise, missed=missed)
        fused = fuse(seen, (SIDE, SIDE), same_px=same_px)
        assert fused.count is not None
        found.append((abs(fused.count - true), sum(s.count for s in seen) - true, fused.count - true))
    return np.mean(found, axis=0)


def test_exact_dots_give_the_exact_count():
    joined, summed, _ = errors(0.5, 0.0, 12)
    assert joined < 0.15
    assert summed > 3  # what adding up the crops would be off by


@pytest.mark.parametrize(("noise", "missed"), [(3, 0.0), (5, 0.2), *wide([(5, 0.0), (3, 0.2)])])
def test_pairs_and_owners_err_less_than_owners_alone(noise, missed):
    joined, summed, bias = errors(noise, missed, 12)
    owned, _, _ = errors(noise, missed, 0)
    assert joined < owned
    assert joined < summed / 2
    assert abs(bias) < 1
