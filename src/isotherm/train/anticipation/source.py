"""Which clips a recipe trains on and is judged by: tables of actions with their videos and gaze, or generated ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from isotherm.data.anticipation.anchors import ClipPlan, Range
from isotherm.data.anticipation.cache import Kept
from isotherm.data.anticipation.transforms import ClipTransform
from isotherm.data.egocentric.config import HELD_OUT, TRAINING, VALIDATION, EgocentricConfig
from isotherm.errors import OptionError

Format = Literal["auto", "epic-kitchens", "egtea-split", "egtea-raw", "ego4d", "generated"]
Split = Literal["training", "validation", "held_out"]
SPLITS = {"training": TRAINING, "validation": VALIDATION, "held_out": HELD_OUT}


@dataclass(frozen=True, kw_only=True)
class ClipSource:
    """A set of actions and the videos that they are in.

    Args:
        file: the table of actions, relative to the recipe.
        format: of the table; 'auto' looks at the file and says what it is; 'generated' needs no file.
        videos: where the videos lie, relative to the recipe: a folder, in which a video is looked for by its name, or a
            path with ``{video}`` (and ``{participant}``) in it, such as ``EPIC/{participant}/videos/{video}.MP4``.
        gaze: where the gaze of each video lies, likewise; empty: nothing is known of any gaze.
        split, first, count, seed: generated clips: the numbers of a split from the first on, of a set.
        clips: generated clips: how they are drawn.
    """

    file: str = ""
    format: Format = "auto"
    videos: str = ""
    gaze: str = ""
    split: Split = "training"
    first: int = 0
    count: int = 4000
    seed: int = 0
    clips: EgocentricConfig = field(default_factory=EgocentricConfig)

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise OptionError(f"format is {self.format!r}; expected one of {', '.join(get_args(Format))}")
        if (self.format == "generated") == bool(self.file):
            raise OptionError("a source is a table of actions (file), or format: generated; give one of the two")
        if self.file and not self.videos:
            raise OptionError(
                f"videos of {self.file} is empty; give the folder that they lie in, or a path with {{video}} in it"
            )
        if self.split not in SPLITS or self.first < 0 or self.count < 1:
            raise OptionError(
                f"split is {self.split!r}, first {self.first}, count {self.count}; expected one of {', '.join(SPLITS)}, at least 0, and at least 1"
            )

    @property
    def numbers(self) -> range:
        """Of generated clips."""
        return SPLITS[self.split][self.first : self.first + self.count]


@dataclass(frozen=True, kw_only=True)
class ClipAugmentation:
    """How clips of videos are changed in training, pictures and gaze alike; generated clips are not.

    Args:
        area: (least, most) share of the picture's area that a random crop has.
        ratio: (least, most) of its width over its height.
        flip: probability of a mirror image, left to right.
        degrees: largest turn to either side.
    """

    area: Range = (0.3, 1.0)
    ratio: Range = (3 / 4, 4 / 3)
    flip: float = 0.5
    degrees: float = 0.0

    def __post_init__(self) -> None:
        self.transform(1, seed=0)

    def transform(self, side: int, *, seed: int) -> ClipTransform:
        """What draws and makes the changes.

        Args:
            side: of the square that the model is shown.
            seed: of what is drawn.
        """
        return ClipTransform(
            size=(side, side), area=self.area, ratio=self.ratio, flip=self.flip, degrees=self.degrees, seed=seed
        )


@dataclass(frozen=True, kw_only=True)
class ClipsChoice:
    """What a recipe learns from.

    Args:
        train, validation: sources, joined. Classes are those of the training.
        held_out: sources that chose no model, for an ablation to judge finished ones on.
        plan: how clips lie before actions, where the model is judged; generated clips have a plan of their own.
        training_anticipation_s: (least, most) seconds between the clip's end and the action, in training.
        training_legacy_point: (least, most) of the anchor, in training, with the protocol 'legacy'; None: as in the
            plan.
        side: of the square that the model is shown, in pixels.
        augmentation: of videos in training; None: the middle of every picture.
        features: as what features of a frozen encoder are kept, where clips are the same in every epoch; None: they are
            computed anew every time.
        memory_mb: how much memory decoded clips of videos may take, in the training and in the validation each, where
            they are the same in every epoch, and those of their frames where moments or crops are drawn anew; 0: each
            is decoded anew every time.
        disk_mb: how much frames may take beside the run that do not fit into memory, where moments are drawn anew;
            never more than half of what is free on the disk.
    """

    train: tuple[ClipSource, ...] = ()
    validation: tuple[ClipSource, ...] = ()
    held_out: tuple[ClipSource, ...] = ()
    plan: ClipPlan = field(default_factory=ClipPlan)
    training_anticipation_s: Range | None = (0.25, 1.75)
    training_legacy_point: Range | None = None
    side: int = 256
    augmentation: ClipAugmentation | None = None
    features: Kept | None = "float16"
    memory_mb: float = 512.0
    disk_mb: float = 8192.0

    def __post_init__(self) -> None:
        if not self.train:
            raise OptionError(
                "there is no source to train on; give data.train, a list with a table of actions or format: generated"
            )
        kinds = {source.format == "generated" for source in (*self.train, *self.validation, *self.held_out)}
        if len(kinds) > 1:
            raise OptionError("there are generated clips beside others, whose actions are not the same; choose")
        if self.side < 1:
            raise OptionError(f"side is {self.side}; expected pixels")
        for name in ("memory_mb", "disk_mb"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{name} is {getattr(self, name)}; expected megabytes, at least 0")
        self.training_plan()

    @property
    def generated(self) -> bool:
        """Whether all clips are generated ones."""
        return self.train[0].format == "generated"

    def training_plan(self) -> ClipPlan:
        """How clips lie before actions in training."""
        point = self.plan.legacy_point if self.training_legacy_point is None else self.training_legacy_point
        return replace(self.plan, anticipation_s=self.training_anticipation_s, legacy_point=point)
