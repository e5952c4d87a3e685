"""The loss is that of the core for each map, several places are a mixture, and grasps are learned where they are."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm import losses, targets
from isotherm.data.grounding.cache import Truth
from isotherm.data.grounding.records import GroundingRecord, Place
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.grounding.outputs import Outputs
from isotherm.train.grounding.objective import GroundingObjective

PICTURE = torch.zeros(8, 8, 3, dtype=torch.uint8).numpy()
FRAME = Frame(torch.eye(2, 3).expand(1, 2, 2, 3), (8, 8), torch.tensor([8, 8]).expand(1, 2, 2))


def truth_of(*steps):
    """Of one record with two views; each step: of each view a list of points, or None."""
    places = tuple(tuple(None if p is None else Place(torch.tensor(p)) for p in step) for step in steps)
    return Truth.of([GroundingRecord(pictures=(PICTURE, PICTURE), text="it", places=places)])


def test_every_map_is_its_own_softmax_and_unknown_ones_take_no_part():
    logits = torch.randn(1, 2, 2, 8, 8)
    truth = truth_of(([[1.0, 2.0]], None), ([[5.0, 5.0]], [[3.0, 7.5]]))
    loss = GroundingObjective(sigma=1.0).loss_of(logits, Outputs(steps=2), truth, FRAME, done=1.0)
    each = [
        losses.gaussian_cross_entropy(logits[0, v, s][None], torch.tensor([xy]), sigma_cells=1.0)
        for v, s, xy in ((0, 0, [1.0, 2.0]), (0, 1, [5.0, 5.0]), (1, 1, [3.0, 7.5]))
    ]
    assert float(loss) == pytest.approx(float(sum(each)) / 3, rel=1e-5)
    assert truth.known.tolist() == [[[True, True], [False, True]]]


def test_several_places_are_a_mixture():
    logits = torch.randn(1, 2, 1, 8, 8)
    truth = truth_of(([[1.0, 2.0], [6.0, 6.0]], [[3.0, 3.0]]))
    loss = GroundingObjective(sigma=1.0).loss_of(logits, Outputs(), truth, FRAME, done=1.0)
    both = targets.mixture(torch.tensor([[1.0, 2.0], [6.0, 6.0]]), (8, 8), sigma_cells=1.0).heatmap.values
    first = -(both * logits[0, 0, 0].flatten().log_softmax(0).view(8, 8)).sum()
    second = losses.gaussian_cross_entropy(logits[0, 1], torch.tensor([[3.0, 3.0]]), sigma_cells=1.0)
    assert float(loss) == pytest.approx((float(first) + float(second)) / 2, rel=1e-5)
    # and a view of which nothing is known takes no part
    half = truth_of(([[1.0, 2.0], [6.0, 6.0]], None))
    alone = GroundingObjective(sigma=1.0).loss_of(logits, Outputs(), half, FRAME, done=1.0)
    assert float(alone) == pytest.approx(float(first), rel=1e-5)


def test_a_grasp_is_perfect_where_its_maps_are():
    place = Place(torch.tensor([[4.0, 4.0]]), torch.tensor([math.pi / 6]), torch.tensor([2.0]))
    truth = Truth.of([GroundingRecord(pictures=(PICTURE,) * 2, text="it", places=((place, None),))])
    outputs = torch.zeros(1, 2, 4, 8, 8)
    values = torch.tensor([math.cos(math.pi / 3), math.sin(math.pi / 3), 0.25])
    outputs[:, :, 1:] = values[:, None, None]
    without = GroundingObjective(sigma=1.0, grasp=0.0)
    losses_of = [
        objective.loss_of(outputs, Outputs(grasp=True), truth, FRAME, done=1.0)
        for objective in (GroundingObjective(sigma=1.0), without)
    ]
    assert float(losses_of[0] - losses_of[1]) == pytest.approx(0, abs=1e-6)
    outputs[:, :, 3] += 0.5
    worse = GroundingObjective(sigma=1.0).loss_of(outputs, Outputs(grasp=True), truth, FRAME, done=1.0)
    assert float(worse - losses_of[1]) == pytest.approx(0.25, abs=1e-5)


def test_sigma_falls_and_numbers_are_checked():
    assert GroundingObjective(sigma=1.0, first_sigma=4.0).sigma_at(0.5) == pytest.approx(2.0)
    with pytest.raises(OptionError, match="sigma is -1"):
        GroundingObjective(sigma=-1.0)
    with pytest.raises(OptionError, match="grasp is -1"):
        GroundingObjective(grasp=-1.0)
