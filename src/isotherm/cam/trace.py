"""Trace: everything a method may look at, frozen, with one row per target.

A *target* is one score of one picture (a class, a detection, a mask). The Trace lines activations, gradients
and frames up with the targets, so that a method is a pure function of it and never meets a hook or a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.receptive import Axis
from isotherm.cam.view import Inputs
from isotherm.errors import MethodError
from isotherm.frame import Frame, Size
from isotherm.ops.names import known_word
from isotherm.ops.resample import interpolation_matrix, to_frame


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """One layer's part of a Trace.

    Args:
        name: the layer (and call).
        activation: (t, c, h, w), detached; of clips (t, c, m, h, w) with m moments. gradient: of each target's score, of the
            same shape, or None where the method did not ask for it.
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
        probabilities: (t, heads, n, n) softmax output, query by key. gradient: the same shape or None.
        prefix: tokens in front that are no cells. frame: batch (t,) of the cells behind them.
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
        scores: (t,) detached. picture: (t,) row of the batch each target is about.
        inputs: the batch of b pictures. layers: the target layers, in the order asked for.
        attention: every attention block in order of execution, or empty. rerun: how to score changed pictures.
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


@runtime_checkable
class Method(Protocol):
    """A way to turn a Trace into relevance.

    Attributes:
        name: the field's name. source: paper and equation.
        signed: negative values mean evidence against. Methods with a true attribute ``clips`` take layers of clips, (t, c, m, h, w),
            as well as of pictures; the others are refused for clips.
        needs: what the trace must hold: any of ``activation``, ``gradient``, ``attention``,
            ``attention_gradient``, ``attention_own_gradient`` (of each block's own score), ``rerun``, ``hessian``
            (of rerun), ``bias``.
    """

    name: str
    signed: bool
    needs: frozenset[str]

    def __call__(self, trace: Trace) -> Sequence[LayerMap]: ...


Formula = Callable[..., Tensor]


@dataclass(frozen=True)
class LayerMethod:
    """A method that is one formula per layer.

    Args:
        weighted: (activation, gradient), both (t, c, h, w) -> (t, c, h, w) whose channel sum is the map; any number of
            dimensions may follow the channels, for clips a third one of moments.
        local: True where a cell's value needs only that cell, so that patches can be explained by themselves.
        reduce: how channels become one map; the sum, unless the method projects.
    """

    name: str
    weighted: Formula
    signed: bool
    local: bool = False
    uses_gradient: bool = True
    reduce: Callable[[Float[Tensor, "t c *m h w"]], Float[Tensor, "t *m h w"]] = lambda product: product.sum(1)

    clips: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"activation", "gradient"} if self.uses_gradient else {"activation"})

    def map(
        self, activation: Float[Tensor, "t c *m h w"], gradient: Float[Tensor, "t c *m h w"] | None = None
    ) -> Float[Tensor, "t *m h w"]:
        """The formula itself on plain tensors, in at least float32: (t, c, h, w) -> (t, h, w), of clips (t, c, m, h, w) -> (t, m, h, w)."""
        dtype = torch.promote_types(activation.dtype, torch.float32)
        product = self.weighted(activation.to(dtype), None if gradient is None else gradient.to(dtype))
        return self.reduce(product)

    def __call__(self, trace: Trace) -> list[LayerMap]:
        return [
            layer.map_of(self.map(layer.activation, layer.need_gradient() if self.uses_gradient else None))
            for layer in trace.need_layers()
        ]


Term = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""(activation, gradient, the activation's sum over all cells, how many cells that are) -> what each cell adds to its
channel's weight; 0 where the gradient is 0."""


@dataclass(frozen=True)
class PooledMethod(LayerMethod):
    """A method whose map is sum_c w_c A_c with weights pooled from the gradient.

    A cell without gradient adds nothing to a weight, so that a score which reads few cells is explained from those.

    Args:
        term: what a cell adds to the weight; see :data:`Term`.
    """

    term: Term | None = None

    @classmethod
    def of(cls, name: str, term: Term, *, signed: bool) -> PooledMethod:
        """The method of a term."""

        def weighted(activation: Tensor, gradient: Tensor) -> Tensor:
            cells = cell_dims(activation)
            total = activation.sum(cells, keepdim=True)
            return term(activation, gradient, total, activation.shape[2:].numel()).sum(cells, keepdim=True) * activation

        return cls(name, weighted, signed, term=term)

    def weights(
        self,
        activation: Float[Tensor, "t c *m i j"],
        gradient: Float[Tensor, "t c *m i j"],
        total: Float[Tensor, "t c"],
        cells: int,
    ) -> Float[Tensor, "t c"]:
        """Channel weights from the cells that have gradient, in at least float32.

        Args:
            activation, gradient: at those cells. total: the activation's sum over the whole layer. cells: of the layer.
        """
        dtype = torch.promote_types(activation.dtype, torch.float32)
        assert self.term is not None
        dims = cell_dims(activation)
        total = total.to(dtype).unflatten(1, (-1, *[1] * len(dims)))
        return self.term(activation.to(dtype), gradient.to(dtype), total, cells).sum(dims)

    def map(
        self, activation: Float[Tensor, "t c *m h w"], gradient: Float[Tensor, "t c *m h w"] | None = None
    ) -> Float[Tensor, "t *m h w"]:
        """The formula itself; as a product of matrices, which does not keep the weighted activations."""
        assert gradient is not None
        wide = torch.promote_types(activation.dtype, torch.float32)
        weights = self.weights(
            activation, gradient, activation.sum(cell_dims(activation), dtype=wide), activation.shape[2:].numel()
        )
        return torch.bmm(weights[:, None], activation.to(weights.dtype).flatten(2)).view(
            len(activation), *activation.shape[2:]
        )


def cell_dims(values: Float[Tensor, "t c *m h w"]) -> tuple[int, ...]:
    """The dimensions of a layer's activations behind the channels: rows and columns, and the moments of clips in front of them."""
    return tuple(range(2, values.ndim))


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
    """A clip's maps, which lie along one time axis, at ``count`` places of another, linearly between them; pictures' as they are."""
    if time is None or other is None or (time == other and values.shape[1] == count):
        return values
    # in units of the maps' own moments, whose middles lie at 0.5, 1.5, ...
    at = (other.first + other.stride * torch.arange(count, dtype=torch.float64) - time.first) / time.stride + 0.5
    weights = interpolation_matrix(at, values.shape[1], outside="edge").to(values)
    return torch.einsum("km,tmhw->tkhw", weights, values)
