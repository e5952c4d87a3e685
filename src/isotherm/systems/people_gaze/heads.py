"""Heads that need no detector: those of a file, and one person whose head is not known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from isotherm.frame import Size
from isotherm.models.gaze_lle.heads import HeadBoxes, Picture


class GivenHeads:
    """Boxes that are known, by the number of their frame.

    Args:
        boxes: (n, 5) of each frame, as :func:`isotherm.data.gaze.head_boxes.read_head_boxes` gives them.
    """

    def __init__(self, boxes: Mapping[int, np.ndarray]) -> None:
        self._boxes = boxes

    def unused(self, size: Size, frames: int) -> list[str]:
        """What of the boxes belongs to no frame and no place of a video, in words.

        Args:
            size: (h, w) of the video.
            frames: how many it has.
        """
        h, w = size
        behind = sorted(index for index in self._boxes if index >= frames)
        beside = sum(int((~_within(rows, size)).sum()) for rows in self._boxes.values())
        remarks = []
        if behind:
            remarks.append(
                f"{len(behind)} frames of the boxes, from {behind[0]} on, lie behind the video's last one, {frames - 1}; are they of this video, and counted from 0?"
            )
        if beside:
            remarks.append(
                f"{beside} boxes lie beside the picture of {w} x {h} pixels; are they of this video, in its pixels?"
            )
        if not self._boxes:
            remarks.append("the file of boxes holds none")
        return remarks

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
        inside = torch.from_numpy(_within(self._boxes[index], (h, w)))
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


def _within(rows: np.ndarray, size: Size) -> np.ndarray:
    """Which boxes have a part in the picture."""
    return (rows[:, 0] < size[1]) & (rows[:, 1] < size[0]) & (rows[:, 2] > 0) & (rows[:, 3] > 0)
