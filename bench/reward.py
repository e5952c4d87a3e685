"""What a reward for looking at the right place costs: pictures through the model together, beside one after another.

Processor time of one thread, both ways taking turns, so that a busy machine matters little. On a GPU, where a small batch leaves most of
the device idle, it is another matter, which is not measured here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import insert, processor_seconds, table, threads, write
from bench.vlm_cost import make_view
from isotherm.api import open_model
from isotherm.data.shape_questions import make_question
from isotherm.systems.relevance_reward import relevance_reward

PAGE = Path(__file__).parents[1] / "docs" / "counting.md"
METHODS = ("attention_gradient", "gradcam", "propagation")
WAYS = {"one after another": 1, "together": 16}


def measured(view: Any, pictures: list[Any], repeats: int) -> list[dict[str, Any]]:
    """For each method the milliseconds of a picture both ways, and how far the rewards lie apart."""
    regions = [[(0, 0, picture.shape[1] // 2, picture.shape[0])] for picture in pictures]
    rows = []
    for method in METHODS:
        shares: dict[str, Any] = {}

        def job(way: str, batch: int, method: str = method, shares: dict[str, Any] = shares) -> None:
            found = relevance_reward(
                view, pictures, regions, prompt="how many red ?", target="next", method=method, batch=batch
            )
            shares[way] = found.shares

        seconds = processor_seconds(
            {way: lambda way=way, batch=batch, job=job: job(way, batch) for way, batch in WAYS.items()}, repeats
        )
        rows.append(
            {
                "method": method,
                "ms": {way: 1e3 * s / len(pictures) for way, s in seconds.items()},
                "apart": float(np.abs(shares["together"] - shares["one after another"]).max()),
            }
        )
    return rows


def main(*, quick: bool = False) -> None:
    threads(1)
    small = [make_question(seed, "count").picture for seed in range(4 if quick else 32)]
    rng = np.random.default_rng(0)
    large = [rng.integers(0, 256, (384, 576, 3), dtype=np.uint8) for _ in range(2 if quick else 4)]
    found = {
        f"tiny-vlm, {len(small)} pictures of 48 x 48": measured(open_model("tiny-vlm"), small, 1 if quick else 7),
        f"Qwen3-VL of 2 + 2 layers (768 and 1024 wide), random weights, {len(large)} pictures of 864 patches": measured(
            make_view(quick=True), large, 1 if quick else 3
        ),
    }
    write("reward", {"models": found, "batch": WAYS["together"]}, quick=quick)
    text = "\n".join(
        table(
            f"{model}; processor time of one thread",
            ["method", *(f"{way}, ms a picture" for way in WAYS), "ratio", "largest difference of a reward"],
            [
                [
                    row["method"],
                    *row["ms"].values(),
                    row["ms"]["one after another"] / row["ms"]["together"],
                    row["apart"],
                ]
                for row in rows
            ],
        )
        for model, rows in found.items()
    )
    print(text)
    if not quick:
        insert(PAGE, "reward", text)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
