"""The view of a detector of one's own: one function of the user's reads boxes, logits and classes from what it puts
out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.cam.outputs import tensors_by_path
from isotherm.cam.scores import Function
from isotherm.cam.view import Detections, Inputs, Pins
from isotherm.errors import AdapterError, IsothermError, OptionError
from isotherm.models.own.candidates import Candidates, best_fit, candidates_of, kept, stacked
from isotherm.models.own.raw_view import RawView
from isotherm.models.shared.classifier import numbered
from isotherm.relevance.score import Score

NOTHING = -20.0
"""The logit of a finding that a changed picture has no candidate for at all."""
FAINT = 1e-3
"""Share of all that the model puts out in such a logit: a network with random weights, that finds nothing, still has
a map to compare with."""
MOST = 300
"""Findings of a picture."""


class OwnDetectorView(RawView):
    """Fulfils :class:`isotherm.cam.view.View` for a detector that nobody described.

    Args:
        model: eager module.
        findings: what the model puts out -> candidates, see :func:`isotherm.models.own.candidates.candidates_of`.
        names: class names, one per logit; empty: "class 0", ...
        confidence: least of a finding.
        overlap: IoU beyond which two findings of a class are one.
        example: what it put out for one picture.
        arguments: of :class:`isotherm.models.shared.module_view.ModuleView`.

    Raises:
        AdapterError: the function fails, or gives something else.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        findings: Callable[[Any], Any],
        names: Sequence[str],
        confidence: float,
        overlap: float,
        example: Any,
        **arguments: Any,
    ) -> None:
        super().__init__(model, example=example, names=names, **arguments)
        for option, value in (("confidence", confidence), ("overlap", overlap)):
            if not 0 <= value <= 1:
                raise OptionError(f"{option} is {value!r}; expected a number from 0 to 1")
        self._read, self.confidence, self.overlap = findings, confidence, overlap
        (one,), self._fixed = self._candidates(example, 1)
        count = int(one.logits.shape[1])
        if names and len(names) != count:
            raise OptionError(
                f"{len(names)} class names were given for the {count} logits of each candidate; give one per logit"
            )
        self.names = tuple(names or numbered(count))
        self._score = Function(self._surest, of="output")

    def of_score(self, score: Score | None) -> OwnDetectorView:
        """The view itself: its layers are those that findings are made of, whichever is explained."""
        return self

    def with_confidence(self, confidence: float) -> OwnDetectorView:
        """A view of the same model with another least confidence."""
        other = copy(self)
        other.confidence = confidence
        return other

    def find(self, raw: Any, inputs: Inputs) -> Detections:
        """The candidates that are sure enough, of the same class and place the surest only; lists as they are."""
        candidates, fixed = self._candidates(raw, len(inputs))
        rows = [
            kept(one, confidence=self.confidence, overlap=self.overlap, most=MOST, fixed=fixed) for one in candidates
        ]
        return self._detections(
            raw, candidates, rows, [one.labels[row] for one, row in zip(candidates, rows, strict=True)]
        )

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Detections:
        """The candidate with the pin's number where candidates have fixed places; otherwise that of best IoU times
        probability, and where there is none, one that says no.
        """
        candidates, fixed = self._candidates(raw, len(inputs))
        labels = pins.classes.to(candidates[0].logits.device)
        rows = []
        for i, one in enumerate(candidates):
            number = int(pins.candidate[i]) if fixed else best_fit(one, pins.boxes[i], int(labels[i]))
            if number is None:
                logits = one.logits.new_full((1, len(self.names)), NOTHING) + FAINT * _all_of(raw)
                objectness = None if one.objectness is None else one.objectness.new_full((1,), NOTHING)
                candidates[i] = Candidates(pins.boxes[i : i + 1].to(one.boxes), logits, objectness=objectness)
                number = 0
            rows.append(torch.tensor([number], device=labels.device))
        return self._detections(raw, candidates, rows, list(labels.split(1)))

    def _detections(
        self, raw: Any, candidates: list[Candidates], rows: list[Tensor], labels: list[Tensor]
    ) -> Detections:
        boxes, logits = stacked(candidates, rows, "boxes"), stacked(candidates, rows, "logits")
        assert boxes is not None
        assert logits is not None
        sure = [one.sure(one.labels) if one.confidence is not None else None for one in candidates]
        chosen = [
            known[row]
            if known is not None
            else Candidates(
                one.boxes[row], one.logits[row], objectness=None if one.objectness is None else one.objectness[row]
            ).sure(label)
            for one, known, row, label in zip(candidates, sure, rows, labels, strict=True)
        ]
        picture = torch.cat([torch.full_like(row, i) for i, row in enumerate(rows)])
        return Detections(
            picture,
            boxes,
            logits,
            torch.cat(labels),
            torch.cat(chosen),
            torch.cat(rows),
            self.names,
            objectness=stacked(candidates, rows, "objectness"),
            raw=raw,
        )

    def _candidates(self, raw: Any, count: int) -> tuple[list[Candidates], bool]:
        try:
            read = self._read(raw)
        except (IsothermError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a function of one's own raises anything at all
            first = (str(error).strip().splitlines() or [""])[0][:200]
            what = self._described[0]
            raise AdapterError(
                f"findings failed ({type(error).__name__}: {first}); it was given what {self.name} put out, {what}"
            ) from error
        return candidates_of(read, count)

    def _surest(self, raw: Any) -> Tensor:
        """The largest logit of all candidates of one picture: what layers are chosen for."""
        (one,), _ = self._candidates(raw, 1)
        return one.logits.flatten().amax(0, keepdim=True) if len(one) else one.logits.sum()[None]


def _all_of(raw: Any) -> Tensor:
    """One number with the graph of all that a model put out."""
    real = [t.float().mean() for _, t in tensors_by_path(raw) if t.is_floating_point() and t.numel()]
    return torch.stack(real).sum()
