"""Fusions by name, as recipes write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from isotherm.errors import OptionError
from isotherm.gaze.fusion.attention_bias import AttentionBiasConfig
from isotherm.gaze.fusion.cross_attention import CrossAttentionConfig
from isotherm.gaze.fusion.fusion import FusionConfig
from isotherm.gaze.fusion.interleave import InterleaveConfig
from isotherm.gaze.fusion.patch_add import PatchAddConfig
from isotherm.gaze.fusion.points import PointsConfig
from isotherm.gaze.fusion.region import RegionConfig
from isotherm.gaze.fusion.temporal import TemporalConfig

FUSIONS: dict[str, type[FusionConfig]] = {
    config.name: config
    for config in (
        PatchAddConfig,
        CrossAttentionConfig,
        TemporalConfig,
        RegionConfig,
        PointsConfig,
        AttentionBiasConfig,
        InterleaveConfig,
    )
}
"""The configuration of each fusion by its name."""
VARIANTS: dict[str, dict[str, Any]] = {
    "multi_scale": {"name": "patch_add", "scales": [1, 4]},
    "learned_sigma": {"name": "patch_add", "learned_sigma": True},
    "region_add": {"name": "region", "how": "add"},
    "interleave_frames": {"name": "interleave", "per": "frame"},
    "interleave_pooled": {"name": "interleave", "pooled": True},
}
"""Further rows of a table of fusions, by names that may be used like those of fusions."""


def fusion_from(settings: Mapping[str, Any] | str | None) -> FusionConfig | None:
    """The configuration that plain data describe.

    Args:
        settings: ``name``, of a fusion or a variant, and options; a name alone; None or 'none': no fusion.

    Raises:
        OptionError: a fusion or an option that there is not.

    Example:
        >>> fusion_from({"name": "patch_add", "scales": [1, 4]}).scales
        (1, 4)
    """
    if settings is None or settings == "none":
        return None
    options: dict[str, Any] = {"name": settings} if isinstance(settings, str) else dict(settings)
    if (variant := VARIANTS.get(str(options.get("name")))) is not None:
        options = variant | {key: value for key, value in options.items() if key != "name"}
    name = options.pop("name", None)
    config = FUSIONS.get(name) if isinstance(name, str) else None
    if config is None:
        raise OptionError(f"the fusion is {name!r}; expected one of none, {', '.join((*FUSIONS, *VARIANTS))}")
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
