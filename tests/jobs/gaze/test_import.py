"""``isotherm gaze import``: points and a report from every format, and refusals that name what is wrong."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.main import main
from isotherm.data.gaze import GazeState
from isotherm.data.gaze.points_store import read_points
from isotherm.errors import InputError, OptionError
from isotherm.jobs.gaze.import_options import GazeImportJob
from isotherm.jobs.gaze.import_run import run
from rigs.gaze import SIZE, write_video
from rigs.videos import turn_clip

STEP = 1001 / 60000
SECONDS = np.arange(0.0, 1.9, 0.01)


def place(seconds):
    return np.stack([64 + 40 * np.sin(3 * seconds), 48 + 30 * np.cos(2 * seconds)], -1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video of 59.94 frames per second, and gaze over it in the forms of three recorders."""
    folder = tmp_path_factory.mktemp("gaze")
    write_video(folder / "v.mp4", np.arange(120) * STEP)
    xy = place(SECONDS)
    x, y = xy[:, 0] / SIZE[1], 1 - xy[:, 1] / SIZE[0]
    rows = [f"{t:.6f},{a:.6f},{b:.6f},1.0" for t, a, b in zip(SECONDS, x, y, strict=True)]
    (folder / "ego4d.csv").write_text("\n".join(["canonical_timestamp_s,norm_pos_x,norm_pos_y,confidence", *rows]))
    rows = [f"{5000 + t:.6f},{round(t / STEP)},1.0,{a:.6f},{b:.6f}" for t, a, b in zip(SECONDS, x, y, strict=True)]
    (folder / "pupil.csv").write_text("\n".join(["gaze_timestamp,world_index,confidence,norm_pos_x,norm_pos_y", *rows]))
    base = 1754690230077095946
    rows = [f"{base + round(t * 1e9)},{a:.4f},{b:.4f}" for t, (a, b) in zip(SECONDS, xy - 0.5, strict=True)]
    (folder / "neon.csv").write_text("\n".join(["timestamp [ns],gaze x [px],gaze y [px]", *rows]))
    rows = [str(base + round(i * STEP * 1e9)) for i in range(120)]
    (folder / "world_timestamps.csv").write_text("\n".join(["timestamp [ns]", *rows]))
    np.save(folder / "world_timestamps.npy", 5000 + np.arange(120) * STEP)
    return folder


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("ego4d", {}),
        ("pupil", {"format": "pupil-core"}),
        ("pupil", {"format": "pupil-core", "world_timestamps": "world_timestamps.npy"}),
        ("neon", {"world_timestamps": "world_timestamps.csv"}),
        ("neon", {"start_together": True}),
    ],
)
def test_gaze_of_every_recorder_comes_to_its_frame(folder, tmp_path, name, more):
    more = {k: folder / v if k == "world_timestamps" else v for k, v in more.items()}
    options = {"format": name} | more
    written = run(
        GazeImportJob(recording=folder / f"{name}.csv", video=folder / "v.mp4", out=tmp_path / "g.parquet", **options)
    )
    store = read_points(written.fpath)
    clip = store.clip(np.arange(10, 100) * STEP, window_s=0.02)
    assert (clip.state == GazeState.TRACKED).all()
    expected = place(np.arange(10, 100) * STEP)
    assert float(np.abs(clip.xy.numpy() - expected).max()) < 120 * 0.006  # fastest gaze times half a sample
    assert store.video == "v.mp4"
    report = json.loads(written.report_fpath.read_text())
    assert GazeImportJob.from_json(report["options"]).format == options["format"]
    assert report["aligned"] is True
    assert report["video_clock"]["camera_rate"] == "60000/1001"
    with Image.open(written.picture_fpath) as picture:
        assert picture.size == (1560, 990)


