"""The view of any image classifier: what torchvision's, timm's and a user's own have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.scores.function import Of
from isotherm.cam.view import Classification, Inputs, LayerChoice, Layout, Pins
from isotherm.errors import AdapterError
from isotherm.frame import Size
from isotherm.models.shared.calling import PLAIN, Calling
from isotherm.models.shared.grids import NotDeclaredError, Tokens, layout_of
from isotherm.models.shared.noise import noise_inputs
from isotherm.models.shared.own_transform import Preparation
from isotherm.models.shared.preprocess import Pictures
from isotherm.models.shared.probe import Places, settled
from isotherm.relevance.grad_mode import without_gradients
from isotherm.relevance.modules import resolve


@dataclass(frozen=True, eq=False)
class ClassifierOutput:
    """What a classifier's forward pass left: (b, k) logits, where a linear layer makes them (b, d) its input, and all
    that the module itself put out.
    """

    logits: Float[Tensor, "b k"]
    embedding: Float[Tensor, "b d"] | None
    raw: Any = None


class ClassifierView:
    """Fulfils :class:`isotherm.cam.view.View` for a module that maps (b, c, h, w) to (b, k) logits.

    Args:
        model: eager module.
        name: one line for people.
        names: k class names.
        preprocess: from pictures to inputs.
        heads: linear layers whose mean output is the logits (one, or two in distilled transformers); the
            embedding is what they read.
        known: the layer to explain and the reason, where the family is known; None: found by running once.
        tokens: input size -> what a transformer declares about its tokens.
        four: order of the family's 4-dimensional outputs where nothing else says it.
        embeds: the model has no classes: its answer is the embedding itself.
        premises: what is taken for granted of its input and names.
        random_weights: set where isotherm made the weights.
        exclusive: the model is known to have been trained by cross-entropy over a softmax of its classes.
        independent: it is known to have been trained by a sigmoid for each of its classes.
        calling: how the module is called, and what of its output is the logits.
        trial: what the module is tried with, one row; a black picture unless given.
    """

    random_weights: RandomWeights | None = None
    function_of: Of = "prediction"
    """What a function of one argument that is a target is given."""
    eats_tensors: ClassVar[bool] = True
    """Whether a tensor (b, c, h, w) may be fed in place of pictures."""

    def __init__(
        self,
        model: nn.Module,
        *,
        name: str,
        names: Sequence[str],
        preprocess: Preparation,
        heads: Sequence[nn.Module] = (),
        known: LayerChoice | None = None,
        tokens: Callable[[Size], Tokens | None] = lambda size: None,
        four: str = "nchw",
        embeds: bool = False,
        exclusive: bool = False,
        independent: bool = False,
        default_method: str = "gradcam",
        premises: Sequence[Premise] = (),
        calling: Calling = PLAIN,
        trial: Inputs | None = None,
    ) -> None:
        self.model = model
        self._trial = trial
        self.name = name
        self.calling = calling
        self.premises = tuple(premises)
        self.names: Sequence[str] = tuple(names)
        self.preprocess = preprocess
        self.default_method = default_method
        self._heads = tuple(heads)
        self._known = known
        self._tokens = tokens
        self._four = four
        self._embeds = embeds
        self.exclusive, self.independent = exclusive, independent
        self._choice: LayerChoice | None = None
        self._trusted = frozenset[str]()
        if known is not None:
            self._trusted = frozenset(ref.name for ref in resolve(model, list(known.layers)))

    @cached_property
    def places(self) -> Places:
        """Where the cells of layers lie that nobody described."""
        places = Places(self.model, self.run, self._declared)
        places.trusted = self._trusted
        return places

    def prepare(self, pictures: Pictures) -> Inputs:
        """Pictures of any sizes -> one batch, by the evaluation transform of the weights."""
        device, dtype = where_it_lives(self.model)
        return self.preprocess.batch(pictures, device=device, dtype=dtype)

    def fed(self, inputs: Inputs) -> Tensor:
        """What the model is called with."""
        return inputs.tensor

    def run(self, inputs: Inputs) -> ClassifierOutput:
        """The forward pass; what the last linear layer reads is kept beside the logits."""
        read: list[tuple[Tensor, Tensor]] = []

        def keep(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
                read.append((args[0], output))

        handles = [head.register_forward_hook(keep) for head in self._heads]
        tensor = self.fed(inputs)
        try:
            raw = self.calling.run(self.model, tensor, inputs.extra)
            logits = self.calling.logits(raw)
        except RuntimeError as error:
            better = wrong_channels(error, self.name, tensor)
            if better is None:
                raise
            raise better from error
        finally:
            for handle in handles:
                handle.remove()
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            what = f"a tensor {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
            raise AdapterError(
                f"{self.name} puts out {what}; a classifier puts out (pictures, classes) logits. "
                "Wrap models of other jobs by their own adapter, or with a forward that returns the logits"
            )
        embedding = None
        if read and len(read) == len(self._heads) and all(r.ndim == 2 for r, _ in read):
            # only if these layers really made the answer is their input its embedding
            with without_gradients():
                made = torch.stack([o for _, o in read]).mean(0) if len(read) > 1 else read[0][1]
                same = made.shape == logits.shape and torch.allclose(made, logits, rtol=1e-2, atol=1e-3)
            if same:
                embedding = torch.stack([r for r, _ in read]).mean(0) if len(read) > 1 else read[0][0]
        elif self._embeds:
            embedding = logits
        return ClassifierOutput(logits, embedding, raw)

    def find(self, raw: ClassifierOutput, inputs: Inputs) -> Classification:
        """The logits with their names."""
        if raw.logits.shape[1] != len(self.names):
            raise AdapterError(
                f"{self.name} puts out {raw.logits.shape[1]} logits, but {len(self.names)} class names were given; "
                "pass names= with one name per logit"
            )
        return Classification(raw.logits, self.names, raw.embedding, self.exclusive, raw.raw, self.independent)

    def refind(self, raw: ClassifierOutput, inputs: Inputs, pins: Pins) -> Classification:
        """The same as :meth:`find`: a classifier's answers cannot be reordered."""
        return self.find(raw, inputs)

    def auto_layers(self) -> LayerChoice:
        """The layer known to be right for the family, or the one that running the model once shows to be."""
        if self._choice is None:
            tokens = self._tokens(self.preprocess.size)
            # tokens that are cut from the picture itself are certain; what lies under others is tried
            check = tokens is not None and tokens.patch is None
            key = (type(self).__name__, self.preprocess.size)
            if self._known is not None and not check:
                self._choice = self._known
            else:
                self._choice = settled(
                    self.places, lambda raw: raw.logits, self._noise, self._known, key=key, check=check
                )
                self._trusted = self.places.trusted
        return self._choice

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input; refuses what it cannot place."""
        (ref,) = resolve(self.model, layer)
        if ref.name in self._trusted:
            with suppress(NotDeclaredError):
                return self._declared(ref.name, output, inputs)
        return self.places.layout(ref.name, output, inputs)

    def _declared(self, name: str, output: Tensor, inputs: Inputs) -> Layout:
        """What the model, its modules and arithmetic say of a layer."""
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
        return layout_of(
            name, self.model.get_submodule(name), output, inputs, tokens=self._tokens(size), four=self._four
        )

    def _noise(self) -> Inputs:
        return noise_inputs(self._trial or self.prepare([np.zeros((*self.preprocess.sample, 3), np.uint8)]))


class TransformerView(ClassifierView):
    """A classifier's view that also fulfils :class:`isotherm.cam.view.TokenReader`.

    Args:
        blocks: names of the blocks, in order of execution.
        head: a block's output (b, n, d) -> (logits, embedding): the model's own final norm, pooling and classifier.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        blocks: Sequence[str],
        head: Callable[[Tensor], tuple[Tensor, Tensor]],
        **arguments: Any,
    ) -> None:
        super().__init__(model, default_method="hirescam", **arguments)
        self.blocks: Sequence[str] = tuple(blocks)
        self._head = head

    def read_tokens(self, tokens: Float[Tensor, "b n d"], inputs: Inputs) -> Classification:
        """What the model would answer if the tokens behind a block were those behind its last."""
        with evaluating(self.model):  # this runs behind the forward pass, and heads may drop out
            logits, embedding = self._head(tokens)
        return Classification(logits, self.names, embedding)


