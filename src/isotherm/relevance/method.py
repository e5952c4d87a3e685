"""The method: what turns a trace into relevance, whether the trace is of a picture, of a clip or of a model's answer.

There is one protocol, :class:`Method`. What a trace holds differs: layers on grids of cells for pictures and clips,
streams of vision tokens for answers. Both have *layers*, activations with the score's gradient there, and so a method
that is one formula per layer (:class:`LayerMethod`) is written once and explains all three.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import MethodError

Subject = Literal["pictures", "clips", "answers"]
"""What is explained: what a model says of a picture, of a clip, or in answer to a question about pictures."""

NEEDS = {
    "activation": "activations of the target layers, or of the vision tokens",
    "gradient": "the score's gradient there",
    "frozen_gradient": "the same with the divisors of norms taken for constants; of answers",
    "attention": "softmax probabilities of the attention",
    "attention_gradient": "the score's gradient at them",
    "attention_own_gradient": "the gradient at them of each block's own score; of pictures",
    "hidden": "what stands behind the language model's last layer; of answers",
    "tower": "the graph from the pixels to the vision tokens; of answers",
    "rerun": "the score of changed pictures or vision tokens, and its gradient there",
    "hessian": "second derivatives of the score at the target layers; of pictures",
    "bias": "every bias of the network with the score's gradient there; of pictures",
}
"""What a method may declare that it reads of a trace; a trace is recorded with no more than its methods need."""


@runtime_checkable
class Method(Protocol):
    """A way to turn a trace into relevance.

    Attributes:
        name: the field's name.
        signed: negative values mean evidence against.
        needs: what the trace must hold, words of :data:`NEEDS`.

    A method may say more by attributes that others do without:

    - ``explains``: the subjects that it takes traces of, words of :data:`Subject`. Where a method does not say, it is
      taken at its caller's word for pictures and answers, and refused for clips, whose layers have a dimension more.
    - ``additive``: a value is an amount, so that what two tokens say of one place adds up; otherwise it is a degree,
      and is averaged.
    """

    @property
    def name(self) -> str: ...
    @property
    def signed(self) -> bool: ...
    @property
    def needs(self) -> frozenset[str]: ...

    def __call__(self, trace: Any) -> Sequence[Any] | Tensor:
        """Relevance of every cell or vision token.

        Args:
            trace: :class:`isotherm.cam.trace.Trace` of pictures and clips, :class:`isotherm.vlm.trace.TokenTrace` of
                answers.

        Returns:
            A map for each layer that was read, as :meth:`Layer.map_of` makes them. Of answers also (n,) values of the
            vision tokens.
        """
        ...


def checked_method(method: Any) -> Any:
    """The method, if it is one: an object with a name, signs and declared needs that can be called with a trace.

    Raises:
        MethodError: it is none; the message says what is missing, or which word is unknown.
    """
    if isinstance(method, type):
        raise MethodError(f"{method.__name__} is a class; give an object of it, {method.__name__}()")
    kind = getattr(method, "__name__", type(method).__name__)
    missing = [word for word in ("name", "signed", "needs") if not hasattr(method, word)]
    if missing or not callable(method):
        lacks = f"no {', '.join(missing)}" if missing else "nothing to call"
        raise MethodError(f"{kind} is no method: it has {lacks}; see isotherm.methods.Method")
    for what, words, known in (
        ("needs", method.needs, tuple(NEEDS)),
        ("explains", getattr(method, "explains", ()) or (), get_args(Subject)),
    ):
        if isinstance(words, str) or not isinstance(words, Collection):
            raise MethodError(f"{what} of the method {method.name} is {words!r}; expected a set of words")
        for word in words:
            if word not in known:
                raise MethodError(f"the method {method.name} {what} {word!r}; expected words of {', '.join(known)}")
    return method


def explains(method: Method, subject: Subject) -> bool:
    """Whether a method takes traces of a subject, as far as it says."""
    subjects = getattr(method, "explains", None)
    return subject != "clips" if subjects is None else subject in subjects


def check_explains(methods: Sequence[Method], subject: Subject, advice: str) -> None:
    """Refuse methods of other subjects.

    Args:
        advice: why, and what to take instead.

    Raises:
        MethodError: a method does not explain this subject.
    """
    unfit = [method for method in methods if not explains(method, subject)]
    if unfit:
        raise MethodError(f"{', '.join(method.name for method in unfit)} cannot explain {subject}: {advice}")


def needs_of(methods: Sequence[Method]) -> frozenset[str]:
    """What some methods read, all of them together."""
    return frozenset().union(*(method.needs for method in methods))


def is_additive(method: Method) -> bool:
    """Whether a method's values are amounts, which add up, and not degrees."""
    return bool(getattr(method, "additive", False))


