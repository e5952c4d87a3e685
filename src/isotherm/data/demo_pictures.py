"""The pictures that ship for the demo: ``python -m isotherm.data.demo_pictures FOLDER`` draws them again.

They are held-out scenes, larger than what the shipped classifier is fed and of other shapes, so that they go the
way of any user's picture: read, letterboxed, explained, and drawn back in source pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from PIL import Image

from isotherm.atomic import atomic_write
from isotherm.data.scenes import HELD_OUT, Scene, SceneConfig, make_scene
from isotherm.errors import InputError
from isotherm.frame import Size

QUALITY = 92


@dataclass(frozen=True)
class DemoPicture:
    """A shipped picture: its file's name, the scene's seed and its size (h, w)."""

    name: str
    seed: int
    size: Size

    @property
    def scene(self) -> Scene:
        """The scene that it was saved from, with all that is known about it."""
        return make_scene(
            self.seed,
            SceneConfig(
                size=self.size, objects=(3, 3), clutter=(4, 8), radius=(0.15, 0.23), contrast=0.45, grain=0.006
            ),
        )


_FIRST = HELD_OUT[10_000]
DEMO_PICTURES: tuple[DemoPicture, ...] = (
    DemoPicture("scene-1.jpg", _FIRST + 3, (480, 640)),
    DemoPicture("scene-2.jpg", _FIRST + 114, (512, 512)),
    DemoPicture("scene-3.jpg", _FIRST + 323, (432, 768)),
    DemoPicture("scene-4.jpg", _FIRST + 204, (640, 480)),
    DemoPicture("scene-5.jpg", _FIRST + 9, (480, 640)),
)


def demo_picture_paths() -> list[Path]:
    """The shipped pictures' files, in the order of :data:`DEMO_PICTURES`. Raises InputError where one is missing."""
    fpaths = []
    for picture in DEMO_PICTURES:
        with as_file(files("isotherm") / "assets" / picture.name) as fpath:
            if not fpath.is_file():
                raise InputError(
                    f"{picture.name} is missing from this installation's assets; reinstall isotherm, or draw it: python -m isotherm.data.demo_pictures {fpath.parent}"
                )
            fpaths.append(fpath)
    return fpaths


def save_demo_pictures(folder: Path) -> list[Path]:
    """Draw all of them into a folder that exists, as JPEG."""
    saved = []
    for picture in DEMO_PICTURES:
        fpath = folder / picture.name
        with atomic_write(fpath) as file:
            Image.fromarray(picture.scene.picture).save(file, "JPEG", quality=QUALITY)
        saved.append(fpath)
    return saved


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 1 or not Path(words[0]).is_dir():
        sys.exit("usage: python -m isotherm.data.demo_pictures FOLDER (which must exist)")
    for fpath in save_demo_pictures(Path(words[0])):
        print(fpath)


if __name__ == "__main__":
    main()
