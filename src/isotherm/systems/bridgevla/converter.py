"""A language model's states at the image tokens -> heatmaps of every view."""

from __future__ import annotations

import warnings
from typing import cast

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size
from isotherm.heads.image_tokens import image_grids
from isotherm.ops.convex_upsample import Padding
from isotherm.systems.bridgevla.upsample import ConvexUpSample

Mask = Shaped[Tensor, "b t"]


class LLMToHeatmapConverter(nn.Module):
    """Image tokens of a language model -> logits of a heatmap per view.

    Args:
        vlm_dim: c of the hidden states.
        patch_size: tokens along each side of a picture; the name is what users know, it is no number of pixels.
        target_size: cells along each side of a heatmap, a multiple of patch_size.
        up_kernel, mask_scale: of the :class:`ConvexUpSample` behind.
        hidden_dim, padding: of the same; 256 features instead of 2048 are fifty times as fast.
        checkpointing: compute the head once more in the backward pass, instead of keeping what it computed.

    Raises:
        OptionError: target_size is no multiple of patch_size.

    Example:
        >>> converter = LLMToHeatmapConverter(vlm_dim=8, patch_size=4, target_size=8)
        >>> input_ids = torch.tensor([[0] * 3 + [7] * 32 + [1] * 2])  # padding, two pictures, text
        >>> converter(torch.randn(1, 37, 8), num_views=2, image_token_mask=input_ids == 7).shape
        torch.Size([1, 2, 8, 8])
    """

    def __init__(
        self,
        vlm_dim: int,
        patch_size: int = 16,
        target_size: int = 224,
        up_kernel: int = 3,
        mask_scale: float = 0.1,
        *,
        hidden_dim: int | None = None,
        padding: Padding = "renorm",
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if patch_size < 1 or target_size < patch_size or target_size % patch_size:
            raise OptionError(
                f"target_size is {target_size} for {patch_size} tokens a side (patch_size); expected a multiple of them"
            )
        self.vlm_dim, self.grid = vlm_dim, (patch_size, patch_size)
        self.checkpointing = checkpointing
        self.up = ConvexUpSample(
            vlm_dim, 1, target_size // patch_size, up_kernel, mask_scale, hidden_dim=hidden_dim, padding=padding
        )

    def forward(
        self,
        hidden_states: Float[Tensor, "b t c"],
        attention_mask: Mask | None = None,
        num_views: int = 1,
        *,
        image_token_mask: Bool[Tensor, "b t"] | None = None,
        grid: Size | None = None,
    ) -> Float[Tensor, "b v H W"]:
        """Logits of every view.

        Args:
            hidden_states: (b, t, vlm_dim) of the language model's last layer, padded on either side.
            attention_mask: (b, t), not 0 at tokens that are no padding; all of them unless given.
            num_views: pictures per prompt.
            image_token_mask: (b, t), true at image tokens: ``input_ids == model.config.image_token_id``. Unless given,
                the first tokens that are no padding are taken for the pictures', with a warning: PaliGemma's prompts
                begin so, most others do not.
            grid: (h, w) tokens of each picture where they are no square of patch_size.

        Returns:
            (b, num_views, h ratio, w ratio) logits, with a softmax of its own for each view.

        Raises:
            ShapeError: states of another width, masks of another shape, a prompt without exactly as many image tokens
                as the views need, image tokens in the padding.
        """
        return self.forward_with_features(
            hidden_states, attention_mask, num_views, image_token_mask=image_token_mask, grid=grid
        )[0]

    def forward_with_features(
        self,
        hidden_states: Float[Tensor, "b t c"],
        attention_mask: Mask | None = None,
        num_views: int = 1,
        *,
        image_token_mask: Bool[Tensor, "b t"] | None = None,
        grid: Size | None = None,
    ) -> tuple[Float[Tensor, "b v H W"], Float[Tensor, "b v c h w"]]:
        """As :meth:`forward`, with the grids of features (b, v, c, h, w) that the head saw beside the logits."""
        features = view_features(
            hidden_states,
            attention_mask,
            num_views,
            image_token_mask=image_token_mask,
            grid=grid or self.grid,
            vlm_dim=self.vlm_dim,
        )
        flat = features.flatten(0, 1)
        again = self.checkpointing and torch.is_grad_enabled()
        maps = cast(Tensor, checkpoint(self.up, flat, use_reentrant=False)) if again else self.up(flat)
        return maps[:, 0].unflatten(0, features.shape[:2]), features


def view_features(
    hidden_states: Float[Tensor, "b t c"],
    attention_mask: Mask | None,
    num_views: int,
    *,
    image_token_mask: Bool[Tensor, "b t"] | None,
    grid: Size,
    vlm_dim: int,
) -> Float[Tensor, "b v c h w"]:
    """The grids of features that :meth:`LLMToHeatmapConverter.forward` reads; its arguments, and the width expected."""
    shape = tuple(hidden_states.shape[:2])
    if hidden_states.shape[-1] != vlm_dim:
        raise ShapeError(f"the states have {hidden_states.shape[-1]} features; expected vlm_dim = {vlm_dim}")
    for name, mask in (("attention_mask", attention_mask), ("image_token_mask", image_token_mask)):
        if mask is not None and tuple(mask.shape) != shape:
            raise ShapeError(f"{name} has shape {tuple(mask.shape)}; expected {shape}, one value for every token")
    attended = torch.ones(shape, dtype=torch.bool, device=hidden_states.device)
    attended = attended if attention_mask is None else attention_mask != 0
    if image_token_mask is None:
        image_token_mask = _first_tokens(attended, num_views, grid)
    elif not torch.compiler.is_compiling() and bool((image_token_mask & ~attended).any()):
        raise ShapeError("attention_mask hides image tokens; the masks must be of the same prompts, padded alike")
    return image_grids(hidden_states, image_token_mask, grid=grid, views=num_views)


def _first_tokens(attended: Bool[Tensor, "b t"], views: int, grid: Size) -> Bool[Tensor, "b t"]:
    """As many of the first tokens that are no padding as the views need."""
    needed = views * grid[0] * grid[1]
    most = attended.shape[1] if attended.device.type == "meta" else int(attended.sum(1).min())
    if most < needed:
        raise ShapeError(
            f"{views} view(s) of {grid[0]} x {grid[1]} are {needed} image tokens, and a prompt has {most} tokens that are "
            "no padding; give the states of the whole prompt, or fewer views"
        )
    warnings.warn(
        f"without image_token_mask the first {needed} tokens are taken for those of the pictures, as in PaliGemma's "
        "prompts; give image_token_mask=(input_ids == model.config.image_token_id), which is right for every model",
        stacklevel=4,
    )
    return attended & (attended.cumsum(1) <= needed)
