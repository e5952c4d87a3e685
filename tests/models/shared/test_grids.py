"""Which layers have cells: heads and tokens are no rows and columns, tokens without a declared grid are proved, early layers are said to be early."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg
from torch import nn

from isotherm.cam.attribute import attribute
from isotherm.cam.methods import hirescam
from isotherm.cam.view import Inputs, LayerChoice, Layout
from isotherm.errors import LayerError
from isotherm.frame import Frame
from isotherm.models.shared.grids import Tokens, layout_of
from isotherm.models.shared.probe import settled
from isotherm.models.shared.squares import SQUARES, best_reading, judged, readings, square_inputs
from isotherm.models.timm import view as timm_adapter
from isotherm.models.torchvision import view as adapter
from rigs.breadth import wide
from rigs.view_checks import alive_cells, assert_block_moves_its_cell, noise_picture, record_at

VIT = {"embed_dim": 64, "depth": 2, "num_heads": 16, "num_classes": 6, "img_size": 64}


def blank(h: int, w: int) -> Inputs:
    return Inputs(torch.zeros(1, 3, h, w), Frame.stack([Frame.identity((h, w))]))


def spread(model: nn.Module) -> nn.Module:
    """In eval mode, with weights that start at zero drawn at random: branches that add nothing have no places."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and float(parameter.std()) < 1e-5:
                nn.init.normal_(parameter, std=0.5)
    return model.eval()


class Attention(nn.Module):
    """Self-attention whose normalised queries are (b, 16 heads, 16 tokens, 4): at 64 pixels by its shape a map of 16 x 16 cells of 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(64, 192)
        self.norm_q = nn.LayerNorm(4)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(2, (3, 16, 4)).permute(2, 0, 3, 1, 4)
        return x + nn.functional.scaled_dot_product_attention(self.norm_q(q), k, v).transpose(1, 2).flatten(2)


class OwnTransformer(nn.Module):
    """Somebody's own: patches of 16 pixels, two blocks, the mean over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 16, 16)
        self.blocks = nn.Sequential(Attention(), Attention())
        self.head = nn.Linear(64, 5)

    def forward(self, x):
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


def small_mvit() -> nn.Module:
    """MViTv2 whose last stage has 4 heads of 2 x 2 tokens: (1, 4, 4, 16) looks like a map."""
    return spread(
        MultiScaleVit(
            MultiScaleVitCfg(depths=(1, 1, 1, 1), embed_dim=(16, 32, 32, 64), num_heads=(1, 1, 2, 4)),
            img_size=64,
            num_classes=6,
        )
    )


# --- heads and tokens ------------------------------------------------------------------------------------------------------------------------


def test_heads_of_mvit_are_never_rows():
    """(1, 4, 4, 16) is 4 heads of 2 x 2 tokens; by its shape alone a map of 4 x 4 cells of 16 pixels."""
    torch.manual_seed(0)
    view = timm_adapter.wrap(small_mvit(), size=64)
    choice = view.auto_layers()
    assert "proved by moving a square" in choice.reason
    inputs, recording = record_at(view, [noise_picture(64, 64)])
    layout = view.layout(choice.layers[0], recording.calls[0].output, inputs)
    assert (layout.order, layout.prefix, layout.grid) == ("tokens", 0, (2, 2))
    assert alive_cells(view, recording, inputs) == [1.0]
    assert_block_moves_its_cell(view, choice.layers[0], (64, 64), (16, 48), side=24)
    name = "stages.3.blocks.0.attn.norm_q"
    inputs, recording = record_at(view, [noise_picture(64, 64)], [name])
    assert tuple(recording.calls[0].output.shape[:3]) == (1, 4, 4)
    with pytest.raises(
        LayerError,
        match=r"no places \(heads x tokens, or channels\); choose the block around it, such as stages.3.blocks.0.attn",
    ):
        view.layout(name, recording.calls[0].output, inputs)


def test_normalised_queries_of_a_declared_transformer_are_refused():
    """16 heads of 17 tokens: a map of 16 x 17 cells of 4 pixels by its shape."""
    torch.manual_seed(0)
    view = timm_adapter.wrap(spread(timm.create_model("vit_tiny_patch16_224", qk_norm=True, **VIT)))
    for layer in ("blocks[-1].attn.q_norm", "blocks[0].attn.k_norm"):
        with pytest.raises(
            LayerError, match=r"17 tokens of each of 16 heads.*choose the block around it, such as blocks\.\d\.attn"
        ):
            attribute(view, view.prepare([noise_picture(64, 64)]), methods=[hirescam], layers=layer)
    assert attribute(
        view, view.prepare([noise_picture(64, 64)]), methods=[hirescam], layers="blocks[-1].attn.qkv"
    ).maps[0].values.shape == (1, 4, 4)


