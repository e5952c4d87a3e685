"""The shipped pictures are what their seeds draw, and the shipped classifier sees what is in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.data.demo_pictures import DEMO_PICTURES, demo_picture_paths, main, save_demo_pictures
from isotherm.data.scene_shapes import CLASSES
from isotherm.data.scenes import HELD_OUT
from isotherm.zoo.scenes.view import SEEDS, load_scenes


@pytest.fixture(scope="module")
def shown():
    return [
        (p, p.scene, np.asarray(Image.open(fpath)))
        for p, fpath in zip(DEMO_PICTURES, demo_picture_paths(), strict=True)
    ]


def test_the_shipped_files_are_these_scenes(shown):
    for picture, scene, pixels in shown:
        assert pixels.shape == (*picture.size, 3)
        assert np.abs(pixels.astype(int) - scene.picture).mean() < 2  # JPEG at quality 92


def test_they_are_held_out_and_show_every_class(shown):
    assert all(p.seed in HELD_OUT for p, _, _ in shown)
    assert {scene.names[k] for _, scene, _ in shown for k in scene.labels} == set(CLASSES)
    assert len({p.size for p, _, _ in shown}) >= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shipped_classifiers_see_what_is_in_them(shown, seed):
    view = load_scenes(seed)
    with torch.no_grad():
        logits = view.run(view.prepare([pixels for _, _, pixels in shown])).logits
    for row, (_, scene, _) in zip(logits, shown, strict=True):
        assert row.argmax().item() in scene.labels
        if seed == 0:  # the one that the demo uses: every object and nothing else
            assert set((row > 0).nonzero().flatten().tolist()) == set(scene.labels.tolist())


def test_saving_again_gives_the_same_files(tmp_path, capsys):
    main([str(tmp_path)])
    assert capsys.readouterr().out.count(".jpg") == len(DEMO_PICTURES)
    first = [(tmp_path / p.name).read_bytes() for p in DEMO_PICTURES]
    assert [fpath.read_bytes() for fpath in save_demo_pictures(tmp_path)] == first


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="must exist"):
        main([str(tmp_path / "nowhere")])
