"""Pictures of a keypoint set at the size that training needs, decoded once and kept in one file.

Every record's region is resized once with antialiasing, somewhat larger than the model's input, and written as bytes
into one array on disk. Batches are cut out of it by one affine step (:mod:`isotherm.data.keypoint_augment`), so nothing
is decoded twice: not by another worker, not in another epoch, not in a resumed run.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.errors import InputError, OptionError
from isotherm.frame import Frame, Size
from isotherm.ops.names import known_word
from isotherm.progress import Progress, Say, silent
from isotherm.untrusted.plain import read_object

FORMAT = "isotherm.keypoint_cache/1"
Fit = Literal["letterbox", "stretch"]
"""How a region becomes a square: scaled alike in both directions with black beside it, or each direction by itself."""
KEPT_EVERY = 64
"""Pictures after which what is done is noted, so that an interrupted build goes on from there."""


@dataclass(frozen=True, eq=False)
class CachedKeypoints:
    """A keypoint set as arrays.

    Args:
        pictures: (m, 3, s, s) uint8, read from disk as they are needed.
        frame: (m,) of these pictures.
        points: (m, n, 2) float32 source pixels, NaN where not known.
        state: (m, n).
        px_per_cm: (m,), NaN where not known.
        area: (m,) source pixels squared.
        group: (m) names of groups.
        records: the records, without those skipped.
        skipped: what could not be read, one message each.
    """

    pictures: UInt8[np.ndarray, "m 3 s s"]
    frame: Frame
    points: Float[Tensor, "m n 2"]
    state: Int[Tensor, "m n"]
    px_per_cm: Float[Tensor, " m"]
    area: Float[Tensor, " m"]
    group: tuple[str, ...]
    records: tuple[KeypointRecord, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)


def cache_keypoints(
    data: KeypointSet,
    dpath: str | os.PathLike[str],
    *,
    side: int,
    margin: float = 0.0,
    fit: Fit = "letterbox",
    skip_bad: bool = False,
    say: Say = silent,
) -> CachedKeypoints:
    """Decode and resize every record's region once, or find it done.

    Args:
        data: the set.
        dpath: a folder for the file; its name is a hash of what it holds, so another set is another file.
        side: cells of the square raster that every region is fitted into.
        margin: of a record's box that is kept around it, as a share of its longer side; records without a box keep the
            whole picture.
        fit: 'letterbox' or 'stretch'.
        skip_bad: leave out records whose picture cannot be read, and say so in ``skipped``, instead of raising.
        say: told how far it is.

    Raises:
        InputError: a picture cannot be read.
        OptionError: side, margin or fit.
    """
    known_word(fit, get_args(Fit), "fit")
    if side < 1 or margin < 0:
        raise OptionError(f"side is {side} and margin {margin}; expected at least 1 and at least 0")
    fpath = Path(dpath) / f"{_key(data, side, margin, fit)}.u8"
    fpath.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(data), 3, side, side)
    sizes = _noted(fpath, shape)
    if len(sizes) < len(data):
        # one process builds it; the others, such as the trials of a sweep, wait and find it done. The lock ends with
        # its process
        with FileLock(fpath.with_suffix(".lock")):
            sizes = _noted(fpath, shape)
            if len(sizes) < len(data):
                _build(data, fpath, shape, sizes, margin=margin, fit=fit, skip_bad=skip_bad, say=say)
    bad = [size for size in sizes if isinstance(size, str)]
    if bad and not skip_bad:
        raise InputError(bad[0])
    kept = [i for i, size in enumerate(sizes) if not isinstance(size, str)]
    whole = np.memmap(fpath, np.uint8, mode="r", shape=shape) if len(data) else np.zeros(shape, np.uint8)
    records = tuple(data[i] for i in kept)
    frames = [region(data[i], sizes[i], side, margin, fit) for i in kept]
    none = torch.zeros(0)
    return CachedKeypoints(
        pictures=whole if len(kept) == len(data) else whole[kept],
        frame=Frame.stack(frames)
        if frames
        else Frame(torch.zeros(0, 2, 3), (side, side), torch.zeros(0, 2, dtype=torch.long)),
        points=torch.stack([r.points for r in records]).float() if records else none.view(0, len(data.names), 2),
        state=torch.stack([r.state for r in records]).long() if records else none.view(0, len(data.names)).long(),
        px_per_cm=torch.tensor([r.px_per_cm if r.px_per_cm is not None else float("nan") for r in records]),
        area=torch.tensor([_area(data[i], sizes[i]) for i in kept]),
        group=tuple(r.group for r in records),
        records=records,
        skipped=(*data.skipped, *bad),
    )


def region(record: KeypointRecord, size: Size, side: int, margin: float, fit: Fit = "letterbox") -> Frame:
    """The frame of a record's region, fitted into a square of ``side`` cells; ``size`` (h, w) is the picture's.

    Example:
        >>> whole = KeypointRecord(picture=Path("a.png"), points=torch.zeros(0, 2), state=torch.zeros(0, dtype=torch.long))
        >>> [region(whole, (50, 100), 10, 0.0, fit).cell_size.tolist() for fit in ("letterbox", "stretch")]
        [[10.0, 10.0], [5.0, 10.0]]
    """
    if record.box is None:
        return (Frame.letterbox if fit == "letterbox" else Frame.resize)(size, (side, side))
    x0, y0, x1, y1 = record.box
    longest = max(x1 - x0, y1 - y0)
    w, h = (longest, longest) if fit == "letterbox" else (x1 - x0, y1 - y0)
    w, h = w + 2 * margin * longest, h + 2 * margin * longest
    corner = ((x0 + x1 - w) / 2, (y0 + y1 - h) / 2)
    return Frame.identity(size).warped(
        torch.tensor([[w / side, 0, corner[0]], [0, h / side, corner[1]]], dtype=torch.float64), (side, side)
    )


def _build(
    data: KeypointSet,
    fpath: Path,
    shape: tuple[int, int, int, int],
    sizes: list[Any],
    *,
    margin: float,
    fit: Fit,
    skip_bad: bool,
    say: Say,
) -> None:
    pictures = np.memmap(fpath, np.uint8, mode="r+" if sizes else "w+", shape=shape)
    for i in range(len(sizes), len(data)):
        try:
            picture = data[i].read()
        except InputError as error:
            if not skip_bad:
                _note(fpath, pictures, shape, sizes)
                raise
            sizes.append(str(error))
        else:
            size = int(picture.shape[0]), int(picture.shape[1])
            pictures[i] = picture_at(picture, region(data[i], size, shape[-1], margin, fit)).transpose(2, 0, 1)
            sizes.append(size)
        if len(sizes) % KEPT_EVERY == 0 or len(sizes) == len(data):
            _note(fpath, pictures, shape, sizes)
            say(Progress(step=len(sizes), total=len(data), stage="reading pictures"))


def picture_at(picture: UInt8[np.ndarray, "h w 3"], frame: Frame) -> UInt8[np.ndarray, "s s 3"]:
    """A region of a picture on the cells of its frame, antialiased; black where it reaches beyond the picture.

    Args:
        picture: (h, w, 3).
        frame: upright, from :func:`region`.
    """
    x0, y0, x1, y1 = frame.boxes_to_source(
        torch.tensor([[0.0, 0.0, frame.size[1], frame.size[0]]], dtype=torch.float64)
    )[0].tolist()
    h, w = picture.shape[:2]
    inside = max(0.0, x0), max(0.0, y0), min(float(w), x1), min(float(h), y1)
    out = np.zeros((*frame.size, 3), np.uint8)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        return out
    # the cells that the picture covers whole: cells are where the frame says, so none is stretched to meet the edge
    left, top, right, bottom = frame.boxes_from_source(torch.tensor([inside], dtype=torch.float64))[0].tolist()
    columns, rows = (
        (math.ceil(left - 1e-6), math.floor(right + 1e-6)),
        (math.ceil(top - 1e-6), math.floor(bottom + 1e-6)),
    )
    if columns[0] >= columns[1] or rows[0] >= rows[1]:
        return out
    corners = torch.tensor([[columns[0], rows[0], columns[1], rows[1]]], dtype=torch.float64)
    box = frame.boxes_to_source(corners)[0].tolist()
    cut = max(0.0, box[0]), max(0.0, box[1]), min(float(w), box[2]), min(float(h), box[3])  # rounding alone
    size = columns[1] - columns[0], rows[1] - rows[0]
    image = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR, box=cut)
    out[rows[0] : rows[1], columns[0] : columns[1]] = np.asarray(image)
    return out


def _area(record: KeypointRecord, size: Size) -> float:
    if record.area is not None:
        return record.area
    if record.box is None:
        return float(size[0] * size[1])
    x0, y0, x1, y1 = record.box
    return (x1 - x0) * (y1 - y0)


def _key(data: KeypointSet, side: int, margin: float, fit: Fit) -> str:
    """A hash of everything that decides the bytes: files by path, length and time of change, arrays by their bytes,
    boxes.
    """
    # what is letterboxed has the names that it had before pictures could be stretched
    more = [] if fit == "letterbox" else [fit]
    digest = hashlib.sha256(json.dumps([FORMAT, side, margin, *more]).encode())
    for record in data:
        if isinstance(record.picture, np.ndarray):
            digest.update(record.picture.tobytes())
            identity: Sequence[object] = record.picture.shape
        else:
            there = record.picture.stat() if record.picture.is_file() else None
            identity = [str(record.picture.absolute()), there and there.st_size, there and there.st_mtime_ns]
        digest.update(json.dumps([*identity, record.box]).encode())
    return digest.hexdigest()[:20]


def _noted(fpath: Path, shape: tuple[int, ...]) -> list[Any]:
    """(h, w) of every picture that is done, or why it could not be read; empty where nothing usable is there."""
    note = fpath.with_suffix(".json")
    if not note.is_file() or not fpath.is_file() or fpath.stat().st_size != math.prod(shape):
        return []
    try:
        content = read_object(note)
    except (FileNotFoundError, InputError):
        return []
    sizes = content.get("sizes")
    if content.get("format") != FORMAT or content.get("shape") != list(shape) or not isinstance(sizes, list):
        return []
    whole = all(isinstance(size, str) or (isinstance(size, list) and len(size) == 2) for size in sizes)
    return [size if isinstance(size, str) else tuple(size) for size in sizes] if whole else []


def _note(fpath: Path, pictures: np.memmap, shape: tuple[int, ...], sizes: Sequence[Any]) -> None:
    pictures.flush()  # before the note that says so
    with atomic_write(fpath.with_suffix(".json")) as file:
        file.write(json.dumps({"format": FORMAT, "shape": list(shape), "sizes": list(sizes)}).encode())
