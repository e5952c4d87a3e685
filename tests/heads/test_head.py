"""Every head: shapes, frames, where it answers, its configuration, published keys, compiling and exporting."""

from __future__ import annotations

import io
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heads import (
    ConvexUpsample,
    DeconvHead,
    LinearHead,
    PixelShuffleHead,
    check_alignment,
    response_centre,
    to_grid,
)
from isotherm.ops.convex_upsample import convex_upsample
from rigs.breadth import wide

HEADS = {
    "convex": (lambda: ConvexUpsample(8, 2, ratio=7), 7),
    "convex, zeros, bottleneck, batch norm": (
        lambda: ConvexUpsample(8, 2, ratio=4, hidden_dim=4, batch_norm=True, padding="zeros"),
        4,
    ),
    "deconvolution": (lambda: DeconvHead(8, 2, widths=(16, 8), groups=4), 4),
    "pixel shuffle": (lambda: PixelShuffleHead(8, 2, ratio=3, hidden_dim=6), 3),
    "linear": (lambda: LinearHead(8, 2, ratio=2), 2),
}
each = pytest.mark.parametrize("name", HEADS)
BOTTLENECK = "convex, zeros, bottleneck, batch norm"


@pytest.fixture
def head(name):
    return HEADS[name][0]().eval()


@each
def test_size_and_frame(head, name):
    ratio = HEADS[name][1]
    assert head.ratio == ratio
    grid = Frame.letterbox((480, 640), (224, 224)).to_grid(stride=14)
    assert head(torch.randn(2, 8, 16, 16)).shape == (2, 2, 16 * ratio, 16 * ratio)
    frame = head.output_frame(grid)
    assert frame.size == (16 * ratio, 16 * ratio)
    # cell (i, j) of the grid and its block of map cells are one place
    centre = grid.points_to_source(torch.tensor([[3.5, 7.5]]))
    assert torch.allclose(frame.points_to_source(torch.tensor([[3.5, 7.5]]) * ratio), centre)


@each
@pytest.mark.parametrize("cell", [pytest.param((3, 8)), *wide([pytest.param((6, 3)), pytest.param((4, 5))])])
def test_a_bright_cell_moves_the_map_there(head, name, cell):
    check_alignment(head, in_dim=8)
    centre = response_centre(head, in_dim=8, grid=(10, 12), cell=cell, trials=64)
    assert (centre - torch.tensor([cell[1] + 0.5, cell[0] + 0.5])).abs().max() < 1.25


@each
def test_nothing_shifts_on_average(head, name):
    """All weights equal: what is left of a bright cell is symmetric about its centre, to the last digit."""
    head = head.double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.fill_(0.01)
    features = torch.zeros(1, 8, 11, 11, dtype=torch.float64)
    features[:, :, 5, 5] = 1
    maps = head(features)
    assert maps.std() > 0
    assert torch.allclose(maps, maps.flip(-1), atol=1e-12)
    assert torch.allclose(maps, maps.flip(-2), atol=1e-12)
    assert torch.allclose(maps, maps.transpose(-1, -2), atol=1e-12)


@each
def test_the_configuration_makes_the_head_again(head, name):
    again = type(head)(**asdict(head.config)).eval()
    again.load_state_dict(head.state_dict())
    features = torch.randn(1, 8, 5, 6)
    assert torch.equal(again(features), head(features))
    with pytest.raises(FrozenInstanceError):
        head.config.in_dim = 3


# tests/systems/bridgevla/test_converter.py compiles the convex head, and has ONNX of it
@pytest.mark.parametrize("name", ["deconvolution", "pixel shuffle", "linear", *wide(["convex", BOTTLENECK])])
def test_compiled_in_one_graph(head, name, unchecked):
    features = torch.randn(2, 8, 5, 6, requires_grad=True)
    compiled = torch.compile(head, fullgraph=True, backend="aot_eager")
    out = compiled(features)
    assert torch.allclose(out, head(features), atol=1e-6)
    out.sum().backward()
    assert features.grad.abs().sum() > 0


