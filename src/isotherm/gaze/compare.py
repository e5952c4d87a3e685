"""Did the model look where the person looked? Relevance of a clip's moments beside the gaze in them.

A high figure says little by itself: people look at the middle, and so do many maps; and gaze of one moment is near
that of the next. So beside the model's figures stand those of a map of the middle, and those of the same maps with the
gaze of other moments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.render import WIDTH_SHARE
from isotherm.errors import FrameError, KindError, ShapeError
from isotherm.gaze.fixations import fixation_maps, fixations_in
from isotherm.heatmap import Heatmap
from isotherm.metrics.figure_table import FigureRow, FigureTable
from isotherm.metrics.intervals import Interval, bootstrap, bootstrap_paired
from isotherm.metrics.saliency.report import HIGHER_IS_BETTER, middle_map, saliency_figures


@dataclass(frozen=True, eq=False)
class GazeComparison:
    """What a comparison found.

    Args:
        names: of the moments.
        fixations: (m,) how many samples of tracked gaze each moment has.
        model: the figures of every moment by name, (m,) each; NaN where one cannot be judged.
        middle: those of a map of the middle.
        others: those of the same maps with the gaze of other moments, each the mean over them.
        notes: what a person should know.
    """

    names: tuple[str, ...]
    fixations: Tensor
    model: Mapping[str, Float[Tensor, " m"]]
    middle: Mapping[str, Float[Tensor, " m"]]
    others: Mapping[str, Float[Tensor, " m"]]
    notes: tuple[str, ...]

    def better_by(self, name: str, than: str = "others") -> Interval:
        """By how much the model's figure is better, moment by moment, with its interval; above 0 is better.

        Args:
            name: of a figure.
            than: others or middle.
        """
        a, b = self.model[name], getattr(self, than)[name]
        return bootstrap_paired(a, b) if HIGHER_IS_BETTER[name] else bootstrap_paired(b, a)

    @property
    def figures(self) -> FigureTable:
        """The means over the moments with their intervals: the model's, with other moments' gaze, the middle's."""
        sides = {"model": self.model, "gaze of other moments": self.others, "the middle": self.middle}
        rows = (
            FigureRow(name, len(self.names), {key: bootstrap(values) for key, values in side.items()})
            for name, side in sides.items()
        )
        return FigureTable(tuple(rows))

    def table(self) -> str:
        """The figures as aligned text, and what they mean in a line."""
        return "\n".join([self.figures.table(), self.verdict, *self.notes])

    @property
    def verdict(self) -> str:
        """One line: whether the maps follow the gaze more than that of other moments, by NSS."""
        by = self.better_by("NSS")
        if not by.known:
            return f"{by.n} moment(s) have gaze and a map that says something: too few to say whether the model looked where the person looked"
        if by.low > 0:
            return (
                f"the model looked where the person looked: NSS is higher by {by} than with the gaze of other moments"
            )
        if by.high < 0:
            return f"the model looked elsewhere: NSS is lower by {by} than with the gaze of other moments"
        return f"no difference to the gaze of other moments can be seen: NSS differs by {by}"

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON can hold it; what cannot be judged is null."""

        def plain(values: Tensor) -> list[float | None]:
            return [None if v != v else v for v in values.tolist()]

        sides = {"model": self.model, "others": self.others, "middle": self.middle}
        return {
            "moments": list(self.names),
            "fixations": self.fixations.tolist(),
            **{name: {key: plain(values) for key, values in side.items()} for name, side in sides.items()},
            "figures": self.figures.to_json(),
            "verdict": self.verdict,
            "notes": list(self.notes),
        }


def compare_gaze(
    relevance: Heatmap,
    gaze: GazeRecording | GazeClip,
    *,
    others: Float[Tensor, "k 2"] | None = None,
    sigma_px: float | None = None,
) -> GazeComparison:
    """Hold the relevance of a clip's moments beside the gaze in them.

    Args:
        relevance: (m, h, w) with moments whose times are known; signed maps count with their evidence for.
        gaze: on the same clock, in pixels of the same video.
        others: (k, 2) fixations in other clips, in pixels of this video, for sAUC; None: those of this clip's other
            moments, which are nearer to chance than those of other clips.
        sigma_px: of the Gaussian at every fixation in the map that KL, CC and SIM compare with; None: 3/64 of the
            width.

    Returns:
        Figures for every moment and in all, with what they are worth.

    Raises:
        KindError: maps that are no relevance.
        ShapeError: no moments, or moments without times.
        FrameError: gaze of a video of another size.
    """
    relevance.expect("relevance", "probability", "peak")
    if relevance.moments is None or relevance.moments.times_s is None or relevance.values.ndim != 3:
        raise ShapeError(
            "the relevance has no moments in seconds; explain a clip whose times are known (a video file, or video_fps=)"
        )
    frame = relevance.frame[0] if relevance.frame.batch_shape else relevance.frame
    size = tuple(int(n) for n in frame.source_size)
    own = tuple(int(n) for n in gaze.frame.source_size.reshape(-1, 2)[0]) if isinstance(gaze, GazeClip) else gaze.size
    if size != own:
        raise FrameError(f"the relevance is of a video of {size} pixels (h, w) and the gaze of one of {own}")
    maps = relevance.values.detach().cpu().float()
    maps = maps.clamp(min=0) if relevance.signed else maps
    if not bool(maps.isfinite().all()):
        raise KindError("the relevance holds NaN or infinite values; look at how it was made")
    cells = frame.points_from_source(fixations_in(gaze, relevance.moments.times_s))
    inside = cells.isfinite().all(-1)
    sigma = (WIDTH_SHARE * size[1] if sigma_px is None else sigma_px) / frame.cell_size.flip(-1).float()
    truth = fixation_maps(cells, frame.size, sigma)
    away = None if others is None else frame.points_from_source(others.double())
    middle = middle_map(frame.size).expand_as(maps)
    return GazeComparison(
        relevance.moments.names,
        inside.sum(1),
        saliency_figures(maps, cells, truth, others=away),
        saliency_figures(middle, cells, truth, others=away),
        _with_other_moments(maps, cells, truth, away),
        _notes(inside.sum(1), others),
    )


def _with_other_moments(maps: Tensor, cells: Tensor, truth: Tensor, away: Tensor | None) -> dict[str, Tensor]:
    """Each map with the gaze of every other moment, the mean over them; NaN of a moment without gaze of its own."""
    sums: dict[str, list[Tensor]] = {}
    for shift in range(1, len(maps)):
        moved = saliency_figures(maps, cells.roll(shift, 0), truth.roll(shift, 0), others=away)
        for name, values in moved.items():
            sums.setdefault(name, []).append(values)
    nothing = torch.full((len(maps),), torch.nan, dtype=torch.float64)
    own = cells.isfinite().all(-1).any(1)
    names = saliency_figures(maps[:1], cells[:1], truth[:1], others=away)
    return {
        name: torch.stack(sums[name]).nanmean(0).masked_fill(~own, torch.nan) if name in sums else nothing.clone()
        for name in names
    }


def _notes(counts: Tensor, others: Tensor | None) -> tuple[str, ...]:
    notes = []
    if empty := int((counts == 0).sum()):
        notes.append(f"{empty} of {len(counts)} moments have no tracked gaze and are left out")
    if others is None:
        notes.append(
            "sAUC is against this clip's other moments, whose gaze is near; give fixations of other clips for the usual figure"
        )
    return tuple(notes)
