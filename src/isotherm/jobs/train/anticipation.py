"""The job behind ``isotherm train anticipation``: a recipe, or an old configuration, to a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotherm.data.anticipation.anchors import Protocol
from isotherm.errors import OptionError
from isotherm.jobs.reporter import Reporter
from isotherm.jobs.train.anticipation_options import TrainAnticipationJob
from isotherm.jobs.train.kept import kept_recipe
from isotherm.ops.shell import shell_line
from isotherm.progress import silent
from isotherm.runs.record import numbered
from isotherm.train.anticipation.judge import judge_run
from isotherm.train.anticipation.recipe import AnticipationRecipe
from isotherm.train.anticipation.run import train_run
from isotherm.train.anticipation.vjepa2_yaml import from_old, is_old, shown_by_old_clips
from isotherm.train.keypoint_recipe import set_at, with_settings
from isotherm.train.recipe import from_plain, read_recipe


@dataclass(frozen=True)
class OpenedRecipe:
    """A recipe as the options say it.

    Args:
        plain: as nested dictionaries.
        root: the folder that its paths start from.
        where: what to call it in messages.
        folder: that an old configuration names for its runs.
        judges: it trains nothing.
        notes: what is another matter here than in an old configuration.
    """

    plain: dict[str, Any]
    root: Path
    where: str
    folder: Path | None = None
    judges: bool = False
    notes: tuple[str, ...] = ()


def run(
    options: TrainAnticipationJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None
) -> Path | None:
    """Train, or go on with what is there, or judge it.

    Args:
        options: what is asked for.
        reporter: is told how it goes.
        command: what is noted as having asked for it.

    Returns:
        The run's folder; None in a process that only helps another one.

    Raises:
        JobCancelled: it was cancelled; its record says so, and ``resume`` goes on from the last checkpoint.
    """
    reporter = Reporter() if reporter is None else reporter
    opened = recipe_of(options)
    for note in opened.notes:
        reporter.message(note)
    recipe = from_plain(AnticipationRecipe, opened.plain, where=opened.where)
    folder = options.resume or options.out or opened.folder
    words = shell_line(options.command_line() if command is None else command)
    if opened.judges:
        if folder is None:
            raise OptionError("nothing says which run is to be judged; give its folder with --out")
        judge_run(recipe, folder, root=opened.root, command=words, skip_bad=options.skip_bad, say=reporter.say)
        return folder
    worker = recipe.devices.worker()
    where: list[Path] = [] if folder is None else [folder]

    def made() -> Path:
        where.append(numbered(Path("runs"), "anticipation"))
        return where[0]

    train_run(
        recipe,
        folder or made,
        root=opened.root,
        command=words,
        skip_bad=options.skip_bad,
        worker=worker,
        say=reporter.say if worker.first else silent,
    )
    return where[0] if worker.first else None


def recipe_of(options: TrainAnticipationJob) -> OpenedRecipe:
    """The recipe that the options ask for.

    Args:
        options: of the job.
    """
    if options.resume is not None:
        plain, root, where = kept_recipe(options.resume, parts=("data", "model", "training", "recall_k"))
        opened = OpenedRecipe(plain, root, where, judges=options.judge)
    else:
        assert options.config is not None
        opened = opened_recipe(options.config, options.set)
        opened = OpenedRecipe(**{**vars(opened), "judges": opened.judges or options.judge})
    plain = opened.plain
    for path, chosen in (
        ("model.seed", options.seed),
        ("training.seed", options.seed),
        ("data.plan.seed", options.seed),
        ("training.epochs", options.epochs),
        ("tracking.to", options.track),
    ):
        if chosen is not None:
            set_at(plain, path, chosen)
    if options.steps is not None:
        set_at(plain, "training.epochs", None)
        set_at(plain, "training.steps", options.steps)
    set_at(plain, "devices", {"accelerator": options.device, "devices": options.devices, "nodes": options.nodes})
    plain = with_settings(plain, options.set)
    weights = plain.get("model", {}).get("weights") if isinstance(plain.get("model"), dict) else None
    if weights:  # a model that was kept names its file, wherever it is opened
        plain["model"]["weights"] = str((opened.root / weights).absolute())
    return OpenedRecipe(**{**vars(opened), "plain": plain})


def opened_recipe(config: Path, settings: Sequence[str] = ()) -> OpenedRecipe:
    """A recipe of ours, or an old configuration in our words.

    Args:
        config: the file.
        settings: that will be set of it; of an old configuration the protocol decides what is taken.
    """
    plain = read_recipe(config, example="recipes/first_gaze.yaml")
    if not is_old(plain):
        return OpenedRecipe(plain, config.parent, str(config))
    plan = with_settings({}, settings).get("data", {}).get("plan", {})
    word = plan.get("protocol") if isinstance(plan, dict) else None
    protocol: Protocol = "legacy" if word == "legacy" else "start"  # any other one is refused where it is set
    old = from_old(plain, where=str(config), protocol=protocol)
    notes = old.notes
    if protocol == "start":
        notes = (*notes, shown_by_old_clips(old.recipe, root=config.parent))
    folder = None if old.folder is None else Path(old.folder)
    return OpenedRecipe(old.recipe, config.parent, str(config), folder, old.val_only, notes)
