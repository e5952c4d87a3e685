"""Gated cross-attention: every token of the video reads the gaze of the frames, and most of what is near it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.features import GazeTokens, token_places
from isotherm.gaze.fusion.fusion import Fusion, FusionConfig, Site, expect_positive
from isotherm.gaze.gate import Gate
from isotherm.gaze.inputs import GazeInputs


@dataclass(frozen=True, kw_only=True)
class CrossAttentionConfig(FusionConfig):
    """Options of :class:`CrossAttention`; sigma has no meaning here, as nothing is rendered.

    Args:
        heads: of the cross-attention.
        width: of all its heads together; None: as the tokens.
    """

    name: ClassVar[str] = "cross_attention"
    heads: int = 4
    width: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_positive(self, "heads")
        if self.width is not None and (self.width < 1 or self.width % self.heads):
            raise OptionError(f"width is {self.width} and heads {self.heads}; expected a multiple of the heads")

    def make(self, site: Site) -> CrossAttention:
        """The module at a site."""
        return CrossAttention(self, site)


class CrossAttention(Fusion):
    """tokens + gate (attention of the tokens to a token per frame of gaze), a gate per channel.

    Features of V-JEPA 2 do not say where they stand, since its positions live in its attention alone. So logits fall
    with the square of the distance between a token and the place that was looked at, in space and in time, by widths
    that each head learns; the narrowest begins at half a patch, the next at a whole one. A key that is always there,
    with a logit of 0 and a value of 0, takes the rest: without it a token far from all gaze would read as much as one
    at which somebody looked.

    Args:
        config: options.
        site: where it acts.
    """

    renders: ClassVar[bool] = False

    def __init__(self, config: CrossAttentionConfig, site: Site) -> None:
        super().__init__(config, site)
        width = config.width or config.heads * math.ceil(site.tokens / config.heads)
        self.heads = config.heads
        self.tokens = GazeTokens(width, config.states)
        self.norm = nn.LayerNorm(site.tokens)
        self.ask = nn.Linear(site.tokens, width)
        self.read = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, site.tokens)
        spatial = 0.5 * 2.0 ** torch.arange(config.heads)
        self.log_width = nn.Parameter(torch.stack([spatial, torch.full((config.heads,), 0.5)], dim=1).log())
        self.level = nn.Parameter(torch.full((config.heads,), 2.0))
        self.gate = Gate(site.tokens)

    def add(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Float[Tensor, "b n d"]:
        """The tokens with what they have read."""
        query = self.ask(self.norm(tokens)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.read(self.tokens(gaze)).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # one more key and value, of zeros
        key, value = F.pad(key, (0, 0, 0, 1)), F.pad(value, (0, 0, 0, 1))
        bias = F.pad(self.level[None, :, None, None] - self._distance(tokens.shape[1], gaze), (0, 1))
        context = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query))
        return tokens + self.gate(self.out(context.transpose(1, 2).flatten(2)))

    def _distance(self, n: int, gaze: GazeInputs) -> Float[Tensor, "b heads n t"]:
        """Half the squared distance in widths. Gaze that has no place is as far from everywhere as in time alone."""
        h, w = self.site.grid
        at = torch.stack(
            torch.meshgrid(*(torch.arange(k, device=gaze.xy.device) for k in (n // (h * w), h, w)), indexing="ij"), -1
        ).flatten(0, 2)
        apart = (at[None, :, None] - token_places(gaze, self.site.grid, self.site.tubelet)[:, None]).square()
        beside = torch.where(gaze.tracked[:, None], apart[..., 1] + apart[..., 2], 0.0)
        narrow = (-2 * self.log_width).exp() / 2
        return torch.einsum("bntk,hk->bhnt", torch.stack([beside, apart[..., 0]], dim=-1), narrow)
