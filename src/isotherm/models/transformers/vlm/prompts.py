"""Prompts in a model's own template, and what enters its language model of them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError, ShapeError
from isotherm.models.transformers.vlm.deepstack import BY_LAYER, deeper_tokens
from isotherm.vlm.view import PromptInputs

PIXEL_NAMES = ("pixel_values", "pixel_values_images", "image_pixel_values", "image_patches", "flattened_patches")
"""Of the inputs that pictures become, as families call it."""
UNUSED = ("labels", "video_metadata")
"""What processors give and a forward pass does not take."""


def prompt_text(
    processor: Any, what: str, n: int, prompt: str, *, token_id: int, name: str, text_first: bool = False
) -> str:
    """A prompt in the template of a model's processor; models that were never taught to chat get the pictures' marks
    and the words.

    Args:
        what: ``image`` or ``video``.
        n: how many of them.
        token_id: of a picture in the prompt.
        name: what to call the model.
        text_first: the words before the pictures.

    Raises:
        AdapterError: the template writes nothing for them.
    """
    if getattr(processor, "chat_template", None):
        text = _chat(processor, what, n, prompt, text_first)
        if text.split() == _chat(processor, what, 0, prompt, False).split():
            kind = "pictures" if what == "image" else "videos"
            instead = "" if what == "image" else "; or ask about the frames as pictures"
            raise AdapterError(
                f"the chat template of {name} writes nothing for {{'type': {what!r}}}, so the prompt has no place for {kind}; "
                f"give its processor a chat template that writes the model's mark of {kind} there{instead}"
            )
        return text
    mark = getattr(processor, f"{what}_token", None) or processor.tokenizer.convert_ids_to_tokens(token_id)
    if getattr(processor, "num_query_tokens", None) is not None or _puts_marks(processor, f"{mark}"):
        if n > 1:
            raise AdapterError(f"{name} takes one {what} in a prompt; {n} were given: ask about each by itself")
        return prompt
    return prompt + f"{mark}" * n if text_first else f"{mark}" * n + prompt


def _puts_marks(processor: Any, mark: str) -> bool:
    """Whether a processor puts a picture's mark into every prompt, as Fuyu's does, also where one is there."""

    def marks(text: str) -> int:
        _, (text, *_), *_ = processor.prepare_inputs_layout(images=[[Image.new("RGB", (8, 8))]], text=[text])
        return text.count(mark)

    try:
        marked = marks(f"{mark}?")
        return marked > 1 and 0 < marks("?") < marked
    except (AttributeError, KeyError, TypeError, ValueError):  # it has no such step, or one that needs more
        return False


def _chat(processor: Any, what: str, n: int, prompt: str, text_first: bool) -> str:
    shown, text = [{"type": what}] * n, [{"type": "text", "text": prompt}]
    content = [*text, *shown] if text_first else [*shown, *text]
    return str(
        processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
    )


def language_model(model: Any) -> Any:
    """The layers of a model that read, without what makes logits of their states: some families put out both in one."""
    decoder = model.get_decoder()
    has_head = getattr(decoder, "lm_head", None) is not None and hasattr(decoder, "model")
    return decoder.model if has_head else decoder


def output_head(model: Any) -> Any:
    """What makes logits of a language model's states: some models name only that of the language model inside of them.

    Raises:
        AdapterError: there is none.
    """
    heads = (part.get_output_embeddings() for part in model.modules() if hasattr(part, "get_output_embeddings"))
    head = next((head for head in heads if head is not None), None)
    if head is None:
        raise AdapterError(
            f"{type(model).__name__} has nothing that makes logits of its states (get_output_embeddings)"
        )
    return head


def at_door(decoder: Any, hook: Callable[[dict[str, Any]], Mapping[str, Any] | None]) -> Any:
    """Call a hook where embeddings enter a language model.

    Some put the pictures among the words inside of the language model, as Phi-4 multimodal and Kosmos-2 do; there it is
    in front of their first layer.

    Args:
        decoder: of :func:`language_model`.
        hook: takes the arguments with ``inputs_embeds``, and returns those to go on with; None: the same.

    Returns:
        The handle, whose ``remove`` ends it.
    """
    if not _takes_pictures(decoder):

        def outside(_module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
            changed = hook(kwargs)
            return args, kwargs if changed is None else changed

        return decoder.register_forward_pre_hook(outside, with_kwargs=True)

    def inside(_module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        changed = hook({"inputs_embeds": args[0]})
        return ((args[0] if changed is None else changed["inputs_embeds"]), *args[1:]), kwargs

    return decoder.layers[0].register_forward_pre_hook(inside, with_kwargs=True)


def _takes_pictures(decoder: Any) -> bool:
    names = inspect.signature(decoder.forward).parameters
    return any(name.startswith(("image_", "pixel_")) for name in names) and hasattr(decoder, "layers")


class _Entered(Exception):
    """The language model was reached; the rest is not needed."""


def entering(
    model: Any,
    processor: Any,
    pictures: Sequence[Picture],
    *,
    token_id: int,
    name: str,
    video_fps: float | None = None,
    frame_token_id: int | None = None,
) -> tuple[Float[Tensor, "n c"], Any]:
    """What enters a model's language model in the places of some pictures, and the inputs that it was made from.

    Args:
        token_id: of a picture in the prompt, or of videos.
        name: what to call the model.
        video_fps: the pictures are the frames of one video, that many a second.
        frame_token_id: of a picture, where the processor may write that for the frames of a video.

    Raises:
        AdapterError: the language model is not given embeddings.
    """
    what, count = ("image", len(pictures)) if video_fps is None else ("video", 1)
    text = prompt_text(processor, what, count, "?", token_id=token_id, name=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PaliGemma's processor makes labels in a way that numpy dislikes
        if video_fps is None:
            shown = picture_arguments(processor, [pictures])
        else:
            shown = video_arguments(processor, pictures, video_fps)
        inputs = processor(text=[text], **shown, **processor_options(processor, model), return_tensors="pt")
    kept: dict[str, Any] = {}

    def keep(kwargs: Mapping[str, Any]) -> None:
        kept["embeds"] = kwargs.get("inputs_embeds")
        kept["deeper"] = deeper_tokens(kwargs) if kwargs.get(BY_LAYER) else []  # where nothing enters at the first
        raise _Entered

    arguments = {
        key: value.to(model.device, model.dtype if value.is_floating_point() else None)
        if isinstance(value, Tensor)
        else value
        for key, value in inputs.items()
        if key not in UNUSED
    }
    hook = at_door(language_model(model), keep)
    try:
        with torch.no_grad(), suppress(_Entered):
            model(**arguments)
    finally:
        hook.remove()
    if kept.get("embeds") is None:
        raise AdapterError(
            f"the language model of {name} was not given embeddings, so its vision tokens cannot be seen"
        )
    places = picture_positions(inputs["input_ids"], video_mark(inputs["input_ids"], token_id, frame_token_id))
    tokens = kept["embeds"][0, places.to(model.device)]
    return torch.cat([tokens, *(deeper.to(tokens) for deeper in kept["deeper"])], -1).float(), inputs


def processor_options(processor: Any, model: Any) -> dict[str, bool]:
    """Options without which a processor leaves out something that its model asks for.

    Cosmos 3 Edge's model asks which tokens stand for pictures, and its processor does not say that by itself.
    """
    asks = "mm_token_type_ids" in inspect.signature(model.forward).parameters
    off = getattr(processor, "return_mm_token_type_ids", None) is False
    return {"return_mm_token_type_ids": True} if asks and off else {}


def picture_arguments(processor: Any, pictures: Sequence[Sequence[Picture]]) -> dict[str, Any]:
    """The pictures of each prompt for a processor; GOT-OCR's takes those of all prompts in a row, one for each mark."""
    images = [[Image.fromarray(p) for p in several] for several in pictures]
    return {"images": list(chain.from_iterable(images)) if "multi_page" in _options(processor) else images}


