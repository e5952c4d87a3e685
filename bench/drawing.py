"""Ways of laying a map over a photograph: what they leave of it, and what viewers read from them.

- *untouched*: CIEDE2000 between the picture with and without the map, where the map is below a tenth of its maximum (median);
- *strength*: the same inside of the half-maximum;
- *structure*: correlation of the lightness (CIE L*) with and without the map, inside of the half-maximum, what is smoother
  than 6 of 500 pixels taken off both: 1 where light and shade are as they were;
- *reading*: viewers who saw one overlay at a time and nothing else (no original, no numbers, no words) marked the hottest
  place and one box around everything above half of the maximum. Their answers are in results/blind_reading.json.

``python -m bench.drawing --pictures FOLDER`` writes the pictures that were read, and the sheet of docs/drawing.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean, median

import numpy as np
from PIL import Image

from bench.drawing_pictures import PHOTOS, READ, field, mapped, ways
from bench.measure import RESULTS, insert, table, write

ROOT = Path(__file__).parents[1]
PAGE, SHEET = ROOT / "docs" / "drawing.md", ROOT / "docs" / "pictures" / "drawing_styles.jpg"
SMOOTHER_THAN_PX = 6.0


def left_of(image: Image.Image, drawn: Image.Image, values: np.ndarray) -> dict[str, float]:
    """What a drawing leaves of its picture."""
    from scipy.ndimage import gaussian_filter
    from skimage.color import deltaE_ciede2000, rgb2lab

    before, after = (rgb2lab(np.asarray(i)) for i in (image, drawn))
    difference = deltaE_ciede2000(before, after)
    top = np.nanmax(values)
    hot, known = np.nan_to_num(values, nan=-np.inf) >= 0.5 * top, np.isfinite(values)
    weight = gaussian_filter(hot.astype(float), SMOOTHER_THAN_PX)

    def fine(light: np.ndarray) -> np.ndarray:
        smooth = gaussian_filter(light * hot, SMOOTHER_THAN_PX) / np.maximum(weight, 1e-9)
        return (light - smooth)[hot]

    structure = float(np.corrcoef(fine(before[..., 0]), fine(after[..., 0]))[0, 1])
    return {
        "untouched": float(np.median(difference[known & (values < 0.1 * top)])),
        "unseen": float(np.median(difference[~known])),
        "strength": float(np.median(difference[hot])),
        "structure": structure,
    }


def truth_of(heatmap, image: Image.Image) -> tuple[tuple[float, float], tuple[float, float, float, float]]:
    """The centre of the largest cell, and the box of everything at half of the maximum or more, in the picture's pixels."""
    from isotherm.draw.colour import scale_of
    from isotherm.draw.marks import peak_of

    values = field(heatmap, image)
    rows, columns = np.nonzero(np.nan_to_num(values, nan=-np.inf) >= 0.5 * np.nanmax(values))
    peak = peak_of(heatmap, scale_of(heatmap))
    assert peak is not None
    return peak, (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def overlap(a, b) -> float:
    """Intersection over union of two boxes."""
    inter = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def readings(truths: list, sizes: list[tuple[int, int]]) -> dict[str, dict[str, float]]:
    """How far each way's viewers were off: peaks in percent of the diagonal, overlaps of boxes."""
    found = {}
    for way, viewers in json.loads((RESULTS / "blind_reading.json").read_text()).items():
        off, boxes = [], []
        for answers in viewers.values():
            for answer in answers:
                (x, y), box = truths[answer["picture"]]
                off.append(
                    100
                    * float(
                        np.hypot(answer["peak"][0] - x, answer["peak"][1] - y) / np.hypot(*sizes[answer["picture"]])
                    )
                )
                boxes.append(overlap(answer["box"], box))
        found[way] = {
            "viewers": len(viewers),
            "off_mean": fmean(off),
            "off_worst": max(off),
            "overlap": median(boxes),
            "overlap_least": min(boxes),
        }
    return found


def sheet(cells: dict[str, list[Image.Image]], names: list[str], side: int = 176) -> Image.Image:
    """All ways on all photographs that may be shown: a column a way."""
    from isotherm.draw.sheet import Tile, arrange

    rows = []
    for i in range(len(names)):
        row = []
        for images in cells.values():
            image = images[i].copy()
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            row.append(Tile(image))
        rows.append(row)
    return arrange(rows, column_names=list(cells), font_size=15)


def main(*, quick: bool, folder: Path | None = None) -> None:
    """Measure, read the answers, and write the table; with a folder also what viewers see, and the sheet."""
    drawers = ways()
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in drawers}
    truths, sizes, names = [], [], []
    cells: dict[str, list[Image.Image]] = {"picture": [], **{name: [] for name in drawers}}
    for number, (photo, image, maps) in enumerate(mapped()):
        truths.append(truth_of(maps[READ], image))
        sizes.append(image.size)
        for k, heatmap in enumerate(maps):
            values = field(heatmap, image)
            for name, draw in drawers.items():
                drawn = draw(image, heatmap)
                figures[name].append(left_of(image, drawn, values))
                if k == READ:
                    if photo.shown:
                        cells[name].append(drawn)
                    if folder is not None:
                        (folder / name).mkdir(parents=True, exist_ok=True)
                        drawn.save(folder / name / f"{number}.png")
        if photo.shown:
            cells["picture"].append(image)
            names.append(photo.name)
    read = readings(truths, sizes)
    rows, results = [], {}
    for name, found in figures.items():
        of = {key: [f[key] for f in found] for key in found[0]}
        results[name] = {
            "untouched": median(of["untouched"]),
            "unseen": median(of["unseen"]),
            "strength": median(of["strength"]),
            "structure": median(of["structure"]),
            "structure_least": min(of["structure"]),
            **read.get(name, {}),
        }
        r = results[name]
        seen = (
            [f"{r['off_mean']:.1f} (worst {r['off_worst']:.1f})", f"{r['overlap']:.2f}", str(r["viewers"])]
            if "viewers" in r
            else ["", "", ""]
        )
        rows.append(
            [
                name,
                f"{r['untouched']:.1f}",
                f"{r['strength']:.0f}",
                f"{r['structure']:.2f} (least {r['structure_least']:.2f})",
                *seen,
            ]
        )
    columns = [
        "style",
        "untouched ΔE",
        "strength ΔE",
        "structure",
        "peak off, % of diagonal",
        "overlap of boxes",
        "viewers",
    ]
    text = table(f"{len(PHOTOS)} photographs, {len(figures['jet'])} maps of random classes", columns, rows)
    print(text)
    write("drawing", {"styles": results, "truth": truths}, quick=quick)
    if not quick:
        insert(PAGE, "drawing", text.partition("\n\n")[2].rstrip())
        sheet(cells, names).save(SHEET, quality=82)


if __name__ == "__main__":
    main(
        quick="--quick" in sys.argv,
        folder=Path(sys.argv[sys.argv.index("--pictures") + 1]) if "--pictures" in sys.argv else None,
    )
