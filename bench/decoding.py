"""What decoding takes of memory: the most bytes for each pixel that a header claims, by kind of file.

Every kind of file that takes an unusual way to 8-bit RGB: sixteen bits, floating point, palettes, CMYK, transparency, strips
of one row, many pages, many frames. Each is read in a process of its own, whose peak is counted from just before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.measure import insert, table, write
from isotherm import limits

ROOT = Path(__file__).parents[1]
CHILD = """
import json, sys
from isotherm.data.pictures import read_picture
from isotherm.errors import InputError
def field(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1]) * 1024
read_picture(sys.argv[1])  # what is loaded once counts for no picture
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
before = field("VmRSS")
size = read_picture(sys.argv[2]).size
print(json.dumps([size, field("VmHWM") - before]))
"""
Make = Callable[[Path, int, int], None]


def _image(mode: str, name: str, **how: Any) -> Make:
    return lambda fpath, h, w: Image.new(mode, (w, h)).save(fpath / name, **how)


def _sixteen(fpath: Path, h: int, w: int) -> None:
    import cv2

    cv2.imwrite(str(fpath / "a.png"), np.zeros((h, w, 4), np.uint16))


def _grey16(fpath: Path, h: int, w: int) -> None:
    Image.fromarray(np.zeros((h, w), np.uint16)).save(fpath / "a.tif", compression="tiff_lzw")


def _floats(fpath: Path, h: int, w: int) -> None:
    Image.fromarray(np.zeros((h, w), np.float32)).save(fpath / "a.tif", compression="tiff_lzw")


def _pages(fpath: Path, h: int, w: int) -> None:
    rest = [Image.new("RGB", (w // 10, h // 10)) for _ in range(99)]
    rest[0].save(fpath / "a.tif", save_all=True, append_images=rest, compression="tiff_lzw")


def _frames(fpath: Path, h: int, w: int) -> None:
    rest = [Image.new("P", (w // 10, h // 10), i % 256) for i in range(99)]
    rest[0].save(fpath / "a.gif", save_all=True, append_images=rest)


def _strip(fpath: Path, h: int, w: int) -> None:
    Image.new("RGB", (h * w, 1)).save(fpath / "a.png", compress_level=1)


def _turned(fpath: Path, h: int, w: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (w, h)).save(fpath / "a.jpg", exif=exif)


KINDS: dict[str, Make] = {
    "JPEG": _image("RGB", "a.jpg"),
    "progressive JPEG": _image("RGB", "a.jpg", progressive=True),
    "JPEG, turned by EXIF": _turned,
    "JPEG, CMYK": _image("CMYK", "a.jpg"),
    "PNG": _image("RGB", "a.png", compress_level=1),
    "PNG, RGBA": _image("RGBA", "a.png", compress_level=1),
    "PNG, 16-bit RGBA": _sixteen,
    "PNG, palette with transparency": _image("P", "a.png", transparency=0),
    "PNG, one row": _strip,
    "TIFF, 16-bit grey": _grey16,
    "TIFF, floating point": _floats,
    "TIFF, 100 pages, each a hundredth": _pages,
    "GIF, 100 frames, each a hundredth": _frames,
    "WebP, RGBA, lossless": _image("RGBA", "a.webp", lossless=True),
    "BMP": _image("RGB", "a.bmp"),
}


def measured(kinds: dict[str, Make], h: int, w: int) -> dict[str, dict[str, float]]:
    """Of each kind the pixels of what is read, and the bytes that reading took for each at its highest."""
    out = {}
    with tempfile.TemporaryDirectory(prefix="decoding-") as dpath:
        small = Path(dpath) / "small.png"
        Image.new("RGB", (8, 8)).save(small)
        for number, (name, make) in enumerate(kinds.items()):
            folder = Path(dpath) / str(number)
            folder.mkdir()
            make(folder, h, w)
            (fpath,) = folder.iterdir()
            command = [sys.executable, "-W", "ignore", "-c", CHILD, str(small), str(fpath)]
            said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
            (rows, columns), n_bytes = json.loads(said)
            out[name] = {"pixels": rows * columns, "bytes": n_bytes, "file_bytes": fpath.stat().st_size}
            fpath.unlink()
    return out


def main(*, quick: bool = False) -> None:
    results = measured(KINDS, *((1000, 1200) if quick else (6000, 8000)))
    rows = [
        [
            name,
            f"{one['pixels'] / 1e6:.1f}",
            f"{one['file_bytes'] / 1e6:.2f}",
            f"{one['bytes'] / 1e6:.0f}",
            f"{one['bytes'] / one['pixels']:.1f}",
        ]
        for name, one in results.items()
    ]
    most = max(one["bytes"] / one["pixels"] for one in results.values() if one["pixels"] > 1e6)
    title = f"Memory of decoding, at most {limits.PICTURE_PIXEL_BYTES} bytes for a pixel promised, {most:.1f} measured"
    text = table(title, ["file", "megapixels", "file, MB", "peak, MB", "bytes for a pixel"], rows)
    print(text)
    write("decoding", {"results": results}, quick=quick)
    if not quick:
        insert(ROOT / "docs" / "limits.md", "decoding", text)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
