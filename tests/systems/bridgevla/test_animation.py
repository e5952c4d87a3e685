"""Sequences of maps: numbered pictures and films, all frames on one scale."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.errors import InputError, ShapeError
from isotherm.systems.bridgevla import create_heatmap_animation_frames, generate_hm_from_pt, save_heatmap_animation

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))
MAPS = generate_hm_from_pt([(4.0, 8.0), (12.0, 8.0), (20.0, 8.0)], (16, 24), 1.5)


def read(paths):
    """The frames as numbers."""
    frames = []
    for path in paths:
        with Image.open(path) as frame:
            frames.append(np.asarray(frame).astype(int))
    return frames


def test_frames_are_numbered_and_the_peak_moves(tmp_path):
    paths = create_heatmap_animation_frames(PHOTO, MAPS, tmp_path / "new" / "frames")
    assert [p.rpartition("/")[2] for p in paths] == ["frame_0000.png", "frame_0001.png", "frame_0002.png"]
    frames = np.stack(read(paths))
    centres = []
    for frame in frames:
        apart = np.abs(frame - np.median(frames, 0)).sum(-1)
        centres.append(np.nonzero(apart > 0.5 * apart.max())[1].mean() / frame.shape[1] * 24)
    assert centres[0] < 8
    assert centres[2] > 16


def test_frames_of_an_older_and_longer_animation_do_not_stay(tmp_path):
    create_heatmap_animation_frames(PHOTO, MAPS, tmp_path)
    for name in ("frame_0007.jpg", "frame_old.png", "my_frame_0009.png"):
        (tmp_path / name).write_text("of somebody else")
    paths = create_heatmap_animation_frames(PHOTO, MAPS[:2], tmp_path)
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "frame_0000.png",
        "frame_0001.png",
        "frame_0007.jpg",
        "frame_old.png",
        "my_frame_0009.png",
    ]
    assert len(paths) == 2


def test_a_colour_means_the_same_in_every_frame(tmp_path):
    weaker = torch.stack([MAPS[0], MAPS[0] / 4])
    strong, weak = read(create_heatmap_animation_frames(PHOTO, weaker, tmp_path))
    (alone,) = read(create_heatmap_animation_frames(PHOTO, weaker[1:], tmp_path / "alone"))
    assert np.abs(strong - alone).mean() < 0.2 * np.abs(strong - weak).mean()


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_films(tmp_path, suffix):
    if suffix == ".mp4":
        pytest.importorskip("av", reason="PyAV is not installed")
    path = save_heatmap_animation(PHOTO, list(MAPS), tmp_path / f"film{suffix}", fps=4)
    if suffix == ".gif":
        with Image.open(path) as film:
            assert film.n_frames == 3
    else:
        import av

        with av.open(path) as film:
            assert sum(1 for _ in film.decode(video=0)) == 3


def test_a_picture_for_each_map_and_logits_in_any_of_them(tmp_path):
    mixed = [MAPS[0], torch.randn(16, 24)]
    assert len(create_heatmap_animation_frames([PHOTO, PHOTO.convert("L")], mixed, tmp_path)) == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def refused(*_args, **_options):
        raise PermissionError(13, "Permission denied", "there")

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    with pytest.raises(InputError, match=r"frame_0000\.png': Permission denied; name a folder that can be written"):
        create_heatmap_animation_frames(PHOTO, MAPS, tmp_path)
    with pytest.raises(InputError, match=r"a\.gif': Permission denied"):
        save_heatmap_animation(PHOTO, MAPS, tmp_path / "a.gif")


def test_misuse(tmp_path, unchecked):
    with pytest.raises(ShapeError, match="at least one map"):
        create_heatmap_animation_frames(PHOTO, [], tmp_path)
    with pytest.raises(ShapeError, match="2 pictures for 3 maps"):
        create_heatmap_animation_frames([PHOTO, PHOTO], MAPS, tmp_path)
    with pytest.raises(InputError, match=r"end in \.gif or \.mp4"):
        save_heatmap_animation(PHOTO, MAPS, tmp_path / "film.avi")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        create_heatmap_animation_frames(PHOTO, MAPS, tmp_path / "file")
