"""The demonstration writes its six pictures, and the head that it trains learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from isotherm.systems.bridgevla.demo import __main__ as command
from isotherm.systems.bridgevla.demo import pictures
from isotherm.systems.bridgevla.demo.stand_in import train
from isotherm.systems.bridgevla.figures import sheet

NAMES = {
    "basic": ["demo_basic_heatmaps.png"],
    "llm_to_heatmap": ["demo_llm_to_heatmap.png"],
    "training": ["demo_training_pipeline.png"],
    "upsampling": ["demo_convex_upsampling.png"],
    "visualization": ["demo_point_visualization.png", "demo_bbox_visualization.png"],
}


@pytest.fixture(scope="module")
def short():
    """Ten steps on two tables, shown as if they were all."""
    made = train(10, tables=2, keep=(0, 10), batch=2)
    looks = {0: made.looks[0], pictures.STEPS // 6: made.looks[10], pictures.STEPS: made.looks[10]}
    return replace(made, looks=looks, losses=made.losses * (pictures.STEPS // 10))


def test_ten_steps_teach_something(short):
    assert np.mean(short.losses[7:10]) < np.mean(short.losses[:3]) - 1


@pytest.mark.parametrize("mode", NAMES)
def test_pictures_of_a_mode(mode, short, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pictures, "trained", lambda *_args, **_options: short)
    monkeypatch.setattr(sheet, "DPI", 64)
    assert command.main(["--mode", mode, "--output_dir", str(tmp_path / "new" / "demos")]) == 0
    written = capsys.readouterr().out.split()
    assert [path.rpartition("/")[2] for path in written] == NAMES[mode]
    for path in written:
        with Image.open(path) as picture:
            colours = np.asarray(picture.convert("RGB"))
        assert min(colours.shape[:2]) > 250
        assert (colours.reshape(-1, 3).std(0) > 20).all()


def test_all_is_every_mode():
    assert {mode: list(files) for mode, files in pictures.MODES.items()} == NAMES


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert command.main(["--mode", "basic", "--output_dir", str(tmp_path / "file")]) == 2
    assert "cannot make the folder" in capsys.readouterr().err


def test_an_unknown_mode_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--mode", "everything"])
    assert "invalid choice: 'everything'" in capsys.readouterr().err
