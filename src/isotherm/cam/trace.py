"""Targets, the scores that are to be explained; the Trace, everything a method may look at, with one row per target;
and what a method returns.

A *target* is one score of one picture (a class, a detection, a mask), and how to read the same score again from a
changed picture. The Trace lines activations, gradients and frames up with the targets, so that a method is a pure
function of it and never meets a hook or a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.activation import Activation
from isotherm.cam.fields import Axis
from isotherm.cam.view import Inputs, Pins, Prediction
from isotherm.errors import MethodError
from isotherm.frame import Frame, Size
from isotherm.ops.names import known_word
from isotherm.ops.resample import interpolation_matrix, to_frame

Read = Callable[[Prediction, Tensor], Tensor]
"""(prediction with one row per changed picture, target (n,)) -> (n,) scores, differentiable."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The scores to explain in one batch of pictures.

    Args:
        scores: (t,) differentiable.
        picture: (t,) row of the batch each is about.
        labels: one line for people per target.
        read: the same scores from the prediction for changed pictures.
        pins: the findings to read again, one per target; for detectors.
        boxes: (t, 4) in input pixels, detached; for detectors.
        finding: (t,) position of the finding in its picture's list, counted from 0; for detectors.
        confidence: (t,) what the model itself reports for it, in [0, 1], where it does.
        rows: (t,) rows of the Detections;
        part: which part of the finding is explained, per target.
        probability: (t,) of the class, in [0, 1], where it is known what makes it of the logit.
        of: what the scores are by nature, ``logit`` say, where all of them are one thing. What is no logit stands
            beside the map's label with its value.
        activation: what makes the probability or the confidence of a class's logit, where that is known.
        alone: ``read`` gives one number for all pictures together, so that they must go through the model one by one.
        rivals: the logits (n, k) of all classes in the places of some targets, as ``read`` gives their scores; where
            each target is the logit of one of at least two classes.
        which: (t,) the target's own class among them.
        among: (t, k) these logits as they are, detached.
    """

    scores: Float[Tensor, " t"]
    picture: Int[Tensor, " t"]
    labels: tuple[str, ...]
    read: Read
    pins: Pins | None = None
    boxes: Float[Tensor, "t 4"] | None = None
    finding: Int[Tensor, " t"] | None = None
    confidence: Float[Tensor, " t"] | None = None
    rows: Int[Tensor, " t"] | None = None
    part: tuple[str, ...] = ()
    probability: Float[Tensor, " t"] | None = None
    of: str | None = None
    alone: bool = False
    activation: Activation | None = None
    rivals: Read | None = None
    which: Int[Tensor, " t"] | None = None
    among: Float[Tensor, "t k"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Int[Tensor, " n"]) -> Targets:
        """Some of the targets; ``read`` still speaks of the original numbering, shifted by ``index``."""
        index = index.cpu()

        def pick(t: Tensor | None) -> Tensor | None:
            return None if t is None else t[index.to(t.device)]

        read, rivals = self.read, self.rivals
        return Targets(
            self.scores[index.to(self.scores.device)],
            self.picture[index],
            tuple(self.labels[i] for i in index.tolist()),
            lambda prediction, target: read(prediction, index[target.cpu()]),
            None if self.pins is None else self.pins.take(index),
            pick(self.boxes),
            pick(self.finding),
            pick(self.confidence),
            pick(self.rows),
            tuple(self.part[i] for i in index.tolist()) if self.part else (),
            pick(self.probability),
            self.of,
            self.alone,
            self.activation,
            None if rivals is None else lambda prediction, target: rivals(prediction, index[target.cpu()]),
            pick(self.which),
            pick(self.among),
        )


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """One layer's part of a Trace.

    Args:
        name: the layer (and call).
        activation: (t, c, h, w), detached; of clips (t, c, m, h, w) with m moments.
        gradient: of each target's score, of the same shape, or None where the method did not ask for it.
        frame: batch (t,), this layer's cells -> source pixels.
        time: of clips: where the moments lie, in frames that the model is fed.
    """

    name: str
    activation: Float[Tensor, "t c *m h w"]
    gradient: Float[Tensor, "t c *m h w"] | None
    frame: Frame
    time: Axis | None = None

    def need_gradient(self) -> Float[Tensor, "t c *m h w"]:
        if self.gradient is None:
            raise MethodError(f"this method needs the gradient at {self.name}, but the trace was recorded without")
        return self.gradient

    def map_of(self, values: Float[Tensor, "t *m h w"]) -> LayerMap:
        """Values of this layer's cells as what a method returns."""
        return LayerMap(self.name, values, self.frame, time=self.time)


@dataclass(frozen=True, eq=False)
class AttentionTrace:
    """One attention block's part: probabilities and, where asked for, the score's gradient at them.

    Args:
        probabilities: (t, heads, n, n) softmax output, query by key.
        gradient: the same shape or None.
        prefix: tokens in front that are no cells.
        frame: batch (t,) of the cells behind them.
        own_gradient: of *this block's* score, what the classifier says of the tokens behind it; the same shape or None.
    """

    name: str
    probabilities: Float[Tensor, "t a n n"]
    gradient: Float[Tensor, "t a n n"] | None
    prefix: int
    frame: Frame
    own_gradient: Float[Tensor, "t a n n"] | None = None


