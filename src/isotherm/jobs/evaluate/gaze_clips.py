"""Which clips there are to be judged, and the maps and fixations of each at the same moments."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from isotherm.data.gaze.points_store import PointsStore
from isotherm.data.gaze.render import WIDTH_SHARE, render_clip
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.store import GazeStore, MapOptions
from isotherm.data.gaze.stores import holds_frames, open_gaze_store
from isotherm.data.names import near_names
from isotherm.errors import InputError, KindError
from isotherm.frame import Frame, Size
from isotherm.gaze.fixations import fixation_maps, fixations_in, spans_around
from isotherm.heatmap import Heatmap
from isotherm.moments import Span

MAPS = (".zarr", ".npz", ".safetensors", ".npy", ".parquet")
"""What holds maps or points, the first before the others where a clip has several."""
WITHIN_S = 0.05
"""How far from the truth's first and last sample a moment may lie."""


@dataclass(frozen=True, eq=False)
class JudgedClip:
    """One clip at the moments at which it is judged.

    Args:
        name: of the clip.
        time_s: (t,) the moments.
        maps: (t, h, w) the predicted maps; of zeros where there is none.
        predicted: (t,) whether there is one.
        frame: of the maps over the video.
        fixations: (t, n, 2) where people looked, in pixels of the video, NaN where there are fewer.
        truth: (t, h, w) the map of that, on the cells of the predicted maps.
        reached: of the truth's moments, the share that lies at a moment for which something was predicted at all.
        notes: what was assumed or chosen.
    """

    name: str
    time_s: Float64[np.ndarray, " t"]
    maps: Float[Tensor, "t h w"]
    predicted: Bool[Tensor, " t"]
    frame: Frame
    fixations: Float[Tensor, "t n 2"]
    truth: Float[Tensor, "t h w"]
    reached: float
    notes: tuple[str, ...]

    @property
    def size(self) -> Size:
        """(h, w) of the video."""
        h, w = (int(n) for n in self.frame.source_size)
        return h, w

    @property
    def cells(self) -> Float[Tensor, "t n 2"]:
        """The fixations in cells of the maps."""
        return self.frame.points_from_source(self.fixations)

    @property
    def shares(self) -> Float[Tensor, "m 2"]:
        """All fixations as shares of the picture, for clips of other sizes."""
        places = self.fixations.reshape(-1, 2)
        return places[places.isfinite().all(-1)] / torch.tensor([self.size[1], self.size[0]])


def pairs_of(predicted: Path, truth: Path) -> dict[str, tuple[Path, Path]]:
    """The clips that both have, by name.

    Args:
        predicted, truth: a store each, or folders of stores.

    Raises:
        InputError: a path that holds nothing, or nothing in common.
    """
    one, other = named_stores(predicted), named_stores(truth)
    if _is_store(predicted) and _is_store(truth):
        return {next(iter(one)): (predicted, truth)}
    common = {name: (one[name], other[name]) for name in one if name in other}
    if not common:
        raise InputError(
            f"{predicted} has {_some(one)} and {truth} has {_some(other)}: no clip is in both; give files of the same names"
        )
    return common


def named_stores(path: Path) -> dict[str, Path]:
    """The stores in a folder by the names of their clips, or the one that the path itself is.

    Args:
        path: of a store, or of a folder of stores.

    Raises:
        InputError: it is not there, or holds none.
    """
    if not path.exists():
        raise InputError(f"there is no gaze at {path}{near_names(path)}")
    if _is_store(path):
        return {path.name.partition(".")[0]: path}
    if not path.is_dir():
        raise InputError(f"{path} is no store of gaze; expected {', '.join(MAPS)}, or a folder of these")
    stores: dict[str, Path] = {}
    for entry in sorted(path.iterdir(), key=lambda e: (_rank(e), e.name)):
        if not _is_store(entry):
            continue
        name = entry.name.partition(".")[0]
        before = stores.get(name)
        if before is not None and before.suffix == entry.suffix:
            raise InputError(
                f"{path} has {before.name} and {entry.name} for the clip {name}; keep one map for each clip, or name files"
            )
        stores.setdefault(name, entry)
    if not stores:
        raise InputError(f"{path} holds no store of gaze; expected {', '.join(MAPS)}, or folders of frame_000000.npy")
    return stores


