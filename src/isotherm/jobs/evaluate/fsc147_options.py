"""What ``isotherm eval fsc147`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.count.options import CountingOptions
from isotherm.jobs.options import split
from isotherm.ops.names import known_word

SPLITS = ("train", "val", "test", "val_coco", "test_coco")
STRATEGIES = ("global", "dense", "hybrid")


@dataclass(frozen=True, kw_only=True)
class EvalFsc147Job(CountingOptions):
    """Judge a model's counts on FSC-147; stopped at any moment, the same command goes on with it."""

    words: ClassVar[tuple[str, ...]] = ("eval", "fsc147")
    positional: ClassVar[tuple[str, ...]] = ("data",)

    data: Positional[Path]
    """The folder with annotation_FSC147_384.json, Train_Test_Val_FSC_147.json, ImageClasses_FSC147.txt and
    images_384_VarV2.
    """
    split: str = "test"
    """train, val, test, val_coco or test_coco."""
    strategy: str = "hybrid"
    """global: the whole picture; dense: a grid of crops; hybrid: the whole and four quadrants; several, separated by
    commas, are judged side by side.
    """
    method: str | None = None
    """Of the maps and so of the dots, such as propagation or gradcam; several, separated by commas, are judged side by
    side. Default: the configuration's, or propagation.
    """
    orientation: Literal["upright", "stored"] | None = None
    """In which pixels places in turned pictures are: upright, as they are seen, or as stored. Default:
    upright, which is said where a picture is turned.
    """
    limit: int | None = None
    """Only the first so many pictures of the split."""
    out: Path
    """Folder for the results: a line for each picture as soon as it is done, and the figures at the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "limit")
        known_word(self.split, SPLITS, "--split")
        for strategy in self.strategies:
            known_word(strategy, STRATEGIES, "--strategy")
        if len(set(self.strategies)) < len(self.strategies) or len(set(self.methods)) < len(self.methods):
            raise OptionError("--strategy and --method name one of their entries twice; each is judged once")

    @property
    def strategies(self) -> tuple[str, ...]:
        """One or several, in order."""
        return split(self.strategy, "--strategy")

    @property
    def methods(self) -> tuple[str | None, ...]:
        """One or several, in order; None: the configuration's."""
        return (None,) if self.method is None else split(self.method, "--method")
