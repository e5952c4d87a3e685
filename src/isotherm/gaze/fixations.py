"""The fixations of moments: all tracked gaze within each span of time, as the saliency figures take them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.states import GazeState
from isotherm.moments import Span


def fixations_in(gaze: GazeRecording | GazeClip, spans: Sequence[Span]) -> Float[Tensor, "t n 2"]:
    """Where somebody looked in each of several spans of time.

    Args:
        gaze: in source pixels, on the video's clock; samples that are not TRACKED are none.
        spans: start and end in seconds, the end not included; they may overlap.

    Returns:
        (t, n, 2) source pixels, float64, NaN where a span has fewer samples than another.

    Example:
        >>> recording = GazeRecording.of([0.0, 0.1, 0.2], [[1.0, 1.0], [2.0, 1.0], [9.0, 1.0]], size=(4, 4))
        >>> fixations_in(recording, [(0.0, 0.2), (0.2, 0.3)]).tolist()   # the last one lies beside the picture
        [[[1.0, 1.0], [2.0, 1.0]], [[nan, nan], [nan, nan]]]
    """
    time_s, xy, state = (torch.as_tensor(part) for part in (gaze.time_s, gaze.xy, gaze.state))
    tracked = state == GazeState.TRACKED
    time_s, xy = time_s[tracked].double(), xy[tracked].double()
    # times of frames are sums of rounded fractions: what is nearer than a nanosecond to a border lies on it
    start, stop = torch.tensor(spans, dtype=torch.float64).reshape(-1, 2).sub(1e-9).unbind(-1)
    first, last = (torch.searchsorted(time_s.contiguous(), border.contiguous()) for border in (start, stop))
    most = int((last - first).clamp(min=0).max()) if len(spans) else 0
    index = first[:, None] + torch.arange(most)
    there = index < last[:, None]
    places = xy[index.clamp(max=max(len(xy) - 1, 0))] if len(xy) else torch.zeros(len(spans), most, 2).double()
    return torch.where(there[..., None], places, torch.nan)


def spans_around(time_s: Float[Tensor, " t"]) -> list[Span]:
    """The span that each of growing times stands for: from half-way from the one before to half-way to the next.

    The first begins as long before its time as it ends behind it, and the last the other way round; of a single time a
    fiftieth of a second around it.

    Args:
        time_s: growing.

    Example:
        >>> spans_around(torch.tensor([0.0, 1.0, 3.0]))
        [(-0.5, 0.5), (0.5, 2.0), (2.0, 4.0)]
    """
    times = time_s.double().tolist()
    if len(times) == 1:
        return [(times[0] - 0.01, times[0] + 0.01)]
    borders = [(a + b) / 2 for a, b in pairwise(times)]
    ends = [2 * times[0] - borders[0], *borders, 2 * times[-1] - borders[-1]] if borders else []
    return list(pairwise(ends))


def fixation_maps(
    cells: Float[Tensor, "t n 2"], size: tuple[int, int], sigma_cells: Float[Tensor, "2"]
) -> Float[Tensor, "t h w"]:
    """The mean of a Gaussian at every fixation, of zeros where there is none.

    Args:
        cells: places (x, y) in cells, NaN for none.
        size: (h, w) of the maps.
        sigma_cells: standard deviation along x and y.
    """
    known = cells.isfinite().all(-1)
    places = torch.where(known[..., None], cells, 0.0).float()
    y, x = (torch.arange(n) + 0.5 for n in size)
    gx = torch.exp(-((x - places[..., :1]) ** 2) / (2 * sigma_cells[0] ** 2))
    gy = torch.exp(-((y - places[..., 1:]) ** 2) / (2 * sigma_cells[1] ** 2)) * known[..., None]
    return torch.einsum("tny,tnx->tyx", gy, gx) / known.sum(1).clamp(min=1)[:, None, None]
