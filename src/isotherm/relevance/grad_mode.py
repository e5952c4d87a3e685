"""Gradients that stay on while a model is traced, whatever blocks its own forward pass opens and closes, and are taken
behind it.

Models switch gradients off and on inside of ``forward``: ``with torch.no_grad()`` around a frozen backbone,
``enable_grad`` around a part that is trained, ``inference_mode`` as a decorator. When such a block ends it puts back
what was on before it began. A graph that began inside would then end without a word, or a part of the layers would lose
a part of their gradient. Here a torch-function mode stands between the model and torch for the rest of one forward
pass: once the graph has begun, gradients are not put off any more, and no inference mode outlives the first operation
in it. In front of the graph it is not there, so that a model runs as fast as without it. So the gradient is that of the
same model without its blocks.

The mode is this thread's own, nothing in the model or in torch is changed, and the caller's grad mode comes back
afterwards.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx
from torch.overrides import TorchFunctionMode, _len_torch_function_stack, _pop_mode, _push_mode
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import CheckpointError, CheckpointFunction

from isotherm.errors import LayerError
from isotherm.relevance.breaks import (
    CHECKPOINTED,
    ELSEWHERE,
    LATER,
    MOST,
    Break,
    again_without_gradients,
    block_that_begins,
    first_traced,
    place_of,
    refuse_inside,
    step_of,
)
from isotherm.relevance.modules import buffers_of

_set_grad_enabled = torch._C._set_grad_enabled
FIRST = "the first target layer"
_LEAVES_TORCH = {
    Tensor.numpy,
    Tensor.__array__,
    Tensor.tolist,
    Tensor.item,
    Tensor.__float__,
    Tensor.__int__,
    Tensor.__deepcopy__,
}
"""What turns a tensor into something that torch does not follow."""


class GradientKeeper(TorchFunctionMode):
    """Keeps gradients on behind the place where the graph begins.

    Args:
        begun: whether it has begun already, at the model's input.
        early: watch the model from its input on, though the graph begins later.
        start: where it begins, in words.
        instead: what to do where it cannot go on; None: choose another layer. missed: the graph began in a thread of
            the model's own, unseen by this one: another pass must watch early.
    """

    def __init__(self, *, begun: bool, early: bool = False, start: str = FIRST, instead: str | None = None) -> None:
        super().__init__()
        self._early = early
        self._start, self._instead = start, instead or LATER
        self._elsewhere = instead or ELSEWHERE
        self.begun = begun
        self.paused = 0
        self.missed = False
        self._watching = False
        self._others = 0
        self._thread = threading.get_ident()
        self._outer = torch.inference_mode(False)
        self._left: list[torch.inference_mode] = []
        self._off: str | None = None
        self._breaks: dict[tuple[str, str], Break] = {}
        self._overruled: dict[str, None] = {}

    def take_over(self, inner: GradientKeeper) -> None:
        """Keep what a keeper saw that stood in this one's place for a while."""
        self._overruled |= inner._overruled
        for at, one in inner._breaks.items():
            self._breaks.setdefault(at, one)

    @property
    def breaks(self) -> tuple[Break, ...]:
        """The steps at which the graph ended."""
        return tuple(self._breaks.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: where the model wanted no gradients and they were kept on all the same."""
        if not self._overruled:
            return ()
        return (
            f"the model puts gradients off in {', '.join(self._overruled)}; they were kept on, so the map is that of the model without this switch",
        )

    def begin(self, layer: str) -> None:
        """Begin the graph here; what runs from now on in this forward pass is part of it.

        Args:
            layer: what begins it, for errors.

        Raises:
            LayerError: no graph can begin here.
        """
        function = running_function()
        if function is not None:
            raise refuse_inside(function, f"layer {layer} runs")
        if torch.is_inference_mode_enabled():
            if threading.get_ident() != self._thread:
                raise LayerError(
                    f"layer {layer} runs under inference_mode in a thread of its own; choose a layer of the main thread"
                )
            self._leave_inference_mode()
        self.begun = True
        if not self._watching:
            if threading.get_ident() == self._thread:
                self._watch_from_now_on()
            else:
                self.missed = True
        _set_grad_enabled(True)

    def __enter__(self) -> GradientKeeper:
        before = torch.is_grad_enabled()
        # leaves the caller's inference mode, and takes this thread back to all of its modes at the end
        self._outer.__enter__()
        _set_grad_enabled(self.begun or before)
        self._others = _len_torch_function_stack()
        # in front of the graph nothing needs watching, and torch's fast paths for inference stay open; beside
        # another mode, which might be at work when the graph begins, the order of the two has to be settled now
        if self.begun or self._early or self._others:
            self._watch_from_now_on()
        return self

    def _watch_from_now_on(self) -> None:
        self._watching = True
        _push_mode(self)

    def __exit__(self, *exception: Any) -> None:
        while _len_torch_function_stack() > self._others:
            _pop_mode()
        for guard in reversed(self._left):
            guard.__exit__(*exception)
        self._outer.__exit__(*exception)

    def __torch_function__(self, func, types_, args=(), kwargs=None):  # type: ignore[override]
        kwargs = kwargs or {}
        if func is _set_grad_enabled:
            return self._switch(*args, **kwargs)
        if self.paused:
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled():
            self._leave_inference_mode()
        if self.begun and not torch.is_grad_enabled():
            self._turn_on(args)
        if self.begun and func in _LEAVES_TORCH and first_traced(args) is not None:
            self._notice(func, args)
            args = pytree.tree_map_only(Tensor, Tensor.detach, args)
        try:
            output = func(*args, **kwargs)
        except RuntimeError as error:
            if not torch.is_grad_enabled() or isinstance(error, torch.OutOfMemoryError):
                raise
            output = again_without_gradients(error, func, args, kwargs, instead=self._instead)
        if self.begun:
            self._watch(func, args, output)
        return output

    def _switch(self, on: bool) -> None:
        """What the model asks for, unless it is to put gradients off behind the beginning of the graph."""
        if on or self.paused or not self.begun or running_function() is not None:
            self._off = None
            _set_grad_enabled(on)
        else:
            self._off = block_that_begins(sys._getframe())

    def _turn_on(self, args: Any) -> None:
        """Gradients on again behind a block that put back what was before it; not inside of an autograd function, which
        has them off by itself.
        """
        function = running_function()
        if function is None:
            _set_grad_enabled(True)
        elif issubclass(function, CheckpointFunction) and first_traced(args) is not None:
            raise self._inside(function, "runs")

    def _leave_inference_mode(self) -> None:
        """Out of a block of ``inference_mode``, whose tensors no graph can use; its end takes the thread back to before
        it.

        The way out stays open until this forward pass is over, since modes are put back in the order in which they were
        left.
        """
        function = running_function() if self.begun else None
        if function is not None:
            raise self._inside(function, "runs under inference_mode and")
        guard = torch.inference_mode(False)
        guard.__enter__()
        self._left.append(guard)
        _set_grad_enabled(self.begun)
        if self.begun:
            self._off = place_of(sys._getframe())

    def _inside(self, function: type, runs: str) -> LayerError:
        return refuse_inside(function, f"a part of the model behind {self._start} {runs}", instead=self._elsewhere)

    def _watch(self, func: Callable[..., Any], args: Any, output: Any) -> None:
        """Notice where the graph ends, and where it goes on though the model wanted none."""
        if not isinstance(output, Tensor):
            return
        if not output.requires_grad:
            self._notice(func, args)
        elif self._off is not None:
            self._overruled[self._off] = None

    def _notice(self, func: Callable[..., Any], args: Any) -> None:
        if len(self._breaks) < MOST and (traced := first_traced(args)) is not None:
            step, place = step_of(func), place_of(sys._getframe())
            self._breaks.setdefault((step, place), Break(step, place, traced.grad_fn))


class _ThisThread(threading.local):
    keeper: GradientKeeper | None = None


_this_thread = _ThisThread()


@contextmanager
def gradients_kept(
    model: nn.Module | None = None,
    *,
    begun: bool = False,
    early: bool = False,
    start: str = FIRST,
    instead: str | None = None,
) -> Iterator[GradientKeeper]:
    """For one forward pass inside of the block, gradients are kept on behind the place where its graph begins.

    A mode that changes operations must be entered before this one, which has to see what the model asks for first.
    Where such a mode begins inside of a block, another block inside of that mode takes the outer one's place.

    Args:
        model: its buffers are cut off from the graph afterwards, should the forward pass have written into them.
        begun: it begins at the input; otherwise where :meth:`GradientKeeper.begin` or :func:`begin_graph` is called.
        early, start, instead: as of :class:`GradientKeeper`.
    """
    before = _this_thread.keeper
    with resting(before), GradientKeeper(begun=begun, early=early, start=start, instead=instead) as keeper:
        _this_thread.keeper = keeper
        try:
            yield keeper
        finally:
            _this_thread.keeper = before
            if before is not None:
                before.take_over(keeper)
            if model is not None and keeper.begun:
                _release_buffers(model)


@contextmanager
def resting(keeper: GradientKeeper | None) -> Iterator[None]:
    """Inside of the block a keeper lets everything pass."""
    if keeper is not None:
        keeper.paused += 1
    try:
        yield
    finally:
        if keeper is not None:
            keeper.paused -= 1


def begin_graph(layer: str) -> None:
    """Put gradients on here, and keep them on where this thread's forward pass is traced by :func:`gradients_kept`.

    Args:
        layer: what begins the graph, for errors.
    """
    if _this_thread.keeper is None:
        torch.set_grad_enabled(True)
    else:
        _this_thread.keeper.begin(layer)


@contextmanager
def without_gradients() -> Iterator[None]:
    """``torch.no_grad()`` for adapters: what is done inside is meant to have no gradient, and keeps to that while
    traced.
    """
    with resting(_this_thread.keeper), torch.no_grad():
        yield


def _release_buffers(model: nn.Module) -> None:
    """Cut the graph off from buffers that the forward pass wrote into: it would live on in the model."""
    for buffer in buffers_of(model):
        if buffer.grad_fn is not None and not buffer._is_view():
            buffer.detach_()


def running_function() -> type | None:
    """The custom autograd function (``torch.autograd.Function``) whose forward this code runs in, if any; its inside
    has no graph.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "forward" and frame.f_code.co_varnames:
            first = frame.f_locals.get(frame.f_code.co_varnames[0])
            if isinstance(first, FunctionCtx):
                running: type = type(first)._forward_cls  # type: ignore[attr-defined]
                return running
            # forward comes without a context where the function sets it up by itself
            if not isinstance(first, nn.Module) and (function := _function_of(frame.f_code)) is not None:
                return function
        frame = frame.f_back
    return None


def _function_of(code: CodeType) -> type | None:
    waiting = list(Function.__subclasses__())
    while waiting:
        function = waiting.pop()
        if getattr(inspect.unwrap(function.forward), "__code__", None) is code:
            return function
        waiting.extend(function.__subclasses__())
    return None


def differentiate(
    outputs: Tensor | Sequence[Tensor], inputs: Sequence[Tensor], **options: Any
) -> tuple[Tensor | None, ...]:
    """``torch.autograd.grad``; where it cannot be, an error that says what to do.

    Raises:
        LayerError: a checkpoint's second computation differs from the first, or the model writes over what the gradient
            needs.
    """
    try:
        gradients: tuple[Tensor | None, ...] = torch.autograd.grad(outputs, inputs, **options)
    except CheckpointError as error:
        raise LayerError(
            f"the second computation was not that of the forward pass, which kept gradients on where the model puts them off: {CHECKPOINTED}"
        ) from error
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise LayerError(
            f"the model writes over values that the gradient needs, as one may where gradients are off ({str(error).partition(';')[0]}); "
            "choose a layer behind that step, or a method that needs no gradient, such as eigencam or scorecam"
        ) from error
    return gradients
