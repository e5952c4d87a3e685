"""A limit to how many of a detector's findings are explained, since an untrained one finds hundreds."""

from __future__ import annotations

import torch

from isotherm.cam.scores.detections import Detection
from isotherm.cam.scores.named import Named
from isotherm.cam.trace import Targets
from isotherm.relevance.score import Score


def most_confident(targets: Targets, score: Score, most: int | None) -> tuple[Targets, str | None]:
    """The targets of the most confident findings of each picture, and a note about what is left out.

    Args:
        targets: of a score.
        score: that chose them. Findings that it names one by one, or that a score of somebody's own chose, are all
            explained.
        most: findings of a picture; None for all.

    Example:
        >>> two = Targets(torch.ones(2), torch.zeros(2, dtype=torch.long), ("a", "b"), len, finding=torch.tensor([0, 1]))
        >>> most_confident(two, Detection(), 1)[1]
        'explained are the 1 most confident of 2 findings; a higher limit of findings (max findings) explains more'
    """
    finding = targets.finding
    if most is None or finding is None or not len(targets) or not _is_limited(score):
        return targets, None
    there = {(p, f) for p, f in zip(targets.picture.tolist(), finding.tolist(), strict=True)}
    kept: set[tuple[int, int]] = set()
    for picture in {p for p, _ in there}:
        kept |= set(sorted(pair for pair in there if pair[0] == picture)[:most])  # positions go by confidence
    if len(kept) == len(there):
        return targets, None
    rows = [i for i, pair in enumerate(zip(targets.picture.tolist(), finding.tolist(), strict=True)) if pair in kept]
    note = (
        f"explained are the {len(kept)} most confident of {len(there)} findings; a higher limit of findings (max findings) explains "
        "more"
    )
    return targets.take(torch.tensor(rows)), note


def _is_limited(score: Score) -> bool:
    """Whether a score leaves open how many findings it takes: not where they are named one by one, by their numbers or
    by a box, nor where a score of somebody's own chose them.
    """
    if isinstance(score, Named):
        return not all(isinstance(one, int) for one in score.which)
    if not isinstance(score, Detection):
        return False
    if score.which is None:
        return score.box is None
    several = score.which if isinstance(score.which, tuple) else (score.which,)
    return not all(isinstance(one, int) for one in several)
