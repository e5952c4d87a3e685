"""The studio's page in the hands of a person: what is pressed, and what is then to be seen."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from PIL import Image

from rigs.browser import Watched

RUN_MS = 120_000
"""How long a run may take on a machine that has much else to do; the first one of a model opens it."""
LOOK_MS = 50
"""How long between two looks at whether something has come. Without it Playwright looks at each frame, and the browser
then draws sixty of them a second beside the model that is waited for."""


class StudioPage:
    """A page of the studio that is open.

    Args:
        watched: the page.
    """

    def __init__(self, watched: Watched) -> None:
        self.watched, self.page = watched, watched.page
        self.page.wait_for_selector("html.ready")

    # --- getting a picture ---------------------------------------------------------------------------------------------

    def sample(self, title: str) -> None:
        """Take one of the samples."""
        before = len(self.tray())
        button = self.page.get_by_role("button", name="Samples", exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        self.page.get_by_role("group", name="Samples").get_by_role("button", name=title, exact=True).click()
        self.taken.nth(before).wait_for()

    @property
    def taken(self) -> Any:
        """The pictures that were taken."""
        return self.page.get_by_role("list", name="Pictures to ask about").get_by_role("listitem")

    def tray(self) -> list[str]:
        """Their names."""
        return self.taken.locator(".name").all_inner_texts()

    # --- asking --------------------------------------------------------------------------------------------------------

    def choose(self, field: str, value: str) -> None:
        """One of the choices of the form."""
        self.page.locator("#question").get_by_label(field, exact=True).select_option(value)

    def more(self) -> None:
        """Unfold what most people never change."""
        folded = self.page.locator("#question details.more")
        if folded.get_attribute("open") is None:
            folded.locator("summary", has_text="More choices").click()

    def explain(self, title: str | None = None) -> str:
        """Press Explain and wait until another run's map is on the screen; the run's id.

        Args:
            title: a part of what stands above the map then.
        """
        before = self.run()
        self.page.locator("#question button.go").click()
        self.page.wait_for_function(
            "(before) => !location.hash.includes(before) && location.hash",
            arg=before or "none",
            timeout=RUN_MS,
            polling=LOOK_MS,
        )
        self.page.locator(f'#shown .viewer[data-run="{self.run()}"]').wait_for(timeout=RUN_MS)  # not the one before
        self.shown(title)
        return self.run()

    def run(self) -> str:
        """The id of the run that is shown."""
        match = re.search(r"run=([0-9a-f]{32})", self.page.url)
        return match[1] if match else ""

    # --- looking -------------------------------------------------------------------------------------------------------

    def shown(self, title: str | None = None) -> None:
        """Wait until a map lies over its picture."""
        heading = self.page.locator("#shown h2")
        (heading.filter(has_text=title) if title else heading).first.wait_for(timeout=RUN_MS)
        self.stage.wait_for(timeout=RUN_MS)
        self.watched.rest()

    @property
    def stage(self) -> Any:
        """The picture with its map."""
        return self.page.get_by_role("group", name=re.compile("^Picture with map")).first

    def look(self) -> np.ndarray:
        """What is drawn, (h, w, 3) values of 0 to 255."""
        return np.asarray(Image.open(io.BytesIO(self.stage.screenshot())).convert("RGB")).astype(np.int16)

    def unfold(self, title: str) -> Any:
        """Open a part that is folded away; it."""
        part = self.page.locator("details", has=self.page.locator("summary", has_text=title)).last
        if part.get_attribute("open") is None:
            part.locator("summary").first.click()
        return part


def png(seed: int = 0, size: tuple[int, int] = (48, 64)) -> bytes:
    """A picture of noise."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def press_until(page: Any, expression: str, key: str = "Tab", most: int = 150) -> None:
    """Press a key until the focused element fulfils a condition, as a person would who looks where the focus is.

    Args:
        page: Playwright's.
        expression: in JavaScript, about ``node``.
        key: that is pressed.
        most: presses.
    """
    for _ in range(most):
        if page.evaluate(f"() => {{ const node = document.activeElement; return Boolean(node && ({expression})); }}"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{most} presses of {key} did not lead to {expression}")
