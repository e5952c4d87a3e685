"""Which model: a backbone by name and a head, made from a configuration, kept as safetensors and opened again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch

from isotherm import limits
from isotherm.data.keypoint_cache import Fit
from isotherm.decode.ellipse_levels import EllipseLevels
from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.headed import HeadedFile
from isotherm.heads import ConvexUpsample, DeconvHead, Head, LinearHead, PixelShuffleHead
from isotherm.heads.coordinates import CoordinateHead
from isotherm.models.backbone import Backbone, ConvBackbone, ConvBackboneConfig
from isotherm.ops.names import known_word
from isotherm.train.keypoint_model import KeypointModel, Objective
from isotherm.train.peft import Lora, adapt
from isotherm.train.recipe import from_plain
from isotherm.untrusted.networks import built, counted

FILE = HeadedFile(
    format="isotherm.keypoints/1",
    noun="a keypoint model of isotherm",
    advice="expected a model.safetensors of a training run",
)
HEADS = {
    "deconv": DeconvHead,
    "convex": ConvexUpsample,
    "pixel_shuffle": PixelShuffleHead,
    "linear": LinearHead,
    "coordinates": CoordinateHead,
}


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A backbone and a head.

    Args:
        backbone: 'conv', the small network that is trained from scratch; a name of timm's; or a hub name or folder of
            transformers, which has a slash, such as ``facebook/dinov3-vits16-pretrain-lvd1689m``.
        widths, depth: of 'conv'.
        pretrained: weights of the name; otherwise seeded random ones.
        frozen: the backbone is not trained.
        lora: trains small matrices beside its layers instead of its weights.
        head: 'deconv', 'convex', 'pixel_shuffle' or 'linear'; 'coordinates', a baseline, makes places of the class
            token, or of the mean over the grid where a backbone has none.
        head_options: passed to it.
        seed: of random weights.
    """

    backbone: str = "conv"
    widths: tuple[int, ...] = (32, 64, 128)
    depth: int = 2
    pretrained: bool = True
    frozen: bool = False
    lora: Lora | None = None
    head: Literal["deconv", "convex", "pixel_shuffle", "linear", "coordinates"] = "deconv"
    head_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if self.head not in HEADS:
            raise OptionError(f"head is {self.head!r}; expected one of {', '.join(HEADS)}")
        if self.backbone == "conv" and self.frozen:
            raise OptionError(
                "the backbone 'conv' has random weights and would stay so if frozen; choose frozen=False, or another backbone"
            )
        if self.lora is not None and self.frozen:
            raise OptionError(
                "lora adapts the backbone, so it is not frozen; choose frozen=False (its own weights stay all the same)"
            )


