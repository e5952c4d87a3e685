"""transformers' detectors of what a text says (Grounding DINO, OWL-ViT, OWLv2) as views. The texts are the classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.view import Inputs
from isotherm.errors import AdapterError, OptionError
from isotherm.models.transformers.detect import QueryDetectorView, numbered_queries

GROUNDED = ("grounding-dino", "mm-grounding-dino")
OWL = ("owlvit", "owlv2")


class OwlView(QueryDetectorView):
    """OWL-ViT and OWLv2: a candidate is a patch, a class a text.

    ``objectness`` (OWLv2) has the model's own values; the model cuts its gradient off on purpose, here it is kept.

    Args:
        texts: one per class.
        processor: with tokeniser; the rest as in QueryDetectorView.
    """

    def __init__(self, model: Any, *, texts: Sequence[str], processor: Any, **arguments: Any) -> None:
        super().__init__(model, names=texts, processor=processor, **arguments)
        encoded = processor(text=[list(texts)], return_tensors="pt")
        self._tokens = {k: encoded[k] for k in ("input_ids", "attention_mask")}
        longest = model.config.text_config.max_position_embeddings
        if self._tokens["input_ids"].shape[1] > longest:
            raise OptionError(
                f"a text has {self._tokens['input_ids'].shape[1]} tokens, but this model reads {longest} at most; shorten it"
            )

    def decoder(self, processor: Any) -> Any:
        """The image processor's, which both families' grounded variant calls."""
        return super().decoder(getattr(processor, "image_processor", processor))

    def further(self, inputs: Inputs) -> dict[str, Any]:
        """The texts, once for each picture."""
        return {k: v.to(inputs.tensor.device).repeat(len(inputs), 1) for k, v in self._tokens.items()}

    def objectness(self, raw: Any, picture: Tensor, query: Tensor) -> Float[Tensor, " n"] | None:
        """That the patch is an object, whatever it is (OWLv2)."""
        head = getattr(self.model, "objectness_head", None)
        if head is None:
            return None
        return head(raw.image_embeds.flatten(1, 2)[picture, query])[:, 0]


class GroundedView(QueryDetectorView):
    """Grounding DINO: the texts are joined to one sentence, whose tokens every query is compared with.

    A class's logit is the largest of its text's tokens. The class of a finding is the text with the largest logit,
    while its confidence is the model's own, the largest over all tokens of the sentence. (The package's own label
    strings together all tokens above a second threshold, which may be parts of several texts, or of none.)

    Args:
        texts: one per class.
        processor: with tokeniser; the rest as in QueryDetectorView.
    """

    def __init__(self, model: Any, *, texts: Sequence[str], processor: Any, **arguments: Any) -> None:
        super().__init__(model, names=texts, processor=processor, **arguments)
        sentence = joined(texts)
        encoded = processor.tokenizer(
            sentence, return_tensors="pt", return_token_type_ids=True, return_offsets_mapping=True
        )
        self._tokens = {k: encoded[k] for k in ("input_ids", "attention_mask", "token_type_ids")}
        longest = int(model.config.max_text_len)
        if self._tokens["input_ids"].shape[1] > longest:
            raise OptionError(
                f"the texts have {self._tokens['input_ids'].shape[1]} tokens together, but this model reads {longest} at most; give fewer"
            )
        self.spans = spans(texts, encoded["offset_mapping"][0].tolist())

    confidence_of_class = False  # it is of all tokens of the sentence

    def decoder(self, processor: Any) -> Any:
        """The grounded variant, which both families of processors have."""
        function = getattr(processor, "post_process_grounded_object_detection", None)
        if function is None:
            raise AdapterError(
                f"{type(processor).__name__} has no post_process_grounded_object_detection; pass processor=AutoProcessor.from_pretrained(...) of this model"
            )
        return function

    def further(self, inputs: Inputs) -> dict[str, Any]:
        """The sentence for each picture, and the mask of the pixels."""
        tokens = {k: v.to(inputs.tensor.device).expand(len(inputs), -1) for k, v in self._tokens.items()}
        return {**super().further(inputs), **tokens}

    def select(self, raw: Any) -> list[Mapping[str, Any]]:
        """The processor's own answer, with the number of the query in place of the box."""
        return self.decoder(self.processor)(numbered_queries(raw), raw.input_ids, threshold=self.confidence)

    def rows(self, raw: Any) -> Float[Tensor, "b q k"]:
        """One logit per text: the largest of its tokens."""
        return torch.stack([raw.logits[..., span].amax(-1) for span in self.spans], -1)

    def classes(
        self, raw: Any, findings: Sequence[Mapping[str, Any]], picture: Tensor, query: Tensor
    ) -> Int[Tensor, " n"]:
        """The text with the largest logit."""
        return self.rows(raw)[picture, query].argmax(-1)


def prompts(text: str | Sequence[str] | None, family: str) -> list[str]:
    """The texts as a list: a string is split at its full stops, as Grounding DINO's are written."""
    parts = re.split(r"\s*\.\s*", text) if isinstance(text, str) else list(text or ())
    texts = [t.strip() for t in parts if t.strip()]
    if not texts:
        raise OptionError(
            f"{family} finds what a text says, but no classes were given; pass classes=['a cat', 'a dog'], or --classes 'a cat,a dog'"
        )
    return texts


def joined(texts: Sequence[str]) -> str:
    """The sentence that Grounding DINO was trained with: lower case, a full stop behind each text."""
    with_stops = [t for t in texts if "." in t]
    if with_stops:
        raise OptionError(
            f"the text {with_stops[0]!r} has a full stop, which parts one class from the next for this model; leave it out"
        )
    return "".join(f"{t.strip().lower()}. " for t in texts).strip()


def spans(texts: Sequence[str], offsets: Sequence[Sequence[int]]) -> list[Int[Tensor, " m"]]:
    """Which tokens of the joined sentence are each text's, by the characters that they stand for."""
    tokens, start = [], 0
    for text in texts:
        end = start + len(text.strip())
        inside = [i for i, (a, b) in enumerate(offsets) if a < b and a >= start and b <= end]
        if not inside:
            raise OptionError(f"the tokeniser makes nothing of the text {text!r}; give another word")
        tokens.append(torch.tensor(inside))
        start = end + 2  # the full stop and the space
    return tokens
