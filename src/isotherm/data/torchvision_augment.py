"""torchvision v2 transforms -> the Frame that maps back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from isotherm.data.augment import Augmented, frame_of_probes, probe_boxes
from isotherm.errors import InputError


def augment_v2(transform: Callable[..., Any], picture: Any) -> Augmented:
    """A picture through a torchvision v2 transform or a chain of them.

    Args:
        transform: of ``torchvision.transforms.v2``; random ones draw once, as for any joint transform.
        picture: a PIL picture, a (..., c, h, w) tensor or a ``tv_tensors.Image``.

    Returns:
        The new picture and its frame, whose ``points_from_source`` takes annotations along.
        ``RandomRotation(expand=True)`` rounds its canvas differently for pixels and for boxes, so there the frame is up
        to half a pixel off.

    Raises:
        InputError: the transform dropped boxes or does not take them (v1 transforms).
        FrameError: it is not affine.

    Example:
        >>> from torchvision.transforms import v2
        >>> one = augment_v2(v2.Compose([v2.CenterCrop((80, 100)), v2.Resize((40, 50))]), torch.zeros(3, 100, 120))
        >>> one.frame.points_from_source(torch.tensor([[60.0, 50.0]])).tolist()
        [[25.0, 20.0]]
    """
    from torchvision import tv_tensors

    image = (
        tv_tensors.Image(picture)
        if isinstance(picture, torch.Tensor) and not isinstance(picture, tv_tensors.Image)
        else picture
    )
    size = _size(image)
    # not clamped: a box that was cut off at the border would not say where its centre went
    probes = tv_tensors.BoundingBoxes(
        torch.from_numpy(probe_boxes(size)), format="XYXY", canvas_size=size, clamping_mode=None
    )  # type: ignore[call-overload]
    try:
        new, boxes = transform(image, probes)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{type(transform).__name__} cannot take a picture and boxes together ({type(error).__name__}: {error}); "
            "use the transforms of torchvision.transforms.v2"
        ) from error
    if not isinstance(boxes, tv_tensors.BoundingBoxes) or len(boxes) != len(probes):
        raise InputError(
            f"{type(transform).__name__} dropped boxes, so where the picture went cannot be read off; leave SanitizeBoundingBoxes out"
        )
    return Augmented(new, frame_of_probes(boxes.as_subclass(torch.Tensor), size, _size(new)))


def _size(picture: Any) -> tuple[int, int]:
    if isinstance(picture, torch.Tensor):
        return int(picture.shape[-2]), int(picture.shape[-1])
    if hasattr(picture, "height") and hasattr(picture, "width"):
        return int(picture.height), int(picture.width)
    raise InputError(
        f"a {type(picture).__name__} is not a picture that torchvision transforms; give a PIL picture or a (c, h, w) tensor"
    )
