"""A sequence of heatmaps over a picture, as numbered pictures and as a film."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image
from torch import Tensor

from isotherm.draw import Style, overlay_frames, save_animation, save_picture, shared_scale
from isotherm.draw.picture import Picture
from isotherm.errors import InputError, ShapeError
from isotherm.heatmap import Kind
from isotherm.systems.bridgevla.reading import Maps, shown_heatmaps, shown_picture

FRAME = re.compile(r"frame_(\d{4,})\.png")
"""How the files of an animation are named."""


def create_heatmap_animation_frames(
    image: Picture | Sequence[Picture],
    heatmap_sequence: Maps,
    output_dir: str | os.PathLike[str],
    colormap: str | None = None,
    heatmap_alpha: float | None = None,
    *,
    kind: Kind | None = None,
) -> list[str]:
    """Write each map over the picture, all on one scale.

    Args:
        image: one for all maps, or one for each.
        heatmap_sequence: (t, H, W), or maps (H, W) or (1, H, W), logits or probabilities.
        output_dir: is made where it is not there. Frames of a longer run that lie there already, files named as those
            written here and no others, are removed, so that the folder holds one animation.
        colormap, heatmap_alpha: of the maps; None: those of isotherm's style.
        kind: of the maps, where their numbers do not say.

    Returns:
        The files written, frame_0000.png and so on.

    Raises:
        ShapeError: no maps, several at one time, or not one picture for each.
        InputError: a folder that cannot be made, or one with older frames that cannot be removed.
    """
    frames = _frames(image, heatmap_sequence, colormap, heatmap_alpha, kind)
    folder, paths = new_folder(output_dir), list[str]()
    for i, frame in enumerate(frames):
        fpath = folder / f"frame_{i:04d}.png"
        try:
            save_picture(frame, fpath)
        except OSError as error:
            raise InputError(
                f"cannot write {str(fpath)!r}: {error.strerror or error}; name a folder that can be written"
            ) from error
        paths.append(str(fpath))
    _remove_older(folder, len(paths))
    return paths


def _remove_older(folder: Path, count: int) -> None:
    """Remove frames from this number on, which an earlier and longer animation left; other files stay."""
    for fpath in folder.iterdir():
        named = FRAME.fullmatch(fpath.name)
        if named and int(named[1]) >= count and fpath.is_file():
            try:
                fpath.unlink()
            except OSError as error:
                raise InputError(
                    f"{str(fpath)!r} is a frame of an older animation and cannot be removed: {error.strerror}; name another folder"
                ) from error


def new_folder(dpath: str | os.PathLike[str]) -> Path:
    """The folder, made where it is not there.

    Raises:
        InputError: it cannot be made.
    """
    folder = Path(dpath)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {str(folder)!r}: {error.strerror}; name one that can be written"
        ) from error
    return folder


def save_heatmap_animation(
    image: Picture | Sequence[Picture],
    heatmap_sequence: Maps,
    fpath: str | os.PathLike[str],
    colormap: str | None = None,
    heatmap_alpha: float | None = None,
    *,
    fps: float = 5.0,
    kind: Kind | None = None,
) -> str:
    """As :func:`create_heatmap_animation_frames`, as one film.

    Args:
        image, heatmap_sequence, colormap, heatmap_alpha, kind: as there.
        fpath: ends in .gif or .mp4.
        fps: frames a second.

    Returns:
        The file written.

    Raises:
        ShapeError: as there.
        InputError: another ending, or no such folder.
        MissingExtraError: an MP4 without the package PyAV.
    """
    frames = _frames(image, heatmap_sequence, colormap, heatmap_alpha, kind)
    try:
        return str(save_animation(frames, fpath, fps=fps))
    except OSError as error:
        raise InputError(
            f"cannot write {os.fspath(fpath)!r}: {error.strerror or error}; name a file that can be written"
        ) from error


def _frames(
    image: Picture | Sequence[Picture], maps: Maps, colormap: str | None, alpha: float | None, kind: Kind | None
) -> Iterator[Picture]:
    if not isinstance(maps, Tensor | np.ndarray | Sequence):
        raise ShapeError(f"heatmap_sequence is a {type(maps).__name__}; expected (t, H, W), or a list of maps")
    if not len(maps):
        raise ShapeError("heatmap_sequence is empty; give at least one map")
    pictures = _pictures(image, len(maps))
    drawn = shown_heatmaps(maps, pictures, kind=kind)
    style = Style(colormap=colormap) if alpha is None else Style(colormap=colormap, opacity=alpha)
    return overlay_frames(drawn, pictures, scale=shared_scale(drawn), style=style)


def _pictures(image: Picture | Sequence[Picture], count: int) -> list[Image.Image]:
    if not isinstance(image, list | tuple):
        return [shown_picture(cast(Picture, image))] * count
    if len(image) != count:
        raise ShapeError(f"there are {len(image)} pictures for {count} maps; give one picture for all, or one for each")
    return [shown_picture(one) for one in image]
