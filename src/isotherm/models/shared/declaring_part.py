"""The part of a module of one's own that says what it is fed: a timm model inside, or the module itself in timm's
way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from torch import nn

from isotherm.models.shared.preprocess import Preprocess


@dataclass(frozen=True)
class DeclaringPart:
    """A submodule with a configuration of its input.

    Args:
        name: within the module; empty for the module itself.
        label: whose configuration it is.
        preprocess: what it declares.
    """

    name: str
    label: str
    preprocess: Preprocess


def declaring_part(model: nn.Module) -> DeclaringPart | None:
    """The only outermost part of a module with a configuration in timm's form; None where there is none, or more than
    one.
    """
    if find_spec("timm") is None:
        return None
    parts: list[tuple[str, nn.Module, Mapping[str, Any]]] = []
    for name, module in model.named_modules():  # outer modules come first
        config = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
        inside = any(not outer or name.startswith(outer + ".") for outer, _, _ in parts)
        if isinstance(config, Mapping) and config.get("input_size") and config.get("mean") and not inside:
            parts.append((name, module, config))
    if len(parts) != 1:
        return None
    from isotherm.models.timm.view import fixed_size, preprocess_from

    name, module, config = parts[0]
    label = ".".join(str(config[k]) for k in ("architecture", "tag") if config.get(k)) or type(module).__name__
    return DeclaringPart(name, label, preprocess_from(config).with_size(fixed_size(module)))