@runtime_checkable
class Rerun(Protocol):
    """How a Trace scores changed pictures. Runs in eval mode and leaves nothing behind.

    ``target`` has one entry per row: which of the trace's targets that row is scored for.
    """

    def scores(self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Scores of changed model inputs, without graph."""
        ...

    def input_gradient(
        self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n *time c h w"]]:
        """Scores and their gradient at the model's input."""
        ...

    def scores_with_channels(
        self, layer: int, keep: Float[Tensor, "n c"], target: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """Scores when the channels of the trace's ``layer``-th layer are multiplied by ``keep``, without graph."""
        ...

    def hessian_vector(self, layer: int, vector: Float[Tensor, "t c *m h w"]) -> Float[Tensor, "t c *m h w"]:
        """Second derivative of each target's score at the trace's ``layer``-th layer, times ``vector``."""
        ...


@dataclass(frozen=True, eq=False)
class Trace:
    """Everything a method may look at.

    Args:
        scores: (t,) detached.
        picture: (t,) row of the batch each target is about.
        inputs: the batch of b pictures.
        layers: the target layers, in the order asked for.
        attention: every attention block in order of execution, or empty.
        rerun: how to score changed pictures.
        biases: every module that adds a bias: the bias broadcast as activation, the gradient at its output.
    """

    scores: Float[Tensor, " t"]
    picture: Int[Tensor, " t"]
    inputs: Inputs
    layers: tuple[LayerTrace, ...] = ()
    attention: tuple[AttentionTrace, ...] = ()
    rerun: Rerun | None = None
    biases: tuple[LayerTrace, ...] = ()

    def __len__(self) -> int:
        return self.scores.shape[0]

    @property
    def frame(self) -> Frame:
        """Input pixels -> source pixels of each target's picture, batch (t,)."""
        return self.inputs.frame[self.picture.cpu()]

    def input_of(self, target: Int[Tensor, " n"]) -> Float[Tensor, "n *time c h w"]:
        """The model input of each target's picture."""
        return self.inputs.tensor[self.picture.to(self.inputs.tensor.device)[target]]

    def need_rerun(self) -> Rerun:
        if self.rerun is None:
            raise MethodError(
                "this method scores changed pictures, but the trace was recorded without a way to run the model again"
            )
        return self.rerun

    def need_layers(self) -> tuple[LayerTrace, ...]:
        if not self.layers:
            raise MethodError("this method reads target layers, but the trace has none")
        return self.layers


@dataclass(frozen=True, eq=False)
class LayerMap:
    """What a method returns for one layer (or for the input): raw values, (t, h, w), and their frame, batch (t,).

    Args:
        values: of clips (t, m, h, w), a map per moment.
        sizes: (h, w) of each target's map before all were brought to one grid; None where nothing was enlarged.
        time: of clips: where the moments lie, in frames that the model is fed.
    """

    name: str
    values: Float[Tensor, "t *m h w"]
    frame: Frame
    sizes: tuple[Size, ...] | None = None
    time: Axis | None = None


Fuse = Literal["mean", "max"]


def fuse(maps: Sequence[LayerMap], how: Fuse = "mean") -> LayerMap:
    """One map per target from several layers, on the finest layer's grid.

    Gradients grow and shrink by orders of magnitude from layer to layer, so each target's map of each layer is
    first divided by its largest absolute value (a layer that is 0 everywhere stays 0); signs are kept. ``max``
    takes the value that is largest in absolute terms. A single map is returned untouched, unscaled.

    Raises:
        OptionError: another word than mean and max.
    """
    known_word(how, get_args(Fuse), "fuse")
    if len(maps) == 1:
        return maps[0]
    finest = max(maps, key=lambda m: m.values.shape[1:].numel())
    scaled = []
    for m in maps:
        peak = m.values.abs().amax(tuple(range(1, m.values.ndim)), keepdim=True)
        values = m.values / torch.where(peak > 0, peak, torch.ones_like(peak))
        if not m.frame.allclose(finest.frame):
            values = to_frame(values, m.frame, finest.frame, outside="edge")
        scaled.append(at_moments(values, m.time, finest.time, finest.values.shape[1]))
    stack = torch.stack(scaled)
    if how == "mean":
        values = stack.mean(0)
    else:
        values = stack.gather(0, stack.abs().argmax(0, keepdim=True))[0]
    return LayerMap(" + ".join(m.name for m in maps), values, finest.frame, time=finest.time)


def at_moments(
    values: Float[Tensor, "t *m h w"], time: Axis | None, other: Axis | None, count: int
) -> Float[Tensor, "t *k h w"]:
    """A clip's maps, which lie along one time axis, at ``count`` places of another, linearly between them; pictures' as
    they are.
    """
    if time is None or other is None or (time == other and values.shape[1] == count):
        return values
    # in units of the maps' own moments, whose middles lie at 0.5, 1.5, ...
    at = (other.first + other.stride * torch.arange(count, dtype=torch.float64) - time.first) / time.stride + 0.5
    weights = interpolation_matrix(at, values.shape[1], outside="edge").to(values)
    return torch.einsum("km,tmhw->tkhw", weights, values)
