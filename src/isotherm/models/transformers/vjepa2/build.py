"""V-JEPA 2 of transformers: opened by name or folder, or made of a configuration with seeded weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isotherm import limits
from isotherm.errors import AdapterError, OptionError
from isotherm.models.transformers.load import need_transformers, open_config, open_model
from isotherm.untrusted.plain import first_line


def make_vjepa2(config: Any, *, seed: int) -> Any:
    """A VJEPA2Model with random weights.

    Args:
        config: a VJEPA2Config, or its settings by name.
        seed: of the weights.

    Raises:
        OptionError: settings that there are not.
        MissingExtraError: transformers is not installed.
    """
    need_transformers()
    from transformers import VJEPA2Config, VJEPA2Model

    if isinstance(config, Mapping):
        known = set(VJEPA2Config().to_dict())
        strangers = sorted(set(config) - known)
        if strangers:
            raise OptionError(f"a V-JEPA 2 has no setting {', '.join(strangers)}; it has {', '.join(sorted(known))}")
        for name in ("num_hidden_layers", "pred_num_hidden_layers"):
            layers = config.get(name, 0)
            if isinstance(layers, int | float) and layers > limits.CONFIG_LAYERS:
                raise OptionError(f"{name} is {str(layers)[:20]}; expected at most {limits.CONFIG_LAYERS} layers")
        try:
            config = VJEPA2Config(**config)
        except Exception as error:  # transformers checks values in its own words, by errors of another package
            raise OptionError(f"settings of a V-JEPA 2 do not fit one another ({first_line(error)})") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VJEPA2Model(config).eval()


def make_predictor(config: Any, *, seed: int) -> Any:
    """A VJEPA2Predictor by itself, with random weights.

    Args:
        config: as of :func:`make_vjepa2`; what it says of the encoder's layers is not made.
        seed: of the weights.
    """
    settings = config if isinstance(config, Mapping) else config.to_dict()
    return make_vjepa2(dict(settings) | {"num_hidden_layers": 0}, seed=seed).predictor


def open_vjepa2(name: str, *, weights: str = "auto", seed: int = 0, allow_code: Any = None) -> Any:
    """The VJEPA2Model of a hub name or folder, without a classifier that may lie on it.

    Args:
        name: such as 'facebook/vjepa2-vitl-fpc64-256', or a folder.
        weights: 'auto': those of the name; 'none': random ones; or a file.
        seed: of random weights.
        allow_code: the ``config.json`` that may hand arguments on, as the user said.

    Raises:
        AdapterError: it is another model.
        WeightsError: there are no such weights.
    """
    need_transformers()
    config = open_config(name, allow_code=allow_code)
    if config.model_type != "vjepa2":
        raise AdapterError(f"{name} is a model of type {config.model_type!r}; expected 'vjepa2'")
    model = open_model(name, config, weights=weights, seed=seed, allow_code=allow_code)
    return getattr(model, "vjepa2", model)
