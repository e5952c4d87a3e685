"""``isotherm gaze draw``: a film of every frame with the gaze on it, and refusals that name what is wrong."""

from __future__ import annotations

import shlex

import av
import numpy as np
import pytest

from isotherm.cli.main import main
from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.points_store import write_points
from isotherm.data.video import read_frames
from isotherm.errors import OptionError
from isotherm.jobs.gaze.draw_options import GazeDrawJob
from rigs.videos import write_clip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A video of eight frames, and gaze that moves to the right by 12 pixels with each."""
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "v.mp4", frames=8, rate=10, h=96, w=128)
    xy = np.stack([20 + 12 * np.arange(8.0), np.full(8, 30.0)], -1)
    write_points(GazeRecording.of(np.arange(8) / 10, xy, size=(96, 128)), tmp_path / "g.parquet", video="v.mp4")
    return tmp_path


def white(frame, x, y, scale=2):
    """How much white is around a place, as the ring is on this red and black; small pictures are drawn twice as
    large.
    """
    return int(frame[scale * y - 10 : scale * y + 10, scale * x - 10 : scale * x + 10].min(-1).sum())


def test_the_film_shows_where_the_person_looks(folder, capsys):
    command = ["gaze", "draw", "g.parquet", "--video", "v.mp4", "--out", "film.mp4", "--trail-s", "0", "--heat-s", "0"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "look at film.mp4"
    frames = [frame.array().astype(int) for frame in read_frames(folder / "film.mp4")]
    assert len(frames) == 8
    with av.open("film.mp4") as container:
        assert container.metadata["comment"] == shlex.join(["isotherm", *command])
    for i, frame in enumerate(frames):
        counts = [white(frame, 20 + 12 * j, 30) for j in range(8)]
        assert max(range(8), key=lambda j: counts[j]) == i
        assert counts[i] > 2000
    assert main(command) == 2
    assert "film.mp4 is there already" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--every", "4", "--quiet"]) == 0
    assert len(list(read_frames(folder / "film.mp4"))) == 2


def test_a_recording_of_another_video_is_said_or_refused(folder, capsys):
    write_clip(folder / "other.mp4", frames=8, rate=10, h=96, w=128)
    assert main(["gaze", "draw", "g.parquet", "--video", "other.mp4", "--out", "a.gif"]) == 0
    assert "the recording says that it is of v.mp4, and other.mp4 is drawn" in capsys.readouterr().out
    write_clip(folder / "small.mp4")
    assert main(["gaze", "draw", "g.parquet", "--video", "small.mp4", "--out", "b.gif"]) == 2
    assert "is it of another video?" in capsys.readouterr().err
    assert not (folder / "b.gif").exists()


@pytest.mark.parametrize(
    ("recording", "words"),
    [("h.parquet", "there is no gaze at h.parquet"), ("v.mp4", "v.mp4 is no file of points; expected .parquet")],
)
def test_what_is_no_recording_is_named(folder, capsys, recording, words):
    assert main(["gaze", "draw", recording, "--video", "v.mp4"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "g.avi"}, "ends in .mp4 or .gif"),
        ({"trail_s": -1.0}, "--trail-s -1.0"),
        ({"start_s": 2.0, "end_s": 1.0}, "--end-s 1.0"),
        ({"every": 0}, "--every"),
        ({"side": 2}, "--side"),
    ],
)
def test_options_that_are_none(options, words, unchecked):
    with pytest.raises(OptionError, match=words):
        GazeDrawJob(**({"recording": "g.parquet", "video": "v.mp4"} | options))
