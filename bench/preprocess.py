"""Frames of a user's own transforms, as measured, against the affine maps of 300 random chains composed by hand.

Each chain is one to four of torchvision's transforms (resize, crop, pad, flips, rotation, shift with zoom). It is measured
on float tensors and on PIL pictures of bytes; the error is the worst corner's, in source pixels. As a second oracle of
the truth the middle of a bounding box of torchvision's goes the same way.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.measure import insert, table, threads, write  # noqa: E402

PAGE = ROOT / "docs" / "own_model.md"
CHAINS = 300


def errors(count: int) -> dict[str, list[float]]:
    """Worst corner of every chain by kind of picture, and of torchvision's boxes."""
    from PIL import Image

    from isotherm.models.shared.fringes import measure
    from rigs.transform_chains import chain, run, worst, worst_of_boxes

    found: dict[str, list[float]] = {"float": [], "bytes": [], "boxes": []}
    for seed in range(count):
        steps, whole, size, source = chain(seed)
        found["boxes"].append(worst_of_boxes(steps, whole, size, source))
        for kind in ("float", "bytes"):

            def transform(picture, steps=steps, in_bytes=kind == "bytes"):
                return run(steps, Image.fromarray(picture), in_bytes=in_bytes)

            found[kind].append(worst(measure(transform, source).frame, whole))
    return found


def main(quick: bool = False) -> None:
    threads(1)
    found = errors(20 if quick else CHAINS)
    rows, results = [], {}
    for kind, title in (
        ("float", "float tensors"),
        ("bytes", "PIL pictures of bytes"),
        ("boxes", "torchvision's own boxes, in output pixels"),
    ):
        values = np.array(found[kind])
        median, most, worst = (float(np.quantile(values, q)) for q in (0.5, 0.95, 1.0))
        results[kind] = {"median": median, "95 %": most, "worst": worst, "all": [round(v, 6) for v in values.tolist()]}
        rows.append([title, len(values), f"{median:.1e}", f"{most:.1e}", f"{worst:.1e}"])
    text = table(
        "Frames of random chains against maps composed by hand, pixels",
        ["pictures", "chains", "median", "95 %", "worst"],
        rows,
    )
    print(text)
    write("preprocess", results, quick=quick)
    if not quick:
        insert(PAGE, "preprocess", text)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
