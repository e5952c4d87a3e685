"""Share of correct keypoints, its curve, and the normalised mean error: pixels over a length that belongs to the
object.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError


def pck(
    errors: Float[Tensor, "m n"], scale: Float[Tensor, " m"], thresholds: Float[Tensor, " t"]
) -> Float[Tensor, "t n"]:
    """The share of known points whose error is at most a threshold times the object's scale.

    Args:
        errors: (m, n) distances, NaN where not known, as of :func:`isotherm.metrics.point_errors`.
        scale: (m,) in the same unit. The field has several: the longer side of the box (PCK), the head's size (PCKh),
            the torso's; a table is comparable only with one of the same scale.
        thresholds: (t,) shares of it, such as 0.05, 0.1, 0.2.

    Returns:
        (t, n), from 0 to 1; NaN for a point that is never known.

    Raises:
        ShapeError: not one scale per row.
        OptionError: a scale that is not above 0 where an error is known, or a negative threshold.

    Source: Yang and Ramanan, "Articulated human detection with flexible mixtures of parts" (TPAMI 2013), section 5;
    PCKh: Andriluka et al., "2D human pose estimation" (CVPR 2014), section 4.

    Example:
        >>> pck(torch.tensor([[1.0, 3.0], [2.0, torch.nan]]), torch.tensor([20.0, 20.0]), torch.tensor([0.05, 0.1])).tolist()
        [[0.5, 0.0], [1.0, 0.0]]
    """
    share, known = _normalised(errors, scale), ~errors.isnan()
    if bool((thresholds < 0).any()):
        raise OptionError(f"a threshold is {float(thresholds.min())}; expected shares of the scale of at least 0")
    correct = (share[None] <= thresholds.to(share)[:, None, None]) & known
    count = known.sum(0)
    return torch.where(count > 0, correct.sum(1) / count, torch.nan)


def pck_area(errors: Float[Tensor, "m n"], scale: Float[Tensor, " m"], *, most: float = 0.2) -> Float[Tensor, " n"]:
    """The area under the curve of PCK from 0 to a threshold, divided by it: exactly, not by sampling the curve.

    It is the mean of ``max(0, 1 - error / (most scale))`` over the known points.

    Args:
        errors, scale: as of :func:`pck`.
        most: the largest threshold.

    Returns:
        (n,) from 0 to 1; NaN for a point that is never known.

    Example:
        >>> pck_area(torch.tensor([[1.0], [3.0]]), torch.tensor([10.0, 10.0]), most=0.2).tolist()   # one is half-way, one outside
        [0.25]
    """
    if not most > 0:
        raise OptionError(f"most is {most}; expected a share of the scale above 0")
    return (1 - _normalised(errors, scale) / most).clamp(min=0).nanmean(0)


def nme(errors: Float[Tensor, "m n"], scale: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Normalised mean error of each object: its mean error over its known points as a share of its scale.

    Args:
        errors: (m, n), NaN where not known.
        scale: (m,), for faces the distance between the pupils or the outer corners of the eyes.

    Returns:
        (m,), NaN where nothing is known.

    Source: Sagonas et al., "300 faces in-the-wild challenge" (ICCV workshops 2013), section 4.
    """
    return _normalised(errors, scale).nanmean(1)


def _normalised(errors: Tensor, scale: Tensor) -> Tensor:
    if errors.ndim != 2 or scale.shape != errors.shape[:1]:
        raise ShapeError(
            f"errors have shape {tuple(errors.shape)} and scale {tuple(scale.shape)}; expected (m, n) and (m,)"
        )
    used = ~errors.isnan().all(1)
    bad = used & ~((scale > 0) & torch.isfinite(scale))
    if bool(bad.any()):
        raise OptionError(
            f"the scale of row {int(bad.nonzero()[0])} is {float(scale[bad][0])}; expected a length above 0"
        )
    return errors / scale.to(errors)[:, None]