@runtime_checkable
class Layer(Protocol):
    """One layer's part of a trace, one row per target."""

    @property
    def activation(self) -> Float[Tensor, "t c *cells"]:
        """Activations, detached: channels, and behind them the cells or vision tokens in any number of dimensions."""
        ...

    def need_gradient(self) -> Float[Tensor, "t c *cells"]:
        """The gradient of each target's score there; MethodError where the trace was recorded without."""
        ...

    def map_of(self, values: Float[Tensor, "t ..."]) -> Any:
        """Values of this layer's cells as what a method returns."""
        ...


@runtime_checkable
class LayeredTrace(Protocol):
    """A trace that has layers: that of pictures, that of clips, that of answers."""

    def need_layers(self) -> tuple[Layer, ...]:
        """The layers; MethodError where there are none."""
        ...


Formula = Callable[..., Tensor]


@dataclass(frozen=True)
class LayerMethod:
    """A method that is one formula per layer.

    Args:
        weighted: (activation, gradient), both (t, c, h, w) -> (t, c, h, w) whose channel sum is the map; any number of
            dimensions may follow the channels: three for clips, which have moments, one for the vision tokens of an
            answer.
        local: True where a cell's value needs only that cell, so that patches can be explained by themselves.
        reduce: how channels become one map; the sum, unless the method projects.

    Example:
        >>> squared = LayerMethod("squared", lambda activation, gradient: (gradient * activation).square(), signed=False)
        >>> squared.map(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 1.0]]])).tolist()
        [[9.0, 4.0]]
    """

    name: str
    weighted: Formula
    signed: bool
    local: bool = False
    uses_gradient: bool = True
    reduce: Callable[[Float[Tensor, "t c *cells"]], Float[Tensor, "t ..."]] = lambda product: product.sum(1)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"activation", "gradient"} if self.uses_gradient else {"activation"})

    @property
    def explains(self) -> frozenset[str]:
        """Everything that has layers; answers only where the map is a sum over channels, which adds up over streams of
        tokens.
        """
        sums = self.reduce is type(self).reduce
        return frozenset({"pictures", "clips", "answers"} if sums and self.uses_gradient else {"pictures", "clips"})

    @property
    def additive(self) -> bool:
        """A cell's own value is an amount; one that is weighted by what other cells say is a degree."""
        return self.local

    def map(
        self, activation: Float[Tensor, "t c *cells"], gradient: Float[Tensor, "t c *cells"] | None = None
    ) -> Float[Tensor, "t ..."]:
        """The formula itself on plain tensors, in at least float32: (t, c, h, w) -> (t, h, w), of clips (t, c, m, h, w)
        -> (t, m, h, w).
        """
        dtype = torch.promote_types(activation.dtype, torch.float32)
        product = self.weighted(activation.to(dtype), None if gradient is None else gradient.to(dtype))
        return self.reduce(product)

    def __call__(self, trace: LayeredTrace) -> list[Any]:
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
        activation: Float[Tensor, "t c *places"],
        gradient: Float[Tensor, "t c *places"],
        total: Float[Tensor, "t c"],
        cells: int,
    ) -> Float[Tensor, "t c"]:
        """Channel weights from the cells that have gradient, in at least float32.

        Args:
            activation, gradient: at those cells.
            total: the activation's sum over the whole layer.
            cells: of the layer.
        """
        dtype = torch.promote_types(activation.dtype, torch.float32)
        assert self.term is not None
        dims = cell_dims(activation)
        total = total.to(dtype).unflatten(1, (-1, *[1] * len(dims)))
        return self.term(activation.to(dtype), gradient.to(dtype), total, cells).sum(dims)

    def map(
        self, activation: Float[Tensor, "t c *cells"], gradient: Float[Tensor, "t c *cells"] | None = None
    ) -> Float[Tensor, "t ..."]:
        """The formula itself; as a product of matrices, which does not keep the weighted activations."""
        assert gradient is not None
        wide = torch.promote_types(activation.dtype, torch.float32)
        weights = self.weights(
            activation, gradient, activation.sum(cell_dims(activation), dtype=wide), activation.shape[2:].numel()
        )
        return torch.bmm(weights[:, None], activation.to(weights.dtype).flatten(2)).view(
            len(activation), *activation.shape[2:]
        )


def cell_dims(values: Float[Tensor, "t c *cells"]) -> tuple[int, ...]:
    """The dimensions of a layer's activations behind the channels: rows and columns, and the moments of clips in front
    of them.
    """
    return tuple(range(2, values.ndim))