def test_queries_of_somebodys_own_transformer_are_refused_and_its_blocks_are_read():
    torch.manual_seed(0)
    view = adapter.wrap(OwnTransformer().eval(), size=64)
    assert view.auto_layers().layers[0].startswith("blocks")
    inputs = view.prepare([noise_picture(64, 64)])
    with pytest.raises(LayerError, match=r"read as a map of 16 x 16 cells.*such as blocks.1"):
        attribute(view, inputs, methods=[hirescam], layers="blocks[1].norm_q")
    for layer in ("blocks[1]", "blocks[0].qkv"):  # nothing declares their grid
        assert attribute(view, inputs, methods=[hirescam], layers=layer).maps[0].values.shape == (1, 4, 4)
        assert_block_moves_its_cell(view, layer, (64, 64), (40, 24), side=16)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.LayerNorm(96), (1, 8, 49, 96)),
        (nn.LayerNorm(96), (1, 8, 196, 96)),
        (nn.Linear(32, 96), (1, 4, 784, 96)),
        (nn.LayerNorm(7), (1, 7, 3, 56)),
    ],
)
def test_an_order_that_a_module_declares_must_fit_the_input(module, shape):
    with pytest.raises(LayerError, match="heads x tokens"):
        layout_of("attn.norm", module, torch.zeros(shape), blank(224, 224))
    assert layout_of("norm", nn.LayerNorm(96), torch.zeros(1, 14, 14, 96), blank(224, 224)).order == "nhwc"


def test_tokens_of_each_head_are_refused_where_the_model_declares_how_many_there_are():
    with pytest.raises(LayerError, match="49 tokens of each of 8 heads"):
        layout_of(
            "blocks.0.attn.q_norm",
            nn.LayerNorm(7),
            torch.zeros(1, 8, 49, 7),
            blank(98, 98),
            tokens=Tokens(1, (14, 14), (7, 7)),
        )


# --- the square ------------------------------------------------------------------------------------------------------------------------------


def tokens_of_squares(h: int, w: int, side: int = 16) -> torch.Tensor:
    """(6, h * w, 3): the mean colours of patches of the squares' inputs, in reading order."""
    inputs = square_inputs(blank(h * side, w * side))
    return nn.functional.avg_pool2d(inputs.tensor.abs(), side).flatten(2).transpose(1, 2)


@pytest.mark.parametrize(
    ("grid", "prefix"), [((7, 7), 0), ((7, 7), 1), ((4, 6), 0), ((4, 6), 2), ((5, 5), 5), ((14, 14), 1)]
)
def test_the_square_tells_the_grid_and_the_tokens_in_front(grid, prefix):
    """Those in front change with every square alike, as a class token does."""
    cells = tokens_of_squares(*grid)
    front = (torch.arange(6.0) > 0)[:, None, None] * 0.3 * torch.ones(1, prefix, 3)
    outputs = torch.cat([front, cells], 1)
    best = best_reading(outputs, list(readings(outputs, (grid[0] * 16, grid[1] * 16))))
    assert best is not None
    assert best.proved
    assert (best.layout.grid, best.layout.prefix) == (grid, prefix)


def test_readings_that_are_not_right_are_not_proved():
    cells = tokens_of_squares(7, 7)
    right = Layout("tokens", 0, (7, 7))
    assert judged(right.to_grid(cells), right).agreement == pytest.approx(1, abs=0.02)
    turned = cells.unflatten(1, (7, 7)).transpose(1, 2).flatten(1, 2)
    shuffled = cells[:, torch.randperm(49, generator=torch.Generator().manual_seed(0))]
    behind = torch.cat([cells[:, 8:], cells[:, :8]], 1)
    for wrong in (turned, shuffled, behind, torch.ones_like(cells)):
        assert not judged(right.to_grid(wrong), right).proved
    heads = cells[:, None].expand(-1, 8, -1, -1) * torch.rand(1, 8, 1, 1, generator=torch.Generator().manual_seed(0))
    for layout in (Layout("nhwc"), Layout("nchw")):
        assert not judged(layout.to_grid(heads), layout).proved


