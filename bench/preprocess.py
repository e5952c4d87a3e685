"""Frames of a user's own transforms, as measured, against the affine maps of 300 random chains composed by hand.

Each chain is one to four of torchvision's transforms (resize, crop, pad, flips, rotation, shift with zoom). It is measured
on float tensors and on PIL pictures of bytes; the error is the worst corner's, in source pixels. As a second oracle of
the truth the middle of a bounding box of torchvision's goes the same way. A chain that is refused is counted, with the
words of the refusal; every chain is kept in ``bench/.work`` as it ends, and a run that was ended early goes on there.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.kept import identity  # noqa: E402
from bench.measure import insert, machine, table, threads, write  # noqa: E402

PAGE = ROOT / "docs" / "own_model.md"
WORK = ROOT / "bench" / ".work"
CHAINS = 300
NEAR = {"float": 1e-3, "bytes": 0.05}
"""Source pixels; the share of chains within them is given. Bytes are rounded after every transform."""
TITLES = {"float": "float tensors", "bytes": "PIL pictures of bytes"}


def one_chain(seed: int) -> dict[str, Any]:
    """Errors of a chain: the worst corner's by kind of picture in source pixels, or the words that refuse it; the box's in
    output pixels, and how far the pixels themselves look beside the map.
    """
    from PIL import Image

    from isotherm.errors import IsothermError
    from isotherm.models.shared.fringes import measure
    from rigs.transform_chains import beside, chain, run, worst, worst_of_boxes

    steps, whole, size, source = chain(seed)
    found: dict[str, Any] = {
        "boxes": worst_of_boxes(steps, whole, size, source),
        "beside": beside(steps, whole, source),
    }
    for kind in NEAR:
        in_bytes = kind == "bytes"
        try:
            one = measure(lambda picture: run(steps, Image.fromarray(picture), in_bytes=in_bytes), source)  # noqa: B023
            found[kind] = worst(one.frame, whole)
        except IsothermError as error:
            found[kind] = str(error)
    return found


def all_chains(count: int) -> tuple[list[dict[str, Any]], float]:
    """(what :func:`one_chain` says of each, processor seconds of all), those of an earlier run of the same code used again."""
    read = [ROOT / "tests" / "rigs" / "transform_chains.py", Path(__file__)]
    read += [
        ROOT / "src" / "isotherm" / "models" / "shared" / name
        for name in ("fringes.py", "ramps.py", "resampling.py", "ripples.py")
    ]
    code = {fpath.name: fpath.read_text() for fpath in read}
    kept = WORK / f"preprocess-{identity(code | {'versions': machine()['versions']})}.jsonl"
    kept.parent.mkdir(exist_ok=True)
    lines = kept.read_text().splitlines(keepends=True) if kept.exists() else []
    done = [json.loads(line) for line in lines if line.endswith("\n")]  # a kill may have cut the last one
    kept.write_text("".join(line for line in lines if line.endswith("\n")))
    with kept.open("a") as file:
        for seed in range(len(done), count):
            began = time.process_time()
            done.append(one_chain(seed) | {"seconds": time.process_time() - began})
            file.write(json.dumps(done[-1]) + "\n")
            file.flush()
    return done[:count], sum(one["seconds"] for one in done[:count])


def row_of(kind: str, found: list[Any]) -> tuple[list[str], dict[str, Any]]:
    """(cells of the table, figures of the results) of a kind of picture."""
    values = np.array([v for v in found if not isinstance(v, str)])
    median, most, worst = (float(np.quantile(values, q)) for q in (0.5, 0.95, 1.0))
    within = int((values <= NEAR[kind]).sum())
    refused = {seed: v for seed, v in enumerate(found) if isinstance(v, str)}
    figures = {
        "median": median,
        "95 %": most,
        "worst": worst,
        "within": {"pixels": NEAR[kind], "chains": within, "of": len(found)},
        "refused": refused,
        "all": [v if isinstance(v, str) else round(v, 8) for v in found],
    }
    share = f"{within} of {len(found)} ({within / len(found):.1%}) within {NEAR[kind]:g}"
    cells = [TITLES[kind], share, f"{median:.1e}", f"{most:.1e}", f"{worst:.1e}", str(len(refused))]
    return cells, figures


def main(quick: bool = False) -> None:
    threads(1)
    count = 20 if quick else CHAINS
    chains, seconds = all_chains(count)
    rows, results = [], {}
    for kind in NEAR:
        cells, results[kind] = row_of(kind, [one[kind] for one in chains])
        rows.append(cells)
    boxes = max(one["boxes"] for one in chains)
    text = table(
        f"Frames of {count} random chains against maps composed by hand, source pixels",
        ["pictures", "chains", "median", "95 %", "worst", "refused"],
        rows,
    )
    text += (
        f"\nThe worst corner of each chain of one to four of torchvision's transforms counts; torchvision's own boxes lie within "
        f"{boxes:.0e} output pixels of the maps composed by hand. {seconds:.0f} s of one core with the boxes and the pixels' own places.\n"
    )
    beyond = [one for one in chains if isinstance(one["float"], str) or one["float"] > NEAR["float"]]
    if beyond:
        both = ", ".join(
            f"{one['float']:.1e} ({one['beside']:.1e})" for one in beyond if not isinstance(one["float"], str)
        )
        text += (
            f"\nThe {len(beyond)} chains of floats that are farther off, and in brackets how far half of their pixels themselves look beside the map "
            f"that is composed by hand: {both}. That is the centroid of what a pixel is made of, every row and column of the source lit alone. "
            "Filters that antialias are sampled at whole pixels, and where this ripple repeats only a few times along the output, it leans the map.\n"
        )
    print(text)
    results["beside"] = [round(one["beside"], 5) for one in chains]
    results["boxes"] = {"worst": boxes}
    write("preprocess", results | {"processor seconds": round(seconds, 1)}, quick=quick)
    if not quick:
        insert(PAGE, "preprocess", text)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
