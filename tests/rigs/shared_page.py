"""One page of the studio for several tests of a file, as loading one takes more of the processor than most tests do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rigs.browser import Watched
from rigs.studio_page import StudioPage
from rigs.studio_server import StudioProcess


class SharedPage:
    """A page that was let in, and that one test after the other uses.

    Each test leaves it so that the next one can begin: dialogs closed, the same run on the screen.

    Args:
        browser, studio, cookies, described: the fixtures of these names.
        path: of the page to open.
        options: of :class:`Watched`.
    """

    def __init__(
        self,
        browser: Any,
        studio: StudioProcess,
        cookies: list[dict[str, Any]],
        described: Callable[[Any], bool],
        path: str = "/",
        **options: Any,
    ) -> None:
        self.watched = Watched(browser, url=studio.url, **options)
        self.watched.context.add_cookies(cookies)
        self.watched.open(path)
        self._described = described

    @contextmanager
    def lent(self, run: str = "") -> Iterator[StudioPage]:
        """The page for one test, scrolled to its top.

        Args:
            run: that is to be on the screen; empty: whatever is there.

        Raises:
            AssertionError: something went wrong in it meanwhile that the test did not expect, or it made a request that
                the studio's description does not have.
        """
        watched = self.watched
        desk = StudioPage(watched)
        watched.page.evaluate("() => scrollTo(0, 0)")
        if run:
            watched.page.evaluate("(run) => { if (!location.hash.includes(run)) location.hash = `run=${run}`; }", run)
            watched.page.locator(f'#shown .viewer[data-run="{run}"]').wait_for()
            desk.shown()
        yield desk
        watched.rest()  # what is answered later would go wrong in the next test
        surprises = [line for line in watched.problems if not any(part in line for part in watched.expected)]
        unknown = [f"{one.method} {one.url}" for one in watched.requests if not self._described(one)]
        for seen in (watched.problems, watched.expected, watched.requests):
            seen.clear()
        assert not surprises, "\n".join(surprises)
        assert not unknown, "\n".join(unknown)

    def close(self) -> None:
        """End the page."""
        self.watched.close()


@contextmanager
def shared_page(*fixtures: Any, path: str = "/", **options: Any) -> Iterator[SharedPage]:
    """A page that ends with the block.

    Args:
        fixtures: ``browser``, ``studio``, ``cookies`` and ``described``.
        path: of the page to open.
        options: of :class:`Watched`.
    """
    shared = SharedPage(*fixtures, path=path, **options)
    try:
        yield shared
    finally:
        shared.close()
