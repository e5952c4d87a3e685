"""Listeners to jobs that keep what they hear, and cancel the job at the moment that a test chooses."""

from __future__ import annotations

from collections.abc import Callable

from isotherm.jobs.reporter import Reporter


class Listening(Reporter):
    """Keeps everything.

    Args:
        cancel_after: so many items. cancel_at: a question about each progress or message; the first yes cancels.
    """

    def __init__(self, cancel_after: int | None = None, *, cancel_at: Callable[[object], bool] | None = None) -> None:
        super().__init__()
        self.steps, self.messages, self.items, self.errors = [], [], [], []
        self._cancel_after, self._cancel_at = cancel_after, cancel_at

    def progress(self, progress):
        self.steps.append(progress)
        self._look(progress)

    def message(self, text, kind="note"):
        self.messages.append((kind, text))
        self._look(text)

    def item(self, facts):
        self.items.append(facts)
        if len(self.items) == self._cancel_after:
            self.cancel()

    def error(self, error):
        self.errors.append(error)

    def _look(self, event):
        if self._cancel_at is not None and self._cancel_at(event):
            self.cancel()
