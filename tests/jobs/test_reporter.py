"""What takes the news of a job."""

from __future__ import annotations

import pytest

from isotherm.errors import JobCancelled
from isotherm.jobs.reporter import Reporter


def test_a_reporter_with_an_init_of_its_own_can_be_cancelled():
    class Lines(Reporter):
        def __init__(self, lines, *, mark=""):  # and no super().__init__()
            self.lines, self.mark = lines, mark

        def message(self, text, kind="note"):
            self.lines.append(self.mark + text)

    lines = []
    reporter, other = Lines(lines, mark="- "), Lines([])
    reporter.say("begins")
    reporter.cancel()
    with pytest.raises(JobCancelled):
        reporter.say("goes on")
    assert lines == ["- begins"]
    assert not other.cancelled
