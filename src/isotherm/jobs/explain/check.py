"""The check of an item's maps: a map is kept, whatever becomes of its check."""

from __future__ import annotations

from isotherm.cam.explanation import Explanation
from isotherm.errors import IsothermError, JobCancelled, NonFiniteError
from isotherm.jobs.reporter import Reporter
from isotherm.progress import Progress

CHECKING = "checking whether to believe the map"
"""The stage of a job's progress meanwhile."""


def checked(
    explanation: Explanation, name: str, reporter: Reporter, *, step: int, total: int | None
) -> tuple[Explanation, BaseException | None]:
    """An explanation with its verdicts, or with why there are none; and what ended the check, to be raised when the
    item is taken down.

    Args:
        explanation: whose maps are there.
        name: of the item.
        reporter: is told that the check begins, and that it failed; may cancel it.
        step: how many items are done, of how many in ``total``.
    """
    if explanation.assess is None:
        return explanation, None
    try:
        reporter.progress(Progress(step=step, total=total, text=name, stage=CHECKING))
        return explanation.judged(reporter.check), None
    except JobCancelled as stop:
        return explanation.without_verdict(reporter.why), stop
    except KeyboardInterrupt as stop:
        return explanation.without_verdict("interrupted"), stop
    except Exception as error:
        reason = error.on_command_line() if isinstance(error, NonFiniteError) else error
        words = str(reason) if isinstance(error, IsothermError) else f"{type(error).__name__}: {reason}"
        reporter.message(f"{name}: its maps could not be checked: {words}", "failure")
        reporter.error(error)
        return explanation.without_verdict(f"the check failed: {words}"), None
