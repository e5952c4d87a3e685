"""What the commands for vision-language models take. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional, UseAppendAction

from isotherm.cli.common_options import Common, ModelOptions


@dataclass(frozen=True, kw_only=True)
class TrainTinyVlm(Common):
    """Train the small vision-language model on questions about shapes; the same command goes on with a run that was interrupted."""

    seed: int = 0
    """Of weights and questions."""
    steps: int = 3600
    """Steps of the optimiser, 48 pictures each with four questions."""
    out: Path | None = None
    """Folder of the run. Default: runs/tiny-vlm-SEED."""
    threads: int | None = None
    """Threads of torch; the same number gives the same bits. Default: as many as there are."""


@dataclass(frozen=True, kw_only=True)
class CountingOptions(ModelOptions):
    prompt: str | None = None
    """What the model is asked; {category} stands for what is counted. Default: as the model was taught to be asked, or How many {category} are there in this picture? ..."""
    grid: str | None = None
    """Strategy dense: rows x columns of crops, such as 3x3."""
    overlap: float | None = None
    """Of neighbouring crops, as a share of a cell's side; at least as wide as an object. Default: 0.2."""
    crop_side: int | None = None
    """Scale crops to this longer side, in pixels, before the model sees them. Default: as they are."""
    config: Path | None = None
    """A file (YAML) of all options of isotherm.systems.counting_config.CountingConfig; what is given here goes before."""


@dataclass(frozen=True, kw_only=True)
class Count(CountingOptions):
    """Count things with a vision-language model: the count, a dot for each, and where in the picture the numbers come from."""

    sources: Positional[tuple[str, ...]]
    """Pictures, folders, "globs", lists (.txt), http(s) addresses."""
    category: str
    """What to count, in the words of the prompt, such as peaches."""
    strategy: Literal["global", "comparison", "dense", "hybrid", "custom"] = "hybrid"
    """global: the whole picture; comparison: beside one crop; dense: a grid of crops; hybrid: the whole and four quadrants; custom: crops of --crop."""
    crop: UseAppendAction[tuple[str, ...]] = ()
    """A crop, x0,y0,x1,y1 in picture pixels. May be given many times with the strategy custom."""
    recursive: bool = False
    """Look into the folders within folders."""
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/count-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""


@dataclass(frozen=True, kw_only=True)
class EvalFsc147(CountingOptions):
    """Judge a model's counts on FSC-147; stopped at any moment, the same command goes on with it."""

    data: Positional[Path]
    """The folder with annotation_FSC147_384.json, Train_Test_Val_FSC_147.json, ImageClasses_FSC147.txt and images_384_VarV2."""
    split: str = "test"
    """train, val, test, val_coco or test_coco."""
    strategy: Literal["global", "dense", "hybrid"] = "hybrid"
    """global: the whole picture; dense: a grid of crops; hybrid: the whole and four quadrants."""
    limit: int | None = None
    """Only the first so many pictures of the split."""
    out: Path
    """Folder for the results: a line for each picture as soon as it is done, and the figures at the end."""
