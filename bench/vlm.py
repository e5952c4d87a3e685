"""Which map of a vision-language model's answer lies on what the answer rests on? Small models of three training seeds, questions about shapes.

Every method is asked for three scores of the model's answer: the largest logit, log p, and for counts the expected number. Counts have at
least one shape of the colour and at least one of another, places have one of the colour among others.

hit: the strongest token touches a shape that counts (chance: the share of such tokens). pointing: the strongest pixel of the enlarged map lies on one.
AUC: of the enlarged map's pixels, on the shapes that count against all else; others: against the other shapes alone, since a map of what stands out from
the noise, whatever is asked, lies on shapes, too (the row "contrast": how far each patch is from the mean patch). drop: by how much log p of the answer falls when the strongest quarter of
the tokens is seen by nobody.

``--only propagation,occlusion`` measures the rows of these methods and of random weights, and leaves the others as they are kept.

RISE has 64 masks here, and occlusion is asked for one score, as it takes a pass for each of 144 cells. The usual script is what is copied from page to page: the last vision block's activations weighted by their mean gradient of the largest
logit, patches in the order in which the processor lists them. Random weights: the best method on the model with all weights randomised.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.measure import insert, table, threads, write
from bench.usual_script import usual_script

SEEDS = (0, 1, 2)
PICTURES = 200
KINDS = ("count", "where")
PAGE = Path(__file__).parents[1] / "docs" / "vlm.md"
WORK = Path(__file__).parent / ".work" / "vlm"
FIGURES = ("hit", "pointing", "auc", "others", "drop")
BEST = {"count": ("propagation", "expected number"), "where": ("propagation", "log p")}


def questions(kind: str, count: int) -> list[Any]:
    """Held-out questions whose answer rests on some shapes and not on others."""
    from isotherm.data.shape_questions import HELD_OUT, make_question

    found: list[Any] = []
    for seed in HELD_OUT:
        q = make_question(seed, kind)  # type: ignore[arg-type]
        if q.evidence.any() and len(set(q.colours.tolist())) > 1:
            found.append(q)
        if len(found) == count:
            return found
    raise AssertionError


def judged(cells: Tensor, evidence: Tensor, shapes: Tensor) -> dict[str, float]:
    """hit, pointing and AUCs of a map of any cells over a picture of 48 x 48."""
    tokens = F.adaptive_avg_pool2d(cells[None, None], (6, 6))[0, 0]
    touched = F.max_pool2d(evidence.float()[None, None], 8)[0, 0].bool()
    top = tokens == tokens.max()
    pixels = F.interpolate(cells[None, None].float(), (48, 48), mode="bilinear", align_corners=False)[0, 0]
    peak = pixels == pixels.max()
    return {
        "hit": float((top & touched).sum() / top.sum()),
        "pointing": float((peak & evidence).sum() / peak.sum()),
        "auc": auc(pixels.flatten(), evidence.flatten()),
        "others": auc(pixels[shapes], evidence[shapes]),
    }


def squared(values: Tensor) -> Tensor:
    """A map of tokens, or of covered pixels, which has cells of its own, as rows and columns."""
    side = math.isqrt(values.numel())
    return values.detach().view(side, side)


def auc(values: Tensor, positive: Tensor) -> float:
    """Area under the ROC curve, ties counting half."""
    order = values.double().argsort()
    ranked = values[order].double()
    _, inverse, counts = torch.unique_consecutive(ranked, return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    ranks = torch.empty_like(ranked)
    ranks[order] = (ends - (counts - 1) / 2)[inverse]
    n, m = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def of_seed(seed: int, kind: str, count: int, only: tuple[str, ...] = ()) -> dict[str, dict[str, float]]:
    """Figures of every row for one trained model, or of the rows of some methods and of random weights."""
    from isotherm.metrics.randomisation import randomised
    from isotherm.vlm import methods
    from isotherm.vlm.choose import answer_methods
    from isotherm.vlm.fills import filled
    from isotherm.vlm.guards import guarded
    from isotherm.vlm.question import Question
    from isotherm.vlm.scores import Answer, ExpectedNumber, NextToken
    from isotherm.vlm.trace import record
    from isotherm.zoo.tiny_vlm.view import load

    view = load(f"tiny-vlm-{seed}")
    scores: dict[str, Callable[..., Any]] = {"largest logit": NextToken(), "log p": Answer()}
    if kind == "count":
        scores["expected number"] = ExpectedNumber()
    every = [methods.Rise(masks=64) if n == "Rise" else getattr(methods, n)() for n in methods.__all__] + [
        methods.GradientActivation(centre=False, name="gradient_activation, not centred"),
        methods.AttentionGradient(queries="answer", name="attention_gradient, the answer's rows"),
    ]
    every = [m for m in every if not only or m.name in only]
    needs = frozenset().union(*(m.needs for m in every))
    rows: dict[str, list[dict[str, float]]] = {}
    generator = torch.Generator().manual_seed(seed)

    def keep(row: str, cells: Tensor, q: Any, trace: Any) -> None:
        tokens = F.adaptive_avg_pool2d(cells[None, None].float(), (6, 6)).flatten()
        gone = torch.zeros(1, 36, dtype=torch.bool)
        gone[0, (tokens + 1e-9 * torch.rand(36, generator=generator)).argsort(descending=True)[:9]] = True
        drop = trace.score - float(filled(trace, gone, "mask"))
        rows.setdefault(row, []).append(
            judged(cells.float(), torch.from_numpy(q.evidence), torch.from_numpy(q.masks.any(0))) | {"drop": drop}
        )

    for q in questions(kind, count):
        question = Question.of(view, view.ask([q.picture], q.question))
        (target,) = Answer()(question)
        (plain,) = record(question, [target], frozenset())
        for name, score in scores.items():
            (trace,) = record(question, score(question), needs)
            for method in every:
                if method.name == "occlusion" and name != BEST[kind][1]:
                    continue
                keep(f"{method.name} | {name}", squared(guarded(method, [trace])[0][0]), q, plain)
        for row, cells in {} if only else references(view, question, q, generator).items():
            keep(row, cells, q, plain)
        method, score = BEST[kind]
        chosen = answer_methods()[method]
        with randomised(view.model, 1.0, seed=seed):
            other = Question.of(view, question.prompt)
            (trace,) = record(other, scores[score](question), chosen.needs)
            shuffled = squared(guarded(chosen, [trace])[0][0])
        keep("random weights", shuffled, q, plain)
    view.model.zero_grad(set_to_none=True)
    return {row: {f: statistics.fmean(v[f] for v in values) for f in FIGURES} for row, values in rows.items()}


def references(view: Any, question: Any, q: Any, generator: torch.Generator) -> dict[str, Tensor]:
    """What a map has to be better than, and what it could be at best."""
    inputs = dict(question.prompt.inputs)
    apart = inputs["pixel_values"] - inputs["pixel_values"].mean(0)
    middle = torch.arange(6.0) - 2.5
    return {
        "random": torch.rand(6, 6, generator=generator),
        "centre": -torch.cartesian_prod(middle, middle).norm(dim=-1).view(6, 6),
        "contrast": apart.norm(dim=-1).view(36, 4).mean(1).view(6, 6),
        "oracle of tokens": F.avg_pool2d(torch.from_numpy(q.evidence).float()[None, None], 8)[0, 0],
        "usual script": usual_script(view.model, inputs),
        "usual script, right order": usual_script(view.model, inputs, ordered=True),
    }


def kept(seed: int, kind: str, count: int) -> dict[str, dict[str, float]]:
    """:func:`of_seed`, from the file that an earlier run on the same weights left."""
    from importlib.resources import files

    from isotherm.ops.hashing import sha256_of

    weights = sha256_of(str(files("isotherm") / "assets" / f"tiny-vlm-{seed}.safetensors"))
    fpath = WORK / f"{kind}-{seed}-{count}-{weights[:12]}.json"
    if not fpath.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        found = of_seed(seed, kind, count)
        fpath.write_text(json.dumps(found))
    return json.loads(fpath.read_text())


def as_table(kind: str, found: list[dict[str, dict[str, float]]], count: int) -> str:
    """Means over seeds and how far the seeds lie apart, the best AUC first."""

    def cell(row: str, f: str) -> str:
        values = [one[row][f] for one in found]
        return f"{statistics.fmean(values):.3g}" + (f" ± {statistics.stdev(values):.1g}" if len(values) > 1 else "")

    ranked = sorted(found[0], key=lambda row: -statistics.fmean(one[row]["auc"] for one in found))
    rows = [[*(row.split(" | ") if " | " in row else (row, "")), *(cell(row, f) for f in FIGURES)] for row in ranked]
    what = {"count": "how many", "where": "where"}[kind]
    return table(
        f"Questions “{what}”, {count} held-out pictures, {len(found)} training seeds",
        ["map", "score", "hit", "pointing", "AUC", "AUC, other shapes", "drop of log p"],
        rows,
    )


def main(*, quick: bool = False) -> None:
    threads(1)
    seeds, count = (SEEDS[:1], 20) if quick else (SEEDS, PICTURES)
    tasks = [(seed, kind, count) for kind in KINDS for seed in seeds]
    # ready-made processes of one thread each: the models are too small for two
    with multiprocessing.get_context("spawn").Pool(min(2, len(tasks)), initializer=threads, initargs=(1,)) as pool:
        rows = pool.starmap(kept, tasks, chunksize=1)
    found = {kind: [row for (_, k, _), row in zip(tasks, rows, strict=True) if k == kind] for kind in KINDS}
    texts = [as_table(kind, rows, count) for kind, rows in found.items()]
    print("\n".join(texts))
    write("vlm", {"kinds": found, "pictures": count, "seeds": list(seeds)}, quick=quick)
    if not quick:
        insert(PAGE, "vlm", "\n".join(texts))


def renew(only: tuple[str, ...]) -> None:
    """Measure some rows, and write the tables with them and with the others that are kept."""
    threads(1)
    fpath = Path(__file__).parent / "results" / "vlm.json"
    before = json.loads(fpath.read_text())
    tasks = [(seed, kind, before["pictures"], only) for kind in KINDS for seed in before["seeds"]]
    with multiprocessing.get_context("spawn").Pool(2, initializer=threads, initargs=(1,)) as pool:
        measured = pool.starmap(of_seed, tasks, chunksize=1)
    for (seed, kind, *_), rows in zip(tasks, measured, strict=True):
        before["kinds"][kind][before["seeds"].index(seed)].update(rows)
    write("vlm", {name: before[name] for name in ("kinds", "pictures", "seeds")}, quick=False)
    insert(PAGE, "vlm", "\n".join(as_table(kind, rows, before["pictures"]) for kind, rows in before["kinds"].items()))


if __name__ == "__main__":
    if "--only" in sys.argv:
        renew(tuple(sys.argv[sys.argv.index("--only") + 1].split(",")))
    elif "--again" in sys.argv:  # the tables from the figures that are kept
        kept = json.loads((Path(__file__).parent / "results" / "vlm.json").read_text())
        insert(PAGE, "vlm", "\n".join(as_table(kind, rows, kept["pictures"]) for kind, rows in kept["kinds"].items()))
    else:
        main(quick="--quick" in sys.argv)
