"""Vision-language models of transformers."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError
from isotherm.models.transformers.vlm.batch import BatchedPrompts
from isotherm.models.transformers.vlm.checks import check_length, check_one_sequence, check_question, check_video
from isotherm.models.transformers.vlm.deepstack import deeper_tokens, with_deeper_tokens
from isotherm.models.transformers.vlm.families import FAMILIES, layout_of
from isotherm.models.transformers.vlm.layouts.layout import (
    NoTokensError,
    UnknownPlacesError,
    VisionLayout,
    coordinate_picture,
)
from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.models.transformers.vlm.layouts.placeless import PlacelessLayout
from isotherm.models.transformers.vlm.pixels import PixelRelevance
from isotherm.models.transformers.vlm.prefix import PLAIN, read_after
from isotherm.models.transformers.vlm.prompted import PromptedModel
from isotherm.models.transformers.vlm.prompts import (
    at_door,
    language_model,
    last_states,
    output_head,
    picture_arguments,
    picture_positions,
    prompt_text,
    video_arguments,
    video_mark,
)
from isotherm.models.transformers.vlm.proof import image_token_id, tried_sizes, video_token_id
from isotherm.relevance.hidden import hidden_keys
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from isotherm.vlm.view import PromptInputs, Reading, Streams

SAME = 0.01
"""Of the deviation of the states, by how much those that are read may differ from the model's own."""
PER_PICTURE = ("image_grid_thw", "video_grid_thw", "second_per_grid_ts", "video_second_per_grid")
"""Inputs that positions are made from, beside those that a model's own ``get_rope_index`` names."""


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
        positions = getattr(model.base_model, "get_rope_index", None)
        self._positioning = {*PER_PICTURE, *(() if positions is None else inspect.signature(positions).parameters)}
        self._words_by_pixels = False
        # kept, as asking for them runs the vision tower, whose attention is not that of the language model
        self._words: WeakKeyDictionary[PromptInputs, tuple[Any, Tensor]] = WeakKeyDictionary()
        if layout is None and self.family not in FAMILIES:
            self._prove_reading()

    def _prove_reading(self) -> None:
        """See that what is read without pixels is what the model makes of them; some give words of the prompt another
        embedding where there are pictures, as Ovis 2 does, and those are asked for anew at each reading.

        Raises:
            NoTokensError: it is not.
        """
        pictures = [coordinate_picture(tried_sizes(self.layout)[0])]
        prompt = self._laid_out(self._shown(pictures, "?"), "?", pictures)
        kept: list[Tensor] = []
        after = self.decoder.register_forward_hook(lambda _module, _args, output: kept.append(last_states(output)))
        try:
            with torch.no_grad(), self._quiet():
                self.model(**prompt.inputs, use_cache=False, logits_to_keep=1)
        finally:
            after.remove()
        own, off = kept[0].float(), math.inf
        for self._words_by_pixels in (False, True):
            with torch.no_grad():
                nothing = torch.zeros(1, 0, dtype=torch.long)
                read = self.read(prompt, self.embed(prompt), nothing).hidden.float()
            off = float((read - own).abs().max() / own.std().clamp(min=1e-12))
            if off < SAME:
                return
        raise NoTokensError(
            f"what is read of {self.name} from its vision tokens differs from what it makes of the pictures itself, by {off:.2g} deviations of its states"
        )

    def ask(self, pictures: Sequence[Picture], prompt: str, *, text_first: bool = False) -> PromptInputs:
        """As of :class:`isotherm.vlm.view.LanguageView`; the words before the pictures where a causal model's states
        there must know them.
        """
        check_question(pictures, prompt, self.marks)
        inputs = self._shown(pictures, prompt, text_first)
        check_length(inputs["input_ids"].shape[1], self.model.config, self.name)
        return self._laid_out(inputs, prompt, pictures)

    def _shown(self, pictures: Sequence[Picture], prompt: str, text_first: bool = False) -> dict[str, Any]:
        """The model's inputs."""
        with warnings.catch_warnings():
            # PaliGemma's processor makes labels in a way that numpy dislikes
            warnings.simplefilter("ignore", DeprecationWarning)
            text = self._text("image", len(pictures), prompt, text_first)
            return self._processed(pictures, text=[text], **picture_arguments(self.processor, [pictures]))

    def _laid_out(self, inputs: dict[str, Any], prompt: str, pictures: Sequence[Picture]) -> PromptInputs:
        with self._taking(pictures):
            known = self.layout.pictures(inputs, [(p.shape[0], p.shape[1]) for p in pictures])
        return self._prompt(inputs, prompt, pictures, known, self._token)

    def ask_video(self, frames: Sequence[Picture], prompt: str, *, fps: float) -> PromptInputs:
        check_question(frames, prompt, self.marks)
        check_video(frames, fps)
        token = video_token_id(self.model.config)
        if token is None:
            why = (
                "has its processor show the frames of a video as pictures"
                if getattr(self.processor, "video_processor", None)
                else "takes no videos"
            )
            raise AdapterError(f"{self.name} {why}; give it frames as pictures")
        inputs = self._filmed(frames, prompt, fps)
        size = frames[0].shape[0], frames[0].shape[1]
        token = video_mark(inputs["input_ids"], token, self._token)
        with self._taking(frames[:1], video=True):
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

    def _filmed(self, frames: Sequence[Picture], prompt: str, fps: float) -> dict[str, Any]:
        """The model's inputs of a video."""
        text = self._text("video", 1, prompt)
        return self._processed(frames[:1], text=[text], **video_arguments(self.processor, frames, fps))

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
        with torch.no_grad(), self._taking(prompt.sources, video=prompt.video is not None):
            return tuple(s.clone() for s in self._embedded(prompt.inputs, prompt))

    def embed_alike(self, prompts: Sequence[PromptInputs]) -> Streams:
        """As of :class:`isotherm.vlm.together.EmbeddingView`."""
        first = prompts[0]
        if isinstance(self.layout, MeasuredLayout):  # pixels may lie side by side in one row, as MiniCPM's do
            return tuple(torch.cat(s) for s in zip(*(self.embed(p) for p in prompts), strict=True))
        inputs = {
            name: torch.cat([p.inputs[name] for p in prompts])
            if isinstance(value, Tensor)
            else [one for p in prompts for one in p.inputs[name]]
            for name, value in first.inputs.items()
        }
        with torch.no_grad(), self._taking(first.sources):
            return tuple(s.clone() for s in self._embedded(inputs, first))

    def _embedded(self, inputs: Mapping[str, Any], prompt: PromptInputs) -> Streams:
        """The vision tokens of as many rows as the inputs have."""
        kept = self._entered(inputs)
        embeds = kept["inputs_embeds"]
        if self._words_by_pixels:
            self._words[prompt] = self._weights(), embeds[:1].detach().clone()
        merged = embeds[:, prompt.positions.to(embeds.device)]
        return (merged, *(s.unflatten(0, (len(embeds), -1)) for s in deeper_tokens(kept)))

    def _weights(self) -> tuple[tuple[int, int], ...]:
        """What changes when any weight does, as where a map is made anew with random ones."""
        return tuple((p.data_ptr(), 0 if p.is_inference() else p._version) for p in self.model.parameters())

    def _entered(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The model's own forward pass up to its language model, and the arguments of that."""
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
        return kept

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
        words = None
        if self._words_by_pixels:
            kept_words = self._words.get(prompt)
            if kept_words is None or kept_words[0] != self._weights():
                self.embed(prompt)
            words = self._words[prompt][1]

        def put(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
            embeds = kwargs["inputs_embeds"]
            if words is not None:
                embeds = torch.cat([words.to(embeds).expand(b, -1, -1), embeds[:, words.shape[1] :]], 1)
            changed = {"inputs_embeds": embeds.index_copy(1, positions, streams[0].expand(b, -1, -1).to(embeds))}
            if len(streams) > 1:
                where = torch.zeros(b, length, dtype=torch.bool, device=embeds.device)
                where[:, positions] = True
                deeper = [s.expand(b, -1, -1).to(embeds).reshape(-1, s.shape[-1]) for s in streams[1:]]
                changed |= with_deeper_tokens(kwargs, deeper, where, self.model.config)
            if isinstance(places := kwargs.get("position_ids"), Tensor) and places.ndim > 1 and places.shape[-2] == b:
                changed["position_ids"] = places[..., :1, :].expand_as(
                    places
                )  # HunYuan counts pictures through all rows
            if shared:
                last.update({**kwargs, **changed})
                raise _Embedded
            return {**kwargs, **changed}

        def keep(_module: Any, _args: Any, output: Any) -> None:
            kept.append(last_states(output))

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
        for name, value in prompt.inputs.items():
            if name == "input_ids":
                continue
            if isinstance(value, Tensor) and value.shape == (1, len(prompt.ids)) and not value.is_floating_point():
                # of the types of tokens, 0 is a word's; what PaliGemma answers is a suffix, in which no token sees those
                # behind it
                suffix = name == "token_type_ids" and self.family == "paligemma"
                fill = int(suffix or name == "attention_mask")
                inputs[name] = torch.cat([value.expand(b, -1), value.new_full((b, k), fill)], 1)
            elif name in self._positioning:
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
