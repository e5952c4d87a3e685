"""Makes the pictures of docs/studio.md of what the tests in a browser kept: small, and few bytes.

Run: python -m pytest tests/browser && python docs/studio_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
SHOWN = {
    "first-1440-light": "studio",
    "asked-1440-light": "studio_ask",
    "layers-1440-light": "studio_layers",
    "statistics-1440-light": "studio_statistics",
    "grid-1440-light": "studio_grid",
    "marks-1440-light": "studio_marks",
    "gallery-1440-light": "studio_gallery",
    "boxes-1440-light": "studio_boxes",
    "first-375-dark": "studio_small",
}
"""Names of the tests' pictures, and what they are called in the documentation."""
MOST_BYTES = 150_000
WIDTH, HEIGHT = 1120, 1100


def main() -> None:
    for source, name in SHOWN.items():
        picture = Image.open(ROOT / "screenshots" / f"{source}.png").convert("RGB")
        if picture.width > WIDTH:
            picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
        picture = picture.crop((0, 0, picture.width, min(picture.height, HEIGHT)))
        fpath = ROOT / "docs" / "pictures" / f"{name}.jpg"
        for quality in (88, 80, 70, 60, 50):
            picture.save(fpath, quality=quality, optimize=True)
            if fpath.stat().st_size <= MOST_BYTES:
                break
        print(f"{fpath.relative_to(ROOT)}: {picture.width} x {picture.height}, {fpath.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
