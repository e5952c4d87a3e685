"""Views of tiny made-up models, whose right answers can be computed by hand."""

from __future__ import annotations

import torch
from torch import nn

from isotherm.cam.view import Classification, Detections, Inputs, LayerChoice, Layout, Pins
from isotherm.frame import Frame


class TinyNet(nn.Module):
    """Convolution, ReLU, convolution, ReLU, mean, linear."""

    def __init__(self, classes: int = 4):
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.second = nn.Conv2d(5, 6, 3, stride=2, padding=1)
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))).mean((2, 3)))


class TinyClassifier:
    name = "tiny classifier"
    names = ("cat", "dog, hound", "bus", "tram")
    default_method = "hirescam"

    def __init__(self, model: nn.Module | None = None, size=(16, 24)):
        self.model = (model or TinyNet()).eval()
        self.size = size

    def prepare(self, pictures):
        frames, tensors = [], []
        for p in pictures:
            frames.append(Frame.resize(p.shape[:2], self.size))
            x = torch.from_numpy(p).permute(2, 0, 1)[None].float() / 255
            tensors.append(nn.functional.interpolate(x, self.size, mode="bilinear", antialias=True)[0])
        return Inputs(torch.stack(tensors), Frame.stack(frames), blank=torch.full((3,), 0.5))

    def run(self, inputs):
        return self.model(inputs.tensor)

    def find(self, raw, inputs):
        return Classification(raw, self.names, embedding=raw * 2)

    def refind(self, raw, inputs, pins):
        return self.find(raw, inputs)

    def auto_layers(self):
        return LayerChoice(("second",), "the last layer with cells")

    def layout(self, layer, output, inputs):
        return Layout()


class TinyDetector(TinyClassifier):
    """Every cell of a 4x6 grid is an anchor with 4 logits and a box around it; reports the best three."""

    name = "tiny detector"
    names = ("cat", "dog", "bus", "tram")

    def __init__(self, size=(16, 24)):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Conv2d(3, 5, 3, stride=4, padding=1)
                self.classes = nn.Conv2d(5, 4, 1)
                self.sides = nn.Conv2d(5, 4, 1)

            def forward(self, x):
                f = torch.relu(self.body(x))
                return self.classes(f), self.sides(f).exp() * 3, f

        super().__init__(Net(), size)

    def _all(self, raw, inputs):
        logits, sides, feature = raw
        h, w = logits.shape[-2:]
        ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        centre = torch.stack([xs, ys], -1).reshape(1, -1, 2) * 4
        s = sides.flatten(2).transpose(1, 2)
        boxes = torch.cat([centre - s[..., :2], centre + s[..., 2:]], -1)
        return logits.flatten(2).transpose(1, 2), boxes, feature

    def _detections(self, raw, inputs, picture, candidate):
        logits, boxes, feature = self._all(raw, inputs)
        rows = logits[picture, candidate]
        best = rows.detach().sigmoid().max(1)

        def masks(rows=None):
            up = nn.functional.interpolate(
                feature.mean(1, keepdim=True) - feature.detach().mean((1, 2, 3), keepdim=True),
                self.size,
                mode="bilinear",
            )
            return up[picture, 0] if rows is None else up[picture[rows], 0]

        return Detections(
            picture,
            boxes[picture, candidate],
            rows,
            best.indices,
            best.values,
            candidate,
            self.names,
            objectness=rows.logsumexp(1),
            masks=masks,
        )

    def find(self, raw, inputs):
        logits, _, _ = self._all(raw, inputs)
        top = logits.detach().amax(2).topk(3, dim=1).indices
        return self._detections(raw, inputs, torch.arange(len(inputs)).repeat_interleave(3), top.flatten())

    def refind(self, raw, inputs, pins: Pins):
        return self._detections(raw, inputs, torch.arange(len(inputs)), pins.candidate)

    def auto_layers(self):
        return LayerChoice(("body",), "the only one")
