"""Points: what is accepted, and how places and covariances go through frames."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.points import Points, State, from_coco_visibility


def some(*batch):
    spread = torch.randn(*batch, 3, 2, 2)
    return Points(torch.rand(*batch, 3, 2) * 8, spread @ spread.transpose(-1, -2) + torch.eye(2), torch.rand(*batch, 3))


def test_from_cells_by_hand():
    frame = Frame.letterbox((480, 640), (256, 256)).to_grid(
        stride=4
    )  # 10 source pixels a cell, 8 cells of padding above
    points = Points.from_cells(frame, torch.tensor([[32.0, 32.0], [0.0, 8.0]]), covariance=torch.eye(2).expand(2, 2, 2))
    torch.testing.assert_close(points.xy, torch.tensor([[320.0, 240.0], [0.0, 0.0]]))
    torch.testing.assert_close(points.covariance, 100 * torch.eye(2).expand(2, 2, 2))
    torch.testing.assert_close(points.deviation, torch.full((2,), 10.0))


def test_there_and_back_through_a_batch_of_frames():
    frame = Frame.stack([Frame.resize((40, 60), (16, 16)).rotated(20), Frame.resize((80, 30), (16, 16)).flipped()])
    points = some(2)
    there = points.to_cells(frame)
    back = Points.from_cells(frame, there.xy, covariance=there.covariance)
    torch.testing.assert_close(back.xy, points.xy, atol=1e-4, rtol=0)
    torch.testing.assert_close(back.covariance, points.covariance, atol=1e-3, rtol=1e-4)


def test_covariance_turns_with_the_points():
    """The covariance of a cloud that went through a frame is that of the cloud, gone through it."""
    frame = Frame.identity((20, 30)).rotated(35).to_grid(stride=2)
    spread = torch.tensor([[2.0, 0.7], [0.7, 1.0]])
    cloud = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1)) @ torch.linalg.cholesky(spread).T + 5
    moved = frame.points_to_source(cloud)
    points = Points.from_cells(frame, cloud.mean(0, keepdim=True), covariance=spread[None])
    torch.testing.assert_close(points.covariance[0], torch.cov(moved.T), rtol=0.02, atol=0.05)


def test_a_frame_batched_as_the_first_dimensions():
    frame = Frame.stack([Frame.resize((40, 60), (16, 16)), Frame.resize((80, 30), (16, 16))])
    points = some(2, 5)
    for i in range(2):
        torch.testing.assert_close(points.to_cells(frame)[i].xy, points[i].to_cells(frame[i]).xy)


def test_indexing():
    points = some(4)
    assert len(points) == 4
    assert points[1].covariance.shape == (3, 2, 2)
    assert [p.xy.shape for p in points[1:3]] == [(3, 2)] * 2
    with pytest.raises(ShapeError, match="not batched"):
        points[0][0]
    assert Points(torch.zeros(0, 2))


def test_coco():
    states = from_coco_visibility(torch.tensor([0, 1, 2]))
    assert states.tolist() == [State.UNLABELLED, State.OCCLUDED, State.LABELLED]
    with pytest.raises(OptionError, match="has the value 3"):
        from_coco_visibility(torch.tensor([0, 3]))


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"\(\*batch, n, 2\)"):
        Points(torch.zeros(3, 3))
    with pytest.raises(ShapeError, match="floating point"):
        Points(torch.zeros(3, 2, dtype=torch.long))
    with pytest.raises(ShapeError, match=r"score has shape \(2,\)"):
        Points(torch.zeros(3, 2), score=torch.zeros(2))
    with pytest.raises(ShapeError, match="no covariance"):
        Points(torch.zeros(3, 2)).deviation  # noqa: B018
    with pytest.raises(ShapeError, match="first dimensions"):
        some(2).to_cells(Frame.resize((8, 8), (4, 4)).expanded(3))
