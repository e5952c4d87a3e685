"""Where a layer's cells lie over the input: the centre of each cell's receptive field, from the operations themselves.

A 3x3 convolution with stride 2 and padding 1 centres its output cell i on input cell 2i, not on 2i + 1/2 where an even
split of the input would put it. Five of them in a row leave cells that lie half a cell, 15.5 pixels of 32, above and to
the left of where tools that stretch the map over the picture draw them. Araujo, Norris and Sim, "Computing Receptive
Fields of Convolutional Neural Networks", Distill 2019, give the recurrences; here they follow every operation of one
forward pass, so any network is served, whatever its modules are called. Training may teach kernels to look beside the
middles of their windows; how far that moves cells is followed beside it (:mod:`isotherm.cam.kernels`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from isotherm.cam.fields import Axis, Cells, Field
from isotherm.cam.moves import ANY_ORDER, MOVES, REGROUPS, WEIGHED, Move
from isotherm.cam.untraced import Untraced


class Follower(Untraced):
    """While active, follows cells from a model's input through every operation that moves them.

    Where branches meet that disagree (a pooled shortcut beside a strided convolution), cells lie at their mean. What a
    branch pooled to a single cell adds has no place and counts for nothing. Operations that regroup cells (windows of
    attention) lose them for a while; a map of the same size finds its cells again.

    Where a network looks at the frames of a clip as pictures, a follower of these pictures goes on.

    Args:
        source: the model's input.
        weighed: also follow how far the energy of convolutions' weights is from the middles of their windows.
    """

    def __init__(self, source: Tensor, *, weighed: bool = False) -> None:
        super().__init__()
        self._moves = MOVES | WEIGHED if weighed else MOVES
        self._frames = int(source.shape[1]) if source.ndim == 5 else 0
        self._pictures: Follower | None = None
        self._fields: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._by_size: dict[Cells, Field | None] = {}
        dims = source_dims(source)
        self._ndim, self._channels_first, self._channels_last = source.ndim, *usual_dims(len(dims))
        self._set(source, Field((Axis(0.5, 1.0),) * len(dims), dims))

    def of(self, tensor: Tensor, dims: tuple[int, ...] | None = None) -> Field | None:
        """Where the cells of a tensor with as many dimensions as the input lie, or None where that was lost on the way.

        Args:
            dims: which of its dimensions are cells, should the tensor itself have been lost sight of; channels first
                unless given.
        """
        if tensor in self._fields:
            return self._fields[tensor]
        if self._is_of_pictures(tensor):
            assert self._pictures is not None
            return self._pictures.of(tensor, dims)
        dims = dims or self._channels_first
        return self.of_size(tuple(tensor.shape[d] for d in dims), dims)

    def _is_of_pictures(self, tensor: Tensor) -> bool:
        return self._pictures is not None and tensor.ndim == 4

    def of_size(self, size: Cells, dims: tuple[int, ...] | None = None) -> Field | None:
        """Where the cells of the latest grid of that size lie."""
        dims = dims or self._channels_first
        if size in self._by_size:
            latest = self._by_size[size]
            return None if latest is None else replace(latest, dims=dims, followed=False)
        (*before, h, w) = size
        # nothing but regrouping (patch merging by reshape) makes a size that no followed operation made, and it never
        # overlaps
        for (*moments, rows, columns), field in reversed(self._by_size.items()):
            merged = rows > h and rows % h == 0 and columns % w == 0 and rows // h == columns // w
            if field is not None and moments == before and merged:
                axes = (*field.axes[:-2], field.y.stretched(rows, h), field.x.stretched(columns, w))
                return Field(axes, dims, followed=False)
        return None

    def _set(self, tensor: Tensor, field: Field | None) -> None:
        self._fields[tensor] = field
        size = tuple(tensor.shape[d] for d in self._channels_first) if field is None else field.size_in(tensor)
        if any(side != 1 for side in size):
            self._by_size.pop(size, None)  # so that the latest comes last
            self._by_size[size] = field

    def handle(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The operation's result, whose cells are known from here on."""
        rule = self._moves.get(func.overloadpacket)
        if rule is None:
            with self:  # under inference_mode an operation arrives whole that otherwise comes as its steps
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if func.overloadpacket in REGROUPS:
            self._regroup(args[0], out)
        for follower in (self, self._pictures):
            if follower is not None:
                follower._follow(func, rule, args, out)
        return out

    def _regroup(self, before: Tensor, after: Tensor) -> None:
        """Frames that become pictures, one after another or as channels, and pictures that become frames."""
        if not self._frames or before.shape[-2:] != after.shape[-2:]:
            return
        field = self._fields.get(before) if before.ndim == 5 else None
        one_by_one = field is not None and field.dims == (1, 3, 4) and after.shape[0] == before.shape[0] * self._frames
        as_channels = field is not None and field.dims[1:] == (3, 4) and after.shape[0] == before.shape[0]
        if field is not None and after.ndim == 4 and (one_by_one or as_channels):
            pictures = self._pictures = self._pictures or Follower(after)
            pictures._set(after, Field(field.axes[1:], followed=field.followed))
        elif self._is_of_pictures(before) and after.ndim == 5 and after.shape[1] == self._frames:
            assert self._pictures is not None
            field = self._pictures._fields.get(before)
            if field is not None and field.dims == (2, 3) and after.shape[0] * self._frames == before.shape[0]:
                self._set(after, Field((Axis(0.5, 1.0), *field.axes), (1, 3, 4), field.followed))

    def _follow(self, func: Any, rule: Move | None, args: Sequence[Any], out: Any) -> None:
        """Keep where the cells of an operation's results lie."""
        inputs = [a for arg in args for a in (arg if isinstance(arg, list | tuple) else [arg]) if isinstance(a, Tensor)]
        for result in out if isinstance(out, list | tuple) else [out]:
            if not isinstance(result, Tensor) or result.ndim != self._ndim:
                continue
            if rule is None:
                field = self._same(inputs, result)
            else:
                same = inputs[0].ndim == self._ndim
                before = self._before(inputs[0], func.overloadpacket in ANY_ORDER) if same else None
                field = None if before is None else rule(before, inputs[0], result, args)
            if field is not None or rule is not None:
                self._set(result, field)  # what moves lost cells makes lost cells, and no size speaks for them

    def _before(self, tensor: Tensor, any_order: bool) -> Field | None:
        """Where the cells of an operation's input lie; what merely cuts or turns it may find its rows and columns
        first.
        """
        return self.of(tensor) or (self.of(tensor, self._channels_last) if any_order else None)

    def _same(self, inputs: Sequence[Tensor], result: Tensor) -> Field | None:
        """Operations that move nothing: the mean of the inputs that have a place and the result's size."""
        placed = [(t, self._fields[t]) for t in inputs if self._fields.get(t) is not None]
        fields = [f for t, f in placed if _matches(t, f, result)]
        if not fields:
            return None
        return Field(
            tuple(_mean(axes) for axes in zip(*(f.axes for f in fields), strict=True)),
            fields[0].dims,
            all(f.followed for f in fields),
        )


