"""Tokens in a row -> a grid of features."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size


def to_grid(tokens: Float[Tensor, "b t c"], *, grid: Size, prefix: int = 0) -> Float[Tensor, "b c h w"]:
    """Lay a transformer's tokens out as the grid of patches that they stand for.

    Args:
        tokens: (b, t, c), the patches row by row, top left first, behind the prefix.
        grid: (h, w) of the patches.
        prefix: how many tokens come before the patches (class, registers) and are dropped. It is never guessed: the
            tokens of a language model also hold text and padding, and must be picked by their ids first.

    Returns:
        (b, c, h, w), a view of tokens.

    Raises:
        ShapeError: there are not exactly prefix + h w tokens.
        OptionError: prefix is negative, or grid has no cells.

    Example:
        >>> tokens = torch.tensor([[[9.0], [1.0], [2.0], [3.0], [4.0]]])  # one class token, then 2 x 2 patches
        >>> to_grid(tokens, grid=(2, 2), prefix=1).tolist()
        [[[[1.0, 2.0], [3.0, 4.0]]]]
    """
    (h, w), t = grid, tokens.shape[1]
    if prefix < 0 or min(h, w) < 1:
        raise OptionError(
            f"grid is {grid} and prefix {prefix}; expected (h, w) of at least 1 and a count of at least 0"
        )
    if t != prefix + h * w:
        left = t - h * w
        advice = (
            f"a prefix of {left} would fit, if the first {left} tokens are class or register tokens"
            if left >= 0
            else "there are too few tokens for this grid"
        )
        raise ShapeError(
            f"there are {t} tokens; a grid of {h} x {w} behind a prefix of {prefix} needs {prefix + h * w}: {advice}"
        )
    return tokens[:, prefix:].transpose(1, 2).unflatten(2, (h, w))