def test_the_command_prints_the_report_and_replaces_nothing_unasked(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["gaze", "import", str(folder / "ego4d.csv"), "--format", "ego4d", "--video", str(folder / "v.mp4")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "190 tracked (100.0%), 0 missing (0.0%), 0 out of frame (0.0%)" in printed
    assert "59.9401 per second, a camera's 60000/1001, steady" in printed
    assert "190 samples are in gaze.parquet; look at gaze.alignment.png" in printed
    record = json.loads(Path("gaze.alignment.json").read_text())
    assert record["command"] == shlex.join(["isotherm", *command])
    assert record["versions"]["isotherm"]
    assert main(command) == 2
    assert "gaze.parquet is there already" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--quiet"]) == 0


@pytest.mark.parametrize("orientation", [None, "upright", "stored"])
def test_gaze_in_a_video_that_its_container_turns_says_in_which_pixels_it_is(folder, tmp_path, capsys, orientation):
    turn_clip(Path(shutil.copy(folder / "v.mp4", tmp_path / "v.mp4")), h=SIZE[0])
    command = ["gaze", "import", str(folder / "ego4d.csv"), "--format", "ego4d", "--video", str(tmp_path / "v.mp4")]
    more = [] if orientation is None else ["--orientation", orientation]
    assert main([*command, "--out", str(tmp_path / "g.parquet"), *more]) == 0
    printed = capsys.readouterr().out.replace("\n", " ")
    assert "v.mp4 is turned upright, as the camera noted" in printed
    assert ("say orientation 'stored'" in printed) == (orientation is None)
    store = read_points(tmp_path / "g.parquet")
    assert store.size == SIZE[::-1]
    xy = store.clip(np.arange(10, 100) * STEP, window_s=0.02).xy.numpy()
    x, y = (place(np.arange(10, 100) * STEP) / np.array(SIZE[::-1])).T  # shares of the picture that was annotated
    h, w = SIZE
    # a quarter turn clockwise: the stored left edge is the top
    want = np.stack([h * (1 - y), w * x] if orientation == "stored" else [h * x, w * y], -1)
    assert float(np.abs(xy - want).max()) < 160 * 0.006


def test_what_does_not_fit_leaves_a_report_and_no_points(folder, tmp_path, capsys):
    command = ["gaze", "import", str(folder / "ego4d.csv"), "--format", "ego4d", "--video", str(folder / "v.mp4")]
    command += ["--offset-s", "30", "--out", str(tmp_path / "g.parquet")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "frames of the video that have a sample: 0%, at least 50%" in error
    assert "--least-coverage moves the limit" in error
    assert "g.alignment.png" in error
    assert not (tmp_path / "g.parquet").exists()
    assert json.loads((tmp_path / "g.alignment.json").read_text())["aligned"] is False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "neon"}, "--world-timestamps FILE"),
        ({"format": "aria"}, "--calibration"),
        ({"format": "ego4d", "recording": "none.csv"}, "none.csv"),
        ({"format": "ego4d", "recording": "ego4d.csv", "video": None}, "give the video"),
        ({"format": "ego4d", "recording": "ego4d.csv", "out": "no/such.parquet"}, "there is no folder"),
    ],
)
def test_what_is_needed_is_named(folder, tmp_path, options, words):
    whole = {"recording": f"{options['format']}.csv", "video": "v.mp4", "out": "g.parquet"} | options
    whole |= {k: (tmp_path if k == "out" else folder) / whole[k] for k in ("recording", "video", "out") if whole[k]}
    with pytest.raises((InputError, OptionError), match=words):
        run(GazeImportJob(**whole))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "tobii"}, "--format"),
        ({"size": "12"}, "--size 12: expected height x width"),
        ({"video": "v.mp4", "size": "4x4"}, "leave out --size"),
        ({"least_confidence": 2.0}, "--least-confidence 2.0"),
        ({"first_frame": 2}, "--first-frame 2"),
        ({"tolerance_ms": -1.0}, "--tolerance-ms -1.0"),
        ({"out": "g.csv"}, "ends in .parquet"),
        ({"world_timestamps": "w.csv", "start_together": True}, "leave out --start-together"),
    ],
)
def test_options_that_are_none(options, words, unchecked):
    with pytest.raises(OptionError, match=words):
        GazeImportJob(**({"recording": "a.csv", "format": "ego4d"} | options))


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("ego4d", ["--first-frame", "1"], "numbers no frames; leave out"),
        ("ego4d", ["--gaze-size", "10x10"], "does not count pixels"),
        ("ego4d", ["--start-together"], "on the video's clock; leave out --start-together"),
        ("ego4d", ["--calibration", "nowhere.json"], "need no calibration"),
        ("neon", ["--start-together", "--first-frame", "0"], "numbers no frames; leave out"),
    ],
)
def test_an_option_that_changes_nothing_of_a_format_is_refused(folder, tmp_path, capsys, name, more, words):
    command = ["gaze", "import", str(folder / f"{name}.csv"), "--format", name, "--video", str(folder / "v.mp4")]
    assert main([*command, "--out", str(tmp_path / "g.parquet"), *more]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
