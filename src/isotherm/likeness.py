"""How like another picture a model finds the one that is explained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from isotherm.cam.capture import evaluating
from isotherm.cam.clips import ClipView
from isotherm.cam.reading import read_prediction
from isotherm.cam.scores import Similarity
from isotherm.cam.view import View
from isotherm.data.clips import as_clip
from isotherm.data.pictures import as_picture
from isotherm.errors import TargetError


def likeness(view: View, like: Any, *, fps: float | None = None) -> Similarity:
    """The cosine similarity with the embedding that a model gives another picture (or clip).

    Args:
        view: of the model.
        like: a path, PIL picture, array or tensor; of a model that sees several moments a clip.
        fps: of a clip's frames.

    Raises:
        TargetError: the model gives no embedding.
    """
    inputs = view.prepare([as_clip(like, fps=fps) if isinstance(view, ClipView) else as_picture(like).array])
    with torch.no_grad(), evaluating(view.model):
        prediction = read_prediction(view, view.run(inputs), inputs)
    embedding = getattr(prediction, "embedding", None)
    if embedding is None:
        raise TargetError(
            f"{view.name} gives no embedding of a whole picture, so nothing can be like another one; take an encoder such as DINOv2 or CLIP, or a classifier"
        )
    name = Path(like).name if isinstance(like, str | os.PathLike) else "the other picture"
    return Similarity(embedding[0].detach(), label=f"likeness to {name}")
