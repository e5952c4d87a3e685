"""Fusions by name, as recipes write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from isotherm.errors import OptionError
from isotherm.gaze.fusion.attention_bias import AttentionBiasConfig
from isotherm.gaze.fusion.fusion import FusionConfig
from isotherm.gaze.fusion.patch_add import PatchAddConfig

FUSIONS: dict[str, type[FusionConfig]] = {config.name: config for config in (PatchAddConfig, AttentionBiasConfig)}
"""The configuration of each fusion by its name."""


def fusion_from(settings: Mapping[str, Any] | str | None) -> FusionConfig | None:
    """The configuration that plain data describe.

    Args:
        settings: ``name`` and options; a name alone; None or 'none': no fusion.

    Raises:
        OptionError: a fusion or an option that there is not.

    Example:
        >>> fusion_from({"name": "patch_add", "scales": [1, 4]}).scales
        (1, 4)
    """
    if settings is None or settings == "none":
        return None
    options: dict[str, Any] = {"name": settings} if isinstance(settings, str) else dict(settings)
    name = options.pop("name", None)
    config = FUSIONS.get(name) if isinstance(name, str) else None
    if config is None:
        raise OptionError(f"the fusion is {name!r}; expected one of none, {', '.join(FUSIONS)}")
    known = {field.name for field in fields(config)}
    strangers = sorted(set(options) - known)
    if strangers:
        raise OptionError(
            f"the fusion {name!r} has no option {', '.join(strangers)}; it has {', '.join(sorted(known))}"
        )
    plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    return config(**plain)


def fusion_settings(config: FusionConfig | None) -> dict[str, Any] | None:
    """Plain data of a configuration, which :func:`fusion_from` reads."""
    return None if config is None else {"name": config.name, **asdict(config)}