def video_arguments(processor: Any, frames: Sequence[Picture], fps: float) -> dict[str, Any]:
    """A video for a processor, all of whose frames are shown; Qwen Omni's reads the rate in a place of its own."""
    facts = {"fps": fps, "total_num_frames": len(frames), "frames_indices": list(range(len(frames)))}
    rate = {"fps": fps} if "position_id_per_seconds" in _options(processor) else {}
    return {
        "videos": [np.stack(frames)],
        "video_metadata": [facts],
        "do_sample_frames": False,
        "return_metadata": True,
        **rate,
    }


def _options(processor: Any) -> Mapping[str, Any]:
    """What a processor may be told, by name."""
    return getattr(getattr(type(processor), "valid_processor_kwargs", None), "__annotations__", {})


def picture_positions(input_ids: Int[Tensor, "*b n"], token_id: int) -> Int[Tensor, " k"]:
    """Where in a prompt its pictures' tokens are, in order.

    Args:
        input_ids: of one prompt, with or without a batch of one.
        token_id: of a picture in the prompt, or that of videos.

    Example:
        >>> picture_positions(torch.tensor([[5, 9, 9, 3, 9]]), 9).tolist()
        [1, 2, 4]
    """
    if input_ids.numel() != input_ids.shape[-1]:
        raise ShapeError(f"input_ids has shape {tuple(input_ids.shape)}; expected one prompt")
    return (input_ids.flatten() == token_id).nonzero().flatten()


def video_mark(input_ids: Int[Tensor, "*b n"], token_id: int, frame_token_id: int | None) -> int:
    """The token that stands for a video in a prompt: GLM's processors write that of pictures for each of its frames.

    Args:
        input_ids: of a prompt with a video.
        token_id: of a video.
        frame_token_id: of a picture.

    Example:
        >>> video_mark(torch.tensor([[5, 8, 8, 3]]), 9, 8)
        8
    """
    return token_id if frame_token_id is None or bool((input_ids == token_id).any()) else frame_token_id


def last_states(output: Any) -> Float[Tensor, "b l d"]:
    """The states that a language model puts out, behind its final norm."""
    states: Tensor = output[0] if isinstance(output, tuple) else output.last_hidden_state
    return states


def fed_name(prompt: PromptInputs) -> str:
    """The input of a prompt that holds the pixels."""
    if prompt.video is not None:
        return "pixel_values_videos"
    name = next((name for name in PIXEL_NAMES if name in prompt.inputs), None)
    if name is None:
        raise AdapterError(
            f"the processor makes no pixels of a picture that isotherm knows by name: it gives {', '.join(prompt.inputs)}; expected one of {', '.join(PIXEL_NAMES)}"
        )
    return name
