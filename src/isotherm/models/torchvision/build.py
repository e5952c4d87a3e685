"""torchvision's models built by name: with random weights, or with those of a state dict."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.models.weights.fitting import as_named, load_fitting, needed

AUXILIARY = ("aux", "AuxLogits")
"""Heads that serve training only, and that many files leave out."""


def build(name: str, seed: int, **config: Any) -> nn.Module:
    """The model with seeded random weights; the surrounding random state stays as it is."""
    from torchvision.models import get_model, get_model_builder

    if "weights_backbone" in inspect.signature(get_model_builder(name)).parameters:
        config["weights_backbone"] = None  # detectors would fetch an ImageNet backbone otherwise
    if name.lower() in ("googlenet", "inception_v3"):
        config.setdefault("init_weights", True)  # asked for explicitly, else torchvision warns
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_model(name, weights=None, **config)


def fitted(name: str, state: Mapping[str, Tensor], fpath: Path, seed: int, default_classes: int) -> nn.Module:
    """The model with a state dict's weights, and with as many classes as the state dict has."""
    model = build(name, seed)
    own = model.state_dict()
    state = as_named(state, needed(own, AUXILIARY), fpath)
    wrong = [
        key
        for key in own
        if key in state and own[key].ndim and _differ_in_count(tuple(own[key].shape), tuple(state[key].shape))
    ]
    if wrong:
        # every layer that grows with the classes has a multiple of them (anchors, box sides), so the ratio says how
        # many there are
        count, rest = divmod(len(state[wrong[0]]) * default_classes, len(own[wrong[0]]))
        if rest == 0:
            model = build(name, seed, num_classes=count)
    load_fitting(model, state, name, fpath, optional=AUXILIARY)
    return model


def _differ_in_count(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes of a weight are of layers with more and fewer outputs, and the same otherwise."""
    return one[1:] == other[1:] and one[:1] != other[:1]
