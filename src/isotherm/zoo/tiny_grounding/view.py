"""The grounding model that ships, and the small vision-language model under it, as views."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from isotherm.cam.premises import RandomWeights
from isotherm.errors import AdapterError, OptionError
from isotherm.models.shared.dtypes import dtype_of
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.zoo.tiny_grounding.network import random_tiny_grounding_vlm, tiny_grounding_processor

if TYPE_CHECKING:
    from isotherm.zoo.grounding.view import GroundingView


def load(
    name: str = "tiny-grounding",
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
    dtype: str = "float32",
    instruction: str | None = None,
) -> TransformersVlm | GroundingView:
    """The trained model with its head where it is told something; else, for a grounding model to be made of, its
    language model with random weights.

    That was never taught to answer in words, so there are no weights of it without a head.

    Args:
        name: ``tiny-grounding``.
        weights: ``none`` without an instruction; with one they are its own.
        device: where.
        seed: of random weights.
        dtype: of random weights, float32, bfloat16 or float16.
        instruction: what it is told to find.

    Raises:
        AdapterError: weights of the language model are asked for, or others of the trained one.
        OptionError: an unknown type, or another than float32 of the trained one.

    Example:
        >>> load(weights="none").name
        'tiny-grounding, random weights of seed 0'
    """
    if instruction is not None:
        if weights is not None:
            raise AdapterError(f"{name} is told something, so its weights are those that ship; leave weights out")
        if dtype != "float32":
            raise OptionError(f"{name} with its trained weights computes in float32; leave dtype {dtype!r} out")
        from isotherm.zoo.grounding.view import load as load_trained  # with all that trains it

        return load_trained(instruction=instruction, device=device)
    if str(weights) != "none":
        raise AdapterError(
            f"weights is {weights!r}, and {name} answers no questions in words: its trained weights are those of a grounding model. "
            "Tell it what to find with instruction=, such as instruction='pick the red block', or give weights='none' for random ones",
            command_line=f"{name} answers no questions in words: its trained weights are those of a grounding model. "
            "Tell it what to find with --instruction, such as --instruction 'pick the red block', or give --weights none for random ones",
        )
    view = TransformersVlm(
        random_tiny_grounding_vlm(seed).to(device, dtype_of(dtype)),
        tiny_grounding_processor(),
        name=f"tiny-grounding, random weights of seed {seed}",
    )
    view.random_weights = RandomWeights.of(view.model, seed)
    return view
