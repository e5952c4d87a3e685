"""The small vision-language model under the grounding model that ships, as a view."""

from __future__ import annotations

import os

import torch

from isotherm.cam.premises import RandomWeights
from isotherm.errors import AdapterError
from isotherm.models.shared.dtypes import dtype_of
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.zoo.tiny_grounding.network import random_tiny_grounding_vlm, tiny_grounding_processor


def load(
    name: str = "tiny-grounding",
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
    dtype: str = "float32",
) -> TransformersVlm:
    """The language model of ``tiny-grounding`` with random weights, for a grounding model to be made of.

    It was never taught to answer in words, so there are no weights of it without a head; the trained model with its
    head is what ``isotherm predict grounding`` opens.

    Args:
        name: ``tiny-grounding``.
        weights: ``none``.
        device: where.
        seed: of random weights.
        dtype: float32, bfloat16 or float16.

    Raises:
        AdapterError: weights are asked for.
        OptionError: an unknown type.

    Example:
        >>> load(weights="none").name
        'tiny-grounding, random weights of seed 0'
    """
    if str(weights) != "none":
        raise AdapterError(
            f"weights is {weights!r}, and {name} answers no questions in words: its trained weights are those of a grounding model. "
            "Use isotherm predict grounding, or give weights='none' for random ones"
        )
    view = TransformersVlm(
        random_tiny_grounding_vlm(seed).to(device, dtype_of(dtype)),
        tiny_grounding_processor(),
        name=f"tiny-grounding, random weights of seed {seed}",
    )
    view.random_weights = RandomWeights.of(view.model, seed)
    return view
