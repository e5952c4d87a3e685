"""Heads that need no detector: those of a file, and one person whose head is not known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from isotherm.models.gaze_lle.heads import HeadBoxes, Picture


class GivenHeads:
    """Boxes that are known, by the number of their frame.

    Args:
        boxes: (n, 5) of each frame, as :func:`isotherm.data.gaze.head_boxes.read_head_boxes` gives them.
    """

    def __init__(self, boxes: Mapping[int, np.ndarray]) -> None:
        self._boxes = boxes

    def heads(self, picture: Picture, index: int) -> HeadBoxes:
        """The heads of a frame, ended at the picture's border; one that lies beside it is left out.

        Args:
            picture: (H, W, 3) 8-bit RGB.
            index: its number in the video.
        """
        if index not in self._boxes:
            return HeadBoxes.none()
        rows = torch.from_numpy(self._boxes[index]).float()
        h, w = picture.shape[:2]
        boxes = torch.minimum(rows[:, :4].clamp(min=0), torch.tensor([w, h, w, h], dtype=torch.float32))
        inside = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
        return HeadBoxes(boxes[inside], rows[inside, 4])


class WholePicture:
    """One person in every picture, whose head is not known: the box is the whole picture, and the model gets none."""

    def heads(self, picture: Picture, index: int) -> HeadBoxes:
        """A box around the whole picture.

        Args:
            picture: (H, W, 3) 8-bit RGB.
            index: its number in the video.
        """
        h, w = picture.shape[:2]
        return HeadBoxes(torch.tensor([[0.0, 0.0, float(w), float(h)]]), torch.ones(1))
