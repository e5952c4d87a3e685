"""Where the map lies: by hand, ties as expectations, no evidence as NaN, tolerances in source pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.errors import KindError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.metrics import bootstrap, box_coverage, box_pixels, energy_inside, pointing_game, top_overlap
from oracles.faithfulness import near

MAP = torch.tensor([[[0.0, 2, 1], [5, -4, 0], [0, 0, 2]]])
REGION = torch.tensor([[[False, True, True], [True, True, False], [False, False, False]]])


def test_boxes():
    boxes = torch.tensor([[0.5, 0.25, 2.0, 1.0], [-3.0, -3.0, 9.0, 9.0], [1.5, 0.5, 2.5, 1.5]])
    cover = box_coverage(boxes, (2, 3))
    assert torch.allclose(cover[0], torch.tensor([[0.375, 0.75, 0], [0, 0, 0]]))
    assert (cover[1] == 1).all()
    assert torch.allclose(cover.sum((1, 2)), torch.tensor([1.125, 6.0, 1.0]))
    # centres at 1.5 and 0.5: the left and upper edges belong to the box, the others do not
    assert box_pixels(boxes, (2, 3))[2].tolist() == [[False, True, False], [False, False, False]]


def test_energy():
    assert energy_inside(MAP, REGION).tolist() == [pytest.approx(8 / 10)]
    # Score-CAM's formula on the same numbers: sum inside / (sum inside + sum outside)
    half = REGION.float() * 0.5
    assert energy_inside(MAP, half).tolist() == [pytest.approx(4 / 10)]


def test_pointing_and_its_ties():
    assert pointing_game(MAP, REGION).tolist() == [1.0]
    tied = MAP.clone()
    tied[0, 2, 0] = 5.0
    assert pointing_game(tied, REGION).tolist() == [0.5]
    flat = torch.ones(1, 3, 3)
    assert pointing_game(flat, REGION).tolist() == [pytest.approx(4 / 9)]


def test_no_evidence_is_neither_a_hit_nor_a_miss():
    maps = torch.stack([MAP[0], -MAP[0].abs() - 1, torch.zeros(3, 3)])
    regions = REGION.expand(3, 3, 3)
    for values in (energy_inside(maps, regions), pointing_game(maps, regions), *top_overlap(maps, regions)):
        assert values.isnan().tolist() == [False, True, True]
        assert bootstrap(values).left_out == 2


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 12), st.floats(0.5, 2.5), st.floats(0.5, 2.5), st.integers(0, 999))
def test_tolerance_is_a_distance_in_source_pixels(tolerance, cell_h, cell_w, seed):
    generator = torch.Generator().manual_seed(seed)
    region = torch.rand(1, 12, 16, generator=generator) < 0.03
    source = round(12 * cell_h), round(16 * cell_w)
    frame = Frame.resize(source, (12, 16))
    cell = tuple(frame.cell_size.tolist())
    values = torch.rand(1, 12, 16, generator=generator)
    y, x = divmod(int(values.argmax()), 16)
    got = pointing_game(values, region, tolerance=tolerance, frame=frame).item()
    assert got == float(near(region[0].numpy(), y, x, tolerance, cell))
    plain = pointing_game(values, region, tolerance=tolerance).item()
    assert plain == float(near(region[0].numpy(), y, x, tolerance))


def test_frames_of_a_batch_each_have_their_own_tolerance():
    region = torch.zeros(2, 1, 9, dtype=torch.bool)
    region[:, 0, 0] = True
    values = torch.zeros(2, 1, 9)
    values[:, 0, 3] = 1
    frames = Frame.stack([Frame.resize((1, 9), (1, 9)), Frame.resize((1, 90), (1, 9))])
    assert pointing_game(values, region, tolerance=15, frame=frames).tolist() == [1, 0]


def test_top_overlap():
    # the region has four pixels; the four strongest are 5, 2, 2 and 1, three of them inside
    inside, iou = top_overlap(MAP, REGION)
    assert inside.tolist() == [0.75]
    assert iou.tolist() == [pytest.approx(3 / 5)]
    # two of nine: 5 and one of the tied 2s, of which one in two is inside
    inside, iou = top_overlap(MAP, REGION, fraction=2 / 9)
    assert inside.tolist() == [0.75]
    assert iou.tolist() == [pytest.approx(1.5 / 4.5)]
    assert top_overlap(MAP, torch.zeros_like(REGION)).inside.isnan().all()
    chance = top_overlap(torch.ones(1, 3, 3), REGION)
    assert chance.inside.tolist() == [pytest.approx(4 / 9)]


def test_perfect_and_opposite():
    region = torch.rand(5, 9, 9) < 0.3
    right, wrong = region.float(), (~region).float()
    assert (energy_inside(right, region) == 1).all()
    assert (energy_inside(wrong, region) == 0).all()
    assert (pointing_game(right, region) == 1).all()
    assert (pointing_game(wrong, region) == 0).all()
    assert (top_overlap(right, region).iou == 1).all()


def test_mistakes(unchecked):
    with pytest.raises(ShapeError, match="region of its own size"):
        energy_inside(MAP, REGION[:, :2])
    with pytest.raises(KindError):
        pointing_game(MAP / 0, REGION)
    with pytest.raises(OptionError, match="negative"):
        pointing_game(MAP, REGION, tolerance=-1)
    with pytest.raises(OptionError, match="fraction"):
        top_overlap(MAP, REGION, fraction=0)
    with pytest.raises(ShapeError, match="own frame"):
        pointing_game(MAP, REGION, tolerance=1, frame=Frame.identity((4, 4)))
