"""The best accuracy that any model can have on generated egocentric clips, counted from how they are made.

For everything that a model can see, the best guess is the label that most often goes with it; its share, summed over
what can be seen, is the bound (Bayes' rule with equal costs). Colours, cells, angles and noise are independent of the
labels, so what can be seen comes down to classes and looks, of which there are few enough to list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import NamedTuple

from isotherm.data.egocentric.config import CARRY, FROM_FINGERS, FROM_PREVIOUS, NOUNS, EgocentricConfig, Part

SIGHTS = ("nothing", "gaze alone", "video alone", "video and gaze, zeros for all", "video and gaze")
"""What a model sees: *zeros for all* does not tell gaze that is missing from gaze that has left."""


@dataclass(frozen=True)
class Bound:
    """Best possible accuracies, 0 to 1.

    Args:
        verb, noun, action: of each head; an action is right where verb and noun are.
    """

    verb: float
    noun: float
    action: float


class _Case(NamedTuple):
    weight: int
    label: tuple[int, int]
    sights: tuple[Hashable, ...]
    """In the order of SIGHTS."""


def bounds(config: EgocentricConfig | None = None) -> dict[Part, dict[str, Bound]]:
    """Best possible accuracies of each part that a set has, for each of :data:`SIGHTS`.

    A model is taken to know which part a clip is of. One that does not can do no better.

    Args:
        config: of the set.

    Example:
        >>> best = bounds()["gaze"]
        >>> best["video alone"].noun, best["video alone"].verb, round(best["video alone"].action, 3)
        (0.25, 0.5, 0.167)
        >>> best["video and gaze"].action
        1.0
    """
    config = EgocentricConfig() if config is None else config
    return {part: _best(tuple(_CASES[part](config.objects))) for part, share in config.shares.items() if share}


def _best(cases: tuple[_Case, ...]) -> dict[str, Bound]:
    return {
        sight: Bound(
            verb=_share([(c.weight, c.sights[i], c.label[0]) for c in cases]),
            noun=_share([(c.weight, c.sights[i], c.label[1]) for c in cases]),
            action=_share([(c.weight, c.sights[i], c.label) for c in cases]),
        )
        for i, sight in enumerate(SIGHTS)
    }


def _share(cases: Iterable[tuple[int, Hashable, Hashable]]) -> float:
    """The share of cases (weight, what is seen, label) whose label is the most frequent one for what is seen."""
    weights = dict[Hashable, Counter[Hashable]]()
    for weight, sight, label in cases:
        weights.setdefault(sight, Counter())[label] += weight
    return sum(max(labels.values()) for labels in weights.values()) / sum(c.total() for c in weights.values())


def _gaze_cases(objects: int) -> Iterator[_Case]:
    """All sets of classes and, of each, all (distractor, previous, target) that gaze can visit in this order."""
    for visible in combinations(range(len(NOUNS)), objects):
        for distractor, previous, target in permutations(visible, 3):
            everything = (visible, distractor, previous, target)
            yield _Case(
                1,
                (previous % FROM_PREVIOUS, target),
                # gaze alone shows cells, and every class may lie in any of them
                _sights((), visible, everything, everything),
            )


def _out_of_frame_cases(objects: int) -> Iterator[_Case]:
    """The same, and gaze that leaves the picture in the end or, as often, is missing then."""
    for case in _gaze_cases(objects):
        _, _, visible, _, everything = case.sights
        for left in (False, True):
            label = (CARRY, case.label[1]) if left else case.label
            yield _Case(1, label, _sights(left, visible, everything, (everything, left)))


def _video_cases(objects: int) -> Iterator[_Case]:
    """Fingers of one of two colours at one of the objects, and gaze that visits any three."""
    for visible in combinations(range(len(NOUNS)), objects):
        for visits in permutations(visible, 3):
            for target in visible:
                for verb in FROM_FINGERS:
                    video = (visible, target, verb)
                    yield _Case(1, (verb, target), _sights((), video, (video, visits), (video, visits)))


def _sights(gaze: Hashable, video: Hashable, zeros: Hashable, both: Hashable) -> tuple[Hashable, ...]:
    return ((), gaze, video, zeros, both)


_CASES = {"gaze": _gaze_cases, "out_of_frame": _out_of_frame_cases, "video": _video_cases}
