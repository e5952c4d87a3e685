"""A model with randomised weights, for as long as a ``with`` block lasts.

Adebayo et al., "Sanity checks for saliency maps" (NeurIPS 2018): a map that stays the same when the weights are
replaced by random ones does not explain what the model has learned. Weights are randomised from the output towards the
input; :mod:`isotherm.metrics.cascade` compares the maps.

The model's own tensors are never written to. Each module gets other tensors for the time being and its own back, the
same objects, at the end: they are untouched to the bit, with their ``.grad``, ``requires_grad`` and ties, and graphs
recorded before stay valid. That holds for frozen, bf16 and inference tensors alike, and after an exception.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.errors import MethodError, OptionError
from isotherm.metrics.references import mix


@dataclass(frozen=True)
class Randomised:
    """What was done, module by module, from the output to the input.

    Args:
        reset: modules that re-initialised themselves (``reset_parameters``).
        noised: modules whose parameters became normal noise of mean 0 and the same root mean square, because they
            cannot re-initialise themselves. A parameter that is 0 everywhere stays so: there is nothing learned in it.
    """

    reset: tuple[str, ...]
    noised: tuple[str, ...]

    @property
    def modules(self) -> int:
        """How many modules were randomised."""
        return len(self.reset) + len(self.noised)


def learned_modules(model: nn.Module, *, keep: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the modules that hold parameters of their own (or frozen batch statistics), from the output to the
    input.

    The order is that in which the model defines them, reversed; where a model defines them in another order than it
    runs them, give names to :func:`randomised` instead of a part.

    Args:
        keep: names of modules to leave out with all that they contain, e.g. a detector's constant box integral.
    """
    modules = dict(model.named_modules())
    names = [n for n, m in modules.items() if any(p is not None for p in m._parameters.values()) or _is_frozen_norm(m)]
    for name in keep:
        if name not in modules:
            raise OptionError(
                f"keep names {name!r}, which is no module of this model; name modules as model.named_modules() does"
            )
    return tuple(n for n in reversed(names) if not any(_within(n, k) for k in keep))


@contextmanager
def randomised(
    model: nn.Module,
    upto: float | Sequence[str] = 1.0,
    *,
    seed: int = 0,
    keep: Sequence[str] = (),
    calibrate: Callable[[], object] | None = None,
) -> Iterator[Randomised]:
    """The model with random weights in a part of its modules; afterwards it is as it was, bit by bit.

    A module is re-initialised by its own ``reset_parameters``; without one, its parameters become normal noise of the
    same root mean square. What a module draws depends on ``seed`` and its name only, so that a longer cascade holds
    the same weights as a shorter one, on every device, and the global random state is left as it was. Parameters that
    several modules share stay shared: randomising one randomises all.

    Batch norm: ``reset_parameters`` makes scale 1, shift 0, mean 0 and variance 1, and frozen batch norms are set to
    the same. Statistics of the old weights would be as wrong as any others, but without fitting ones the signal of a
    deep network fades to nothing on its way. So with ``calibrate`` every batch norm takes the mean and the variance of
    its present input, one after the other, within one forward pass.

    Args:
        model: the eager module (not a compiled or traced wrapper). Its train and eval flags are not touched.
        upto: which part of the modules that hold parameters, counted from the output, above 0 to 1; or names of
            modules, each with all that it contains.
        seed: of the random weights.
        keep: names of modules that are left as they are.
        calibrate: runs the model once on the pictures in question, e.g. ``lambda: model(x)``; its result is ignored.

    Yields:
        Randomised.

    Raises:
        OptionError: an unknown name, or a part outside of (0, 1].
        MethodError: parameters that are integers.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> before = model.weight.clone()
        >>> with randomised(model):
        ...     changed = not torch.equal(model.weight, before)
        >>> changed, torch.equal(model.weight, before)
        (True, True)
    """
    names = _chosen(model, upto, keep)
    modules = dict(model.named_modules())
    chosen = [modules[n] for n in names]
    saved = [(m, dict(m._parameters), dict(m._buffers)) for m in model.modules()]
    with ExitStack() as stack:
        stack.callback(_put_back, saved)
        _replace_tensors(model, {id(p) for m in chosen for p in m.parameters()})
        reset: list[str] = []
        noised: list[str] = []
        for name, module in zip(names, chosen, strict=True):
            (reset if _randomise(module, mix(seed, zlib.crc32(name.encode()))) else noised).append(name)
        _refresh_recurrent(model)
        if calibrate is not None:
            with _calibrating(model):
                calibrate()
        yield Randomised(tuple(reset), tuple(noised))


