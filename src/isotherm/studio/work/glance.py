"""What a model finds on one picture, without explaining it: for cameras that are shown live."""

from __future__ import annotations

import io
from typing import Any

import torch

from isotherm.cam.clips import ClipView
from isotherm.cam.view import Classification, Detections
from isotherm.data.pictures import read_picture
from isotherm.errors import OptionError
from isotherm.models.choose import OpenModel
from isotherm.vlm.view import LanguageView

MOST = 50
"""Findings that are told of."""
CLASSES = 3
"""Classes that are told of, where the model finds no boxes."""


def glance(opened: OpenModel, picture: bytes) -> list[dict[str, Any]]:
    """The findings of a detector, or the likeliest classes of a classifier: ``label``, ``confidence``, ``box`` or None.

    Args:
        opened: the model.
        picture: the bytes of a picture's file.

    Raises:
        OptionError: a model that is asked questions, or sees several moments.
        InputError: the picture cannot be read.
    """
    view = opened.view
    if isinstance(view, LanguageView | ClipView):
        raise OptionError(f"{view.name} does not look at single pictures by itself; take a detector or a classifier")
    inputs = view.prepare([read_picture(io.BytesIO(picture), name="the camera's picture").array])
    with torch.no_grad():
        prediction = view.find(view.run(inputs), inputs)
    if isinstance(prediction, Detections):
        boxes = inputs.frame[0].boxes_to_source(prediction.boxes.cpu().double()).tolist()
        return [
            {
                "label": str(prediction.names[int(prediction.classes[i])]),
                "confidence": float(prediction.confidence[i]),
                "box": boxes[i],
            }
            for i in range(min(MOST, len(prediction)))
        ]
    if isinstance(prediction, Classification):
        logits = prediction.logits[0].float()
        chances = logits.softmax(-1) if prediction.exclusive else logits.sigmoid()
        best = chances.topk(min(CLASSES, len(chances)))
        return [
            {"label": str(prediction.names[int(i)]), "confidence": float(p), "box": None}
            for p, i in zip(best.values, best.indices, strict=True)
        ]
    return []
