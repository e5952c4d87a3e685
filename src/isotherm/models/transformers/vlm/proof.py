"""Proofs that a layout of vision tokens is that of a processor and of a model of transformers, and what a prompt's
tokens for pictures are.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from isotherm.errors import AdapterError, ShapeError
from isotherm.frame import Size
from isotherm.models.transformers.vlm.layouts.layout import (
    NoTokensError,
    UnknownPlacesError,
    VisionLayout,
    check_layout,
    coordinate_picture,
)
from isotherm.models.transformers.vlm.layouts.onevision import OneVisionLayout
from isotherm.models.transformers.vlm.prompts import entering, picture_arguments
from isotherm.models.transformers.vlm.prompts import (
    picture_positions as picture_positions,
)  # for those who look for it beside the others


class PictureOptions:
    """What an image processor is told when its whole processor runs: the processor's own ``images_kwargs`` come before
    its attributes.

    Gemma 3's processor switches pan and scan off and InternVL's switches tiles on, whatever their image processors say
    of themselves.
    """

    def __init__(self, processor: Any) -> None:
        self._inner = getattr(processor, "image_processor", None) or processor
        self._options = dict(getattr(processor, "images_kwargs", None) or {}) if self._inner is not processor else {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._options[name] if name in self._options else getattr(self._inner, name)

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The option, or ``otherwise`` where it is None or there is none."""
        value = getattr(self, name, None)
        return otherwise if value is None else value

    def get_number_of_image_patches(self, height: int, width: int, options: Mapping[str, Any]) -> Any:
        """As the image processor's, with what it is told."""
        return self._inner.get_number_of_image_patches(height, width, self._options | dict(options))


def prove(
    layout: VisionLayout,
    processor: Any,
    name: str = "the model",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    *,
    token_id: int | None = None,
) -> float:
    """Push pictures of coordinates through the processor, a wide one, a high one and both in one prompt, and see their
    tokens lie where the layout puts them.

    Args:
        mean, std: the normalisation of colours; None: the processor's.
        token_id: of a picture's token in the prompt; given, their number is proved, too.

    Returns:
        The largest distance, in cells.

    Raises:
        AdapterError: the layout is not that of the processor.
    """
    options = PictureOptions(processor)
    normal = bool(options.get("do_normalize", True))
    mean = mean if mean is not None else list(options.image_mean) if normal else [0.0] * 3
    std = std if std is not None else list(options.image_std) if normal else [1.0] * 3
    worst = 0.0
    alone = tried_sizes(layout)
    for sizes in [*([size] for size in alone), alone[:2]]:
        inputs = processed(processor, [coordinate_picture(size) for size in sizes])
        try:
            worst = max(worst, check_layout(layout, inputs, sizes, mean=mean, std=std, name=name))
            counts = [picture.count for picture in layout.pictures(inputs, sizes)]
        except ShapeError as error:
            raise AdapterError(f"the vision tokens of {name} are not those of its layout: {error}") from error
        if token_id is not None and "input_ids" in inputs:
            count = len(picture_positions(inputs["input_ids"], token_id))
            if count != sum(counts):
                raise AdapterError(
                    f"{name} has {count} tokens for pictures of {sizes}; its layout says {counts}, so it is refused"
                )
    return worst


def prove_by_model(
    layout: VisionLayout, model: Any, processor: Any, name: str = "the model", *, token_id: int, probes: int = 12
) -> float:
    """Change a picture where a token's pixels should be, and see that of all tokens of its grid this one changes most
    as it enters the language model.

    Attention spreads the change, so not every token must win; in a wrong order or behind a resampler nearly none does.

    Args:
        model: None: nothing can be proved.
        token_id: of a picture's token in the prompt.
        probes: tokens that are tried.

    Returns:
        The share of tokens that changed most.

    Raises:
        AdapterError: less than three quarters.
    """
    if model is None:
        raise AdapterError(f"without the model of {name} it cannot be seen whether its tokens stand for places at all")
    size, rng = tried_sizes(layout)[0], np.random.default_rng(0)
    noise = rng.integers(64, 192, (*size, 3), dtype=np.uint8)
    before, inputs = entering(model, processor, [noise], token_id=token_id, name=name)
    (picture,) = layout.pictures(inputs, [size])
    hits, tried = 0, []
    for grid in picture.grids:
        rows, columns = grid.frame.size
        tried += [
            (grid, k // columns, k % columns)
            for k in rng.choice(rows * columns, min(probes, rows * columns), replace=False).tolist()
        ]
    for grid, i, j in tried:
        box = grid.frame.boxes_to_source(torch.tensor([[j, i, j + 1, i + 1]], dtype=torch.float64))[0]
        left, top, right, bottom = (int(v) for v in (box + 0.5).clamp(min=0))
        changed = noise.copy()
        changed[top : max(bottom, top + 1), left : max(right, left + 1)] ^= 0xFF
        after, _ = entering(model, processor, [changed], token_id=token_id, name=name)
        moved = (after - before).norm(dim=1)
        hits += int(moved[grid.token.flatten()].argmax()) == i * grid.frame.size[1] + j
    share = hits / len(tried)
    if share < 0.75:
        raise UnknownPlacesError(
            f"of {len(tried)} tokens of {name} only {hits} answer most to the pixels where a layout puts them, so it is refused"
        )
    return share


def image_token_id(config: Any) -> int:
    """The number of the token that stands for pictures in a prompt."""
    token = marking_token_id(config, "image")
    if token is None and marking_token_id(config, "video") is not None:
        raise AdapterError(
            f"the configuration of {getattr(config, 'model_type', 'this model')!r} names a token for videos and none for pictures: it takes videos alone"
        )
    if token is None:
        raise NoTokensError(
            f"the configuration of {getattr(config, 'model_type', 'this model')!r} names no token for pictures (image_token_id or image_token_index)"
        )
    return token


def video_token_id(config: Any) -> int | None:
    """The number of the token that stands for videos; None where the family has none, or takes videos as pictures."""
    return marking_token_id(config, "video")


def tried_sizes(layout: VisionLayout) -> list[Size]:
    """A wide and a high picture, neither a multiple of anything, that a layout with tiles or crops cuts up, and one
    that is shrunk where any is.
    """
    side = getattr(layout, "side", None) or 12 * getattr(layout, "patch", 14) * getattr(layout, "merge", 2)
    sizes = (
        [(0.75, 1.3), (1.53, 0.7), (3.4, 3.7)] if isinstance(layout, OneVisionLayout) else [(0.75, 1.3), (1.53, 0.7)]
    )
    return [(round(h * side), round(w * side)) for h, w in sizes]


def processed(processor: Any, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Any:
    """Pictures as one prompt of nothing else; without any words where there is an image processor only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PaliGemma's processor makes labels in a way that numpy dislikes
        if isinstance(getattr(processor, "image_token", None), str):
            text = [processor.image_token * len(pictures)]
            return processor(text=text, **picture_arguments(processor, [pictures]), return_tensors="pt")
        return processor([Image.fromarray(picture) for picture in pictures], return_tensors="pt")


def marking_token_id(config: Any, what: str) -> int | None:
    """The number of the token that stands for an ``image`` or a ``video``; None where the configuration names none."""
    # Phi-4 multimodal has it among what it says of its vision tower
    for part in (config, getattr(config, "vision_config", None)):
        for name in (f"{what}_token_id", f"{what}_token_index"):
            if getattr(part, name, None) is not None:
                return int(getattr(part, name))
    return None
