"""Stores of gaze that were damaged say so with their path: no changed, lost or foreign part is read as gaze."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as parquet
import pytest

from isotherm.data.gaze.points_store import read_points, write_points
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.data.gaze.zarr_store import SHARD, ZarrWriter
from isotherm.errors import InputError

N = SHARD + 30
SIZE = (48, 96)
SECONDS = np.arange(N) / 30
STATE = np.where(np.arange(N) % 9 == 4, 1, 0).astype(np.uint8)


def recording(n=60):
    places = np.random.default_rng(0).normal((40, 20), (10, 5), (n, 2))  # of no pattern, so that nothing is packed
    return GazeRecording.of(np.arange(n) / 30, places, size=SIZE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store of two shards."""
    path = tmp_path_factory.mktemp("whole") / "maps.zarr"
    writer = ZarrWriter(path, SECONDS, (6, 8), header={"size": list(SIZE), "video": "v", "notes": ["a note"]})
    maps = np.random.default_rng(1).uniform(0.1, 1, (N, 6, 8)).astype(np.float32)
    for start in range(0, N, SHARD):
        writer.write_maps(start, maps[start : start + SHARD])
    writer.write_known(STATE, np.full((N, 2), 7.0), np.ones(N, np.float32))
    writer.finish()
    return path


@pytest.fixture
def store(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "maps.zarr")
    return tmp_path / "maps.zarr"


def changed(fpath, name, value, *inside):
    """Change an entry of a JSON file."""
    whole = json.loads(fpath.read_text())
    place = whole
    for key in inside:
        place = place[key]
    place[name] = value
    fpath.write_text(json.dumps(whole))


def unsealed(store):
    """As earlier versions wrote it: nothing is said of files and of the header itself."""
    whole = json.loads((store / "zarr.json").read_text())
    for name in ("digest", "files"):
        del whole["attributes"][name]
    (store / "zarr.json").write_text(json.dumps(whole))


def test_the_whole_store_is_read(store):
    assert open_gaze_store(store).clip(SECONDS).state.tolist() == STATE.tolist()
    unsealed(store)
    assert open_gaze_store(store).clip(SECONDS).state.tolist() == STATE.tolist()


@pytest.mark.parametrize(
    "name", ["maps/c/0/0/0", "maps/c/1/0/0", "time_s/c/0", "state/c/0", "xy/c/0/0", "confidence/c/0", "maps/zarr.json"]
)
def test_a_file_that_is_lost_shortened_or_changed_is_named(store, name):
    data = (store / name).read_bytes()
    (store / name).write_bytes(data[:-20])
    with pytest.raises(InputError, match=rf"maps\.zarr is broken \({name} has {len(data) - 20} bytes, not {len(data)}"):
        open_gaze_store(store)
    (store / name).unlink()
    with pytest.raises(InputError, match=rf"maps\.zarr is broken \({name} is not there\); convert it again"):
        open_gaze_store(store)
    (store / name).write_bytes(bytes([*data[:-1], data[-1] ^ 1]))
    if name.startswith("maps/c"):  # too many bytes to be read whole: every chunk has a check sum
        clip = open_gaze_store(store).clip(SECONDS)
        assert "maps.zarr is broken" in clip.notes[0]
        assert (clip.state == 1).all()
    else:
        with pytest.raises(InputError, match=rf"{name} was changed"):
            open_gaze_store(store)


def test_a_changed_byte_of_maps_is_never_read_as_gaze(store):
    shard = store / "maps" / "c" / "0" / "0" / "0"
    data = shard.read_bytes()
    for at in np.linspace(0, len(data) - 1, 40).astype(int):
        shard.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        assert "maps.zarr is broken" in open_gaze_store(store).clip(SECONDS).notes[0]


@pytest.mark.parametrize(
    ("fpath", "inside", "name", "value", "words"),
    [
        ("zarr.json", ("attributes",), "size", [480, 96], "what it says of itself was changed"),
        ("zarr.json", ("attributes",), "notes", 5, "what it says of itself was changed"),
        ("zarr.json", ("attributes",), "format", "other/1", "is no store of gaze maps"),
        ("maps/zarr.json", (), "data_type", "float32", r"maps/zarr\.json has|maps/zarr\.json was changed"),
    ],
)
def test_changed_attributes_are_named(store, fpath, inside, name, value, words):
    changed(store / fpath, name, value, *inside)
    with pytest.raises(InputError, match=words):
        open_gaze_store(store)


@pytest.mark.parametrize(
    ("fpath", "name", "value", "words"),
    [
        ("maps/zarr.json", "data_type", "float32", "maps are of the kind float32; expected uint8 or float16"),
        ("maps/zarr.json", "shape", [SHARD, 6, 8], rf"maps has the form \[{SHARD}\]; expected \[{N}\]"),
        ("state/zarr.json", "shape", [N - 1], rf"state has the form \[{N - 1}\]"),
        ("zarr.json", "size", [0, 96], "a size is"),
        ("zarr.json", "notes", 5, "not iterable"),
    ],
)
def test_parts_that_do_not_go_together_are_named_where_nothing_is_sealed(store, fpath, name, value, words):
    unsealed(store)
    changed(store / fpath, name, value, *(("attributes",) if fpath == "zarr.json" else ()))
    with pytest.raises(InputError, match=rf"maps\.zarr is broken \(.*{words}"):
        open_gaze_store(store)


def test_a_lost_file_of_maps_is_named_where_nothing_is_sealed(store):
    unsealed(store)
    (store / "maps" / "c" / "1" / "0" / "0").unlink()
    with pytest.raises(InputError, match=rf"there is no file of maps {SHARD} to {N - 1}"):
        open_gaze_store(store)


def test_no_changed_byte_of_points_is_read_as_gaze(tmp_path):
    before = recording()
    data = write_points(before, tmp_path / "points.parquet", video="v").read_bytes()
    for at in range(0, len(data), 11):
        (tmp_path / "points.parquet").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        try:
            store = read_points(tmp_path / "points.parquet")
        except InputError:
            continue
        after = store.recording
        assert (after.size, after.notes, store.video) == (before.size, before.notes, "v"), at
        for name in ("time_s", "xy", "state", "confidence"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_pages_of_points_have_check_sums_that_other_programs_look_at(tmp_path):
    before = recording()
    data = write_points(before, tmp_path / "points.parquet").read_bytes()
    x = np.ascontiguousarray(before.xy[:, 0]).tobytes()
    at = data.index(x[80:120]) + 8  # a place that lies in the file as it is, which nothing but a check sum can protect
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    table = parquet.read_table(broken, page_checksum_verification=False)
    assert not np.array_equal(table["x"].to_numpy(), before.xy[:, 0])
    with pytest.raises(OSError, match="CRC"):
        parquet.read_table(broken, page_checksum_verification=True)
    with pytest.raises(InputError, match=r"broken\.parquet cannot be read as Parquet"):
        read_points(broken)


def test_points_whose_size_was_changed_are_broken(tmp_path):
    path = write_points(recording(), tmp_path / "points.parquet")
    table = parquet.read_table(path)
    header = json.loads(table.schema.metadata[b"isotherm"])
    for change in ({"size": [480, 96]}, {"video": "another"}):
        other = table.replace_schema_metadata({b"isotherm": json.dumps(header | change).encode()})
        parquet.write_table(other, path)
        with pytest.raises(InputError, match="what it says of itself was changed"):
            read_points(path)
    del header["digest"]  # as earlier versions wrote it
    parquet.write_table(table.replace_schema_metadata({b"isotherm": json.dumps(header).encode()}), path)
    assert read_points(path).size == SIZE
