"""The beetle experiment from end to end at toy size: three sources in files, twelve trainings, judged on two, one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from isotherm.cli.main import main
from isotherm.data.beetle_writer import write_beetles
from isotherm.data.beetles import TRAINING, VALIDATION, BeetleConfig, beetles
from isotherm.jobs.train.recipe_modules import recipe_module
from isotherm.train import keypoint_run
from isotherm.train.keypoint_run import open_run, recipe_from, train_run
from isotherm.train.recipe import read_recipe
from isotherm.train.run_folder import read_figures
from isotherm.train.sweep import TRIAL, read_sweep, trial_dpath, trials_of, with_values
from isotherm.train.sweep_report import matrix_of, table_rows

RECIPES = Path(__file__).parents[2] / "recipes"
SIDE = 64
TOY = {"size": [SIDE, SIDE], "steps": 2, "batch": 4, "keep_every": 2, "log_every": 1, "backbone_rate": 1.0}
SOURCES = {
    "hawaii_train": ("Hawaii", TRAINING[:5]),
    "beetlepalooza_train": ("BeetlePalooza", TRAINING[5:9]),
    "biorepo_train": ("BioRepo", TRAINING[9:12]),
    "hawaii_validation": ("Hawaii", VALIDATION[:3]),
    "biorepo_validation": ("BioRepo", VALIDATION[3:5]),
}


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """A folder with the recipes of the experiment at toy size beside its sources, as files under their names."""
    root = tmp_path_factory.mktemp("experiment")
    for name, (group, seeds) in SOURCES.items():
        kind = beetles(seeds, BeetleConfig(size=(SIDE, SIDE), groups=(group,)))
        write_beetles(kind, root / "beetles" / f"{name}.csv", root / "beetles" / "images")
    for name, head in (("beetle_spec", {"widths": [8, 8], "groups": 4}), ("beetle_coordinates", {"widths": [16, 16]})):
        plain = read_recipe(RECIPES / f"{name}.yaml")
        plain["model"] |= {"backbone": "conv", "frozen": False, "widths": [8, 16], "depth": 1, "head_options": head}
        plain["training"] |= TOY
        (root / f"{name}.yaml").write_text(yaml.safe_dump(plain))
    (root / "beetle_spec_sweep.yaml").write_text((RECIPES / "beetle_spec_sweep.yaml").read_text())
    return root


@pytest.mark.usefixtures(
    "unchecked", "quick_report"
)  # other tests check these shapes; here it is what comes of them all
def test_the_toy_sweep_ends_with_the_table_of_the_specification(layout, tmp_path, monkeypatch, capsys):
    """By the command, with the trials in this process; tests/jobs/sweep has a recipe's trials on Ray."""
    sweep = read_sweep(layout / "beetle_spec_sweep.yaml", recipe_module)
    said = []

    def here(sweep, *, dpath, **options):
        for values in sweep.config.listed():
            trial_dpath(dpath, values).mkdir(parents=True)
            (trial_dpath(dpath, values) / TRIAL).write_text(json.dumps(values))
            plain = with_values(sweep.recipe, values, seed_each=sweep.config.seed_each)
            train_run(
                recipe_from(plain),
                trial_dpath(dpath, values),
                root=sweep.root,
                cache_dpath=tmp_path / ".cache",
                say=lambda m: said.append(str(m)),
            )
        return {trial_dpath(dpath, values).name: "finished" for values in sweep.config.listed()}

    monkeypatch.setattr("isotherm.jobs.sweep.run.run_trials", here)
    assert main(["sweep", str(layout / "beetle_spec_sweep.yaml"), "--out", str(tmp_path), "--quiet"]) == 0
    printed = capsys.readouterr().out.splitlines()
    title = next(i for i, line in enumerate(printed) if line.strip() == "val/hawaii/length_line_err_cm")
    assert printed[title + 1].split() == ["sigma", "rate=0.001", "rate=0.003", "rate=0.01", "rate=0.03"]
    table = [line.split() for line in printed[title + 2 : title + 5]]
    assert [row[0] for row in table] == ["1", "2", "3"]
    assert all(float(cell) > 0 for row in table for cell in row[1:])
    assert [len(row) for row in table] == [5, 5, 5]
    assert any("12 pictures to train on (5 Hawaii, 4 BeetlePalooza, 3 BioRepo), 5 to validate" in line for line in said)
    assert any(line.startswith("decoder: soft_argmax of peak maps, as it was chosen") for line in said)
    trials = trials_of(tmp_path, sweep.metric, {})
    matrix = matrix_of(sweep, trials)
    head, rows = matrix.table()
    assert head == ["sigma", "rate=0.001", "rate=0.003", "rate=0.01", "rate=0.03"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert all(float(cell) > 0 for row in rows for cell in row[1:])
    assert float(rows[0][1]) == pytest.approx(
        next(t.best for t in trials if t.values["training.rate"] == 1e-3 and t.values["training.objective.sigma"] == 1),
        rel=1e-3,
    )
    head, _ = table_rows(sweep, trials)
    assert head[:4] == ["sigma", "rate", "val/hawaii/length_line_err_cm", "at step"]
    assert "val/hawaii/point_err_cm" in head
    assert "val/biorepo/point_err_cm" not in head
    page = (tmp_path / "report.html").read_text()
    assert "less val/hawaii/length_line_err_cm is better" in page
    judged = [row for row in read_figures(trials[0].dpath / "metrics.csv") if "val/hawaii/length_line_err_cm" in row]
    for name in ("point_err_cm", "line_err_cm", "width_line_err_cm", "oob_points_frac", "predicted_oob_frac"):
        assert f"val/hawaii/{name}" in judged[-1]
        assert f"val/biorepo/{name}" in judged[-1]
    for point in ("width_p0", "width_p1", "length_p0", "length_p1"):
        assert 0 < judged[-1][f"val/heatmap/{point}/entropy"] <= 1
        assert 0 <= judged[-1][f"val/heatmap/{point}/uniform"] <= 1
        assert f"val/heatmap/{point}/max" in judged[-1]
    stepped = [row for row in read_figures(trials[0].dpath / "metrics.csv") if "loss" in row]
    assert all(0 <= row["oob_points_frac"] <= 1 for row in stepped)


@pytest.fixture
def quick_report(monkeypatch):
    """Without the drawings of the best and worst pictures, which other tests look at."""
    monkeypatch.setattr(keypoint_run, "write_extremes", lambda *args, **options: [])


@pytest.mark.usefixtures("unchecked")
def test_the_baseline_runs_on_the_same_files_and_is_opened_again(layout, tmp_path):
    plain = read_recipe(layout / "beetle_coordinates.yaml")
    train_run(recipe_from(plain), tmp_path / "run", root=layout)
    rows = read_figures(tmp_path / "run" / "metrics.csv")
    assert rows[-1]["val/hawaii/length_line_err_cm"] >= 0
    assert not [key for row in rows for key in row if "heatmap" in key]
    trained, _ = open_run(tmp_path / "run")
    from isotherm.train.keypoint_predict import predict_pictures

    picture = beetles(VALIDATION[:1], BeetleConfig(size=(SIDE, SIDE)))[0].picture
    found = predict_pictures(trained, [picture])
    assert found.xy.shape == (1, 4, 2)
    assert found.covariance is None
