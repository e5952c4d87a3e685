"""Gaze in clips of other frame rates and of objects that were never seen: what the finished models of ``bench gaze`` make of them.

The models of ``python -m bench gaze`` are judged at other rates than the one that they were trained at. Two more are trained here, with the
same seeds: at mixed rates, judged at those and at rates between them; and on varied objects, judged on those and on objects whose
colours, angles and sizes no clip of the training has. A run that was killed goes on.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from bench.gaze import BARE, EPOCHS, REAL, SEEDS, WHOLE, WORK, drawn, plain_recipe
from bench.measure import insert, table, threads, write
from isotherm.data.egocentric.bounds import bounds
from isotherm.train.anticipation.arms import arm_recipe
from isotherm.train.anticipation.build import TrainedAnticipation
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.anticipation.generated import GeneratedClips
from isotherm.train.anticipation.run import EVALUATION, recipe_from, train_run
from isotherm.train.anticipation.source import ClipSource
from isotherm.train.anticipation.validate import answers_of
from isotherm.train.recipe import from_plain

PAGE = Path(__file__).parents[1] / "docs" / "anticipation.md"
MIXED, BETWEEN = [6.0, 8.0, 10.0], [7.0, 9.0]
SETS: dict[str, dict[str, Any]] = {
    "8 frames a second": {},
    "6, 8 and 10": {"rates_hz": MIXED},
    "7 and 9": {"rates_hz": BETWEEN},
    "varied objects": {"look": "varied"},
    "unseen objects": {"look": "unseen"},
}
"""Held-out clips, by how they are drawn."""
RATES = ("8 frames a second", "6, 8 and 10", "7 and 9")
TRAINED: dict[str, tuple[dict[str, Any], int, tuple[str, ...]]] = {
    "mixed rates": ({"rates_hz": MIXED}, EPOCHS, RATES),
    "objects apart": ({"look": "varied"}, 2 * EPOCHS, ("varied objects", "unseen objects")),
}
"""Further trainings: how their clips are drawn, epochs, and what they are judged on."""


def train_further(name: str, seed: int) -> None:
    """Train one with a seed."""
    clips, epochs, _ = TRAINED[name]
    recipe = recipe_from(arm_recipe(drawn(plain_recipe(epochs), clips), "real", seed=seed), where=name)
    train_run(recipe, WHOLE.folder(name, seed), root=WORK)


def held_out(name: str, *, count: int = 2000) -> GeneratedClips:
    """A set of held-out clips."""
    source = {"format": "generated", "split": "held_out", "count": count, "clips": SETS[name]}
    return GeneratedClips([from_plain(ClipSource, source)])


def judged(models: list[TrainedAnticipation], data: GeneratedClips) -> dict[str, list[float]]:
    """The action's accuracy of every model by part."""
    each = [answers_of(one.model, data, GazeUse()).of_parts() for one in models]
    return {part: [figures[f"{part}_part"] for figures in each] for part in bounds()}


def shown(values: list[float]) -> str:
    """Accuracies of seeds in per cent: their mean, the least and the most."""
    mean = sum(values) / len(values)
    return f"{100 * mean:.1f} ({100 * min(values):.1f} to {100 * max(values):.1f})"


def main(*, quick: bool = False) -> None:
    """Print the table and, unless quick, write results/gaze_further.json; quick trains nothing and judges 200 clips."""
    threads(1)
    for seed, name in itertools.product(SEEDS, TRAINED):
        if not quick and not (WHOLE.folder(name, seed) / EVALUATION).is_file():
            train_further(name, seed)
            print(f"trained: {name}, seed {seed}", flush=True)
    asked = {row: RATES for row in (REAL, BARE)} | {name: sets for name, (_, _, sets) in TRAINED.items()}
    results: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row, sets in asked.items():
        if models := WHOLE.finished(row):
            results[row] = {name: judged(models, held_out(name, count=200 if quick else 2000)) for name in sets}
    if not results:
        print("no model is trained yet; run: python -m bench gaze")
        return
    text = table(
        "Right actions on held-out clips of other rates and other objects, per cent: the mean over seeds, and the least and the most",
        ["trained", "seeds", "judged on", *(f"part {part}" for part in bounds())],
        [
            [f"{row}, 8 frames a second" if row in (REAL, BARE) else row, len(by_part["gaze"]), name]
            + [shown(by_part[part]) for part in bounds()]
            for row, sets in results.items()
            for name, by_part in sets.items()
        ],
    )
    print(text)
    write("gaze_further", {"accuracy": results, "seeds": SEEDS}, quick=quick)
    if not quick:
        insert(PAGE, "gaze-further", text)
