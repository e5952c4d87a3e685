"""Scores of classifiers: a class's logit, the best k, one class rather than another, likeness to a reference.

Logits, not probabilities: a softmax's gradient carries p(1 - p), so a confident model would seem to use nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.activation import Activation, probabilities
from isotherm.cam.outputs import how_to_read, words_of
from isotherm.cam.scores.naming import class_index, class_indices
from isotherm.cam.trace import Targets
from isotherm.cam.view import Classification, Inputs, Prediction, RawOutput, giver_of
from isotherm.errors import TargetError, UnfitTargetError
from isotherm.ops.percent import percent
from isotherm.relevance.score import Score


def need_classification(prediction: Prediction, score: object) -> Classification:
    """The prediction, if it is a classifier's."""
    if isinstance(prediction, RawOutput):
        raise UnfitTargetError(
            f"{prediction.model} put out {words_of(prediction.raw)}, in which isotherm sees no classes; {how_to_read(prediction.raw)}",
            gives=giver_of(prediction),
        )
    if not isinstance(prediction, Classification):
        raise UnfitTargetError(
            f"{type(score).__name__} is a score of classifiers, but this model gives {type(prediction).__name__}; "
            "use Detection for detectors and SegmentationMask for segmenters",
            gives=giver_of(prediction),
        )
    return prediction


def _targets(prediction: Classification, classes: Tensor) -> Targets:
    """One target per entry of ``classes`` (b, k), picture by picture."""
    b, k = classes.shape
    picture = torch.arange(b).repeat_interleave(k)
    chosen = classes.reshape(-1).cpu()

    def read(p: Prediction, target: Tensor) -> Tensor:
        logits = need_classification(p, "class logit").logits
        row, which = rows(len(target), chosen[target.cpu()], logits)
        return logits[row, which]

    def rivals(p: Prediction, target: Tensor) -> Tensor:
        return need_classification(p, "class logit").logits

    logits = prediction.logits
    among: dict[str, Any] = {}
    if logits.shape[1] > 1:
        among = {"rivals": rivals, "which": chosen, "among": logits.detach()[picture.to(logits.device)]}
    scores = logits[picture.to(logits.device), chosen.to(logits.device)]
    labels = tuple(prediction.names[i] for i in chosen.tolist())
    activation: Activation | None = "softmax" if prediction.exclusive else "sigmoid" if prediction.independent else None
    if activation is None:
        return Targets(scores, picture, labels, read, of="logit", **among)
    probability = probabilities(logits, activation)[picture, chosen]
    if activation == "softmax":  # shares of one whole belong to the name; of a sigmoid it stands behind
        labels = tuple(f"{label} {percent(p)}" for label, p in zip(labels, probability.tolist(), strict=True))
    return Targets(scores, picture, labels, read, probability=probability, of="logit", activation=activation, **among)


@dataclass(frozen=True)
class ClassLogit(Score):
    """The logit of a class, by number or name; of each picture's most likely class if none is given."""

    which: int | str | None = None

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        p = need_classification(prediction, self)
        if self.which is None:
            return _targets(p, p.logits.detach().argmax(1, keepdim=True))
        index = class_index(self.which, p.names)
        return _targets(p, torch.full((len(p.logits), 1), index))


@dataclass(frozen=True)
class TopK(Score):
    """The logits of each picture's k most likely classes: k targets per picture."""

    k: int = 5

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        p = need_classification(prediction, self)
        if not 1 <= self.k <= p.logits.shape[1]:
            raise UnfitTargetError(
                f"top {self.k} of {p.logits.shape[1]} classes does not exist; k is from 1 to the number of classes"
            )
        return _targets(p, p.logits.detach().topk(self.k, dim=1).indices)


@dataclass(frozen=True)
class Contrast(Score):
    """Why ``this`` rather than ``other``: the difference of two logits.

    ``this`` defaults to each picture's most likely class and ``other`` to its second.
    """

    this: int | str | None = None
    other: int | str | None = None

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        p = need_classification(prediction, self)
        logits = p.logits.detach()
        if logits.shape[1] < 2:
            raise TargetError("a contrast needs two classes; this model has one")
        best = logits.topk(2, dim=1).indices.cpu()
        this = best[:, 0] if self.this is None else torch.full((len(best),), class_index(self.this, p.names))
        if self.other is None:
            other = torch.where(best[:, 0] == this, best[:, 1], best[:, 0])
        else:
            other = torch.full((len(best),), class_index(self.other, p.names))
        if bool((this == other).any()):
            raise TargetError(
                f"a contrast of {p.names[int(this[0])]!r} with itself is 0 everywhere; give two different classes"
            )

        def read(q: Prediction, target: Tensor) -> Tensor:
            z = need_classification(q, self).logits
            row, index = rows(len(target), target, z)
            return z[row, this.to(z.device)[index]] - z[row, other.to(z.device)[index]]

        everything = torch.arange(len(best))
        labels = tuple(
            f"{p.names[a]} rather than {p.names[b]}" for a, b in zip(this.tolist(), other.tolist(), strict=True)
        )
        return Targets(read(p, everything), everything, labels, read, of="logit")


@dataclass(frozen=True, eq=False)
class Similarity(Score):
    """Cosine similarity of the picture's embedding with a reference (d,) or one per picture (b, d)."""

    reference: Float[Tensor, "*b d"] = field(repr=False)
    label: str = "likeness to the reference"

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        p = need_classification(prediction, self)
        if p.embedding is None:
            raise TargetError(
                "this model gives no embedding, so nothing can be compared with the reference; explain a class instead"
            )
        if self.reference.shape[-1] != p.embedding.shape[1]:
            raise TargetError(
                f"the reference has {self.reference.shape[-1]} values, the model's embedding {p.embedding.shape[1]}"
            )
        everything = torch.arange(len(p.embedding))

        def read(q: Prediction, target: Tensor) -> Tensor:
            e = need_classification(q, self).embedding
            assert e is not None
            reference = self.reference.to(e)
            return F.cosine_similarity(e, reference if reference.ndim == 1 else reference[target.to(e.device)], dim=-1)

        return Targets(read(p, everything), everything, (self.label,) * len(everything), read, of="cosine similarity")


@dataclass(frozen=True)
class Classes(Score):
    """The logits of several given classes: one target per class and picture; a class that is named twice is one.

    A text with commas, cut at them, may be all synonyms of one class: ImageNet calls one "tabby, tabby cat".
    """

    which: tuple[int | str, ...]

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        p = need_classification(prediction, self)
        index = torch.tensor(class_indices(self.which, p.names))
        return _targets(p, index.expand(len(p.logits), -1))


def rows(n: int, target: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Row numbers 0..n-1 and the targets, both on the device of ``like``, for gathering."""
    return torch.arange(n, device=like.device), target.to(like.device)
