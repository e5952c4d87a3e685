"""Augmentations of other libraries -> the Frame that maps back.

A training pipeline moves a picture and its points by a chain of random transforms. Instead of trusting the chain with
the points, isotherm sends a few small boxes along with the picture, reads off where they went, and gets the one affine
map that the pixels took: the Frame of the new picture over the old one. Every annotation then goes through the Frame.

Boxes, because the libraries' keypoints mix two conventions: torchvision 0.29 and albumentations 2.0.8 mirror keypoints
as w - 1 - x, which is right for index coordinates, and resize them by multiplying, which is right for edge-origin ones,
so a chain of both is up to half a pixel off. The centres of their boxes follow the pixels in every transform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from isotherm.errors import FrameError, InputError
from isotherm.frame import Frame, Size, invert_affine

HALF_SIDE = 1.0
"""Of the boxes, in pixels: libraries drop boxes without area."""
TOLERANCE = 0.02
"""Largest distance in pixels of a probe from where the affine map puts it; bent pictures have no Frame."""


@dataclass(frozen=True, eq=False)
class Augmented:
    """A transformed picture and where its pixels came from.

    Args:
        picture: as the transform returned it.
        frame: its pixels -> pixels of the picture before; single.
    """

    picture: Any
    frame: Frame


def probe_boxes(size: Size) -> Float[np.ndarray, "9 4"]:
    """Small boxes (x0, y0, x1, y1) around nine places of a picture of ``size``, away from its border."""
    h, w = size
    x, y = np.meshgrid(np.array([0.25, 0.5, 0.75]) * w, np.array([0.25, 0.5, 0.75]) * h)
    centres = np.stack([x, y], -1).reshape(-1, 2)
    return np.concatenate([centres - HALF_SIDE, centres + HALF_SIDE], 1)


def frame_of_probes(boxes: Float[Tensor, "9 4"], source_size: Size, size: Size) -> Frame:
    """The frame of a transformed picture, from where :func:`probe_boxes` went.

    Args:
        boxes: (x0, y0, x1, y1) in the new picture, in the order of the probes. The centre of the hull of a turned box
            is the turned centre.
        source_size, size: (h, w) of the picture before and after.

    Raises:
        FrameError: the boxes did not move as one affine map would move them, or all fell together.
    """
    before, after = (
        b.double().unflatten(1, (2, 2)).mean(1) for b in (torch.from_numpy(probe_boxes(source_size)), boxes.cpu())
    )
    ones = torch.ones(len(before), 1, dtype=torch.float64)
    forward = torch.linalg.lstsq(torch.cat([before, ones], 1), after).solution.T
    error = float((torch.cat([before, ones], 1) @ forward.T - after).norm(dim=1).max())
    if not error <= TOLERANCE * max(1.0, max(size) / max(source_size)):
        raise FrameError(
            f"this transform moves points up to {error:.2g} pixels away from any affine map (perspective, elastic or lens "
            "distortion, or boxes cut off at the border), so no Frame maps back; leave that transform out"
        )
    return Frame.identity(source_size).warped(invert_affine(forward), size)


def augment(
    transform: Callable[..., Mapping[str, Any]], picture: Shaped[np.ndarray, "h w ..."], **others: Any
) -> Augmented:
    """A picture through a chain in albumentations' style, called as ``transform(image=, bboxes=)`` and returning a
    dict.

    Args:
        transform: it must keep every box, also where it is cut off: ``Compose([...], bbox_params=BboxParams(
            format="pascal_voc", min_area=0, min_visibility=0, clip=False, filter_invalid_bboxes=False))``.
        picture: (h, w) or (h, w, c).
        others: further targets, passed on.

    Returns:
        The new picture and its frame.

    Raises:
        InputError: the chain lost boxes, or returned no picture.
        FrameError: it is not affine.

    Example:
        >>> def mirrored(image, bboxes):
        ...     w = image.shape[1]
        ...     return {"image": image[:, ::-1], "bboxes": [(w - x1, y0, w - x0, y1) for x0, y0, x1, y1 in bboxes]}
        >>> augment(mirrored, np.zeros((8, 10), np.uint8)).frame.allclose(Frame.identity((8, 10)).flipped())
        True
    """
    size = picture.shape[0], picture.shape[1]
    probes = probe_boxes(size)
    result = transform(image=picture, bboxes=probes.astype(np.float32), **others)
    if not isinstance(result, Mapping) or "image" not in result or "bboxes" not in result:
        raise InputError(
            "the transform must return a dict with image and bboxes; give it bbox_params if it is a Compose of albumentations"
        )
    boxes = torch.as_tensor(
        np.asarray(result["bboxes"], np.float64).reshape(
            -1, np.asarray(result["bboxes"]).shape[-1] if len(result["bboxes"]) else 4
        )[:, :4]
    )
    if len(boxes) != len(probes):
        raise InputError(
            f"the transform kept {len(boxes)} of {len(probes)} boxes, so where the picture went cannot be read off; "
            "it must keep every box: min_area=0, min_visibility=0, clip=False, filter_invalid_bboxes=False"
        )
    new = result["image"]
    return Augmented(new, frame_of_probes(boxes, size, (int(new.shape[0]), int(new.shape[1]))))
