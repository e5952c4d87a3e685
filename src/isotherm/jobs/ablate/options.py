"""What ``isotherm ablate anticipation`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import UseAppendAction

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class AblateAnticipationJob(JobOptions):
    """Train a recipe of anticipation with and without gaze, with other gaze and other ways in, and compare."""

    words: ClassVar[tuple[str, ...]] = ("ablate", "anticipation")

    config: Path
    """A recipe (YAML), such as recipes/first_gaze.yaml. It has a fusion; arms change it."""
    arms: str = "none,real,shuffled,shifted,centre,gaze-only"
    """Arms, separated by commas: none, real, missing, shuffled, shifted, centre, gaze-only, zeros, source:PATH (gaze
    from elsewhere), fusion:NAME (another way in).
    """
    seeds: int = 3
    """Trainings of every arm, with the seeds 0, 1, ..."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Change a value of the recipe: --set training.epochs=4. May be given many times."""
    out: Path | None = None
    """Folder of the ablation. Default: runs/ablation- and the name of the recipe. The same command goes on with what is
    in it.
    """
    skip_bad: bool = False
    """Leave out actions and videos that cannot be read, and say so, instead of stopping."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "seeds")
        if not self.words_of_arms:
            raise OptionError("--arms is empty; give at least one, such as none,real")

    @property
    def words_of_arms(self) -> tuple[str, ...]:
        """The arms, one by one."""
        return tuple(word.strip() for word in self.arms.split(",") if word.strip())
