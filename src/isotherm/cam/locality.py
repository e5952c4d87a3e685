"""Which cells one cell of a small network's output depends on: proved from its modules, or refused.

A detector's class score of one cell is a chain of a few convolutions over the feature map in front of it, so it
reads a small square around the cell and nothing else. Then gradients of many detections need no dense pass: each
square can be cut out and put through the chain by itself. Whether a module is such a chain is not assumed: its leaf
modules are followed by the identity of the tensors they hand on, and everything that is not a stride-1 "same"
convolution or a function of single cells is refused with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from isotherm.cam.capture import evaluating

POINTWISE = frozenset(
    {
        nn.BatchNorm2d,
        nn.Identity,
        nn.Dropout,
        nn.Dropout2d,
        nn.ReLU,
        nn.ReLU6,
        nn.LeakyReLU,
        nn.PReLU,
        nn.ELU,
        nn.SELU,
        nn.GELU,
        nn.SiLU,
        nn.Mish,
        nn.Hardswish,
        nn.Hardsigmoid,
        nn.Hardtanh,
        nn.Sigmoid,
        nn.Tanh,
        nn.Softplus,
    }
)
"""Modules that, in eval mode, compute a cell from that cell alone. Exact types: a subclass may do anything."""


@dataclass(frozen=True)
class Refused:
    """Why the quick way is not taken, in words for a person."""

    reason: str


@dataclass(frozen=True, eq=False)
class Chain:
    """A sequence of convolutions and cell-wise modules, proved to be one.

    Args:
        steps: the leaf modules in the order in which they run.
        radius: how far a cell of the output sees, in cells.
    """

    steps: tuple[nn.Module, ...]
    radius: int

    def at_centres(self, patches: Float[Tensor, "m c k k"], inside: Bool[Tensor, "m k k"]) -> Float[Tensor, "m o"]:
        """The chain's output at the centre cell of each patch, as in the picture that the patches were cut from.

        A dense convolution pads every intermediate map with zeros beyond the picture's edge, so the values that a patch
        has there (a bias, passed through an activation) are set to 0 before each convolution that would read them.

        Args:
            patches: odd k >= 2 * radius + 1, with the cell in the middle.
            inside: which of its cells are in the picture.
        """
        spare = patches.shape[-1] // 2 - self.radius
        x = patches[..., spare : patches.shape[-2] - spare, spare : patches.shape[-1] - spare]
        inside = inside[:, spare : inside.shape[1] - spare, spare : inside.shape[2] - spare]
        border = not bool(inside.all())
        for step in self.steps:
            reach = _reach(step)
            if not reach:
                x = step(x)
                continue
            assert isinstance(step, nn.Conv2d)
            if border:
                x = x.masked_fill(~inside[:, None], 0)
            x = F.conv2d(x, step.weight, step.bias, dilation=step.dilation, groups=step.groups)
            inside = inside[:, reach : inside.shape[1] - reach, reach : inside.shape[2] - reach]
        return x.flatten(1)


def prove_chain(module: nn.Module, channels: int) -> Chain | Refused:
    """The module as a :class:`Chain`, or why it is not known to be one.

    The module is run once on a tiny map of zeros; afterwards it is as before.

    Args:
        module: takes (b, channels, h, w) and returns (b, o, h, w).
    """
    for name, inner in module.named_modules():
        if inner._forward_hooks or inner._forward_pre_hooks:
            return Refused(f"{_called(name, inner)} has hooks, whose effect cannot be known")
    run = _follow(module, channels)
    if isinstance(run, Refused):
        return run
    radius = 0
    for step in run:
        if isinstance(why := _spatial(step), Refused):
            return why
        radius += _reach(step)
    return Chain(tuple(run), radius)


def _follow(module: nn.Module, channels: int) -> list[nn.Module] | Refused:
    """The leaf modules in order, if each hands its very output tensor to the next."""
    calls: list[tuple[nn.Module, tuple, object]] = []

    def note(inner: nn.Module, args: tuple, output: object) -> None:
        calls.append((inner, args, output))

    leaves = {id(m): m for m in module.modules() if not any(True for _ in m.children())}.values()
    parameter = next(module.parameters(), None)
    dummy = torch.zeros(1, channels, 2, 2) if parameter is None else parameter.detach().new_zeros(1, channels, 2, 2)
    handles = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with torch.no_grad(), evaluating(module):
            end = module(dummy)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        return Refused(f"{type(module).__name__} does not run on a small map ({type(error).__name__})")
    finally:
        for handle in handles:
            handle.remove()
    at: object = dummy
    for inner, args, output in calls:
        if len(args) != 1 or args[0] is not at:
            return Refused(
                f"{type(module).__name__} is not a plain chain: something happens before its {type(inner).__name__}"
            )
        at = output
    if at is not end:
        return Refused(f"{type(module).__name__} is not a plain chain: something happens after its last module")
    return [inner for inner, _, _ in calls]


def _spatial(step: nn.Module) -> Refused | None:
    if type(step) in POINTWISE:
        if isinstance(step, nn.BatchNorm2d) and step.running_mean is None:
            return Refused("a BatchNorm2d without running statistics reads the whole picture")
        return None
    if type(step) is not nn.Conv2d:
        return Refused(f"{type(step).__name__} is not known to read a bounded neighbourhood")
    same = all(
        isinstance(p, int) and k % 2 == 1 and p == d * (k - 1) // 2
        for p, k, d in zip(step.padding, step.kernel_size, step.dilation, strict=True)
    )
    square = step.kernel_size[0] == step.kernel_size[1] and step.dilation[0] == step.dilation[1]
    if step.stride != (1, 1) or step.padding_mode != "zeros" or not same or not square:
        return Refused(
            f"a convolution with kernel {step.kernel_size}, stride {step.stride} and padding {step.padding} ({step.padding_mode}) "
            "does not keep cells in their places"
        )
    return None


def _reach(step: nn.Module) -> int:
    return step.dilation[0] * (step.kernel_size[0] - 1) // 2 if isinstance(step, nn.Conv2d) else 0


def _called(name: str, module: nn.Module) -> str:
    return f"{type(module).__name__} {name}".strip()
