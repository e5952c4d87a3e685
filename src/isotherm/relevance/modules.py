"""A model's modules: target layers by name (``layer4[-1]``, ``model.16``, ``blocks[-1].norm1@0``), helpful when wrong;
walking them without names, which every explanation does several times; and batch norms with right gradients.

torch 2.15 reads the gradient of an eval-mode batch norm with the wrong strides when the batch is one picture and the
gradient comes as (1, c, h, w) with a batch stride that no layout has, which is what ``flatten(2).transpose(1, 2)``
behind the layer leaves: models that turn a feature map into tokens (RT-DETR, D-FINE, hybrids). Every cell then gets
gradient that is not its own. A copy in plain strides is read rightly.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from isotherm.errors import LayerError

WRAPPERS = ("module", "_orig_mod")
"""What data-parallel and compiled wrappers call the model in them, which is explained without them."""


@dataclass(frozen=True)
class LayerRef:
    """One module, and which of its calls in the forward pass (None: it must be called exactly once)."""

    name: str
    module: nn.Module
    call: int | None = None

    def __str__(self) -> str:
        return self.name if self.call is None else f"{self.name}@{self.call}"


def resolve(model: nn.Module, layers: str | nn.Module | Sequence[str | nn.Module]) -> tuple[LayerRef, ...]:
    """Names or modules -> references, in the order given.

    A name is the dotted path of ``named_modules()``; ``[i]`` indexes a container, from the end when
    negative; ``@k`` chooses the k-th call of a module that runs more than once. A name with the prefix of a wrapper
    that was taken off (``module.``, ``_orig_mod.``) is that of the layer in it.

    Raises:
        LayerError: no such layer; the message has the nearest names and the tree at the point of failure.
    """
    if isinstance(layers, str | nn.Module):
        layers = [layers]
    if not layers:
        raise LayerError("no layer was given; name at least one, or leave the choice to layers='auto'")
    return tuple(_resolve_one(model, layer) for layer in layers)


def _resolve_one(model: nn.Module, layer: str | nn.Module) -> LayerRef:
    if isinstance(layer, nn.Module):
        for name, module in model.named_modules():
            if module is layer:
                return LayerRef(name, module)
        raise LayerError(
            f"the module {type(layer).__name__} given as layer is not part of this {type(model).__name__}; "
            "take it from the very model that is explained (a copy has other modules)"
        )
    path, _, call = layer.partition("@")
    if call and not call.isdigit():
        raise LayerError(f"layer {layer!r}: what follows @ is the number of a call, such as relu@1")
    module, walked = model, ""
    for step in re.findall(r"[^.\[\]]+|\[-?\d+\]", path):
        index = re.fullmatch(r"\[(-?\d+)\]", step)
        children = dict(module.named_children())
        if index is None:
            name = step
        else:
            names = list(children)
            i = int(index[1])
            if not -len(names) <= i < len(names):
                raise LayerError(
                    f"layer {layer!r}: {walked or type(model).__name__} has {len(names)} children, so [{i}] does not exist\n{tree(model, walked)}"
                )
            name = names[i]
        if name not in children and not walked and name in WRAPPERS:
            continue
        if name not in children:
            raise LayerError(_unknown(model, layer, walked))
        module = children[name]
        walked = f"{walked}.{name}" if walked else name
    if not walked:
        raise LayerError(_unknown(model, layer, walked))
    return LayerRef(walked, module, int(call) if call else None)


def _unknown(model: nn.Module, layer: str, walked: str) -> str:
    names = [name for name, _ in model.named_modules() if name]
    path = layer.partition("@")[0]
    near = difflib.get_close_matches(path, names, n=5, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "no name comes near it."
    return f"there is no layer {layer!r} in this {type(model).__name__}; {hint}\n{tree(model, walked)}"


def tree(model: nn.Module, at: str = "", *, width: int = 30) -> str:
    """The children of a module (``at``: its dotted name), one line each with type; for error messages and
    ``--layers``.
    """
    module = model.get_submodule(at) if at else model
    lines = [f"{at or type(model).__name__}"]
    children = list(module.named_children())
    for name, child in children[:width]:
        inner = sum(1 for _ in child.modules()) - 1
        lines.append(
            f"  {at + '.' if at else ''}{name}: {type(child).__name__}" + (f" ({inner} inside)" if inner else "")
        )
    if len(children) > width:
        lines.append(f"  ... and {len(children) - width} more")
    if not children:
        lines.append("  (nothing inside)")
    return "\n".join(lines)


def modules_of(model: nn.Module) -> list[nn.Module]:
    """Every module once, in no order that may be relied on; ten times faster than ``model.modules()``, which builds a
    path of words for each.
    """
    modules: dict[nn.Module, None] = {model: None}
    left = [model]
    while left:
        for child in left.pop()._modules.values():
            if child is not None and child not in modules:
                modules[child] = None
                left.append(child)
    return list(modules)


def parameters_of(model: nn.Module) -> Iterator[Tensor]:
    """Every parameter, a shared one as often as it is shared."""
    return (p for m in modules_of(model) for p in m._parameters.values() if p is not None)


def buffers_of(model: nn.Module) -> Iterator[Tensor]:
    """Every buffer, a shared one as often as it is shared."""
    return (b for m in modules_of(model) for b in m._buffers.values() if b is not None)


def plain_strides(gradient: Tensor) -> Tensor:
    """The same gradient; a copy in ordinary strides where the batch stride of a single picture is an odd one."""
    if gradient.ndim == 4 and gradient.shape[0] == 1 and gradient.stride(0) != gradient[0].numel():
        copy = gradient.new_empty(gradient.shape)  # clone() would keep the strides
        return copy.copy_(gradient)
    return gradient


@contextmanager
def exact_batch_norm(model: nn.Module) -> Iterator[None]:
    """Inside the block every batch norm that runs with a graph hands its gradients on in plain strides."""

    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(plain_strides)

    handles = [
        m.register_forward_hook(hook) for m in modules_of(model) if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
