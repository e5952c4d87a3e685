"""Pictures decoded once: where every pixel lands, resuming, bad files, other settings."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.data import keypoint_cache
from isotherm.data.beetles import TRAINING, beetles
from isotherm.data.keypoint_cache import cache_keypoints, region
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.errors import InputError, OptionError


def blob(h, w, x, y, sigma=6.0):
    """A bright Gaussian at an exact place, edge-origin."""
    xs, ys = np.arange(w) + 0.5, np.arange(h) + 0.5
    g = np.exp(-((xs - x) ** 2)[None] / (2 * sigma**2) - ((ys - y) ** 2)[:, None] / (2 * sigma**2))
    return np.repeat((250 * g).astype(np.uint8)[:, :, None], 3, 2)


def record(h, w, x, y, **parts):
    point = torch.tensor([[float(x), float(y)]])
    return KeypointRecord(picture=blob(h, w, x, y), points=point, state=torch.ones(1, dtype=torch.long), **parts)


def centre(picture):
    """Centre of gravity of a (3, s, s) picture, edge-origin cells."""
    weight = picture[0].astype(float)
    ys, xs = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()


RECORDS = [
    record(100, 140, 60.3, 41.8, name="whole"),
    record(90, 61, 30.5, 50.2, name="tall"),
    record(120, 120, 40.0, 70.0, box=(20.0, 45.0, 66.0, 95.0), name="boxed"),
    record(120, 120, 18.5, 100.5, box=(-11.3, 80.7, 40.2, 130.9), name="beyond the border"),
]
DATA = KeypointSet(records=RECORDS, names=("tip",))


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_every_pixel_lands_where_the_frame_says(tmp_path, fit):
    """The blob's centre of gravity in the small picture is the frame's image of its place, to a tenth of a cell."""
    cached = cache_keypoints(DATA, tmp_path, side=48, margin=0.25, fit=fit)
    assert cached.pictures.shape == (4, 3, 48, 48)
    expected = cached.frame.points_from_source(cached.points.double())[:, 0]
    for i in range(4):
        np.testing.assert_allclose(centre(cached.pictures[i]), expected[i].numpy(), atol=0.1, err_msg=RECORDS[i].name)
    assert cached.area.tolist() == pytest.approx([14000, 90 * 61, 46 * 50, 51.5 * 50.2], rel=1e-5)
    assert cached.px_per_cm.isnan().all()


def test_a_box_is_kept_with_its_margin():
    frame = region(RECORDS[2], (120, 120), 50, 0.1)
    x0, y0, x1, y1 = frame.boxes_to_source(torch.tensor([[0.0, 0.0, 50.0, 50.0]], dtype=torch.float64))[0].tolist()
    assert (x1 - x0, y1 - y0) == pytest.approx((60, 60))
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((43, 70))


def test_a_stretched_region_fills_its_square():
    whole = region(RECORDS[0], (100, 140), 50, 0.1, "stretch")
    assert whole.boxes_to_source(torch.tensor([[0.0, 0.0, 50.0, 50.0]]))[0].tolist() == pytest.approx([0, 0, 140, 100])
    boxed = region(RECORDS[2], (120, 120), 50, 0.1, "stretch")  # its margin is a tenth of the longer side all around
    assert boxed.boxes_to_source(torch.tensor([[0.0, 0.0, 50.0, 50.0]]))[0].tolist() == pytest.approx([15, 40, 71, 100])


def test_nothing_is_decoded_twice(tmp_path, monkeypatch):
    files = []
    for i in range(5):
        Image.fromarray(blob(40, 40, 10 + i, 20)).save(tmp_path / f"{i}.png")
        files.append(
            KeypointRecord(
                picture=tmp_path / f"{i}.png", points=torch.zeros(1, 2), state=torch.ones(1, dtype=torch.long)
            )
        )
    data = KeypointSet(records=files, names=("tip",))
    read = []
    plain = KeypointRecord.read
    monkeypatch.setattr(KeypointRecord, "read", lambda self: (read.append(self), plain(self))[1])
    first = cache_keypoints(data, tmp_path / "cache", side=16)
    assert len(read) == 5
    again = cache_keypoints(data, tmp_path / "cache", side=16)
    assert len(read) == 5
    assert (first.pictures == again.pictures).all()
    cache_keypoints(data, tmp_path / "cache", side=17)
    assert len(read) == 10


def test_an_interrupted_build_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(keypoint_cache, "KEPT_EVERY", 2)
    whole = cache_keypoints(DATA, tmp_path / "whole", side=24)
    read, plain = [], KeypointRecord.read

    def stopped(self):
        if len(read) == 3:
            raise KeyboardInterrupt
        read.append(self)
        return plain(self)

    monkeypatch.setattr(KeypointRecord, "read", stopped)
    with pytest.raises(KeyboardInterrupt):
        cache_keypoints(DATA, tmp_path / "cut", side=24)
    read.clear()
    cached = cache_keypoints(DATA, tmp_path / "cut", side=24)
    assert len(read) == 2  # two of the three had been noted
    assert (cached.pictures == whole.pictures).all()


def test_another_picture_under_the_same_name_is_another_cache(tmp_path):
    fpath = tmp_path / "one.png"
    one = KeypointSet(
        records=[KeypointRecord(picture=fpath, points=torch.zeros(1, 2), state=torch.ones(1, dtype=torch.long))],
        names=("tip",),
    )
    Image.fromarray(blob(40, 40, 10, 20)).save(fpath)
    before = cache_keypoints(one, tmp_path / "cache", side=16).pictures.copy()
    Image.fromarray(blob(41, 40, 30, 20)).save(fpath)
    assert (cache_keypoints(one, tmp_path / "cache", side=16).pictures != before).any()


def test_bad_pictures_are_named_and_left_out_only_when_asked(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG nothing")
    bad = KeypointRecord(
        picture=tmp_path / "bad.png",
        points=torch.zeros(1, 2),
        state=torch.ones(1, dtype=torch.long),
        px_per_cm=20.0,
        origin="labels.csv:3",
    )
    data = KeypointSet(records=[RECORDS[0], bad, RECORDS[1]], names=("tip",), skipped=("labels.csv:9: no picture",))
    with pytest.raises(InputError, match=r"labels\.csv:3: .*bad\.png"):
        cache_keypoints(data, tmp_path / "cache", side=16)
    cached = cache_keypoints(data, tmp_path / "cache", side=16, skip_bad=True)
    assert [r.name for r in cached.records] == ["whole", "tall"]
    assert cached.pictures.shape[0] == len(cached) == 2
    assert len(cached.skipped) == 2
    assert "labels.csv:3" in cached.skipped[1]
    with pytest.raises(InputError, match=r"labels\.csv:3"):  # what was skipped once is still bad
        cache_keypoints(data, tmp_path / "cache", side=16)


def test_a_note_that_is_damaged_is_not_believed(tmp_path):
    cache_keypoints(DATA, tmp_path, side=16)
    (note,) = tmp_path.glob("*.json")
    for text in ("{", json.dumps({"format": "other", "sizes": [[1, 1]] * 4})):
        note.write_text(text)
        assert len(cache_keypoints(DATA, tmp_path, side=16)) == 4


def test_nothing_and_nonsense(tmp_path):
    empty = cache_keypoints(KeypointSet(records=[], names=("tip",)), tmp_path, side=16)
    assert len(empty) == 0
    assert empty.points.shape == (0, 1, 2)
    with pytest.raises(OptionError, match="side is 0"):
        cache_keypoints(DATA, tmp_path, side=0)


TOGETHER = """
import os, sys, time
import numpy as np
from isotherm.data.beetles import TRAINING, beetles
from isotherm.data.keypoint_cache import cache_keypoints
data = beetles(TRAINING[:40])
while not os.path.exists(sys.argv[2]):  # both begin at once
    time.sleep(0.001)
print(int(np.array(cache_keypoints(data, sys.argv[1], side=96).pictures).sum(dtype=np.int64)))
"""


def test_processes_that_build_it_together_get_the_same_pictures(tmp_path, programs):
    """One builds, the other waits: a file that is made anew under a process that reads it kills that process."""
    words = [str(tmp_path), str(tmp_path / "go")]
    processes = [programs.start(TOGETHER, words, cwd=tmp_path) for _ in range(2)]
    (tmp_path / "go").touch()
    found = [process.wait() for process in processes]
    assert [one.returncode for one in found] == [0, 0], found
    alone = cache_keypoints(beetles(TRAINING[:40]), tmp_path / "alone", side=96)
    assert {int(one.stdout) for one in found} == {int(np.array(alone.pictures).sum(dtype=np.int64))}
