"""A subset of the ablation of gaze (``python -m bench gaze --quick``), by its own code: the same model and clips, in a
smaller form. The best that a model without gaze could reach is counted from the clips, so what gaze adds is no
matter of time: half of the training shows it.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import jaxtyping
import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def gaze():
    """The module of the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        return importlib.import_module("bench.gaze")


@pytest.fixture(scope="module")
def plan(gaze, tmp_path_factory):
    return gaze.subset(tmp_path_factory.mktemp("gaze"))


def train(plan, *rows):
    """Train rows of the plan that are not trained yet; what was trained so far reached this under every condition."""
    # the other tests of training check its shapes; four hundred steps of it take a fifth longer with that
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        for job in plan.left():
            if job[0] in rows:
                plan.train(*job)
        return plan.judged()
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def bare(gaze, plan):
    """What the model without gaze reached."""
    return train(plan, gaze.BARE)[gaze.BARE][0]


@pytest.fixture(scope="module")
def results(gaze, plan, bare):
    """Of each row what it reached."""
    reached = train(plan, gaze.REAL)
    assert not plan.left()
    return reached


def test_pictures_alone_tell_what_they_can(plan, bare):
    bound = plan.bounds()["gaze"]["video alone"].action
    assert bound == pytest.approx(4 / 15)
    assert bare.accuracy("gaze").mean > 0.1  # it learns what the pictures tell: a fifteenth would be chance
    assert bare.accuracy("gaze").low <= bound


def test_gaze_decides_what_pictures_cannot(gaze, results):
    reached = {r.condition: r.accuracy("gaze").mean for r in results[gaze.REAL]}
    assert reached["real"] > 0.9
    assert max(reached["shuffled"], reached["shifted"], reached["missing"]) < 0.2
    difference = gaze.difference(results[gaze.REAL][0], results[gaze.BARE][0], "gaze")
    assert difference.low > 0.4


def test_the_tables_of_the_benchmark_say_so(gaze, plan, results):
    lines = gaze.statements(results, plan)
    assert len(lines) == 3
    assert all(line.endswith("; holds.") for line in lines)
    assert "26.7 %" in lines[0]
    # a model that takes no gaze in the place of one that does
    swapped = gaze.statements({gaze.REAL: results[gaze.BARE]}, plan)
    assert swapped[0].endswith("; does not hold.")
    text = "\n".join(gaze.tables(results, plan))
    assert "| best possible: video alone |  |  |  | 26.7 |" in text
    assert f"{gaze.REAL}, against: {gaze.BARE}" in text
