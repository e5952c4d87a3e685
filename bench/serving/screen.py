"""From pressing Explain to the map on the screen, beside the explanation alone."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from isotherm.studio.processor import BEHIND, environment
from rigs.browser import Browsers, Watched
from rigs.programs import CHROMIUM
from rigs.studio_page import RUN_MS, StudioPage
from rigs.studio_server import StudioProcess, running

CONFIG, SIDE = "yolo11s-seg.yaml", 640
CHECKS = {"off": 7, "fast": 7}
"""How thoroughly maps are judged (not at all, and as the page asks unless told otherwise), and how often that is measured at most."""
CALMER, MEAN_LOGIT = 1 / 8, -6.0
"""What logits of classes are multiplied with around their mean, which :func:`rigs.yolo_models.make_yolo` sets."""
LEAST = 12
"""How many least confidences there are to ask for."""
ALONE = """
import os, sys, time
import numpy as np
from PIL import Image
import isotherm
os.nice(int(sys.argv[4]))
view = isotherm.open_model(sys.argv[1], confidence=float(sys.argv[3]))
picture = np.asarray(Image.open(sys.argv[2]).convert("RGB"))
for _ in sys.stdin:
    start = time.perf_counter()
    maps = isotherm.explain(view, picture, trust="off")
    print(time.perf_counter() - start, len(maps), flush=True)
"""
"""The explanation in Python, with the model open and without a check, which the page does not wait for either: once for
each line that comes, with the same place behind other processes as the studio's worker, so that whatever else the machine
does falls on both alike."""
PAINTED = """() => {
    for (const name of ["putImageData", "drawImage"]) {
        const own = CanvasRenderingContext2D.prototype[name];
        CanvasRenderingContext2D.prototype[name] = function (...given) {
            own.apply(this, given);
            if (this.canvas.matches("#shown .stage canvas.base")) window.painted = performance.now();
        };
    }
}"""
"""Has the page take down when the picture with its map was painted last."""
ON_SCREEN = """() => new Promise((done) => {
    const viewer = document.querySelector("#shown .viewer");
    new MutationObserver((_, seen) => {
        const changed = performance.now();
        const look = () => requestAnimationFrame(() => (window.painted >= changed ? requestAnimationFrame(() => done(performance.now())) : look()));
        look();
        seen.disconnect();
    }).observe(viewer, { attributeFilter: ["data-run"] });
    document.querySelector("#question button.go").click();
    window.pressed = performance.now();
})"""
"""When the map of another run is on the screen, counted from the page's start: the viewer has it, it was painted, and the
frame after that one has begun. Nothing is looked at in each frame meanwhile, which would have the browser draw all the time
beside the model.
"""
VERDICT = """() => new Promise((done) => {
    const look = () => (document.querySelector(".judged summary").textContent.includes("being checked") ? requestAnimationFrame(look) : done(performance.now()));
    look();
})"""
"""When the verdict stands beside the map."""


def weights(folder: Path) -> tuple[Path, Path, list[float]]:
    """A file of weights of that size, random but such that it finds things, the picture that it finds them in, and least
    confidences between the surest finding's and the next one's, so that there is one to explain.
    """
    import numpy as np
    import torch
    from PIL import Image

    import isotherm
    from rigs.yolo_models import bus, make_yolo

    fpath, picture = folder / "yolo11s-seg.pt", folder / "bus.png"
    yolo = make_yolo(CONFIG, size=SIDE)
    with torch.no_grad():  # otherwise so deep a net is entirely sure of hundreds of things
        for branch in yolo.model.model[-1].cv3:
            branch[-1].weight.mul_(CALMER)
            branch[-1].bias.copy_(CALMER * branch[-1].bias + (1 - CALMER) * MEAN_LOGIT)
    yolo.save(fpath)
    Image.fromarray(bus()).save(picture)
    view = isotherm.open_model(str(fpath), confidence=0.01)
    inputs = view.prepare([bus()])
    with torch.no_grad():
        findings = view.find(view.run(inputs), inputs)
    next_one, surest = sorted(float(one) for one in findings.confidence)[-2:]
    return fpath, picture, list(np.linspace(next_one, surest, LEAST + 2)[1:-1])


def alike() -> None:
    """Give all processes that were started for the measurement the priority that this one was given, where Linux divides
    the processor between sessions: the studio, the browser and the explanation alone are sessions of their own.
    """
    try:
        nice = Path("/proc/self/autogroup").read_text().split()[-1]
    except OSError:
        return
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    ours = {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= new
    for pid in ours:
        with suppress(OSError):  # one that has ended, or may not be changed
            Path(f"/proc/{pid}/autogroup").write_text(nice)


class Alone:
    """The explanation alone, in a process of its own.

    Args:
        fpath: of the weights.
        picture: file of the picture.
        confidence: the least one.
    """

    def __init__(self, fpath: Path, picture: Path, confidence: float) -> None:
        words = [str(fpath), str(picture), str(confidence), str(BEHIND)]
        env = {**os.environ, **environment(None, os.environ)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ALONE, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def explain(self) -> tuple[float, int]:
        """Seconds that it took, and how many maps it made."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        seconds, maps = self.process.stdout.readline().split()
        return float(seconds), int(maps)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def explain_to_screen(folder: Path, *, repeats: int) -> dict[str, Any]:
    """Medians of the time from pressing Explain to the map on the screen, and of the explanation alone; seconds.

    Both in turns, and the model is open already in both; once without a check of maps, once with the one that the page asks
    for unless told otherwise, whose verdict comes later and has a time of its own. Each time another least confidence is asked for, so that nothing is answered from the history.
    """
    assert CHROMIUM is not None
    folder.mkdir(parents=True, exist_ok=True)
    fpath, picture, confidences = weights(folder)
    found: dict[str, Any] = {}
    with running(folder, ["--model", str(fpath)]) as studio, closing(Browsers()) as browsers:
        studio.example()
        watched = Watched(browsers.shared(), url=studio.url)
        watched.page.goto(studio.address())
        watched.page.evaluate(PAINTED)
        desk = StudioPage(watched)
        with watched.page.expect_file_chooser() as chosen:
            watched.page.get_by_role("button", name="Files…").click()
        chosen.value.set_files(picture)
        watched.page.get_by_text(re.compile("bus.png is ready")).wait_for()
        desk.page.locator("#ask-model").select_option(str(fpath))
        desk.more()
        watched.page.set_default_timeout(RUN_MS)
        for check, most in CHECKS.items():
            desk.choose("Check", check)
            with closing(Alone(fpath, picture, confidences[0])) as alone:
                found[check] = _in_turns(studio, desk, alone, confidences[: min(repeats, most) + 1])
    return {"model": CONFIG, "side": SIDE, "repeats": repeats, "checks": found}