def where_it_lives(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and floating-point type of a model's parameters; of a module around another model, of that one's."""
    for parameter in (getattr(model, "place", None) or model).parameters():
        if parameter.is_floating_point():
            return parameter.device, parameter.dtype
    return torch.device("cpu"), torch.float32


def wrong_channels(error: Exception, name: str, tensor: Tensor) -> AdapterError | None:
    """The error of a model that was fed with another number of channels than it takes; None where that is not what went
    wrong.

    Args:
        error: what torch raised.
        name: of the model.
        tensor: what it was fed, with its channels where they are for pictures.
    """
    match = re.search(r"to have (\d+) channels, but got (\d+) channels", str(error))
    if match is None or int(match[2]) != tensor.shape[1] or match[1] == match[2]:
        return None
    advice = (
        "give mean= and std= with one number each, such as mean=[0.5], std=[0.5], and pictures are turned grey first"
        if match[1] == "1"
        else "give mean= and std= with three numbers each"
        if match[1] == "3"
        else f"give tensors (b, {match[1]}, rows, columns), which are fed as they are, or wrap it in a module that makes its channels of three"
    )
    return AdapterError(f"{name} takes inputs of {match[1]} channel(s) and was fed with {match[2]}; {advice}")


def numbered(k: int, what: str = "class") -> list[str]:
    """Names for classes that nobody named."""
    return [f"{what} {i}" for i in range(k)]
