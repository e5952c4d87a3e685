"""Which tokens of a prompt are its pictures', and the grids of their states.

Written in what TorchScript understands: no shapes in annotations, no arguments by keyword alone, no loops over names.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.heads.image_tokens import check_counts, gathered_grids


def view_features(
    hidden_states: Tensor,
    attention_mask: Tensor | None,
    num_views: int,
    image_token_mask: Tensor | None,
    grid: tuple[int, int],
    vlm_dim: int,
) -> Tensor:
    """The grids of features that :meth:`isotherm.systems.bridgevla.LLMToHeatmapConverter.forward` reads.

    Args:
        hidden_states, attention_mask, num_views, image_token_mask: as there.
        grid: (h, w) tokens of each picture.
        vlm_dim: c that the states should have.

    Returns:
        (b, num_views, c, h, w).

    Raises:
        ShapeError: as there; from TorchScript its words, in a torch.jit.Error.
    """
    if hidden_states.dim() != 3:
        raise ShapeError(f"hidden_states have shape {list(hidden_states.shape)}; expected (prompts, tokens, features)")
    b, t, c = hidden_states.shape
    h, w = grid
    needed = num_views * h * w
    if num_views < 1 or h < 1 or w < 1:
        raise ShapeError(f"there are {num_views} views of {h} x {w} tokens; expected at least one of each")
    if c != vlm_dim:
        raise ShapeError(f"the states have {c} features; expected vlm_dim = {vlm_dim}")
    attended = torch.ones(b, t, dtype=torch.bool, device=hidden_states.device)
    if attention_mask is not None:
        _check_mask("attention_mask", attention_mask, b, t)
        attended = attention_mask != 0
    if image_token_mask is None:
        image_tokens = _first_tokens(attended, num_views, h, w)
    else:
        _check_mask("image_token_mask", image_token_mask, b, t)
        image_tokens = image_token_mask != 0
    looks = True
    if not torch.jit.is_scripting():
        # code that is traced cannot look at values
        looks = not torch.compiler.is_compiling() and not torch.jit.is_tracing()
    if looks:
        if bool((image_tokens & ~attended).any()):
            raise ShapeError("attention_mask hides image tokens; the masks must be of the same prompts, padded alike")
        check_counts(image_tokens.sum(1), needed, f"{num_views} view(s) of {h} x {w}")
    return gathered_grids(hidden_states, image_tokens, num_views, h, w)


def _check_mask(name: str, mask: Tensor, b: int, t: int) -> None:
    if mask.dim() != 2 or mask.shape[0] != b or mask.shape[1] != t:
        raise ShapeError(f"{name} has shape {list(mask.shape)}; expected [{b}, {t}], one value for every token")


def _first_tokens(attended: Tensor, views: int, h: int, w: int) -> Tensor:
    """As many of the first tokens that are no padding as the views need."""
    needed = views * h * w
    most = attended.shape[1] if attended.device.type == "meta" else int(attended.sum(1).min())
    if most < needed:
        raise ShapeError(
            f"{views} view(s) of {h} x {w} are {needed} image tokens, and a prompt has {most} tokens that are "
            "no padding; give the states of the whole prompt, or fewer views"
        )
    warnings.warn(
        f"without image_token_mask the first {needed} tokens are taken for those of the pictures, as in PaliGemma's "
        "prompts; give image_token_mask=(input_ids == model.config.image_token_id), which is right for every model",
        stacklevel=4,
    )
    return attended & (attended.cumsum(1) <= needed)
