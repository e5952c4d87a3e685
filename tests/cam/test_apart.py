"""Several layers asked for at once, each with a map of its own: the very maps that each gives when it is asked for alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import isotherm
from isotherm.errors import LayerError, MethodError
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run
from isotherm.runs.read import read_items

PICTURE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def layers():
    """Two layers of the shipped classifier, an early one and the last."""
    return ["stage2", isotherm.open_model("scenes").auto_layers().layers[0].partition("@")[0]]


def test_each_layer_has_the_map_that_it_has_alone(layers):
    methods = ["hirescam", "gradcampp"]
    together = isotherm.explain("scenes", PICTURE, method=methods, layers=layers, fuse="none", trust="off")
    assert [(m.meta["method"], m.meta["layer"]) for m in together] == [
        (name, layer) for name in ("HiResCAM", "GradCAM++") for layer in layers
    ]
    for i, method in enumerate(methods):
        for j, layer in enumerate(layers):
            (alone,) = isotherm.explain("scenes", PICTURE, method=method, layers=layer, trust="off")
            torch.testing.assert_close(together[2 * i + j].values, alone.values, rtol=0, atol=0)
            assert together[2 * i + j].frame.allclose(alone.frame)


def test_each_is_judged_by_itself(layers):
    explanation = isotherm.explain("scenes", PICTURE, method="hirescam", layers=layers, fuse="none", trust="fast")
    alone = isotherm.explain("scenes", PICTURE, method="hirescam", layers=layers[1], trust="fast")
    assert len(explanation.trust) == 2
    assert str(explanation.trust[1]) == str(alone.trust[0])


def test_one_layer_and_the_automatic_ones_may_stay_apart_as_well(layers):
    (one,) = isotherm.explain("scenes", PICTURE, method="hirescam", fuse="none", trust="off")
    (other,) = isotherm.explain("scenes", PICTURE, method="hirescam", trust="off")
    torch.testing.assert_close(one.values, other.values, rtol=0, atol=0)


def test_what_cannot_stay_apart_says_why(layers):
    with pytest.raises(LayerError, match="nothing"):
        isotherm.explain("scenes", PICTURE, layers=["nothing"], fuse="none")

    class Everything:
        name, signed, needs = "everything", False, frozenset({"activation"})

        def __call__(self, trace):
            last = trace.layers[-1]
            return [last.map_of(last.activation[:, 0])]

    with pytest.raises(MethodError, match=r"everything gives 1 map\(s\) of 2 layers"):
        isotherm.explain("scenes", PICTURE, method=Everything(), layers=layers, fuse="none", trust="off")


def test_a_job_writes_a_map_for_each_and_names_the_layers(tmp_path, layers):
    fpath = tmp_path / "a.png"
    Image.fromarray(PICTURE).save(fpath)
    job = ExplainJob(
        sources=(str(fpath),),
        model="scenes",
        compare="hirescam,gradcampp",
        layer=",".join(layers),
        fuse="none",
        trust="off",
        out=tmp_path / "out",
    )
    assert "--fuse none" in " ".join(job.command_line())
    assert run(job).done == 1
    (item,) = read_items(tmp_path / "out")
    assert [one["layer"] for one in item["maps"]] == layers * 2
    assert len([name for name in item["files"] if name.endswith(".npz")]) == 4
