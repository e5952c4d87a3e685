"""Features of a picture that are told the instruction, for language models whose image states cannot know it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class TextQuery(nn.Module):
    """Scales and shifts every channel of the features by what the state of the text says.

    A convolution behind it sums over channels, so it can be the inner product of a cell's features with a projection of
    the text, which is how a query finds its key. At first it changes nothing.

    Args:
        dim: channels of the features and of the text's state.

    Source: Perez et al., "FiLM: Visual reasoning with a general conditioning layer" (AAAI 2018), eq. 2.

    Example:
        >>> features, state = torch.ones(2, 3, 4, 5, 6), torch.zeros(2, 4)
        >>> torch.equal(TextQuery(4)(features, state), features)
        True
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.to_channels = nn.Linear(dim, 2 * dim)
        nn.init.zeros_(self.to_channels.weight)
        nn.init.zeros_(self.to_channels.bias)

    def forward(self, features: Float[Tensor, "b v c h w"], state: Float[Tensor, "b c"]) -> Float[Tensor, "b v c h w"]:
        """Features (b, v, c, h, w) of the pictures of b prompts, and the state (b, c) of each prompt's last token."""
        scale, shift = self.to_channels(self.norm(state))[:, None, :, None, None].chunk(2, 2)
        return features * (1 + scale) + shift
