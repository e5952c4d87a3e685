"""How a job draws: boxes or none, and maps within boxes alone."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from isotherm.errors import OptionError
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run
from isotherm.runs.read import read_items
from rigs.videos import write_clip

SCENE = str(files("isotherm") / "assets" / "scene-1.jpg")


def drawn(folder, **options):
    """The first map's picture, and the facts of its item."""
    job = ExplainJob(sources=(SCENE,), model="detector", trust="off", raw="none", box="0", out=folder, **options)
    assert run(job).done == 1
    (item,) = read_items(folder)
    return np.asarray(Image.open(folder / item["files"][0]).convert("RGB")).astype(int), item


def test_renormalised_maps_are_drawn_within_boxes_alone_and_boxes_may_be_left_out(tmp_path):
    plain, item = drawn(tmp_path / "plain")
    bare, _ = drawn(tmp_path / "bare", show_boxes=False)
    inside, _ = drawn(tmp_path / "inside", show_boxes=False, renormalise=True)
    scene = np.asarray(Image.open(SCENE).convert("RGB")).astype(int)
    h, w = scene.shape[:2]
    top = min(
        range(80), key=lambda y: np.abs(inside[y : y + h, :w] - scene[:h]).mean() if y + h <= len(inside) else 999
    )
    x0, y0, x1, y1 = (round(side) for side in item["maps"][0]["box"])
    off = np.abs(inside[top : top + h, :w] - scene).max(-1)
    off[max(0, y0 - 8) : y1 + 8, max(0, x0 - 8) : x1 + 8] = 0
    assert (off < 30).mean() > 0.995  # JPEG apart, the picture's own pixels outside of the box
    assert np.abs(bare - plain)[top + y0 : top + y1, x0 - 2 : x0 + 3].max() > 60  # the box's left side
    assert np.abs(bare[:, :w] - inside[:, :w])[top + y0 : top + y1, x0:x1].max() > 30


def test_what_has_no_boxes_is_refused(tmp_path):
    job = ExplainJob(sources=(SCENE,), model="scenes", trust="off", top=1, renormalise=True, out=tmp_path / "out")
    with pytest.raises(OptionError, match="--renormalise draws a map within the box of a finding"):
        run(job)
    assert not (tmp_path / "out").exists()  # nothing is left behind


def test_a_part_of_a_video_becomes_a_clip(tmp_path):
    av = pytest.importorskip("av")
    clip = write_clip(tmp_path / "clip.mp4", frames=12, rate=10)
    options = {"model": "scenes", "trust": "off", "raw": "none", "start_s": 0.3, "end_s": 0.8, "every": 2}
    summary = run(ExplainJob(sources=(str(clip),), out=tmp_path / "out", top=1, **options))
    assert summary.done == 3
    assert [item["time_s"] for item in read_items(tmp_path / "out")] == pytest.approx([0.3, 0.5, 0.7])
    with av.open(str(tmp_path / "out" / "clip.mp4")) as back:
        assert sum(1 for _ in back.decode(video=0)) == 3
        assert float(back.streams.video[0].average_rate) == pytest.approx(5)