def read_clip(
    name: str, predicted: Path, truth: Path, options: MapOptions, *, cells: int, most: int, sigma_px: float | None
) -> JudgedClip:
    """A clip at its moments: those of the predicted maps, or, of predicted points, those of the true maps.

    Args:
        name: of the clip.
        predicted, truth: its two stores.
        options: what old maps do not say; a size that they lack is that of the truth.
        cells: of maps of predicted points, along the longer side.
        most: moments at most.
        sigma_px: of the Gaussian at every fixation.

    Raises:
        InputError: a store that cannot be read, no moment in common, or videos of two sizes.
        KindError: saved maps of a kind that says nothing about where.
    """
    known = open_gaze_store(truth, options=options)
    notes = [f"{name}, truth: {note}" for note in known.notes]
    if _is_heatmap(predicted):
        heatmap = _saved(predicted)
        assert heatmap.moments is not None
        assert heatmap.moments.times_s is not None
        spans: list[Span] = list(heatmap.moments.times_s)
        picked = _picked(_within([(a + b) / 2 for a, b in spans], known), most, predicted, truth)
        reached = _reached(known, np.array(spans))
        maps, frame = heatmap.values[picked].float(), heatmap.frame
        there = torch.ones(len(picked), dtype=torch.bool)
        time_s = np.array([(spans[i][0] + spans[i][1]) / 2 for i in picked])
    else:
        if options.size is None and isinstance(known, PointsStore):
            options = replace(options, size=known.size)
        store = open_gaze_store(predicted, options=options)
        notes += [f"{name}, predicted: {note}" for note in store.notes]
        source = known if isinstance(store, PointsStore) and not isinstance(known, PointsStore) else store
        spans = spans_around(torch.from_numpy(source.time_s)) if len(source.time_s) else []
        picked = _picked(_within(source.time_s.tolist(), known), most, predicted, truth)
        time_s = source.time_s[picked]
        reached = _reached(known, _around(source.time_s))
        clip = store.clip(time_s)
        there = clip.state != GazeState.MISSING
        frame = clip.frame
        if clip.maps is None:
            h, w = store.size
            grid = max(1, round(h * cells / max(h, w))), max(1, round(w * cells / max(h, w)))
            maps, frame = render_clip(clip, grid, sigma_px=sigma_px), clip.frame.resized(grid)
            there = clip.state == GazeState.TRACKED
        else:
            maps = clip.maps.float()
    if tuple(int(n) for n in frame.source_size) != known.size:
        h, w = (int(n) for n in frame.source_size)
        raise InputError(
            f"the predicted maps of {name} are of a video of {w} x {h} pixels and the truth of one of {known.size[1]} x {known.size[0]}; give the video's own with --size HEIGHTxWIDTH where maps do not say it"
        )
    fixations, true_maps, more = _truth(known, time_s, [spans[i] for i in picked], frame, sigma_px)
    return JudgedClip(
        name,
        time_s,
        maps,
        there,
        frame,
        fixations,
        true_maps,
        reached,
        (*notes, *(f"{name}, truth: {n}" for n in more)),
    )


def _truth(
    store: GazeStore, time_s: np.ndarray, spans: Sequence[Span], frame: Frame, sigma_px: float | None
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    if isinstance(store, PointsStore):
        fixations = fixations_in(store.recording, spans)
        width = WIDTH_SHARE * store.size[1] if sigma_px is None else sigma_px
        sigma = width / frame.cell_size.flip(-1).float()
        return fixations, fixation_maps(frame.points_from_source(fixations), frame.size, sigma), ()
    clip = store.clip(time_s).through(frame)
    assert clip.maps is not None
    tracked = (clip.state == GazeState.TRACKED)[:, None]
    places = torch.where(tracked, clip.xy, torch.nan)[:, None]
    maps = torch.where(tracked[..., None], clip.maps.float(), 0.0)
    return places, maps, ("a moment's fixation is the peak of its map, since maps keep no fixations",)


def _around(time_s: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "t 2"]:
    """What moments stand for, by how far they usually lie apart: a gap between them belongs to none."""
    half = max(WITHIN_S, float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0)
    return time_s[:, None] + np.array([-half, half])


def _reached(store: GazeStore, spans: Float64[np.ndarray, "t 2"]) -> float:
    """The share of the truth's moments, of points of those with gaze, that lie in one of some growing spans."""
    times = store.time_s
    if isinstance(store, PointsStore):
        times = times[store.recording.state == GazeState.TRACKED]
    if not len(times) or not len(spans):
        return math.nan
    last = np.searchsorted(spans[:, 0], times, side="right") - 1
    return float(((last >= 0) & (times <= spans[last.clip(0), 1])).mean())


def _within(times: Sequence[float], known: GazeStore) -> list[int]:
    """The moments at which the truth can say anything."""
    if not len(known.time_s):
        return []
    low, high = known.time_s[0] - WITHIN_S, known.time_s[-1] + WITHIN_S
    return [i for i, t in enumerate(times) if low <= t <= high]


def _picked(within: list[int], most: int, predicted: Path, truth: Path) -> list[int]:
    if not within:
        raise InputError(f"{predicted} and {truth} have no moment in common; are they of one video, on its clock?")
    if len(within) <= most:
        return within
    return [within[(2 * k + 1) * len(within) // (2 * most)] for k in range(most)]


def _saved(fpath: Path) -> Heatmap:
    heatmap = Heatmap.load(fpath)
    if heatmap.kind == "logits":
        raise KindError(f"{fpath} holds logits; save probabilities of them, which can be compared with gaze")
    if heatmap.moments is None or heatmap.moments.times_s is None or heatmap.values.ndim != 3:
        raise InputError(
            f"{fpath} is no map of a clip whose moments are known in seconds; explain a video, not pictures"
        )
    if heatmap.frame.batch_shape:
        raise InputError(f"{fpath} has a frame for each map; expected one for the whole clip")
    return heatmap


def _is_store(path: Path) -> bool:
    return (path.suffix in MAPS and (path.is_file() or path.suffix == ".zarr")) or holds_frames(path)


def _is_heatmap(path: Path) -> bool:
    """Whether this is what :meth:`Heatmap.save` wrote, and no maps of other programs."""
    if path.suffix == ".safetensors":
        return True
    if path.suffix != ".npz" or not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return {"header.npy", "values.npy", "to_source.npy"} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _rank(path: Path) -> int:
    return MAPS.index(path.suffix) if path.suffix in MAPS else len(MAPS)


def _some(stores: dict[str, Path]) -> str:
    names = list(stores)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