def make_model(choice: ModelChoice, points: int, *, size: Size) -> KeypointModel:
    """The model of a configuration, for so many points and pictures of (h, w).

    Raises:
        OptionError: options that the head does not have. And as the backbones' loaders.
    """
    backbone = make_backbone(choice, size=size)
    if choice.lora is not None:
        adapt(backbone, choice.lora, seed=choice.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(choice.seed + 1)
        try:
            head: Head | CoordinateHead = built(
                lambda: HEADS[choice.head](backbone.channels, points, **choice.head_options),  # type: ignore[abstract]
                most=limits.PARAMETERS,
            )
        except TypeError as error:
            raise OptionError(f"head_options are {dict(choice.head_options)}: {error}") from error
    return KeypointModel(backbone, head, frozen=choice.frozen)


def make_backbone(choice: ModelChoice, *, size: Size) -> Backbone:
    """The backbone of a configuration alone."""
    if choice.backbone == "conv":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(choice.seed)
            with counted():
                return ConvBackbone(ConvBackboneConfig(widths=choice.widths, depth=choice.depth))
    if "/" in choice.backbone:
        from isotherm.models.transformers import backbone as transformers_backbone

        return transformers_backbone.load_backbone(
            choice.backbone, weights="auto" if choice.pretrained else "none", seed=choice.seed
        )
    from isotherm.models.timm import backbone as timm_backbone

    return timm_backbone.load_backbone(choice.backbone, pretrained=choice.pretrained, size=size, seed=choice.seed)


@dataclass(frozen=True, kw_only=True)
class TrainedKeypoints:
    """A trained model with what is needed to use it.

    Args:
        model: in evaluation mode.
        choice, objective, size: how it was made and what its maps mean.
        names: of the points.
        exchangeable, swaps, lines: as of :class:`isotherm.data.keypoints.KeypointSet`.
        margin: kept around a box.
        fit: how pictures become the model's input.
        covariance_scale: what decoded covariances are multiplied by, fitted on the validation set; None: not fitted.
        ellipses: which of the ellipses of those covariances holds a point with which probability; None: not fitted.
    """

    model: KeypointModel
    choice: ModelChoice
    objective: Objective
    size: Size
    names: tuple[str, ...]
    exchangeable: tuple[tuple[int, ...], ...] = ()
    swaps: tuple[tuple[int, int], ...] = ()
    lines: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    margin: float = 0.0
    fit: Fit = "letterbox"
    covariance_scale: float | None = None
    ellipses: EllipseLevels | None = None


def save_keypoints(trained: TrainedKeypoints, fpath: str | os.PathLike[str]) -> Path:
    """Weights and everything else in one safetensors file, whole or not at all; a frozen backbone stays with its
    name.
    """
    frozen = {name for name, p in trained.model.named_parameters() if not p.requires_grad}
    tensors = {name: value for name, value in trained.model.state_dict().items() if name not in frozen}
    header = {
        "choice": asdict(trained.choice),
        "objective": asdict(trained.objective),
        "size": trained.size,
        "names": trained.names,
        "exchangeable": trained.exchangeable,
        "swaps": trained.swaps,
        "lines": dict(trained.lines),
        "margin": trained.margin,
        "fit": trained.fit,
        "covariance_scale": trained.covariance_scale,
        "ellipses": None if trained.ellipses is None else trained.ellipses.to_json(),
    }
    return FILE.write(fpath, tensors, header)


def _frozen(model: KeypointModel) -> set[str]:
    """Names of what was not trained, and is in no file."""
    return {name for name, p in model.named_parameters() if not p.requires_grad}


def open_keypoints(fpath: str | os.PathLike[str]) -> TrainedKeypoints:
    """What :func:`save_keypoints` wrote.

    Raises:
        WeightsError: the file is missing, damaged, of another format, or does not fit its own description.
    """
    weights = FILE.read(fpath)
    with FILE.reading(fpath):
        header = dict(weights.header)
        choice = from_plain(ModelChoice, header.pop("choice"))
        objective = from_plain(Objective, header.pop("objective"))
        size, names = (int(header["size"][0]), int(header["size"][1])), tuple(header["names"])
        exchangeable = tuple(tuple(g) for g in header["exchangeable"])
        swaps = tuple((a, b) for a, b in header["swaps"])
        lines = {name: (a, b) for name, (a, b) in header["lines"].items()}
        margin, covariance_scale = float(header["margin"]), header["covariance_scale"]
        ellipses = header.get("ellipses")  # older files have none
        if ellipses is not None:
            ellipses = EllipseLevels(tuple(ellipses["shares"]), tuple(ellipses["distances"]))
        fit = cast(Fit, known_word(header.get("fit", "letterbox"), get_args(Fit), "fit"))  # older files have none
        if choice.backbone == "conv" and not choice.frozen:
            model = built(
                lambda: make_model(choice, len(names), size=size),
                lambda bare: FILE.check_fit(bare, weights.tensors, fpath, spare=_frozen(bare)),
            )
        else:
            model = make_model(choice, len(names), size=size)
    FILE.fill(model, weights.tensors, fpath, spare=_frozen(model))
    return TrainedKeypoints(
        model=model.eval(),
        choice=choice,
        objective=objective,
        size=size,
        names=names,
        exchangeable=exchangeable,
        swaps=swaps,
        lines=lines,
        margin=margin,
        fit=fit,
        covariance_scale=covariance_scale,
        ellipses=ellipses,
    )
