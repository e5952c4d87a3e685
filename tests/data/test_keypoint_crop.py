"""Parts of pictures that fill the input: where they lie, how large they are, and that points go with them."""

from __future__ import annotations

import pytest
import torch

from isotherm.data.keypoint_augment import Augmentation, draw, warp
from isotherm.data.keypoint_crop import TRIES, crop_boxes
from isotherm.errors import OptionError
from isotherm.frame import Frame

CROPS = Augmentation(crop=(0.5, 1.0), ratio=(0.75, 1.333), flip=0.5, vertical_flip=0.5, degrees=180, turn=0.75)


def test_parts_lie_inside_and_have_the_area_and_the_ratio_that_were_drawn():
    drawn = torch.rand(500, 2 * TRIES + 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, y, width, height = crop_boxes(drawn, (40, 60), (0.5, 1.0), (0.75, 1.333)).T
    assert (x - width / 2 > -1e-9).all()
    assert (x + width / 2 < 60 + 1e-9).all()
    assert (y - height / 2 > -1e-9).all()
    assert (y + height / 2 < 40 + 1e-9).all()
    last = height == 40  # as large as can be about the middle, where no try fits
    torch.testing.assert_close(width[last], torch.full_like(width[last], 40 * 1.333))
    assert (x[last] == 30).all()
    share, ratio = (width * height / 2400)[~last], (width / height)[~last]
    assert ((share >= 0.5) & (share <= 1)).all()
    assert ((ratio >= 0.75) & (ratio <= 1.334)).all()
    assert last.float().mean() < 0.1


def test_where_no_try_fits_the_largest_part_about_the_middle_is_taken():
    drawn = torch.zeros(1, 2 * TRIES + 2, dtype=torch.float64)
    assert crop_boxes(drawn, (8, 8), (1.0, 1.0), (4.0, 4.0)).tolist() == [[4.0, 4.0, 8.0, 2.0]]
    assert crop_boxes(drawn, (8, 8), (1.0, 1.0), (0.25, 0.25)).tolist() == [[4.0, 4.0, 2.0, 8.0]]
    late = torch.cat([torch.ones(1, 2 * TRIES), torch.zeros(1, 2)], 1).double()
    assert crop_boxes(late, (8, 8), (0.5, 1.0), (0.5, 2.0)).tolist() == [
        [4.0, 4.0, 8.0, 8.0]
    ]  # its own ratio is among them


def test_the_ratio_is_that_of_the_source_where_cells_are_not_square():
    drawn = torch.rand(200, 2 * TRIES + 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tall = torch.tensor([0.5, 1.0, 3.0, 1.0], dtype=torch.float64).repeat(50)
    _, _, width, height = crop_boxes(drawn, (40, 40), (0.1, 0.3), (0.9, 1.2), tall).T
    ratio = width / (height * tall)
    assert ((ratio >= 0.9 - 1e-9) & (ratio <= 1.2 + 1e-9)).all()
    alike = crop_boxes(drawn, (40, 40), (0.5, 1.0), (0.75, 1.333))
    assert torch.equal(alike, crop_boxes(drawn, (40, 40), (0.5, 1.0), (0.75, 1.333), torch.ones(200)))


def test_a_bright_spot_stays_under_its_point():
    index = torch.arange(60)
    pictures = torch.zeros(60, 3, 64, 64, dtype=torch.uint8)
    pictures[:, :, 27:33, 34:40] = 255
    frame = Frame.stack([Frame.identity((64, 64))] * 60)
    drawn = draw(CROPS, index, seed=1, epoch=0, cached=(64, 64), size=(48, 48))
    shown, to = warp(pictures, frame, drawn, (48, 48))
    at = to.points_from_source(torch.tensor([[37.0, 30.0]]).expand(60, 1, 2))[:, 0]
    seen = ((at > 6) & (at < 42)).all(-1)
    assert seen.sum() > 20
    cells = torch.arange(48) + 0.5
    grey = shown[seen, 0] / shown[seen, 0].sum((-2, -1), keepdim=True)
    found = torch.stack([(grey.sum(-2) * cells).sum(-1), (grey.sum(-1) * cells).sum(-1)], -1)
    torch.testing.assert_close(found, at[seen].float(), atol=0.15, rtol=0)
    matrix = drawn.to_cells[:, :, :2]
    upright = (matrix[:, 0, 1].abs() < 1e-9).float().mean()
    assert 0.1 < upright < 0.45  # a quarter is not turned
    assert 0.2 < (torch.linalg.det(matrix) < 0).float().mean() < 0.8  # one mirror of two


def test_without_crops_the_same_numbers_are_drawn_as_before():
    plain = Augmentation(flip=0.5, degrees=90, scale=(0.8, 1.2), shift=0.1)
    index = torch.arange(4)
    one = draw(plain, index, seed=3, epoch=0, cached=(64, 64), size=(48, 48))
    first = torch.rand(11, generator=torch.Generator().manual_seed(_seed(3, 0, 0)), dtype=torch.float64)
    assert bool(one.flipped[0]) == bool(first[0] < 0.5)
    assert float(one.noise_seed[0]) == int(first[10] * 2**31)


def _seed(*values):
    from isotherm.data.keypoint_augment import mixed_seed

    return mixed_seed(*values)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"crop": (0.0, 1.0)}, "crop is"),
        ({"crop": (0.5, 1.5)}, "crop is"),
        ({"ratio": (2.0, 1.0)}, "ratio is"),
        ({"turn": 2.0}, "turn is"),
        ({"vertical_flip": -1.0}, "vertical_flip is"),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(OptionError, match=says):
        Augmentation(**options)