def _within(name: str, parent: str) -> bool:
    return not parent or name == parent or name.startswith(parent + ".")


def _chosen(model: nn.Module, upto: float | Sequence[str], keep: Sequence[str]) -> tuple[str, ...]:
    names = learned_modules(model, keep=keep)
    if isinstance(upto, int | float):
        if not 0 < upto <= 1:
            raise OptionError(
                f"upto is {upto}; it is the part of the modules to randomise, counted from the output, above 0 to 1"
            )
        names = names[: math.ceil(upto * len(names) - 1e-9)]
    else:
        prefixes = [upto] if isinstance(upto, str) else list(upto)
        unknown = [n for n in prefixes if n not in dict(model.named_modules())]
        if unknown:
            raise OptionError(
                f"there is no module {', '.join(map(repr, unknown))} in this model; name modules as model.named_modules() does"
            )
        names = tuple(n for n in names if any(_within(n, g) for g in prefixes))
    if not names:
        raise OptionError("none of the modules asked for holds a parameter, so there is nothing to randomise")
    return names


def _replace_tensors(model: nn.Module, chosen: set[int]) -> None:
    """Copies of these parameters and of all buffers in their places; what was shared stays shared."""
    parameters_for: dict[int, nn.Parameter] = {}
    buffers_for: dict[int, Tensor] = {}

    def copy(old: Tensor) -> Tensor:
        # not clone(): of an inference tensor that would be one again, which nothing may write to
        with torch.inference_mode(False), torch.no_grad():
            return torch.empty_like(old, requires_grad=False).copy_(old)

    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is None or id(parameter) not in chosen:
                continue
            if not (parameter.is_floating_point() or parameter.is_complex()):
                raise MethodError(
                    f"parameter {name} of {type(module).__name__} holds {parameter.dtype}; quantised weights cannot be "
                    "randomised, so check the float model it was made from"
                )
            if id(parameter) not in parameters_for:
                parameters_for[id(parameter)] = nn.Parameter(copy(parameter), requires_grad=parameter.requires_grad)
            module._parameters[name] = parameters_for[id(parameter)]
        # all buffers of the model, because a forward pass within the block may write to any of them
        for name, buffer in module._buffers.items():
            if buffer is not None:
                if id(buffer) not in buffers_for:
                    buffers_for[id(buffer)] = copy(buffer)
                module._buffers[name] = buffers_for[id(buffer)]


def _put_back(saved: list[tuple[nn.Module, dict, dict]]) -> None:
    for module, parameters, buffers in saved:
        module._parameters.clear()
        module._parameters.update(parameters)
        module._buffers.clear()
        module._buffers.update(buffers)
        _refresh_recurrent(module)


