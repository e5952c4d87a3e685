"""Frames: hand-computed cases, inverse and composition, and real pixels as the judge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import default_collate

from isotherm.errors import FrameError
from isotherm.frame import Frame, compose_affine, invert_affine
from isotherm.ops.resample import to_frame


def points(*xy):
    return torch.tensor([xy] if isinstance(xy[0], int | float) else list(xy), dtype=torch.float64)


HAND = [
    # a 640x480 picture in a 256x256 letterbox: scale 0.4, 192 rows of picture, 32 of padding above
    ("letterbox", Frame.letterbox((480, 640), (256, 256)), (0.0, 32.0), (0.0, 0.0)),
    ("letterbox corner", Frame.letterbox((480, 640), (256, 256), align="corner"), (256.0, 192.0), (640.0, 480.0)),
    ("letterbox, small picture kept", Frame.letterbox((10, 20), (40, 40), enlarge=False), (10.0, 15.0), (0.0, 0.0)),
    ("resize", Frame.resize((100, 50), (10, 10)), (1.0, 1.0), (5.0, 10.0)),
    ("stride drops the remainder", Frame.identity((33, 33)).to_grid(stride=16), (2.0, 2.0), (32.0, 32.0)),
    ("grid by size spans everything", Frame.identity((33, 33)).to_grid(size=(2, 2)), (2.0, 2.0), (33.0, 33.0)),
    ("crop", Frame.identity((100, 100)).cropped((10, 20, 60, 80)), (1.0, 2.0), (11.0, 22.0)),
    ("pad", Frame.identity((100, 100)).padded(3, 4, 5, 6), (3.0, 4.0), (0.0, 0.0)),
    ("flip", Frame.identity((10, 20)).flipped(), (0.0, 3.0), (20.0, 3.0)),
    ("flip vertical", Frame.identity((10, 20)).flipped("vertical"), (4.0, 0.0), (4.0, 10.0)),
    # counter-clockwise as seen: the new top-left corner is the old top-right one
    ("quarter turn", Frame.identity((10, 20)).rotated(90, size=(20, 10)), (0.0, 0.0), (20.0, 0.0)),
]


@pytest.mark.parametrize(("frame", "cell", "pixel"), [h[1:] for h in HAND], ids=[h[0] for h in HAND])
def test_by_hand(frame, cell, pixel):
    torch.testing.assert_close(frame.points_to_source(points(*cell)), points(*pixel))
    torch.testing.assert_close(frame.points_from_source(points(*pixel)), points(*cell))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_is_that_of_the_pixels(turns):
    picture = torch.rand(6, 9)
    source = Frame.identity((6, 9))
    turned = torch.rot90(picture, turns)
    frame = source.rotated(90 * turns, size=tuple(turned.shape))
    torch.testing.assert_close(to_frame(picture, source, frame), turned, atol=1e-5, rtol=0)


@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
def test_flip_is_that_of_the_pixels(direction):
    picture = torch.rand(6, 9)
    source = Frame.identity((6, 9))
    flipped = picture.flip(-1 if direction == "horizontal" else -2)
    torch.testing.assert_close(to_frame(picture, source, source.flipped(direction)), flipped)


def chain(seed: int, length: int, dtype=torch.float64) -> Frame:
    rng = np.random.default_rng(seed)
    frame = Frame.identity((int(rng.integers(50, 2000)), int(rng.integers(50, 2000))))
    for _ in range(length):
        kind = rng.integers(8)
        h, w = frame.size
        if kind == 0:
            frame = frame.resized(tuple(int(v) for v in rng.integers(40, 900, 2)))
        elif kind == 1:
            frame = frame.letterboxed(tuple(int(v) for v in rng.integers(40, 900, 2)))
        elif kind == 2:
            x, y = int(rng.integers(-20, w // 4)), int(rng.integers(-20, h // 4))
            frame = frame.cropped((x, y, x + int(rng.integers(w // 2, w)), y + int(rng.integers(h // 2, h))))
        elif kind == 3:
            frame = frame.flipped("horizontal" if rng.random() < 0.5 else "vertical")
        elif kind == 4:
            frame = frame.rotated(float(rng.uniform(-180, 180)))
        elif kind == 5:
            frame = frame.padded(*(int(v) for v in rng.integers(0, 20, 4)))
        elif kind == 6:
            a = torch.tensor(rng.normal(0, 0.2, (2, 3))) + torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
            frame = frame.warped(a, frame.size)
        else:
            frame = frame.to_grid(stride=2)
        if min(frame.size) < 30:
            frame = frame.resized((64, 96))
    return frame


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_round_trip_of_ten_transforms_in_float32(seed):
    frame = chain(seed, 10)
    there = torch.rand(20, 2) * torch.tensor([frame.size[1], frame.size[0]])
    back = frame.points_from_source(frame.points_to_source(there))
    # in source pixels: a cell may be many pixels wide
    extent = float(frame.cell_size.max())
    scale = float(frame.points_to_source(there).abs().max())
    assert float((back - there).abs().max()) * extent < max(
        1e-4, 4e-7 * scale * float(torch.linalg.cond(frame.to_source[:, :2]))
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_composition_is_one_after_the_other(seed):
    outer = chain(seed, 4)
    inner = Frame.letterbox(outer.size, (120, 160)).flipped().to_grid(stride=4)
    cells = torch.rand(10, 2, dtype=torch.float64) * 40
    both = outer.then(inner).points_to_source(cells)
    torch.testing.assert_close(both, outer.points_to_source(inner.points_to_source(cells)), rtol=1e-9, atol=1e-6)


def test_boxes_are_the_hulls_of_their_corners():
    frame = Frame.identity((100, 200)).rotated(90, size=(200, 100))
    box = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    through = frame.boxes_from_source(frame.boxes_to_source(box))
    torch.testing.assert_close(through, box, atol=1e-4, rtol=0)
    flipped = Frame.identity((100, 200)).flipped().boxes_to_source(box)
    assert flipped.tolist() == [[170.0, 20.0, 190.0, 60.0]]


def test_batched_frames_differ_per_picture():
    frames = [Frame.letterbox(size, (64, 64)) for size in [(100, 50), (50, 100), (64, 64)]]
    batch = Frame.stack(frames)
    cells = torch.rand(3, 5, 2)
    out = batch.points_to_source(cells)
    for i, frame in enumerate(frames):
        torch.testing.assert_close(out[i], frame.points_to_source(cells[i]))
        assert batch[i].allclose(frame)
    assert Frame.cat([batch, batch]).batch_shape == (6,)
    assert len(list(batch)) == 3
    grid = batch.to_grid(stride=16)
    assert grid.size == (4, 4)
    assert grid[1].allclose(frames[1].to_grid(stride=16))


def test_matrices_collate_in_a_data_loader():
    frames = [Frame.letterbox(size, (64, 64)) for size in [(100, 50), (50, 100)]]
    collated = default_collate([{"to_source": f.to_source, "source_size": f.source_size} for f in frames])
    batch = Frame(collated["to_source"], (64, 64), collated["source_size"])
    assert batch.allclose(Frame.stack(frames))


def test_differentiable():
    frame = Frame.letterbox((480, 640), (256, 256)).rotated(30)
    cells = torch.rand(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(frame.points_to_source, cells)
    matrix = torch.rand(3, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(invert_affine, matrix)
    assert torch.autograd.gradcheck(compose_affine, (matrix, matrix))


def test_tiles_cover_everything_and_stay_inside():
    frame = Frame.identity((100, 130))
    tiles = frame.tiles((64, 64), overlap=16)
    covered = torch.zeros(100, 130)
    for tile in tiles:
        ((x0, y0, x1, y1),) = tile.boxes_to_source(torch.tensor([[0.0, 0, 64, 64]])).long().tolist()
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= 130
        assert y1 <= 100
        covered[y0:y1, x0:x1] = 1
    assert bool(covered.all())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Frame.identity((0, 5)), "at least 1"),
        (lambda: Frame.identity((5, 5, 5)), r"\(h, w\)"),
        (lambda: Frame.identity((50, 50)).to_grid(), "exactly one"),
        (lambda: Frame.identity((50, 50)).to_grid(stride=51), "does not fit"),
        (lambda: Frame.identity((50, 50)).cropped((0, 0, 10.5, 3)), "whole numbers"),
        (lambda: Frame.identity((50, 50)).flipped("sideways"), "horizontal"),
        (lambda: Frame.identity((50, 50)).tiles((10, 10), overlap=10), "overlap"),
        (lambda: Frame.stack([]), "empty"),
        (lambda: Frame.stack([Frame.identity((5, 5)), Frame.identity((5, 6))]), "different cell sizes"),
        (lambda: Frame.identity((50, 50)).then(Frame.identity((40, 40))), "same raster"),
        (lambda: Frame.identity((50, 50))[0], "not batched"),
        (lambda: len(Frame.identity((50, 50))), "not batched"),
        (lambda: Frame(torch.eye(2), (5, 5), torch.tensor([5, 5])), "2, 3"),
        (lambda: invert_affine(torch.zeros(2, 3)), "determinant 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be(make, says):
    with pytest.raises(FrameError, match=says):
        make()


class TestMargin:
    """Cells that lie off centre: the raster still speaks for the whole of what it was made from."""

    FRAME = Frame.identity((64, 96)).to_cells((0.5, 0.5), (8.0, 8.0), (8, 12))

    def test_reaches_to_the_limits_of_what_it_was_made_from(self):
        assert self.FRAME.margin == (-0.4375, -0.4375, 0.4375, 0.4375)
        x0, y0, x1, y1 = self.FRAME.limits
        corners = self.FRAME.points_to_source(points((x0, y0), (x1, y1)))
        torch.testing.assert_close(corners, points((0.0, 0.0), (96.0, 64.0)))

    def test_values_end_where_it_ends(self):
        values = torch.rand(8, 12)
        seen = Frame.identity((70, 100)).cropped((2, 3, 98, 67))
        frame = seen.to_cells((0.5, 0.5), (8.0, 8.0), (8, 12))
        source = to_frame(values, frame, Frame.identity((70, 100)))
        assert (source[3:67, 2:98] > 0).all()
        assert not source[:3].any()
        assert not source[:, 98:].any()
        assert source[66, 97] == values[-1, -1]  # continued beyond the last centre
        plain = to_frame(
            values, Frame.identity((70, 100)).cropped((2, 3, 98, 67)).to_grid(stride=8), Frame.identity((70, 100))
        )
        assert not torch.allclose(source, plain)

    def test_centres_are_read_back_exactly(self):
        values = torch.rand(8, 12)
        source = to_frame(values, self.FRAME, Frame.identity((64, 96)))
        torch.testing.assert_close(source[::8, ::8], values)  # cell i is centred on pixel 8 i

    def test_mirrors_and_scales_with_the_raster(self):
        assert self.FRAME.flipped().margin == (0.4375, -0.4375, -0.4375, 0.4375)
        assert self.FRAME.flipped("vertical").margin == (-0.4375, 0.4375, 0.4375, -0.4375)
        assert self.FRAME.resized((4, 24)).margin == (-0.875, -0.21875, 0.875, 0.21875)
        assert self.FRAME.cropped((0, 0, 4, 4)).margin == (0, 0, 0, 0)

    def test_belongs_to_what_a_frame_is(self):
        plain = Frame(self.FRAME.to_source, self.FRAME.size, self.FRAME.source_size)
        assert not plain.allclose(self.FRAME)
        with pytest.raises(FrameError, match="margins"):
            Frame.stack([plain, self.FRAME])
        assert Frame.stack([self.FRAME, self.FRAME])[1].margin == self.FRAME.margin
        with pytest.raises(FrameError, match="four finite"):
            Frame(plain.to_source, plain.size, plain.source_size, (0, 0, float("nan"), 0))
        with pytest.raises(FrameError, match="nothing of a raster"):
            Frame(plain.to_source, plain.size, plain.source_size, (-6, 0, -6, 0))
