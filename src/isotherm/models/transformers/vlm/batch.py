"""Several prompts of one form through the processor of a model of transformers, and its language model's states."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError, OptionError, ShapeError
from isotherm.models.transformers.vlm.checks import check_length, check_words
from isotherm.models.transformers.vlm.prompts import PIXEL_NAMES, last_states, picture_arguments, processor_options
from isotherm.vlm.batch import PromptBatch, Side, whole_grid
from isotherm.vlm.tokens import TokenGrid


class BatchedPrompts:
    """What :class:`isotherm.models.transformers.vlm.view.TransformersVlm` has of
    :class:`isotherm.vlm.batch.BatchedView`.
    """

    def batch(
        self: Any,
        pictures: Sequence[Sequence[Picture]],
        texts: Sequence[str],
        *,
        text_first: bool = False,
        side: Side | None = None,
    ) -> PromptBatch:
        """As of :class:`isotherm.vlm.batch.BatchedView`."""
        sizes = _sizes(pictures, texts)
        for text in texts:
            check_words(text, self.marks, what="text", example="say what to look for, such as 'the red cup'")
        padding: dict[str, Any] = {"padding": True} | ({} if side is None else {"padding_side": side})
        with warnings.catch_warnings():
            # PaliGemma's processor makes labels in a way that numpy dislikes
            warnings.simplefilter("ignore", DeprecationWarning)
            inputs = self._placed(
                self.processor(
                    text=[self._text("image", len(sizes), text, text_first) for text in texts],
                    **picture_arguments(self.processor, pictures),
                    return_tensors="pt",
                    **processor_options(self.processor, self.model),
                    **padding,
                )
            )
        ids = inputs["input_ids"]
        check_length(ids.shape[1], self.model.config, self.name, what="text")
        inputs |= _own_positions(self.model, inputs, len(texts))
        first = 0
        grids = []
        for picture in self.layout.pictures(_of_first(inputs, len(texts), len(sizes)), sizes):
            grid = whole_grid(picture)
            grids.append(TokenGrid(grid.frame, grid.token + first))
            first += picture.count
        marked = ids == self._token
        counts = marked.sum(1)
        if bool((counts != first).any()):
            raise AdapterError(
                f"{self.name} has {int(counts[counts != first][0])} vision tokens in a prompt; the layout of its pictures says {first}"
            )
        place = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        real = inputs["attention_mask"].bool() if "attention_mask" in inputs else torch.ones_like(marked)
        if side is not None and bool((~real[:, -1 if side == "left" else 0]).any()):
            other = "right" if side == "left" else "left"
            raise AdapterError(
                f"the processor of {self.name} pads prompts on the {other} whatever is asked of it; leave the side out, or say side={other!r}"
            )
        return PromptBatch(
            inputs,
            tuple(texts),
            place[marked].view(len(texts), first),
            place.masked_fill(~real, -1).amax(1),
            tuple(grids),
        )

    def states(self: Any, batch: PromptBatch) -> Float[Tensor, "b t c"]:
        """As of :class:`isotherm.vlm.batch.BatchedView`: of the model without its output layer, whose logits nobody
        reads.
        """
        inner = self.model.base_model
        deltas = getattr(inner, "rope_deltas", None)
        kept: list[Tensor] = []
        after = self.decoder.register_forward_hook(lambda _module, _args, output: kept.append(last_states(output)))
        # some classes have no part without an output layer, as Llama 4's
        fewest: dict[str, Any] = {"logits_to_keep": 1} if inner is self.model else {}
        try:
            inner(**batch.inputs, use_cache=False, **fewest)
        finally:
            after.remove()
            if hasattr(inner, "rope_deltas"):
                inner.rope_deltas = deltas
        return kept[0]


def _sizes(pictures: Sequence[Sequence[Picture]], texts: Sequence[str]) -> list[tuple[int, int]]:
    """(h, w) of the pictures of every prompt."""
    if not len(pictures) or len(pictures) != len(texts):
        raise OptionError(
            f"there are pictures for {len(pictures)} prompts and {len(texts)} texts; give as many of both"
        )
    sizes = [[(p.shape[0], p.shape[1]) for p in several] for several in pictures]
    if not sizes[0]:
        raise OptionError("a prompt has no pictures; give at least one")
    other = next((s for s in sizes if s != sizes[0]), None)
    if other is not None:
        raise ShapeError(
            f"the pictures of one prompt are of {sizes[0]} pixels (height, width), of another {other}; prompts of one batch have as many pictures of the same sizes"
        )
    return sizes[0]


def _own_positions(model: Any, inputs: dict[str, Any], prompts: int) -> dict[str, Tensor]:
    """The positions that each prompt has by itself, where those in a batch differ: HunYuan counts its pictures through
    all prompts.
    """
    make = getattr(model.base_model, "get_rope_index", None)
    if make is None:
        return {}
    taken = {name: inputs[name] for name in inspect.signature(make).parameters if isinstance(inputs.get(name), Tensor)}
    if any(len(value) % prompts for value in taken.values()):
        return {}
    parts = {name: value.split(len(value) // prompts) for name, value in taken.items()}
    alone = [make(**{name: part[i] for name, part in parts.items()})[0] for i in range(prompts)]
    own = torch.cat(alone, 1)
    return {} if torch.equal(make(**taken)[0], own) else {"position_ids": own}


def _of_first(inputs: dict[str, Any], prompts: int, pictures: int) -> dict[str, Any]:
    """The inputs of the first prompt, as layouts read them."""
    counts = {"image_grid_thw": pictures, "batch_num_images": 1}
    counts |= {name: pictures for name in PIXEL_NAMES if len(inputs.get(name, ())) == prompts * pictures}
    return inputs | {name: inputs[name][:count] for name, count in counts.items() if inputs.get(name) is not None}
