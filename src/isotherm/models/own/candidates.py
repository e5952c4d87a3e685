"""What a function of the user's reads from a detector's output: candidates of findings, and which of them are
findings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.outputs import words_of
from isotherm.cam.scores.detections import iou
from isotherm.errors import AdapterError

NAMES = ("boxes", "logits", "classes", "confidence", "objectness")
EXPECTED = (
    "expected a dict with boxes (pictures, n, 4), x0, y0, x1, y1 in pixels of the input, and logits (pictures, n, classes), or a list with such a dict, "
    "without the first dimension, for each picture"
)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of one picture.

    Args:
        boxes: (n, 4) x0, y0, x1, y1 in pixels of the input.
        logits: (n, k) of the classes.
        classes: (n,) the class of each; None: that of its largest logit.
        confidence: (n,) in [0, 1]; None: the sigmoid of the class's logit, times that of ``objectness`` where there
            is one.
        objectness: (n,) logit that there is anything.
    """

    boxes: Float[Tensor, "n 4"]
    logits: Float[Tensor, "n k"]
    classes: Int[Tensor, " n"] | None = None
    confidence: Float[Tensor, " n"] | None = None
    objectness: Float[Tensor, " n"] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def labels(self) -> Int[Tensor, " n"]:
        """The class of each."""
        return self.logits.detach().argmax(1) if self.classes is None else self.classes.detach().long()

    def sure(self, labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """How sure each is, of being of a class."""
        if self.confidence is not None:
            return self.confidence.detach().float()
        sure = self.logits.detach().float().sigmoid().gather(1, labels[:, None])[:, 0]
        return sure if self.objectness is None else sure * self.objectness.detach().float().sigmoid()


def candidates_of(read: Any, count: int) -> tuple[list[Candidates], bool]:
    """What a user's function gave, picture by picture, and whether the candidates have fixed places: the same number
    in every picture, in the same order.

    Args:
        read: what the function gave.
        count: how many pictures there are.

    Raises:
        AdapterError: it is something else; the message says what.
    """
    if isinstance(read, list) or (isinstance(read, tuple) and read and not isinstance(read[0], Tensor)):
        if len(read) != count:
            raise AdapterError(
                f"findings gave a {type(read).__name__} of {len(read)} for {count} picture(s); {EXPECTED}"
            )
        return [_checked(_by_name(one), ()) for one in read], False
    by_name = _by_name(read)
    _checked(by_name, (count,))
    return [_checked({name: t[i] for name, t in by_name.items()}, ()) for i in range(count)], True


def _by_name(read: Any) -> dict[str, Tensor]:
    whole = read
    if isinstance(read, tuple) and 2 <= len(read) <= len(NAMES):
        read = dict(zip(NAMES, read, strict=False))
    if not isinstance(read, Mapping):
        read = {name: getattr(read, name) for name in NAMES if getattr(read, name, None) is not None}
    unknown = sorted(set(map(str, read)) - set(NAMES))
    wrong = [name for name in ("boxes", "logits") if not isinstance(read.get(name), Tensor)]
    if unknown or wrong:
        problem = f"unknown are {', '.join(unknown)}" if unknown else f"no tensor is called {' or '.join(wrong)}"
        raise AdapterError(f"findings gave {words_of(whole)}: {problem}; {EXPECTED}")
    return {name: t for name, t in read.items() if t is not None}


def _checked(by_name: Mapping[str, Tensor], lead: tuple[int, ...]) -> Candidates:
    boxes, logits = by_name["boxes"], by_name["logits"]
    dims = len(lead)
    rows = tuple(boxes.shape[: dims + 1])
    fits = boxes.ndim == logits.ndim == dims + 2 and boxes.shape[-1] == 4 and boxes.shape[:dims] == lead
    fits = fits and all(tuple(t.shape[: dims + 1]) == rows for t in by_name.values())
    if not fits:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in by_name.items())
        raise AdapterError(f"findings gave {shapes}; {EXPECTED}")
    return Candidates(**by_name) if not lead else Candidates(boxes.flatten(0, 1), logits.flatten(0, 1))


def kept(one: Candidates, *, confidence: float, overlap: float, most: int, fixed: bool) -> Int[Tensor, " m"]:
    """Which candidates of a picture are findings, the surest first: sure enough, and of the same class and place the
    surest only.

    Args:
        one: the candidates.
        confidence: least of a finding.
        overlap: IoU beyond which two of a class are one; of lists, in which the model has chosen already, none are.
        most: findings of a picture.
        fixed: the candidates are all that the model has.
    """
    labels = one.labels
    sure = one.sure(labels)
    rows = torch.nonzero(sure >= confidence).flatten()
    if not fixed:
        return rows[:most]
    rows = rows[sure[rows].argsort(descending=True, stable=True)]
    boxes = one.boxes.detach().float()
    chosen: list[int] = []
    while len(rows) and len(chosen) < most:
        first = rows[0]
        chosen.append(int(first))
        same = (labels[rows] == labels[first]) & (iou(boxes[rows], boxes[first][None]) > overlap)
        same[0] = True
        rows = rows[~same]
    return torch.tensor(chosen, dtype=torch.long, device=sure.device)


def best_fit(one: Candidates, box: Float[Tensor, "4"], label: int) -> int | None:
    """The candidate that fits a finding best, by IoU times how sure it is of the class; None where there is no
    candidate.
    """
    if not len(one):
        return None
    labels = torch.full((len(one),), label, device=one.logits.device)
    sure = Candidates(one.boxes, one.logits, objectness=one.objectness).sure(labels)
    return int((iou(one.boxes.detach().float(), box[None].to(sure)) * sure).argmax())


def stacked(candidates: Sequence[Candidates], rows: Sequence[Tensor], name: str) -> Tensor | None:
    """One field of the chosen candidates of all pictures; None where they have none."""
    parts = [getattr(one, name) for one in candidates]
    if any(part is None for part in parts):
        return None
    return torch.cat([part[row] for part, row in zip(parts, rows, strict=True)])
