"""Patches give the dense pass's gradients exactly, borders included, and refuse whatever is not a chain of local steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm.cam import patches as patches_module
from isotherm.cam.locality import Chain, Refused, prove_chain
from isotherm.cam.methods.gradcam import gradcam
from isotherm.cam.methods.hirescam import hirescam
from isotherm.cam.patches import PatchGroup, PatchPlan, cut, join_maps, level_map, patch_gradients
from isotherm.cam.trace import LayerMap
from isotherm.cam.view import Inputs
from isotherm.errors import MethodError
from isotherm.frame import Frame
from isotherm.relevance.method import LayerMethod
from rigs.patch_maps import patch_maps

CORNERS_AND_MORE = [(0, 0), (0, 6), (5, 0), (5, 6), (2, 3), (1, 1), (0, 3), (5, 5)]


def branch(channels: int = 4, out: int = 3) -> nn.Sequential:
    """Two 3 x 3 convolutions, one depthwise, with norms whose bias makes zero padding differ from anything else."""
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(channels, 5, 3, padding=1), nn.BatchNorm2d(5), nn.SiLU(inplace=True)),
        nn.Sequential(
            nn.Conv2d(5, 5, 3, padding=1, groups=5), nn.BatchNorm2d(5), nn.SiLU(), nn.Conv2d(5, 6, 1), nn.GELU()
        ),
        nn.Conv2d(6, out, 1),
    ).double()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_()
            m.running_var.uniform_(0.5, 2)
            m.weight.data.normal_()
            m.bias.data.normal_()
    return net.eval()


def group(
    net: nn.Module, features: torch.Tensor, cells, *, layer: str = "neck", first: int = 0, picture=None
) -> PatchGroup:
    cell = torch.tensor(cells)
    picture = torch.zeros(len(cell), dtype=torch.long) if picture is None else torch.tensor(picture)
    with torch.no_grad():
        expected = net(features)[picture, :, cell[:, 0], cell[:, 1]]
    return PatchGroup(
        layer,
        features,
        torch.arange(first, first + len(cell)),
        picture,
        cell,
        {"class": net},
        decode=lambda at: {"logits": at["class"]},
        expected={"logits": expected},
        score=lambda said: said["logits"][:, 1].tanh(),
    )


def dense_gradients(net: nn.Module, g: PatchGroup) -> torch.Tensor:
    """The slow way: one backward pass through the whole map per target."""
    found = []
    for p, (row, column) in zip(g.picture.tolist(), g.cell.tolist(), strict=True):
        leaf = g.features.clone().requires_grad_()
        found.append(torch.autograd.grad(net(leaf)[p, 1, row, column].tanh(), leaf)[0][p])
    return torch.stack(found)


def inputs(b: int = 1) -> Inputs:
    frames = Frame.stack([Frame.resize((100 + i, 90), (48, 56)) for i in range(b)])
    return Inputs(torch.zeros(b, 3, 48, 56), frames)


def test_gradients_are_those_of_the_dense_pass_at_every_border():
    net, features = branch(), torch.randn(2, 4, 6, 7, dtype=torch.float64)
    g = group(net, features, CORNERS_AND_MORE, picture=[0, 1, 0, 1, 0, 1, 1, 0])
    (got,) = patch_gradients(PatchPlan(net, (g,), len(CORNERS_AND_MORE)))
    assert got.gradient.shape == (8, 4, 5, 5)
    outside = ~cut(features, g.picture, g.cell, 2)[1][:, None]
    assert not bool((got.activation * outside).any())
    assert not bool((got.gradient * outside).any())
    activation, gradient = got.dense(torch.arange(8))
    expected = dense_gradients(net, g)
    assert float(expected.abs().amax((1, 2, 3)).min()) > 1e-4
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(activation, features[g.picture], rtol=0, atol=0)


def test_the_radius_comes_from_the_convolutions():
    wide = nn.Sequential(
        nn.Conv2d(2, 2, 5, padding=2), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=2, dilation=2), nn.Conv2d(2, 1, 1)
    )
    chain = prove_chain(wide, 2)
    assert isinstance(chain, Chain)
    assert chain.radius == 4
    features = torch.randn(1, 2, 5, 6)
    square, inside = cut(features, torch.tensor([0]), torch.tensor([[0, 5]]), 4)
    assert inside.sum() == 25
    with torch.no_grad():
        torch.testing.assert_close(chain.at_centres(square, inside)[0], wide(features)[0, :, 0, 5])


def test_several_branches_of_different_reach_share_a_patch():
    near, far = nn.Conv2d(3, 2, 1).double(), branch(3, 2)
    features = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    cell = torch.tensor([[0, 0], [3, 2]])
    with torch.no_grad():
        expected = {
            "near": near(features)[0, :, cell[:, 0], cell[:, 1]].T,
            "far": far(features)[0, :, cell[:, 0], cell[:, 1]].T,
        }
    g = PatchGroup(
        "neck",
        features,
        torch.arange(2),
        torch.zeros(2, dtype=torch.long),
        cell,
        {"near": near, "far": far},
        decode=lambda at: at,
        expected=expected,
        score=lambda said: said["near"][:, 0] * said["far"][:, 1],
    )
    (got,) = patch_gradients(PatchPlan(nn.ModuleList([near, far]), (g,), 2))
    for i, (row, column) in enumerate(cell.tolist()):
        leaf = features.clone().requires_grad_()
        product = near(leaf)[0, 0, row, column] * far(leaf)[0, 1, row, column]
        torch.testing.assert_close(
            got.dense(torch.tensor([i]))[1], torch.autograd.grad(product, leaf)[0], rtol=1e-10, atol=1e-12
        )


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


class FunctionalStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.second(F.avg_pool2d(self.first(x), 3, 1, 1))


class SecretStep(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) + x.mean()


class InPlaceSecret(nn.Module):
    """Changes the tensor between two modules without making a new one: only the numbers can tell."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return self.second(self.first(x).add_(x.mean()))


