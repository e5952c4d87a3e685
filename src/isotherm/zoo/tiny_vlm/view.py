"""The small vision-language model that ships, as a view."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import torch

from isotherm.cam.premises import RandomWeights
from isotherm.errors import AdapterError, OptionError
from isotherm.models.shared.dtypes import dtype_of
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.zoo.tiny_grounding.view import load as load_for_grounding
from isotherm.zoo.tiny_vlm.network import load_tiny_vlm, random_tiny_vlm, tiny_processor

if TYPE_CHECKING:
    from isotherm.zoo.grounding.view import GroundingView

COUNTED = "how many {category} ?"
"""The only words in which it was ever asked for a number."""


def load(
    name: str = "tiny-vlm",
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
    dtype: str = "float32",
    instruction: str | None = None,
) -> TransformersVlm | GroundingView:
    """The command line's ``--model tiny-vlm``.

    Args:
        name: ``tiny-vlm``, or with a training seed, ``tiny-vlm-0``; ``tiny-grounding`` for
            :func:`isotherm.zoo.tiny_grounding.view.load`.
        weights: a file that ``isotherm train tiny-vlm`` wrote; ``none`` for random weights; the shipped ones if None.
        seed: of random weights.
        dtype: float32, bfloat16 or float16.
        instruction: what ``tiny-grounding`` is told to find.

    Raises:
        AdapterError, WeightsError, OptionError: unknown name, seed, file or type.

    Example:
        >>> load().name
        'tiny-vlm, training seed 0'
    """
    if name == "tiny-grounding":
        return load_for_grounding(name, weights=weights, device=device, seed=seed, dtype=dtype, instruction=instruction)
    if instruction is not None:
        raise OptionError(
            f"{name} answers questions and is told nothing; ask it with prompt=, or tell tiny-grounding",
            command_line=f"{name} answers questions and is told nothing; ask it with --prompt, or tell --model tiny-grounding",
        )
    match = re.fullmatch(r"(?:tiny-vlm)?-?(\d*)", name)
    if match is None:
        raise AdapterError(f"there is no embedded model {name!r}; expected tiny-vlm")
    of = int(match[1] or 0)
    processor = tiny_processor()
    if weights is not None and str(weights) == "none":
        view = TransformersVlm(
            random_tiny_vlm(seed).to(device, dtype_of(dtype)),
            processor,
            name=f"tiny-vlm, random weights of seed {seed}",
            count_prompt=COUNTED,
        )
        view.random_weights = RandomWeights.of(view.model, seed)
        return view
    model = load_tiny_vlm(weights, seed=of).to(device, dtype_of(dtype))
    return TransformersVlm(
        model,
        processor,
        name=f"tiny-vlm, training seed {of}" if weights is None else f"tiny-vlm from {weights}",
        count_prompt=COUNTED,
    )
