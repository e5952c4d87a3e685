"""A network that was really trained, on photographs: how well its maps do, and how often the verdict says so.

EfficientNet-Lite0 (``--model imagenet``) explains the likeliest class of four photographs. Insertion - deletion is measured
with the cells where receptive fields say that they lie, and spread evenly; the share of positive relevance in a box that
was drawn by hand around the object stands beside the box's share of what the network saw. Verdicts are those of the fast
check, by three seeds for its random orders and weights, and once more for the same network with three seeds' random weights.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import get_args

import torch

from bench.measure import insert, table, threads, write
from isotherm.metrics.trust import Verdict

PAGE = Path(__file__).parents[1] / "docs" / "imagenet.md"
METHODS = ("gradcam", "eigengradcam", "gradcampp", "layercam", "eigencam")
JUDGED = ("gradcam", "layercam", "eigencam")
"""Methods whose verdicts are counted: most of the time goes into these."""

SEEDS = (0, 1, 2)
STEPS = 8
VERDICTS = get_args(Verdict)


def figures_of(view, photograph) -> dict[str, dict[str, float]]:
    """Of every method, and of random maps: insertion - deletion by either placement, energy in the box, the box's share."""
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute
    from isotherm.cam.gain import inside
    from isotherm.cam.rerun import ViewRerun
    from isotherm.cam.scores import ClassLogit
    from isotherm.data.pictures import read_picture
    from isotherm.frame import Frame
    from isotherm.metrics.localisation import box_coverage, energy_inside
    from isotherm.metrics.perturbation import deletion, insertion
    from isotherm.ops.resample import seen, to_frame, to_source

    picture = read_picture(photograph.fpath).array
    inputs = view.prepare([picture])
    done = attribute(view, inputs, methods=[getattr(methods, name) for name in METHODS], score=ClassLogit())
    rerun = ViewRerun(view, inputs, done.targets)
    size = picture.shape[:2]
    visible = seen(inputs.frame[0]).reshape(1, *size)
    box = box_coverage(torch.tensor([photograph.box], dtype=torch.float32), size)
    where = {
        "where they lie": done.maps[0].frame[0],
        "spread evenly": inputs.frame[0].to_grid(size=done.maps[0].frame.size),
    }
    values = {name: m.values[0].float() for name, m in zip(METHODS, done.maps, strict=True)}
    for seed in SEEDS:
        values[f"random {seed}"] = torch.rand(
            where["spread evenly"].size, generator=torch.Generator().manual_seed(seed)
        )
    found: dict[str, dict[str, float]] = {}
    for name, v in values.items():
        found[name] = {"box": float(box[visible].mean())}
        for how, frame in where.items():
            if name not in METHODS and how != "spread evenly":
                continue  # random cells have no place of their own
            on_input = to_frame(v[None], Frame.stack([frame]), inputs.frame, outside="edge")
            arguments = dict(fill=inputs.blank, steps=STEPS, region=inside(inputs.frame))
            gain = (
                insertion(on_input, inputs.tensor, rerun.scores, **arguments).normalised_auc
                - deletion(on_input, inputs.tensor, rerun.scores, **arguments).normalised_auc
            )
            found[name][f"insertion - deletion, {how}"] = float(gain)
            found[name][f"energy, {how}"] = float(energy_inside(to_source(v, frame)[None] * visible, box))
    return found


def verdicts_of(view, photographs, names: tuple[str, ...], seeds: tuple[int, ...]) -> dict[str, Counter[str]]:
    """How often each verdict comes, over the photographs and seeds."""
    from isotherm import explain

    counts = {name: Counter[str]() for name in names}
    for photograph in photographs:
        for seed in seeds:
            for name, trust in zip(
                names, explain(view, photograph.fpath, method=list(names), seed=seed).trust, strict=True
            ):
                assert trust is not None
                counts[name][trust.verdict] += 1
    return counts


def main(quick: bool = False) -> None:
    from isotherm import open_model
    from isotherm.data.photographs import PHOTOGRAPHS

    threads(1)
    view = open_model("imagenet")
    photographs = PHOTOGRAPHS[1:2] if quick else PHOTOGRAPHS
    figures = {p.name: figures_of(view, p) for p in photographs}
    keys = [
        f"{what}, {how}" for what in ("insertion - deletion", "energy") for how in ("where they lie", "spread evenly")
    ]

    def means(names: list[str]) -> list[str]:
        found = [[one[name][key] for one in figures.values() for name in names if key in one[name]] for key in keys]
        return [f"{fmean(f):.2f}" if f else "" for f in found]

    rows = [[name, *means([name])] for name in METHODS] + [
        ["random cells, 3 seeds", *means([f"random {seed}" for seed in SEEDS])]
    ]
    share = fmean(one[METHODS[0]]["box"] for one in figures.values())
    columns = ["method", *(k.replace("energy", "energy in the box") for k in keys)]
    texts = [
        table(
            f"Mean over {len(figures)} photographs; the box covers {share:.2f} of what the network saw", columns, rows
        ),
        table(
            "Each photograph, default method, cells where they lie",
            ["photograph", "insertion - deletion", "the same, spread evenly", "energy in the box", "the box covers"],
            [
                [p, *(f"{one[METHODS[0]][k]:.2f}" for k in (keys[0], keys[1], keys[2], "box"))]
                for p, one in figures.items()
            ],
        ),
    ]
    seeds = SEEDS[:1] if quick else SEEDS
    trained = verdicts_of(view, photographs, JUDGED[:1] if quick else JUDGED, seeds)
    untrained: Counter[str] = Counter()
    for seed in seeds:
        untrained += verdicts_of(open_model("imagenet", weights="none", seed=seed), photographs, METHODS[:1], (seed,))[
            METHODS[0]
        ]
    judged = {**trained, f"{METHODS[0]}, random weights": untrained}
    texts.append(
        table(
            f"Verdicts of the fast check, {len(photographs)} photographs, {len(seeds)} seeds",
            ["method", *VERDICTS],
            [[name, *(c[v] for v in VERDICTS)] for name, c in judged.items()],
        )
    )
    text = "\n".join(texts)
    print(text)
    write(
        "photographs",
        {
            "photographs": figures,
            "verdicts": {name: dict(c) for name, c in judged.items()},
            "seeds": list(seeds),
            "steps": STEPS,
        },
        quick=quick,
    )
    if not quick:
        insert(PAGE, "photographs", text)


if __name__ == "__main__":
    main()
