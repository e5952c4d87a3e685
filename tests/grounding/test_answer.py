"""Maps are read by their modes, with chances that can be added up by hand, and grasps in the source's pixels."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.decode import Abstention
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.grounding.answer import Calibration, grasp_at, mass_within, read_answers
from isotherm.grounding.outputs import Outputs

TWO = torch.full((1, 8, 8), -40.0)
TWO[0, 2, 1], TWO[0, 5, 6] = 0.0, math.log(3)
RULE = Abstention(0.8, 0.0, 0.1, 0.5)
FRAME = Frame.stack([Frame.resize((80, 160), (8, 8))])


def test_two_candidates_are_two_places_and_not_the_middle():
    read = read_answers(TWO, FRAME, most=3)
    assert read.peaks.xy[0, :2].round(decimals=2).tolist() == [[130.0, 55.0], [30.0, 25.0]]
    assert read.peaks.score[0, :2].tolist() == pytest.approx([0.75, 0.25])
    assert float(read.confidence) == pytest.approx(0.75)
    assert float(read.entropy) == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), abs=1e-4)
    assert bool(read.answers)


def test_abstention_temperature_and_scale():
    unsure = read_answers(TWO, FRAME, Calibration(abstention=RULE))
    assert not bool(unsure.answers)
    colder = read_answers(TWO, FRAME, Calibration(temperature=0.5, abstention=RULE))
    assert float(colder.confidence) == pytest.approx(0.9)  # three to one becomes nine to one
    assert bool(colder.answers)
    wide = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
    plain, scaled = (read_answers(wide, FRAME, Calibration(covariance_scale=k)).peaks.covariance for k in (None, 4.0))
    assert torch.allclose(scaled, 4 * plain, equal_nan=True)
    with pytest.raises(OptionError, match="temperature is 0"):
        Calibration(temperature=0.0)


def test_mass_within_a_square_of_cells():
    logits = torch.zeros(1, 4, 4)
    assert float(mass_within(logits, torch.tensor([[1.5, 1.5]]), 1.0)) == pytest.approx(9 / 16)
    assert float(mass_within(logits, torch.tensor([[0.0, 0.0]]), 1.0)) == pytest.approx(1 / 16)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 150.0])
def test_a_grasp_is_read_in_the_source(degrees):
    """Cells of 10 x 10 pixels; the frame turns the picture by 90 degrees, and the angle with it."""
    angle = math.radians(degrees)
    values = torch.tensor([math.cos(2 * angle), math.sin(2 * angle), 0.25])
    maps = values[None, :, None, None].expand(1, 3, 8, 8)
    place = torch.tensor([[40.0, 40.0]])
    found, width = grasp_at(maps, place, Frame.stack([Frame.resize((80, 80), (8, 8))]))
    assert float(found) == pytest.approx(angle % math.pi, abs=1e-5)
    assert float(width) == pytest.approx(20.0)
    turned = Frame.stack([Frame.resize((80, 80), (8, 8)).rotated(90)])
    found, _ = grasp_at(maps, place, turned)
    assert min(abs(float(found) - (angle + math.pi / 2) % math.pi), math.pi) % math.pi == pytest.approx(0, abs=1e-5)


def test_outputs_are_heatmaps_first_and_then_grasps():
    reading = Outputs(steps=2, grasp=True)
    outputs = torch.arange(8.0)[:, None, None].expand(8, 2, 2)
    assert reading.heatmaps(outputs)[:, 0, 0].tolist() == [0, 1]
    assert reading.grasps(outputs)[..., 0, 0].tolist() == [[2, 3, 4], [5, 6, 7]]
    with pytest.raises(OptionError, match="these outputs have no grasps"):
        Outputs().grasps(outputs)
    with pytest.raises(OptionError, match="steps is 0"):
        Outputs(steps=0)
