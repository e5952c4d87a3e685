"""A conversion that ends at any moment, its last moves included, is gone on with by the same call; a full disk is said."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from isotherm.atomic import atomic_write
from isotherm.data.gaze import convert as conversion
from isotherm.data.gaze.convert import ConvertOptions, convert_gaze
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.store import MapOptions
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.errors import InputError
from rigs.gaze import SIZE, TIMES, wandering

CLOCK = MapOptions(size=SIZE, times_s=TIMES)
ENDINGS = {"zarr": "n.zarr", "npz": "n.npz", "npy": "n"}


class Killed(BaseException):
    """Nothing that anybody takes for an error."""


@pytest.fixture
def points(tmp_path):
    return open_gaze_store(write_points(wandering(), tmp_path / "p.parquet", video="v.mp4"))


def fail_at(monkeypatch, number, error):
    """Let the moves and removals of conversions fail at one of them."""
    done = []

    def stepped(act):
        def step(*args, **kwargs):
            if len(done) == number:
                raise error
            done.append(act)
            return act(*args, **kwargs)

        return step

    # of this module alone: Zarr moves each of its files, which is not counted
    monkeypatch.setattr(conversion, "os", SimpleNamespace(replace=stepped(os.replace)))
    monkeypatch.setattr(conversion, "shutil", SimpleNamespace(rmtree=stepped(shutil.rmtree)))


@pytest.mark.parametrize("again", [False, True], ids=["new", "overwrite"])
@pytest.mark.parametrize("to", ["zarr", "npz", "npy"])
def test_what_ends_between_any_two_moves_is_gone_on_with(points, tmp_path, monkeypatch, to, again):
    options = ConvertOptions(to=to, cells=(6, 8))
    folder = tmp_path / "out"
    expected = None
    for number in itertools.count():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = folder / ENDINGS[to]
        if again:
            convert_gaze(points, path, options, clock=CLOCK)
            expected = open_gaze_store(path).clip(TIMES).maps
        with monkeypatch.context() as patched:
            fail_at(patched, number, Killed())
            try:
                convert_gaze(points, path, options, clock=CLOCK, overwrite=again)
            except Killed:
                ended = False
            else:
                ended = True
        if not ended and path.exists() and not again:
            with pytest.raises(InputError, match="is there already"):
                convert_gaze(points, path, options, clock=CLOCK)
        elif not ended:
            convert_gaze(points, path, options, clock=CLOCK, overwrite=again)
        maps = open_gaze_store(path).clip(TIMES).maps
        torch.testing.assert_close(maps, maps if expected is None else expected, atol=0, rtol=0)
        assert [entry.name for entry in folder.iterdir()] == [path.name]
        if ended:
            break
    assert number >= (4 if again and to != "npz" else 2)


@pytest.mark.parametrize("to", ["zarr", "npz", "npy"])
def test_a_full_disk_is_said_and_nothing_is_lost(points, tmp_path, monkeypatch, to):
    path, options = tmp_path / ENDINGS[to], ConvertOptions(to=to, cells=(6, 8))
    with monkeypatch.context() as patched:
        patched.setattr(
            conversion.WRITERS[to], "write", lambda *args: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left"))
        )
        with pytest.raises(InputError, match=rf"{path.name} cannot be written \(No space left\); make room"):
            convert_gaze(points, path, options, clock=CLOCK)
    assert not path.exists()
    convert_gaze(points, path, options, clock=CLOCK)
    assert (open_gaze_store(path).clip(TIMES).state == points.clip(TIMES).state).all()


def test_maps_in_memory_have_their_place_on_the_disk_beforehand(points, tmp_path, monkeypatch):
    """A file with holes is mapped, and where a hole finds no room the process is ended by the system."""
    asked = []
    monkeypatch.setattr(os, "posix_fallocate", lambda fd, start, size: asked.append((start, size)), raising=False)
    convert_gaze(points, tmp_path / "n.npz", ConvertOptions(to="npz", cells=(6, 8)), clock=CLOCK)
    ((start, size),) = asked
    assert start == 0
    assert size > len(TIMES) * 6 * 8 * np.dtype(np.float32).itemsize


def test_a_file_that_a_full_disk_does_not_take_is_named(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []
