"""A small vision-language model that grounds instructions on generated tables, beside what differs from it in one thing, and its maps in
space.

Every arm is trained from random weights on the same 1,500 tables seen from above, 800 steps of 32 instructions, three seeds, and judged
on 150 other tables; a hit lies within 2 of 64 cells (Euclidean). A run that was killed goes on; what is finished is kept in
``bench/.work/vla`` by all settings that decide its figures, so that it is used again with the same ones alone. Processor seconds are
those of all parts of a run.

- causal: LLaVA's architecture with the same towers under a causal mask. Picture first is the order of most templates.
- text query: the head is given the state of the last token; the picture stands first.
- taught other questions: how many blocks there are, whether there is one of a colour, and the colour of what is beside, answered in words;
  for 3,000 steps; then the language model is frozen and the head is trained.
- coordinates: the state of the last token through two layers to two numbers, L1 loss.
- border: places within 8 cells of the edge. Mass there: probability that maps of other places have within those 8 cells.

In space: the model that ships (and two more by its recipe) sees three orthographic views of a table, each by itself, or two perspective
ones. Corrupted: one view, in turn, shows another table.
"""

from __future__ import annotations

import multiprocessing
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.measure import insert, table, threads, write
from bench.vla_arms import ARMS, CONFIG, JUDGED, chance, folder_of, run_arm, tables
from bench.vla_lift import LEVELS, SHIPPED, file_of, mean_and_range, of_seed
from isotherm.data.tabletop import KINDS

SEEDS = (0, 1, 2)
PAGE = Path(__file__).parents[1] / "docs" / "robot.md"


def arm_table(found: dict[str, list[dict[str, Any]]], by_chance: dict[str, float]) -> str:
    """Hits and errors of every arm, mean and range over the seeds that are done."""

    def cell(runs: list[dict[str, Any]], key: str) -> str:
        values = [run[key] for run in runs if key in run]
        return mean_and_range(values) if values else ""

    rows: list[list[Any]] = [
        [
            name,
            len(runs),
            *(cell(runs, kind) for kind in KINDS),
            cell(runs, "all_px"),
            cell(runs, "border_px"),
            cell(runs, "border_mass"),
        ]
        for name, runs in found.items()
        if runs
    ]
    rows.append(["chance: any block, any free place", "", *(f"{by_chance[kind]:.3g}" for kind in KINDS), "", "", ""])
    title = f"Instructions on {len(JUDGED)} held-out tables: share of hits, mean and range over seeds"
    return table(
        title, ["model", "seeds", *KINDS, "error, px of 64", "error near the border", "mass near the border"], rows
    )


def answers_line(found: dict[str, list[dict[str, Any]]]) -> str:
    """What the frozen language model answered of what it was taught."""
    runs = found.get("taught other questions, then frozen") or []
    if not runs:
        return ""
    kinds = runs[0]["answers"]
    shown = ", ".join(f"{kind} {mean_and_range([run['answers'][kind] for run in runs])}" for kind in kinds)
    return f"\nThe frozen model's right answers in words: {shown}.\n"


def space_tables(found: list[dict[str, Any]]) -> list[str]:
    """Errors in space, and how often regions hold the truth."""
    if not found:
        return []

    def cell(part: str, row: str, key: str) -> str:
        values = [one[part][row][key] for one in found if key in one[part][row]]
        return mean_and_range(values) if values else ""

    views = table(
        f"The model of all views, {len(found)} seed(s)",
        ["view", *KINDS, "error, px of 64"],
        [
            [name, *(cell("by_view", name, kind) for kind in KINDS), cell("by_view", name, "px")]
            for name in found[0]["by_view"]
        ],
    )
    columns = ["mean_cm", "median_cm", "near", *(f"{kind}_near" for kind in KINDS), "seen"]
    space = table(
        "Lifted into space (a table of 100 cm)",
        ["views, fusion", "mean error, cm", "median, cm", "within 5 cm", *KINDS, "disagreement tells it, AUC"],
        [[name, *(cell("space", name, key) for key in columns)] for name in found[0]["space"]],
    )
    covered = table(
        "Share of true places in the region of a level",
        [
            "level",
            "maps as they come",
            "with the fitted temperature",
            "with the fitted level",
            "ellipsoids in space",
            "with the fitted size",
        ],
        [
            [
                level,
                *(cell("coverage", str(level), key) for key in ("maps", "temperature", "conformal")),
                *(cell("space_coverage", str(level), key) for key in ("covariance", "conformal")),
            ]
            for level in LEVELS
        ],
    )
    return [views, space, covered]


def finished_arms() -> dict[str, list[dict[str, Any]]]:
    """The figures that runs of these settings have left so far."""
    return {
        name: [run_arm(name, seed) for seed in SEEDS if (folder_of(name, seed) / "figures.json").exists()]
        for name in ARMS
    }


def publish_all(arms: dict[str, list[dict[str, Any]]], space: list[dict[str, Any]], *, quick: bool) -> None:
    """Print, keep and show what there is."""
    by_chance = chance(tables("judged", JUDGED[:20] if quick else JUDGED, CONFIG.views))
    texts = [arm_table(arms, by_chance) + answers_line(arms), *space_tables(space)]
    print("\n".join(texts))
    results = {"arms": arms, "chance": by_chance, "space": space, "steps": CONFIG.steps, "batch": CONFIG.batch}
    write("vla", results, quick=quick)
    if not quick:
        insert(PAGE, "vla", "\n".join(texts))


def main(*, quick: bool = False) -> None:
    """Train what is not trained yet, and show everything; quick: a few steps of one seed, which say nothing."""
    if quick:
        arms = {
            name: [run_arm(name, 0, config=replace(CONFIG, steps=4, tables=10), judged=JUDGED[:20])] for name in ARMS
        }
        publish_all(arms, [], quick=True)
        return
    # every arm of a seed before the next seed; processes of one thread each, since the models are too small for two
    tasks = [(name, seed) for seed in SEEDS for name in ARMS]
    with multiprocessing.get_context("spawn").Pool(2, initializer=threads, initargs=(1,)) as pool:
        pool.starmap(run_arm, tasks, chunksize=1)
        space = pool.map(of_seed, SEEDS if SHIPPED.exists() else SEEDS[1:], chunksize=1)
    publish_all(finished_arms(), space, quick=False)


if __name__ == "__main__":
    if "--so-far" in sys.argv:  # the tables of what is finished
        publish_all(finished_arms(), [of_seed(seed) for seed in SEEDS if file_of(seed).exists()], quick=False)
    else:
        main(quick="--quick" in sys.argv)
