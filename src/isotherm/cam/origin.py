"""Where the first value that is not finite arises: a second pass through the model, with a look at every layer.

Only a picture that has failed pays for it. On the way forward the first layer is named whose output is not finite
though all that ran before it was; on the way back the first layer whose gradient is not.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.relevance.grad_mode import gradients_kept
from isotherm.relevance.modules import parameters_of

MADE = "look at the score that is asked for, and at how the model's output is read"
HIDDEN = "the answer and the map are finite only because what follows hides the broken values of a layer"
DAMAGED = "the weights are damaged: load them anew, or from another file"
HALF = "run the model in float32 or bfloat16 (dtype='float32' where isotherm opens it, model.float() where you hold it)"
HALF_OPTION = "run it with --dtype float32 or --dtype bfloat16"
LARGE = "the numbers grow beyond what can be held: look at the weights, and at the mean and deviation that pictures are prepared with"


@dataclass(frozen=True)
class Origin:
    """The first value that is not finite.

    Args:
        words: where it arises, a clause for people.
        advice, option: what to do, in Python's and in the command line's words.
        layer: the name of the layer, or None where it is none.
    """

    words: str
    advice: str = LARGE
    option: str = ""
    layer: str | None = None


def is_finite(values: Tensor) -> bool:
    """True where no value is NaN or infinite. A sum takes one pass and no memory, and every such value shows in it."""
    if not (values.is_floating_point() and values.numel()):
        return True
    values = values.detach()
    if math.isfinite(float(values.sum(dtype=torch.promote_types(values.dtype, torch.float32)))):
        return True
    return bool(torch.isfinite(values).all())  # finite values may add up to more than can be held


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in an output: a tensor, or any nest of tuples, lists, mappings and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from tensors_in(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from tensors_in(inner)
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield from tensors_in(getattr(value, f.name))


def describe(values: Tensor, bad: Bool[Tensor, "..."] | None = None) -> str:
    """What is not finite in a tensor, or what is marked as ``bad`` of it: ``NaN (3 of 64 values)``."""
    values = values.detach()
    bad = ~torch.isfinite(values) if bad is None else bad
    what = "NaN" if bool(values[bad].isnan().any()) else "infinity"
    return what if values.numel() == 1 else f"{what} ({int(bad.sum())} of {values.numel()} values)"


def forward_origin(model: nn.Module, run: Callable[[], Any], *, masks: bool = True) -> Origin | None:
    """Run the model again and name the first layer whose output is not finite though its input is; None where there is
    none.

    Args:
        model: whose layers are looked at.
        run: the forward pass, without arguments; an error that it ends with is ignored.
        masks: where nothing else is found, name what puts minus infinity where nothing shall be looked at.
    """
    watch = _Forward(model)
    with torch.inference_mode(False), torch.no_grad(), evaluating(model), watch.hooks(), contextlib.suppress(Exception):
        run()
    return watch.origin or (watch.never if masks else None)


def hidden_damage(model: nn.Module, run: Callable[[], Any]) -> Origin | None:
    """A layer whose broken weights what follows hides: fused attention, for one, makes finite numbers of NaN.

    Args: as of :func:`forward_origin`. Weights that are broken in a layer that does not run harm nobody.
    """
    if _known_sound.get(model) == (version := _version(model)):
        return None
    # minus infinity in a classifier's bias is a way to mask a class
    if not any(bool(p.isnan().any()) for p in model.parameters() if not is_finite(p)):
        _known_sound[model] = version
        return None
    origin = forward_origin(model, run, masks=False)
    return origin if origin is not None and origin.advice == DAMAGED else None


_known_sound: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
"""Models whose weights were looked at, with the state they had: a pass over all weights for every picture would be
felt.
"""


def _version(model: nn.Module) -> int:
    """A number that changes when a weight is written to."""
    return sum(p._version for p in parameters_of(model) if not p.is_inference())


def backward_origin(model: nn.Module, tensor: Float[Tensor, "..."], read: Callable[[Tensor], Tensor]) -> Origin | None:
    """Follow a score's gradient back to the input and name the first layer at whose output it is not finite.

    Args:
        model: whose layers are looked at.
        tensor: the model's input.
        read: from the input to the score, one number with its graph; an error that it ends with is ignored.
    """
    names = {module: f"layer {name}" if name else "the model's output" for name, module in model.named_modules()}
    sound: list[str] = []
    broken: list[tuple[str, Tensor]] = []

    def keep(name: str, gradient: Tensor) -> None:
        if not broken:
            if is_finite(gradient):
                sound[:] = [name]
            else:
                broken.append((name, gradient.detach()))

    def after(module: nn.Module, _args: Any, output: Any) -> None:
        for values in tensors_in(output):
            if values.requires_grad and values.is_floating_point():
                values.register_hook(partial(keep, names[module]))

    with ExitStack() as stack:
        for module in names:
            stack.callback(module.register_forward_hook(after).remove)
        with torch.inference_mode(False), torch.enable_grad(), evaluating(model), contextlib.suppress(Exception):
            leaf = tensor.detach().clone().requires_grad_()
            with gradients_kept(model, begun=True):
                score = read(leaf.clone())
            (gradient,) = torch.autograd.grad(score, leaf, allow_unused=True)
            if gradient is not None:
                keep("the input", gradient)
    if not broken:
        return None
    name, gradient = broken[0]
    half = gradient.dtype == torch.float16
    before = "".join(f"finite at {where} and then " for where in sound)
    return Origin(
        f"what every layer puts out is finite, but the gradient on its way back is {before}{describe(gradient)} at {name}{_holds(gradient)}",
        HALF if half else LARGE,
        HALF_OPTION if half else "",
        name.removeprefix("layer ") if name.startswith("layer ") else None,
    )


class _Forward:
    """Looks at what goes into every layer and what comes out, until something is not finite."""

    def __init__(self, model: nn.Module) -> None:
        self.names = {module: name for name, module in model.named_modules()}
        self.running: list[nn.Module] = []
        self.last: nn.Module | None = None
        self.origin: Origin | None = None
        self.never: Origin | None = None

    @contextlib.contextmanager
    def hooks(self) -> Iterator[None]:
        with ExitStack() as stack:
            for module in self.names:
                stack.callback(module.register_forward_pre_hook(self._before, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(self._after).remove)
            yield

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._keep((args, kwargs), True, lambda bad: self._between(module, bad))
        self.running.append(module)

    def _after(self, module: nn.Module, _args: Any, output: Any) -> None:
        if self.running:
            self.running.pop()
        weightless = next(module.parameters(recurse=False), None) is None

        def made(bad: Tensor) -> Origin:
            inside = self.last if self.last is not None and next(module.children(), None) is not None else None
            behind = "" if inside is None else f", in an operation behind {self._called(inside)},"
            return self._made(f"{self._called(module)}{behind} puts out", module, bad)

        self._keep(output, weightless, made)
        self.last = module

    def _keep(self, value: Any, may_mask: bool, made: Callable[[Tensor], Origin]) -> None:
        """Keep the first origin. What has no weights may put minus infinity where nothing shall be looked at: that
        counts last.
        """
        if self.origin is not None:
            return
        for values in tensors_in(value):
            if is_finite(values) or (may_mask and bool(((values == 0) | (values == -math.inf)).all())):
                continue
            if may_mask and not bool((values.isnan() | (values == math.inf)).any()):
                self.never = self.never or made(values)
            else:
                self.origin = made(values)
                return

    def _between(self, module: nn.Module, bad: Tensor) -> Origin:
        """What a layer was given was finite when the last one had run: the operation between them belongs to no
        layer.
        """
        owner = self.running[-1] if self.running else None
        if self.last is None:
            return self._made(f"{self._called(module)} is given", owner, bad)
        within = f" of {self._called(owner)}" if owner is not None else ""
        return self._made(
            f"an operation{within} between {self._called(self.last)} and {self._called(module)} makes", owner, bad
        )

    def _made(self, begins: str, module: nn.Module | None, bad: Tensor) -> Origin:
        name = None if module is None else self.names[module]
        damaged = None if module is None else _damaged(module)
        if damaged is not None:
            return Origin(f"{begins} {describe(bad)}, because its {damaged}", DAMAGED, layer=name)
        half = bad.dtype == torch.float16
        return Origin(
            f"{begins} {describe(bad)}{_holds(bad)}", HALF if half else LARGE, HALF_OPTION if half else "", name
        )

    def _called(self, module: nn.Module) -> str:
        name = self.names[module]
        return (
            f"layer {name} ({type(module).__name__})" if name else f"the model's own forward ({type(module).__name__})"
        )


def _holds(values: Tensor) -> str:
    """How much the number format holds, where that may be the reason."""
    most = torch.finfo(values.dtype).max
    name = str(values.dtype).removeprefix("torch.")
    return f" ({name} holds nothing above {most:g})" if values.dtype == torch.float16 else f" in {name}"


def _damaged(module: nn.Module) -> str | None:
    """A parameter or buffer of the layer itself that is not finite, in words."""
    for name, values in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
        if not is_finite(values):
            return f"{name} holds {describe(values)}"
    return None
