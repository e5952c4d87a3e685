"""Maps through frames agree with the usual bilinear resize and with a slow reference."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.ops.coordinates import (
    align_corners_to_edge,
    edge_to_align_corners,
    edge_to_grid_sample,
    edge_to_index,
    edge_to_normalised,
    grid_sample_to_edge,
    index_to_edge,
    normalised_to_edge,
    udp_to_edge,
)
from isotherm.ops.resample import seen, to_frame, to_source


def slow(values, frame, target, outside):
    """Bilinear by hand, one cell at a time, float64."""
    h, w = values.shape
    out = torch.zeros(target.size, dtype=torch.float64)
    centres = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in target.size)).flip(-1)
    places = frame.points_from_source(target.points_to_source(centres)).view(*target.size, 2).tolist()
    values = values.numpy()
    for i in range(target.size[0]):
        for j in range(target.size[1]):
            x, y = places[i][j]
            if outside != "edge" and not (0 <= x <= w and 0 <= y <= h):
                out[i, j] = math.nan if outside == "nan" else 0.0
                continue
            u, v = min(max(x - 0.5, 0), w - 1), min(max(y - 0.5, 0), h - 1)
            x0, y0 = min(int(u), max(w - 2, 0)), min(int(v), max(h - 2, 0))
            x1, y1 = min(x0 + 1, w - 1), min(y0 + 1, h - 1)
            a, b = u - x0, v - y0
            out[i, j] = (
                values[y0, x0] * (1 - a) * (1 - b)
                + values[y0, x1] * a * (1 - b)
                + values[y1, x0] * (1 - a) * b
                + values[y1, x1] * a * b
            )
    return out


FRAMES = {
    "letterbox": Frame.letterbox((30, 40), (32, 32)).to_grid(stride=4),
    "crop": Frame.identity((30, 40)).cropped((5, 4, 25, 24)).to_grid(size=(5, 5)),
    "flip": Frame.resize((30, 40), (16, 16)).flipped().to_grid(size=(7, 6)),
    "rotation": Frame.identity((30, 40)).rotated(33).to_grid(size=(6, 8)),
    "one cell": Frame.identity((30, 40)).to_grid(size=(1, 1)),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("outside", ["zero", "edge", "nan"])
def test_against_the_slow_reference(name, outside):
    frame = FRAMES[name]
    values = torch.rand(frame.size, dtype=torch.float64)
    source = Frame.identity((30, 40))
    out = to_frame(values, frame, source, outside=outside)
    torch.testing.assert_close(out, slow(values, frame, source, outside), atol=1e-9, rtol=0, equal_nan=True)


def test_a_stretched_map_is_what_interpolate_gives():
    values = torch.rand(2, 7, 9)
    frame = Frame.identity((100, 130)).to_grid(size=(7, 9))
    expected = F.interpolate(values[None], (100, 130), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(to_source(values, frame), expected, atol=5e-6, rtol=0)


def test_batches_with_a_frame_each():
    frames = Frame.stack([Frame.letterbox((30, 40), (32, 32)), Frame.resize((30, 40), (32, 32))])
    values = torch.rand(2, 32, 32)
    out = to_source(values, frames)
    for i in range(2):
        torch.testing.assert_close(out[i], to_source(values[i], frames[i]))


def test_sources_of_different_sizes_have_no_common_raster():
    frames = Frame.stack([Frame.resize((30, 40), (8, 8)), Frame.resize((31, 40), (8, 8))])
    with pytest.raises(ShapeError, match="one at a time"):
        to_source(torch.rand(2, 8, 8), frames)
    with pytest.raises(ShapeError, match="cells"):
        to_source(torch.rand(9, 8), frames[0])


def test_what_was_cropped_away_is_unseen():
    mask = seen(Frame.identity((30, 40)).cropped((5, 4, 25, 24)))
    assert mask[4:24, 5:25].all()
    assert int(mask.sum()) == 400


def test_differentiable():
    frame = FRAMES["letterbox"]
    values = torch.rand(frame.size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: to_source(v, frame), values)
    rotated = FRAMES["rotation"]
    values = torch.rand(rotated.size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: to_source(v, rotated), values)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_half(dtype):
    assert to_source(torch.rand(8, 8).to(dtype), FRAMES["letterbox"]).dtype == dtype


def test_named_conventions_by_hand():
    size = (10, 20)  # h, w
    p = torch.tensor([[5.0, 2.0]])
    assert index_to_edge(p).tolist() == [[5.5, 2.5]]
    assert normalised_to_edge(torch.tensor([[0.25, 0.2]]), size).tolist() == [[5.0, 2.0]]
    assert grid_sample_to_edge(torch.tensor([[-1.0, 1.0]]), size).tolist() == [[0.0, 10.0]]
    assert align_corners_to_edge(torch.tensor([[-1.0, 1.0]]), size).tolist() == [[0.5, 9.5]]
    # UDP: the last cell's centre is the last pixel's centre
    assert udp_to_edge(torch.tensor([[4.0, 4.0]]), (5, 5), (10, 20)).tolist() == [[19.5, 9.5]]
    for there, back in [
        (lambda q: edge_to_index(q), index_to_edge),
        (lambda q: edge_to_normalised(q, size), lambda q: normalised_to_edge(q, size)),
        (lambda q: edge_to_grid_sample(q, size), lambda q: grid_sample_to_edge(q, size)),
        (lambda q: edge_to_align_corners(q, size), lambda q: align_corners_to_edge(q, size)),
    ]:
        torch.testing.assert_close(back(there(p)), p)


def test_grid_sample_convention_is_torchs():
    values = torch.rand(1, 1, 10, 20)
    p = torch.rand(5, 2) * torch.tensor([18.0, 8.0]) + 1
    grid = edge_to_grid_sample(p, (10, 20))[None, None]
    half = F.grid_sample(values, grid, align_corners=False)
    corners = F.grid_sample(values, edge_to_align_corners(p, (10, 20))[None, None], align_corners=True)
    torch.testing.assert_close(half, corners, atol=1e-5, rtol=0)


@pytest.mark.parametrize("outside", ["zero", "edge", "nan"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_gap_stays_where_it_is(outside, turned):
    values = torch.rand(6, 8)
    values[2, 3], values[4, 6] = torch.nan, -torch.inf
    frame = Frame.identity((12, 16)).to_grid(stride=2)
    target = Frame.identity((12, 16)).rotated(3) if turned else Frame.identity((12, 16))
    out = to_frame(values, frame, target, outside=outside)
    inside = to_frame(torch.ones(6, 8), frame, target, mode="nearest") > 0
    gaps = torch.isnan(out) & inside
    assert 2 * 4 - 2 <= int(gaps.sum()) <= 2 * 4 + 2  # the pixels of the two cells, and no more
    full = to_frame(torch.where(torch.isfinite(values), values, 0.5), frame, target, outside=outside)
    far = inside & ~torch.nn.functional.max_pool2d(gaps[None].float(), 5, 1, 2)[0].bool()
    torch.testing.assert_close(out[far], full[far])
