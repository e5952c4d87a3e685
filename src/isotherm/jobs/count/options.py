"""What ``isotherm count`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional, UseAppendAction

from isotherm.errors import OptionError
from isotherm.jobs.options import ModelOptions, box_of


@dataclass(frozen=True, kw_only=True)
class CountingOptions(ModelOptions):
    prompt: str | None = None
    """What the model is asked; {category} stands for what is counted. Default: as the model was taught to be asked, or
    How many {category} are there in this picture? ...
    """
    grid: str | None = None
    """Strategy dense: rows x columns of crops, such as 3x3."""
    overlap: float | None = None
    """Of neighbouring crops, as a share of a cell's side; at least as wide as an object. Default: 0.2."""
    crop_side: int | None = None
    """Scale crops to this longer side, in pixels, before the model sees them. Default: as they are."""
    config: Path | None = None
    """A file (YAML) of all options of isotherm.systems.counting_config.CountingConfig; what is given here goes
    before.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "crop_side")
        if self.overlap is not None:
            check_overlap(self.overlap)
        if self.grid is not None:
            grid_of(self.grid)


@dataclass(frozen=True, kw_only=True)
class CountJob(CountingOptions):
    """Count things with a vision-language model: the count, a dot for each, and where in the picture the numbers come
    from.
    """

    words: ClassVar[tuple[str, ...]] = ("count",)
    positional: ClassVar[tuple[str, ...]] = ("sources",)

    sources: Positional[tuple[str, ...]]
    """Pictures, folders, "globs", lists (.txt), http(s) addresses."""
    category: str
    """What to count, in the words of the prompt, such as peaches."""
    strategy: Literal["global", "comparison", "dense", "hybrid", "custom"] = "hybrid"
    """global: the whole picture; comparison: beside one crop; dense: a grid of crops; hybrid: the whole and four
    quadrants; custom: crops of --crop.
    """
    crop: UseAppendAction[tuple[str, ...]] = ()
    """A crop, x0,y0,x1,y1 in picture pixels. May be given many times with the strategy custom."""
    recursive: bool = False
    """Look into the folders within folders."""
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/count-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strategy == "custom" and not self.crop:
            raise OptionError("--strategy custom counts in crops of yours; give at least one with --crop x0,y0,x1,y1")
        for text in self.crop:
            box_of(text, "--crop")


def check_overlap(overlap: float) -> None:
    """Refuse an overlap of neighbouring crops that is none.

    Raises:
        OptionError: it is not from 0 to less than 1.
    """
    if not 0 <= overlap < 1:
        raise OptionError(f"--overlap {overlap:g}: expected a share of a cell's side, from 0 to less than 1")


def grid_of(text: str) -> tuple[int, int]:
    """``3x3``: rows and columns.

    Raises:
        OptionError: it is not two whole numbers of at least 1.
    """
    rows, cross, columns = (part.strip() for part in text.lower().partition("x"))
    if not (cross and rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
        raise OptionError(f"--grid {text}: expected rows x columns, such as 3x3")
    return int(rows), int(columns)
