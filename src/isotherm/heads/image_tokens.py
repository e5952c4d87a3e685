"""A language model's states -> the grids of features of the pictures in its prompt."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size


def image_grids(
    hidden_states: Float[Tensor, "b t c"], image_token_mask: Bool[Tensor, "b t"], *, grid: Size, views: int
) -> Float[Tensor, "b v c h w"]:
    """The states at the image tokens of every prompt, laid out as the grids of their pictures.

    Args:
        hidden_states: (b, t, c) of the language model, padded on either side.
        image_token_mask: (b, t), true at image tokens: ``input_ids == model.config.image_token_id``.
        grid: (h, w) tokens of each picture, row by row, top left first; the pictures follow each other.
        views: pictures per prompt.

    Returns:
        (b, views, c, h, w), differentiable in the states.

    Raises:
        ShapeError: a mask of another shape, or a prompt that has not exactly views h w image tokens.
        OptionError: no views, or a grid without cells.

    Example:
        >>> states = torch.tensor([[[0.0], [1.0], [2.0], [3.0]], [[1.0], [2.0], [9.0], [9.0]]])  # padded left; right
        >>> mask = torch.tensor([[False, True, True, False], [True, True, False, False]])
        >>> image_grids(states, mask, grid=(1, 2), views=1).flatten(1).tolist()
        [[1.0, 2.0], [1.0, 2.0]]
    """
    (h, w), (b, t) = grid, hidden_states.shape[:2]
    if views < 1 or min(h, w) < 1:
        raise OptionError(f"views is {views} and grid {grid}; expected at least one view, and (h, w) of at least 1")
    if tuple(image_token_mask.shape) != (b, t):
        raise ShapeError(
            f"image_token_mask has shape {tuple(image_token_mask.shape)}; expected {(b, t)}, one value for every token"
        )
    needed = views * h * w
    # code that is traced cannot look at values
    if not torch.compiler.is_compiling() and not torch.jit.is_tracing():
        check_counts(image_token_mask.sum(1), needed, f"{views} view(s) of {h} x {w}")
    return gathered_grids(hidden_states, image_token_mask, views, h, w)


def gathered_grids(hidden_states: Tensor, image_token_mask: Tensor, views: int, h: int, w: int) -> Tensor:
    """As :func:`image_grids`, unchecked, in what TorchScript understands: no shapes in annotations."""
    b, t, c = hidden_states.shape
    # the smallest of the places at which image tokens stand: of a fixed number, unlike a boolean index
    place = torch.arange(t, device=image_token_mask.device).where(image_token_mask, t)
    order = place.topk(views * h * w, largest=False, sorted=True).values
    picked = hidden_states.gather(1, order[..., None].expand(-1, -1, c))
    return picked.view(b, views, h, w, c).permute(0, 1, 4, 2, 3)


def check_counts(counts: Tensor, needed: int, what: str) -> None:
    """Raise ShapeError unless every prompt has so many image tokens; in what TorchScript understands."""
    if counts.device.type != "meta" and not bool((counts == needed).all()):
        row = int((counts != needed).nonzero()[0])
        raise ShapeError(
            f"{what} are {needed} image tokens, and prompt {row} has {int(counts[row])}; "
            "give the grid and the number of views that the model makes of its pictures"
        )
