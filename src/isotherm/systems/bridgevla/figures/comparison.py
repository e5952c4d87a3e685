"""A predicted map beside the one that should have been predicted, and how far they are apart."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from isotherm.decode.argmax import argmax
from isotherm.draw.picture import Picture
from isotherm.errors import ShapeError
from isotherm.heatmap import Heatmap, Kind
from isotherm.systems.bridgevla.figures.sheet import (
    Marks,
    Panel,
    difference_panel,
    overlay_panel,
    overlay_panels,
    sheet,
)
from isotherm.systems.bridgevla.reading import shown_heatmap, shown_picture

FAINT = 4.0
"""A map whose peak is a smaller part than this of another's is hardly seen on the other's scale."""


def visualize_attention_comparison(
    image: Picture,
    pred_heatmap: Tensor | np.ndarray,
    target_heatmap: Tensor | np.ndarray,
    save_path: str | os.PathLike[str] | None = None,
    colormap: str | None = None,
    heatmap_alpha: float | None = None,
    title: str | None = None,
    *,
    kind: Kind | None = None,
) -> Any:
    """Prediction and target over the picture, their difference, and how far they are apart in numbers.

    Both are drawn on one scale, unless the peak of one is more than four times as high: then each has its own, and the
    panels say so, since the lower one could not be seen.

    Args:
        image: PIL of any mode, or an array.
        pred_heatmap: (H, W) or (1, H, W), logits or probabilities.
        target_heatmap: of the same size, not negative.
        save_path, colormap, heatmap_alpha, title: as of
            :func:`isotherm.systems.bridgevla.visualize_points_and_heatmap`.
        kind: of the prediction, where its numbers do not say.

    Returns:
        The matplotlib Figure; nothing stays open.

    Raises:
        ShapeError: several maps, or maps of different sizes.
        InputError: a file that cannot be written.
    """
    picture = shown_picture(image)
    predicted = as_distribution(shown_heatmap(pred_heatmap, picture, kind=kind))
    wanted = as_distribution(shown_heatmap(target_heatmap, picture))
    if predicted.frame.size != wanted.frame.size:
        raise ShapeError(
            f"the prediction has {predicted.frame.size} cells and the target {wanted.frame.size}; compare maps of one size"
        )
    peaks = [argmax(h.values[None], h.frame, kind="probability").xy for h in (predicted, wanted)]
    dot, ring = (p.numpy() for p in peaks)
    marks = Marks(points=dot, rings=ring)
    row = [
        Panel(picture, "picture", "dot: predicted peak; ring: target's", marks=marks),
        *_both(predicted, wanted, picture, colormap, heatmap_alpha),
        difference_panel(
            predicted.values - wanted.values,
            (picture.height, picture.width),
            "prediction - target",
            caption="probability",
            note=apart(predicted, wanted),
        ),
    ]
    return sheet([row], title=title, save_path=save_path)


def _both(
    predicted: Heatmap, wanted: Heatmap, picture: Image.Image, colormap: str | None, alpha: float | None
) -> list[Panel]:
    named = {"prediction": predicted, "target": wanted}
    low, high = sorted(float(h.values.max()) for h in named.values())
    if high <= FAINT * low:
        maps, titles = list(named.values()), list(named)
        return overlay_panels(maps, [picture] * 2, titles, colormap=colormap, alpha=alpha)
    note = f"on its own scale: one peak is {high / max(low, 1e-12):.3g} times the other's"
    return [overlay_panel(h, picture, n, colormap=colormap, alpha=alpha, note=note) for n, h in named.items()]


def as_distribution(heatmap: Heatmap) -> Heatmap:
    """The map as probabilities that sum to 1: a softmax of logits, anything else divided by its sum."""
    values = heatmap.values.double()
    if heatmap.kind == "logits":
        values = values.flatten().softmax(0).view_as(values)
    elif float(values.sum()) > 0:
        values = values / values.sum()
    return heatmap.with_(values=values.float(), kind="probability")


def apart(predicted: Heatmap, wanted: Heatmap) -> str:
    """Distance of the peaks in pixels of the map, the divergence in nats, and the probability that both share.

    Example:
        >>> from isotherm.frame import Frame
        >>> one = Heatmap(torch.tensor([[1.0, 0.0]]), Frame.identity((1, 2)), "probability")
        >>> apart(one, one)
        'peaks 0.0 cells apart, KL 0.00 nats, 100 % in common'
    """
    cells = [argmax(h.values[None], kind="probability").xy for h in (predicted, wanted)]
    p, q = (h.values.double().flatten() for h in (predicted, wanted))
    tiny = torch.finfo(torch.float32).tiny
    divergence = float((q * (q.clamp(min=tiny).log() - p.clamp(min=tiny).log())).sum())
    shared = float(torch.minimum(p, q).sum())
    return f"peaks {float((cells[0] - cells[1]).norm()):.1f} cells apart, KL {divergence:.2f} nats, {100 * shared:.0f} % in common"
