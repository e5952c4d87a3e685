"""Clips of real video files as a set to train on: the right frames and gaze, whatever else is asked for or left out."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.states import GazeState
from isotherm.errors import InputError, OptionError
from isotherm.train.anticipation import videos
from isotherm.train.anticipation.clip_data import ClipData
from isotherm.train.anticipation.read import read_clips, read_judged
from isotherm.train.anticipation.source import ClipsChoice
from isotherm.train.recipe import from_plain
from rigs.action_videos import RATE, plain_videos, write_actions, write_videos

HELD = [{"file": "validation.csv", "videos": "{video}.mp4", "gaze": "gaze/{video}.parquet"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_videos(folder)
    write_actions(folder)
    write_actions(folder, ("P01_02",), name="validation.csv", rows=((1.9, 0, 8), (2.4, 5, 8)))
    return folder


def clips(folder, *, skip_bad=False, **data):
    heard = []
    choice = from_plain(ClipsChoice, plain_videos(folder, **data))
    training, validation = read_clips(choice, root=folder, skip_bad=skip_bad, say=lambda m: heard.append(str(m)))
    return training, validation, heard


def test_frames_and_gaze_are_those_before_the_action(folder):
    _, validation, heard = clips(folder, validation=HELD)
    assert isinstance(validation, ClipData)
    batch = validation.batch(torch.tensor([0]))
    # the action begins at 1.9 s and the clip ends 0.2 s before it: 0.7, 0.95, 1.2 and 1.45 s
    numbers = torch.tensor([14.0, 19.0, 24.0, 29.0])
    expected = torch.stack([(2 * numbers - 24) / 3, numbers / 3], -1)  # the middle 48 pixels on 16
    tracked = torch.tensor([True, True, True, True])
    assert torch.equal(batch.gaze.tracked[0], tracked)
    torch.testing.assert_close(batch.gaze.xy[0], expected)
    torch.testing.assert_close(batch.gaze.time_s[0], numbers / RATE - 1.7)
    assert batch.ahead_s.tolist() == pytest.approx([0.2])
    assert batch.video.shape == (1, 4, 3, 16, 16)
    # a stripe of colour in the lower half moves by 3 pixels a frame
    assert not torch.equal(batch.video[0, 0], batch.video[0, 1])
    assert validation.labels.tolist() == [[0, 0, 0], [-1, 0, -1]]
    assert any("1 of 2 actions are of 1 pairs that were not learnt" in line for line in heard)


def test_training_draws_anew_in_every_epoch_by_the_clips_own_numbers(folder):
    training, _, _ = clips(folder, augmentation={"flip": 0.5})
    index, epoch = torch.tensor([4, 1]), torch.tensor([0, 3])
    both, alone = training.batch(index, epoch), training.batch(index[1:], epoch[1:])
    assert torch.equal(both.video[1], alone.video[0])
    assert torch.equal(both.gaze.xy[1], alone.gaze.xy[0])
    again = [training.batch(index[1:], torch.tensor([e])) for e in range(4)]
    assert len({round(float(b.ahead_s[0]), 6) for b in again}) == 4
    assert all(0.1 <= float(b.ahead_s[0]) <= 0.5 for b in again)
    assert not torch.equal(again[0].video, again[1].video)
    assert "every epoch" in training.changes
    fixed, _, _ = clips(folder, training_anticipation_s=[0.2, 0.2], augmentation={"flip": 0.5})
    crops = [fixed.batch(index[1:], torch.tensor([e])) for e in range(2)]
    assert torch.equal(crops[0].ahead_s, crops[1].ahead_s)
    assert not torch.equal(crops[0].video, crops[1].video)
    assert clips(folder, training_anticipation_s=[0.2, 0.2])[0].changes == ""


def test_pictures_and_gaze_are_mirrored_together(folder):
    plain, _, _ = clips(folder, training_anticipation_s=[0.2, 0.2])
    whole = {"area": [1.0, 1.0], "ratio": [2.0, 2.0], "flip": 1.0}
    mirrored, _, _ = clips(folder, training_anticipation_s=[0.2, 0.2], augmentation=whole)
    one, index = torch.tensor([1]), torch.zeros(1, dtype=torch.long)
    batch = mirrored.batch(one, index)
    numbers = torch.tensor([14.0, 19.0, 24.0, 29.0])
    torch.testing.assert_close(batch.gaze.xy[0, :, 0], 16 - 2 * numbers * 16 / 96)
    # the set without augmentation, and this one where nothing is to be changed, show the same
    assert torch.equal(plain.batch(one, index).video, mirrored.batch(one).video)


def test_a_missing_video_stops_or_is_left_out_and_changes_nothing_of_the_others(folder):
    write_actions(folder, ("P01_00", "P01_01", "P01_03"), name="more.csv")
    source = {"file": "more.csv", "videos": ".", "gaze": "gaze"}
    with pytest.raises(InputError, match=r"6 actions have no video.*P01_00.*P01_00\.mp4.*P01_03"):
        clips(folder, train=[source])
    training, _, heard = clips(folder, train=[source], skip_bad=True)
    assert len(training) == 3
    assert sum("3 actions are left out" in line for line in heard) == 2
    write_videos(folder, ("P01_00",))
    more, _, _ = clips(folder, train=[source], skip_bad=True)
    (folder / "P01_00.mp4").unlink()
    first, same = torch.tensor([0]), torch.tensor([3])
    epoch = torch.tensor([2])
    assert torch.equal(training.batch(first, epoch).video, more.batch(same, epoch).video)


def test_a_video_that_is_none_and_one_that_breaks_off(folder):
    write_actions(folder, ("P01_01", "P01_04"), name="bad.csv")
    (folder / "P01_04.mp4").write_bytes(b"no video")
    source = {"file": "bad.csv", "videos": "."}
    with pytest.raises(InputError, match=r"P01_04\.mp4"):
        clips(folder, train=[source])
    training, _, heard = clips(folder, train=[source], skip_bad=True)
    assert len(training) == 3
    assert any("P01_04.mp4" in line and "left out" in line for line in heard)
    training.fpath(0).rename(folder / "away.mp4")
    try:
        batch = training.batch(torch.tensor([0, 0]))
    finally:
        (folder / "away.mp4").rename(folder / "P01_01.mp4")
    assert batch.labels.tolist() == [[-1, -1, -1]] * 2
    assert bool((batch.gaze.state == int(GazeState.MISSING)).all())


def test_missing_gaze_is_said_once_and_is_not_zeros(folder):
    write_actions(folder, ("P01_01", "P01_02"), name="two.csv")
    training, _, heard = clips(
        folder, train=[{"file": "two.csv", "videos": ".", "gaze": "gaze/{participant}/{video}.zarr"}]
    )
    batch = training.batch(torch.arange(6))
    assert bool((batch.gaze.state == int(GazeState.MISSING)).all())
    lacking = [line for line in heard if "there is no gaze of P01_0" in line]
    assert len(lacking) == 2
    assert "gaze/P01/P01_01.zarr" in lacking[0]
    (folder / "broken").mkdir(exist_ok=True)
    (folder / "broken" / "P01_01.parquet").write_bytes(b"PAR")
    training, _, heard = clips(folder, train=[{"file": "two.csv", "videos": ".", "gaze": "broken"}])
    assert bool((training.batch(torch.arange(3)).gaze.state == int(GazeState.MISSING)).all())
    assert sum("P01_01.parquet" in line for line in heard) == 1


def test_two_recordings_and_two_files_of_one_video_are_said(folder):
    both = folder / "both"
    (both / "P01").mkdir(parents=True)
    for name in ("P01_01.parquet", "P01/P01_01.parquet"):
        shutil.copy(folder / "gaze" / "P01_01.parquet", both / name)
        shutil.copy(folder / "P01_01.mp4", (both / name).with_suffix(".mp4"))
    write_actions(folder, ("P01_01",), name="one.csv")
    training, _, heard = clips(folder, train=[{"file": "one.csv", "videos": "both", "gaze": "both"}])
    training.batch(torch.arange(3))
    for word, ending in (("gaze of", "parquet"), ("a video", "mp4")):
        lines = [line for line in heard if word in line and "the first is read" in line]
        assert len(lines) == 1
        assert f"both/P01_01.{ending} and at" in lines[0]
        assert f"both/P01/P01_01.{ending}" in lines[0]


def test_gaze_of_a_smaller_copy_is_scaled_and_that_of_another_shape_refused(folder):
    times = np.arange(60) / RATE
    for name, size in (("half", (24, 48)), ("square", (48, 48))):
        (folder / name).mkdir(exist_ok=True)
        xy = np.stack([np.arange(60) % 48 * size[1] / 48, np.arange(60) % 48 * size[0] / 48], -1)
        write_points(GazeRecording.of(times, xy, size=size), folder / name / "P01_01.parquet")
    write_actions(folder, ("P01_01",), name="one.csv")
    source = {"file": "one.csv", "videos": "."}
    half, _, heard = clips(folder, train=[source | {"gaze": "half"}])
    whole, _, _ = clips(folder, train=[source | {"gaze": "gaze"}])
    index = torch.arange(3)
    torch.testing.assert_close(half.batch(index).gaze.xy, whole.batch(index).gaze.xy)
    assert any("are scaled" in line for line in heard)
    with pytest.raises(InputError, match=r"48 x 48 pixels.*another shape"):
        clips(folder, train=[source | {"gaze": "square"}])[0].batch(index)


def test_maps_without_times_are_those_of_the_videos_frames(folder):
    """As old heatmaps are: an array of a map per frame. Points of other videos are drawn beside them."""
    maps = np.zeros((60, 12, 24), np.float32)
    for i in range(60):
        maps[i, i % 48 // 4, i % 48 // 2] = 1
    (folder / "maps").mkdir(exist_ok=True)
    np.savez_compressed(folder / "maps" / "P01_01.npz", heatmaps=maps)
    times = np.arange(60) / RATE
    write_points(GazeRecording.of(times, np.full((60, 2), 40.0), size=(48, 96)), folder / "maps" / "P01_02.parquet")
    training, _, _ = clips(
        folder, train=[{"file": "train.csv", "videos": ".", "gaze": "maps"}], plan={"frames": 4, "rate_hz": 4.0}
    )
    gaze = training.batch(torch.tensor([1, 4])).gaze
    assert gaze.maps is not None
    assert gaze.maps.shape == (2, 4, 16, 16)
    planned = training.planned(1)
    numbers = np.round(planned.time_s * RATE)
    seen = gaze.tracked[0].numpy()
    assert seen.any()
    np.testing.assert_allclose(gaze.xy[0, seen, 0], ((numbers[seen] // 2 * 4 + 2) - 24) / 3, atol=0.2)
    row, column = divmod(int(gaze.maps[1, 0].argmax()), 16)
    assert (row, column) == (13, 5)  # (40, 40) of the video


def test_what_does_not_go_together_is_refused(folder):
    with pytest.raises(OptionError, match="generated clips beside others"):
        clips(folder, validation=[{"format": "generated"}])
    with pytest.raises(OptionError, match=r"a path with \{video\}"):
        clips(folder, train=[{"file": "train.csv", "videos": "{name}.mp4"}])
    with pytest.raises(OptionError, match="legacy"):
        clips(folder, training_legacy_point=[0.0, 0.5])
    write_actions(folder, ("P01_01",), name="late.csv", rows=((9.0, 0, 8),))
    with pytest.raises(InputError, match=r"begins at 9 s, and .*P01_01\.mp4 ends at 2.97 s"):
        clips(folder, train=[{"file": "late.csv", "videos": "."}])


def test_finished_models_are_judged_by_the_classes_of_their_training(folder):
    choice = from_plain(ClipsChoice, plain_videos(folder, held_out=HELD))
    training, _ = read_clips(choice, root=folder)
    judged = read_judged(choice, training.classes, root=folder)
    assert judged.labels.tolist() == [[0, 0, 0], [-1, 0, -1]]
    with pytest.raises(InputError, match=r"2 actions and train\.csv has 3"):
        read_judged(choice, dict(training.classes) | {"action": ("a", "b")}, root=folder)


def test_the_old_protocol_is_said_with_what_it_shows(folder):
    (folder / "EPIC_100_video_info.csv").write_text(
        "video_id,duration,fps,resolution\nP01_01,3.0,20.0,96x48\nP01_02,3.0,20.0,96x48\n"
    )
    try:
        plan = {"frames": 4, "rate_hz": 4.0, "anticipation_s": [0.1, 0.1], "protocol": "legacy"}
        training, _, heard = clips(folder, plan=plan, training_anticipation_s=[0.1, 0.1])
        assert any("clips (100.0%) show the action" in line for line in heard)
        assert training.planned(0).inside.any()
    finally:
        (folder / "EPIC_100_video_info.csv").unlink()


def test_a_clip_that_stays_the_same_is_decoded_once(folder, monkeypatch):
    same = {"training_anticipation_s": [0.2, 0.2]}
    training, _, _ = clips(folder, **same)
    anew, _, _ = clips(folder, memory_mb=0, **same)
    drawn, _, _ = clips(folder)
    reads = []
    real = videos.read_clip
    monkeypatch.setattr(videos, "read_clip", lambda *a, **b: reads.append(a[0]) or real(*a, **b))
    index = torch.tensor([4, 1])
    first = [data.batch(index, torch.tensor([0, 0])) for data in (training, anew, drawn)]
    assert len(reads) == 6
    second = [data.batch(index, torch.tensor([1, 1])) for data in (training, anew, drawn)]
    assert len(reads) == 10  # of the first one none
    for batch in (second[0], first[1], second[1]):
        assert torch.equal(batch.video, first[0].video)
        assert torch.equal(batch.gaze.xy, first[0].gaze.xy)
        assert torch.equal(batch.labels, first[0].labels)
    assert not torch.equal(second[2].video, first[2].video)
    earlier = training.ahead(0.4).batch(index)
    assert len(reads) == 12
    assert not torch.equal(earlier.video, first[0].video)


def test_random_crops_are_made_of_frames_that_were_decoded_once(folder, monkeypatch):
    """How much memory there is decides how often a video is decoded, and never what is shown."""
    same = {"training_anticipation_s": [0.2, 0.2], "augmentation": {"area": [0.5, 1.0]}, "side": 12}
    training, _, _ = clips(folder, **same)
    anew, _, _ = clips(folder, memory_mb=0, **same)
    moving, _, _ = clips(folder, **(same | {"training_anticipation_s": [0.1, 0.3]}))
    reads = []
    real = videos.read_clip

    def read(*arguments, **options):
        reads.append(options["short_side"])
        return real(*arguments, **options)

    monkeypatch.setattr(videos, "read_clip", read)
    index = torch.tensor([4, 1])
    first = [data.batch(index, torch.tensor([0, 0])) for data in (training, anew, moving)]
    second = [data.batch(index, torch.tensor([1, 1])) for data in (training, anew, moving)]
    assert len(reads) == 10  # of the first one none in the second epoch
    # 96 x 48 pixels; the lowest of crops of half the picture has 42 rows, the narrowest 42 columns: 12 are enough
    assert set(reads) == {14}
    for ours, theirs in ((first[0], first[1]), (second[0], second[1])):
        assert torch.equal(ours.video, theirs.video)
        assert torch.equal(ours.gaze.xy, theirs.gaze.xy)
    assert not torch.equal(second[0].video, first[0].video)
    plain = training.batch(index)  # as a model is judged, of the pictures as they are
    assert reads[10:] == [None, None]
    assert torch.equal(plain.video, anew.batch(index).video)
