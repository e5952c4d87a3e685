"""Vision-language models of transformers."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError
from isotherm.models.transformers.vlm.batch import BatchedPrompts
from isotherm.models.transformers.vlm.checks import check_length, check_one_sequence, check_question, check_video
from isotherm.models.transformers.vlm.deepstack import deeper_tokens, with_deeper_tokens
from isotherm.models.transformers.vlm.families import layout_of
from isotherm.models.transformers.vlm.layouts.layout import UnknownPlacesError, VisionLayout
from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.models.transformers.vlm.layouts.placeless import PlacelessLayout
from isotherm.models.transformers.vlm.pixels import PixelRelevance
from isotherm.models.transformers.vlm.prefix import PLAIN, read_after
from isotherm.models.transformers.vlm.prompted import PromptedModel
from isotherm.models.transformers.vlm.prompts import (
    at_door,
    language_model,
    output_head,
    picture_arguments,
    picture_positions,
    prompt_text,
    video_arguments,
)
from isotherm.models.transformers.vlm.proof import image_token_id, video_token_id
from isotherm.relevance.hidden import hidden_keys
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from isotherm.vlm.view import PromptInputs, Reading, Streams

PER_TOKEN = {"attention_mask": 1, "mm_token_type_ids": 0, "token_type_ids": 0}
"""Inputs with a value per token, and that of a token of the answer."""
PER_PICTURE = ("image_grid_thw", "video_grid_thw", "second_per_grid_ts", "video_second_per_grid")


class TransformersVlm(PromptedModel, BatchedPrompts, PixelRelevance):
    """Fulfils :class:`isotherm.vlm.view.LanguageView`, and :class:`isotherm.vlm.batch.BatchedView`.

    Args:
        model: a ``...ForConditionalGeneration``.
        processor: its processor, which has the image processor and the tokenizer.
        layout: which pixels its vision tokens stand for; None: that of its family.
        count_prompt: how it was taught to be asked for a number.

    Raises:
        NoTokensError: pictures are no tokens of its prompts that could be seen: take
            :class:`isotherm.models.transformers.vlm.whole.WholeVlm`.
        AdapterError: the processor is not that of the model.

    Where no layout proves itself (``placeless`` says why), pixels can be covered, and vision tokens make no maps.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        layout: VisionLayout | None = None,
        name: str | None = None,
        count_prompt: str | None = None,
    ) -> None:
        super().__init__(model, processor, name=name, count_prompt=count_prompt)
        check_one_sequence(model.config, self.name)
        self._token = image_token_id(model.config)
        self.placeless = ""
        try:
            self.layout = layout or layout_of(self.family, model.config, processor, model=model)
        except UnknownPlacesError as error:
            self.placeless = str(error)
            self.layout = PlacelessLayout(self.placeless, token_id=self._token)
        text = model.config.get_text_config()
        self.causal = not (self.family == "paligemma" or getattr(text, "use_bidirectional_attention", None))
        self.decoder = language_model(model)
        self.hides = all(
            "attention" in kind and "linear" not in kind for kind in getattr(text, "layer_types", None) or ()
        )
        self.shares = self.family in PLAIN

    def ask(self, pictures: Sequence[Picture], prompt: str, *, text_first: bool = False) -> PromptInputs:
        """As of :class:`isotherm.vlm.view.LanguageView`; the words before the pictures where a causal model's states
        there must know them.
        """
        check_question(pictures, prompt, self.marks)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # PaliGemma's processor makes labels in a way that numpy dislikes
            text = self._text("image", len(pictures), prompt, text_first)
            inputs = self._processed(pictures, text=[text], **picture_arguments(self.processor, [pictures]))
        check_length(inputs["input_ids"].shape[1], self.model.config, self.name)
        known = self.layout.pictures(inputs, [(p.shape[0], p.shape[1]) for p in pictures])
        return self._prompt(inputs, prompt, pictures, known, self._token)

    def ask_video(self, frames: Sequence[Picture], prompt: str, *, fps: float) -> PromptInputs:
        check_question(frames, prompt, self.marks)
        check_video(frames, fps)
        token = video_token_id(self.model.config)
        if token is None:
            raise AdapterError(f"{self.name} takes no videos; give it frames as pictures")
        text = self._text("video", 1, prompt)
        inputs = self._processed(frames[:1], text=[text], **video_arguments(self.processor, frames, fps))
        size = frames[0].shape[0], frames[0].shape[1]
        if isinstance(self.layout, MeasuredLayout):
            video = self.layout.video(size, len(frames), fps)
        else:
            (video,) = self.layout.videos(inputs, [size])
        moments, first = [], 0
        for moment in video.moments:  # the numbers of a video's tokens run on; a picture's begin with 0
            grids = tuple(TokenGrid(grid.frame, grid.token - first) for grid in moment.grids)
            first += moment.count
            moments.append(replace(moment, grids=grids))
        moments[-1] = replace(
            moments[-1], count=moments[-1].count + video.count - first
        )  # what ends a video stands for no place
        step = -(-len(frames) // len(moments))
        return replace(self._prompt(inputs, prompt, frames[::step], moments, token), video=(tuple(frames), fps))

    def _prompt(
        self, inputs: dict[str, Any], text: str, sources: Sequence[Picture], known: Sequence[PictureTokens], token: int
    ) -> PromptInputs:
        ids = inputs["input_ids"][0].cpu()
        positions = picture_positions(ids, token)
        if len(positions) != sum(p.count for p in known):
            raise AdapterError(
                f"{self.name} has {len(positions)} vision tokens in the prompt; the layout of its pictures says {sum(p.count for p in known)}"
            )
        return PromptInputs(inputs, ids, text, tuple(sources), tuple(known), positions)

    def _text(self, what: str, n: int, prompt: str, text_first: bool = False) -> str:
        return prompt_text(self.processor, what, n, prompt, token_id=self._token, name=self.name, text_first=text_first)

    def embed(self, prompt: PromptInputs) -> Streams:
        with torch.no_grad():
            return tuple(s.clone() for s in self._embedded(prompt.inputs, prompt))

    def embed_alike(self, prompts: Sequence[PromptInputs]) -> Streams:
        """As of :class:`isotherm.vlm.together.EmbeddingView`."""
        first = prompts[0]
        inputs = {
            name: torch.cat([p.inputs[name] for p in prompts])
            if isinstance(value, Tensor)
            else [one for p in prompts for one in p.inputs[name]]
            for name, value in first.inputs.items()
        }
        with torch.no_grad():
            return tuple(s.clone() for s in self._embedded(inputs, first))

    def _embedded(self, inputs: Mapping[str, Any], prompt: PromptInputs) -> Streams:
        """The model's own forward pass up to its language model, of as many rows as the inputs have."""
        kept: dict[str, Any] = {}

        def stop(kwargs: Mapping[str, Any]) -> None:
            kept.update(kwargs)
            raise _Embedded

        with self._quiet(), self._before_decoder(stop), suppress(_Embedded):
            self.model(**inputs, use_cache=False, logits_to_keep=1)
        if "inputs_embeds" not in kept:
            raise AdapterError(
                f"the language model of {self.name} was not given embeddings; isotherm cannot see its vision tokens"
            )
        embeds = kept["inputs_embeds"]
        merged = embeds[:, prompt.positions.to(embeds.device)]
        return (merged, *(s.unflatten(0, (len(embeds), -1)) for s in deeper_tokens(kept)))

    def answer(self, prompt: PromptInputs, *, most: int) -> list[int]:
        with torch.no_grad(), self._quiet():
            tokens = self.model.generate(**prompt.inputs, max_new_tokens=most, do_sample=False, num_beams=1)[
                0, len(prompt.ids) :
            ].tolist()
        end = next((i for i, token in enumerate(tokens) if token in self.vocabulary.ends), len(tokens))
        return tokens[:end]

    def read(
        self,
        prompt: PromptInputs,
        streams: Streams,
        continuation: Int[Tensor, "b k"],
        *,
        hidden: Bool[Tensor, "b n"] | None = None,
        shared: int = 0,
    ) -> Reading:
        b, k = continuation.shape
        positions = prompt.positions.to(self.model.device)
        inputs = self._repeated(prompt, continuation)
        length = inputs["input_ids"].shape[1]
        kept: list[Tensor] = []
        last: dict[str, Any] = {}

        def put(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
            embeds = kwargs["inputs_embeds"]
            changed = {"inputs_embeds": embeds.index_copy(1, positions, streams[0].expand(b, -1, -1).to(embeds))}
            if len(streams) > 1:
                where = torch.zeros(b, length, dtype=torch.bool, device=embeds.device)
                where[:, positions] = True
                deeper = [s.expand(b, -1, -1).to(embeds).reshape(-1, s.shape[-1]) for s in streams[1:]]
                changed |= with_deeper_tokens(kwargs, deeper, where, self.model.config)
            if shared:
                last.update({**kwargs, **changed})
                raise _Embedded
            return {**kwargs, **changed}

        def keep(_module: Any, _args: Any, output: Any) -> None:
            kept.append(output[0] if isinstance(output, tuple) else output.last_hidden_state)

        seen: Any = nullcontext()
        if hidden is not None:
            keys = torch.zeros(b, length, dtype=torch.bool, device=positions.device)
            keys[:, positions] = hidden.to(keys)
            seen = hidden_keys(keys)
        after = self.decoder.register_forward_hook(keep)
        try:
            with self._quiet(), self._before_decoder(put), seen:
                logits = self._reading(inputs)(use_cache=False, logits_to_keep=k + 1).logits
        except _Embedded:
            with self._quiet():
                return Reading(
                    read_after(self.decoder, output_head(self.model), last, shared, k + 1), last["inputs_embeds"][:, :0]
                )
        finally:
            after.remove()
        return Reading(logits[:, -(k + 1) :], kept[0])

    def _reading(self, inputs: Mapping[str, Any]) -> Callable[..., Any]:
        """The forward pass without pixels: of the language model alone where the whole cannot do without, as BLIP-2."""
        if not _needs_pixels(self.model):
            return partial(self.model, **inputs)
        embeds = self.model.get_input_embeddings()(inputs["input_ids"])
        return partial(self.model.language_model, inputs_embeds=embeds, attention_mask=inputs.get("attention_mask"))

    def column(self, token: int) -> Float[Tensor, " d"]:
        return output_head(self.model).weight[token].detach()

    def _repeated(self, prompt: PromptInputs, continuation: Int[Tensor, "b k"]) -> dict[str, Any]:
        """The prompt without its pixels, b times, and the answer behind it."""
        b, k = continuation.shape
        inputs: dict[str, Any] = {
            "input_ids": torch.cat([prompt.inputs["input_ids"].expand(b, -1), continuation.to(self.model.device)], 1)
        }
        for name, fill in PER_TOKEN.items():
            if (value := prompt.inputs.get(name)) is not None:
                # what PaliGemma answers is a suffix, in which no token sees those behind it
                fill = 1 if name == "token_type_ids" and self.family == "paligemma" else fill
                inputs[name] = torch.cat([value.expand(b, -1), value.new_full((b, k), fill)], 1)
        for name in PER_PICTURE:
            if (value := prompt.inputs.get(name)) is not None:
                inputs[name] = (
                    value.repeat(b, *[1] * (value.ndim - 1)) if isinstance(value, Tensor) else list(value) * b
                )
        return inputs

    @contextmanager
    def _before_decoder(self, hook: Callable[[dict[str, Any]], Mapping[str, Any] | None]) -> Iterator[None]:
        handle = at_door(self.decoder, hook)
        try:
            yield
        finally:
            handle.remove()


def _needs_pixels(model: Any) -> bool:
    pixels = inspect.signature(model.forward).parameters.get("pixel_values")
    return pixels is not None and pixels.default is inspect.Parameter.empty


class _Embedded(Exception):
    """The vision tower has done its part."""
