"""Views of models that are told where a person looks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from isotherm.cam.clips import Clip
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
    return compare_gaze(heatmap, view.gaze.clip(np.array(clip.edges_s[:-1])))
