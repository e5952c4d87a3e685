"""transformers' OmDet-Turbo, a detector of what a text says, as a view. The texts are the classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.view import Inputs
from isotherm.errors import AdapterError
from isotherm.models.transformers.detect import QueryDetectorView

FAMILY = "omdet-turbo"
CACHES = ("language_cache_class", "language_cache_prompt")
"""Where the model keeps what it made of texts, whatever becomes of its weights."""


class OmDetView(QueryDetectorView):
    """OmDet-Turbo: each query is compared with each text, and the processor suppresses what overlaps.

    Args:
        texts: one per class.
        processor: with tokeniser; the rest as in QueryDetectorView.
    """

    def __init__(self, model: Any, *, texts: Sequence[str], processor: Any, **arguments: Any) -> None:
        super().__init__(model, names=texts, processor=processor, **arguments)
        # the sentence of the task and the lengths are the processor's own, which wants a picture with the texts
        encoded = processor(images=[np.zeros((32, 32, 3), np.uint8)], text=[list(texts)], return_tensors="pt")
        self._tokens = {k: v for k, v in encoded.items() if k.startswith(("classes_", "tasks_"))}

    def decoder(self, processor: Any) -> Any:
        """The processor's function that makes findings of outputs."""
        function = getattr(processor, "post_process_grounded_object_detection", None)
        if function is None:
            raise AdapterError(
                f"{type(processor).__name__} has no post_process_grounded_object_detection; pass processor=AutoProcessor.from_pretrained(...) of this model"
            )
        return function

    def further(self, inputs: Inputs) -> dict[str, Any]:
        """The texts and the sentence of the task for each picture."""
        on = {k: v.to(inputs.tensor.device) for k, v in self._tokens.items()}
        return {k: v.repeat(len(inputs), *[1] * (v.ndim - 1)) for k, v in on.items()}

    def run(self, inputs: Inputs) -> Any:
        """The forward pass, with the texts read by the model's present weights."""
        with _without_memory(self.model):
            return super().run(inputs)

    def answer(self, raw: Any) -> Tensor:
        """What a probe explains."""
        return self.rows(raw)

    def rows(self, raw: Any) -> Float[Tensor, "b q k"]:
        """One logit per text."""
        return raw.decoder_class_logits

    def shares(self, raw: Any) -> Float[Tensor, "b q 4"]:
        """Centre and size of every candidate's box, as shares of the picture."""
        return raw.decoder_coord_logits

    def select(self, raw: Any) -> list[Mapping[str, Any]]:
        """The processor's own answer, each finding with its query in place of its box.

        Its boxes decide what it suppresses, so none can be replaced by a number: the query of a finding is the one
        with its score for its text and its box.
        """
        count = len(raw.decoder_coord_logits)
        findings = self.decoder(self.processor)(raw, threshold=self.confidence, target_sizes=[(1, 1)] * count)
        chances = raw.decoder_class_logits.sigmoid()
        centre, size = raw.decoder_coord_logits[..., :2], raw.decoder_coord_logits[..., 2:]
        corners = torch.cat([centre - size / 2, centre + size / 2], -1).clamp(0, 1)
        answers: list[Mapping[str, Any]] = []
        for one, chance, boxes in zip(findings, chances, corners, strict=True):
            apart = (chance[:, one["labels"]].T - one["scores"][:, None]).abs()
            apart = apart + (boxes[None] - one["boxes"][:, None]).abs().amax(-1)
            answers.append({**one, "boxes": apart.argmin(1, keepdim=True)})
        return answers


@contextmanager
def _without_memory(model: Any) -> Iterator[None]:
    """The model with empty memories of texts, which hold what other weights made of them."""
    before = {name: getattr(model, name) for name in CACHES}
    try:
        for name in before:
            setattr(model, name, type(before[name])(model.config.cache_size))
        yield
    finally:
        for name, cache in before.items():
            setattr(model, name, cache)