SCRIPTED = """
import torch
from isotherm.heads import ConvexUpsample, DeconvHead, LinearHead, PixelShuffleHead

torch.manual_seed(0)
for make in (
    lambda: ConvexUpsample(8, 2, ratio=7),
    lambda: ConvexUpsample(8, 2, ratio=4, hidden_dim=4, batch_norm=True, padding="zeros"),
    lambda: DeconvHead(8, 2, widths=(16, 8), groups=4),
    lambda: PixelShuffleHead(8, 2, ratio=3, hidden_dim=6),
    lambda: LinearHead(8, 2, ratio=2),
):
    head = make().eval()
    scripted = torch.jit.script(head)
    features = torch.randn(2, 8, 5, 6)
    found = []
    for one in head, scripted:
        leaf = features.clone().requires_grad_()
        maps = one(leaf)
        maps.square().sum().backward()
        found.append((maps.detach(), leaf.grad))
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(*found)), type(head)
    assert found[0][1].abs().sum() > 0
    half = features.bfloat16()
    assert torch.allclose(head.to(half)(half), scripted.to(half.dtype)(half), atol=1e-2)
    print(type(head).__name__)
"""


def test_scripted_with_equal_numbers(unchecked_process):
    """In a process of its own: the run-time checks that tests run under are nothing that TorchScript reads."""
    assert unchecked_process.run(SCRIPTED).split() == [type(make()).__name__ for make, _ in HEADS.values()]


@each
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 5e-2), (torch.float16, 5e-3)])
def test_half_precisions_agree(head, name, dtype, tolerance):
    features = torch.randn(2, 8, 5, 6)
    full = head(features)
    half = head.to(dtype)(features.to(dtype))
    assert half.dtype == dtype
    assert (half.float() - full).abs().max() < tolerance * full.abs().max()


@pytest.mark.parametrize("name", [*(name for name in HEADS if name != BOTTLENECK), *wide([BOTTLENECK])])
def test_exported_with_a_free_batch(head, name):
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(head, (torch.randn(3, 8, 5, 6),), dynamic_shapes=({0: batch},))
    features = torch.randn(5, 8, 5, 6)
    assert torch.allclose(program.module()(features), head(features), atol=1e-6)


def expectation(maps):
    """The mean of each map, (x, y) in cells."""
    probability = maps.flatten(-2).softmax(-1).view_as(maps)
    x, y = (torch.arange(n) + 0.5 for n in (maps.shape[-1], maps.shape[-2]))
    return torch.stack([(probability.sum(-2) * x).sum(-1), (probability.sum(-1) * y).sum(-1)], -1)


class Reader(nn.Module):
    """Tokens -> head -> points, as a deployed model has them."""

    def __init__(self, head, decode):
        super().__init__()
        self.head, self.decode = head, decode

    def forward(self, tokens):
        return self.decode(self.head(to_grid(tokens, grid=(6, 7), prefix=1)))


def check_onnx(head, decode):
    pytest.importorskip("onnxscript", reason="the exporter to ONNX is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="nothing to run ONNX with is installed")
    reader = Reader(head, decode).eval()
    tokens = torch.randn(2, 43, 8) * 2
    program = torch.onnx.export(reader, (tokens,), dynamo=True, verbose=False)
    file = io.BytesIO()
    program.save(file)
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = reader(tokens)
    (got,) = session.run(None, {session.get_inputs()[0].name: tokens.numpy()})
    assert expected.std() > 0.01
    assert torch.allclose(torch.from_numpy(got), expected, rtol=0, atol=1e-4)


quiet = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning:torch.onnx"
)


# pixel shuffle is what is decoded below
@pytest.mark.parametrize("name", ["deconvolution", *wide(["convex", "pixel shuffle", "linear", BOTTLENECK])])
@quiet
def test_onnx_says_the_same(head, name):
    check_onnx(head, expectation)


@quiet
def test_onnx_decodes_as_torch_does():
    module = pytest.importorskip("isotherm.decode.moment_inverse", reason="the decoder is not there")
    check_onnx(HEADS["pixel shuffle"][0]().eval(), lambda maps: module.moment_inverse(maps, sigma_cells=2.0).xy)