def _randomise(module: nn.Module, seed: int) -> bool:
    """Random weights for one module; True where it re-initialised itself."""
    devices = sorted({p.device.index or 0 for p in module.parameters(recurse=False) if p.device.type == "cuda"})
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        torch.random.fork_rng(devices=devices),
        _on_the_processor(module),
    ):
        before = {n: p.detach().clone() for n, p in module._parameters.items() if p is not None}
        flags = {n: p.requires_grad for n, p in module._parameters.items() if p is not None}
        if devices:
            torch.manual_seed(seed)
        else:  # the same numbers; the other would seed every device, which nothing puts back, or note its calls for later
            torch.default_generator.manual_seed(seed)
        resets = _reset(module)
        stuck = []
        for name, old in before.items():
            new = module._parameters[name]
            if new is None:
                continue
            # a reset that reaches only computed weights, or does nothing, has not re-initialised anything; but a scale
            # of 1 or a shift of 0 that a norm or a bias is reset to is as random as it gets
            if torch.equal(new, old) and not (resets and old.ndim <= 1 and bool((old == 0).all() | (old == 1).all())):
                new.copy_(_noise_like(old))
                stuck.append(name)
            new.requires_grad_(flags[name])
    return not stuck


@contextmanager
def _on_the_processor(module: nn.Module) -> Iterator[None]:
    """A module's own tensors on the CPU, and what they have become back where they were.

    Each kind of device draws other numbers from the same seed, and a verdict may not depend on the device.
    """
    kept: list[tuple[dict[str, Any], str, Tensor]] = []
    own: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
    for tensors in own:
        for name, tensor in tensors.items():
            if tensor is not None and tensor.device.type != "cpu":
                kept.append((tensors, name, tensor))
                copy = tensor.detach().cpu()
                tensors[name] = (
                    nn.Parameter(copy, requires_grad=tensor.requires_grad) if tensors is module._parameters else copy
                )
    yield
    for tensors, name, tensor in kept:
        if tensors[name] is not None:
            tensor.copy_(tensors[name])
            tensors[name] = tensor


def _reset(module: nn.Module) -> bool:
    """Let a module re-initialise itself, if it can."""
    if _is_frozen_norm(module):
        for name, value in (("running_mean", 0.0), ("running_var", 1.0), ("weight", 1.0), ("bias", 0.0)):
            buffer = module._buffers.get(name)
            if buffer is not None:
                buffer.fill_(value)
        return True
    own: Any = module
    if isinstance(module, nn.MultiheadAttention):
        own._reset_parameters()
    elif callable(getattr(own, "reset_parameters", None)):
        own.reset_parameters()
    else:
        return False
    return True


def _noise_like(old: Tensor) -> Tensor:
    """Normal values of mean 0 with the root mean square of ``old``."""
    wide = torch.promote_types(old.dtype, torch.float32)
    return (torch.randn_like(old, dtype=wide) * old.to(wide).abs().square().mean().sqrt()).to(old.dtype)


def _is_frozen_norm(module: nn.Module) -> bool:
    """Batch statistics in a module that cannot reset itself, such as torchvision's FrozenBatchNorm2d."""
    return module._buffers.get("running_mean") is not None and not callable(getattr(module, "reset_parameters", None))


def _refresh_recurrent(module: nn.Module) -> None:
    """Recurrent layers keep a second list of their weights."""
    for part in module.modules():
        if isinstance(part, nn.RNNBase):
            part._flat_weights = [getattr(part, n, None) for n in part._flat_weights_names]


@contextmanager
def _calibrating(model: nn.Module) -> Iterator[None]:
    """Every batch norm takes its statistics from the input it is about to see. In a layer that runs several times, the
    last counts.
    """

    def measure(module: nn.Module, args: tuple) -> None:
        x = args[0].detach().float()
        axes = [d for d in range(x.ndim) if d != 1]
        mean, variance = module._buffers["running_mean"], module._buffers["running_var"]
        assert mean is not None
        assert variance is not None
        with torch.inference_mode(False), torch.no_grad():
            mean.copy_(x.mean(axes))
            # a channel that is the same everywhere stays finite
            variance.copy_(x.var(axes, unbiased=False).clamp(min=1e-12))

    with ExitStack() as stack:
        for module in model.modules():
            if module._buffers.get("running_mean") is not None and module._buffers.get("running_var") is not None:
                stack.callback(module.register_forward_pre_hook(measure).remove)
        yield
