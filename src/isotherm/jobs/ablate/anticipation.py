"""The job behind ``isotherm ablate anticipation``: arms and seeds of a recipe, and one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isotherm.jobs.ablate.options import AblateAnticipationJob
from isotherm.jobs.reporter import Reporter
from isotherm.jobs.train.anticipation import opened_recipe
from isotherm.ops.shell import shell_line
from isotherm.runs.file import RunFile, ending
from isotherm.train.anticipation.ablation import ArmResult, run_ablation
from isotherm.train.keypoint_recipe import set_at, with_settings


@dataclass(frozen=True, eq=False)
class AblationResult:
    """An ablation that has ended.

    Args:
        arms: what each reached, under each condition of gaze.
        dpath: where its runs are.
    """

    arms: list[ArmResult]
    dpath: Path


def run(
    options: AblateAnticipationJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None
) -> AblationResult:
    """Train and judge every arm, or go on with an ablation.

    Args:
        options: what is asked for.
        reporter: is told how it goes.
        command: what is noted as having asked for it.

    Raises:
        JobCancelled: it was cancelled; the same job goes on with it.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    opened = opened_recipe(options.config, options.set)
    for note in opened.notes:
        reporter.message(note)
    plain = opened.plain
    set_at(plain, "devices", {"accelerator": options.device})
    plain = with_settings(plain, options.set)  # what is set wins, as in a training
    dpath = options.out or Path("runs") / f"ablation-{options.config.stem}"
    dpath.mkdir(parents=True, exist_ok=True)
    file = RunFile(dpath, "ablate", command=words, options=options.to_json())
    status = "finished"
    try:
        arms = run_ablation(
            plain,
            options.words_of_arms,
            range(options.seeds),
            dpath,
            root=options.config.parent,
            command=shell_line(words),
            skip_bad=options.skip_bad,
            say=reporter.say,
        )
    except BaseException as error:
        status = ending(type(error), error)
        raise
    finally:
        file.end(status)
    return AblationResult(arms, dpath)
