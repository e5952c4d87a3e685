"""Points move with their pictures, and what the words forbid is never done."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from isotherm.data.grounding.augment import GroundingAugmentation, draw_for_texts
from isotherm.data.grounding.cache import cache_grounding
from isotherm.data.grounding.records import GroundingRecord, GroundingSet, Place
from isotherm.data.keypoint_augment import TURNS, Augmentation
from isotherm.train.grounding.task import AugmentedData

WILD = GroundingAugmentation(
    flip=1.0, vertical_flip=1.0, degrees=60.0, scale=(0.8, 1.25), shift=0.1, hue=0.5, grey=1.0, saturation=1.0
)


def drawn_for(*texts, epoch=0):
    n = len(texts)
    return draw_for_texts(
        WILD, texts, torch.arange(n), seed=3, epoch=torch.full((n,), epoch), cached=(32, 32), size=(32, 32)
    )


def test_pictures_whose_words_name_a_side_are_neither_mirrored_nor_turned():
    drawn = drawn_for("the left-most cup", "the cup", "the bright cup")
    assert drawn.flipped.tolist() == [False, True, True]
    linear = drawn.to_cells[:, :, :2]
    assert linear[0, 0, 1] == linear[0, 1, 0] == 0
    assert bool((linear[1:, 0, 1] != 0).all())
    assert float(linear[0, 0, 0]) > 0
    assert float(linear[0, 1, 1]) > 0
    assert bool((linear[1:, 1, 1] < 0).all())


def test_no_option_that_moves_sides_is_forgotten():
    """Every option is either drawn by what words allow, or leaves left, right, top and bottom where they are."""
    keeps = {"scale", "shift", "crop", "ratio", "turn", "brightness", "contrast", "noise", "hue", "grey", "saturation"}
    names = {f.name for f in fields(Augmentation)}
    assert names - keeps == {*TURNS}


def test_the_words_of_a_picture_decide_about_that_picture(spots):
    """Of a set: the one that names a side keeps its shape, however the others are thrown about."""
    augmentation = GroundingAugmentation(flip=1.0, vertical_flip=1.0, degrees=60.0)
    data = AugmentedData(spots, augmentation, side=48)
    frames = data.batch(torch.tensor([2, 1, 0]), torch.zeros(3, dtype=torch.long), seed=1).frame
    linear = frames.to_source.reshape(3, 2, 3)[:, :, :2]
    assert [bool(m[0, 1] == 0 and m[0, 0] > 0 and m[1, 1] > 0) for m in linear] == [False, True, False]


def test_pictures_whose_words_name_a_colour_keep_it():
    drawn = drawn_for("the red cup", "the cup")
    assert drawn.grey.tolist() == [0.0, 1.0]
    assert drawn.hue[0] == 0
    assert drawn.hue[1] != 0
    assert drawn.colour[0, 2] == 1


def test_what_is_drawn_depends_on_seed_epoch_and_number_alone():
    both, alone = drawn_for("the cup", "the mug"), drawn_for("the cup")
    assert torch.equal(both.to_cells[:1], alone.to_cells)
    assert not torch.equal(drawn_for("the cup", epoch=1).to_cells, alone.to_cells)


@pytest.fixture
def spots(tmp_path):
    """Two pictures of 40 x 60 pixels with a white spot each at the place that is meant; one is asked about twice."""
    records = []
    for i, (x, y) in enumerate([(15, 10), (40, 25)]):
        picture = np.zeros((40, 60, 3), np.uint8)
        picture[y - 2 : y + 2, x - 2 : x + 2] = 255
        for text in ("the spot", "the spot on the left")[: 2 - i]:
            place = Place(torch.tensor([[float(x), float(y)]]))
            records.append(GroundingRecord(pictures=(picture,), text=text, places=((place,),), name=text))
    return cache_grounding(GroundingSet(records=records), tmp_path, side=48)


def test_points_stay_on_what_they_mark(spots):
    augmentation = GroundingAugmentation(flip=0.5, degrees=40.0, scale=(0.9, 1.1), shift=0.05)
    data = AugmentedData(spots, augmentation, side=48)
    for epoch in range(4):
        index = torch.arange(3)
        batch = data.batch(index, torch.full((3,), epoch), seed=1)
        cells = batch.frame.points_from_source(batch.truth.points[:, :, 0])[:, 0, 0]
        bright = batch.pictures[:, 0].float().mean(1)
        grid = torch.arange(48) + 0.5
        x = (bright.sum(1) * grid).sum(1) / bright.sum((1, 2))
        y = (bright.sum(2) * grid).sum(1) / bright.sum((1, 2))
        assert (torch.stack([x, y], -1) - cells).abs().max() < 0.6


def test_a_picture_is_kept_once_however_often_it_is_asked_about(spots):
    assert spots.pictures.shape == (2, 3, 48, 48)
    assert spots.which.tolist() == [[0], [0], [1]]


def test_pictures_that_cannot_be_read_are_left_out_with_their_instructions(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    good = np.zeros((8, 8, 3), np.uint8)
    place = Place(torch.tensor([[1.0, 1.0]]))
    records = [
        GroundingRecord(pictures=(p,), text=t, places=((place,),), origin=f"a.jsonl:{i}")
        for i, (p, t) in enumerate([(tmp_path / "bad.png", "a"), (good, "b")])
    ]
    kept = cache_grounding(GroundingSet(records=records), tmp_path / "cache", side=16, skip_bad=True)
    assert kept.texts == ("b",)
    assert "a.jsonl:0" in kept.skipped[0]
