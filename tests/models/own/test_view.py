"""A module of one's own with an output of any form: a function says what of it is explained, and without one it is described."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from isotherm import explain, explain_many, open_model, scores
from isotherm.cam.methods import RISE
from isotherm.errors import LayerError, OptionError, TargetError, UnfitTargetError

PICTURE = np.zeros((64, 64, 3), np.uint8)
PICTURE[8:24, 40:56] = 255
"""A white square at the upper right."""


@dataclass
class Found:
    boxes: torch.Tensor
    count: int


class Net(nn.Module):
    """A detector from scratch: two stages and six numbers at each of 8 x 8 cells, which grow with the brightness around it."""

    def __init__(self, form) -> None:
        super().__init__()
        self.form = form
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.neck = nn.ModuleDict({"p4": nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(8, 8, 1), nn.ReLU())})
        self.head = nn.Conv2d(8, 6, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.abs_()

    def forward(self, x):
        y = self.head(self.neck["p4"](self.stem(x)))
        return self.form(y, y.flatten(2).transpose(1, 2))


FORMS = {
    "a coarse tensor": (lambda y, rows: y, lambda out: out[:, 4].amax((1, 2))),
    "rows of boxes": (lambda y, rows: rows, lambda out: out[:, :, 4].amax(1)),
    "a tuple": (lambda y, rows: (rows, [y]), lambda out: out[0][..., 4].amax(1)),
    "a list of levels": (lambda y, rows: [y, y[:, :, ::2, ::2]], lambda out: out[0][:, 4].amax((1, 2))),
    "a dict": (lambda y, rows: {"boxes": rows, "n": 3}, lambda out: out["boxes"][0, :, 4].max()),
    "a dataclass": (lambda y, rows: Found(rows, 3), lambda out: out.boxes[..., 4].amax(1)),
    "an object": (lambda y, rows: SimpleNamespace(boxes=rows), lambda out: out.boxes[..., 4].amax(1)),
    "one dict a picture": (lambda y, rows: [{"boxes": one} for one in rows], lambda out: out[0]["boxes"][:, 4].max()),
    "a key in quotes": (lambda y, rows: {'the "best"': rows}, lambda out: out['the "best"'][..., 4].amax(1)),
    "numbered keys": (lambda y, rows: {3: y, (1, 2): 0}, lambda out: out[3][:, 4].amax((1, 2))),
    "one row for all": (lambda y, rows: rows[0], lambda out: out[:, 4].max()),
    "nested": (lambda y, rows: ({"levels": [rows]},), lambda out: out[0]["levels"][0][..., 4].amax(1)),
}


def made(form: str) -> Net:
    torch.manual_seed(0)
    return Net(FORMS[form][0]).eval()


def strongest(heatmap) -> tuple[float, float]:
    """(x, y) in source pixels of the strongest cell's centre."""
    row, column = np.unravel_index(int(heatmap.values.argmax()), heatmap.values.shape)
    (point,) = heatmap.frame.points_to_source(torch.tensor([[column + 0.5, row + 0.5]], dtype=torch.float64))
    return float(point[0]), float(point[1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layers", ["neck.p4", "auto"])
def test_an_output_of_any_form_is_explained_by_a_function_of_it(form, layers):
    maps = explain(
        made(form), PICTURE, size=64, mean=(0.0,) * 3, std=(1.0,) * 3, target=FORMS[form][1], layers=layers, trust="off"
    )
    x, y = strongest(maps[0])
    assert 36 <= x <= 60
    assert 4 <= y <= 28


@pytest.mark.parametrize("form", FORMS)
def test_without_a_target_the_output_is_described_and_the_line_to_copy_works(form):
    net = made(form)
    with pytest.raises(
        TargetError, match=r"^Net put out .*; give target=, a function of it that returns one number"
    ) as caught:
        explain(net, PICTURE, size=64, trust="off")
    line = re.search(r"such as target=(.*)$", str(caught.value))
    assert line is not None
    assert len(explain(net, PICTURE, size=64, trust="off", target=eval(line[1]))) == 1


def test_a_coarse_tensor_is_described_by_its_shape():
    with pytest.raises(TargetError, match=r"^Net put out a tensor \(1, 6, 8, 8\); give target="):
        explain(made("a coarse tensor"), PICTURE, size=64)
    with pytest.raises(UnfitTargetError, match="in which isotherm sees no classes; say with output="):
        explain(made("a coarse tensor"), PICTURE, size=64, target=3)
    with pytest.raises(OptionError, match="sees no classes, but names were given"):
        explain(made("a coarse tensor"), PICTURE, size=64, names=["a"] * 6)


def test_a_function_of_one_picture_is_judged_picture_by_picture(quick_verdicts):
    """Changed pictures of the trust line go through the model one after another, and give what a function of rows gives."""
    net, target = made("rows of boxes"), FORMS["rows of boxes"][1]
    rows = explain(net, PICTURE, size=64, target=target, layers="neck.p4", smooth="augment")
    alone = explain(net, PICTURE, size=64, target=lambda out: out[0, :, 4].max(), layers="neck.p4", smooth="augment")
    assert np.allclose(rows[0].values, alone[0].values, atol=1e-6)
    assert rows.trust_lines == alone.trust_lines
    for method in (RISE(masks=16), "occlusion", "ablationcam", "integratedgradients", "scorecam"):
        one, other = (
            explain(net, PICTURE, size=64, target=t, layers="neck.p4", method=method, trust="off")
            for t in (target, lambda out: out[0, :, 4].max())
        )
        assert np.allclose(one[0].values, other[0].values, atol=1e-5), method


def test_a_function_of_one_picture_is_refused_of_several_with_what_to_do():
    net = made("rows of boxes")
    with pytest.raises(TargetError, match=r"shape \(2,\); keep the first dimension, such as \.amax\(1\)"):
        list(explain_many(net, [PICTURE, PICTURE], size=64, target=lambda out: out[..., 4].max(), trust="off"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (lambda out: out["boxes"], r"failed \(.*\); it was given what the model put out, a tensor \(1, 64, 6\)"),
        (lambda out: out, r"returned a tensor of shape \(1, 64, 6\); expected one number per picture"),
        (lambda out: 3.0, "returned a float; expected one number"),
        (lambda out: (out[..., 4] > 0).sum(1), "expected real numbers with their graph: a count or an index has no gradient"),
    ],
)  # fmt: skip
def test_a_function_that_fits_not_says_what_it_was_given(target, message):
    with pytest.raises(TargetError, match=message):
        explain(made("rows of boxes"), PICTURE, size=64, target=target, layers="neck.p4", trust="off")


class Heads(nn.Module):
    """Two heads on one body, the second on another part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU())
        self.left, self.right = nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.shape, self.colour = nn.Linear(8, 3), nn.Linear(8, 4)

    def forward(self, x):
        body = self.body(x)
        shape = self.shape(self.left(body).mean((2, 3)))
        return {"shape": shape, "colour": self.colour(self.right(body).mean((2, 3)))}


def test_one_of_several_heads_is_a_classifier_with_names_and_its_own_layer():
    torch.manual_seed(0)
    net = Heads().eval()
    maps = explain(net, PICTURE, size=64, output="shape", names=["disc", "star", "ring"], target="star", trust="off")
    assert (maps[0].label, maps[0].meta["layer"]) == ("star", "left")
    assert any(line.startswith("output: shape, a tensor (1, 3) read as") and "as given" in line for line in maps.chosen)
    by_function = explain(net, PICTURE, size=64, target=lambda out: out["shape"][:, 1], trust="off")
    assert by_function[0].meta["layer"] == "left"
    assert np.allclose(maps[0].values, by_function[0].values)
    assert (
        explain(net, PICTURE, size=64, target=lambda out: out["colour"][:, 1], trust="off")[0].meta["layer"] == "right"
    )


@pytest.mark.parametrize("tail", [nn.Identity(), nn.Unflatten(1, (-1, 1, 1))], ids=["(b, k)", "(b, k, 1, 1)"])
def test_a_head_of_any_shape_is_read_as_classes_and_said_to_be(tail):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5), tail
    )
    maps = explain(net.eval(), PICTURE, size=64, target=3, trust="off")
    assert maps[0].label == "class 3"
    assert any("read as a logit for each of 5 classes, an assumption" in line for line in maps.chosen)
    logits = open_model(net, size=64)
    inputs = logits.prepare([PICTURE])
    assert maps[0].meta["score"] == pytest.approx(float(net(inputs.tensor).detach().flatten()[3]), abs=1e-5)


def test_a_regression_is_one_number():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1), nn.Flatten(0)
    )
    maps = explain(net.eval(), PICTURE, size=64, trust="off")
    assert maps[0].label == "output"
    assert any("a tensor (1,) read as one number, an assumption" in line for line in maps.chosen)


def test_an_embedding_is_explained_by_its_likeness():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    along = torch.rand(8)
    by_output = explain(net, PICTURE, size=64, target=lambda out: out @ along, trust="off")
    by_prediction = explain(net, PICTURE, size=64, target=scores.Function(lambda p: p.logits @ along), trust="off")
    assert np.allclose(by_output[0].values, by_prediction[0].values)


def test_a_function_of_two_is_given_the_output_and_the_prediction():
    seen = []

    def target(out, prediction):
        seen.append((type(out), type(prediction).__name__))
        return out.sum(1)

    net = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)).eval()
    explain(net, PICTURE, size=64, target=target, trust="off")
    assert set(seen) == {(torch.Tensor, "Classification")}
    seen.clear()
    explain(made("rows of boxes"), PICTURE, size=64, target=lambda out, p: target(out[..., 4], p), trust="off")
    assert set(seen) == {(torch.Tensor, "NoneType")}


def test_a_layer_that_the_target_does_not_read_is_refused_by_name():
    with pytest.raises(LayerError, match="no gradient at layer right: the score does not depend on its output"):
        explain(Heads().eval(), PICTURE, size=64, target=lambda out: out["shape"][:, 1], layers="right", trust="off")