def test_published_keys_and_their_formula():
    head = ConvexUpsample(6, 2, ratio=3, padding="zeros").eval()
    assert {k.rsplit(".", 1)[0] for k in head.state_dict()} == {
        "net_out.0",
        "net_out.2",
        "net_out.4",
        "net_mask.0",
        "net_mask.2",
    }
    w = head.state_dict()
    assert w["net_out.0.weight"].shape == (12, 6, 3, 3)
    assert w["net_out.2.weight"].shape == (12, 12, 3, 3)
    assert w["net_out.4.weight"].shape == (2, 12, 3, 3)
    assert w["net_mask.2.weight"].shape == (81, 12, 1, 1)
    x = torch.randn(2, 6, 4, 5)

    def layer(x, key, padding):
        return F.conv2d(x, w[f"{key}.weight"], w[f"{key}.bias"], padding=padding)

    values = layer(layer(layer(x, "net_out.0", 1).relu(), "net_out.2", 1).relu(), "net_out.4", 1)
    mask = layer(layer(x, "net_mask.0", 1).relu(), "net_mask.2", 0)
    assert torch.allclose(head(x), convex_upsample(values, mask, ratio=3, mask_scale=0.1, padding="zeros"), atol=1e-6)


def test_number_of_parameters():
    with torch.device("meta"):
        full, narrow = ConvexUpsample(2048, 1), ConvexUpsample(2048, 1, hidden_dim=256)
    assert sum(p.numel() for p in full.parameters()) == 309_266_149
    assert sum(p.numel() for p in narrow.parameters()) == 6_154_213


def test_a_fresh_pixel_shuffle_has_no_checkerboard():
    maps = PixelShuffleHead(8, 2, ratio=4)(torch.randn(1, 8, 5, 5))
    blocks = maps.unflatten(2, (5, 4)).unflatten(4, (5, 4))
    assert torch.allclose(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks), atol=1e-6)
    assert maps.std() > 0


def test_a_linear_head_interpolates_maps_as_it_would_features():
    head = LinearHead(8, 2, ratio=3)
    features = torch.randn(1, 8, 4, 5)
    fine = F.interpolate(features, scale_factor=3, mode="bilinear", align_corners=False)
    assert torch.allclose(head(features), head.final(fine), atol=1e-5)


class Wrong(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.final, self.change = nn.Conv2d(4, 1, 1), change

    def forward(self, features):
        return self.change(self.final(features))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.transpose(-1, -2),
        lambda m: m.flip(-1),
        lambda m: m.flip(-2),
        lambda m: m.roll(2, -1),
        lambda m: m.flatten(2).roll(5, 2).view_as(m),
        lambda m: m * 0,
    ],
)
def test_the_self_test_catches_maps_that_lie_elsewhere(change):
    with pytest.raises(ShapeError, match="must answer where it was asked"):
        check_alignment(Wrong(change), in_dim=4)


def test_mistakes():
    with pytest.raises(OptionError, match="widths"):
        DeconvHead(8, 1, widths=(48,), groups=32)
    with pytest.raises(OptionError, match="out_dim is 0"):
        LinearHead(8, 0)
    with pytest.raises(OptionError, match="hidden_dim is 0"):
        ConvexUpsample(8, 1, hidden_dim=0)
    with pytest.raises(OptionError, match="odd"):
        ConvexUpsample(8, 1, kernel=4)
    with pytest.raises(OptionError, match="ratio is 0"):
        PixelShuffleHead(8, 1, ratio=0)
    with pytest.raises(ShapeError, match="at least 7"):
        check_alignment(LinearHead(4, 1), in_dim=4, grid=(8, 8))


@pytest.mark.parametrize("head", [ConvexUpsample, DeconvHead, LinearHead, PixelShuffleHead])
def test_features_that_do_not_fit_are_refused_in_words(head, unchecked):
    made = head(32, 1)
    with pytest.raises(ShapeError, match=rf"\(1, 5, 8, 8\); this {head.__name__} reads \(b, 32, h, w\)"):
        made(torch.zeros(1, 5, 8, 8))
    with pytest.raises(ShapeError, match=r"\(32, 8, 8\); this"):
        made(torch.zeros(32, 8, 8))
    with pytest.raises(ShapeError, match="features is a ndarray; expected a tensor"):
        made(np.zeros((1, 32, 8, 8), np.float32))
    with pytest.raises(ShapeError, match="features is None"):
        made(None)
