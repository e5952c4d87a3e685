"""Where maps lie: how far a map's centre of gravity is from that of the object it is of.

Three classifiers (training seeds 0, 1, 2) explain 300 held-out scenes by HiResCAM. For every object that is found and
does not touch the picture's border, positive relevance within its surroundings (its half extent and two cells more) has a
centre of gravity; its mean offset from the mask's, in pixels of the model's input, would be 0 if cells lay where their
frame says. Once with the frames that isotherm gives, once with the cells spread evenly over the input.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch

from bench.measure import insert, table, threads, write

PAGE = Path(__file__).parents[1] / "docs" / "cells.md"


def offsets(seed: int, count: int) -> dict[str, list[tuple[float, float]]]:
    """(x, y) offsets in input pixels of every object's map, by how its cells are placed."""
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute
    from isotherm.cam.scores import Classes
    from isotherm.data.scenes import held_out_scenes
    from isotherm.zoo.scenes.view import load_scenes

    view = load_scenes(seed)
    found: dict[str, list[tuple[float, float]]] = {"where they lie": [], "spread evenly": []}
    for scene in islice(held_out_scenes(count), count):
        inputs = view.prepare([scene.picture])
        with torch.no_grad():
            logits = view.run(inputs).logits[0]
        labels = [int(k) for k in scene.labels if logits[int(k)] > 0]
        if not labels:
            continue
        masks = torch.from_numpy(scene.masks[[list(scene.labels).index(k) for k in labels]])
        m = attribute(view, inputs, methods=[methods.hirescam], score=Classes(tuple(labels))).maps[0]
        placed = {"where they lie": m.frame[0], "spread evenly": inputs.frame[0].to_grid(size=m.frame.size)}
        for values, mask in zip(m.values, masks, strict=True):
            if bool(mask[0].any() | mask[-1].any() | mask[:, 0].any() | mask[:, -1].any()):
                continue
            for how, frame in placed.items():
                offset = offset_from_object(values, mask, frame, 8)
                if offset is not None:
                    found[how].append(offset)
    return found


def offset_from_object(values, mask, frame, stride: float) -> tuple[float, float] | None:
    """(x, y), in input pixels, from an object's centre to that of the positive values around it; None where there are none.

    Args:
        mask: of the object, in the picture's pixels.
        frame: of the values.
        stride: their cells' distance in input pixels.
    """
    ys, xs = torch.where(mask)
    middle = torch.stack([xs.double().mean(), ys.double().mean()]) + 0.5
    rows, columns = torch.meshgrid(torch.arange(frame.size[0]), torch.arange(frame.size[1]), indexing="ij")
    points = frame.points_to_source(torch.stack([columns, rows], -1).flatten(0, 1).double() + 0.5)
    cell = float(frame.cell_size[0])
    radius = max(int(ys.max() - ys.min()), int(xs.max() - xs.min())) / 2 + 2 * cell
    weight = values.double().clamp(min=0).flatten() * ((points - middle).norm(dim=1) < radius)
    if not float(weight.sum()) > 0:
        return None
    x, y = (((weight[:, None] * points).sum(0) / weight.sum() - middle) * stride / cell).tolist()
    return x, y


def main(quick: bool = False) -> None:
    from isotherm.metrics.intervals import bootstrap

    threads(2)
    count = 20 if quick else 300
    rows, results = [], {}
    for seed in (0,) if quick else (0, 1, 2):
        for how, pairs in offsets(seed, count).items():
            values = torch.tensor(pairs, dtype=torch.float64)
            x, y = bootstrap(values[:, 0]), bootstrap(values[:, 1])
            results[f"{how}, seed {seed}"] = {
                "x": [x.mean, x.low, x.high],
                "y": [y.mean, y.low, y.high],
                "objects": len(pairs),
            }
            rows.append([how, seed, *(f"{i.mean:+.1f} [{i.low:+.1f}, {i.high:+.1f}]" for i in (x, y)), len(pairs)])
    rows.sort(key=lambda row: (str(row[0]) != "where they lie", row[1]))
    text = table(
        "Offset of a map from its object, in input pixels of 128",
        ["cells", "training seed", "to the right", "down", "objects"],
        rows,
    )
    print(text)
    write("cells", results, quick=quick)
    if not quick:
        insert(PAGE, "cells", text)


if __name__ == "__main__":
    main()
