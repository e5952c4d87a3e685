"""The layout of vision tokens that belongs to a vision-language model of transformers, from its configuration and its
processor.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from isotherm.errors import AdapterError
from isotherm.models.transformers.vlm.layouts.layout import (
    NoTokensError,
    UnknownPlacesError,
    VisionLayout,
    coordinate_picture,
)
from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.models.transformers.vlm.layouts.onevision import OneVisionLayout, PaddedLayout
from isotherm.models.transformers.vlm.layouts.qwen import QwenLayout
from isotherm.models.transformers.vlm.layouts.squares import CentreCropLayout, PanAndScanLayout, SquashedLayout
from isotherm.models.transformers.vlm.layouts.tiles import IdeficsLayout, InternLayout
from isotherm.models.transformers.vlm.prompts import picture_arguments, prompt_text
from isotherm.models.transformers.vlm.proof import (
    PictureOptions,
    image_token_id,
    picture_positions,
    processed,
    prove,
    prove_by_model,
)
from isotherm.models.transformers.vlm.proof import (
    video_token_id as video_token_id,  # for those who look for it beside the others
)


def layout_of(model_type: str, config: Any, processor: Any, *, model: Any = None) -> VisionLayout:
    """Where the vision tokens of a model lie.

    Args:
        model_type: of its configuration.
        config: its whole configuration.
        processor: its processor, or its image processor alone; options that are given with a call are not known here,
            so :func:`isotherm.models.transformers.vlm.proof.prove` what was prepared with any.
        model: which a family that is not known needs for :func:`proved_layout`.

    Raises:
        UnknownPlacesError: no layout is known of the family, and none could be proved.
        AdapterError: the processor is not that of the model, or the model could not be measured.
    """
    made = None if _of_any_size(config) else FAMILIES.get(model_type)
    return (
        made(model_type, config, PictureOptions(processor))
        if made
        else proved_layout(model_type, config, processor, model=model)
    )


def proved_layout(model_type: str, config: Any, processor: Any, *, model: Any = None) -> VisionLayout:
    """A layout for a family that is not known, if it proves itself, or a measured one.

    Tried are Qwen's, where the processor gives ``image_grid_thw``, and squares, where it makes one square of each
    picture and as many tokens as a square has. Pictures of coordinates prove what the processor does. They do not say
    what a model makes of it: a resampler's 64 tokens look like a square of 8 x 8 and stand for no place. So the model
    itself must show that its tokens answer to their pixels. Where none of these fits, the model is measured.

    Raises:
        UnknownPlacesError: none fits, and the tokens stand for no place.
        NoTokensError: none fits, and the model could not be measured.
        AdapterError: none fits, and there was no model; or its processor leaves questions out.
    """
    if _leaves_questions_out(processor, config, model_type):
        raise AdapterError(
            f"the processor of {model_type!r} writes the same prompt whatever is asked, so no question about a picture reaches the model and no answer to one can be explained"
        )
    reasons: list[str] = []
    kind = AdapterError
    try:
        for layout in _simple(config, processor):
            try:
                prove(layout, processor, model_type, token_id=image_token_id(config))
                prove_by_model(layout, model, processor, model_type, token_id=image_token_id(config))
                return layout
            except AdapterError as error:
                reasons.append(f"{type(layout).__name__}: {error}")
    except (
        AdapterError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # whatever a processor that nobody knows may do
        reasons.append(str(error))
    if model is not None:
        try:
            token_id = image_token_id(config)
            measured = MeasuredLayout(
                model, processor, token_id=token_id, name=model_type, video_token_id=video_token_id(config)
            )
            prove_by_model(measured, model, processor, model_type, token_id=token_id)
            return measured
        except (AdapterError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
            reasons.append(f"measured: {error}")  # whatever a model that nobody knows may do
            kind = UnknownPlacesError if isinstance(error, UnknownPlacesError) else NoTokensError
    raise kind(
        f"it is not known which pixels the vision tokens of {model_type!r} stand for, and a map would have to guess: "
        f"no layout proves itself ({'; '.join(reasons) or 'none applies'})"
    )


def _leaves_questions_out(processor: Any, config: Any, name: str) -> bool:
    """Whether a processor writes prompts of its own, as ShieldGemma 2's does: policies that a picture may break."""
    try:
        shown = picture_arguments(processor, [[coordinate_picture((48, 56))]])
        token_id = image_token_id(config)
        texts = [prompt_text(processor, "image", 1, text, token_id=token_id, name=name) for text in ("a", "a a a")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PaliGemma's processor makes labels in a way that numpy dislikes
            short, long = (processor(text=[t], **shown, return_tensors="pt")["input_ids"] for t in texts)
    except (AdapterError, AttributeError, LookupError, TypeError, ValueError, RuntimeError):
        return False  # it may fail for many reasons, which are said where it is needed
    return bool(short.shape == long.shape and (short == long).all())


def _simple(config: Any, processor: Any) -> Iterator[VisionLayout]:
    """The layouts that need no more than one call to be made."""
    options, inputs = PictureOptions(processor), processed(processor, [coordinate_picture((48, 56))])
    if "image_grid_thw" in inputs:
        yield QwenLayout.of(options)
        return
    if "input_ids" not in inputs:
        return
    values, count = inputs["pixel_values"], len(picture_positions(inputs["input_ids"], image_token_id(config)))
    side, n = values.shape[-1], math.isqrt(count)
    if values.shape[-2] == side and values.numel() == 3 * side**2 and n * n == count and n and side % n == 0:
        yield from (layout(side=side, stride=side // n) for layout in (SquashedLayout, CentreCropLayout, PaddedLayout))


def _of_any_size(config: Any) -> bool:
    """Whether a vision tower takes pictures of any size, whatever the family is: LLaVA's class may have Pixtral's."""
    return getattr(getattr(config, "vision_config", None), "model_type", None) == "pixtral"


def _number(value: Any) -> int:
    """A side, which some configurations give as (h, w)."""
    if isinstance(value, (list, tuple)):
        if len(set(value)) != 1:
            raise AdapterError(f"sides of {tuple(value)} are not square")
        value = value[0]
    return int(value)


def _side(options: PictureOptions, name: str) -> int:
    """The side of the square that every picture, or tile of one, is stretched to."""
    size, crop = options.get("size", {}), options.get("crop_size", {})
    height, width = _of(size, "height"), _of(size, "width")
    if height is None and _of(crop, "height") == _of(crop, "width") == _of(size, "shortest_edge"):
        height = width = _of(crop, "height")
    if height is None or height != width or not options.get("do_resize", True):
        raise AdapterError(
            f"the processor of {name} does not stretch pictures to one square (size {size}), so where its tokens lie is not known"
        )
    return int(height)


def _of(size: Any, name: str) -> Any:
    return size.get(name) if hasattr(size, "get") else getattr(size, name, None)


def _vision(config: Any) -> tuple[int, int]:
    """(side, patch) that the vision tower takes."""
    return _number(config.vision_config.image_size), _number(config.vision_config.patch_size)


def _same(name: str, side: int, tower: int) -> int:
    if side != tower:
        raise AdapterError(
            f"the processor of {name} makes squares of {side} pixels, its vision tower takes {tower}; take the processor that belongs to the model"
        )
    return side


def _qwen(name: str, config: Any, options: PictureOptions) -> VisionLayout:
    layout, vision = QwenLayout.of(options), config.vision_config
    theirs = _number(vision.patch_size), int(vision.spatial_merge_size), _number(vision.temporal_patch_size)
    if (layout.patch, layout.merge, layout.temporal) != theirs:
        raise AdapterError(
            f"the processor of {name} has (patch, merge, temporal) {(layout.patch, layout.merge, layout.temporal)}, its vision tower {theirs}; take the processor that belongs to the model"
        )
    return layout


def _paligemma(name: str, config: Any, options: PictureOptions) -> VisionLayout:
    side, patch = _vision(config)
    return SquashedLayout(side=_same(name, _side(options, name), side), stride=patch)


def _gemma(name: str, config: Any, options: PictureOptions) -> VisionLayout:
    side, patch = _vision(config)
    _same(name, _side(options, name), side)
    tokens = math.isqrt(int(config.mm_tokens_per_image))
    stride = patch * (side // patch // tokens)
    if stride * tokens != side:
        raise AdapterError(
            f"{name} makes {tokens} x {tokens} tokens of {side // patch} x {side // patch} patches; expected whole blocks of patches"
        )
    if not options.get("do_pan_and_scan", False):
        return SquashedLayout(side=side, stride=stride)
    return PanAndScanLayout(
        side=side,
        stride=stride,
        least=int(options.pan_and_scan_min_crop_size),
        most=int(options.pan_and_scan_max_num_crops),
        ratio=float(options.pan_and_scan_min_ratio_to_activate),
    )


def _llava(name: str, config: Any, options: PictureOptions) -> VisionLayout:
    side, patch = _vision(config)
    size, crop = options.get("size", {}), options.get("crop_size", {})
    shortest = _of(size, "shortest_edge")
    if shortest is None or not options.get("do_resize", True):
        return SquashedLayout(side=_same(name, _side(options, name), side), stride=patch)
    if not options.get("do_center_crop", False) and not options.get("do_pad", False):
        raise AdapterError(
            f"the processor of {name} keeps pictures' shapes (size {size}) and crops none, so its tokens are no square"
        )
    if options.get("do_center_crop", False) and (_of(crop, "height"), _of(crop, "width")) != (shortest, shortest):
        raise AdapterError(
            f"the processor of {name} resizes the shorter side to {shortest} and crops {crop}; expected the same size"
        )
    layout = PaddedLayout if options.get("do_pad", False) else CentreCropLayout
    return layout(side=_same(name, int(shortest), side), stride=patch)


def _onevision(name: str, config: Any, options: PictureOptions) -> VisionLayout:
    side, patch = _vision(config)
    ours, theirs = (
        [tuple(map(int, p)) for p in places] for places in (options.image_grid_pinpoints, config.image_grid_pinpoints)
    )
    if ours != theirs:
        raise AdapterError(
            f"the processor of {name} and its model have different image_grid_pinpoints; take the processor that belongs to the model"
        )
    most = str(getattr(config, "vision_aspect_ratio", None) or "").removeprefix("anyres_max_")
    if not most.isdigit() and name != "llava_next":
        raise AdapterError(
            f"vision_aspect_ratio of {name} is {config.vision_aspect_ratio!r}; expected anyres_max_ and a number"
        )
    return OneVisionLayout(
        side=_same(name, _side(options, name), side),
        patch=patch,
        canvases=ours,
        most=int(most) if most.isdigit() else None,
    )


def _idefics(name: str, config: Any, options: PictureOptions) -> VisionLayout:
    side, patch = _vision(config)
    layout = IdeficsLayout(options, stride=patch * int(config.scale_factor))
    _same(name, layout.side, side)
    return layout


def _intern(name: str, config: Any, options: PictureOptions) -> VisionLayout:
    side, patch = _vision(config)
    _same(name, _side(options, name), side)
    return InternLayout(options, stride=patch * round(1 / config.downsample_ratio))


FAMILIES: dict[str, Callable[[str, Any, PictureOptions], VisionLayout]] = {
    "qwen2_vl": _qwen,
    "qwen2_5_vl": _qwen,
    "qwen3_vl": _qwen,
    "qwen3_vl_moe": _qwen,
    "paligemma": _paligemma,
    "gemma3": _gemma,
    "llava": _llava,
    "llava_next": _onevision,
    "llava_onevision": _onevision,
    "idefics3": _idefics,
    "smolvlm": _idefics,
    "internvl": _intern,
}
"""Of each model type, what makes its layout."""
