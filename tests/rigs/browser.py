"""Chromium, driven by Playwright: pages that are watched for whatever goes wrong in them, and kept as pictures."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rigs.programs import CHROMIUM

SCREENSHOTS = Path(os.environ.get("ISOTHERM_SCREENSHOTS", Path(__file__).parents[2] / "screenshots"))
"""Where pictures of pages are kept, to be looked at; git does not see it."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--renderer-process-limit=1",  # otherwise a second process is started for each page, in case of a next one
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
HEIGHTS = {375: 812, 1440: 1000, 1920: 1080}
REST_S = 120
"""How long a page may take to come to rest on a machine that has much else to do."""
DRAWN = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(
    [...document.images].every((one) => one.complete || one.loading === "lazy")))))"""
HERE = ("127.0.0.1", "localhost", "::1", None)


class Browsers:
    """Debian's Chromium without a window, its camera a moving test picture: one for all who ask, until it is closed.

    Playwright keeps a loop of asyncio running in this thread as long as it lives, so it may not outlive the tests that use it.
    """

    def __init__(self) -> None:
        self._open: ExitStack | None = None
        self._playwright: Any = None
        self._shared: Any = None

    def shared(self) -> Any:
        """The one for all."""
        if self._shared is None:
            self._shared = self.launch()
        return self._shared

    def launch(self, *flags: str) -> Any:
        """Another one, with further flags."""
        from playwright.sync_api import sync_playwright

        if self._open is None:
            self._open = ExitStack()
            self._playwright = self._open.enter_context(sync_playwright())
        browser = self._playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        self._open.callback(browser.close)
        return browser

    def close(self) -> None:
        """End all of them, where there are any."""
        if self._open is not None:
            self._open.close()
        self._open = self._playwright = self._shared = None


def context_of(browser: Any, width: int = 1440, theme: str = "light", **options: Any) -> Any:
    """A context of Playwright's with a window of this width and theme, and further options."""
    viewport = {"width": width, "height": HEIGHTS.get(width, 900)}
    return browser.new_context(
        viewport=viewport, color_scheme=theme, reduced_motion="reduce", accept_downloads=True, **options
    )


class Watched:
    """A page, and everything that went wrong in it.

    Args:
        browser: of :class:`Browsers`.
        width: of the window, CSS pixels.
        theme: ``light`` or ``dark``.
        url: where paths begin.
        context: that the page is opened in, of this width and theme, and that stays; None: one of its own.
        options: of Playwright's contexts.
    """

    def __init__(
        self,
        browser: Any,
        *,
        url: str = "",
        width: int = 1440,
        theme: str = "light",
        context: Any = None,
        **options: Any,
    ) -> None:
        self.url, self.width, self.theme = url, width, theme
        self._stays = context is not None
        self.context = context if self._stays else context_of(browser, width, theme, **options)
        self.problems: list[str] = []
        self.expected: list[str] = []
        """Parts of problems that a test brings about on purpose."""
        self.requests: list[Any] = []
        self._unanswered: set[Any] = set()
        self.page = self.watch(self.context.new_page())
        self.context.on("page", self.watch)
        self.page.set_default_timeout(30_000)

    def watch(self, page: Any) -> Any:
        """Take down the errors of a page, what its content policy stops, and what it wants from elsewhere."""
        page.on("console", lambda line: self._note(line.type == "error", f"console: {line.text}"))
        page.on("pageerror", lambda error: self._note(True, f"script: {error}"))
        page.on("request", self._requested)
        for end in ("requestfinished", "requestfailed"):
            page.on(end, lambda request: self._unanswered.discard(request))
        page.on("response", lambda answer: self._note(answer.status >= 500, f"{answer.status}: {answer.url}"))
        return page

    def open(self, path: str) -> None:
        """Go to a page of the studio."""
        self.page.goto(self.url + path)

    def rest(self) -> None:
        """Wait until all that the page asked for is there, and its pictures can be drawn.

        Playwright's "networkidle" waits for half a second without a request, and for each document only once.
        """
        until = time.monotonic() + REST_S
        # each question lets Playwright tell of the requests before it
        while not self.page.evaluate(DRAWN) or self._unanswered:
            assert time.monotonic() < until, [one.url for one in self._unanswered]

    def _requested(self, request: Any) -> None:
        self.requests.append(request)
        if request.is_navigation_request():
            self._unanswered.clear()  # what the page before asked for is answered to nobody
        if request.resource_type != "eventsource":  # which stays open as long as a run goes on
            self._unanswered.add(request)
        self._note(urlsplit(request.url).hostname not in HERE, f"asks elsewhere: {request.url}")

    def _note(self, wrong: bool, text: str) -> None:
        if wrong:
            self.problems.append(text)

    def picture(self, name: str, *, full: bool = False) -> Path:
        """Keep what the window shows."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        fpath = SCREENSHOTS / f"{name}-{self.width}-{self.theme}.png"
        self.page.screenshot(path=fpath, full_page=full)
        return fpath

    def faults(self) -> list[str]:
        """Violations of WCAG 2.2 AA that axe-core sees, with where they are."""
        from axe_playwright_python.sync_playwright import Axe

        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        options = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}
        found = Axe().run(self.page, options=options).response["violations"]
        return [f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:4]}" for one in found]

    def close(self) -> None:
        """End the page.

        Raises:
            AssertionError: something went wrong in it that no test expected.
        """
        if self._stays:
            self.context.remove_listener("page", self.watch)
            for page in self.context.pages:
                page.close()
        else:
            self.context.close()
        surprises = [line for line in self.problems if not any(part in line for part in self.expected)]
        assert not surprises, "\n".join(surprises)
