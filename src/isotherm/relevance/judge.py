"""The judge: whether to believe a map, of a picture, a clip or an answer.

Two questions are asked of every map. Does the score fall as what it marks goes, and come back as it comes, sooner than
in random orders and than from the centre outwards? And does the map change when the weights are random? How something
is taken away, how it is scored, and how a map is made anew differs between pixels and vision tokens: each side says it
in a :class:`Case`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.metrics.cascade import Cascade, cascade
from isotherm.metrics.trust import Trust
from isotherm.ops.names import known_word
from isotherm.relevance.alone import alone

Level = Literal["fast", "full"]
Pause = Callable[[], None]
"""Called between the steps of a check; what it raises ends the check, and leaves the model as it was."""
FAST_TARGETS = 2
"""Targets that the fast check judges: every one costs dozens of forward passes."""


def go_on() -> None:
    """A :data:`Pause` of a check that nobody ends."""


@dataclass(frozen=True, eq=False)
class Check:
    """The check of one explanation's maps, which is still to be made and may take longer than the maps did.

    Args:
        chosen: which of the maps it is about.
        judge: makes it: a verdict for each map, None for those that it is not about.
    """

    chosen: tuple[bool, ...]
    judge: Callable[[Pause], tuple[Trust | None, ...]]

    def __call__(self, pause: Pause = go_on) -> tuple[Trust | None, ...]:
        """Make it."""
        return self.judge(pause)


@runtime_checkable
class Case(Protocol):
    """One map, and the means to try it.

    Attributes:
        model: whose weights are randomised.
        keep: modules that never are.
        fractions: of the modules that are randomised, stage by stage, where that is looked at in full.
        calibrate: whether batch norms are fitted to random weights.
        alike: cases of one model with the same are compared with random weights together.
    """

    @property
    def model(self) -> nn.Module: ...
    @property
    def keep(self) -> Sequence[str]: ...
    @property
    def fractions(self) -> tuple[float, ...]: ...
    @property
    def calibrate(self) -> bool: ...
    @property
    def alike(self) -> Hashable: ...

    def removal(self, level: Level, seed: int) -> Trust:
        """How the score changes as what the map marks is taken away and put back, beside random orders and the
        centre.
        """
        ...

    def values(self) -> Float[Tensor, "1 i j"]:
        """The map as it is compared with that of random weights."""
        ...

    @property
    def again(self) -> Callable[[], Float[Tensor, "1 i j"]] | None:
        """Makes the same map with whatever weights the model has at that moment; None: the weights are not checked."""
        ...


def judge(cases: Sequence[Case], level: Level, *, seed: int = 0) -> tuple[Trust, ...]:
    """Judge each map by itself: what else there is, in which order and in what batch, must not change a verdict.

    The fast check of a map whose evidence gain is known randomises no weights: maps of trained networks are as alike to
    those of random ones as these are among themselves, or more (``bench/trust.py``).

    Args:
        cases: maps of one method and one model.
        level: ``fast`` randomises the weights once, ``full`` in stages and three times.
        seed: of everything random.
    """
    known_word(level, get_args(Level), "level")
    if not cases:
        return ()
    with alone(cases[0].model):
        return _judged(cases, level, seed)


def _judged(cases: Sequence[Case], level: Level, seed: int) -> tuple[Trust, ...]:
    verdicts = [case.removal(level, seed) for case in cases]
    # one set of random weights serves all maps that can stand in one tensor
    groups: dict[Hashable, list[int]] = {}
    for i, case in enumerate(cases):
        # where the evidence gain decides, random weights are a detail that only the full check looks at
        if case.again is not None and (level == "full" or verdicts[i].gain is None):
            groups.setdefault(case.alike, []).append(i)
    for some in groups.values():
        check = _random_weights([cases[i] for i in some], level, seed)
        stages = check.fractions if level == "full" and len(check.fractions) > 1 else ()
        for row, i in enumerate(some):
            steps = tuple(zip(stages, check.magnitude[:, row].tolist(), strict=True)) if stages else ()
            verdicts[i] = replace(verdicts[i], similarity=float(check.similarity[row]), stages=steps)
    return tuple(verdicts)


def _random_weights(cases: Sequence[Case], level: Level, seed: int) -> Cascade:
    first, again = cases[0], [case.again for case in cases if case.again is not None]
    return cascade(
        first.model,
        lambda: torch.cat([make() for make in again]),
        maps=torch.cat([case.values() for case in cases]),
        fractions=first.fractions if level == "full" else (1.0,),
        seeds=(seed,) if level == "fast" else (seed, seed + 1, seed + 2),
        keep=tuple(first.keep),
        calibrate=first.calibrate,
    )
