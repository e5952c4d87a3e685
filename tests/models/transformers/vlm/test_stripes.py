"""Where tokens look is measured right, and so is that they look nowhere or everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import AdapterError
from isotherm.models.transformers.vlm.stripes import measure_looks


def of_boxes(*several, channels=300, seed=0):
    """A model whose tokens are random projections of the pixels in known boxes (x0, y0, x1, y1) of each picture; a word of noise ends each."""
    rng = np.random.default_rng(seed)
    weights = [
        [rng.normal(size=((y1 - y0) * (x1 - x0) * 3, channels)) for x0, y0, x1, y1 in boxes] for boxes in several
    ]

    def entering(pictures):
        rows = []
        for picture, boxes, their in zip(pictures, several, weights, strict=True):
            for (x0, y0, x1, y1), weight in zip(boxes, their, strict=True):
                rows.append(np.tanh(picture[y0:y1, x0:x1].reshape(-1) / 2000 @ weight))
            rows.append(np.ones(channels))
        return torch.from_numpy(np.stack(rows))

    return entering


BOXES = [(0, 0, 14, 14), (14, 0, 28, 14), (20, 30, 48, 44), (186, 86, 200, 100), (0, 0, 200, 100)]


def test_a_token_that_sees_one_pixel_is_measured_to_a_pixel():
    """As some of Phi-4 multimodal's separators do; ever finer stripes were tried, until there was nothing left of a stripe."""
    boxes = [(60, 20, 61, 21), (3, 90, 4, 91), (0, 0, 14, 14)]
    looks = measure_looks(of_boxes(boxes), [(100, 200)])
    assert (looks.centre[:2] - torch.tensor([[60.5, 20.5], [3.5, 90.5]])).abs().max() < 1
    assert (looks.width[:2] >= 1).all()
    assert (looks.width[:2] < 3).all()


def test_centres_and_widths_are_those_of_the_boxes():
    looks = measure_looks(of_boxes(BOXES), [(100, 200)])
    boxes = torch.tensor(BOXES, dtype=torch.float64)
    assert looks.picture.tolist() == [0, 0, 0, 0, 0, -1]
    small = boxes[:4]
    assert (looks.centre[:4] - (small[:, :2] + small[:, 2:]) / 2).abs().max() < 1.4
    ratio = looks.width[:4] / (small[:, 2:] - small[:, :2])
    assert ratio.min() > 0.8
    assert ratio.max() < 1.25
    assert looks.width[4].tolist() == [200, 100]  # it looks everywhere


def test_each_token_is_known_to_be_of_its_picture():
    other = [(0, 0, 20, 20), (20, 40, 40, 60)]
    looks = measure_looks(of_boxes(BOXES[:2], other), [(100, 200), (60, 40)])
    assert looks.picture.tolist() == [0, 0, -1, 1, 1, -1]
    assert (
        looks.centre[3:5] - torch.tensor([[10.0, 10.0], [30.0, 50.0]])
    ).abs().max() < 2.0  # a tenth of what they see


def test_a_long_picture_that_is_shrunk_is_measured_as_well():
    """Of 3000 pixels every token sees 60, as means of ten."""
    inner = of_boxes([(6 * i, 0, 6 * i + 6, 4) for i in range(50)])

    def entering(pictures):
        return inner([p.reshape(4, 10, 300, 10, 3).mean((1, 3)) for p in pictures])

    looks = measure_looks(entering, [(40, 3000)])
    stated = torch.arange(50) * 60 + 30.0
    assert (
        looks.centre[:50, 0] - stated
    ).abs().max() < 9  # a seventh of what they see: coarse noise has few grains in it
    assert (looks.centre[:50, 0] - stated).abs().median() < 3.5


def test_what_moves_nothing_and_what_changes_its_number_is_refused():
    with pytest.raises(AdapterError, match="do not change with the pixels"):
        measure_looks(lambda pictures: torch.ones(5, 300), [(40, 40)])
    counts = iter((4, 4, 5))
    with pytest.raises(AdapterError, match="made 4 vision tokens of pictures, and 5 of others of the same sizes"):
        measure_looks(lambda pictures: torch.ones(next(counts), 300), [(40, 40)])


def test_a_noise_to_which_a_token_answers_thirty_times_as_much_does_not_decide_alone():
    """As of tokens that are chosen by a softmax, where two choices are nearly even."""
    boxes = [(10 * i, 0, 10 * i + 10, 10) for i in range(20)]
    inner = of_boxes(boxes, channels=12)

    def entering(pictures):
        # what is added to the noise is too little to move a byte across this border
        loud = [pictures[0][0, x0, 0] > 156 for x0, *_ in boxes]
        return inner(pictures) * torch.tensor([30.0 if at else 1.0 for at in loud] + [1.0])[:, None].double()

    looks = measure_looks(entering, [(10, 200)])
    stated = torch.tensor([[10.0 * i + 5, 5.0] for i in range(20)])
    assert (looks.centre[:20] - stated).abs().max() < 2.5
