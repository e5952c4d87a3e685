"""The evidence gain on models whose every number is known."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.metrics.fills import ground_fill
from isotherm.metrics.gain import CLEAR, HALVES, NOTHING, PRIOR, Gain, evidence_gain, random_half, random_halves

NEVER = (-math.inf, -math.inf)
"""Of :func:`evidence_gain`'s ``unsure``: halves are never covered."""
WORTH = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0])


def logits_of(worth=WORTH, *, classes: int = 4, bias: float = 0.0, scale: float = 1.0):
    """The first class's logit is what is left of the pixels' worth; all classes have the bias, and half of it in common."""

    def logits(covers):
        left = scale * (worth * ~covers).sum(1)
        others = left[:, None].expand(-1, classes - 1) / 2
        return torch.cat([left[:, None], others], 1)[:, None] + bias

    return logits


def half(number: int):
    return torch.arange(8) % 2 == 0


def gained(rank, logits, which=(0,), *, units: int = 8, **more):
    """The gain, whose references are read by the same logits."""
    everything = rank < units
    references = {"empty": everything[None], "halves": random_halves(half, everything)}
    return evidence_gain(
        rank, units, logits, which, **{name: lambda c=c: logits(c) for name, c in references.items()}, **more
    )


def unit_of(whole: float, cut: float, classes: int = 4) -> float:
    """Of deviations over the classes."""
    return math.sqrt(((classes - 1) * (whole**2 + cut**2) + PRIOR**2) / classes)


def gain_of(rank, **more):
    options = {"unsure": NEVER, "thorough": True}
    options |= {k: more.pop(k) for k in ("unsure", "batch", "thorough", "whole") if k in more}
    return gained(rank, logits_of(**more), **options)


def test_a_gain_by_hand():
    """Of 15 the quarter, half and three quarters that matter most are 12, 15 and 15, and of the rest 0, 0 and 3."""
    gain = gain_of(torch.arange(8))
    # the deviation of (15, 7.5, 7.5, 7.5), and of one class more; the covered picture has none
    unit = unit_of(15 / 2 * math.sqrt(3 / 16), 0.0)
    own = [(left - left / 2) / unit for left in (15, 0, 15, 3, 15, 0, 12, 0)]
    assert (gain.whole, gain.empty) == pytest.approx((own[0], own[1]))
    assert gain.kept == pytest.approx((own[2], own[4], own[6]))
    assert gain.cut == pytest.approx((own[3], own[5], own[7]))
    assert gain.value == pytest.approx((15 + 15 + 12 - 3) / 2 / 3 / unit)
    assert gain.halves == ()
    # without the half that the reversed map marks all is left, so the unit is larger
    larger = unit_of(15 / 2 * math.sqrt(3 / 16), 15 / 2 * math.sqrt(3 / 16))
    assert gain_of(torch.arange(8).flip(0)).value == pytest.approx(-gain.value * unit / larger)


def test_a_half_that_leaves_no_doubt_is_enough_and_the_whole_may_be_known():
    seen = []

    def counted(covers):
        seen.extend(covers)
        return logits_of()(covers)

    quick = gained(torch.arange(8), counted, unsure=NEVER)
    assert (quick.fractions, len(seen)) == ((0.5,), 3)
    assert quick.value > CLEAR[1]
    assert math.isnan(quick.empty)
    whole = logits_of()(torch.zeros(1, 8, dtype=torch.bool))[0]
    seen.clear()
    assert gained(torch.arange(8), counted, whole=whole, unsure=NEVER).kept == quick.kept
    assert len(seen) == 2
    # the rest of the picture shows it clearly better: what all of it comes to would change nothing
    seen.clear()
    worse = gained(torch.arange(8).flip(0), counted, whole=whole, unsure=(-0.7, 1.1))
    assert (worse.fractions, len(seen), worse.value < -0.7) == ((0.5,), 2, True)
    assert math.isnan(worse.empty)
    even = torch.tensor([10.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0, 0.0])
    doubt = gain_of(torch.arange(8), worth=even, thorough=False)
    assert doubt.fractions == (0.25, 0.5, 0.75)


def test_the_unit_is_of_the_whole_picture_and_of_what_is_left_without_the_most_relevant_half():
    offsets = torch.tensor([0.0, 3.0, -3.0, 0.0])
    ends = logits_of()(torch.stack([torch.zeros(8), torch.arange(8) < 4]).bool())[:, 0] + offsets
    unit = unit_of(*ends.std(1, correction=0).tolist())
    gain = gained(torch.arange(8), lambda covers: logits_of()(covers) + offsets, unsure=NEVER, thorough=True)
    assert gain.value == pytest.approx((15 + 15 + 12 - 3) / 2 / 3 / unit)


def test_what_all_classes_gain_and_the_scale_of_logits_change_nothing():
    rank = torch.arange(8)
    assert gain_of(rank, bias=100.0).value == pytest.approx(gain_of(rank).value, rel=1e-4)
    wide = [gain_of(rank, classes=20_000, scale=scale).value for scale in (1.0, 10.0, 1000.0)]
    assert wide == pytest.approx([wide[0]] * 3, rel=0.05)
    assert gain_of(rank, batch=1) == gain_of(rank, batch=8)


