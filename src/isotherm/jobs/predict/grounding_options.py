"""What ``isotherm predict grounding`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions

MOST_PLACES = 1000


@dataclass(frozen=True, kw_only=True)
class PredictGroundingJob(JobOptions):
    """Find what an instruction means: the map over the picture, the likeliest places with ellipses, and as JSON."""

    words: ClassVar[tuple[str, ...]] = ("predict", "grounding")
    positional: ClassVar[tuple[str, ...]] = ("sources",)

    sources: Positional[tuple[str, ...]]
    """Pictures, folders, "globs", lists (.txt), videos, http(s) addresses; and last the instruction, in quotes, unless
    --text has it.
    """
    text: str | None = None
    """The instruction, such as "pick up the red cup"."""
    run: Path | None = None
    """The folder of a training run, or a .safetensors file of one. Default: the small model that ships, which knows
    generated tables with coloured blocks alone.
    """
    always: bool = False
    """Answer also where the model is not sure enough; it is marked all the same."""
    most: int = 5
    """Places of each map, the likeliest first."""
    level: float = 0.95
    """Probability of the ellipses."""
    features: bool = False
    """Write what the head read at the first place, for a head of rotations or of a gripper (features.npz)."""
    batch: int = 8
    """Instructions per forward pass."""
    recursive: bool = False
    """Look into the folders within folders."""
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/predict-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.level < 1:
            raise OptionError(f"--level {self.level}: expected a probability between 0 and 1, such as 0.95")
        self.at_least(1, "batch", "most")
        if self.most > MOST_PLACES:
            raise OptionError(f"--most {self.most}: expected at most {MOST_PLACES} places of each map")
        if self.text is None and len(self.sources) < 2:
            raise OptionError(
                f'there is {len(self.sources) or "no"} word where a picture and an instruction belong; write: isotherm predict grounding PICTURE "pick up the red cup"'
            )
        if not self.instruction.strip():
            raise OptionError('the instruction is empty; say what to find, such as "pick up the red cup"')

    @property
    def instruction(self) -> str:
        """The text."""
        return self.sources[-1] if self.text is None else self.text

    @property
    def pictures(self) -> tuple[str, ...]:
        """Where pictures come from."""
        return self.sources[:-1] if self.text is None else self.sources
