"""Gaze: fixations as one map, each as heavy as it lasted."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import FrameError, OptionError
from isotherm.frame import Frame
from isotherm.ops.place import OffFrame, placed
from isotherm.points import Points
from isotherm.targets.mixture import mixture
from isotherm.training_map import TrainingMap


def fixations(
    points: Points | Float[Tensor, "*b m 2"],
    durations_s: Float[Tensor, "*b m"],
    frame: Frame,
    *,
    sigma_px: float | None = None,
    sigma_degrees: float | None = None,
    pixels_per_degree: float | None = None,
    state: Int[Tensor, "*b m"] | None = None,
    off_frame: OffFrame = "drop",
) -> TrainingMap:
    """Where somebody looked, as a probability map: a mixture of Gaussians with the durations for weights.

    Args:
        points: (*batch, m, 2) places looked at, (x, y) in source pixels, edge-origin. NaN (a blink) counts as not
            known.
        durations_s: (*batch, m) in seconds, not negative.
        frame: of the map, single or batched as the first dimensions of the points.
        sigma_px: standard deviation in source pixels; or ``sigma_degrees`` of visual angle with ``pixels_per_degree``
            (:func:`pixels_per_degree`). One degree, about the fovea, is usual.
        state: as of :func:`isotherm.targets.gaussian`.
        off_frame: gaze beside the picture is dropped unless told otherwise.

    Returns:
        TrainingMap of (*batch, h, w) probability maps and (*batch) states: UNLABELLED, with a map of zeros, where no
        fixation has any duration.

    Raises:
        OptionError: not exactly one width, or a width, duration or scale that is not a positive number.
        FrameError: cells that are not rectangles in the source (a sheared frame): a round blur would be no round blur.

    Source: Le Meur & Baccino, "Methods for comparing scanpaths and saliency maps" (Behavior Research Methods 2013),
    fixation density maps with a sigma of one degree.

    Example:
        >>> target = fixations(torch.tensor([[1.0, 1.0], [7.0, 1.0]]), torch.tensor([0.3, 0.1]), Frame.resize((2, 8), (1, 4)), sigma_px=0.2)
        >>> target.heatmap.values.round(decimals=2).tolist()
        [[0.75, 0.0, 0.0, 0.25]]
    """
    sigma = _sigma_px(sigma_px, sigma_degrees, pixels_per_degree)
    xy = placed(points.xy if isinstance(points, Points) else points)
    return mixture(
        points, frame, sigma_cells=_in_cells(sigma, frame, xy), weights=durations_s, state=state, off_frame=off_frame
    )


def pixels_per_degree(*, screen_px: float, screen_cm: float, distance_cm: float) -> float:
    """Pixels that one degree of visual angle covers at the middle of a screen.

    Args:
        screen_px, screen_cm: one side of the screen in pixels and centimetres.
        distance_cm: from the eye to the screen.

    Example:
        >>> round(pixels_per_degree(screen_px=1920, screen_cm=53.1, distance_cm=60), 1)
        37.9
    """
    if not all(math.isfinite(v) and v > 0 for v in (screen_px, screen_cm, distance_cm)):
        raise OptionError(
            f"screen_px, screen_cm and distance_cm are {screen_px}, {screen_cm} and {distance_cm}; expected finite numbers above 0"
        )
    return 2 * distance_cm * math.tan(math.radians(0.5)) * screen_px / screen_cm


def _sigma_px(sigma_px: float | None, sigma_degrees: float | None, scale: float | None) -> float:
    if (sigma_px is None) == (sigma_degrees is None) or (sigma_degrees is None) != (scale is None):
        raise OptionError("give the width either as sigma_px, or as sigma_degrees together with pixels_per_degree")
    sigma = sigma_px if sigma_px is not None else (sigma_degrees or 0.0) * (scale or 0.0)
    if not (math.isfinite(sigma) and sigma > 0):
        raise OptionError(f"the width is {sigma} source pixels; expected a finite number above 0")
    return sigma


def _in_cells(sigma_px: float, frame: Frame, xy: Tensor) -> Float[Tensor, "*b m 2"]:
    """A round Gaussian of the source along the axes of the cells: |J d|^2 splits into x and y where J's columns are
    orthogonal.
    """
    across, down = frame.to_source[..., 0], frame.to_source[..., 1]
    if not torch.compiler.is_compiling():
        skew = (across * down).sum(-1).abs() / (across.norm(dim=-1) * down.norm(dim=-1))
        if bool((skew > 1e-6).any()):
            raise FrameError(
                "the cells of this frame are sheared in the source picture; resize before rotating, or use equal scales for x and y"
            )
    sigma = (sigma_px / frame.cell_size.flip(-1)).to(xy)
    lead = sigma.shape[:-1]
    return sigma.view(*lead, *[1] * (xy.ndim - 1 - len(lead)), 2).expand(xy.shape)
