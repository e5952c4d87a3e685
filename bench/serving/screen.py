"""From pressing Explain to the map on the screen, beside the explanation alone."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rigs.browser import Watched, chromium
from rigs.programs import CHROMIUM
from rigs.studio_page import RUN_MS, StudioPage
from rigs.studio_server import running

CONFIG, SIDE, CONFIDENCE = "yolo11s-seg.yaml", 640, 0.3
ALONE = """
import sys, time
import numpy as np
from PIL import Image
import isotherm
view = isotherm.open_model(sys.argv[1], confidence=float(sys.argv[4]))
picture = np.asarray(Image.open(sys.argv[2]).convert("RGB"))
times = []
for turn in range(int(sys.argv[3]) + 1):
    start = time.perf_counter()
    isotherm.explain(view, picture, trust="off")
    times.append(time.perf_counter() - start)
print(times[1:])
"""
ON_SCREEN = """(before) => new Promise((done) => {
    const there = (run, what) => performance.getEntriesByName(`${location.origin}/api/runs/${run}/view/0/${what}`).some((one) => one.responseEnd > 0);
    const look = () => {
        const run = /run=([0-9a-f]{32})/.exec(location.hash)?.[1];
        if (run && run !== before && there(run, "values") && there(run, "image")) requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
        else requestAnimationFrame(look);
    };
    document.querySelector("#question button.go").click();
    window.pressed = performance.now();
    look();
})"""
"""When the map of another run has been drawn, counted from the page's start: its values and its picture have come, and two
frames have passed."""


def weights(folder: Path) -> tuple[Path, Path]:
    """A file of weights of that size, random but such that it finds things, and the picture that it finds them in."""
    from PIL import Image

    from rigs.yolo_models import bus, made

    fpath, picture = folder / "yolo11s-seg.pt", folder / "bus.png"
    made(CONFIG).save(fpath)
    Image.fromarray(bus()).save(picture)
    return fpath, picture


def explain_to_screen(folder: Path, *, repeats: int) -> dict[str, Any]:
    """Medians of the time from pressing Explain to the map on the screen, and of the explanation alone; seconds.

    The model is open already in both, and the maps are not judged: with random weights it finds dozens of things. Each time another least confidence is asked for, so that nothing is answered from the
    history.
    """
    assert CHROMIUM is not None
    folder.mkdir(parents=True, exist_ok=True)
    fpath, picture = weights(folder)
    times = []
    with running(folder, ["--model", str(fpath)]) as studio, chromium() as browser:
        studio.example()
        watched = Watched(browser, url=studio.url)
        watched.page.goto(studio.address())
        desk = StudioPage(watched)
        with watched.page.expect_file_chooser() as chosen:
            watched.page.get_by_role("button", name="Files…").click()
        chosen.value.set_files(picture)
        watched.page.get_by_text(re.compile("bus.png is ready")).wait_for()
        desk.page.locator("#ask-model").select_option(str(fpath))
        desk.more()
        desk.choose("Check", "off")
        for turn in range(repeats + 1):
            desk.page.get_by_label("Confidence", exact=True).fill(str(CONFIDENCE + turn / 1e4))
            watched.page.set_default_timeout(RUN_MS)
            end = desk.page.evaluate(ON_SCREEN, desk.run())
            times.append((end - desk.page.evaluate("window.pressed")) / 1000)
    alone = explanation_alone(fpath, picture, repeats=repeats)
    seen, own = statistics.median(times[1:]), statistics.median(alone)
    return {
        "model": CONFIG,
        "side": SIDE,
        "repeats": repeats,
        "on_screen_s": seen,
        "explanation_s": own,
        "ratio": seen / own,
    }


def explanation_alone(fpath: Path, picture: Path, *, repeats: int) -> list[float]:
    """How long the same explanation takes in Python, with the model open; seconds, in a process of its own."""
    command = [sys.executable, "-c", ALONE, str(fpath), str(picture), str(repeats), str(CONFIDENCE)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(one) for one in json.loads(out.strip().splitlines()[-1])]
