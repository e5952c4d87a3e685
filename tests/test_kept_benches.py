"""What a long benchmark keeps is used again with the same settings alone, and its seconds are those of all its parts."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from isotherm.errors import JobCancelled
from isotherm.train.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
MAIN = "bidirectional prefix, convex head"


@pytest.fixture
def arms(tmp_path, monkeypatch):
    """bench/vla_arms.py in an empty folder, with a training of seconds."""
    monkeypatch.syspath_prepend(ROOT)
    from bench import vla_arms

    monkeypatch.setattr(vla_arms, "WORK", tmp_path)
    monkeypatch.setattr(
        vla_arms, "CONFIG", replace(vla_arms.CONFIG, steps=2, tables=2, batch=4, keep_every=1, log_every=1)
    )
    vla_arms.drawn.cache_clear()
    return vla_arms


def test_every_setting_that_decides_figures_names_another_folder(arms, monkeypatch):
    """Of the training, the arm, the tables, the model and the code."""
    plain, judged = arms.CONFIG, arms.JUDGED

    def folder(name=MAIN, seed=0, config=plain, judged=judged):
        return arms.folder_of(name, seed, config, judged)

    before = folder()
    others = [folder(seed=1), folder(judged=judged[:3]), folder("zeros beyond the border")]
    for change in ({"steps": 3}, {"batch": 2}, {"rate": 2 * plain.rate}, {"tables": 3}, {"sigma": 2 * plain.sigma}):
        others.append(folder(config=replace(plain, **change)))
    with monkeypatch.context() as patched:
        patched.setitem(arms.HEAD_OPTIONS, "hidden_dim", 1)
        others.append(folder())
    for name, value in (("TEXT", {}), ("BORDER", 9), ("WAY", 0), ("drawn", lambda views: "another table")):
        with monkeypatch.context() as patched:
            patched.setattr(arms, name, value)
            others.append(folder())
    with monkeypatch.context() as patched:
        patched.setattr(arms, "ARMS", arms.ARMS | {MAIN: replace(arms.ARMS[MAIN], padding="zeros")})
        others.append(folder())
    assert len({before, *others}) == 1 + len(others)
    assert folder(config=replace(plain, wall_hours=1.0)) == before == folder()


def test_figures_of_other_settings_are_not_read(arms):
    """The old name of a folder had the steps alone in it."""
    old = arms.folder_of(MAIN, 0, arms.CONFIG, arms.JUDGED[:2])
    old.mkdir()
    (old / "figures.json").write_text('{"pick": 2.0}')
    assert arms.run_arm(MAIN, 0, config=arms.CONFIG, judged=arms.JUDGED[:2]) == {"pick": 2.0}
    other = replace(arms.CONFIG, rate=arms.CONFIG.rate / 2)
    assert arms.run_arm(MAIN, 0, config=other, judged=arms.JUDGED[:2])["pick"] <= 1


def test_seconds_are_those_of_all_parts(arms, monkeypatch):
    """A training that is killed behind its first checkpoint, with a clock that goes on by ten seconds a look."""
    ticks = iter(range(0, 10_000, 10))
    monkeypatch.setattr(time, "process_time", lambda: float(next(ticks)))
    keep = RunFolder.keep

    def killed(self, state):
        keep(self, state)
        raise JobCancelled("killed")

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "keep", killed)
        with pytest.raises(JobCancelled):
            arms.run_arm(MAIN, 0, config=arms.CONFIG, judged=arms.JUDGED[:2])
    (file,) = arms.WORK.rglob("seconds.json")
    assert json.loads(file.read_text()) == 10
    # the second part: from its beginning to its checkpoint 10 seconds, and to its end 20
    found = arms.run_arm(MAIN, 0, config=arms.CONFIG, judged=arms.JUDGED[:2])
    assert found["processor_seconds"] == 30
    assert arms.run_arm(MAIN, 0, config=arms.CONFIG, judged=arms.JUDGED[:2]) == found


def test_the_model_that_ships_and_how_it_is_judged_name_the_file_of_a_lift(arms, tmp_path, monkeypatch):
    from bench import vla_lift

    before = vla_lift.file_of(0)
    others = [vla_lift.file_of(1), vla_lift.file_of(0, judged=vla_lift.JUDGED[:3])]
    recipe = vla_lift.RECIPE
    others.append(vla_lift.file_of(0, replace(recipe, training=replace(recipe.training, steps=3))))
    (tmp_path / "another.safetensors").write_bytes(b"trained anew")
    for name, value in (("SHIPPED", tmp_path / "another.safetensors"), ("VOXELS", 47)):
        with monkeypatch.context() as patched:
            patched.setattr(vla_lift, name, value)
            others.append(vla_lift.file_of(0))
    assert len({before, *others}) == 1 + len(others)
    assert vla_lift.file_of(0) == before


def test_chains_of_transforms_go_on_where_they_were_ended(tmp_path, monkeypatch):
    """A chain whose line was cut is measured again, the others are not, and a refusal is kept like a figure."""
    monkeypatch.syspath_prepend(ROOT)
    from bench import preprocess

    asked = []

    def one_chain(seed):
        asked.append(seed)
        return {"float": "refused" if seed == 1 else seed * 1e-3, "bytes": 0.0, "boxes": 0.0}

    monkeypatch.setattr(preprocess, "WORK", tmp_path)
    monkeypatch.setattr(preprocess, "one_chain", one_chain)
    preprocess.all_chains(3)
    (kept,) = tmp_path.iterdir()
    kept.write_text(kept.read_text()[:-5])
    found, _ = preprocess.all_chains(4)
    assert asked == [0, 1, 2, 2, 3]
    assert [one["float"] for one in found] == [0.0, "refused", 0.002, 0.003]
    cells, figures = preprocess.row_of("float", [one["float"] for one in found])
    assert cells[1] == "1 of 4 (25.0%) within 0.001"
    assert cells[-1] == "1"
    assert figures["refused"] == {1: "refused"}
