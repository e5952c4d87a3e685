"""A clip, and where somebody looked in it -> what they do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError, ShapeError
from isotherm.gaze.backbone import VideoBackbone
from isotherm.gaze.fusion.fusion import FusionConfig
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.probe import ProbeConfig, Probes
from isotherm.gaze.training_mode import TrainingMode, set_training_mode


@dataclass(frozen=True, kw_only=True)
class AnticipationConfig:
    """How an anticipation model is put together.

    Args:
        classes: how many each head has, by its name: verb, noun, action.
        fusion: how gaze gets in; None: not at all.
        probe: how a probe is built.
        probes: how many are trained side by side.
        encoder: how much of the encoder is trained.
        predictor: the same of the predictor; 'none': there is none, and the probe reads the clip's features alone.
        reads_features: the probe reads the clip's features beside the predictor's.
        frames_per_second: of the clips.
        output_frames: how many frames the predictor says, as whole tubelets.
        steps: how many times; each further one takes the last prediction for the end of the clip.
        bottleneck: of adapters.
        seed: of all weights that are not pretrained.

    Raises:
        OptionError: numbers out of range, or a probe that would read nothing.
    """

    classes: Mapping[str, int]
    fusion: FusionConfig | None = None
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    probes: int = 1
    encoder: TrainingMode = "frozen"
    predictor: TrainingMode | str = "frozen"
    reads_features: bool = True
    frames_per_second: float = 8.0
    output_frames: int = 2
    steps: int = 1
    bottleneck: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames_per_second <= 0 or min(self.output_frames, self.steps, self.probes) < 1:
            raise OptionError(
                f"frames_per_second is {self.frames_per_second}, output_frames {self.output_frames}, steps {self.steps}, probes {self.probes}; "
                "expected numbers above 0"
            )
        if self.predictor == "none" and not self.reads_features:
            raise OptionError("there is no predictor and reads_features is False, so the probe would read nothing")


class AnticipationModel(nn.Module):
    """Clips or their features, and gaze -> logits of verbs, nouns and actions.

    Args:
        model: a VJEPA2Model, which is changed in place where the configuration has adapters.
        config: how it is put together.

    Raises:
        OptionError: what the parts refuse.

    Example:
        >>> from isotherm.models.transformers.vjepa2.build import make_vjepa2
        >>> tiny = dict(crop_size=16, patch_size=8, frames_per_clip=4, hidden_size=32, num_attention_heads=2, num_hidden_layers=1)
        >>> tiny |= dict(pred_hidden_size=16, pred_num_attention_heads=1, pred_num_hidden_layers=1)
        >>> config = AnticipationConfig(classes={"verb": 3, "noun": 4, "action": 12}, probe=ProbeConfig(heads=2))
        >>> model = AnticipationModel(make_vjepa2(tiny, seed=0), config)
        >>> features = model.encode(torch.zeros(1, 4, 3, 16, 16))       # once, for a frozen encoder
        >>> {name: tuple(logits.shape) for name, logits in model(features).items()}
        {'verb': (1, 3), 'noun': (1, 4), 'action': (1, 12)}
    """

    def __init__(self, model: Any, config: AnticipationConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = VideoBackbone(model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.probes = Probes(self.backbone.token_size, config.classes, config.probe, many=config.probes)
            # each part with a seed of its own, so that the probe is the same whatever the fusion
            torch.manual_seed(config.seed + 1)
            set_training_mode(self.backbone.encoder, config.encoder, bottleneck=config.bottleneck)
            mode: Any = "frozen" if config.predictor == "none" else config.predictor
            set_training_mode(self.backbone.predictor, mode, bottleneck=config.bottleneck)
            torch.manual_seed(config.seed + 2)
            self.fusion = None
            if config.fusion is not None:
                site = self.backbone.site(config.fusion.at, predictor=config.predictor != "none")
                self.fusion = config.fusion.make(site)
        self.train(self.training)

    @property
    def takes_features(self) -> bool:
        """Whether :meth:`encode` knows all that the encoder's features depend on, so that they may be computed once."""
        return self.config.encoder == "frozen" and not self._fuses_at("embeddings")

    def train(self, mode: bool = True) -> AnticipationModel:
        """As :meth:`torch.nn.Module.train`, but frozen parts stay in evaluation mode."""
        super().train(mode)
        for part, trained in (
            (self.backbone.encoder, self.config.encoder),
            (self.backbone.predictor, self.config.predictor),
        ):
            if trained in ("frozen", "none"):
                part.eval()
        return self

    def encode(self, video: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b n d"]:
        """The clip's features without gaze: a function of the pixels alone, which may be kept where the encoder is
        frozen.

        Args:
            video: normalised as the model's processor does.

        Raises:
            ShapeError: no whole tubelets, or another resolution than the model's.
        """
        return self.backbone.encode(self.backbone.embed(video))

    def forward(
        self,
        features_or_video: Float[Tensor, "b n d"] | Float[Tensor, "b t 3 h w"],
        gaze: GazeInputs | None = None,
        *,
        ahead_s: float | Float[Tensor, " b"] = 1.0,
    ) -> dict[str, Float[Tensor, "*p b k"]]:
        """Logits by head: (b, k), or (p, b, k) of several probes.

        Args:
            features_or_video: of :meth:`encode`, or the clips themselves.
            gaze: in the same clips; None: the model without gaze, whose gaze parts are not run. Where a model has
                learned with gaze, ``GazeInputs.missing`` says that there is none.
            ahead_s: seconds from the end of the clip to what is anticipated, one for all or one per clip.

        Raises:
            OptionError: features where the encoder must see the clip, or gaze for a model without a fusion.
            ShapeError: gaze of other clips, frames or sizes than the video's.
        """
        if gaze is not None and self.fusion is None:
            raise OptionError(
                "there is gaze, but the model has no fusion; give gaze=None, or make the model with a fusion"
            )
        features = self._features(features_or_video, gaze)
        logits: dict[str, Tensor] = self.probes(self.context(features, gaze, ahead_s))
        return logits if len(self.probes) > 1 else {name: values[0] for name, values in logits.items()}

    def context(
        self, features: Float[Tensor, "b n d"], gaze: GazeInputs | None, ahead_s: float | Float[Tensor, " b"]
    ) -> Float[Tensor, "b k d"]:
        """What the probe reads: features, and what the predictor says of the future.

        Args:
            features: of the encoder.
            gaze: as of :meth:`forward`.
            ahead_s: as of :meth:`forward`.
        """
        c, conditioning = self.config, None
        if gaze is not None and self.fusion is not None and self._fuses_at("features"):
            self._expect_gaze(gaze, self.backbone.tubelets(features) * self.backbone.tubelet, len(features))
            features = self.fusion.add(features, gaze)
            conditioning = self.fusion.condition(features, gaze)
        read = [features] if c.reads_features else []
        if c.predictor != "none":
            at = torch.as_tensor(ahead_s, dtype=torch.float32, device=features.device).expand(len(features))
            for _ in range(c.steps):
                predicted = self.backbone.predict(
                    features,
                    at,
                    frames_per_second=c.frames_per_second,
                    output_frames=c.output_frames,
                    conditioning=conditioning,
                )
                read.append(predicted)
                # the end of the clip moves on: what was predicted is taken for seen
                features = torch.cat([features[:, predicted.shape[1] :], predicted], dim=1)
        return torch.cat(read, dim=1)

    def _features(self, x: Tensor, gaze: GazeInputs | None) -> Tensor:
        at_embeddings = gaze is not None and self._fuses_at("embeddings")
        if x.ndim == 3:
            if at_embeddings:
                raise OptionError(
                    "the fusion acts in front of the encoder, so features that were computed without gaze cannot be used; give the video, or use at='features'"
                )
            self.backbone.tubelets(x)
            return x
        if x.ndim != 5:
            raise ShapeError(f"got shape {tuple(x.shape)}; expected a video (b, t, 3, h, w) or features (b, n, d)")
        tokens = self.backbone.embed(x)
        if not at_embeddings or gaze is None or self.fusion is None:
            return self.backbone.encode(tokens)
        self._expect_gaze(gaze, x.shape[1], len(x))
        tokens = self.fusion.add(tokens, gaze)
        return self.backbone.encode(tokens, self.fusion.condition(tokens, gaze))

    def _fuses_at(self, at: str) -> bool:
        return self.fusion is not None and self.fusion.config.at == at

    def _expect_gaze(self, gaze: GazeInputs, frames: int, clips: int) -> None:
        if (len(gaze), gaze.frames) != (clips, frames) or gaze.size != self.backbone.size:
            raise ShapeError(
                f"there is gaze for {len(gaze)} clips of {gaze.frames} frames of {gaze.size[0]} x {gaze.size[1]} pixels; expected {clips} clips of {frames} frames "
                f"of {self.backbone.size[0]} x {self.backbone.size[1]}, the model's input"
            )
