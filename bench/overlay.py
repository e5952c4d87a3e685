"""Overlay and save of a 12-megapixel photo, beside the OpenCV recipe and pytorch-grad-cam's show_cam_on_image.

The recipe is what most scripts do: ``cv2.resize``, ``applyColorMap``, ``addWeighted`` with one opacity everywhere.
isotherm's overlay also follows the frame, scales opacity with the value, greys the picture below, leaves what is weak
untouched, and draws lines of equal value and the peak; maps of noise are the worst case of such lines.
"Draw" starts and ends with an array; "draw and save" starts with a PIL picture and ends with a JPEG file (quality 92)
on the disk, isotherm's with the command printed below the picture.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.measure import interleaved, publish, table, threads, write

LIMIT_S = 0.5
"""What drawing and saving 12 megapixels may take on two threads, with a map as networks give it."""


def photo(height: int, width: int) -> Image.Image:
    """A picture with the detail of a photo, so that the JPEG encoder has as much to do: smooth shapes, edges, grain."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    edges = np.asarray(small.resize((width, height), Image.Resampling.NEAREST)).astype(np.int16)
    grain = rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
    return Image.fromarray(((3 * smooth + edges) // 4 + grain).clip(0, 255).astype(np.uint8))


def hill(cells: int) -> torch.Tensor:
    """A smooth map with one peak off the centre, as networks give it; its lines are short."""
    y, x = torch.meshgrid(torch.arange(cells) / cells, torch.arange(cells) / cells, indexing="ij")
    return torch.exp(-((x - 0.6) ** 2 + (y - 0.4) ** 2) / 0.075)


def noise(cells: int) -> torch.Tensor:
    """A map that is nothing but lines of equal value: the worst case of drawing."""
    return torch.rand(cells, cells, generator=torch.Generator().manual_seed(0))


def jobs(
    picture: Image.Image, values: torch.Tensor, folder: Path
) -> tuple[dict[str, Callable[[], Any]], dict[str, Callable[[], Any]]]:
    """Drawing alone, and drawing with saving."""
    import cv2
    from pytorch_grad_cam.utils.image import scale_cam_image, show_cam_on_image

    from isotherm.draw import overlay, save_picture
    from isotherm.frame import Frame
    from isotherm.heatmap import Heatmap

    cv2.setNumThreads(torch.get_num_threads())
    array = np.asarray(picture).copy()
    h, w = array.shape[:2]
    size = tuple(values.shape)
    stretched = Heatmap(values, Frame.resize((h, w), size), "relevance")
    boxed = Heatmap(values, Frame.letterbox((h, w), (640, 640)).resized(size), "relevance")
    cam = values.numpy()

    def recipe(pixels: np.ndarray) -> np.ndarray:
        heat = cv2.resize(cam, (w, h))
        coloured = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_JET)
        return cv2.addWeighted(pixels, 0.4, coloured, 0.6, 0)

    def pgc(pixels: np.ndarray) -> np.ndarray:
        return show_cam_on_image(pixels.astype(np.float32) / 255, scale_cam_image(cam[None], (w, h))[0], use_rgb=True)

    def recipe_to_file() -> None:
        out = recipe(cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(folder / "recipe.jpg"), out, [cv2.IMWRITE_JPEG_QUALITY, 92])

    def pgc_to_file() -> None:
        Image.fromarray(pgc(np.asarray(picture))).save(folder / "pgc.jpg", quality=92)

    draw = {
        "isotherm": lambda: overlay(stretched, array),
        "isotherm, letterboxed": lambda: overlay(boxed, array),
        "OpenCV recipe": lambda: recipe(array),
        "show_cam_on_image": lambda: pgc(array),
    }
    save = {
        "isotherm": lambda: save_picture(
            overlay(stretched, picture), folder / "a.jpg", command="isotherm explain photo.jpg"
        ),
        "isotherm, letterboxed": lambda: save_picture(
            overlay(boxed, picture), folder / "b.jpg", command="isotherm explain photo.jpg"
        ),
        "OpenCV recipe": recipe_to_file,
        "show_cam_on_image": pgc_to_file,
    }
    return draw, save


def main(quick: bool = False) -> None:
    threads(2)
    height, width = (600, 800) if quick else (3000, 4000)
    repeats = 2 if quick else 9
    picture = photo(height, width)
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as name:
        maps = {"hill, 20 x 20": hill(20), "noise, 20 x 20": noise(20), "noise, 80 x 80": noise(80)}
        for kind, values in maps.items():
            draw, save = jobs(picture, values, Path(name))
            drawn, saved = interleaved(draw, repeats=repeats), interleaved(save, repeats=repeats)
            rows += [
                [
                    kind,
                    job,
                    1000 * drawn[job],
                    1000 * saved[job],
                    drawn[job] / drawn["isotherm"],
                    saved[job] / saved["isotherm"],
                ]
                for job in draw
            ]
    columns = ["map", "tool", "draw ms", "draw and save ms", "draw / isotherm", "save / isotherm"]
    text = table(f"Overlay, {width} x {height} pixels, medians of {repeats}", columns, rows)
    print(text, flush=True)
    publish("overlay", [text], quick=quick)
    slowest = max(row[3] for row in rows if row[0].startswith("hill") and row[1].startswith("isotherm")) / 1000
    if not quick:
        print(f"draw and save: {slowest:.3f} s at most; {LIMIT_S} s allowed")
    write(
        "overlay",
        {
            "pixels": [height, width],
            "repeats": repeats,
            "rows": [dict(zip(columns, row, strict=True)) for row in rows],
            "slowest_s": slowest,
            "limit_s": LIMIT_S,
        },
        quick=quick,
    )


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
