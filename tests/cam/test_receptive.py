"""Where cells lie: hand-computed cases, and the gradient of networks with even weights as the judge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm.cam import receptive
from isotherm.cam.attribute import attribute
from isotherm.cam.methods import gradcam
from isotherm.cam.receptive import Follower, following
from isotherm.cam.view import Layout
from rigs.tiny_views import TinyClassifier, TinyNet


def follow(run, size=(64, 96)):
    x = torch.rand(1, 3, *size)
    with Follower(x) as follower:
        out = run(x)
    field = follower.of(out)
    return None if field is None else (*field.first, *field.stride)


BY_HAND = [
    ("3x3 stride 2", lambda x: F.conv2d(x, torch.ones(2, 3, 3, 3), stride=2, padding=1), (0.5, 0.5, 2, 2)),
    ("patches", lambda x: F.conv2d(x, torch.ones(2, 3, 8, 8), stride=8), (4, 4, 8, 8)),
    ("no padding", lambda x: F.conv2d(x, torch.ones(2, 3, 5, 3), stride=(1, 2)), (2.5, 1.5, 1, 2)),
    ("dilated", lambda x: F.conv2d(x, torch.ones(2, 3, 3, 3), dilation=2), (2.5, 2.5, 1, 1)),
    (
        "two in a row",
        lambda x: F.max_pool2d(F.conv2d(x, torch.ones(2, 3, 7, 7), stride=2, padding=3), 3, 2, 1),
        (0.5, 0.5, 4, 4),
    ),
    ("even pooling", lambda x: F.avg_pool2d(x, 2), (1, 1, 2, 2)),
    ("dilated pooling", lambda x: F.max_pool2d(x, 3, 1, dilation=2), (2.5, 2.5, 1, 1)),
    ("adaptive pooling", lambda x: F.adaptive_avg_pool2d(x, (8, 8)), (4, 6, 8, 12)),
    ("nearest", lambda x: F.interpolate(x, scale_factor=2), (0.25, 0.25, 0.5, 0.5)),
    ("bilinear", lambda x: F.interpolate(x, (32, 32), mode="bilinear"), (1, 1.5, 2, 3)),
    ("corners", lambda x: F.interpolate(x, (127, 191), mode="bilinear", align_corners=True), (0.5, 0.5, 0.5, 0.5)),
    (
        "transposed",
        lambda x: F.conv_transpose2d(x, torch.ones(3, 2, 4, 4), stride=2, padding=1),
        (0.25, 0.25, 0.5, 0.5),
    ),
    (
        "padded right and below",
        lambda x: F.conv2d(F.pad(x, (0, 1, 0, 1)), torch.ones(2, 3, 3, 3), stride=2),
        (1.5, 1.5, 2, 2),
    ),
    ("padded left", lambda x: F.pad(x, (3, 0)), (0.5, -2.5, 1, 1)),
    ("mirrored border", lambda x: F.pad(x, (1, 1, 2, 2), mode="reflect"), (-1.5, -0.5, 1, 1)),
    ("every other", lambda x: x[:, :, 1::2, ::2], (1.5, 0.5, 2, 2)),
    ("cut from the end", lambda x: x[:, :, -10:], (54.5, 0.5, 1, 1)),
    ("shuffled", lambda x: F.pixel_unshuffle(x, 4), (2, 2, 4, 4)),
    ("merged by reshaping", lambda x: x.reshape(1, 3, 16, 4, 24, 4).amax((3, 5)), (2, 2, 4, 4)),
    (
        "channels last and back",
        lambda x: F.layer_norm(x.permute(0, 2, 3, 1)[:, ::2], (3,)).permute(0, 3, 1, 2),
        (0.5, 0.5, 2, 1),
    ),
    ("a gate moves nothing", lambda x: x[:, :, ::2, ::2] * x.mean((2, 3), keepdim=True).sigmoid(), (0.5, 0.5, 2, 2)),
    ("branches that disagree meet half-way", lambda x: F.avg_pool2d(x, 2) + x[:, :, ::2, ::2], (0.75, 0.75, 2, 2)),
    ("branches side by side", lambda x: torch.cat([F.avg_pool2d(x, 2), x[:, :, ::2, ::2]], 1), (0.75, 0.75, 2, 2)),
    ("in place", lambda x: F.conv2d(x, torch.ones(2, 3, 3, 3), stride=2, padding=1).relu_().add_(1), (0.5, 0.5, 2, 2)),
]


@pytest.mark.parametrize(("run", "expected"), [case[1:] for case in BY_HAND], ids=[case[0] for case in BY_HAND])
@pytest.mark.parametrize("graph", [False, True])
def test_by_hand(run, expected, graph):
    with torch.set_grad_enabled(graph):
        assert follow(run) == pytest.approx(expected)


def test_what_has_no_grid_has_no_place():
    assert follow(lambda x: x.mean((2, 3), keepdim=True)) is None
    assert follow(lambda x: x.flatten(2).softmax(-1)[..., None]) is None


def even(model: nn.Module) -> nn.Module:
    """All weights of one sign and size, so that the gradient shows the receptive field's centre of gravity."""
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.constant_(m.weight, 1 / m.weight[0].numel())
            if m.bias is not None:
                nn.init.zeros_(m.bias)
    return model.eval()


def resnet():
    from torchvision.models import resnet18

    return resnet18(), "layer3"


def densenet():
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 2), 16), "features"


def efficientnet():
    from timm import create_model

    return create_model("tf_efficientnet_b0"), "blocks.2"  # pads right and below


def resnet_d():
    from timm import create_model

    return create_model("resnet26d"), "layer2.0.downsample"  # pools before the shortcut


@pytest.mark.parametrize("make", [resnet, densenet, efficientnet, resnet_d])
def test_the_gradients_centre_of_gravity_is_where_the_cell_is_said_to_lie(make):
    torch.manual_seed(0)
    model, layer = make()
    size = (192, 224)
    x = torch.rand(1, 3, *size, requires_grad=True)
    kept = []
    handle = even(model).get_submodule(layer).register_forward_hook(lambda _m, _a, out: kept.append(out))
    with Follower(x) as follower:
        model(x)
    handle.remove()
    (out,) = kept
    field = follower.of(out)
    i, j = out.shape[2] // 2, out.shape[3] // 2
    (gradient,) = torch.autograd.grad(out[0, :, i, j].sum(), x)
    weight = gradient[0].abs().sum(0)
    y = (weight.sum(1) * (torch.arange(size[0]) + 0.5)).sum() / weight.sum()
    x_ = (weight.sum(0) * (torch.arange(size[1]) + 0.5)).sum() / weight.sum()
    said = field.first[0] + i * field.stride[0], field.first[1] + j * field.stride[1]
    evenly = (i + 0.5) * size[0] / out.shape[2], (j + 0.5) * size[1] / out.shape[3]
    # max-pooling picks one pixel of nine, and gates pull a little
    assert (float(y), float(x_)) == pytest.approx(said, abs=1.5)
    if make is not densenet:  # its cells do lie almost evenly
        assert max(abs(float(y) - evenly[0]), abs(float(x_) - evenly[1])) > 2


def test_windows_that_lose_cells_are_found_again_also_in_front_of_a_permutation():
    """Swin: windows by reshaping, merging by slices of a channels-last map, a norm, and then a permutation."""
    from torchvision.models import SwinTransformer

    model = SwinTransformer([4, 4], 16, [2, 2, 2], [2, 2, 2], [4, 4], num_classes=3).eval()
    x, kept = torch.rand(1, 3, 64, 96), []
    model.norm.register_forward_hook(lambda _m, _a, out: kept.append(out))
    with torch.no_grad(), following(model, x, ["norm@0"]) as place:
        model(x)
    field = place("norm@0", kept[0], dims=(1, 2))
    assert (*field.first, *field.stride) == (8, 8, 16, 16)


def test_a_model_is_followed_once_per_layer_and_size(monkeypatch):
    view = TinyClassifier()
    made = []
    plain = receptive.Follower
    monkeypatch.setattr(receptive, "Follower", lambda source, **how: made.append(1) or plain(source, **how))
    picture = np.zeros((40, 60, 3), np.uint8)
    for size in ((16, 24), (16, 24), (32, 24)):
        view.size = size
        m = attribute(view, view.prepare([picture]), methods=[gradcam]).maps[0]
        assert m.frame.points_to_source(
            torch.tensor([[[0.5, 0.5]]], dtype=torch.float64)
        ).flatten().tolist() == pytest.approx([0.5 * 60 / 24, 0.5 * 40 / size[0]])
    assert len(made) == 2


def test_cells_that_do_not_cover_the_input_are_not_believed():
    model, x = TinyNet(), torch.rand(1, 3, 64, 64)
    with following(model, x, ["crop@0"]) as place:
        out = x[:, :, :8, :8].clone()
    assert place("crop@0", out) is None


def test_what_the_model_declares_goes_before():
    view = TinyClassifier()
    inputs = view.prepare([np.zeros((40, 60, 3), np.uint8)])
    view.layout = lambda layer, output, inputs: Layout(spans=True)
    m = attribute(view, inputs, methods=[gradcam]).maps[0]
    assert m.frame.allclose(inputs.frame.to_grid(size=(4, 6)))
    view.layout = lambda layer, output, inputs: Layout(stride=(4, 4), first=(1.0, 3.0))
    m = attribute(view, inputs, methods=[gradcam]).maps[0]
    assert m.frame.allclose(inputs.frame.to_cells((1.0, 3.0), (4, 4), (4, 6)))


def test_a_layer_that_could_not_be_followed_is_said_and_spread_evenly():
    class Lost(TinyNet):
        def forward(self, x):
            x = torch.relu(self.first(x))
            cut = (
                nn.functional.unfold(x, 2, stride=1).unflatten(1, (5, 4)).mean(2)
            )  # a size that no followed operation makes
            x = cut.unflatten(2, (x.shape[2] - 1, x.shape[3] - 1))
            return self.head(torch.relu(self.second(x)).mean((2, 3)))

    view = TinyClassifier(Lost())
    inputs = view.prepare([np.zeros((40, 60, 3), np.uint8)])
    a = attribute(view, inputs, methods=[gradcam])
    assert "could not be followed" in a.notes[0]
    assert "second" in a.notes[0]
    assert a.maps[0].frame.allclose(inputs.frame.to_grid(size=tuple(a.maps[0].values.shape[-2:])))
