"""Points of pictures by a model that was trained, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotherm.data.pictures import as_picture
from isotherm.points import Points
from isotherm.train.keypoint_build import TrainedKeypoints
from isotherm.train.keypoint_predict import Box, predict_pictures
from isotherm.train.keypoint_run import open_run


def predict(
    model: str | Path | TrainedKeypoints, images: Any, *, boxes: Sequence[Box | None] | None = None, batch: int = 32
) -> Points:
    """The keypoints of pictures, or of one object in each.

    Args:
        model: the folder of a training run, a .safetensors file of one, or a model that is open already.
        images: a list of pictures, or one: paths, PIL pictures, arrays (H, W, 3), tensors.
        boxes: (x0, y0, x1, y1) in pixels of the object in each picture, or None for the whole picture.
        batch: pictures at a time.

    Returns:
        Points (b, n) in source pixels, in the order of ``model.names``, with covariances, scores and states; of one
        picture b is 1.

    Raises:
        InputError: a picture or the run cannot be read.
        OptionError: not as many boxes as pictures.
    """
    trained = model if isinstance(model, TrainedKeypoints) else open_run(model)[0]
    several = images if isinstance(images, list | tuple) else [images]
    return predict_pictures(trained, [as_picture(image).array for image in several], boxes, batch=batch)