def test_of_few_classes_a_difference_much_smaller_than_a_nat_is_nothing():
    """Two logits deviate by half their difference, however small it is: that of random weights was called believable."""
    small, large = (gain_of(torch.arange(8), classes=2, scale=scale).value for scale in (0.01, 1.0))
    assert 0 < small < 0.1
    assert large > 2


def test_random_halves_are_looked_at_where_the_gain_is_small_and_say_what_stays():
    one = torch.full((8,), 1.0)
    gain = gain_of(torch.arange(8), worth=one, unsure=(-1.0, 1.0))
    assert gain.value == pytest.approx(0)
    assert len(gain.halves) == 2 * HALVES
    assert gain.spread == pytest.approx(0.5)
    assert math.isnan(Gain(1.0, 0.0, (1.0,), (0.0,), (0.5,)).spread)
    assert math.isnan(Gain(0.0, 1.0, (1.0,), (0.0,), (0.5,), (1.0,)).spread)


def test_pixels_outside_of_the_region_are_never_covered():
    seen = []

    def logits(covers):
        seen.append(covers)
        return logits_of()(covers)

    gained(torch.tensor([0, 1, 2, 3, 9, 9, 9, 9]), logits, units=4, unsure=(-9.0, 9.0), thorough=True)
    assert not torch.cat(seen)[:, 4:].any()
    assert torch.cat(seen)[:, :4].any(0).all()


def test_classes_without_a_logit_are_left_out_and_nan_stays_nan():
    def masked(covers):
        return torch.cat([logits_of()(covers), torch.full((len(covers), 1, 2), -torch.inf)], 2)

    one = gained(torch.arange(8), masked, unsure=NEVER, thorough=True)
    assert one.value == pytest.approx(gain_of(torch.arange(8)).value)
    broken = gained(torch.arange(8), lambda c: logits_of()(c).masked_fill(c[:, :1, None], torch.nan))
    assert math.isnan(broken.value)


def test_logits_that_are_all_alike_tell_nothing():
    alike = gained(torch.arange(8), lambda covers: torch.ones(len(covers), 1, 4))
    assert (alike.value, alike.whole, alike.empty) == (0, 0, 0)


def test_several_places_have_the_mean_of_their_gains():
    def two(covers):
        return torch.cat([logits_of()(covers), logits_of(WORTH.flip(0))(covers)], 1)

    both = gained(torch.arange(8), two, (0, 0), unsure=NEVER, thorough=True)
    one, other = (gain_of(rank).value for rank in (torch.arange(8), torch.arange(8).flip(0)))
    assert both.value == pytest.approx((one + other) / 2, rel=1e-4)
    assert one > -other > 0


def test_the_ground_is_what_most_pixels_of_a_quarter_are():
    picture = torch.full((1, 3, 40, 60), 0.2)
    picture[:, :, :20, 30:] = 0.6
    things = picture.clone()
    things[:, :, 5:12, 5:20] = 1.0
    assert ground_fill(things).equal(ground_fill(picture))
    corners = ground_fill(picture)[0, 0][[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.tolist() == pytest.approx([0.2, 0.6, 0.2, 0.2])
    margin = torch.zeros(1, 40, 60, dtype=torch.bool)
    margin[:, 10:30] = True
    boxed = torch.where(margin[:, None], picture, 9.0)
    assert float(ground_fill(boxed, region=margin).max()) <= 0.6 + 1e-6


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 5)])
def test_the_ground_of_the_smallest_pictures(size):
    picture = torch.rand(2, 3, *size)
    assert ground_fill(picture).shape == picture.shape
    even = torch.full((1, 3, *size), 0.3)
    torch.testing.assert_close(ground_fill(even), even)


def test_a_random_half_is_a_half_of_a_few_patches():
    one = random_half((64, 96), seed=3)
    assert float(one.float().mean()) == pytest.approx(0.5, abs=1e-3)
    assert not one.equal(random_half((64, 96), seed=4))
    assert float((one[:, 1:] ^ one[:, :-1]).float().mean()) < 0.1


def test_what_rounding_makes_is_nothing_to_lose():
    """A picture of one colour is its own ground, and its covered logits differ from the whole by rounding alone."""
    within = Gain(2.0 + 0.9 * NOTHING, 2.0, (2.0,), (2.0,), (0.5,), (2.0,))
    beyond = Gain(2.0 + 1.1 * NOTHING, 2.0, (2.0,), (2.0,), (0.5,), (2.0,))
    assert (within.loses, beyond.loses) == (False, True)
    assert math.isnan(within.spread)
    assert beyond.spread == pytest.approx(0.0)
    noise = gain_of(
        torch.arange(8),
        scale=1e-7,
        bias=torch.tensor([1.0, 2.0, 3.0, 4.0]),
        unsure=(-math.inf, math.inf),
        thorough=False,
    )
    assert (noise.fractions, noise.halves) == ((0.5,), ())
