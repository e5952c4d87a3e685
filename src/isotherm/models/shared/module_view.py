"""What views of modules that nobody described have in common: how they prepare pictures and where layers lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from isotherm.cam.premises import Premise
from isotherm.cam.scores.function import Of
from isotherm.cam.view import Inputs, LayerChoice, Layout
from isotherm.errors import AdapterError
from isotherm.frame import Size
from isotherm.models.shared.calling import PLAIN, Calling
from isotherm.models.shared.classifier import where_it_lives, wrong_channels
from isotherm.models.shared.grids import Tokens, layout_of
from isotherm.models.shared.noise import noise_inputs
from isotherm.models.shared.own_transform import Preparation
from isotherm.models.shared.preprocess import Pictures
from isotherm.models.shared.probe import Places
from isotherm.relevance.modules import resolve


def no_tokens(size: Size) -> Tokens | None:
    """The declaration of a module that declares no tokens."""
    return None


class ModuleView:
    """The part of a view that does not depend on what a module puts out.

    Args:
        model: eager module.
        name: one line for people.
        names: class names; empty where there are no classes.
        preprocess: from pictures to inputs.
        premises: what is taken for granted.
        calling: how the module is called and what of its output is read.
        tokens: input size -> what is known of its tokens.
        trial: what the module is tried with, one row; a black picture unless given.
        known: the layers to explain and the reason, where they are known.
    """

    default_method = "gradcam"
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
        premises: Sequence[Premise] = (),
        calling: Calling = PLAIN,
        tokens: Callable[[Size], Tokens | None] = no_tokens,
        trial: Inputs | None = None,
        known: LayerChoice | None = None,
    ) -> None:
        self.model = model
        self._trial = trial
        self.premises = tuple(premises)
        self.name = name
        self.names: Sequence[str] = tuple(names)
        self.preprocess = preprocess
        self.calling = calling
        self._tokens = tokens
        self.known = known
        self.places = Places(model, self.run, self._declared)
        if known is not None:
            self.places.trusted = frozenset(known.layers)

    def prepare(self, pictures: Pictures) -> Inputs:
        """Pictures of any sizes -> one batch."""
        device, dtype = where_it_lives(self.model)
        return self.preprocess.batch(pictures, device=device, dtype=dtype)

    def run(self, inputs: Inputs) -> Any:
        """The forward pass: what the module itself puts out."""
        return put_out(self.model, self.calling, inputs, self.name)

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input; refuses what it cannot place."""
        (ref,) = resolve(self.model, layer)
        return self.places.layout(ref.name, output, inputs)

    def _declared(self, name: str, output: Tensor, inputs: Inputs) -> Layout:
        """What the module and arithmetic say of a layer."""
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
        return layout_of(name, self.model.get_submodule(name), output, inputs, tokens=self._tokens(size))

    def _noise(self) -> Inputs:
        return noise_inputs(self._trial or self.prepare([np.zeros((*self.preprocess.sample, 3), np.uint8)]))


def put_out(model: nn.Module, calling: Calling, inputs: Inputs, name: str) -> Any:
    """What a module puts out for an input.

    Args:
        name: of the model.

    Raises:
        AdapterError: the input has another number of channels than the module takes.
    """
    try:
        return calling.run(model, inputs.tensor, inputs.extra)
    except RuntimeError as error:
        better: AdapterError | None = wrong_channels(error, name, inputs.tensor)
        if better is None:
            raise
        raise better from error
