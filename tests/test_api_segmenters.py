"""Segmenters of one's own at the front door: one logit per pixel, or several."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from isotherm import explain, explain_many, open_model
from isotherm.errors import AdapterError, TargetError

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


class BinarySegmenter(nn.Module):
    """One logit per pixel, at half the input's size: how much brighter it is than the threshold."""

    def __init__(self, threshold: float, *, wrapped: bool = False) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(4))
        self.decoder = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 1, 1))
        self.wrapped = wrapped
        with torch.no_grad():
            for layer in (self.encoder[0], self.decoder[1]):
                layer.weight.fill_(0.1)
                layer.bias.zero_()
            self.decoder[1].bias.fill_(-threshold)

    def forward(self, x):
        logits = self.decoder(self.encoder(x))
        return {"out": logits} if self.wrapped else logits


@pytest.mark.parametrize("wrapped", [False, True], ids=["tensor", "under out"])
def test_a_module_with_one_logit_per_pixel_is_explained_where_it_says_yes(wrapped):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, 32:] = 255
    model = BinarySegmenter(0.0, wrapped=wrapped)
    view = open_model(model, names=["leaf"], size=64, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert view.auto_layers().layers == ("encoder",)
    (heatmap,) = explain(view, picture, trust="off")
    assert heatmap.label == "leaf"
    inputs = view.prepare([picture])
    logits = view.find(view.run(inputs), inputs).logits[0, 0].detach()
    assert heatmap.meta["score"] == pytest.approx(float(logits[logits > 0].mean()), abs=1e-5)
    assert float(heatmap.values[:, 8:].min()) > 0 > float(heatmap.values[:, :7].max())  # the cell between sees both


def test_a_segmenter_that_says_nothing_anywhere_says_so():
    view = open_model(BinarySegmenter(100.0), size=64)
    pictures = [np.zeros((64, 64, 3), np.uint8), PICTURE]
    for found in explain_many(view, pictures, trust="fast"):
        assert len(found) == 0
        assert found.trust == ()
        assert any("the mask of class 0 is empty" in note for note in found.notes)
    with pytest.raises(TargetError, match="empty"):
        explain(view, PICTURE, target=0)


def test_a_module_with_several_logits_per_pixel_is_a_segmenter_too():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
    found = explain(open_model(model, size=64, names=["a", "b", "c"]), PICTURE, target="b", layers="1", trust="off")
    assert found[0].label == "b"
    with pytest.raises(AdapterError, match="3 channels of logits, but 2 class names"):
        explain(open_model(model, size=64, names=["a", "b"]), PICTURE, trust="off")
