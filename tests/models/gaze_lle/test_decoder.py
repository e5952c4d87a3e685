"""The decoder's state dict, key for key; its numbers beside a reference of other people's parts; its head cells."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from isotherm.errors import OptionError, ShapeError
from isotherm.models.gaze_lle import GazeDecoder, GazeDecoderConfig
from isotherm.models.gaze_lle.decoder import grid_positions, head_cells

NAN = math.nan
NOBODY = [NAN] * 4


def published_shapes(channels: int, inout: bool) -> dict[str, tuple[int, ...]]:
    """The published state dict, from the description: width 256, 3 blocks, 32 x 32 positions, 64 x 64 maps."""
    shapes: dict[str, tuple[int, ...]] = {
        "linear.weight": (256, channels, 1, 1),
        "linear.bias": (256,),
        "head_token.weight": (1, 256),
        "pos_embed": (256, 32, 32),
        "heatmap_head.0.weight": (256, 256, 2, 2),
        "heatmap_head.0.bias": (256,),
        "heatmap_head.1.weight": (1, 256, 1, 1),
    }
    for i in range(3):
        block = {
            "norm1.weight": (256,),
            "norm1.bias": (256,),
            "attn.qkv.weight": (768, 256),
            "attn.proj.weight": (256, 256),
            "attn.proj.bias": (256,),
            "norm2.weight": (256,),
            "norm2.bias": (256,),
            "mlp.fc1.weight": (1024, 256),
            "mlp.fc1.bias": (1024,),
            "mlp.fc2.weight": (256, 1024),
            "mlp.fc2.bias": (256,),
        }
        shapes |= {f"transformer.{i}.{name}": shape for name, shape in block.items()}
    if inout:
        shapes |= {
            "inout_token.weight": (1, 256),
            "inout_head.0.weight": (128, 256),
            "inout_head.0.bias": (128,),
            "inout_head.3.weight": (1, 128),
            "inout_head.3.bias": (1,),
        }
    return shapes


@pytest.mark.parametrize(
    ("channels", "inout", "parameters"),
    [(768, False, 2_826_752), (768, True, 2_860_033), (1024, False, 2_892_288), (1024, True, 2_925_569)],
    ids=["vitb14", "vitb14_inout", "vitl14", "vitl14_inout"],
)
def test_state_dict_is_the_published_one_key_for_key(channels, inout, parameters):
    decoder = GazeDecoder(GazeDecoderConfig(channels=channels, inout=inout))
    assert {k: tuple(v.shape) for k, v in decoder.state_dict().items()} == published_shapes(channels, inout)
    assert sum(p.numel() for p in decoder.parameters()) == parameters
    assert 2.82e6 < parameters < 2.93e6


def reference(state: dict[str, torch.Tensor], config: GazeDecoderConfig, features, boxes):
    """The same from timm's block, as the published model is built, and loops for what is around it."""
    from timm.models.vision_transformer import Block

    (h, w), width = config.grid, config.width
    positions = torch.zeros(width, h, w)
    for y in range(h):
        for x in range(w):
            for k in range(width // 4):
                rate = 10000 ** (-2 * k / (width / 2))
                positions[2 * k : 2 * k + 2, y, x] = torch.tensor([math.sin(x * rate), math.cos(x * rate)])
                at = width // 2 + 2 * k
                positions[at : at + 2, y, x] = torch.tensor([math.sin(y * rate), math.cos(y * rate)])
    x = nn.functional.conv2d(features, state["linear.weight"], state["linear.bias"]) + positions
    for i, box in enumerate(boxes.tolist()):
        if not math.isnan(box[0]):
            x0, y0, x1, y1 = round(box[0] * w), round(box[1] * h), round(box[2] * w), round(box[3] * h)
            x[i, :, y0:y1, x0:x1] += state["head_token.weight"][0][:, None, None]
    tokens = x.flatten(2).permute(0, 2, 1)
    if config.inout:
        tokens = torch.cat([state["inout_token.weight"][None].repeat(len(x), 1, 1), tokens], 1)
    for i in range(config.layers):
        block = Block(dim=width, num_heads=config.attention_heads, mlp_ratio=4, norm_layer=nn.LayerNorm)
        block.load_state_dict({k[14:]: v for k, v in state.items() if k.startswith(f"transformer.{i}.")})
        tokens = block.eval()(tokens)
    inside = None
    if config.inout:
        hidden = torch.relu(tokens[:, 0] @ state["inout_head.0.weight"].T + state["inout_head.0.bias"])
        inside = torch.sigmoid(hidden @ state["inout_head.3.weight"].T + state["inout_head.3.bias"])[:, 0]
        tokens = tokens[:, 1:]
    grid = tokens.reshape(len(x), h, w, width).permute(0, 3, 1, 2)
    up = nn.functional.conv_transpose2d(grid, state["heatmap_head.0.weight"], state["heatmap_head.0.bias"], stride=2)
    return torch.sigmoid(nn.functional.conv2d(up, state["heatmap_head.1.weight"]))[:, 0], inside


@pytest.mark.parametrize("inout", [False, True])
@torch.no_grad()
def test_maps_are_those_of_the_published_construction(inout):
    torch.manual_seed(0)
    config = GazeDecoderConfig(channels=12, grid=(6, 8), width=32, layers=2, attention_heads=4, inout=inout)
    decoder = GazeDecoder(config).eval()
    for p in decoder.parameters():
        p.normal_(0, 0.3)
    features = torch.randn(3, 12, 6, 8)
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.6], NOBODY, [0.5, 0.0, 1.0, 1.0]])
    maps, inside = decoder(features, boxes)
    expected, expected_inside = reference(decoder.state_dict(), config, features, boxes)
    assert expected.std() > 0.05
    torch.testing.assert_close(maps, expected, atol=1e-5, rtol=0)
    assert (inside is None) == (not inout)
    if inside is not None:
        torch.testing.assert_close(inside, expected_inside, atol=1e-5, rtol=0)
    # the head's box matters, and whose map is whose
    assert (decoder(features, boxes.roll(1, 0))[0] - maps).abs().max() > 1e-3
    torch.testing.assert_close(decoder(features[1:], boxes[1:])[0], maps[1:], atol=1e-5, rtol=0)


