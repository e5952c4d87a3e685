"""Box centres, extents and offsets: radius, by hand, CenterNet's drawing, shared cells, states, frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import losses, targets
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.points import State
from oracles import targets as oracle

SIZE = (8, 10)
FRAME = Frame.resize((32, 40), SIZE)  # cells of 4 x 4 pixels


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def one(box, frame=FRAME, **options):
    return targets.boxes(tensor([box]), frame, **({"classes": torch.tensor([0]), "count": 1} | options))


# --- the radius -----------------------------------------------------------------------------------------


def test_the_radius_by_hand_beside_the_common_code():
    """(w, h) = (10, 10), IoU 0.7, both corners inwards: (10 - 2r)^2 = 70, r = (10 - sqrt(70)) / 2 = 0.8167.

    The common code gives 2.73, because its roots are over 2, not 2a: boxes so far apart overlap by 0.21 alone.
    """
    right, common = float(targets.centre_radius(tensor([10, 10]))), oracle.cornernet_radius(10, 10, 0.7)
    assert right == pytest.approx((10 - math.sqrt(70)) / 2, rel=1e-12)
    assert common == pytest.approx(2.7332, abs=1e-4)
    assert oracle.overlap((0, 0, 10, 10), (right, right, 10 - right, 10 - right)) == pytest.approx(0.7)
    assert oracle.overlap((0, 0, 10, 10), (common, common, 10 - common, 10 - common)) == pytest.approx(0.2055, abs=1e-4)


@given(st.floats(0.5, 100), st.floats(0.5, 100), st.floats(0.05, 0.95))
@settings(max_examples=50, deadline=None)
def test_the_radius_beside_bisection(w, h, iou):
    assert float(targets.centre_radius(tensor([w, h]), iou=iou)) == pytest.approx(oracle.radius(w, h, iou), rel=1e-6)


def test_the_radius_at_its_limits():
    point = tensor([[0.0, 0.0]]).requires_grad_()
    targets.centre_radius(point).sum().backward()
    assert point.grad.tolist() == [[0, 0]]
    extent = tensor([[0.0, 5.0], [1e-3, 1e4]])
    got = targets.centre_radius(extent)
    assert got[0] == 0
    assert float(got[1]) == pytest.approx(oracle.radius(1e-3, 1e4, 0.7), rel=1e-6)
    assert torch.autograd.gradcheck(targets.centre_radius, (tensor([[3.0, 4.0]]).requires_grad_(),))
    for iou in (0.0, 1.0):
        with pytest.raises(OptionError, match="expected a number between 0 and 1"):
            targets.centre_radius(extent, iou=iou)


# --- maps -------------------------------------------------------------------------------------------------


def test_by_hand():
    """10 x 6 pixels at (13, 11) centre: 2.5 x 1.5 cells, centre (3.25, 2.75), so cell (3, 2) and offset (0.25, 0.75)."""
    found = one([8, 8, 18, 14], sigma=1.0)
    assert found.supervised.nonzero().tolist() == [[2, 3]]
    torch.testing.assert_close(found.size[:, 2, 3], tensor([2.5, 1.5]))
    torch.testing.assert_close(found.offset[:, 2, 3], tensor([0.25, 0.75]))
    assert found.size.sum() == 4.0
    assert found.offset.sum() == 1.0
    np.testing.assert_allclose(
        found.centres.heatmap.values[0].numpy(), oracle.gaussian(3.25, 2.75, 1, 1, *SIZE), atol=1e-12
    )
    rounded = one([8, 8, 18, 14], sigma=1.0, centre="cell")
    assert rounded.centres.heatmap.values[0, 2, 3] == 1
    np.testing.assert_allclose(
        rounded.centres.heatmap.values[0].numpy(), oracle.gaussian(3.5, 2.5, 1, 1, *SIZE), atol=1e-12
    )
    torch.testing.assert_close(rounded.offset, found.offset)


def test_the_adaptive_width():
    sigma = (2 * oracle.radius(5.0, 4.0, 0.7) + 1) / 6
    found = one([4, 8, 24, 24])
    np.testing.assert_allclose(
        found.centres.heatmap.values[0].numpy(), oracle.gaussian(3.5, 4, sigma, sigma, *SIZE), atol=1e-9
    )


@pytest.mark.parametrize("reach", [0, 1, 3])
def test_parity_with_centernet_draw_umich_gaussian(reach):
    """xingyizhou/CenterNet, utils/image.py: given its sigma, the same inside its windows (1e-6); outside it cuts below 0.012."""
    boxes = tensor([[0, 0, 12, 10], [10, 6, 30, 22], [20, 12, 37, 27]])
    got = targets.boxes(boxes, FRAME, classes=torch.zeros(3).long(), count=1, sigma=(2 * reach + 1) / 6, centre="cell")
    expected = np.zeros(SIZE)
    for x0, y0, x1, y1 in boxes.tolist():
        oracle.draw_umich_gaussian(expected, (int((x0 + x1) / 8), int((y0 + y1) / 8)), reach)
    maps = got.centres.heatmap.values[0].numpy()
    inside = expected > 0
    assert (maps[inside] - expected[inside] < 0.012).all()
    np.testing.assert_allclose(np.where(expected > 0.02, maps, 0), np.where(expected > 0.02, expected, 0), atol=1e-6)
    assert maps[~inside].max() < 0.012


def test_classes_have_maps_of_their_own_and_the_larger_peak_holds():
    boxes = tensor([[0, 0, 8, 8], [8, 0, 16, 8], [0, 0, 8, 8], [16, 16, 24, 24]])
    found = targets.boxes(boxes, FRAME, classes=torch.tensor([2, 2, 0, 2]), count=4, sigma=1.0)
    single = [oracle.gaussian(x, y, 1, 1, *SIZE) for x, y in ((1, 1), (3, 1), (1, 1), (5, 5))]
    expected = np.stack([single[2], np.zeros(SIZE), np.max([single[0], single[1], single[3]], axis=0), np.zeros(SIZE)])
    np.testing.assert_allclose(found.centres.heatmap.values.numpy(), expected, atol=1e-12)
    assert found.centres.state.tolist() == [State.LABELLED, State.ABSENT, State.LABELLED, State.ABSENT]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_in_a_shared_cell_the_smaller_box_wins(order):
    boxes = tensor([[0, 0, 20, 20], [8, 8, 12, 14], [6, 6, 14, 14]])[order]
    found = targets.boxes(boxes, FRAME, classes=torch.zeros(3).long(), count=1)
    assert found.supervised.nonzero().tolist() == [[2, 2]]
    torch.testing.assert_close(found.size[:, 2, 2], tensor([1.0, 1.5]))
    torch.testing.assert_close(found.offset[:, 2, 2], tensor([0.5, 0.75]))


def test_of_equal_boxes_the_first_wins_alone():
    boxes = tensor([[0, 0, 4, 8], [0, 0, 8, 4]]) + 8
    found = targets.boxes(boxes, FRAME, classes=torch.zeros(2).long(), count=1)
    assert found.supervised.sum() == 2
    twins = targets.boxes(
        boxes[[0, 0]] + tensor([[0, 0, 0, 0], [1, 0, 1, 0]]), FRAME, classes=torch.zeros(2).long(), count=1
    )
    assert twins.supervised.sum() == 1
    torch.testing.assert_close(twins.offset[:, 3, 2], tensor([0.5, 0.0]))


@given(
    st.lists(
        st.tuples(st.floats(0, 39), st.floats(0, 31), st.floats(0.5, 20), st.floats(0.5, 20)), min_size=1, max_size=4
    )
)
@settings(max_examples=30, deadline=None)
def test_boxes_come_back_from_their_maps(given_boxes):
    boxes = tensor([[x - w / 2, y - h / 2, x + w / 2, y + h / 2] for x, y, w, h in given_boxes])
    found = targets.boxes(boxes, FRAME, classes=torch.zeros(len(boxes)).long(), count=1, centre="cell")
    for y, x in found.supervised.nonzero().tolist():
        place = found.offset[:, y, x] + tensor([x, y])
        extent = found.size[:, y, x] / 2
        back = FRAME.boxes_to_source(torch.cat([place - extent, place + extent])[None])[0]
        assert float((boxes - back).abs().amax(-1).min()) < 1e-9
    assert found.centres.heatmap.values.amax() == 1


def test_batched_turned_and_flipped_frames():
    frames = Frame.stack([FRAME, FRAME.flipped(), FRAME.rotated(180)])
    box = tensor([[[9, 4, 17, 10]]]).expand(3, 1, 4)
    found = targets.boxes(box, frames, classes=torch.zeros(3, 1).long(), count=1)
    maps = found.centres.heatmap.values[:, 0]
    torch.testing.assert_close(maps[1], maps[0].flip(-1))
    torch.testing.assert_close(maps[2], maps[0].flip((-1, -2)))
    torch.testing.assert_close(found.size.sum((-1, -2)), tensor([[2.0, 1.5]] * 3))
    # centre (13, 7) pixels is (3.25, 1.75) cells, (6.75, 1.75) mirrored and (6.75, 6.25) turned
    torch.testing.assert_close(found.offset.sum((-1, -2)), tensor([[0.25, 0.75], [0.75, 0.75], [0.75, 0.25]]))
    tilted = one([9, 4, 17, 10], FRAME.rotated(90))
    torch.testing.assert_close(tilted.size.sum((-1, -2)), tensor([1.5, 2.0]))


def test_a_size_in_place_of_a_frame():
    box = tensor([[8, 8, 18, 14]])
    plain = targets.boxes(box / 4, SIZE, classes=torch.tensor([0]), count=1)
    torch.testing.assert_close(plain.centres.heatmap.values, one(box[0].tolist()).centres.heatmap.values)
    torch.testing.assert_close(plain.size, one(box[0].tolist()).size)


# --- states and policies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "state", "shown", "supervised"),
    [
        ("background", State.OUT_OF_FRAME, False, 0),
        ("drop", State.UNLABELLED, False, 0),
        ("tail", State.LABELLED, True, 0),
        ("clip", State.LABELLED, True, 1),
    ],
)
def test_centres_outside(policy, state, shown, supervised):
    found = one([-10, 8, 6, 12], off_frame=policy, sigma=1.0)
    assert found.centres.state.tolist() == [state]
    assert bool((found.centres.heatmap.values > 0).any()) is shown
    assert int(found.supervised.sum()) == supervised
    if policy == "tail":
        np.testing.assert_allclose(
            found.centres.heatmap.values[0].numpy(), oracle.gaussian(-0.5, 2.5, 1, 1, *SIZE), atol=1e-12
        )
        for box in ([-10, 8, 6, 12], [38, 8, 54, 12], [8, 28, 12, 48]):
            assert one(box, off_frame=policy, sigma=1.0, centre="cell").centres.heatmap.values.max() < 1


def test_a_centre_on_the_far_edge_belongs_to_the_last_cell():
    found = one([36, 28, 44, 36])
    assert found.supervised.nonzero().tolist() == [[7, 9]]
    torch.testing.assert_close(found.offset[:, 7, 9], tensor([1.0, 1.0]))


@pytest.mark.parametrize(
    ("state", "becomes", "shown"),
    [
        (State.UNLABELLED, State.UNLABELLED, False),
        (State.LABELLED, State.LABELLED, True),
        (State.OCCLUDED, State.LABELLED, True),
        (State.OUT_OF_FRAME, State.LABELLED, True),
        (State.ABSENT, State.ABSENT, False),
    ],
)
def test_every_state(state, becomes, shown):
    found = one([8, 8, 18, 14], state=torch.tensor([int(state)]))
    assert found.centres.state.tolist() == [becomes]
    assert bool(found.supervised.any()) is shown


def test_boxes_that_are_not_known_may_be_anything():
    boxes = torch.tensor([[8.0, 8, 18, 14], [math.nan, 0, 1, 1], [5.0, 5, 1, 1]], requires_grad=True)
    found = targets.boxes(boxes, FRAME, classes=torch.tensor([0, 1, -7]), count=2, state=torch.tensor([1, 1, 0]))
    assert found.centres.state.tolist() == [State.LABELLED, State.UNLABELLED]
    (found.centres.heatmap.values.sum() + found.size.sum() + found.offset.sum()).backward()
    assert bool(torch.isfinite(boxes.grad).all())
    assert boxes.grad[1:].abs().sum() == 0


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_nothing_gives_nothing(shape):
    found = targets.boxes(torch.zeros(*shape, 4), FRAME, classes=torch.zeros(shape).long(), count=3)
    assert found.centres.heatmap.values.shape == (*shape[:-1], 3, *SIZE)
    assert found.size.shape == (*shape[:-1], 2, *SIZE)
    assert not found.supervised.any()
    assert bool((found.centres.state == State.ABSENT).all())


def test_gradients():
    boxes = tensor([[8, 8, 18, 14], [20, 12, 33, 30]]).requires_grad_()

    def parts(b):
        found = targets.boxes(b, FRAME, classes=torch.tensor([0, 1]), count=2)
        return found.centres.heatmap.values, found.size, found.offset

    assert torch.autograd.gradcheck(parts, (boxes,))


def test_the_focal_loss_takes_peaks_on_cells_and_says_so():
    loss = losses.focal(torch.zeros(1, *SIZE), one([8, 8, 18, 14], centre="cell").centres)
    assert bool(torch.isfinite(loss))
    with pytest.raises(OptionError, match="no cell of 1"):
        losses.focal(torch.zeros(1, *SIZE), one([8, 8, 18, 14], sigma=2.0).centres)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"boxes": torch.zeros(2, 3)}, ShapeError, r"boxes have shape \(2, 3\)"),
        ({"boxes": torch.zeros(2, 4).long()}, ShapeError, "dtype torch.int64"),
        ({"classes": torch.zeros(3).long()}, ShapeError, r"classes have shape \(3,\); expected \(2,\)"),
        ({"classes": torch.tensor([0, 2])}, OptionError, "class 2; expected 0 to 1, as count=2 says"),
        ({"count": 0}, OptionError, "count is 0; expected at least one class"),
        ({"centre": "middle"}, OptionError, "centre is 'middle'; expected 'exact' or 'cell'"),
        ({"sigma": -1.0}, OptionError, "sigma_cells is -1"),
        ({"sigma": "wide"}, OptionError, "sigma is 'wide'; expected 'adaptive' or a number of cells"),
        (
            {"boxes": torch.tensor([[5.0, 0, 1, 1], [0, 0, 1, 1]])},
            OptionError,
            r"a box is \[5.0, 0.0, 1.0, 1.0\]; expected \(x0, y0, x1, y1\)",
        ),
        ({"off_frame": "wrap"}, OptionError, "off_frame is 'wrap'"),
        ({"state": torch.ones(3).long()}, ShapeError, r"state has shape \(3,\)"),
    ],
)
def test_mistakes(change, error, message, unchecked):
    options = {"boxes": torch.ones(2, 4), "frame": FRAME, "classes": torch.zeros(2).long(), "count": 2} | change
    with pytest.raises(error, match=message):
        targets.boxes(**options)
