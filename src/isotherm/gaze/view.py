"""Views of models that are told where a person looks."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from isotherm.cam.clips import Clip
from isotherm.data.gaze.scaled_store import fitted_store
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.store import GazeStore
from isotherm.gaze.compare import GazeComparison, compare_gaze
from isotherm.heatmap import Heatmap


@runtime_checkable
class GazeView(Protocol):
    """A view of a model that takes gaze.

    Args:
        gaze: of the clips that it is shown, on their clock; None: nothing is known of it.
    """

    gaze: GazeStore | None


def compared_with_gaze(view: object, clip: Clip, heatmap: Heatmap) -> GazeComparison | None:
    """Whether a model looked where the person looked, or None where the view has no gaze or the clip no times.

    Args:
        view: of any model.
        clip: that was explained.
        heatmap: of its moments.
    """
    if not isinstance(view, GazeView) or view.gaze is None or clip.edges_s is None:
        return None
    gaze = fitted_store(view.gaze, clip.size, "the clip")
    return compare_gaze(heatmap, gaze.clip(np.array(clip.edges_s[:-1])))


def gaze_remarks(view: object, clip: Clip, name: str) -> list[str]:
    """What speaks against a recording's being of a clip, in words.

    Args:
        view: of any model.
        clip: that is explained.
        name: of its file.
    """
    if not isinstance(view, GazeView) or view.gaze is None or clip.edges_s is None:
        return []
    gaze, remarks = view.gaze, list[str]()
    of = Path(str(getattr(gaze, "video", ""))).stem
    if of and of != Path(name).stem:
        remarks.append(f"gaze: {gaze.path} says that it is of {of}, and this is {name}")
    if gaze.size != clip.size:
        (h, w), (other_h, other_w) = clip.size, gaze.size
        remarks.append(f"gaze: {gaze.path} is of a picture of {other_w} x {other_h} pixels and is scaled to {w} x {h}")
    start, end = clip.edges_s[0], clip.edges_s[-1]
    known = gaze.clip(np.array(clip.edges_s[:-1])).state != GazeState.MISSING
    if not bool(known.any()):
        times = (
            f"it has samples from {gaze.time_s[0]:.4g} to {gaze.time_s[-1]:.4g} s"
            if len(gaze.time_s)
            else "it is empty"
        )
        remarks.append(
            f"gaze: {gaze.path} knows nothing of this clip, which lasts from {start:.4g} to {end:.4g} s; {times}"
        )
    elif not bool(known.all()):
        remarks.append(f"gaze: {gaze.path} knows nothing of {int((~known).sum())} of the clip's {len(known)} frames")
    return remarks
