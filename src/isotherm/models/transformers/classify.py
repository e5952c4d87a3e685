"""transformers' image classifiers, image-text encoders and bare vision encoders as views."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isotherm.cam.activation import Activation
from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.view import Classification, Inputs, LayerChoice, Layout, Pins
from isotherm.errors import AdapterError
from isotherm.models.shared.classifier import ClassifierOutput, numbered, where_it_lives
from isotherm.models.shared.noise import noise_inputs
from isotherm.models.shared.probe import Candidate, Places, settled
from isotherm.models.transformers.layers import (
    BEFORE_ATTENTION,
    forward_options,
    known_choice,
    layer_layout,
    token_rules,
    trained_size,
)
from isotherm.models.transformers.prepare import PROBE, Preparer
from isotherm.relevance.modules import resolve


class EncoderView(ABC):
    """What all of these share: preparing pictures, calling the model, layers and their layouts.

    Args:
        model: the transformers model.
        name: one line for people.
        names: class names.
        preparer: from pictures to inputs.
    """

    random_weights: RandomWeights | None = None

    def __init__(self, model: Any, *, name: str, names: Sequence[str], preparer: Preparer) -> None:
        self.model = model
        self.name = name
        self.names: Sequence[str] = tuple(names)
        self.preparer = preparer
        self.premises: tuple[Premise, ...] = preparer.premises
        self.rules = token_rules(model)
        self.default_method = "hirescam" if self.rules else "gradcam"
        self._choice: LayerChoice | None = None
        self.places = Places(model, self.run, self.declared)

    def prepare(self, pictures: Sequence[np.ndarray]) -> Inputs:
        """Pictures of any sizes -> one batch, by the model's own image processor."""
        device, dtype = where_it_lives(self.model)
        return self.preparer.batch(pictures, device=device, dtype=dtype)

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input; refuses what it cannot place."""
        (ref,) = resolve(self.model, layer)
        return self.places.layout(ref.name, output, inputs)

    def declared(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """What the model's configuration, its modules and arithmetic say of a layer."""
        return layer_layout(self.model, layer, output, inputs, self.rules)

    def auto_layers(self) -> LayerChoice:
        """The layer known to be right for the family, or the one that running the model once shows to be."""
        if self._choice is None:
            self._choice = self.settle(known_choice(self.model, self.rules, model_type(self.model)))
        return self._choice

    def settle(self, known: LayerChoice | None) -> LayerChoice:
        """The choice of the family if its layers can be explained, else what running the model shows."""
        # what convolutions put out is certain; tokens are tried, since a family's name does not say what becomes of
        # them
        check = known is not None and any(
            re.search(rf"\.({'|'.join(BEFORE_ATTENTION)})$", layer) for layer in known.layers
        )
        key = (type(self).__name__, None if known is None else known.layers)
        return settled(self.places, self.answer, self._noise, known, key=key, check=check, among=self.among)

    def among(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Which grids may be explained where the family's layer is not known."""
        return candidates

    @abstractmethod
    def run(self, inputs: Inputs) -> Any:
        """The forward pass."""

    def answer(self, raw: Any) -> Tensor:
        """What of the raw output a probe explains."""
        return raw.logits

    def call(self, inputs: Inputs, **further: Any) -> Any:
        """The model on the inputs, with position embeddings interpolated where they are of another size."""
        options = forward_options(self.model, inputs, trained_size(self.model.config))
        try:
            return self.model(**self.preparer.feed(inputs.tensor), **options, **further, return_dict=True)
        except ValueError as error:
            raise AdapterError(
                f"{self.name} does not take an input of {tuple(inputs.tensor.shape)} ({error}); give size= as the model was trained with"
            ) from error

    def _noise(self) -> Inputs:
        return noise_inputs(self.prepare([np.zeros((*PROBE, 3), np.uint8)]))


class ImageClassifierView(EncoderView):
    """Fulfils :class:`isotherm.cam.view.View` for ``...ForImageClassification``; distilled models' averaged logits."""

    eats_tensors = True
    activation: Activation | None = None
    """What makes a class's probability of its logit, where the user says it; else the configuration does, or nobody."""

    def run(self, inputs: Inputs) -> ClassifierOutput:
        """The forward pass; what the last linear layers read is kept beside the logits."""
        with reading(heads_of(self.model)) as read:
            logits = self.call(inputs).logits
        return ClassifierOutput(logits, embedding_of(read, logits))

    def find(self, raw: ClassifierOutput, inputs: Inputs) -> Classification:
        """The logits with their names; probabilities where the configuration says that one class excludes the
        others, or that each is a question of its own.
        """
        trained = self.activation or trained_by(self.model.config)
        return Classification(
            raw.logits, self.names, raw.embedding, trained == "softmax", independent=trained == "sigmoid"
        )

    def refind(self, raw: ClassifierOutput, inputs: Inputs, pins: Pins) -> Classification:
        """The same as :meth:`find`: a classifier's answers cannot be reordered."""
        return self.find(raw, inputs)


class EmbeddingView(EncoderView):
    """Fulfils :class:`isotherm.cam.view.View` for encoders without classes: the answer is the embedding itself."""

    def __init__(self, model: Any, *, name: str, names: Sequence[str], preparer: Preparer) -> None:
        super().__init__(model, name=name, names=names, preparer=preparer)
        if not names:
            self.names = tuple(numbered(_width(model), "feature"))

    def run(self, inputs: Inputs) -> ClassifierOutput:
        """The pooled feature of each picture."""
        if hasattr(self.model, "get_image_features"):
            options = forward_options(self.model, inputs, trained_size(self.model.config))
            out = self.model.get_image_features(**self.preparer.feed(inputs.tensor), **options)
        else:
            out = self.call(inputs)
        feature = out if isinstance(out, Tensor) else getattr(out, "pooler_output", None)
        if feature is None:
            raise AdapterError(
                f"{self.name} gives no pooled feature, so there is nothing to explain as a whole; use a model with a head or a pooler"
            )
        feature = feature.flatten(1)
        return ClassifierOutput(feature, feature)

    def find(self, raw: ClassifierOutput, inputs: Inputs) -> Classification:
        """The feature's values as logits, with the feature as embedding."""
        return Classification(raw.logits, self.names, raw.embedding)

    def refind(self, raw: ClassifierOutput, inputs: Inputs, pins: Pins) -> Classification:
        """The same as :meth:`find`."""
        return self.find(raw, inputs)


class ZeroShotView(EncoderView):
    """Fulfils :class:`isotherm.cam.view.View` for CLIP and its kin with texts as classes.

    Logits are the model's own ``logits_per_image``, the embedding its ``image_embeds``.

    Args:
        tokens: what the tokeniser made of the texts, (k, l) each.
    """

    def __init__(
        self, model: Any, *, name: str, names: Sequence[str], preparer: Preparer, tokens: dict[str, Tensor]
    ) -> None:
        super().__init__(model, name=name, names=names, preparer=preparer)
        self.tokens = tokens

    def run(self, inputs: Inputs) -> ClassifierOutput:
        """The forward pass of both towers, the text's by the model's present weights."""
        device = inputs.tensor.device
        out = self.call(inputs, **{k: v.to(device) for k, v in self.tokens.items()})
        return ClassifierOutput(out.logits_per_image, out.image_embeds)

    def find(self, raw: ClassifierOutput, inputs: Inputs) -> Classification:
        """One logit per text; of several the softmax is their probabilities, where the model was trained to tell texts
        apart by one. SigLIP, with a bias, was trained by a sigmoid for each.
        """
        independent = hasattr(self.model, "logit_bias")
        exclusive = len(self.names) > 1 and not independent
        return Classification(raw.logits, self.names, raw.embedding, exclusive, independent=independent)

    def refind(self, raw: ClassifierOutput, inputs: Inputs, pins: Pins) -> Classification:
        """The same as :meth:`find`."""
        return self.find(raw, inputs)


def trained_by(config: Any) -> Activation | None:
    """What makes a class's probability of its logit, as a configuration says."""
    by: dict[Any, Activation] = {"single_label_classification": "softmax", "multi_label_classification": "sigmoid"}
    return by.get(getattr(config, "problem_type", None))


def tokenise(processor: Any, texts: Sequence[str], kind: str) -> dict[str, Tensor]:
    """The texts' tokens (k, l), padded as the family was trained: SigLIP's to their full length."""
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:
        raise AdapterError(
            "texts were given, but the processor has no tokeniser; pass processor=AutoProcessor.from_pretrained(...) of this model"
        )
    padding = "max_length" if kind.startswith("siglip") else True
    encoded = tokenizer(list(texts), padding=padding, truncation=True, return_tensors="pt")
    return {k: v for k, v in encoded.items() if k in ("input_ids", "attention_mask")}


def model_type(model: Any) -> str:
    """The family's name in transformers."""
    return str(model.config.model_type)


@contextmanager
def reading(heads: Sequence[nn.Module]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """A list that fills with (input, output) of each of the layers as they run."""
    read: list[tuple[Tensor, Tensor]] = []

    def keep(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
            read.append((args[0], output))

    handles = [head.register_forward_hook(keep) for head in heads]
    try:
        yield read
    finally:
        for handle in handles:
            handle.remove()


def heads_of(model: nn.Module) -> list[nn.Module]:
    """The last linear layer of each classifier of the model; distilled ones have two."""
    tops = [module for name, module in model.named_children() if "classifier" in name or name in ("head", "fc")]
    linears = [[m for m in top.modules() if isinstance(m, nn.Linear)] for top in tops]
    return [layers[-1] for layers in linears if layers]


def embedding_of(read: Sequence[tuple[Tensor, Tensor]], logits: Tensor) -> Tensor | None:
    """What the heads read, if their mean output really is the answer."""
    if not read or any(embedding.ndim != 2 or made.shape != logits.shape for embedding, made in read):
        return None
    made = torch.stack([out for _, out in read]).mean(0)
    if not torch.allclose(made.detach(), logits.detach(), rtol=1e-2, atol=1e-3):
        return None
    return torch.stack([embedding for embedding, _ in read]).mean(0)


def _width(model: Any) -> int:
    config = model.config
    if hasattr(model, "get_image_features"):
        return int(getattr(config, "projection_dim", None) or config.vision_config.hidden_size)
    sizes = getattr(config, "hidden_sizes", None)
    return int(sizes[-1] if sizes else config.hidden_size)