def _mean(axes: Sequence[Axis]) -> Axis:
    return Axis(*(sum(values) / len(axes) for values in zip(*map(astuple, axes), strict=True)))


def source_dims(source: Tensor) -> tuple[int, ...]:
    """Which dimensions of a model's input are cells: rows and columns of (b, c, h, w), time as well of a clip, (b, t,
    c, h, w).
    """
    return (1, 3, 4) if source.ndim == 5 else (2, 3)


def usual_dims(count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which dimensions of a feature map are its ``count`` axes, with channels first and with channels last."""
    return tuple(range(2, count + 2)), tuple(range(1, count + 1))


def _matches(tensor: Tensor, field: Field, result: Tensor) -> bool:
    size = field.size_in(tensor)
    return any(side != 1 for side in size) and size == field.size_in(result)


_known: WeakKeyDictionary[nn.Module, dict[tuple[str, Cells], Field | None]] = WeakKeyDictionary()
_versions: WeakKeyDictionary[nn.Module, dict[int, int]] = WeakKeyDictionary()
"""Of the weights that cells were followed with."""


@runtime_checkable
class Lookup(Protocol):
    """Where a call's cells lie. dims: the cells of an output with as many dimensions as the input. grid: of a sequence
    of tokens.
    """

    def __call__(
        self, name: str, output: Tensor, *, dims: tuple[int, ...] | None = None, grid: Cells | None = None
    ) -> Field | None: ...


@contextmanager
def following(model: nn.Module, source: Tensor, names: Sequence[str]) -> Iterator[Lookup]:
    """A forward pass inside of this says where the cells of layers lie: a :class:`Lookup` for afterwards.

    The first pass of a model is followed, which costs some microseconds an operation; what it said is remembered per
    layer and input size, because a model's operations do not change from picture to picture. Where its weights were
    changed in place, as training and loading do, it is followed anew; other tensors in their stead, as a check puts
    there for a while, leave cells where they are, so that its maps can be compared cell by cell.

    Args:
        source: (b, c, h, w), or (b, t, c, h, w) of clips: the very tensor that the model is fed.
        names: of the calls that will be asked for.
    """
    size = tuple(int(source.shape[d]) for d in source_dims(source))
    known, versions = _known.setdefault(model, {}), _versions_of(model)
    before = _versions.setdefault(model, versions)
    if before != versions and before.keys() == versions.keys():
        known.clear()
        _versions[model] = versions
    if all((name, size) in known for name in names):
        yield lambda name, output, *, dims=None, grid=None: known[name, size]
        return
    follower = Follower(source, weighed=True)

    def lookup(
        name: str, output: Tensor, *, dims: tuple[int, ...] | None = None, grid: Cells | None = None
    ) -> Field | None:
        whole = output.ndim == source.ndim or (follower._is_of_pictures(output) and follower.of(output) is not None)
        field = follower.of(output, dims) if whole else follower.of_size(grid) if grid else None
        cells = grid or (0,) * len(size) if not whole or field is None else field.size_in(output)
        known[name, size] = field if field is not None and _spans(field, cells, size) else None
        return known[name, size]

    with follower:
        yield lookup


def _versions_of(model: nn.Module) -> dict[int, int]:
    """How often each of the weights was changed in place; inference mode does not count it."""
    return {id(p): 0 if p.is_inference() else p._version for p in model.parameters()}


def followed_dims(model: nn.Module, name: str, size: Cells) -> tuple[int, ...] | None:
    """Which dimensions of a layer's output are cells, if the last pass over an input of that size followed it all the
    way.

    Args:
        name: the layer, whichever of its calls.
        size: of the input: (h, w), or (frames, h, w) of clips.
    """
    for (call, of), field in _known.get(model, {}).items():
        if of == size and field is not None and field.followed and call.rpartition("@")[0] == name:
            return field.dims
    return None


def _spans(field: Field, cells: Cells, size: Cells) -> bool:
    """Whether cells there cover the input but for a few at the border: otherwise something was mistaken for them."""
    return all(
        -2.5 * a.stride <= a.first <= 2.5 * a.stride and abs(a.first + (n - 0.5) * a.stride - have) <= 3.5 * a.stride
        for a, n, have in zip(field.axes, cells, size[-len(field.axes) :], strict=True)
    )
