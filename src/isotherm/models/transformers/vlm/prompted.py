"""What all vision-language models of transformers have in common: a processor that is asked, and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from isotherm.cam.capture import evaluating
from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.view import Picture
from isotherm.errors import AdapterError, InputError
from isotherm.models.transformers.vlm.checks import picture_marks
from isotherm.models.transformers.vlm.layouts.layout import UnknownPlacesError
from isotherm.models.transformers.vlm.prompts import UNUSED, processor_options
from isotherm.models.transformers.vlm.vocabulary import TokenizerVocabulary


class PromptedModel:
    """A model that is asked about pictures through its processor.

    Args:
        model: of transformers.
        processor: its own, which has the image processor and the tokenizer.
        name: what to call it; None: by its family.
        count_prompt: how it was taught to be asked for a number.
    """

    random_weights: RandomWeights | None = None

    def __init__(self, model: Any, processor: Any, *, name: str | None, count_prompt: str | None) -> None:
        self.model, self.processor = model, processor
        pixels = type(getattr(processor, "image_processor", processor)).__name__
        self.premises = (
            Premise(
                about="input",
                value=f"pictures as {pixels} cuts and scales them",
                source="declared",
                why="its processor",
            ),
        )
        self.family = str(model.config.model_type)
        self.name = name or f"{self.family} ({type(model).__name__})"
        self.count_prompt = count_prompt
        text = model.config.get_text_config(decoder=True)
        self.layers = int(text.num_hidden_layers)
        ends = model.generation_config.eos_token_id
        ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        others = [processor.tokenizer.eos_token_id, getattr(text, "sep_token_id", None)]  # BLIP ends with the latter
        self.vocabulary = TokenizerVocabulary(processor.tokenizer, [*ends, *filter(None, others)], int(text.vocab_size))
        self.marks = picture_marks(processor, model.config)

    def _processed(self, pictures: Sequence[Picture], **inputs: Any) -> dict[str, Any]:
        """What the processor makes of a question.

        Raises:
            InputError: it does not take pictures of this shape. Others of the same folder may well be taken.
        """
        try:
            return self._placed(
                self.processor(**inputs, **processor_options(self.processor, self.model), return_tensors="pt")
            )
        except (
            AttributeError,
            LookupError,
            OSError,
            TypeError,
        ) as error:  # whatever a processor that nobody knows may do
            instead = "; ask about its frames as pictures" if "videos" in inputs else ""
            raise AdapterError(
                f"the processor of {self.name} stumbles over this question ({type(error).__name__}: {error}){instead}"
            ) from error
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            raise _not_taken(f"the processor of {self.name}", pictures, error) from error

    @contextmanager
    def _taking(self, pictures: Sequence[Picture], *, video: bool = False) -> Iterator[None]:
        """Say of which pictures it is that a model itself fails while they become tokens.

        Args:
            video: they are frames of one.

        Raises:
            AdapterError: it fails over a video.
            InputError: it does not take pictures of this shape, or their tokens stand for no place, as those of a
                picture do that is smaller than what a token sees.
        """
        try:
            yield
        except UnknownPlacesError as error:
            raise InputError(
                f"where the vision tokens of pictures of {_shown(pictures)} pixels lie could not be measured ({error}); crop them, or give them another shape"
            ) from error
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except (IndexError, ValueError, RuntimeError, ZeroDivisionError) as error:
            if video:
                raise AdapterError(
                    f"{self.name} stumbles over this video ({type(error).__name__}: {error}); ask about its frames as pictures"
                ) from error
            raise _not_taken(self.name, pictures, error) from error

    def _placed(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs on the model's device and in its type, without what a forward pass does not take."""
        inputs = {name: value for name, value in batch.items() if name not in UNUSED}
        inputs = {
            name: value.to(self.model.device) if isinstance(value, Tensor) else value for name, value in inputs.items()
        }
        return {
            name: value.to(self.model.dtype)
            if isinstance(value, Tensor) and value.is_floating_point() and "second_per_grid" not in name
            else value
            for name, value in inputs.items()
        }

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Evaluation mode; what a model remembers of its last prompt is put back."""
        inner = getattr(self.model, "model", None)
        deltas = getattr(inner, "rope_deltas", None)
        with evaluating(self.model):
            try:
                yield
            finally:
                if inner is not None and hasattr(inner, "rope_deltas"):
                    inner.rope_deltas = deltas


def _shown(pictures: Sequence[Picture]) -> str:
    """Widths and heights in words."""
    return " and ".join(dict.fromkeys(f"{picture.shape[1]} x {picture.shape[0]}" for picture in pictures))


def _not_taken(who: str, pictures: Sequence[Picture], error: Exception) -> InputError:
    return InputError(
        f"{who} does not take pictures of {_shown(pictures)} pixels ({type(error).__name__}: {error}); crop them, or give them another shape"
    )