def hooked() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(4, 4, 1))
    net[0].register_forward_hook(lambda _m, _a, out: out * 2)
    return net


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.Sequential(nn.Conv2d(4, 4, 3, stride=2, padding=1)), "stride"),
        (nn.Sequential(nn.Conv2d(4, 4, 5, padding=1), nn.Conv2d(4, 4, 1)), "does not run"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, padding=2)), "padding"),
        (nn.Sequential(nn.Conv2d(4, 4, 2, padding=1)), "kernel"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")), "reflect"),
        (nn.Sequential(nn.Conv2d(4, 4, (1, 3), padding=(0, 1))), "kernel"),
        (nn.Sequential(nn.AvgPool2d(3, 1, 1)), "AvgPool2d"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(2)), "AdaptiveAvgPool2d"),
        (nn.GroupNorm(2, 4), "GroupNorm"),
        (nn.BatchNorm2d(4, track_running_stats=False), "running statistics"),
        (SecretStep(4, 4, 1), "SecretStep"),
        (Residual(), "after its last module"),
        (FunctionalStep(), "before its Conv2d"),
        (nn.Linear(7, 3), "does not run"),
        (hooked(), "hooks"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_not_proved_local_is_refused_with_the_reason(module, reason):
    got = prove_chain(module, 4)
    assert isinstance(got, Refused)
    assert reason in got.reason


def test_what_only_the_numbers_can_tell_is_refused_as_well():
    net, features = InPlaceSecret().double(), torch.randn(1, 4, 5, 5, dtype=torch.float64)
    assert isinstance(prove_chain(net, 4), Chain)
    got = patch_gradients(PatchPlan(net, (group(net, features, [(2, 2)]),), 1))
    assert isinstance(got, Refused)
    assert "logits" in got.reason
    assert "neck" in got.reason


def test_an_unreachable_score_is_refused():
    net, features = branch(), torch.randn(1, 4, 5, 5, dtype=torch.float64)
    g = group(net, features, [(2, 2)])
    off = PatchGroup(
        g.layer, g.features, g.targets, g.picture, g.cell, g.branches, g.decode, g.expected, lambda said: torch.ones(1)
    )
    got = patch_gradients(PatchPlan(net, (off,), 1))
    assert isinstance(got, Refused)
    assert "does not depend" in got.reason


def test_a_refused_plan_stays_refused():
    why = Refused("because")
    assert patch_gradients(why) is why
    assert patch_maps(why, hirescam, inputs()) is why


def test_scores_see_the_models_own_values_not_their_rounding():
    net, features = branch(), torch.randn(1, 4, 5, 5, dtype=torch.float64)
    g = group(net, features, [(0, 0), (2, 2)])
    seen = {}

    def score(said):
        seen.update(said)
        # a kink exactly at the model's value: one ulp of rounding would choose the other side
        return torch.where(
            said["logits"][:, 1] >= g.expected["logits"][:, 1], said["logits"][:, 1], -said["logits"][:, 1]
        )

    kinked = PatchGroup(g.layer, g.features, g.targets, g.picture, g.cell, g.branches, g.decode, g.expected, score)
    patch_gradients(PatchPlan(net, (kinked,), 2))
    assert torch.equal(seen["logits"].detach(), g.expected["logits"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_stay_within_their_rounding(dtype):
    net, features = branch().to(dtype), torch.randn(1, 4, 6, 7).to(dtype)
    g = group(net, features, CORNERS_AND_MORE)
    got = patch_gradients(PatchPlan(net, (g,), 8))
    assert not isinstance(got, Refused)
    assert got[0].gradient.dtype == dtype
    expected = dense_gradients(net.double(), group(net, features.double(), CORNERS_AND_MORE))
    error = (got[0].dense(torch.arange(8))[1].double() - expected).abs().max() / expected.abs().max()
    assert float(error) < (1e-5 if dtype == torch.float32 else 0.1)


def test_local_maps_equal_the_method_on_dense_gradients():
    net, features = branch(), torch.randn(1, 4, 6, 7, dtype=torch.float64)
    g = group(net, features, CORNERS_AND_MORE)
    got = patch_maps(PatchPlan(net, (g,), 8), hirescam, inputs())
    expected = hirescam.map(features.expand(8, -1, -1, -1), dense_gradients(net, g))
    torch.testing.assert_close(got.values, expected, rtol=1e-9, atol=1e-12)
    assert int((got.values[4] != 0).sum()) == 25
    assert got.frame.size == (6, 7)
    assert got.frame.allclose(inputs().frame.to_grid(size=(6, 7))[torch.zeros(8, dtype=torch.long)])


@pytest.mark.parametrize("chunk", [1, 1 << 24])
def test_pooled_maps_equal_the_method_on_dense_gradients(monkeypatch, chunk):
    monkeypatch.setattr(patches_module, "CHUNK", chunk)
    net, features = branch(), torch.randn(2, 4, 6, 7, dtype=torch.float64)
    g = group(net, features, CORNERS_AND_MORE, picture=[0, 1, 0, 1, 0, 1, 1, 0])
    got = patch_maps(PatchPlan(net, (g,), 8), gradcam, inputs(2))
    torch.testing.assert_close(
        got.values, gradcam.map(features[g.picture], dense_gradients(net, g)), rtol=1e-9, atol=1e-12
    )
    assert torch.equal(got.frame.source_size, inputs(2).frame.source_size[g.picture])


def test_a_local_method_that_is_not_zero_without_gradient_is_computed_everywhere():
    offset = LayerMethod("Offset", lambda a, g: a + g, signed=True, local=True)
    net, features = branch(), torch.randn(1, 4, 6, 7, dtype=torch.float64)
    g = group(net, features, [(3, 3)])
    got = patch_maps(PatchPlan(net, (g,), 1), offset, inputs())
    torch.testing.assert_close(got.values, offset.map(features, dense_gradients(net, g)), rtol=1e-9, atol=1e-12)


def test_methods_without_gradient_are_refused():
    net, features = branch(), torch.randn(1, 4, 6, 7, dtype=torch.float64)
    blind = LayerMethod("Blind", lambda a, g: a, signed=True, uses_gradient=False)
    assert isinstance(patch_maps(PatchPlan(net, (group(net, features, [(1, 1)]),), 1), blind, inputs()), Refused)


def test_levels_are_joined_in_the_order_of_the_targets_on_the_finest_grid():
    fine, coarse = branch(), branch()
    f, c = torch.randn(3, 4, 6, 7, dtype=torch.float64), torch.randn(3, 4, 3, 4, dtype=torch.float64)
    gc = group(coarse, c, [(1, 1)], layer="coarse", first=1, picture=[2])
    gf = group(fine, f, [(2, 2), (4, 4)], layer="fine", picture=[0, 1])
    gf = PatchGroup(
        gf.layer, gf.features, torch.tensor([2, 0]), gf.picture, gf.cell, gf.branches, gf.decode, gf.expected, gf.score
    )
    plan = PatchPlan(nn.ModuleList([fine, coarse]), (gc, gf), 3)
    got = patch_maps(plan, hirescam, inputs(3))
    own = [level_map(g, hirescam, inputs(3)) for g in patch_gradients(plan)]
    assert got.values.shape == (3, 6, 7)
    assert torch.equal(got.values[2], own[1].values[0])
    assert torch.equal(got.values[0], own[1].values[1])
    enlarged = F.interpolate(own[0].values[None], (6, 7), mode="bilinear")[0, 0]
    torch.testing.assert_close(got.values[1], enlarged, rtol=1e-9, atol=1e-12)
    assert got.name == "coarse + fine"
    assert torch.equal(got.frame.source_size, inputs(3).frame.source_size[[1, 2, 0]])


def test_targets_without_a_map_are_an_error():
    frame = Frame.stack([Frame.identity((2, 2))])
    with pytest.raises(MethodError, match="1 maps for 2 targets"):
        join_maps([LayerMap("a", torch.zeros(1, 2, 2), frame)], [torch.tensor([0])], 2)


def test_nothing_is_left_behind():
    net, features = branch(), torch.randn(1, 4, 6, 7, dtype=torch.float64)
    net.train()
    net[1].eval()
    flags = [m.training for m in net.modules()]
    state = {k: v.clone() for k, v in net.state_dict().items()}
    g = group(net.eval(), features, CORNERS_AND_MORE)
    for m, flag in zip(net.modules(), flags, strict=True):
        m.training = flag
    before = features.clone()
    with torch.inference_mode():
        got = patch_gradients(PatchPlan(net, (g,), 8))
    assert not isinstance(got, Refused)
    assert [m.training for m in net.modules()] == flags
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.equal(features, before)
    assert not features.requires_grad
