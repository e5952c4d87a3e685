"""Prompts in a model's own template, and what enters its language model of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError, ShapeError


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
    return prompt + f"{mark}" * n if text_first else f"{mark}" * n + prompt


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


class _Entered(Exception):
    """The language model was reached; the rest is not needed."""


def entering(
    model: Any, processor: Any, pictures: Sequence[Picture], *, token_id: int, name: str
) -> tuple[Float[Tensor, "n c"], Any]:
    """What enters a model's language model in the places of some pictures, and the inputs that it was made from.

    Raises:
        AdapterError: the language model is not given embeddings.
    """
    text = prompt_text(processor, "image", len(pictures), "?", token_id=token_id, name=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PaliGemma's processor makes labels in a way that numpy dislikes
        inputs = processor(text=[text], images=[[Image.fromarray(p) for p in pictures]], return_tensors="pt")
    kept: dict[str, Any] = {}

    def keep(_module: Any, _args: Any, kwargs: Any) -> None:
        kept["embeds"] = kwargs.get("inputs_embeds")
        raise _Entered

    arguments = {
        key: value.to(model.device, model.dtype if value.is_floating_point() else None)
        if isinstance(value, Tensor)
        else value
        for key, value in inputs.items()
        if key != "labels"
    }
    hook = language_model(model).register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with torch.no_grad(), suppress(_Entered):
            model(**arguments)
    finally:
        hook.remove()
    if kept.get("embeds") is None:
        raise AdapterError(
            f"the language model of {name} was not given embeddings, so its vision tokens cannot be seen"
        )
    places = picture_positions(inputs["input_ids"], token_id)
    return kept["embeds"][0, places.to(model.device)].float(), inputs


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
