"""NaN and infinity on the way from a picture to its map are found, and the picture fails with a word on where they
began.

The checks are a sum over the input, the model's answer, the scores and the maps. Where one fails,
:mod:`isotherm.cam.origin` runs the model again to see where. A map is looked at before a frame lays it over the
picture, since there NaN is legal: it marks what was never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.origin import (
    HIDDEN,
    LARGE,
    MADE,
    Origin,
    backward_origin,
    describe,
    forward_origin,
    hidden_damage,
    is_finite,
    tensors_in,
)
from isotherm.cam.reading import read_prediction
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.trace import LayerMap, Targets
from isotherm.cam.view import Classification, Detections, Inputs, Prediction, Segmentation, View
from isotherm.errors import IsothermError, NonFiniteError
from isotherm.relevance.method import Method

Again = Callable[[ViewRerun, Method], object]
"""Makes one method's map once more, with another way to score changed pictures."""


@runtime_checkable
class Answering(Protocol):
    """A view that says which tensors of its raw output decide what is found; of other views all of them are looked
    at.
    """

    def answers(self, raw: Any) -> Sequence[Tensor]:
        """Scores and boxes of all candidates, with a leading dimension b."""
        ...


@contextmanager
def examined(view: View, inputs: Inputs) -> Iterator[None]:
    """Refuse an input that is not finite, and look for NaN and infinity where the model or a method ends in an error of
    its own.

    Raises:
        NonFiniteError: there are some.
    """
    for what, values in {
        "model's input": inputs.tensor,
        **{f"input {key!r}": v for key, v in inputs.extra.items()},
    }.items():
        if isinstance(values, Tensor) and not is_finite(values):
            raise NonFiniteError(
                f"the {what} holds {describe(values)}, before any layer has run",
                advice="look at the mean and deviation that pictures are prepared with",
                rows=_rows(~torch.isfinite(values), len(inputs)),
            )
    try:
        yield
    except (IsothermError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # sorting, decomposing or rounding NaN ends in errors of all kinds
        origin = forward_origin(view.model, partial(view.run, inputs))
        if origin is None:
            raise
        raise _failed(f"the model's answer cannot be read ({type(error).__name__}: {error})", origin) from error
    hidden = hidden_damage(view.model, partial(view.run, inputs))
    if hidden is not None:
        raise _failed(HIDDEN, hidden)


def check_answer(view: View, inputs: Inputs, raw: Any, prediction: Prediction) -> None:
    """What the model says of every class or candidate, explained or not: NaN has no order, so what was chosen would be
    chance.

    Minus infinity is a way to say "never" and may stand where nothing is explained, unless a detector found nothing.

    Raises:
        NonFiniteError: NaN; infinity of a class; any such value of a detector that found nothing.
    """
    if isinstance(prediction, Classification | Segmentation):
        logits = prediction.logits.detach()
        bad = logits.isnan() | (logits == torch.inf) if not is_finite(logits) else None
        if bad is not None and bool(bad.any()):
            raise _located("the model's answer", describe(logits, bad), view, inputs, _rows(bad, len(inputs)))
        return
    if not isinstance(prediction, Detections):
        return  # which of its numbers matter, only the score knows
    nothing = torch.ones(len(inputs), dtype=torch.bool)
    nothing[prediction.picture.cpu()] = False
    for values in view.answers(raw) if isinstance(view, Answering) else tensors_in(raw):
        if is_finite(values):
            continue
        bad = ~torch.isfinite(values.detach())
        if values.ndim and len(values) == len(inputs):
            bad = values.detach().isnan() | (bad & nothing.to(bad.device).view(-1, *[1] * (bad.ndim - 1)))
        elif not bool(nothing.any()):
            bad = values.detach().isnan()
        if bool(bad.any()):
            raise _located(
                "what the detector says of its candidates", describe(values, bad), view, inputs, _rows(bad, len(inputs))
            )


def check_scores(view: View, inputs: Inputs, targets: Targets) -> None:
    """The numbers that are to be explained.

    Raises:
        NonFiniteError: one is NaN or infinite.
    """
    if is_finite(targets.scores):
        return
    bad = torch.nonzero(~torch.isfinite(targets.scores.detach())).flatten().tolist()
    rows = tuple(dict.fromkeys(targets.picture[bad].tolist()))
    raise _located(
        f"the score of {targets.labels[bad[0]]}", str(float(targets.scores[bad[0]].detach())), view, inputs, rows
    )


def check_maps(rerun: ViewRerun, maps: Sequence[LayerMap], methods: Sequence[Method], again: Again) -> None:
    """The maps, as they will be kept: in single precision.

    Args:
        again: makes one method's map once more, to see which of the changed pictures it asked about has no finite
            score.

    Raises:
        NonFiniteError: a map holds a value that is NaN or infinite.
    """
    for m, method in zip(maps, methods, strict=True):
        values = m.values.detach().float()
        if is_finite(values):
            continue
        bad = torch.nonzero(~torch.isfinite(values).flatten(1).all(1)).flatten().cpu()
        picture = rerun.targets.picture.cpu()[bad]
        first = rerun.take(bad[:1])
        damage = (
            f"the map of {method.name} for {rerun.targets.labels[int(bad[0])]} holds {describe(values[int(bad[0])])}"
        )
        raise _failed(damage, _origin_of_map(first, method, m, again), tuple(dict.fromkeys(picture.tolist())))


def _origin_of_map(rerun: ViewRerun, method: Method, m: LayerMap, again: Again) -> Origin:
    """Where the first such value arises, for one target: at a layer, in the gradient, in a changed picture, or in the
    map itself.
    """
    view, inputs = rerun.view, rerun.inputs.take(rerun.targets.picture)
    origin = forward_origin(view.model, partial(view.run, inputs), masks=False) or backward_origin(
        view.model, inputs.tensor, partial(_read, rerun)
    )
    if origin is None and method.needs & {"rerun", "hessian"}:
        with suppress(IsothermError):  # some methods compare several targets, and here there is one
            try:
                again(_Watching(view, rerun.inputs, rerun.targets, rerun.layers, rerun.layouts), method)
            except _Stray as stray:
                origin = stray.origin
    return origin or Origin(
        f"the layers, the score and its gradient are finite, so the sums of {method.name} at {m.name} overflow", LARGE
    )


def _read(rerun: ViewRerun, tensor: Float[Tensor, "1 *time c h w"]) -> Tensor:
    """The first target's score of another input of its picture, with graph."""
    first = torch.zeros(1, dtype=torch.long)
    inputs = rerun.inputs.take(rerun.targets.picture[:1]).with_tensor(tensor)
    raw, pins = rerun.view.run(inputs), rerun.targets.pins
    prediction = read_prediction(rerun.view, raw, inputs, None if pins is None else pins.take(first))
    return rerun.targets.read(prediction, first).sum()


class _Stray(Exception):
    """Ends a method at the first changed picture without a finite score; never leaves this file."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin.words)
        self.origin = origin


class _Watching(ViewRerun):
    """Scores changed pictures until one has no finite score or gradient, and then says where that arises."""

    def take(self, index: Int[Tensor, " m"]) -> _Watching:
        return _Watching(self.view, self.inputs, self.targets.take(index), self.layers, self.layouts)

    def scores(self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        return self._seen(super().scores(tensor, target), tensor, target)

    def scores_of_each(self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " m"]) -> Float[Tensor, "n m"]:
        return self._seen(super().scores_of_each(tensor, target), tensor, target[:1].expand(len(tensor)))

    def input_gradient(
        self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n *time c h w"]]:
        scores, gradient = super().input_gradient(tensor, target)
        return self._seen(scores, tensor, target), self._seen(gradient, tensor, target)

    def scores_with_channels(
        self, layer: int, keep: Float[Tensor, "n c"], target: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        scores = super().scores_with_channels(layer, keep, target)
        if not is_finite(scores):
            raise _Stray(
                Origin(
                    f"the score is {describe(scores)} once some channels of {self.layers[layer]} are taken away", LARGE
                )
            )
        return scores

    def hessian_vector(self, layer: int, vector: Float[Tensor, "t c *m h w"]) -> Float[Tensor, "t c *m h w"]:
        product = super().hessian_vector(layer, vector)
        if not is_finite(product):
            raise _Stray(
                Origin(f"the score's second derivative at {self.layers[layer]} holds {describe(product)}", LARGE)
            )
        return product

    def _seen(self, values: Tensor, tensor: Tensor, target: Tensor) -> Tensor:
        if is_finite(values):
            return values
        row = int(
            torch.nonzero(~torch.isfinite(values).flatten(1 if values.ndim > 1 else 0).view(len(values), -1).all(1))[0]
        )
        inputs = self._inputs(tensor[row : row + 1], target[row : row + 1])
        one = self.take(target[row : row + 1])
        origin = forward_origin(self.view.model, partial(self.view.run, inputs)) or backward_origin(
            self.view.model, inputs.tensor, partial(_read, one)
        )
        where = "" if origin is None else f": {origin.words}"
        words = (
            f"of the picture itself everything is finite, but not of a changed one that the method asks about{where}"
        )
        raise _Stray(Origin(words) if origin is None else Origin(words, origin.advice, origin.option, origin.layer))


def _located(what: str, holds: str, view: View, inputs: Inputs, rows: tuple[int, ...]) -> NonFiniteError:
    failed = inputs.take(rows) if rows else inputs
    origin = forward_origin(view.model, partial(view.run, failed))
    return _failed(
        f"{what} is {holds}",
        origin
        or Origin("what every layer puts out is finite, so it arises in what is made of the model's output", MADE),
        rows,
    )


def _failed(damage: str, origin: Origin, rows: tuple[int, ...] = ()) -> NonFiniteError:
    return NonFiniteError(
        f"{damage}: {origin.words}", advice=origin.advice, option=origin.option, layer=origin.layer, rows=rows
    )


def _rows(bad: Tensor, count: int) -> tuple[int, ...]:
    """Pictures with a value that is marked; none where the first dimension is not that of the pictures."""
    if not bad.ndim or len(bad) != count:
        return ()
    return tuple(torch.nonzero(bad.reshape(count, -1).any(1)).flatten().tolist())
