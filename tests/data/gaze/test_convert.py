"""Stores become other stores and come back; interrupted conversions go on; nothing is lost in silence."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from isotherm.data.gaze import GazeState
from isotherm.data.gaze import convert as conversion
from isotherm.data.gaze.convert import ConvertOptions, convert_gaze
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.store import MapOptions
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.errors import InputError, OptionError
from isotherm.progress import Progress
from rigs.breadth import wide
from rigs.gaze import SIZE, TIMES, maps_of, wandering

T, M, OUT = (int(s) for s in GazeState)
PAIRS = list(itertools.permutations(["zarr", "npz", "npy"], 2))
ROUND = [("npz", "zarr"), ("npy", "npz"), ("zarr", "npy")]
"""Each store once as what is read and once as what is written."""
OPTIONS = MapOptions(size=SIZE, times_s=TIMES)
ENDINGS = {"zarr": "n.zarr", "npz": "n.npz", "npy": "n", "points": "n.parquet"}


@pytest.fixture
def blocks(monkeypatch):
    """Blocks of 16 maps, so that 80 are several."""
    monkeypatch.setattr(conversion, "SHARD", 16)


@pytest.fixture
def points(tmp_path):
    return open_gaze_store(write_points(wandering(), tmp_path / "p.parquet", video="v.mp4"))


def converted(store, path, to, **options):
    convert_gaze(store, path, ConvertOptions(to=to, **options), clock=OPTIONS)
    return open_gaze_store(path)


@pytest.mark.parametrize(("first", "second"), [*ROUND, *wide(pair for pair in PAIRS if pair not in ROUND)])
def test_maps_go_there_and_back_with_all_that_is_known(points, tmp_path, blocks, first, second):
    one = converted(points, tmp_path / f"1{ENDINGS[first]}", first, cells=(24, 32), sigma_px=10.0)
    two = converted(one, tmp_path / f"2{ENDINGS[second]}", second)
    for store in (one, two):
        clip = store.clip(TIMES)
        np.testing.assert_array_equal(clip.state, wandering().state)
        np.testing.assert_array_equal(clip.xy, wandering().xy)
        assert float((clip.maps - torch.from_numpy(maps_of(wandering()))).abs().max()) <= 0.0021
        assert (store.size, store.window_s) == (SIZE, pytest.approx(0.02))
        assert clip.maps[10].max() == 0


def test_old_files_become_zarr(tmp_path, blocks):
    maps = maps_of(wandering())
    np.savez_compressed(tmp_path / "old.npz", heat=maps)
    said = []
    store = open_gaze_store(tmp_path / "old.npz", options=OPTIONS)
    done = convert_gaze(store, tmp_path / "new.zarr", ConvertOptions(to="zarr"), say=said.append)
    assert (done.maps, done.states) == (80, {"tracked": 76, "missing": 4, "out_of_frame": 0})
    assert done.most_off <= 0.002
    assert [p.step for p in said if p.stage == "converting"] == [16, 32, 48, 64, 80]
    assert said[-1] == Progress(step=80, total=80, stage="reading again")
    new = open_gaze_store(tmp_path / "new.zarr")
    assert "the maps are the array 'heat'" in new.notes
    torch.testing.assert_close(new.clip(TIMES[30:50]).maps, torch.from_numpy(maps[30:50]), atol=0.002, rtol=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.zarr", "old.npz"]


def test_frames_without_a_file_stay_without_one(tmp_path, blocks):
    (tmp_path / "old").mkdir()
    for i, one in enumerate(maps_of(wandering())):
        if not 30 <= i < 35 and i > 1:
            np.save(tmp_path / "old" / f"frame_{i:06d}.npy", one)
    old = open_gaze_store(tmp_path / "old", options=MapOptions(size=SIZE, times_s=TIMES, first=0))
    zarr = converted(old, tmp_path / "n.zarr", "zarr")
    assert zarr.clip(TIMES[28:37]).state.tolist() == [T, T, M, M, M, M, M, T, T]
    again = converted(zarr, tmp_path / "again", "npy")
    assert {f.name for f in (tmp_path / "again").glob("frame*")} == {f.name for f in (tmp_path / "old").iterdir()}
    npz = converted(again, tmp_path / "n.npz", "npz")
    for store in (again, npz):
        assert store.clip(TIMES[[0, 2, 29, 32, 35]]).state.tolist() == [M, T, T, M, T]
    with np.load(tmp_path / "n.npz") as file:  # as other programs read it: a row for each frame
        assert file["maps"].shape == (80, 24, 32)
        assert not file["maps"][[0, 32]].any()


class Killed(Exception):
    pass


@pytest.mark.parametrize("to", ["zarr", "npz", "npy"])
@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_conversion_goes_on(points, tmp_path, blocks, to, after):
    calls = []

    def kill(message):
        calls.append(message)
        if len(calls) == after:
            raise Killed

    options, path = ConvertOptions(to=to, cells=(12, 16)), tmp_path / ENDINGS[to]
    with pytest.raises(Killed):
        convert_gaze(points, path, options, clock=OPTIONS, say=kill)
    assert not path.exists()
    said = []
    done = convert_gaze(points, path, options, clock=OPTIONS, say=said.append)
    assert done.gone_on_from == 16 * after
    assert said[0].step == 16 * (after + 1)
    other = tmp_path / f"whole{ENDINGS[to]}"
    convert_gaze(points, other, options, clock=OPTIONS)
    torch.testing.assert_close(
        open_gaze_store(path).clip(TIMES).maps, open_gaze_store(other).clip(TIMES).maps, atol=0, rtol=0
    )


def test_an_unfinished_conversion_of_something_else_is_not_gone_on_with(points, tmp_path, blocks):
    def kill(message):
        raise Killed

    path = tmp_path / "n.zarr"
    with pytest.raises(Killed):
        convert_gaze(points, path, ConvertOptions(to="zarr"), clock=OPTIONS, say=kill)
    with pytest.raises(InputError, match="unfinished conversion of something else"):
        convert_gaze(points, path, ConvertOptions(to="zarr", cells=(8, 8)), clock=OPTIONS)
    assert (
        convert_gaze(points, path, ConvertOptions(to="zarr", cells=(8, 8)), clock=OPTIONS, overwrite=True).gone_on_from
        == 0
    )


def test_what_was_not_written_is_seen_when_it_is_read_again(points, tmp_path, blocks, monkeypatch):
    write = conversion.WRITERS["npz"].write
    monkeypatch.setattr(
        conversion.WRITERS["npz"], "write", lambda self, start, maps: write(self, start, maps * (start != 32))
    )
    with pytest.raises(InputError, match="read again of maps 32 to 47 is not what was written"):
        convert_gaze(points, tmp_path / "n.npz", ConvertOptions(to="npz"), clock=OPTIONS)
    assert not (tmp_path / "n.npz").exists()


def test_points_of_maps_only_where_that_is_wanted(tmp_path, blocks):
    np.savez(tmp_path / "old.npz", maps_of(wandering()))
    store = open_gaze_store(tmp_path / "old.npz", options=OPTIONS)
    with pytest.raises(OptionError, match="only the place where it is highest"):
        convert_gaze(store, tmp_path / "p.parquet", ConvertOptions(to="points"))
    done = convert_gaze(store, tmp_path / "p.parquet", ConvertOptions(to="points", lossy=True))
    back = open_gaze_store(tmp_path / "p.parquet").clip(TIMES)
    tracked = back.state == T
    assert (
        float((back.xy - torch.from_numpy(wandering().xy))[tracked].abs().max()) <= 1e-4
    )  # of Gaussians to the rounding of float32
    assert "where maps were highest" in done.notes[-1]


def test_what_is_there_and_what_is_needed(points, tmp_path):
    (tmp_path / "n.zarr").mkdir()
    with pytest.raises(InputError, match="is there already"):
        convert_gaze(points, tmp_path / "n.zarr", ConvertOptions(to="zarr"), clock=OPTIONS)
    convert_gaze(points, tmp_path / "n.zarr", ConvertOptions(to="zarr"), clock=OPTIONS, overwrite=True)
    assert open_gaze_store(tmp_path / "n.zarr").frame.size == (64, 64)
    with pytest.raises(OptionError, match="give the video"):
        convert_gaze(points, tmp_path / "m.zarr", ConvertOptions(to="zarr"))
    rated = convert_gaze(
        points, tmp_path / "r.npz", ConvertOptions(to="npz", compressed=True), clock=MapOptions(rate_hz=25.0)
    )
    assert rated.maps == 80
    assert any("4 maps without tracked gaze are zeros" in note for note in rated.notes)
    with pytest.raises(OptionError, match=r"have .* cells and keep them"):
        convert_gaze(open_gaze_store(tmp_path / "n.zarr"), tmp_path / "x.npz", ConvertOptions(to="npz", cells=(8, 8)))
    with pytest.raises(InputError, match="there is no folder"):
        convert_gaze(points, tmp_path / "no" / "n.zarr", ConvertOptions(to="zarr"))
    with pytest.raises(OptionError, match="uint8 or float16"):
        ConvertOptions(to="zarr", number="float32")


def test_a_folder_that_takes_no_file_is_not_said_to_be_at_work_elsewhere(tmp_path, monkeypatch):
    def refused(path, timeout):
        raise conversion.Timeout(str(path))

    monkeypatch.setattr(conversion, "FileLock", refused)
    np.savez(tmp_path / "a.npz", maps_of(wandering()))
    store = open_gaze_store(tmp_path / "a.npz", options=MapOptions(size=SIZE, times_s=TIMES))
    with pytest.raises(InputError, match="nothing can be written in"):
        convert_gaze(store, tmp_path / "a.zarr", ConvertOptions(to="zarr"))
    (tmp_path / ".a.zarr.lock").touch()
    with pytest.raises(InputError, match="another process is converting"):
        convert_gaze(store, tmp_path / "a.zarr", ConvertOptions(to="zarr"))
