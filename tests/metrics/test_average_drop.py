"""Average drop, increase, gain, ADCC: by hand and beside pytorch-grad-cam, which leaves out the division."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import OptionError
from isotherm.metrics import adcc, bootstrap, coherency, complexity, masked_pictures, masked_scores, unit_maps


def test_unit_maps():
    maps = torch.tensor([[[2.0, -1], [1, 0]], [[-1, -2], [-3, 0]]])
    assert unit_maps(maps).tolist() == [[[1, 0], [0.5, 0]], [[0, 0], [0, 0]]]


def test_by_hand():
    # the score is the mean of the picture; the map shows the left half in full and the right half at 50 %
    picture = torch.tensor([[[[0.8, 0.4], [0.8, 0.4]]]])
    maps = torch.tensor([[[2.0, 1.0], [2.0, 1.0]]])

    def score(x, target):
        return x.mean((1, 2, 3))

    assert masked_pictures(maps, picture, fill=torch.zeros(1)).flatten().tolist() == pytest.approx([0.8, 0.2, 0.8, 0.2])
    found = masked_scores(maps, picture, score, fill=torch.zeros(1))
    assert found.whole.item() == pytest.approx(0.6)
    assert found.masked.item() == pytest.approx(0.5)
    assert found.drop.item() == pytest.approx(0.1 / 0.6)
    assert (found.increase.item(), found.gain.item()) == (0, 0)
    more = masked_scores(maps, picture, score, fill=torch.ones(1))
    assert more.masked.item() == pytest.approx((0.8 + 0.7) / 2)
    assert (more.drop.item(), more.increase.item()) == (0, 1)
    assert more.gain.item() == pytest.approx(0.15 / 0.4)


def test_maps_without_evidence_are_left_out_and_others_line_up():
    pictures = torch.rand(3, 1, 4, 4)
    maps = torch.stack([torch.rand(4, 4), -torch.rand(4, 4), torch.rand(4, 4)])
    seen = []

    def score(x, target):
        seen.extend(target.tolist())
        return x.mean((1, 2, 3)) * (target + 1) / 4

    found = masked_scores(maps, pictures, score, fill=torch.zeros(1), batch=2)
    assert seen == [0, 1, 2, 0, 2]
    for values in (found.masked, found.drop, found.increase, found.gain):
        assert values.isnan().tolist() == [False, True, False]
    assert bootstrap(found.drop).left_out == 1
    want = (unit_maps(maps[2:])[0] * pictures[2, 0]).mean() * 3 / 4
    assert found.masked[2].item() == pytest.approx(want.item())


def test_scores_must_be_probabilities():
    with pytest.raises(OptionError, match="probabilities"):
        masked_scores(torch.rand(1, 4, 4), torch.rand(1, 1, 4, 4), lambda x, t: x.sum((1, 2, 3)), fill=torch.zeros(1))


def test_pytorch_grad_cam_gives_the_absolute_drop():
    from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence, IncreaseInConfidence
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3), torch.nn.Softmax(1)).eval()
    pictures, cams = torch.randn(4, 3, 4, 4), torch.rand(4, 4, 4)
    cams = cams / cams.amax((1, 2), keepdim=True)
    targets = [ClassifierOutputTarget(c) for c in (0, 1, 2, 0)]
    classes = torch.tensor([0, 1, 2, 0])

    def score(x, target):
        return model(x)[torch.arange(len(x)), classes[target]]

    ours = masked_scores(cams, pictures, score, fill=torch.zeros(3))
    theirs = DropInConfidence()(pictures, cams.numpy()[:, None], targets, model)
    assert np.abs((ours.drop * ours.whole).numpy() - theirs).max() < 1e-6
    assert (
        ours.increase.numpy().tolist()
        == IncreaseInConfidence()(pictures, cams.numpy()[:, None], targets, model).tolist()
    )


def test_complexity_coherency_and_their_mean():
    maps = torch.tensor([[[1.0, 0], [0, 1]], [[-1, -1], [-1, -1]]])
    assert complexity(maps)[0].item() == 0.5
    assert complexity(maps)[1].isnan()
    ramp = torch.arange(9.0).reshape(1, 3, 3)
    assert coherency(ramp, ramp * 2).item() == pytest.approx(1)
    assert coherency(ramp, ramp.flip(1).flip(2)).item() == pytest.approx(0)
    assert coherency(ramp, torch.ones(1, 3, 3)).isnan()
    one = torch.tensor
    assert adcc(one([0.8]), one([0.4]), one([0.2])).item() == pytest.approx(3 / (1 / 0.8 + 1 / 0.6 + 1 / 0.8))
    assert adcc(one([0.8]), one([1.0]), one([0.2])).item() == 0
    assert adcc(one([0.8]), one([torch.nan]), one([0.2])).isnan()