def _in_turns(studio: StudioProcess, desk: StudioPage, alone: Alone, confidences: list[float]) -> dict[str, Any]:
    seen, own, judged = [], [], []
    for confidence in confidences:
        alike()
        seconds, maps = alone.explain()
        own.append(seconds)
        desk.page.get_by_label("Confidence", exact=True).fill(f"{confidence:.6f}")
        end = desk.page.evaluate(ON_SCREEN)
        pressed = desk.page.evaluate("window.pressed")
        seen.append((end - pressed) / 1000)
        judged.append((desk.page.evaluate(VERDICT) - pressed) / 1000)
        assert maps == len(studio_maps(studio, desk.run())) == 1
    ratios = [one / other for one, other in zip(seen[1:], own[1:], strict=True)]  # the first ones compile and cache
    return {
        "on_screen_s": statistics.median(seen[1:]),
        "explanation_s": statistics.median(own[1:]),
        "verdict_s": statistics.median(judged[1:]),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def studio_maps(studio: StudioProcess, run_id: str) -> list[Any]:
    """The maps of a run, as the history has them when it has ended."""
    with studio.client() as client:
        with client.stream("GET", f"/api/runs/{run_id}/events", timeout=RUN_MS / 1000) as events:
            list(events.iter_lines())
        return client.get(f"/api/runs/{run_id}").json()["maps"]
