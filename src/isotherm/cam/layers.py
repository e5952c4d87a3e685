"""Target layers by name: ``layer4[-1]``, ``model.16``, ``blocks[-1].norm1@0``; helpful when wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from isotherm.errors import LayerError


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
    negative; ``@k`` chooses the k-th call of a module that runs more than once.

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
    """The children of a module (``at``: its dotted name), one line each with type; for error messages and ``--layers``."""
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
