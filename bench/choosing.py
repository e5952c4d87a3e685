"""Which method, at which layers, joined how? What ``explain`` chooses by itself beside what else it could, per kind of model.

Scenes, whose evidence is known to the pixel, by classifiers of three training seeds and by the detector that ships;
photographs with a box around the object by EfficientNet-Lite0. Of every choice the share of positive relevance on the
object (energy), how often the strongest pixel lies on it (pointing), the median of the evidence gain, and the seconds
of a map beside those of the first row, which is what is chosen where nothing is said. Answers have a table of their own
(``bench/vlm.py``).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.measure import insert, table, threads, write

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
SEEDS = (0, 1, 2)
METHODS = ("hirescam", "gradcam", "layercam", "gradcampp", "eigengradcam", "eigencam")
LAYERS = {
    "classifier of scenes": (("stage3.0",), ("stage2.1",), ("stage2.1", "stage3.0")),
    "detector of scenes": (
        ("backbone.stages.0.2",),
        ("backbone.stages.0.3",),
        ("backbone.stages.0.2", "backbone.stages.1.3"),
    ),
    "EfficientNet-Lite0": (("bn2",), ("blocks.5",), ("blocks.4",), ("blocks.4", "bn2")),
}


@dataclass
class Figures:
    """Of one choice, map by map."""

    energy: list[float] = field(default_factory=list)
    pointing: list[float] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def row(self, name: str, first: Figures) -> list[str]:
        """Of the table."""
        means = [statistics.fmean(v) for v in (self.energy, self.pointing)]
        shown = [f"{v:.2f}" for v in (*means, statistics.median(self.gain))]
        times = statistics.median(a / b for a, b in zip(self.seconds, first.seconds, strict=True))
        return [name, *shown, f"{times:.2f}", str(len(self.energy))]


def choices(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What may be chosen, the choice that is made where nothing is said first."""
    yield "what explain chooses", {}
    for layers in LAYERS[kind]:
        for fuse in ("mean", "max") if len(layers) > 1 else ("mean",):
            for method in METHODS:
                where = f" {fuse} of ".join(layers) if len(layers) > 1 else layers[0]
                yield f"{method}, {where}", {"method": method, "layers": list(layers), "fuse": fuse}


def pictures(kind: str, count: int) -> Iterator[tuple[Any, np.ndarray, dict[str, Any], np.ndarray]]:
    """Views, pictures, what is asked of them, and where the object is."""
    import isotherm
    from isotherm.data.photographs import PHOTOGRAPHS
    from isotherm.data.pictures import read_picture
    from isotherm.data.scenes import held_out_scenes
    from isotherm.zoo.scenes.view import load_scenes

    if kind == "EfficientNet-Lite0":
        view = isotherm.open_model("imagenet")
        for photograph in PHOTOGRAPHS:
            picture = read_picture(photograph.fpath).array
            x0, y0, x1, y1 = photograph.box
            mask = np.zeros(picture.shape[:2], bool)
            mask[y0:y1, x0:x1] = True
            yield view, picture, {}, mask
        return
    views = [load_scenes(s) for s in SEEDS] if kind == "classifier of scenes" else [isotherm.open_model("detector")]
    for view in views:
        for scene in islice(held_out_scenes(count), count):
            for label in scene.labels:
                mask = scene.masks[list(scene.labels).index(label)]
                yield view, scene.picture, {"target": view.names[int(label)]}, mask


def measured(kind: str, count: int) -> dict[str, Figures]:
    """The figures of every choice for one kind of model."""
    import isotherm
    from isotherm.errors import IsothermError
    from isotherm.metrics.localisation import energy_inside, pointing_game

    out: dict[str, Figures] = {name: Figures() for name, _ in choices(kind)}
    for view, picture, asked, mask in pictures(kind, count):
        region = torch.from_numpy(mask)[None]
        try:
            isotherm.explain(view, picture, trust="off", **asked)
        except IsothermError:  # a detector that does not find it
            continue
        for name, options in choices(kind):
            began = time.process_time()
            made = isotherm.explain(view, picture, **asked, **options)
            took = time.process_time() - began
            if not len(made):
                break
            (verdict, *_), shown = made.trust, made[0].at_source().nan_to_num(0.0)[None].float()
            assert verdict is not None
            figures = out[name]
            figures.energy.append(float(energy_inside(shown, region)))
            figures.pointing.append(float(pointing_game(shown, region)))
            figures.gain.append(float("nan") if verdict.gain is None else verdict.gain.value)
            figures.seconds.append(took)
    return out


def main(*, quick: bool = False) -> None:
    threads(1)
    count = 2 if quick else 15
    texts, results = [], {}
    for kind in LAYERS:
        found = measured(kind, count)
        first, *others = found.items()
        ranked = [first, *sorted(others, key=lambda item: -statistics.fmean(item[1].energy))]
        rows = [figures.row(name, first[1]) for name, figures in ranked]
        columns = ["method, layers", "energy", "pointing", "evidence gain, median", "seconds / the first row's", "maps"]
        texts.append(table(f"What may be chosen: {kind}", columns, rows))
        results[kind] = {name: vars(figures) for name, figures in found.items()}
        print(texts[-1], flush=True)
    write("choosing", {"kinds": results}, quick=quick)
    if not quick:
        insert(PAGE, "choosing", "\n".join(texts))


if __name__ == "__main__":
    import sys

    main(quick="--quick" in sys.argv)
