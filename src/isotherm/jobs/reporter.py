"""What a job tells while it runs, and how it is cancelled."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from isotherm.errors import JobCancelled
from isotherm.progress import Progress

Own = TypeVar("Own", bound="Reporter")
Kind = Literal["note", "result", "alarm", "failure"]
"""note: what was chosen, or what a person should know; result: of one item; alarm: what nobody should look at a result
without knowing; failure: why an item failed."""


class Reporter:
    """Takes what a job tells. This one keeps silent; a console, a web page or a cluster task overrides what it shows.

    A job may be cancelled from any thread: it ends after the item or the step that it is at, and its record says so.
    """

    _cancelled: threading.Event
    why: str = "cancelled"
    """What ended the job, once it was asked to end."""

    def __new__(cls: type[Own], *args: Any, **kwargs: Any) -> Own:
        """A reporter that can be cancelled, also where a subclass has an ``__init__`` that does not call this one's."""
        reporter = super().__new__(cls)
        reporter._cancelled = threading.Event()
        return reporter

    def progress(self, progress: Progress) -> None:
        """How far the job has come."""

    def say(self, message: Progress | str) -> None:
        """Progress or a remark, as work below the jobs tells it (:data:`isotherm.progress.Say`).

        Raises:
            JobCancelled: the job was asked to end, so that work which nobody else can stop ends here.
        """
        self.check()
        if isinstance(message, Progress):
            self.progress(message)
        else:
            self.message(message)
        self.check()  # whoever was told may have cancelled: the next step could be a long one

    def message(self, text: str, kind: Kind = "note") -> None:
        """A line for a person."""

    def item(self, facts: Mapping[str, Any]) -> None:
        """An item is done or has failed; as its line in the run's ``items.jsonl``."""

    def preview(self, facts: Mapping[str, Any], picture: Any, maps: Sequence[Any], lines: Sequence[str] = ()) -> None:
        """A picture is explained: its maps before they are checked and before any file is written, for those who show
        them at once. The same comes again in :meth:`shown`, unless the files cannot be written and the run fails.

        Args:
            facts: as in :meth:`shown`, without files.
            picture: (H, W, 3) uint8, what the maps lie over.
            maps: heatmaps, in the order of the facts.
            lines: of a question: what was asked and answered.
        """

    def shown(self, facts: Mapping[str, Any], picture: Any, maps: Sequence[Any], lines: Sequence[str] = ()) -> None:
        """An item's files are written: the maps themselves, for those who show them in a form of their own; before
        :meth:`item`.

        Args:
            facts: as its line in the run's ``items.jsonl``; a map that is still to be checked has ``checking`` instead
                of a verdict, and :meth:`judged` follows.
            picture: (H, W, 3) uint8, what the maps lie over.
            maps: heatmaps, in the order of the facts.
            lines: of a question: what was asked and answered.
        """

    def judged(self, facts: Mapping[str, Any]) -> None:
        """An item's maps were checked, or will not be: between :meth:`shown` and :meth:`item`, where there is a check.

        Args:
            facts: as its line in the run's ``items.jsonl``; where no check came to an end, ``unchecked`` says why.
        """

    def error(self, error: BaseException) -> None:
        """The exception behind a failed item, for those who look for its traceback."""

    def cancel(self, why: str = "cancelled") -> None:
        """Ask the job to end.

        Args:
            why: in words that may stand beside what was not done for it.
        """
        self.why = why
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to end."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raises JobCancelled where the job was asked to end."""
        if self.cancelled:
            raise JobCancelled(
                f"{'the job was cancelled' if self.why == 'cancelled' else self.why}; what was finished is kept"
            )
