"""Bounds of generated clips against counting by hand, and against the best guesses on clips that were drawn."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from isotherm.data.egocentric.bounds import SIGHTS, bounds
from isotherm.data.egocentric.config import PARTS, EgocentricConfig
from isotherm.data.egocentric.story import generators, make_stories
from isotherm.data.gaze.states import GazeState

HALF = 3000


def test_bounds_by_hand():
    """Four of six classes: 12 pairs (previous, target), at most two of which are the same action."""
    best = bounds()
    assert vars(best["gaze"]["video alone"]) == pytest.approx({"verb": 1 / 2, "noun": 1 / 4, "action": 2 / 12})
    # of 18 actions, 6 have one previous class and 12 have two
    assert vars(best["gaze"]["gaze alone"]) == pytest.approx({"verb": 1 / 3, "noun": 1 / 6, "action": 2 / 30})
    # half of the clips are carried away; of the others nothing can be told that beats guessing so
    assert vars(best["out_of_frame"]["video alone"]) == pytest.approx({"verb": 1 / 2, "noun": 1 / 4, "action": 1 / 8})
    assert vars(best["out_of_frame"]["video and gaze, zeros for all"]) == {"verb": 0.5, "noun": 1, "action": 0.5}
    assert vars(best["out_of_frame"]["gaze alone"]) == pytest.approx(
        {"verb": 1 / 2 + 1 / 6, "noun": 1 / 6, "action": 1 / 12 + 1 / 30}
    )
    assert vars(best["video"]["video alone"]) == {"verb": 1, "noun": 1, "action": 1}
    assert all(vars(best[part]["video and gaze"]) == {"verb": 1, "noun": 1, "action": 1} for part in PARTS)


def test_bounds_are_counted_and_not_written_down():
    assert bounds(EgocentricConfig(objects=6))["gaze"]["video alone"].noun == pytest.approx(1 / 6)
    three = bounds(EgocentricConfig(objects=3, video=0))
    assert set(three) == {"gaze", "out_of_frame"}
    # of three classes: 8 of 20 sets have three verbs, so any pair is one of 6; the other 12 have one verb twice
    assert three["gaze"]["video alone"].action == pytest.approx((8 * 1 / 6 + 12 * 2 / 6) / 20)


def sights_of(stories):
    """What each of the SIGHTS shows of each clip, read off the clips: classes by their pictures, looks by their places."""
    for i in range(len(stories.verb)):
        visible = tuple(sorted(stories.classes[i].tolist()))
        fingers = int(stories.fingers[i])
        video = (visible, fingers, int(stories.classes[i, 0]) if fingers else None)
        seen = stories.looked[i][stories.looked[i] >= 0]
        order = [int(v) for j, v in enumerate(seen) if j == 0 or v != seen[j - 1]]
        visits = tuple(int(stories.classes[i, v]) for v in order)
        left = bool((stories.state[i] == GazeState.OUT_OF_FRAME).any())
        gone = bool((stories.looked[i] < 0).any())
        yield dict(
            zip(SIGHTS, ((), (left, gone), video, (video, visits, gone), (video, visits, left, gone)), strict=True)
        )


@pytest.mark.parametrize("part", PARTS)
def test_no_guesser_that_has_seen_many_clips_beats_the_bound_and_it_comes_near(part):
    config = EgocentricConfig(**{p: float(p == part) for p in PARTS})
    stories = make_stories(generators(0, range(2 * HALF)), config)
    labels = {
        "verb": stories.verb.tolist(),
        "noun": stories.noun.tolist(),
        "action": list(zip(stories.verb.tolist(), stories.noun.tolist(), strict=True)),
    }
    sights = list(sights_of(stories))
    for sight, bound in bounds(config)[part].items():
        for head, truth in labels.items():
            guesses = defaultdict(Counter)
            for i in range(HALF):
                guesses[sights[i][sight]][truth[i]] += 1
            table = {key: counts.most_common(1)[0][0] for key, counts in guesses.items()}
            right = np.mean([table.get(sights[i][sight]) == truth[i] for i in range(HALF, 2 * HALF)])
            wanted = getattr(bound, head)
            error = 4 * np.sqrt(max(wanted * (1 - wanted), 1e-9) / HALF)
            assert right <= wanted + error, (sight, head)
            if len(table) < HALF / 5:  # what is seen too rarely is not learnt; ties are broken by chance
                assert right >= 0.9 * wanted - error, (sight, head)
