"""Vision-language models whose pictures are no tokens among those that write the answer: an encoder reads them, every
layer asks them by cross-attention, or a mask says where they stand. They are read as a whole, from their pixels.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NoReturn

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError, IsothermError, MethodError
from isotherm.models.transformers.vlm.beginning import Beginning
from isotherm.models.transformers.vlm.checks import check_length, check_question
from isotherm.models.transformers.vlm.layouts.layout import coordinate_picture
from isotherm.models.transformers.vlm.prompted import PromptedModel
from isotherm.models.transformers.vlm.prompts import fed_name, picture_arguments, prompt_text
from isotherm.vlm.tokens import PictureTokens
from isotherm.vlm.view import PromptInputs, Reading, Streams

SAME = 0.05
"""Of the deviation of the logits, by how much those of a reading may differ from those of generation, which keeps keys
and values.
"""
STEPS = 3
"""Tokens of an answer that is read again at opening."""


FAULTS = (AttributeError, ImportError, LookupError, TypeError, ValueError, RuntimeError, IsothermError)
"""Whatever a processor and a model that nobody knows may do."""


class WholeVlm(PromptedModel):
    """Fulfils :class:`isotherm.vlm.view.LanguageView` as far as pixels can be covered: nothing is known of tokens.

    In the place of vision tokens stands what the model is fed as pixels. At opening it is proved that an answer which
    is read this way has the logits with which the model generates it, and that pixels and words change them.

    Args:
        model: a ``...ForConditionalGeneration``, with an encoder and a decoder, or with a decoder alone.
        processor: its processor, which has the image processor and the tokenizer.
        why: its pictures are not seen as tokens.

    Raises:
        AdapterError: none of the ways to ask it passes the proof; the message has why and what came of each.
    """

    hides = False
    shares = False
    causal = False

    def __init__(self, model: Any, processor: Any, *, why: str, name: str | None = None) -> None:
        super().__init__(model, processor, name=name, count_prompt=None)
        self.placeless = why
        none = torch.zeros(1, 0, dtype=torch.long)
        self._beginning = Beginning(none, 0, 0, none)
        reasons = []
        for what, way in self._ways().items():
            self._text = way
            try:
                self._prove()
                return
            except FAULTS as error:
                reasons.append(f"{what}: {_first_line(error)}")
        raise AdapterError(f"{why}; nor can it be read as a whole ({'; '.join(reasons)})")

    def ask(self, pictures: Sequence[Picture], prompt: str) -> PromptInputs:
        check_question(pictures, prompt, self.marks)
        if len(pictures) > 1 and (why := self._takes_one_alone):
            raise AdapterError(
                f"{self.name} takes one image in a prompt; {len(pictures)} were given: ask about each by itself ({why})"
            )
        return self._prompt(pictures, prompt)

    @cached_property
    def _takes_one_alone(self) -> str:
        """Why it takes no more than one picture, proved where several are first asked about; empty where it does."""
        try:
            self._prove(2)
        except FAULTS as error:
            return _first_line(error)
        return ""

    def _prompt(self, pictures: Sequence[Picture], prompt: str) -> PromptInputs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # as TransformersVlm does
            inputs = self._processed(
                pictures, text=[self._text(len(pictures), prompt)], **picture_arguments(self.processor, [pictures])
            )
        taken = inspect.signature(self.model.forward).parameters
        if "input_ids" not in taken and "input_ids" in inputs:  # Donut's decoder is asked, and nothing else
            inputs["decoder_input_ids"] = inputs["input_ids"]
        inputs = {name: value for name, value in inputs.items() if name in taken}
        ids = inputs.get("input_ids", self._written(inputs))
        check_length(ids.shape[1], self.model.config, self.name)
        known = tuple(
            PictureTokens((picture.shape[0], picture.shape[1]), (), 0, placeless=self.placeless) for picture in pictures
        )
        nowhere = torch.zeros(0, dtype=torch.long)
        return PromptInputs(inputs, ids[0].cpu(), prompt, tuple(pictures), known, nowhere)

    def ask_video(self, frames: Sequence[Picture], prompt: str, *, fps: float) -> PromptInputs:
        raise AdapterError(f"isotherm reads {self.name} as a whole and gives it no videos; give it frames as pictures")

    def embed(self, prompt: PromptInputs) -> Streams:
        """The pixels that the model is fed, as one token."""
        return (self.pixels(prompt).reshape(1, 1, -1),)

    def answer(self, prompt: PromptInputs, *, most: int) -> list[int]:
        tokens, _, _ = self._generated(prompt, most)
        own = tokens[self._beginning.forced.shape[1] :]
        return own[: next((i for i, token in enumerate(own) if token in self.vocabulary.ends), len(own))]

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
        name, continuation = fed_name(prompt), continuation.to(self.model.device)
        fed = prompt.inputs[name]
        inputs: dict[str, Any] = {
            key: value.repeat(b, *[1] * (value.ndim - 1)) if isinstance(value, Tensor) else list(value) * b
            for key, value in prompt.inputs.items()
        }
        inputs[name] = streams[0].reshape(b * len(fed), *fed.shape[1:]).to(fed)
        begun = self._beginning(self._written(prompt.inputs).cpu()).to(continuation).expand(b, -1)
        whole = torch.cat([begun, continuation], 1)
        if self._encodes:
            inputs = {key: value for key, value in inputs.items() if key != "decoder_attention_mask"}
            inputs["decoder_input_ids"] = whole
        else:
            inputs = {
                key: continued(self._beginning.per_token(value), continuation)
                if _per_token(value, prompt) and key != name
                else value
                for key, value in inputs.items()
            } | {"input_ids": whole}
        with self._quiet():
            logits = self.model(**inputs, use_cache=False).logits
        return Reading(logits[:, -(k + 1) :], logits.new_zeros(b, 0, 0))

    def pixels(self, prompt: PromptInputs) -> Tensor:
        return prompt.inputs[fed_name(prompt)]

    def embed_pixels(self, prompt: PromptInputs, pixels: Tensor) -> NoReturn:
        self._refuse()

    def positive_per_cell(
        self, prompt: PromptInputs, pixels: Tensor, gradient: Tensor, places: Sequence[PictureTokens]
    ) -> NoReturn:
        self._refuse()

    def column(self, token: int) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise MethodError(f"{self.name} is read as a whole, without vision tokens: {self.placeless}; take occlusion")

    @property
    def _encodes(self) -> bool:
        return bool(getattr(self.model.config, "is_encoder_decoder", False))

    def _written(self, inputs: Mapping[str, Any]) -> Int[Tensor, "1 n"]:
        """The tokens of a prompt behind which its answer stands; none where an encoder alone reads the words."""
        written = inputs.get("decoder_input_ids" if self._encodes else "input_ids")
        return torch.zeros(1, 0, dtype=torch.long) if written is None else written

    def _forces(self) -> int:
        """How many tokens generation puts in front of every answer."""
        return int(self._encodes and getattr(self.model.generation_config, "forced_bos_token_id", None) is not None)

    def _ways(self) -> dict[str, Callable[[int, str], str]]:
        """How a picture and words become a prompt: in the model's template, or as processors without one want it."""
        if getattr(self.processor, "chat_template", None):
            return {
                "its template": lambda n, prompt: prompt_text(
                    self.processor, "image", n, prompt, token_id=-1, name=self.name
                )
            }
        marks = [getattr(self.processor, name, None) for name in ("image_token", "boi_token")]
        return {"the words alone": lambda n, prompt: prompt} | {
            f"{mark!r} before the words": lambda n, prompt, mark=mark: mark * n + prompt
            for mark in marks
            if isinstance(mark, str)
        }

    def _generated(self, prompt: PromptInputs, most: int) -> tuple[list[int], Float[Tensor, "k v"], Int[Tensor, "1 l"]]:
        """An answer, the logits that it was chosen by, and what generation began with."""
        with torch.no_grad(), self._quiet():
            out = self.model.generate(
                **prompt.inputs,
                max_new_tokens=most,
                do_sample=False,
                num_beams=1,
                return_dict_in_generate=True,
                output_logits=True,
            )
        if getattr(out, "logits", None) is None:
            raise AdapterError(
                "its generation has no logits that each token was chosen by, as where many are written at a time"
            )
        made = len(out.logits)
        return out.sequences[0, -made:].tolist(), torch.cat(out.logits).float(), out.sequences[:, :-made]

    def _prove(self, count: int = 1) -> None:
        """Raise AdapterError where what is read of a prompt of some pictures is not what the model would say, or not
        about the last of them.
        """
        picture = coordinate_picture((48, 56))
        before = [picture] * (count - 1)
        shorter, prompt, inverted = (
            self._prompt([*before, shown], text)
            for shown, text in ((picture, "?"), (picture, "? ? ?"), (255 - picture, "? ? ?"))
        )
        if not _differing(shorter, prompt):
            raise AdapterError("its processor writes the same prompt whatever is asked")
        if more := [name for name in _differing(prompt, inverted) if name != fed_name(prompt)]:
            raise AdapterError(f"its processor makes more of a picture than pixels: {', '.join(more)}")
        tokens, logits, begun = self._generated(prompt, STEPS)
        first = self._forces()
        if count == 1:
            self._beginning = Beginning.of(
                self._written(prompt.inputs).cpu(), begun.cpu(), torch.tensor([tokens[:first]], dtype=torch.long)
            )
        own = torch.tensor([tokens[first:-1]], dtype=torch.long)
        with torch.no_grad():
            read, pixels, words = (
                self.read(one, self.embed(one), own).logits[0].float() for one in (prompt, inverted, shorter)
            )
        off = float((read - logits[first:]).abs().max() / logits.std().clamp(min=1e-12))
        if not off < SAME:
            raise AdapterError(f"what it reads differs from what it generates, by {off:.2g} deviations of the logits")
        if torch.equal(read, pixels):
            raise AdapterError("other pixels change nothing")
        if torch.equal(read, words):
            raise AdapterError("other words change nothing")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _differing(one: PromptInputs, other: PromptInputs) -> list[str]:
    """The inputs of two prompts that are not the same."""
    return [
        name
        for name, value in one.inputs.items()
        if not (torch.equal(value, other.inputs[name]) if isinstance(value, Tensor) else value == other.inputs[name])
    ]


def continued(value: Tensor, continuation: Int[Tensor, "b k"]) -> Tensor:
    """An input with a value per token, with those of an answer behind it: as the prompt's last token has them."""
    return torch.cat([value, value[:, -1:].repeat(1, continuation.shape[1], *[1] * (value.ndim - 2))], 1)


def _per_token(value: Any, prompt: PromptInputs) -> bool:
    return isinstance(value, Tensor) and value.ndim > 1 and value.shape[1] == len(prompt.ids)
