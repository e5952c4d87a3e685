"""Is a verdict right? The evidence gain as a classifier of maps whose evidence is known, with its errors by training seed.

Maps that rest on the evidence and maps that do not, of classifiers, detectors and vision-language models of generated
scenes, and photographs with EfficientNet-Lite0 beside its randomised copies, on which nothing was set. AUC: that of
two maps the one that rests on the evidence has the larger gain. "Held out": the share of right maps above the gain that 3 %
of the wrong maps of the other seeds reach, and the share of this seed's wrong ones above it, the seeds' mean.
The words are those of the fast check. ``python -m bench.trust cost`` measures its cost alone.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.measure import RESULTS, insert, table, threads, write
from bench.trust_cost import costs
from bench.trust_maps import Trial
from bench.vlm import auc

PAGE = Path(__file__).parents[1] / "docs" / "faithfulness.md"
SEEDS = (0, 1, 2)
FALSE = 0.03
WORDS = ("believable", "doubtful", "cannot be judged", "do not trust")


def trials_of(what: str, seed: int, count: int) -> list[Any]:
    """All trials of a kind of model and a seed."""
    from bench.trust_maps import scenes
    from bench.trust_others import answers, boxes, photographs

    if what == "classifier of scenes":
        return list(scenes(seed, count))
    if what == "as if of two classes":
        return list(scenes(seed, count, 2))
    if what == "detector of scenes":
        return list(boxes(seed, count))
    if what == "answers about shapes":
        return list(answers(seed, count))
    return list(photographs(seed))


def errors(by_seed: Sequence[Sequence[Any]]) -> tuple[float, float]:
    """(right, wrong) maps above a threshold that other seeds set; of one seed that of its own."""
    right, wrong = [], []
    for i, held in enumerate(by_seed):
        others = [t for j, trials in enumerate(by_seed) if j != i or len(by_seed) == 1 for t in trials]
        least = float(torch.tensor([t.gain for t in others if not t.rests]).double().quantile(1 - FALSE))
        right += [t.gain > least for t in held if t.rests]
        wrong += [t.gain > least for t in held if not t.rests]
    return statistics.fmean(right), statistics.fmean(wrong)


def row(what: str, by_seed: Sequence[Sequence[Any]]) -> list[str]:
    """Of the first table."""
    trials = [t for some in by_seed for t in some]
    gains = torch.tensor([t.gain for t in trials]).double().nan_to_num(-1e9)
    rests = torch.tensor([t.rests for t in trials])
    right, wrong = errors(by_seed) if int(rests.sum()) else (float("nan"),) * 2
    shares = [_share(trials, side, "believable") for side in (True, False)]
    return [
        what,
        str(int(rests.sum())),
        str(int((~rests).sum())),
        f"{auc(gains, rests):.3f}",
        _percent(right),
        _percent(wrong),
        *map(_percent, shares),
    ]


def _share(trials: Sequence[Any], rests: bool, word: str) -> float:
    some = [t for t in trials if t.rests == rests]
    return sum(t.verdict == word for t in some) / max(len(some), 1)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def kinds(trials: Sequence[Any]) -> list[list[str]]:
    """How often each word comes, by where a map comes from."""
    rows = []
    for rests in (True, False):
        for kind in dict.fromkeys(t.kind for t in trials if t.rests == rests):
            some = [t for t in trials if t.rests == rests and t.kind == kind]
            counts = Counter(t.verdict for t in some)
            gains: Tensor = torch.tensor([t.gain for t in some]).double()
            low, middle, high = (float(gains.nanquantile(q)) for q in (0.05, 0.5, 0.95))
            rows.append(
                [
                    kind,
                    "yes" if rests else "no",
                    str(len(some)),
                    f"{middle:.2f} ({low:.2f} to {high:.2f})",
                    *(str(counts[w]) for w in WORDS),
                ]
            )
    return rows


def main(*, quick: bool = False) -> None:
    threads(1)
    seeds, count = (SEEDS[:1], 4) if quick else (SEEDS, 24)
    plan = {
        "classifier of scenes": seeds,
        "as if of two classes": seeds,
        "detector of scenes": seeds,
        "answers about shapes": seeds,
        "photographs": seeds,
    }
    if "cost" in sys.argv:  # of the verdict alone; the trials are those of the last whole run
        before = json.loads((RESULTS / "trust.json").read_text())["trials"]
        found = {what: [[Trial(*t) for t in some] for some in by_seed] for what, by_seed in before.items()}
    else:
        found = {what: [trials_of(what, seed, count) for seed in some] for what, some in plan.items()}
    columns = [
        "maps of",
        "right",
        "wrong",
        "AUC",
        "held out: right above",
        "wrong above",
        "right called believable",
        "wrong called believable",
    ]
    texts = [
        table(
            f"The verdict, {len(seeds)} training seeds",
            columns,
            [row(what, by_seed) for what, by_seed in found.items()],
        )
    ]
    names = ["where the map comes from", "rests on the evidence", "maps", "gain (5 to 95 %)", *WORDS]
    texts += [
        table(f"{what[0].upper()}{what[1:]}", names, kinds([t for s in by_seed for t in s]))
        for what, by_seed in found.items()
    ]
    paid = costs(quick=quick)
    rows = [
        [
            one["model"],
            f"{one['seconds']['map']:.3f}",
            f"{one['seconds']['verdict']:.3f}",
            f"{one['seconds']['verdict'] / one['seconds']['map']:.2f}",
            f"{one['seconds']['two passes'] / one['seconds']['map']:.2f}",
            one["line"].removeprefix("trust: "),
        ]
        for one in paid
    ]
    texts.append(
        table(
            "What the fast verdict costs, one thread",
            ["of", "the map, s", "the verdict, s", "ratio", "of two passes, which most right maps take", "the verdict"],
            rows,
        )
    )
    print("\n".join(texts))
    plain = {
        what: [[[t.kind, t.rests, t.gain, t.verdict] for t in s] for s in by_seed] for what, by_seed in found.items()
    }
    write("trust", {"trials": plain, "count": count, "costs": paid}, quick=quick)
    if not quick:
        insert(PAGE, "trust", "\n".join(texts))


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
