"""``isotherm gaze convert``: one store, or a folder of old heatmaps, each with its video."""

from __future__ import annotations

import json

import numpy as np
import pytest

from isotherm.cli.main import main
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.errors import InputError, OptionError
from isotherm.jobs.gaze.convert_options import GazeConvertJob
from isotherm.jobs.gaze.convert_run import run
from rigs.gaze import SIZE, TIMES, maps_of, wandering, write_video


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """old/: an npz of packed maps, a folder of frames, and a file that is none; videos/: one for each."""
    monkeypatch.chdir(tmp_path)
    maps = maps_of(wandering())
    (tmp_path / "old" / "b").mkdir(parents=True)
    np.savez_compressed(tmp_path / "old" / "a.npz", maps)
    for i, one in enumerate(maps):
        np.save(tmp_path / "old" / "b" / f"frame_{i:06d}.npy", one)
    (tmp_path / "old" / "c.npz").write_bytes(b"none")
    (tmp_path / "videos").mkdir()
    for name in ("a", "b", "c"):
        write_video(tmp_path / "videos" / f"{name}.mp4", TIMES, rate=25)
    return tmp_path


def test_a_folder_of_old_heatmaps_becomes_zarr_and_what_fails_is_named(folder, capsys):
    command = ["gaze", "convert", "old", "--to", "zarr", "--out", "new", "--video", "videos"]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert "new/a.zarr: 80 (76 tracked, 4 missing, 0 out of frame)" in printed.out.replace("\\", "/")
    assert "c.npz was not converted" in printed.err
    for name in ("a", "b"):
        store = open_gaze_store(folder / "new" / f"{name}.zarr")
        assert store.size == SIZE
        np.testing.assert_allclose(store.time_s, TIMES, atol=1e-5)
        np.testing.assert_allclose(store.clip(TIMES[30:40]).maps, maps_of(wandering())[30:40], atol=0.002)
    assert main(command) == 2  # the two are there already, and are kept
    assert "none of the 1 stores" in capsys.readouterr().err
    assert not [f for f in (folder / "new").iterdir() if f.name.startswith(".") and "c" not in f.name]
    record = json.loads((folder / "new" / "a.zarr.conversion.json").read_text())
    assert record["command"] == "isotherm " + " ".join(command)
    assert GazeConvertJob.from_json(record["options"]).command_line() == record["command"].split()
    assert record["source"] == "old/a.npz"
    assert record["states"] == {"tracked": 76, "missing": 4, "out_of_frame": 0}
    assert record["versions"]["isotherm"]
    assert record["notes"]
    assert {f.name for f in (folder / "new").glob("*.json")} == {"a.zarr.conversion.json", "b.zarr.conversion.json"}


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_two_stores_that_would_become_one_are_refused_before_anything_is_written(folder, capsys, more):
    np.save(folder / "old" / "b.npy", maps_of(wandering())[::-1])
    assert main(["gaze", "convert", "old", "--to", "zarr", "--out", "new", "--video", "videos", *more]) == 2
    assert "b and b.npy in old would both become" in capsys.readouterr().err
    assert not (folder / "new").exists()


def test_a_changed_byte_of_an_archive_stops_its_conversion(folder, capsys):
    np.savez(folder / "raw.npz", maps_of(wandering()))
    whole = bytearray((folder / "raw.npz").read_bytes())
    whole[len(whole) // 2] ^= 1
    (folder / "raw.npz").write_bytes(whole)
    assert main(["gaze", "convert", "raw.npz", "--to", "zarr", "--video", "videos/a.mp4"]) == 2
    assert "raw.npz cannot be read (BadZipFile: Bad CRC" in capsys.readouterr().err
    assert not (folder / "raw.zarr").exists()


def test_back_to_what_other_programs_read(folder, capsys):
    write_points(wandering(), folder / "p.parquet", video="a.mp4")
    assert (
        main(
            [
                "gaze",
                "convert",
                "p.parquet",
                "--to",
                "npz",
                "--video",
                "videos/a.mp4",
                "--cells",
                "24x32",
                "--sigma-px",
                "10",
            ]
        )
        == 0
    )
    assert "4 maps without tracked gaze are zeros" in capsys.readouterr().out
    with np.load("p.npz") as file:
        np.testing.assert_allclose(file["maps"], maps_of(wandering()), atol=1e-6)
    assert main(["gaze", "convert", "p.npz", "--to", "npy", "--out", "frames", "--quiet"]) == 0
    assert np.load("frames/frame_000003.npy").shape == (24, 32)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"source": "nowhere", "to": "zarr"}, InputError, "there is no gaze at nowhere"),
        ({"source": "videos", "to": "zarr"}, InputError, "holds no stores of gaze"),
        ({"source": "old/a.npz", "to": "zarr"}, InputError, "--rate"),
        ({"source": "old/a.npz", "to": "points", "rate": 25.0}, OptionError, "--lossy"),
        ({"source": "old/a.npz", "to": "zarr", "rate": 25.0, "out": "x.npz"}, OptionError, "ends in .zarr"),
        ({"source": "old/a.npz", "to": "zarr", "video": "old"}, InputError, "has none of the name 'a'"),
    ],
)
def test_what_is_needed_is_named(folder, options, error, words, unchecked):
    with pytest.raises(error, match=words):
        run(GazeConvertJob(**options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "x"}, "--size x"),
        ({"rate": 0.0}, "--rate 0.0"),
        ({"video": "v.mp4", "rate": 25.0}, "leave out --rate"),
        ({"first_frame": 3}, "--first-frame 3"),
        ({"number": "float32"}, "--number float32"),
        ({"compressed": True}, "--compressed goes with --to npz"),
        ({"lossy": True}, "--lossy goes with --to points"),
    ],
)
def test_options_that_do_not_go_together(options, words, unchecked):
    with pytest.raises(OptionError, match=words):
        GazeConvertJob(**({"source": "a", "to": "zarr"} | options))