def test_tokens_in_another_order_are_not_proved_though_their_centre_goes_along():
    """Of Hiera, whose tokens are sorted by where in its 2 x 2 neighbours each is: four small pictures one below another."""
    cells = tokens_of_squares(14, 14).unflatten(1, (14, 14))
    unrolled = cells.unflatten(1, (7, 2)).unflatten(3, (7, 2)).permute(0, 2, 4, 1, 3, 5).flatten(1, 4)
    right = Layout("tokens", 0, (14, 14))
    reading = judged(right.to_grid(unrolled), right)
    assert reading.agreement > 0.9
    assert reading.beyond > 2
    assert not reading.proved
    assert judged(right.to_grid(cells.flatten(1, 2)), right).beyond < 0.6


@pytest.mark.parametrize("size", [(64, 64), (40, 120)])
def test_squares_are_where_they_are_said_to_be(size):
    inputs = square_inputs(blank(*size))
    for (y, x), row in zip(SQUARES, inputs.tensor[1:], strict=True):
        rows, columns = torch.nonzero((row != inputs.tensor[0]).any(0), as_tuple=True)
        assert (
            (rows.min() + rows.max() + 1) / 2 / size[0],
            (columns.min() + columns.max() + 1) / 2 / size[1],
        ) == pytest.approx((y / 8, x / 8))


# --- the layer that is chosen ------------------------------------------------------------------------------------------------------------------

LATE = {
    # name: (configuration, size of the input, how the layer's name begins, grid)
    "hiera_tiny_224": (
        {"img_size": 64, "embed_dim": 24, "num_heads": 1, "stages": (1, 1, 1, 1)},
        64,
        "blocks.3",
        (2, 2),
    ),
    "tnt_s_patch16_224": (
        {"img_size": 64, "embed_dim": 48, "inner_dim": 8, "depth": 2, "num_heads_inner": 2, "num_heads_outer": 2},
        64,
        "blocks.1",
        (4, 4),
    ),
    "coat_lite_tiny": (
        {"img_size": 64, "embed_dims": (16, 16, 24, 32), "serial_depths": (1, 1, 1, 1), "num_heads": 8},
        64,
        "serial_blocks4",
        (2, 2),
    ),
}


@pytest.mark.parametrize("name", [*wide(["coat_lite_tiny"]), *(name for name in LATE if name != "coat_lite_tiny")])
def test_tokens_whose_grid_nobody_declares_are_found_behind_the_attention(name):
    config, size, start, grid = LATE[name]
    torch.manual_seed(0)
    view = timm_adapter.wrap(spread(timm.create_model(name, num_classes=6, **config)), size=size)
    choice = view.auto_layers()
    assert choice.layers[0].startswith(start)
    assert "CAUTION" not in choice.reason
    inputs, recording = record_at(view, [noise_picture(size, size)])
    layout = view.layout(choice.layers[0], recording.calls[0].output, inputs)
    assert layout.grid == grid
    assert alive_cells(view, recording, inputs) == [1.0]
    assert_block_moves_its_cell(
        view, choice.layers[0], (size, size), (size // 4, 3 * size // 4), side=size // 3, cells=0.75
    )


class Mixing(nn.Module):
    """A convolution, and behind it layers that mix all cells."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 16, 16)
        self.mix = nn.Sequential(*(nn.Linear(16, 16) for _ in range(4)))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.mix(self.stem(x).flatten(2)).mean(2))


def test_an_early_layer_is_called_one():
    torch.manual_seed(0)
    choice = adapter.wrap(Mixing().eval(), size=64).auto_layers()
    assert choice.layers == ("stem",)
    assert "CAUTION: it is an early layer, 83% of the layers run behind it" in choice.reason


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("blocks[-1]", "no gradient of the answer reaches its cells"),
        ("blocks[-1].attn.q_norm", "17 tokens of each of 16 heads"),
        ("head", "no grid"),
    ],
)
def test_a_usual_choice_that_cannot_be_explained_is_passed_over_and_that_is_said(layer, reason):
    torch.manual_seed(0)
    view = timm_adapter.wrap(spread(timm.create_model("vit_tiny_patch16_224", qk_norm=True, **VIT)))
    known = LayerChoice((layer,), "the usual one")
    choice = settled(view.places, lambda raw: raw.logits, view._noise, known, key=layer)
    assert choice.layers != known.layers
    assert f"the usual choice, {layer}, was passed over" in choice.reason
    assert reason in choice.reason
    inputs, recording = record_at(view, [noise_picture(64, 64)], choice.layers)
    assert alive_cells(view, recording, inputs) == [1.0]


def test_a_usual_choice_that_can_be_explained_stays():
    torch.manual_seed(0)
    view = timm_adapter.wrap(spread(timm.create_model("vit_tiny_patch16_224", **VIT)))
    known = LayerChoice(("blocks[-1].norm1",), "the usual one")
    assert settled(view.places, lambda raw: raw.logits, view._noise, known, key="stays") == known
