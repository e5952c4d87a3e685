"""Clips whose moments are drawn anew are picked from frames that were decoded once, and are the same to the bit."""

from __future__ import annotations

import pytest
import torch

from isotherm.data.video import opened
from isotherm.train.anticipation import windows
from isotherm.train.anticipation.read import read_clips
from isotherm.train.anticipation.run import recipe_from, train_run
from rigs.action_videos import plain_videos, write_actions, write_videos
from rigs.anticipation import plain_anticipation
from rigs.breadth import wide

CROPS = {"area": [0.5, 1.0]}
INDEX = torch.tensor([4, 1, 3])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    dpath = tmp_path_factory.mktemp("windows")
    write_actions(dpath)
    write_videos(dpath)
    return dpath


@pytest.fixture
def opens(monkeypatch):
    """How often a video was opened."""
    counted = []
    enter = opened.__enter__
    monkeypatch.setattr(opened, "__enter__", lambda self: counted.append(self.source) or enter(self))
    return counted


def training_of(folder, **data):
    lines = []
    plain = plain_anticipation() | {"data": plain_videos(folder, **data)}
    training, _ = read_clips(recipe_from(plain).data, root=folder, say=lambda line: lines.append(str(line)))
    return training, lines


def batches_of(training, epochs=5):
    return [training.batch(INDEX, torch.full((3,), epoch)) for epoch in range(epochs)]


ROOMS = ("memory", "disk", "part", "nowhere")


@pytest.mark.parametrize(
    ("room", "augmentation"),
    [*((room, CROPS) for room in ROOMS), ("memory", None), *wide((room, None) for room in ROOMS[1:])],
    ids=lambda v: v if isinstance(v, str) else "crops" if v else "no crops",
)
def test_where_frames_are_kept_changes_nothing_but_how_often_videos_are_decoded(
    folder, tmp_path, opens, augmentation, room
):
    options = {"augmentation": augmentation, "side": 12}
    mb = {
        "memory": (512.0, 0.0),
        "disk": (0.0, 512.0),
        "part": (0.039 if augmentation else 0.02, 0.0),
        "nowhere": (0.0, 0.0),
    }[room]
    expected = batches_of(training_of(folder, **options)[0])
    training, lines = training_of(folder, memory_mb=mb[0], disk_mb=mb[1], **options)
    training.keep_windows(tmp_path)
    opens.clear()
    found = batches_of(training)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours.video, theirs.video)
        assert torch.equal(ours.gaze.xy, theirs.gaze.xy)
        assert torch.equal(ours.gaze.time_s, theirs.gaze.time_s)
        assert torch.equal(ours.labels, theirs.labels)
        assert torch.equal(ours.ahead_s, theirs.ahead_s)
    assert not torch.equal(found[0].video, found[1].video)
    if room == "part":
        assert 3 < len(opens) < 15
    else:  # where both videos have the same bytes, so have two of the files
        assert len(opens) in {"memory": (3,), "disk": (2, 3), "nowhere": (15,)}[room]
    assert any("no more room for frames" in line for line in lines) == (room in ("part", "nowhere"))
    assert bool(list(tmp_path.glob("*.npy"))) == (room == "disk")


def test_frames_on_the_disk_are_found_again_and_damage_is_seen(folder, tmp_path, opens):
    options = {"augmentation": CROPS, "side": 12, "memory_mb": 0.0}
    for round_ in range(2):
        training, lines = training_of(folder, **options)
        training.keep_windows(tmp_path)
        opens.clear()
        expected = batches_of(training, 2)
        assert len(opens) in ((2, 3) if round_ == 0 else (0,))
    assert any("are kept in" in line for line in lines)
    for fpath in tmp_path.glob("*.npy"):
        content = bytearray(fpath.read_bytes())
        content[len(content) // 4 :] = bytes(255 - byte for byte in content[len(content) // 4 :])
        fpath.write_bytes(content)
    training, lines = training_of(folder, **options)
    training.keep_windows(tmp_path)
    for ours, theirs in zip(batches_of(training, 2), expected, strict=True):
        assert torch.equal(ours.video, theirs.video)
    assert any("has changed since it was written" in line for line in lines)
    (next(tmp_path.glob("*.npy"))).write_bytes(b"no numbers")
    training, _ = training_of(folder, **options)
    training.keep_windows(tmp_path)
    assert torch.equal(batches_of(training, 1)[0].video, expected[0].video)


def test_the_old_protocol_is_picked_from_frames_as_well(folder, tmp_path, opens):
    plan = {"frames": 4, "rate_hz": 4.0, "anticipation_s": [0.2, 0.2], "protocol": "legacy"}
    options = {"plan": plan, "training_legacy_point": [0.0, 1.0], "side": 12}
    expected = batches_of(training_of(folder, memory_mb=0.0, **options)[0])
    training, _ = training_of(folder, **options)
    training.keep_windows(tmp_path)
    opens.clear()
    for ours, theirs in zip(batches_of(training), expected, strict=True):
        assert torch.equal(ours.video, theirs.video)
    assert len(opens) == 3


def test_a_training_of_many_epochs_keeps_frames_and_one_of_few_does_not(folder, tmp_path, monkeypatch):
    made = []
    real = windows.ClipWindows.window
    monkeypatch.setattr(windows.ClipWindows, "window", lambda self, i, *a: made.append(i) or real(self, i, *a))
    plain = plain_anticipation(steps=2, batch=6) | {"data": plain_videos(folder)}
    train_run(recipe_from(plain), tmp_path / "short", root=folder)
    assert not made
    plain = plain_anticipation(steps=3, batch=6) | {"data": plain_videos(folder, memory_mb=0.0)}
    train_run(recipe_from(plain), tmp_path / "long", root=folder)
    assert made
    assert list((tmp_path / ".cache" / "frames").glob("*.npy"))
    # more room changes no number, so a run may be gone on with under another one
    again = plain_anticipation(steps=3, batch=6) | {"data": plain_videos(folder, memory_mb=512.0, disk_mb=0.0)}
    train_run(recipe_from(again), tmp_path / "long", root=folder)
