"""The views of modules of one's own that take clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from isotherm.cam.clips import Clip, ClipLayout
from isotherm.cam.view import Inputs, LayerChoice
from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.models.own.raw_view import RawView
from isotherm.models.shared.classifier import ClassifierView, where_it_lives
from isotherm.models.shared.clip_batch import clip_batch
from isotherm.models.shared.clip_places import ClipPlaces
from isotherm.models.shared.clip_probe import clip_choice
from isotherm.models.shared.grids import Tokens
from isotherm.models.shared.noise import noise_inputs
from isotherm.models.shared.own_transform import Preparation
from isotherm.relevance.modules import resolve


class OfClips:
    """The part of a view of clips that does not depend on what a module puts out.

    Args:
        model: eager module.
        trial: a black clip, of as many frames as the module is fed.
        tokens: input size -> what the user says of the tokens of a frame, or None.
        arguments: of the view beside it.
    """

    model: nn.Module
    preprocess: Preparation
    run: Callable[[Inputs], Any]
    eats_tensors: ClassVar[bool] = False

    def __init__(
        self, model: nn.Module, *, trial: Inputs, tokens: Callable[[Size], Tokens | None], **arguments: Any
    ) -> None:
        super().__init__(model, trial=trial, tokens=tokens, **arguments)  # type: ignore[call-arg]
        self.fed_frames = int(trial.tensor.shape[1])
        self.clip_places = ClipPlaces(model, self.run, tokens)
        self._black = trial

    def prepare(self, pictures: Sequence[Clip]) -> Inputs:
        """Clips of any sizes and lengths -> one batch: of each as many frames as the model is fed, evenly spread."""
        device, dtype = where_it_lives(self.model)
        return clip_batch(pictures, self.fed_frames, self._prepared, device=device, dtype=dtype)

    def _prepared(self, frames: Sequence[Any]) -> tuple[Tensor, Frame, Tensor]:
        """Frames of one size as pictures of their own, which all lie alike."""
        inputs = self.preprocess.batch(frames)
        blank = inputs.tensor.new_zeros(inputs.tensor.shape[1]) if inputs.blank is None else inputs.blank
        return inputs.tensor, inputs.frame[0], blank

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> ClipLayout:
        """How a layer's output lies over clips; refuses what it cannot place."""
        (ref,) = resolve(self.model, layer)
        return self.clip_places.layout(ref.name, output, inputs)


class OwnClipClassifier(OfClips, ClassifierView):
    """Fulfils :class:`isotherm.cam.clips.ClipView` for a module that puts out a logit for each class."""

    def auto_layers(self) -> LayerChoice:
        """The last layer with cells over the clip that all carry gradient, as running the model once shows it."""
        if self._choice is None:
            self._choice = self._known or clip_choice(
                self.clip_places, lambda raw: raw.logits, noise_inputs(self._black)
            )
        return self._choice


class OwnClipOutput(OfClips, RawView):
    """Fulfils :class:`isotherm.cam.clips.ClipView` for a module whose output nobody reads but a function of the
    user's.
    """

    def _chosen(self) -> LayerChoice:
        inputs = noise_inputs(self._black)
        read, grid, caution = self._what_is_read(inputs)
        choice = clip_choice(self.clip_places, read, inputs, coarsest=grid is not None)
        return LayerChoice(choice.layers, choice.reason + caution)


def check_clip_options(detector: Any, over: int, takes: str) -> None:
    """Raises OptionError for options of a module of one's own that go with pictures alone.

    Args:
        detector: how findings are read; None of what is no detector.
        over: which of several inputs the map lies over.
        takes: what a plain function is given.
    """
    if detector is not None:
        raise OptionError(
            "findings= is of detectors that take pictures; of a model of clips give target=, a function of what it puts out"
        )
    if over:
        raise OptionError(f"over is {over}: a model of clips takes one input; leave it out")
    if takes == "pictures":
        raise OptionError(
            "takes='pictures' is of functions that take single pictures; of clips a function is given tensors"
        )
