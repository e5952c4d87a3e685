"""The pictures of an evaluation by gaze: a sheet and a page of the best and the worst moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from isotherm.data.video import VIDEO_SUFFIXES, probe_video
from isotherm.data.video_seek import frame_at
from isotherm.draw import ReportEntry, comparison_grid, draw_gaze, save_picture, write_report
from isotherm.draw.gaze import GazeLook, GazeTrack
from isotherm.errors import InputError
from isotherm.heatmap import Heatmap
from isotherm.jobs.evaluate.gaze_clips import JudgedClip
from isotherm.metrics.figure_table import FigureTable
from isotherm.metrics.saliency.report import HIGHER_IS_BETTER
from isotherm.points import Points

GREY = 96
"""Of the pictures of clips whose video is not given."""
MOST_RINGS = 5
BARE = GazeLook(trail_s=0, heat_s=0, state=False, least_side=1)


@dataclass(frozen=True)
class Moment:
    """One of the best or of the worst.

    Args:
        which: best or worst.
        clip: its clip.
        i: its number there.
        value: its figure.
    """

    which: str
    clip: JudgedClip
    i: int
    value: float


def extremes(
    clips: Sequence[JudgedClip], figures: Mapping[str, Mapping[str, Float[Tensor, " t"]]], *, by: str, count: int
) -> list[Moment]:
    """The best and the worst moments, the best first; each of them once.

    Args:
        clips: all that were judged.
        figures: of their moments.
        by: the figure that decides.
        count: of the best, and of the worst.
    """
    moments = [
        (float(value), clip, i)
        for clip in clips
        for i, value in enumerate(figures[clip.name][by].tolist())
        if value == value
    ]
    moments.sort(key=lambda m: -m[0] if HIGHER_IS_BETTER[by] else m[0])
    best, rest = moments[:count], moments[count:]
    worst = list(reversed(rest[-count:])) if count else []
    return [
        Moment(which, clip, i, value) for which, some in (("best", best), ("worst", worst)) for value, clip, i in some
    ]


def write_gaze_pages(
    clips: Sequence[JudgedClip],
    figures: Mapping[str, Mapping[str, Float[Tensor, " t"]]],
    table: FigureTable,
    dpath: Path,
    *,
    by: str,
    count: int,
    videos: Path | None,
    command: str,
) -> list[Path]:
    """Write ``extremes.jpg``, the best and the worst moments, and ``report.html``, to look around in them.

    Args:
        clips, figures, by, count: as of :func:`extremes`.
        table: of all clips.
        dpath: a folder that is there.
        videos: the folder of the videos, or a single one; None: pictures are grey.
        command: that makes the same, written into the files.

    Returns:
        The paths; none where no moment can be judged.
    """
    chosen = extremes(clips, figures, by=by, count=count)
    if not chosen:
        return []
    files = {clip.name: video_of(clip, videos, alone=len(clips) == 1) for clip in clips}
    entries, rows, pictures, names = [], [], [], []
    for moment in chosen:
        clip, i = moment.clip, moment.i
        plain = _picture(clip, i, files[clip.name])
        picture = _marked(plain, clip, i)
        maps = [
            Heatmap(clip.maps[i].clamp(min=0), clip.frame, "peak", label="predicted"),
            Heatmap(clip.truth[i], clip.frame, "peak", label="where people looked"),
        ]
        title = f"{moment.which}: {clip.name}, {clip.time_s[i]:.2f} s, {by} {moment.value:.3g}"
        lines = [", ".join(f"{name} {float(v[i]):.3g}" for name, v in figures[clip.name].items())]
        entries.append(ReportEntry(picture, maps, title=title, source=clip.name, lines=lines))
        rows.append(maps)
        pictures.append(picture)
        names.append(f"{moment.which}, {by} {moment.value:.2g}")
    sheet = comparison_grid(
        rows, pictures, row_names=names, column_names=["predicted", "where people looked"], side=260
    )
    facts = {name: f"{value.mean:.3g}" for name, value in table.rows[0].figures.items()}
    page = dpath / "report.html"
    write_report(entries, page, title="Gaze: the best and the worst moments", command=command or None, facts=facts)
    return [save_picture(sheet, dpath / "extremes.jpg", command=command), page]


def find_video(name: str, videos: Path, *, alone: bool) -> Path:
    """The video of a clip.

    Args:
        name: of the clip.
        videos: a folder, or a file for a single clip.
        alone: whether it is the only one.

    Raises:
        InputError: there is none of this name.
    """
    if videos.is_file() and alone:
        return videos
    for suffix in sorted(VIDEO_SUFFIXES):
        if (fpath := videos / f"{name}{suffix}").is_file():
            return fpath
    raise InputError(f"there is no video of {name} in {videos}; expected {name}.mp4 or another suffix")


def video_of(clip: JudgedClip, videos: Path | None, *, alone: bool) -> Path | None:
    """The video of a clip; None where none is given.

    Args:
        clip: its name decides.
        videos, alone: as of :func:`find_video`.

    Raises:
        InputError: there is none of this name, or it has another size.
    """
    if videos is None:
        return None
    fpath = find_video(clip.name, videos, alone=alone)
    size = probe_video(fpath).size
    if size != clip.size:
        raise InputError(
            f"{fpath} is {size[1]} x {size[0]} pixels and the gaze of {clip.name} is of a video of {clip.size[1]} x {clip.size[0]}"
        )
    return fpath


def _picture(clip: JudgedClip, i: int, fpath: Path | None) -> UInt8[np.ndarray, "H W 3"]:
    if fpath is None:
        return np.full((*clip.size, 3), GREY, np.uint8)
    return frame_at(fpath, max(0.0, float(clip.time_s[i]))).array()


def _marked(picture: np.ndarray, clip: JudgedClip, i: int) -> UInt8[np.ndarray, "H W 3"]:
    """The picture with a ring at every fixation, at most a handful, spread evenly."""
    places = clip.fixations[i][clip.fixations[i].isfinite().all(-1)]
    for place in places[:: max(1, len(places) // MOST_RINGS)]:
        picture = np.array(draw_gaze(picture, GazeTrack(np.zeros(1), Points(place[None])), 0.0, look=BARE))
    return picture
