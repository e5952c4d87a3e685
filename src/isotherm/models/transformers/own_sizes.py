"""Where image processors put pictures by rules of their own: of models of depth and of text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isotherm.frame import Frame


def own_place(processor: Any, settings: Mapping[str, Any], frame: Frame) -> Frame | None:
    """Where a processor puts a picture, or None where it has no rule of its own.

    GLPN shrinks both sides to whole multiples of a divisor; DPT and ZoeDepth scale to whole multiples, with the aspect
    ratio if they are set so; ZoeDepth reflects the picture's edges first, and its corners' pixels keep their places.
    PP-OCR's shrink the longer side to a limit, and both to whole multiples of 32.

    Args:
        settings: as :func:`isotherm.models.transformers.prepare.settings_of` has them.
        frame: of the picture as it is.
    """
    if not settings["do_resize"]:
        return None
    if hasattr(processor, "limit_side_len"):
        limits = (processor.limit_side_len, processor.limit_type, processor.max_side_limit)
        made, _ = processor.get_image_size(torch.empty(3, *frame.size), *limits)
        return frame.resized((int(made.height), int(made.width)))
    by = getattr(processor, "size_divisor", None)
    if by and settings["size"] is None:
        h, w = frame.size
        return frame.resized((h // by * by, w // by * by))
    if not hasattr(processor, "keep_aspect_ratio"):
        return None
    corners = settings["do_pad"] and not hasattr(processor, "size_divisor")
    if corners:
        down, across = (int(np.sqrt(n / 2) * 3) for n in frame.size)
        frame = frame.padded(across, down, across, down)
    rule = next(
        function
        for base in type(processor).__mro__
        if (function := getattr(sys.modules[base.__module__], "get_resize_output_image_size", None)) is not None
    )
    options = {"keep_aspect_ratio": processor.keep_aspect_ratio, "multiple": processor.ensure_multiple_of}
    if hasattr(processor, "size_divisor"):
        made = rule(torch.empty(1, *frame.size), (settings["size"]["height"], settings["size"]["width"]), **options)
        size = (int(made.height), int(made.width))
    else:
        made = rule(
            torch.empty(1, *frame.size),
            (settings["size"]["height"], settings["size"]["width"]),
            input_data_format="channels_first",
            **options,
        )
        size = (int(made[0]), int(made[1]))
        stride = tuple((have - 1) / (n - 1) for have, n in zip(frame.size, size, strict=True))
        return frame.to_cells((0.5, 0.5), (stride[0], stride[1]), size)
    frame = frame.resized(size)
    if settings["do_pad"] and processor.size_divisor:
        beyond = [-size[i] % processor.size_divisor for i in range(2)]
        top, left = beyond[0] // 2, beyond[1] // 2
        frame = frame.padded(left, top, beyond[1] - left, beyond[0] - top)
    return frame
