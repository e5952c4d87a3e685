"""The decoder of Gaze-LLE: features of a scene and the box of a head -> where that person looks.

Its parameters have the names and shapes of the published state dicts, which load as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size


@dataclass(frozen=True, kw_only=True)
class GazeDecoderConfig:
    """The options of :class:`GazeDecoder`; the defaults are those of the published ones.

    Args:
        channels: of the scene's features: 768 of ViT-B, 1024 of ViT-L.
        grid: (h, w) of the features; the maps have twice as many cells along each side.
        width: of the tokens, a multiple of 4 and of ``attention_heads``.
        layers: transformer blocks.
        attention_heads: of each block.
        inout: a further token says whether the person looks at anything within the picture.

    Raises:
        OptionError: numbers that do not go together.
    """

    channels: int
    grid: Size = (32, 32)
    width: int = 256
    layers: int = 3
    attention_heads: int = 8
    inout: bool = False

    def __post_init__(self) -> None:
        if min(self.channels, *self.grid, self.layers, self.attention_heads) < 1:
            raise OptionError(f"{self}: expected numbers of at least 1")
        if self.width % 4 or self.width % self.attention_heads:
            raise OptionError(
                f"width is {self.width} with {self.attention_heads} attention heads; expected a multiple of 4 and of them"
            )


class GazeDecoder(nn.Module):
    """Features of a scene and head boxes -> a map and, if so trained, whether the gaze lies within the picture.

    The features are brought to ``width`` channels and given fixed positions; the cells of the head's box get a learned
    vector on top, which tells whose gaze is meant. Three blocks of attention and a transposed convolution make a map of
    twice the size, a sigmoid ends it: each cell's value is that of a Gaussian of peak 1 around the place looked at.

    Args:
        config: sizes.

    Source: Ryan et al., "Gaze-LLE: gaze target estimation via large-scale learned encoders" (CVPR 2025), section 3.

    Example:
        >>> config = GazeDecoderConfig(channels=8, grid=(4, 4), width=16, layers=1, attention_heads=2)
        >>> maps, inside = GazeDecoder(config)(torch.zeros(2, 8, 4, 4), torch.tensor([[0.0, 0.0, 0.5, 0.5]] * 2))
        >>> maps.shape, inside
        (torch.Size([2, 8, 8]), None)
    """

    def __init__(self, config: GazeDecoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.linear = nn.Conv2d(config.channels, width, 1)
        self.head_token = nn.Embedding(1, width)
        self.register_buffer("pos_embed", grid_positions(width, config.grid))
        self.transformer = nn.Sequential(*(_Block(width, config.attention_heads) for _ in range(config.layers)))
        self.heatmap_head = nn.Sequential(
            nn.ConvTranspose2d(width, width, kernel_size=2, stride=2), nn.Conv2d(width, 1, 1, bias=False), nn.Sigmoid()
        )
        if config.inout:
            self.inout_token = nn.Embedding(1, width)
            self.inout_head = nn.Sequential(
                nn.Linear(width, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 1), nn.Sigmoid()
            )

    def forward(
        self, features: Float[Tensor, "p c i j"], boxes: Float[Tensor, "p 4"]
    ) -> tuple[Float[Tensor, "p h w"], Float[Tensor, " p"] | None]:
        """The maps of p people, and how likely each looks at something within the picture.

        Args:
            features: of the scene that each of them is in.
            boxes: (p, 4) x0, y0, x1, y1 of their heads as shares of the picture, 0 to 1; NaN for nobody in particular.

        Raises:
            ShapeError: features of another grid.
        """
        grid = self.config.grid
        if tuple(features.shape[-2:]) != grid:
            raise ShapeError(
                f"the features have {tuple(features.shape[-2:])} cells; this decoder has positions for {grid}"
            )
        x = self.linear(features) + self.pos_embed
        x = x + head_cells(boxes, grid).to(x)[:, None] * self.head_token.weight[..., None, None]
        tokens = x.flatten(2).transpose(1, 2)
        if self.config.inout:
            tokens = torch.cat([self.inout_token.weight.expand(tokens.shape[0], 1, -1), tokens], 1)
        tokens = self.transformer(tokens)
        inside = None
        if self.config.inout:
            inside, tokens = self.inout_head(tokens[:, 0])[:, 0], tokens[:, 1:]
        maps = self.heatmap_head(tokens.transpose(1, 2).unflatten(2, grid))
        return maps[:, 0], inside


def head_cells(boxes: Float[Tensor, "p 4"], grid: Size) -> Float[Tensor, "p h w"]:
    """1 in the cells of each box and 0 elsewhere; sides are rounded to whole cells, halves to even ones.

    A box that rounding would leave without any cell, a head smaller than about a cell, keeps the one that its middle
    lies in; the published code would ask about nobody there, and answer for the picture as a whole.

    Args:
        boxes: (p, 4) as shares of the picture; NaN for none, whose cells are all 0.
        grid: (h, w) cells.
    """
    h, w = grid
    known = boxes.isfinite().all(-1)
    x0, y0, x1, y1 = torch.where(known[:, None], boxes, 0.0).unbind(-1)
    columns = _span(x0, x1, w)
    rows = _span(y0, y1, h)
    return (rows[:, :, None] & columns[:, None, :] & known[:, None, None]).to(boxes.dtype)


def _span(start: Tensor, stop: Tensor, count: int) -> Tensor:
    low, high = (start * count).round(), (stop * count).round()
    middle = ((start + stop) / 2 * count).floor().clamp(0, count - 1)
    empty = high <= low
    low, high = torch.where(empty, middle, low), torch.where(empty, middle + 1, high)
    cell = torch.arange(count, device=start.device)
    return (cell >= low[:, None]) & (cell < high[:, None])


def grid_positions(width: int, grid: Size) -> Float[Tensor, "width h w"]:
    """Sines and cosines of the column in the first half of the channels and of the row in the second, in turn.

    Args:
        width: channels, a multiple of 4.
        grid: (h, w) cells.

    Example:
        >>> grid_positions(4, (1, 3))[0].tolist()[0][1]   # sin 1
        0.8414709568023682
    """
    h, w = grid
    half = width // 2
    rate = torch.exp(torch.arange(0, half, 2, dtype=torch.float32) * -(math.log(10000.0) / half))
    table = torch.zeros(width, h, w)
    for offset, angle in (
        (0, torch.arange(w, dtype=torch.float32)[None, None] * rate[:, None, None]),
        (half, torch.arange(h, dtype=torch.float32)[None, :, None] * rate[:, None, None]),
    ):
        table[offset : offset + half : 2] = angle.sin()
        table[offset + 1 : offset + half : 2] = angle.cos()
    return table


class _Block(nn.Module):
    """Attention and a two-layer perceptron, each behind a norm and added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = _Attention(width, heads)
        self.mlp = _Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class _Perceptron(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))
