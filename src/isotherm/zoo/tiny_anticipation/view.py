"""Anticipation models as views: ``--model tiny-anticipation``, or with ``--weights`` that of a training run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.view import Inputs, LayerChoice
from isotherm.data.anticipation.transforms import ClipTransform, through
from isotherm.data.gaze.scaled_store import fitted_store
from isotherm.data.gaze.store import GazeStore
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.model import AnticipationModel
from isotherm.models.shared.classifier import ClassifierOutput
from isotherm.models.shared.clip_classifier import ClipClassifierView
from isotherm.models.shared.clip_grids import ClipTokens
from isotherm.models.shared.preprocess import Preprocess
from isotherm.train.anticipation.build import MEAN, STD, TrainedAnticipation, make_anticipation, open_anticipation
from isotherm.zoo.assets import asset

SHIPPED = "tiny-anticipation-0.safetensors"
LAYER = "model.backbone.model.encoder.layernorm"


class NextAction(nn.Module):
    """Clips and gaze -> logits of actions: one head of an anticipation model.

    Args:
        model: with a single probe.
    """

    def __init__(self, model: AnticipationModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, gaze: GazeInputs | None = None) -> Tensor:
        """(b, t, 3, h, w) normalised -> (b, k)."""
        logits: dict[str, Tensor] = self.model(video, gaze)
        return logits["action"]


class AnticipationView(ClipClassifierView):
    """What an anticipation model says happens next, and which moments and places of the clip speak for it.

    Args:
        trained: the model and its classes.
        gaze: where the person looks in the clip, on its clock; None: the model is told that nothing is known of it.
        name: for messages.
    """

    def __init__(self, trained: TrainedAnticipation, *, gaze: GazeStore | None = None, name: str) -> None:
        model = trained.model
        if gaze is not None and model.fusion is None:
            raise OptionError(
                f"{name} takes no gaze, so a recording of it (gaze, --gaze) says nothing to it; leave it out"
            )
        self.trained, self.gaze = trained, gaze
        self.transform = ClipTransform.plain(model.backbone.size)
        patch = model.backbone.size[0] // model.backbone.grid[0]
        known = (
            "takes no gaze" if model.fusion is None else "gaze is not known" if gaze is None else f"gaze of {gaze.path}"
        )
        super().__init__(
            NextAction(model),
            fed_frames=trained.frames,
            known=LayerChoice(
                (LAYER,), "the encoder's last normalisation: the probe's attention reads all of its tokens"
            ),
            clip_tokens=ClipTokens(0, model.backbone.tubelet, (patch, patch)),
            name=name,
            names=trained.classes["action"],
            preprocess=Preprocess(size=model.backbone.size),
            premises=(
                Premise(about="input", value=f"{trained.frames} frames", source="declared", why="its training"),
                Premise(
                    about="gaze",
                    value=known,
                    source="assumed" if gaze is None and model.fusion is not None else "given",
                ),
            ),
            exclusive=True,
            default_method="hirescam",
        )

    def prepared(self, frames: Sequence[Any]) -> tuple[Tensor, Frame, Tensor]:
        """Frames by the middle of the picture, as the model is judged."""
        video = torch.stack([torch.from_numpy(frame).permute(2, 0, 1) for frame in frames])
        h, w = int(video.shape[-2]), int(video.shape[-1])
        frame = self.transform.drawn((h, w), 0)
        mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
        return (through(video, Frame.identity((h, w)), frame) - mean) / std, frame, -mean.flatten() / std.flatten()

    def run(self, inputs: Inputs) -> ClassifierOutput:
        """The forward pass with the gaze of the clips."""
        return ClassifierOutput(self.model(self.fed(inputs), self.gaze_of(inputs)), None)

    def gaze_of(self, inputs: Inputs) -> GazeInputs | None:
        """Where the person looks in the frames that the model is fed, in its input's pixels; None where it takes none.

        Args:
            inputs: of :meth:`prepare`.

        Raises:
            OptionError: there is a recording, and the times of the clip's frames are not known.
        """
        b, t = inputs.tensor.shape[:2]
        h, w = (int(n) for n in inputs.tensor.shape[-2:])
        if self.trained.model.fusion is None:
            return None
        if self.gaze is None or inputs.timelines is None:
            return GazeInputs.missing(b, t, (h, w)).to(inputs.tensor.device)
        each = []
        for i, timeline in enumerate(inputs.timelines):
            if timeline.edges_s is None:
                raise OptionError(
                    "the times of the clip's frames are not known, so its gaze cannot be found; give a video file whose frames have times that grow, or fps"
                )
            at = torch.tensor([timeline.edges_s[f] for f in timeline.fed], dtype=torch.float64)
            h_source, w_source = (int(n) for n in inputs.frame[i].source_size)
            recording = fitted_store(self.gaze, (h_source, w_source), "the clip")
            gaze = recording.clip(at.numpy()).through(inputs.frame[i])
            each.append(
                GazeInputs(
                    gaze.cells.float()[None],
                    gaze.state[None],
                    gaze.confidence.float()[None],
                    (at - at[-1]).float()[None],
                    (h, w),
                    None if gaze.maps is None else gaze.maps.float()[None],
                )
            )
        return GazeInputs.joined(each).to(inputs.tensor.device)


def load(
    name: str = "tiny-anticipation",
    *,
    weights: str | os.PathLike[str] | None = None,
    gaze: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> AnticipationView:
    """The command line's ``--model tiny-anticipation``.

    Args:
        name: ``tiny-anticipation``.
        weights: a file that a training wrote; ``none`` for random weights; the shipped ones if None.
        gaze: where the person looks in the clip: a file or folder as ``isotherm gaze import`` and ``convert`` make.
        device: where it runs.
        seed: of random weights.

    Raises:
        InputError, WeightsError: a file that is missing or damaged.
    """
    fpath = asset(SHIPPED) if weights is None or str(weights) == "none" else weights
    trained, label = (
        open_anticipation(fpath),
        "tiny-anticipation" if weights is None else f"anticipation model {weights}",
    )
    if str(weights) == "none":
        model = make_anticipation(trained.choice, trained.classes, rate_hz=trained.rate_hz)
        trained = TrainedAnticipation(model.eval(), trained.choice, trained.classes, trained.rate_hz, trained.frames)
        label = f"tiny-anticipation, random weights of seed {seed}"
    trained.model.to(device)
    view = AnticipationView(trained, gaze=None if gaze is None else open_gaze_store(gaze), name=label)
    if str(weights) == "none":
        view.random_weights = RandomWeights.of(view.model, seed)
    return view
