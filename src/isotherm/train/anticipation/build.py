"""Which anticipation model: a V-JEPA 2 by name, how gaze gets in and what reads it; made, kept and opened again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from isotherm import limits
from isotherm.errors import OptionError
from isotherm.gaze.fusion.choose import fusion_from
from isotherm.gaze.model import AnticipationConfig, AnticipationModel
from isotherm.gaze.probe import ProbeConfig
from isotherm.gaze.training_mode import TrainingMode
from isotherm.headed import HeadedFile
from isotherm.models.transformers.vjepa2.build import make_vjepa2, open_vjepa2
from isotherm.models.transformers.vjepa2.original import load_original
from isotherm.train.anticipation.clip_data import ClipBatch
from isotherm.train.recipe import from_plain
from isotherm.untrusted.networks import built

FILE = HeadedFile(
    format="isotherm.anticipation/1",
    noun="an anticipation model of isotherm",
    advice="expected a model.safetensors of a training run",
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pixels that V-JEPA 2 was trained on, from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class AnticipationChoice:
    """A video model and what is put on it.

    Args:
        backbone: a V-JEPA 2 as the hub or a folder has it; 'random': one that is made of ``settings``.
        settings: of a random one, by the names of transformers' VJEPA2Config.
        pretrained: weights of the name; otherwise seeded random ones.
        weights: a published file of V-JEPA 2's weights (.pt), for a model that is made of ``settings``; empty: none.
        weights_key: which encoder of that file.
        fusion: how gaze gets in: a name, a name with options, or None.
        encoder, predictor, reads_features, output_frames, steps, bottleneck: as of
            :class:`isotherm.gaze.model.AnticipationConfig`.
        probe: how a probe is built.
        seed: of random weights.
    """

    backbone: str = "facebook/vjepa2-vitl-fpc64-256"
    settings: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool = True
    weights: str = ""
    weights_key: Literal["target_encoder", "encoder"] = "target_encoder"
    fusion: Mapping[str, Any] | str | None = "patch_add"
    encoder: TrainingMode = "frozen"
    predictor: TrainingMode | str = "frozen"
    reads_features: bool = True
    output_frames: int = 2
    steps: int = 1
    bottleneck: int = 64
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        fusion_from(self.fusion)
        if self.weights and self.backbone != "random":
            raise OptionError(
                f"weights is {self.weights} and backbone {self.backbone!r}, which has weights of its own; a published file goes with backbone: random and its settings"
            )
        if (self.backbone == "random") != bool(self.settings):
            raise OptionError(
                f"backbone is {self.backbone!r} and settings {dict(self.settings)}; a random backbone is made of settings, and one with a name has its own"
            )

    @property
    def blind(self) -> bool:
        """Whether the model takes no gaze."""
        return fusion_from(self.fusion) is None

    def config(self, classes: Mapping[str, int], *, rate_hz: float, probes: int) -> AnticipationConfig:
        """For a set of classes.

        Args:
            classes: how many each head has.
            rate_hz: frames per second of the clips.
            probes: side by side.
        """
        return AnticipationConfig(
            classes=dict(classes),
            fusion=fusion_from(self.fusion),
            probe=self.probe,
            probes=probes,
            encoder=self.encoder,
            predictor=self.predictor,
            reads_features=self.reads_features,
            frames_per_second=rate_hz,
            output_frames=self.output_frames,
            steps=self.steps,
            bottleneck=self.bottleneck,
            seed=self.seed,
        )


@dataclass(frozen=True, eq=False)
class TrainedAnticipation:
    """A model, and what one must know to use it.

    Args:
        model: with a single probe.
        choice: what it was made of.
        classes: of every head in words, in the order of their numbers.
        rate_hz: frames per second of its clips.
        frames: of a clip.
        facts: what a person may want to know: how it was trained, what it reached.
    """

    model: AnticipationModel
    choice: AnticipationChoice
    classes: Mapping[str, Sequence[str]]
    rate_hz: float
    frames: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def make_anticipation(
    choice: AnticipationChoice, classes: Mapping[str, Sequence[str]], *, rate_hz: float, probes: int = 1
) -> AnticipationModel:
    """The model of a configuration.

    Args:
        choice: of what it is made.
        classes: of every head.
        rate_hz: frames per second of the clips.
        probes: side by side.
    """
    if choice.backbone == "random":
        backbone = make_vjepa2(choice.settings, seed=choice.seed)
        if choice.weights:
            load_original(backbone, choice.weights, encoder_key=choice.weights_key)
    else:
        backbone = open_vjepa2(choice.backbone, weights="auto" if choice.pretrained else "none", seed=choice.seed)
    counts = {name: len(words) for name, words in classes.items()}
    return AnticipationModel(backbone, choice.config(counts, rate_hz=rate_hz, probes=probes))


def normalised(video: UInt8[Tensor, "b t 3 h w"], device: torch.device) -> Float[Tensor, "b t 3 h w"]:
    """Pixels as V-JEPA 2 takes them.

    Args:
        video: RGB.
        device: where to.
    """
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, STD))
    return (video.to(device).float() / 255 - mean) / std


def encoder_input(batch: ClipBatch, device: torch.device, *, blind: bool = False) -> Tensor:
    """What a model reads of a batch: features where there are any, otherwise the video as it takes it.

    Args:
        batch: of clips.
        device: where to.
        blind: grey pictures in place of the video.
    """
    if batch.features is not None:
        return batch.features.to(device)
    assert batch.video is not None
    video = normalised(batch.video, device)
    return video * 0 if blind else video


def save_anticipation(trained: TrainedAnticipation, fpath: str | os.PathLike[str]) -> Path:
    """Keep what was trained; what is frozen and has a name or a file of its own is not kept again.

    Args:
        trained: with a single probe.
        fpath: of the file.
    """
    frozen = {name for name, p in trained.model.named_parameters() if not p.requires_grad}
    named = trained.choice.backbone != "random" or bool(trained.choice.weights)
    tensors = {n: v for n, v in trained.model.state_dict().items() if not (named and n in frozen)}
    return FILE.write(
        fpath,
        tensors,
        {
            "choice": asdict(trained.choice),
            "classes": {name: list(words) for name, words in trained.classes.items()},
            "rate_hz": trained.rate_hz,
            "frames": trained.frames,
            "facts": dict(trained.facts),
        },
    )


def open_anticipation(fpath: str | os.PathLike[str]) -> TrainedAnticipation:
    """Open what :func:`save_anticipation` kept.

    Args:
        fpath: of the file.

    Raises:
        WeightsError: it is missing, damaged or of another kind.
    """
    read = FILE.read(fpath)
    with FILE.reading(fpath):
        choice = from_plain(AnticipationChoice, read.header["choice"], where=str(fpath))
        classes = {name: tuple(words) for name, words in read.header["classes"].items()}
        there = sum(value.numel() for value in read.tensors.values())
        # a random one is all in the file, another one has a name or a file of its own that says how large it is
        own = choice.backbone == "random" and not choice.weights
        most = there + limits.PARAMETERS if own else None
        make = partial(make_anticipation, choice, classes, rate_hz=read.header["rate_hz"])
        model = built(make, most=most) if own else make()
        missing, strange = model.load_state_dict(read.tensors, strict=False)
        frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
        if strange or set(missing) - frozen:
            raise ValueError(f"weights {sorted(set(missing) - frozen | set(strange))[:3]} are missing or unknown")
        rate_hz, frames, facts = (read.header[name] for name in ("rate_hz", "frames", "facts"))
    return TrainedAnticipation(model.eval(), choice, classes, rate_hz, frames, facts)
