"""The view of any classifier of clips: what torchvision's and transformers' have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from isotherm.cam.clips import Clip, ClipLayout
from isotherm.cam.view import Inputs, LayerChoice
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.models.shared.classifier import ClassifierView, where_it_lives
from isotherm.models.shared.clip_batch import clip_batch
from isotherm.models.shared.clip_grids import ClipTokens, clip_layout_of
from isotherm.relevance.modules import resolve


class ClipClassifierView(ClassifierView, ABC):
    """Fulfils :class:`isotherm.cam.clips.ClipView` for a module that maps clips to (b, k) logits.

    Args:
        model: eager module.
        fed_frames: how many frames it is fed.
        known: the layers to explain unless told, and why.
        clip_tokens: what a transformer declares about its tokens.
        arguments: the others of :class:`ClassifierView`.
    """

    eats_tensors: ClassVar[bool] = False

    def __init__(
        self,
        model: nn.Module,
        *,
        fed_frames: int,
        known: LayerChoice,
        clip_tokens: ClipTokens | None = None,
        **arguments: Any,
    ) -> None:
        if fed_frames < 1:
            raise OptionError(f"frames is {fed_frames}; it is how many frames of a clip the model is fed, at least 1")
        super().__init__(model, known=known, **arguments)
        self.fed_frames = fed_frames
        self._layers = known
        self._clip_tokens = clip_tokens

    @abstractmethod
    def prepared(self, frames: Sequence[Any]) -> tuple[Tensor, Frame, Tensor]:
        """Frames of one size, (H, W, 3) uint8 each -> (t, c, h, w) normalised, the frame of them all, (c,) the blank
        value.
        """

    def prepare(self, pictures: Sequence[Clip]) -> Inputs:  # type: ignore[override]
        """Clips of any sizes and lengths -> one batch: of each as many frames as the model is fed, evenly spread."""
        device, dtype = where_it_lives(self.model)
        return clip_batch(pictures, self.fed_frames, self.prepared, device=device, dtype=dtype)

    def auto_layers(self) -> LayerChoice:
        """The layer that is right for the family."""
        return self._layers

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> ClipLayout:
        """How a layer's output lies over the clip; refuses what it cannot place."""
        (ref,) = resolve(self.model, layer)
        return clip_layout_of(self.model, ref.name, output, inputs, tokens=self._clip_tokens)
