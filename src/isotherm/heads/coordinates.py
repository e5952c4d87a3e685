"""The head that knows no maps: one vector of a picture to places, the baseline that heatmaps are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError


class CoordinateHead(nn.Module):
    """A vector, such as a class token, through hidden layers with ReLU to the places of n points.

    Args:
        in_dim: of the vector.
        out_dim: number of points.
        widths: of the hidden layers.

    Raises:
        OptionError: a number below 1.

    Example:
        >>> tuple(CoordinateHead(16, 4, widths=(32,))(torch.zeros(2, 16)).shape)
        (2, 4, 2)
    """

    def __init__(self, in_dim: int, out_dim: int, *, widths: Sequence[int] = (768, 768)) -> None:
        super().__init__()
        if min(in_dim, out_dim, *widths) < 1:
            raise OptionError(
                f"in_dim is {in_dim}, out_dim {out_dim}, widths {tuple(widths)}; expected at least 1 each"
            )
        layers: list[nn.Module] = []
        before = in_dim
        for width in widths:
            layers += [nn.Linear(before, width), nn.ReLU()]
            before = width
        self.layers = nn.Sequential(*layers, nn.Linear(before, 2 * out_dim))

    def forward(self, vectors: Float[Tensor, "b c"]) -> Float[Tensor, "b n 2"]:
        """(x, y) as shares of the picture's width and height; a vector of zeros begins near the middle."""
        return self.layers(vectors).unflatten(-1, (-1, 2)) + 0.5
