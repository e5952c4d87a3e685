"""A figure that no validation can have is refused before anything is trained, with those that there are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from isotherm.cli.main import main
from isotherm.data.beetle_writer import write_beetles
from isotherm.data.beetles import VALIDATION, BeetleConfig, beetles
from isotherm.errors import OptionError
from isotherm.train import keypoint_run
from isotherm.train.keypoint_figures import check_figure, check_names
from isotherm.train.keypoint_run import recipe_from, train_run

RECIPE = """
data:
  train: [{format: generated, count: 6, side: 32, groups: [Hawaii, BeetlePalooza]}]
  validation: [{format: generated, split: validation, count: 4, side: 32, groups: [Hawaii, BeetlePalooza]}]
model: {widths: [8, 16], depth: 1, head_options: {widths: [8], groups: 4}}
training: {size: [32, 32], steps: 2, batch: 2, backbone_rate: 1.0, keep_every: 2, log_every: 2}
"""
SET = beetles(VALIDATION[:6], BeetleConfig(size=(32, 32), groups=("Hawaii", "BeetlePalooza")))


def judged_by(name, plain=RECIPE, **data):
    recipe = yaml.safe_load(plain)
    recipe["training"]["judged_by"] = name
    recipe["data"] |= data
    return recipe


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("val/hawai/length_line_err_cm", "did you mean val/hawaii/length_line_err_cm?"),
        ("val/hawaii/lenght_line_err_cm", "did you mean val/hawaii/length_line_err_cm?"),
        ("lenght_line_err_cm", "did you mean length_line_err_cm?"),
        (
            "val/biorepo/point_err_cm",
            r"There are point_err_px, .*width_line_err_cm.*val/beetlepalooza/..., val/hawaii/...",
        ),
        ("pck@0.07", "There are .*pck@0.05"),
    ],
)
def test_a_misspelt_group_or_line_is_refused_when_the_recipe_is_checked(name, says):
    if name.startswith("pck"):
        with pytest.raises(OptionError, match=says):
            check_names(name, ("Hawaii",), ("width",), option="metric")
        return
    with pytest.raises(
        OptionError, match=f"r.yaml: training.judged_by is '{name}', which no validation here has.*{says}"
    ):
        recipe_from(judged_by(name), where="r.yaml")


def test_what_there_is_passes():
    for name in ("val/hawaii/length_line_err_cm", "val/beetlepalooza/point_err_cm", "line_err_px", "oob_points_frac"):
        assert recipe_from(judged_by(name)).training.judged_by == name
        check_figure(name, SET, option="metric")


def test_what_cannot_be_computed_is_refused_when_the_data_are_read():
    with pytest.raises(OptionError, match="no picture that validates in val/beetlepalooza has the line 'width'"):
        check_figure("val/beetlepalooza/width_line_err_cm", SET, option="metric")
    bare = replace(SET, records=[replace(r, px_per_cm=None) for r in SET])
    with pytest.raises(OptionError, match="no picture that validates has a scale in centimetres"):
        check_figure("point_err_cm", bare, option="metric")
    check_figure("point_err_px", bare, option="metric")
    with pytest.raises(OptionError, match="metric is 'nll', which no validation here has"):
        check_figure("nll", SET, option="metric", spread=False)


def test_a_training_on_files_is_refused_before_its_model_is_made(tmp_path, monkeypatch, capsys):
    """Which groups a file has is known when it has been read."""
    write_beetles(SET, tmp_path / "a.csv", tmp_path / "images")
    source = [{"file": "a.csv", "images": "images", "format": "beetles"}]
    recipe = judged_by("val/hawai/point_err_cm", train=source, validation=source)
    checked = recipe_from(recipe)  # nothing is read here
    monkeypatch.setattr(keypoint_run, "make_model", lambda *a, **k: pytest.fail("a model was made"))
    with pytest.raises(
        OptionError, match=r"training\.judged_by is 'val/hawai/point_err_cm'.*did you mean val/hawaii/point_err_cm"
    ):
        train_run(checked, tmp_path / "run", root=tmp_path)
    assert not (tmp_path / "run").exists()
    # the same on the command line, in one sentence; and the metric of a sweep, before Ray is started
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["train", "keypoints", "--config", str(tmp_path / "r.yaml"), "--out", str(tmp_path / "run")]) == 2
    assert "did you mean val/hawaii/point_err_cm?" in capsys.readouterr().err
    recipe["training"].pop("judged_by")
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    for option in ("metric: val/hawai/point_err_cm", "guardrails: [val/hawai/point_err_cm]"):
        (tmp_path / "s.yaml").write_text(f"recipe: r.yaml\nvalues: {{training.rate: [1.0e-3]}}\n{option}\n")
        assert main(["sweep", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "sweep")]) == 2
        said = capsys.readouterr().err
        assert f"s.yaml: {option.partition(':')[0]} is 'val/hawai/point_err_cm'" in said
        assert "did you mean val/hawaii/point_err_cm?" in said
        assert not (tmp_path / "sweep").exists()


def test_lines_that_a_recipe_names_are_known():
    lines = {"body": ["length_p0", "length_p1"]}
    assert recipe_from(judged_by("val/hawaii/body_line_err_cm", lines=lines))
    with pytest.raises(OptionError, match="did you mean val/hawaii/body_line_err_cm"):
        recipe_from(judged_by("val/hawaii/bodi_line_err_cm", lines=lines))