def test_positions_tell_columns_in_the_first_half_and_rows_in_the_second():
    table = grid_positions(8, (3, 5))
    assert table[:4, 0].equal(table[:4, 2])
    assert table[4:, :, 0].equal(table[4:, :, 4])
    assert not table[:4, 0, 0].equal(table[:4, 0, 1])
    assert not table[4:, 0, 0].equal(table[4:, 1, 0])


share = st.floats(0.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.tuples(share, share, share, share), st.integers(2, 9), st.integers(2, 9))
def test_head_cells_are_those_of_rounded_sides_and_never_none(corners, h, w):
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    cells = head_cells(torch.tensor([[x0, y0, x1, y1]], dtype=torch.float64), (h, w))[0]
    expected = torch.zeros(h, w, dtype=torch.float64)
    expected[round(y0 * h) : round(y1 * h), round(x0 * w) : round(x1 * w)] = 1
    assert cells.sum() > 0
    if expected.sum() > 0:
        assert cells.equal(expected)


def test_nobody_has_no_cells_and_a_head_smaller_than_a_cell_has_its_own():
    cells = head_cells(torch.tensor([NOBODY, [0.30, 0.30, 0.34, 0.34], [0.999, 0.999, 1.0, 1.0]]), (8, 8))
    assert cells[0].sum() == 0
    assert cells[1].nonzero().tolist() == [[2, 2]]
    assert cells[2].nonzero().tolist() == [[7, 7]]


def test_sizes_that_do_not_go_together_are_refused():
    with pytest.raises(OptionError, match="multiple of 4"):
        GazeDecoderConfig(channels=8, width=30)
    with pytest.raises(OptionError, match="at least 1"):
        GazeDecoderConfig(channels=8, layers=0)
    decoder = GazeDecoder(GazeDecoderConfig(channels=4, grid=(4, 4), width=8, layers=1, attention_heads=2))
    with pytest.raises(ShapeError, match=r"\(4, 5\) cells; this decoder has positions for \(4, 4\)"):
        decoder(torch.zeros(1, 4, 4, 5), torch.tensor([NOBODY]))
