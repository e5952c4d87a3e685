"""What is not known of gaze reaches no model, and every variant of an ablation changes what it says it changes."""

from __future__ import annotations

import pytest
import torch

from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError, ShapeError
from isotherm.gaze.inputs import GazeInputs, derangement

SIZE = (16, 32)
T, M, OUT = (int(s) for s in GazeState)


def gaze_of(state: list[list[int]], *, maps: bool = False) -> GazeInputs:
    b, t = len(state), len(state[0])
    number = torch.arange(b * t).view(b, t).float()
    xy = torch.stack([number, number / 2], dim=-1)
    given = number[..., None, None].expand(b, t, 2, 4) + 1 if maps else None
    return GazeInputs(xy, torch.tensor(state), torch.ones(b, t), torch.arange(1.0 - t, 1).expand(b, t), SIZE, given)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_is_not_tracked_has_no_place_no_confidence_and_no_map():
    gaze = gaze_of([[T, M, OUT]] * 2, maps=True)
    assert gaze.xy.tolist() == [[[0, 0], [0, 0], [0, 0]], [[3, 1.5], [0, 0], [0, 0]]]
    assert gaze.confidence.tolist() == [[1, 0, 0]] * 2
    assert gaze.maps[1, :, 0, 0].tolist() == [4, 0, 0]
    assert gaze.places[1, 0].tolist() == [3 / 32, 1.5 / 16]


def test_not_a_number_where_nothing_is_known_is_no_error():
    xy = torch.full((1, 2, 2), torch.nan)
    nothing = torch.zeros(1, 2)
    assert GazeInputs(xy, torch.tensor([[M, OUT]]), nothing, nothing, SIZE).xy.tolist() == [[[0, 0], [0, 0]]]
    with pytest.raises(OptionError, match="not finite"):
        GazeInputs(xy, torch.tensor([[T, OUT]]), nothing, nothing, SIZE)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"xy": torch.zeros(1, 3, 2)}, ShapeError, r"xy has shape \(1, 3, 2\); expected \(1, 2, 2\)"),
        ({"confidence": torch.zeros(2, 2)}, ShapeError, "confidence"),
        ({"maps": torch.zeros(1, 3, 4, 4)}, ShapeError, "maps"),
        ({"state": torch.tensor([[0, 3]])}, OptionError, "a state is 3; expected 0 \\(TRACKED\\)"),
        ({"time_s": torch.tensor([[0.0, 0.5]])}, OptionError, "0.5 s after the end of the clip"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, error, words):
    parts = dict(xy=torch.zeros(1, 2, 2), state=torch.zeros(1, 2, dtype=torch.long))
    parts |= dict(confidence=torch.zeros(1, 2), time_s=torch.zeros(1, 2), size=SIZE)
    GazeInputs(**parts)
    with pytest.raises(error, match=words):
        # shapes are refused by the tests' checker too, so the message is looked for without it
        GazeInputs.__post_init__(stub(**(parts | change)))


def stub(**parts) -> GazeInputs:
    gaze = object.__new__(GazeInputs)
    gaze.__dict__.update({"maps": None} | parts)
    return gaze


def test_dropout_takes_whole_clips_or_frames_and_is_seeded():
    gaze = gaze_of([[T] * 8] * 200)
    clips = gaze.with_dropout(0.25, seeded())
    gone = clips.state == M
    assert ((gone.sum(1) == 0) | (gone.sum(1) == 8)).all()
    assert 0.15 < gone.float().mean() < 0.35
    assert clips.xy[gone].abs().sum() == 0
    assert torch.equal(gone, gaze.with_dropout(0.25, seeded()).state == M)
    assert not torch.equal(gone, gaze.with_dropout(0.25, seeded(1)).state == M)
    frames = gaze.with_dropout(0.25, seeded(), unit="frame").state == M
    assert 0.2 < frames.float().mean() < 0.3
    assert ((frames.sum(1) > 0) & (frames.sum(1) < 8)).float().mean() > 0.8
    assert not (gaze.with_dropout(0, seeded()).state == M).any()
    assert (gaze.with_dropout(1, seeded()).state == M).all()
    with pytest.raises(OptionError, match="share is 2"):
        gaze.with_dropout(2, seeded())


def test_shuffled_gives_every_clip_the_gaze_of_another():
    gaze = gaze_of([[T, T]] * 4, maps=True)
    order = derangement(4, seeded())
    other = gaze.shuffled(order)
    assert torch.equal(other.xy, gaze.xy[order])
    assert torch.equal(other.maps, gaze.maps[order])
    with pytest.raises(OptionError, match="each of 0 to 3 once"):
        gaze.shuffled([0, 0, 1, 2])


@pytest.mark.parametrize("n", [2, 3, 64])
def test_a_derangement_leaves_nothing_at_its_place(n):
    for seed in range(20):
        order = derangement(n, seeded(seed))
        assert sorted(order.tolist()) == list(range(n))
        assert not (order == torch.arange(n)).any()


def test_shifted_goes_round_and_keeps_the_times():
    gaze = gaze_of([[T, M, T, T]], maps=True)
    later = gaze.shifted(1)
    assert later.state.tolist() == [[T, T, M, T]]
    assert later.xy[0, 1].tolist() == gaze.xy[0, 0].tolist()
    assert later.maps[0, 0, 0, 0] == gaze.maps[0, 3, 0, 0]
    assert torch.equal(later.time_s, gaze.time_s)
    assert torch.equal(gaze.shifted(4).xy, gaze.xy)


def test_centred_looks_at_the_middle_of_every_frame():
    gaze = gaze_of([[T, M, OUT]], maps=True).centred()
    assert gaze.xy.tolist() == [[[16, 8]] * 3]
    assert gaze.state.tolist() == [[T] * 3]
    assert gaze.maps is None


def test_maps_alone_give_their_centres_of_mass():
    maps = torch.zeros(1, 3, 4, 8)
    maps[0, 0, 1, 2] = 2.0
    maps[0, 1, 0, 0] = maps[0, 1, 3, 7] = 0.5
    state = torch.tensor([[T, T, T]])
    gaze = GazeInputs.of_maps(maps, state=state, time_s=torch.zeros(1, 3), size=SIZE)
    # cells are 4 x 4 pixels: the middle of cell (1, 2) is x = 10, y = 6; an empty map has its place in the middle
    assert gaze.xy[0].tolist() == [[10, 6], [16, 8], [16, 8]]


def test_batches_are_joined_and_taken_apart():
    gaze = gaze_of([[T, M], [T, T], [OUT, T]])
    again = GazeInputs.joined([gaze.clips([0]), gaze.clips([1, 2])])
    assert torch.equal(again.xy, gaze.xy)
    assert torch.equal(again.state, gaze.state)
    assert len(again) == 3
    assert again.frames == 2
    with pytest.raises(ShapeError, match="all alike"):
        GazeInputs.joined([gaze, GazeInputs.missing(1, 3, SIZE)])
