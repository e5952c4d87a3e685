"""All stores give the same clip of the same gaze, and what is broken is MISSING and named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.data.gaze import GazeState
from isotherm.data.gaze.points_store import read_points, write_points
from isotherm.data.gaze.render import render_clip
from isotherm.data.gaze.store import AbsentStore, MapOptions, read_maps
from isotherm.data.gaze.stores import GazeStores, open_gaze_store
from isotherm.data.gaze.zarr_store import ZarrWriter
from isotherm.errors import InputError, OptionError
from rigs.gaze import BESIDE, FRAMES, MISSED, RATE, SIZE, TIMES, maps_of, wandering

T, M, OUT = (int(s) for s in GazeState)
OPTIONS = MapOptions(size=SIZE, times_s=TIMES)


def save_frames(dpath, maps, first=0, leave=()):
    dpath.mkdir()
    for i, one in enumerate(maps):
        if i not in leave:
            np.save(dpath / f"frame_{i + first:06d}.npy", one)
    return dpath


@pytest.fixture
def places(tmp_path):
    """The same gaze in every kind of store."""
    recording, maps = wandering(), maps_of(wandering())
    write_points(recording, tmp_path / "points.parquet", video="v.mp4")
    np.savez_compressed(tmp_path / "compressed.npz", maps)
    np.savez(tmp_path / "raw.npz", heatmaps=maps.astype(np.float16)[:, None])
    np.save(tmp_path / "whole.npy", np.rint(maps * 255).astype(np.uint8))
    save_frames(tmp_path / "frames", maps, first=1)
    writer = ZarrWriter(tmp_path / "maps.zarr", TIMES, maps.shape[1:], header={"size": list(SIZE)})
    writer.write_maps(0, maps)
    writer.write_known(recording.state, recording.xy, recording.confidence)
    writer.finish()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "worst"),
    [
        ("points.parquet", 1e-6),
        ("compressed.npz", 1e-6),
        ("raw.npz", 1e-3),
        ("whole.npy", 0.002),
        ("frames", 1e-6),
        ("maps.zarr", 0.002),
    ],
)
def test_every_store_gives_the_same_clip(places, name, worst):
    store = open_gaze_store(places / name, options=OPTIONS)
    asked = TIMES[[2, 3, 9, 10, 19, 41, 79, 3]]  # in no order, and one twice
    clip = store.clip(asked)
    assert clip.state.tolist() == [T, T, T, M, T, T, T, T]
    assert store.size == SIZE
    expected = torch.from_numpy(maps_of(wandering()))[[2, 3, 9, 10, 19, 41, 79, 3]]
    maps = clip.maps if clip.maps is not None else render_clip(clip, (24, 32), sigma_px=10.0)
    assert float((maps - expected).abs().max()) <= worst
    tracked = clip.state == T
    off = (clip.xy - torch.from_numpy(wandering().xy)[[2, 3, 9, 10, 19, 41, 79, 3]])[tracked].abs().max()
    # of maps alone by the highest cell and its neighbours: exactly, or as halves and bytes round
    assert float(off) <= {"points.parquet": 1e-9, "maps.zarr": 1e-9, "raw.npz": 0.02, "whole.npy": 0.1}.get(name, 1e-4)
    assert torch.isnan(clip.xy[~tracked]).all()
    assert clip.notes == ()
    assert store.clip([-3.0, 99.0]).state.tolist() == [M, M]


def test_points_and_zarr_know_what_lies_beside_the_picture_and_old_maps_cannot(places):
    at = TIMES[list(BESIDE)]
    states = {
        n: open_gaze_store(places / n, options=OPTIONS).clip(at).state.tolist()
        for n in ("points.parquet", "maps.zarr", "compressed.npz")
    }
    assert states == {"points.parquet": [OUT], "maps.zarr": [OUT], "compressed.npz": [M]}


def test_points_come_back_to_the_bit(places):
    store, recording = read_points(places / "points.parquet"), wandering()
    for part in ("time_s", "xy", "state", "confidence"):
        np.testing.assert_array_equal(getattr(store.recording, part), getattr(recording, part))
    assert (store.video, store.notes, store.size) == ("v.mp4", recording.notes, SIZE)


def test_what_was_assumed_of_old_files_is_noted(places):
    notes = {
        n: "\n".join(open_gaze_store(places / n, options=OPTIONS).notes)
        for n in ("compressed.npz", "raw.npz", "whole.npy", "frames")
    }
    assert "the array 'arr_0'" in notes["compressed.npz"]
    assert "80 maps of 32 x 24 cells, float32" in notes["compressed.npz"]
    assert "map 0 is the video's first frame, as nothing was said" in notes["compressed.npz"]
    assert "3 of the first 32 maps are all zeros and count as missing" in notes["compressed.npz"]
    assert "a peak of 1, judged by" in notes["compressed.npz"]
    assert "the array 'heatmaps'" in notes["raw.npz"]
    assert "0 to 255" in notes["whole.npy"]
    assert "first frame is called 1, as the files are numbered" in notes["frames"]
    assert (
        "places are in cells of the 32 x 24 maps"
        in open_gaze_store(places / "frames", options=MapOptions(rate_hz=RATE)).notes[3]
    )


def test_uniform_maps_are_missing_and_sums_become_peaks(tmp_path):
    maps = maps_of(wandering()) + 1e-12
    np.savez(tmp_path / "sums.npz", maps / maps.sum((1, 2), keepdims=True))
    store = open_gaze_store(tmp_path / "sums.npz", options=OPTIONS)
    assert any("a sum of 1" in note for note in store.notes)
    clip = store.clip(TIMES)
    assert [i for i in range(FRAMES) if clip.state[i] == M] == sorted([*MISSED, *BESIDE])
    assert (clip.maps.flatten(1).amax(-1)[clip.state == T] == 1).all()
    assert not clip.maps[clip.state == M].any()


def test_frames_that_have_no_file_are_missing(tmp_path):
    save_frames(tmp_path / "gaps", maps_of(wandering()), leave=range(30, 35))
    store = open_gaze_store(tmp_path / "gaps", options=OPTIONS)
    assert store.clip(TIMES[28:37]).state.tolist() == [T, T, M, M, M, M, M, T, T]
    assert any("5 frames between the first and the last have no file" in note for note in store.notes)


def test_the_place_of_a_plateau_and_of_a_peak_at_the_edge():
    maps = np.zeros((3, 6, 8), np.float32)
    maps[0, 2:4, 3:6] = 1
    maps[1, 0, 0], maps[1, 0, 1] = 1, 0.5
    maps[2] = np.nan
    state, cells = read_maps(maps)
    assert state.tolist() == [T, T, M]
    assert cells[:2].tolist() == [[4.5, 3.0], [0.5, 0.5]]
    assert read_maps(np.ones((2, 1, 2), np.float32))[0].tolist() == [M, M]


@pytest.mark.parametrize(
    ("save", "options", "words"),
    [
        (lambda p, m: np.savez(p, a=m, b=m), {}, r"has the arrays a, b, and a, b have the form"),
        (lambda p, m: np.savez(p, a=m), {"key": "c"}, "has no array 'c'; there are a"),
        (lambda p, m: np.savez(p, a=m[0]), {}, "none of them has"),
        (lambda p, m: np.savez(p, a=m[:, :, :, None].repeat(3, -1)), {}, r"form \[80, 24, 32, 3\]"),
        (lambda p, m: np.savez(p, a=m.astype(np.int64)), {}, "kind int64"),
        (lambda p, m: np.savez(p, a=m - 1), {}, "none below 0"),
        (lambda p, m: np.savez(p, a=m * 40), {}, "say what they are"),
        (lambda p, m: np.savez(p, a=m * 40), {"scale": "peak"}, "none of a peak of 1"),
        (lambda p, m: np.savez(p, a=m * 0), {}, "all zeros; say what"),
        (lambda p, m: np.savez(p, a=np.asfortranarray(m)), {}, "Fortran"),
        (lambda p, m: np.savez(p, a=m, time_s=TIMES[:3]), {}, "80 maps and 3 times"),
        (lambda p, m: np.savez(p, a=m[np.r_[0:80, 0]]), {}, r"frame 81, and the video has 80 frames.*first=1"),
        (lambda p, m: np.savez(p, a=m), {"times_s": None}, "does not say when its maps were"),
        (lambda p, m: np.savez(p, a=np.array([[[None]]])), {}, "never run"),
        (lambda p, m: p.write_bytes(b"PK no archive"), {}, "damaged or cut short"),
    ],
)
def test_old_files_that_could_mean_anything_are_refused(tmp_path, save, options, words):
    save(tmp_path / "old.npz", maps_of(wandering()))
    with pytest.raises(InputError, match=words):
        open_gaze_store(tmp_path / "old.npz", options=MapOptions(**({"size": SIZE, "times_s": TIMES} | options)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m * 255, "to 248.704.*one scale for all"),
        (lambda m: m - 0.5, "from -0.5 to .*one scale for all"),
        (lambda m: m / m.sum((1, 2), keepdims=True), "have a sum of 1.*one scale for all"),
    ],
)
def test_later_maps_of_another_scale_than_the_first_are_refused_where_they_are_read(tmp_path, change, words):
    maps = np.stack([maps_of(wandering())[0]] * len(TIMES))
    maps[40:] = change(maps[40:])
    np.savez(tmp_path / "late.npz", maps)
    save_frames(tmp_path / "late", maps)
    for name in ("late.npz", "late"):
        store = open_gaze_store(tmp_path / name, options=OPTIONS)
        assert store.clip(TIMES[:8]).state.tolist() == [T] * 8
        with pytest.raises(InputError, match=words):
            store.maps_at(np.arange(38, 50))
        clip = store.clip(TIMES[38:50])
        assert clip.state.tolist() == [M] * 12
        assert name in clip.notes[0]


@pytest.mark.filterwarnings("error")
def test_maps_that_are_not_finite_are_missing_and_are_not_called_zeros(tmp_path):
    maps = np.array(maps_of(wandering()))
    maps[3], maps[4, 0, 0] = np.inf, np.nan
    np.savez(tmp_path / "odd.npz", maps)
    store = open_gaze_store(tmp_path / "odd.npz", options=OPTIONS)
    assert any("2 of the first 32 maps hold values that are not finite" in note for note in store.notes)
    assert store.clip(TIMES[2:6]).state.tolist()[1:3] == [M, M]
    np.savez(tmp_path / "none.npz", np.full_like(maps, np.nan))
    with pytest.raises(InputError, match="all zeros or not finite"):
        open_gaze_store(tmp_path / "none.npz", options=OPTIONS)


def test_two_files_for_a_frame_and_none_for_any_are_refused(tmp_path):
    save_frames(tmp_path / "twice", maps_of(wandering())[:5])
    np.save(tmp_path / "twice" / "frame_3.npy", maps_of(wandering())[40])
    with pytest.raises(InputError, match=r"frame_000003\.npy and frame_3\.npy; expected one map for a frame"):
        open_gaze_store(tmp_path / "twice", options=OPTIONS)
    np.savez(tmp_path / "empty.npz", maps_of(wandering())[:0])
    with pytest.raises(InputError, match=r"empty\.npz holds no maps"):
        open_gaze_store(tmp_path / "empty.npz", options=OPTIONS)


def test_points_with_a_changed_byte_are_broken(places):
    whole = bytearray((places / "points.parquet").read_bytes())
    whole[200] ^= 255  # among the first column's values
    (places / "points.parquet").write_bytes(whole)
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_points(places / "points.parquet")


def test_maps_that_are_numbered_from_one(tmp_path):
    maps = maps_of(wandering())
    np.savez(tmp_path / "one.npz", np.concatenate([np.zeros_like(maps[:1]), maps]))
    store = open_gaze_store(tmp_path / "one.npz", options=MapOptions(size=SIZE, times_s=TIMES, first=1))
    torch.testing.assert_close(store.clip(TIMES[5:9]).maps, torch.from_numpy(maps[5:9]))
    assert any("map 1 is the video's first frame, as was asked" in note for note in store.notes)
    save_frames(tmp_path / "late", maps, first=7)
    with pytest.raises(InputError, match=r"first file of .*late is frame_000007\.npy; say whether"):
        open_gaze_store(tmp_path / "late", options=OPTIONS)


def test_what_breaks_off_later_is_missing_and_named(places):
    for name in ("compressed.npz", "raw.npz", "points.parquet"):
        whole = (places / name).read_bytes()
        (places / name).write_bytes(whole[: len(whole) // 2])
        clip = open_gaze_store(places / name, options=OPTIONS, missing_size=SIZE).clip(TIMES[:4])
        assert clip.state.tolist() == [M] * 4
        assert str(places / name) in clip.notes[0]
    store = open_gaze_store(places / "frames", options=OPTIONS)
    (places / "frames" / "frame_000051.npy").write_bytes(b"\x93NUMPY")
    assert "frame_000051.npy cannot be read" in store.clip(TIMES[48:53]).notes[0]
    assert store.clip(TIMES[48:53]).state.tolist() == [M] * 5
    assert store.clip(TIMES[41:45]).state.tolist() == [T] * 4
    shard = next(f for f in (places / "maps.zarr" / "maps" / "c").rglob("*") if f.is_file())
    opened = open_gaze_store(places / "maps.zarr")
    shard.write_bytes(shard.read_bytes()[:100])
    assert "maps.zarr is broken" in opened.clip(TIMES[:4]).notes[0]


def test_a_store_that_was_not_finished_is_none(tmp_path):
    ZarrWriter(tmp_path / "half.zarr", TIMES, (4, 4), header={"size": list(SIZE)})
    with pytest.raises(InputError, match="no store of gaze maps"):
        open_gaze_store(tmp_path / "half.zarr")


def test_recordings_that_are_absent_or_broken_are_kept_once_a_path(places):
    (places / "bad.parquet").write_bytes(b"PAR1 nothing")
    paths = {"a": places / "points.parquet", "b": places / "bad.parquet", "c": places / "pints.parquet"}
    stores = GazeStores(paths, size=SIZE)
    clips = {video: stores.clip(video, TIMES[:2]) for video in ("a", "b", "c", "d", "b", "c")}
    assert {v: c.state.tolist() for v, c in clips.items()} == {"a": [T, T], "b": [M, M], "c": [M, M], "d": [M, M]}
    assert len(stores.problems) == 3
    assert "did you mean" in stores.problems[str(paths["c"])]
    assert str(paths["b"]) in stores.problems[str(paths["b"])]
    assert stores.problems["d"] == "there is no gaze for the video 'd'"
    assert isinstance(stores["d"], AbsentStore)
    assert clips["b"].notes == (stores.problems[str(paths["b"])],)


def test_a_path_that_is_wrong_is_an_error_unless_missing_gaze_is_asked_for(tmp_path):
    with pytest.raises(InputError, match="there is no gaze at"):
        open_gaze_store(tmp_path / "none.zarr")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is no store of gaze; expected"):
        open_gaze_store(tmp_path / "empty")


def test_options_that_contradict_one_another():
    with pytest.raises(OptionError, match="either times_s or rate_hz"):
        MapOptions(times_s=TIMES, rate_hz=25.0)
    with pytest.raises(OptionError, match="first is 2"):
        MapOptions(first=2)
    with pytest.raises(OptionError, match="rate_hz is -1"):
        MapOptions(rate_hz=-1.0)
