"""What gaze is worth to a small V-JEPA 2 that anticipates the next action in generated clips: every way in, every condition.

Each model is trained from random weights, whole, on the same 4,000 clips (half of them decided by gaze alone, a quarter by
whether it has left the picture, a quarter by the pictures alone), for so many epochs, with three seeds, and judged on 2,000
other clips. What can be reached is counted from how the clips are made (isotherm.data.egocentric.bounds). A run that was
killed goes on; what is finished is kept in ``bench/.work/gaze``.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.measure import insert, table, threads, write
from isotherm.data.egocentric.bounds import bounds
from isotherm.train.anticipation.ablation import ArmResult, difference, judged
from isotherm.train.anticipation.arms import arm_recipe
from isotherm.train.anticipation.build import TrainedAnticipation, open_anticipation
from isotherm.train.anticipation.read import read_judged
from isotherm.train.anticipation.recipe import AnticipationRecipe
from isotherm.train.anticipation.run import BEST, EVALUATION, recipe_from, train_run

WORK = Path(__file__).parent / ".work" / "gaze"
PAGE = Path(__file__).parents[1] / "docs" / "anticipation.md"
SEEDS = (0, 1, 2)
EPOCHS = 12
ARMS: dict[str, tuple[str, int]] = {
    "without gaze": ("none", EPOCHS),
    "added to its patches": ("real", EPOCHS),
    "the same, one vector of zeros for all states": ("zeros", EPOCHS),
    "at two scales": ("fusion:multi_scale", EPOCHS),
    "with a learned width": ("fusion:learned_sigma", EPOCHS),
    "gated cross-attention": ("fusion:cross_attention", EPOCHS),
    "temporal encoder": ("fusion:temporal", EPOCHS),
    "region token": ("fusion:region", EPOCHS),
    "points as tokens": ("fusion:points", EPOCHS),
    "attention bias": ("fusion:attention_bias", EPOCHS),
    "interleaved heatmap tokens": ("fusion:interleave", EPOCHS),
    "interleaved, twice as long": ("fusion:interleave", 2 * EPOCHS),
    "trained on shuffled gaze": ("shuffled", EPOCHS),
    "gaze without pictures": ("gaze-only", EPOCHS),
}
"""Rows of the table: the arm, and epochs."""
REAL, BARE, ZEROS = "added to its patches", "without gaze", "the same, one vector of zeros for all states"
CONDITIONS = ("real", "shuffled", "shifted", "missing")
PARTS = ("gaze", "out_of_frame", "video")


def plain_recipe(epochs: int, *, clips: int = 4000) -> dict[str, Any]:
    """The recipe that all arms change."""
    return {
        "data": {
            "train": [{"format": "generated", "count": clips}],
            "validation": [{"format": "generated", "split": "validation", "count": 500}],
            "held_out": [{"format": "generated", "split": "held_out", "count": 2000}],
        },
        "model": {
            "backbone": "random",
            "settings": {
                "crop_size": 32,
                "patch_size": 8,
                "frames_per_clip": 8,
                "tubelet_size": 2,
                "hidden_size": 64,
                "num_attention_heads": 4,
                "num_hidden_layers": 2,
                "pred_hidden_size": 32,
                "pred_num_attention_heads": 2,
                "pred_num_hidden_layers": 1,
            },
            "fusion": {"name": "patch_add", "at": "embeddings"},
            "encoder": "full",
            "predictor": "none",
            "probe": {"blocks": 0, "heads": 4},
        },
        "training": {
            "epochs": epochs,
            "batch": 50,
            "rate": 2e-3,
            "decay": 0.05,
            "clip": 1.0,
            "average": None,
            "loss": "cross_entropy",
            "keep_every": 160,
            "log_every": 80,
            "schedule": {"warm_up": 100},
        },
        "recall_k": 1,
        "devices": {"accelerator": "cpu"},
    }


def recipe_of(row: str, seed: int) -> AnticipationRecipe:
    """The recipe of a row of the table."""
    arm, epochs = ARMS[row]
    return recipe_from(arm_recipe(plain_recipe(epochs), arm, seed=seed), where=row)


def folder_of(row: str, seed: int) -> Path:
    """Where its run is."""
    return WORK / row / f"seed-{seed}"


def train_row(job: tuple[str, int]) -> tuple[str, int]:
    """Train a row with a seed, in a process with one thread."""
    threads(1)
    row, seed = job
    train_run(recipe_of(row, seed), folder_of(row, seed), root=WORK)
    return job


def finished(row: str) -> list[TrainedAnticipation]:
    """The models of the seeds that are done."""
    done = [folder_of(row, seed) for seed in SEEDS]
    return [open_anticipation(dpath / BEST) for dpath in done if (dpath / EVALUATION).is_file()]


def judge_all() -> dict[str, list[ArmResult]]:
    """Every row that has a finished seed, under every condition."""
    results: dict[str, list[ArmResult]] = {}
    data = None
    for row, (arm, _) in ARMS.items():
        if not (models := finished(row)):
            continue
        recipe = recipe_of(row, SEEDS[0])
        data = data or read_judged(recipe.data, models[0].classes, root=WORK)
        results[row] = judged(arm, recipe, models, data)
    return results


def tables(results: dict[str, list[ArmResult]]) -> list[str]:
    """Accuracies by part, what is left of the best way in under lies, and differences clip by clip."""

    def shown(result: ArmResult, part: str) -> str:
        value = result.accuracy(part)
        return f"{100 * value.mean:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"

    rows: list[list[Any]] = [
        [name, ARMS[name][1], rs[0].right.shape[1], rs[0].condition, *(shown(rs[0], part) for part in PARTS)]
        for name, rs in results.items()
    ]
    for sight in ("video alone", "video and gaze, zeros for all", "video and gaze"):
        best = bounds()
        rows.append(
            [f"best possible: {sight}", "", "", "", *(f"{100 * best[part][sight].action:.1f}" for part in PARTS)]
        )
    first = table(
        "Right actions on 2,000 held-out clips, per cent, with 95 % intervals over clips and seeds",
        ["gaze", "epochs", "seeds", "judged with", *(f"part {part}" for part in PARTS)],
        rows,
    )
    under = table(
        "The same models with other gaze than they were trained with: the part that only gaze decides",
        ["gaze", *CONDITIONS],
        [
            [name, *(next((shown(r, "gaze") for r in rs if r.condition == c), "") for c in CONDITIONS)]
            for name, rs in results.items()
            if len(rs) > 1
        ],
    )
    pairs = [(REAL, BARE), (REAL, ZEROS)]
    compared = table(
        "Differences clip by clip, in points of per cent",
        ["", *(f"part {part}" for part in PARTS)],
        [
            [f"{a}, against: {b}", *(points(results[a][0], results[b][0], part) for part in PARTS)]
            for a, b in pairs
            if a in results and b in results and results[a][0].right.shape == results[b][0].right.shape
        ],
    )
    return [first, under, compared, "\n".join(f"- {line}" for line in statements(results)) + "\n"]


def statements(results: dict[str, list[ArmResult]]) -> list[str]:
    """What was meant to come out, each with its figures and whether it did."""

    def verdict(holds: bool) -> str:
        return "holds" if holds else "does not hold"

    lines = []
    bound = bounds()["gaze"]["video alone"].action
    if BARE in results:
        value = results[BARE][0].accuracy("gaze")
        lines.append(
            f"Without gaze no more than the pictures allow, {100 * bound:.1f} %, on the part that gaze decides: {100 * value.mean:.1f} % from "
            f"{100 * value.low:.1f} on; {verdict(value.low <= bound)}."
        )
    best = max(results, key=lambda row: results[row][0].accuracy("gaze").mean)
    value = results[best][0].accuracy("gaze")
    lines.append(f"With the best way in at least 90 %: {100 * value.mean:.1f} %, {best}; {verdict(value.mean >= 0.9)}.")
    for row in dict.fromkeys((best, REAL)):
        lies = {r.condition: r.accuracy("gaze").mean for r in results.get(row, []) if r.condition in CONDITIONS[1:]}
        if lies:
            each = ", ".join(f"{condition} {100 * mean:.1f} %" for condition, mean in lies.items())
            lines.append(f"That falls to at most 15 % with other gaze, {row}: {each}; {verdict(max(lies.values()) <= 0.15)}.")  # fmt: skip
    if REAL in results and BARE in results and results[REAL][0].right.shape == results[BARE][0].right.shape:
        d = difference(results[REAL][0], results[BARE][0], "video")
        lines.append(
            f"Where the pictures alone decide, not worse with gaze ({REAL}) than without by more than the interval: "
            f"{points(results[REAL][0], results[BARE][0], 'video')} points; {verdict(d.high >= 0)}."
        )
    if REAL in results and ZEROS in results and results[REAL][0].right.shape == results[ZEROS][0].right.shape:
        d = difference(results[REAL][0], results[ZEROS][0], "out_of_frame")
        lines.append(
            "A vector for each state is better than zeros for all where the states differ: "
            f"{points(results[REAL][0], results[ZEROS][0], 'out_of_frame')} points; {verdict(d.low > 0)}."
        )
    return lines


def points(a: ArmResult, b: ArmResult, part: str) -> str:
    """A difference with its interval."""
    d = difference(a, b, part)
    return f"{100 * d.mean:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"


def as_json(results: dict[str, list[ArmResult]]) -> dict[str, Any]:
    """Accuracies of every seed."""
    return {
        row: {
            "epochs": ARMS[row][1],
            **{r.condition: {part: [round(v, 4) for v in r.seeds(part)] for part in PARTS} for r in rs},
        }
        for row, rs in results.items()
    }


def main(*, quick: bool = False) -> None:
    jobs: Sequence[tuple[str, int]] = [(row, seed) for seed in SEEDS for row in ARMS]
    left = [job for job in jobs if not (folder_of(*job) / EVALUATION).is_file()]
    if not quick and left:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            for row, seed in pool.imap_unordered(train_row, left):
                print(f"trained: {row}, seed {seed}", flush=True)
    threads(2)
    results = judge_all()
    if not results:
        print("nothing is trained yet; run without --quick")
        return
    texts = tables(results)
    print("\n".join(texts))
    write("gaze", {"arms": as_json(results), "seeds": SEEDS}, quick=quick)
    if not quick:
        insert(PAGE, "gaze", "\n".join(texts))
