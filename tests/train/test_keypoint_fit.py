"""Pictures that are stretched into the input: every figure is still one of the picture as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.data.keypoint_augment import Augmentation
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.points import Points, State
from isotherm.train.keypoint_build import ModelChoice, TrainedKeypoints, make_model, open_keypoints, save_keypoints
from isotherm.train.keypoint_data import DataChoice, Source
from isotherm.train.keypoint_model import Objective
from isotherm.train.keypoint_predict import predict_pictures
from isotherm.train.keypoint_validate import judge
from isotherm.train.keypoints import Batch, KeypointTraining, make_batch, outside

SIDE = 64
SIZES = ((60, 200), (240, 90), (100, 100))
ENDS = (((40.0, 20.0), (160.0, 42.0)), ((30.0, 60.0), (62.0, 190.0)), ((25.0, 25.0), (70.0, 80.0)))


def line(size, ends):
    """A picture with a red and a green blob, the ends of a line, at 50 pixels a centimetre."""
    ys, xs = np.mgrid[: size[0], : size[1]] + 0.5
    picture = np.zeros((*size, 3), np.uint8)
    for channel, (x, y) in enumerate(ends):
        picture[:, :, channel] = 250 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 4.0**2))
    return KeypointRecord(
        picture=picture,
        points=torch.tensor(ends),
        state=torch.ones(2, dtype=torch.long),
        px_per_cm=50.0,
        group="Hawaii",
        name=f"{size}",
    )


LINES = KeypointSet(
    records=[line(size, ends) for size, ends in zip(SIZES, ENDS, strict=True)],
    names=("a", "b"),
    lines={"length": (0, 1)},
)


class Seeing(nn.Module):
    """Finds each blob: a map whose softmax is its channel's light."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, pictures):
        return (pictures[:, :2] + 1e-7).log() + self.bias

    def output_frame(self, frame):
        return frame


def test_figures_are_of_the_picture_as_it_was(tmp_path):
    data = cache_keypoints(LINES, tmp_path, side=SIDE, fit="stretch")
    assert data.frame.cell_size[0].tolist() == [60 / SIDE, 200 / SIDE]  # one frame, two scales
    judged = judge(Seeing(), Objective(decoder="soft_argmax"), data, LINES, size=(SIDE, SIDE), draws=1)
    figures = judged.report.rows[0].figures
    truth = torch.tensor(ENDS)
    assert float((judged.points.xy - truth).norm(dim=-1).max()) < 0.5
    assert figures["point_err_px"].mean < 0.3
    assert figures["length_line_err_cm"].mean < 0.4 / 50
    # the same places on an input that says nothing of the scales are far off
    wrong = (judged.points.xy / data.frame.cell_size.flip(-1)[:, None].float() - truth).norm(dim=-1)
    assert float(wrong[:2].min()) > 10


def test_a_model_keeps_how_its_pictures_were_fitted(tmp_path):
    choice = ModelChoice(widths=(8, 16), depth=1, head_options={"widths": (8,), "groups": 4})
    model = make_model(choice, 2, size=(SIDE, SIDE)).eval()
    stretched, boxed = (
        TrainedKeypoints(
            model=model, choice=choice, objective=Objective(), size=(SIDE, SIDE), names=LINES.names, fit=fit
        )
        for fit in ("stretch", "letterbox")
    )
    again = open_keypoints(save_keypoints(stretched, tmp_path / "model.safetensors"))
    assert again.fit == "stretch"
    picture = LINES[0].picture
    found, other = (predict_pictures(one, [picture]).xy for one in (again, boxed))
    assert torch.equal(found, predict_pictures(stretched, [picture]).xy)
    assert not torch.equal(found, other)


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(crop=(0.5, 1.0), degrees=180, turn=0.75)])
def test_training_shows_blobs_under_their_points(tmp_path, augmentation):
    data = cache_keypoints(LINES, tmp_path, side=80, fit="stretch")
    config = KeypointTraining(size=(SIDE, SIDE), augmentation=augmentation, seed=1)
    index = torch.arange(3).repeat(40)
    batch = make_batch(data, index, torch.arange(120), config, swaps=(), device=torch.device("cpu"))
    cells = batch.frame.points_from_source(batch.points.xy)
    seen = ((cells > 14) & (cells < SIDE - 14)).all(-1)
    assert seen.sum() > 10
    at = torch.arange(SIDE) + 0.5
    light = batch.pictures[:, :2][seen]
    light = light / light.sum((-2, -1), keepdim=True)
    centre = torch.stack([(light.sum(-2) * at).sum(-1), (light.sum(-1) * at).sum(-1)], -1)
    torch.testing.assert_close(centre, cells[seen].float(), atol=0.35, rtol=0)


def test_crops_have_their_shape_in_the_picture_and_not_in_the_stretched_one(tmp_path):
    data = cache_keypoints(LINES, tmp_path, side=80, fit="stretch")
    config = KeypointTraining(size=(SIDE, SIDE), augmentation=Augmentation(crop=(0.2, 0.4), ratio=(0.75, 1.333)))
    index = torch.arange(3).repeat(30)
    batch = make_batch(data, index, torch.arange(90), config, swaps=(), device=torch.device("cpu"))
    high, wide = (batch.frame.cell_size * SIDE).T
    assert float((wide / high).min()) > 0.749
    assert float((wide / high).max()) < 1.334


def test_the_share_of_points_outside_of_what_is_shown():
    """Of points whose place is known: one left of the first picture, one below the second, one inside, one unknown."""
    frame = Frame.stack([Frame.resize((10, 20), (40, 40))] * 2)
    points = torch.tensor([[[-1.0, 5.0], [19.0, 5.0]], [[5.0, 11.0], [torch.nan, torch.nan]]])
    state = torch.tensor([[State.LABELLED, State.LABELLED], [State.LABELLED, State.UNLABELLED]]).long()
    batch = Batch(torch.zeros(2, 3, 40, 40), frame, Points(points, state=state))
    assert outside(batch) == pytest.approx(2 / 3)
    none = Batch(batch.pictures, frame, Points(points * torch.nan, state=torch.full((2, 2), int(State.UNLABELLED))))
    assert outside(none) == 0


@pytest.mark.usefixtures("unchecked")
def test_a_misspelt_fit_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"fit is 'strech'.*did you mean 'stretch'"):
        DataChoice(train=(Source(format="generated"),), fit="strech")
    with pytest.raises(OptionError, match="fit is 'strech'"):
        cache_keypoints(LINES, tmp_path, side=8, fit="strech")


@pytest.mark.parametrize("size", [(0, 32), (32, -1)])
def test_an_input_without_pixels_is_refused(size):
    with pytest.raises(OptionError, match=r"size is .*; expected \(h, w\) of the model's input"):
        KeypointTraining(size=size)
