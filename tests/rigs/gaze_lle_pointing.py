"""A Gaze-LLE that looks where a test says, for what is done with its answers."""

from __future__ import annotations

import torch

from isotherm import Frame, Heatmap
from isotherm.models.gaze_lle import GazeDecoder, GazeDecoderConfig, GazeLLE, GazePrediction
from rigs.gaze_lle import Patches


class PointingGaze(GazeLLE):
    """Everybody looks 30 pixels to the right of the head's middle; whoever would look beyond the border is said to look out
    of the picture."""

    def __init__(self) -> None:
        config = GazeDecoderConfig(channels=4, width=8, layers=1, attention_heads=2, inout=True)
        super().__init__(Patches(4), GazeDecoder(config))
        self.asked = 0

    @torch.no_grad()
    def predict(self, pictures, boxes):
        maps, frames, inside = [], [], []
        cells = torch.arange(64) + 0.5
        for picture, some in zip(pictures, boxes, strict=True):
            self.asked += 1
            size = tuple(picture.shape[-2:])
            frame = Frame.resize(size, (64, 64))
            whole = torch.tensor([[0.0, 0.0, size[1], size[0]]])
            for box in whole if some is None else some:
                place = (box[:2] + box[2:]) / 2 + torch.tensor([30.0, 0.0])
                x, y = frame.points_from_source(place[None].double())[0].float()
                maps.append(torch.exp(-((cells - x) ** 2)[None] / 18 - ((cells - y) ** 2)[:, None] / 18))
                frames.append(frame)
                inside.append(0.9 if place[0] < size[1] else 0.1)
        return GazePrediction(Heatmap(torch.stack(maps), Frame.stack(frames), "peak"), torch.tensor(inside))
