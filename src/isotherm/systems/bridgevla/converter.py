"""A language model's states at the image tokens -> heatmaps of every view."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from isotherm.errors import OptionError, ShapeError, WeightsError
from isotherm.models.weights.files import open_weights
from isotherm.ops.convex_upsample import Padding
from isotherm.systems.bridgevla.tokens import view_features
from isotherm.systems.bridgevla.upsample import FIRST, ConvexUpSample, bottleneck_of, head_weights

BOTTLENECK = 256
"""Features that the head works with, where states have more."""


class LLMToHeatmapConverter(nn.Module):
    """Image tokens of a language model -> logits of a heatmap per view.

    Args:
        vlm_dim: c of the hidden states.
        patch_size: tokens along each side of a picture; the name is what users know, it is no number of pixels.
        target_size: cells along each side of a heatmap, a multiple of patch_size.
        up_kernel, mask_scale: of the :class:`ConvexUpSample` behind.
        hidden_dim: a bottleneck: states of more features are made that many by a 1x1 convolution first. With 256 for
            2048 the head has 6 million weights and costs a fiftieth. None: the published head, which has no
            bottleneck, and of 2048 features 309 million weights (1.2 GB).
        padding: of the same; published weights were trained with ``"zeros"``.
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
        hidden_dim: int | None = BOTTLENECK,
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
        narrow = None if hidden_dim is None or vlm_dim <= hidden_dim else hidden_dim
        self.up = ConvexUpSample(
            vlm_dim, 1, target_size // patch_size, up_kernel, mask_scale, hidden_dim=narrow, padding=padding
        )

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        num_views: int = 1,
        image_token_mask: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Logits of every view. TorchScript reads no shapes in annotations and no arguments by keyword alone.

        Args:
            hidden_states: (b, t, vlm_dim) of the language model's last layer, padded on either side.
            attention_mask: (b, t), not 0 at tokens that are no padding; all of them unless given.
            num_views: pictures per prompt.
            image_token_mask: (b, t), true, or not 0, at image tokens: ``input_ids == model.config.image_token_id``.
                Unless given, the first tokens that are no padding are taken for the pictures', with a warning:
                PaliGemma's prompts begin so, most others do not.
            grid: (h, w) tokens of each picture where they are no square of patch_size.

        Returns:
            (b, num_views, h ratio, w ratio) logits, with a softmax of its own for each view.

        Raises:
            ShapeError: states of another width or type than the converter's, masks of another shape, a prompt without
                exactly as many image tokens as the views need, image tokens in the padding.
        """
        return self.forward_with_features(hidden_states, attention_mask, num_views, image_token_mask, grid)[0]

    @torch.jit.export
    def forward_with_features(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        num_views: int = 1,
        image_token_mask: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, with the grids of features (b, v, c, h, w) that the head saw beside the logits."""
        if not torch.jit.is_scripting():
            _check_states(hidden_states, attention_mask, image_token_mask, self.up)
        features = view_features(
            hidden_states,
            attention_mask,
            num_views,
            image_token_mask,
            self.grid if grid is None else grid,
            self.vlm_dim,
        )
        maps = self._maps(features.flatten(0, 1))
        return maps[:, 0].unflatten(0, [features.shape[0], features.shape[1]]), features

    def _maps(self, features: Tensor) -> Tensor:
        if torch.jit.is_scripting():
            maps: Tensor = self.up(features)
        else:
            again = self.checkpointing and torch.is_grad_enabled()
            maps = cast(Tensor, checkpoint(self.up, features, use_reentrant=False)) if again else self.up(features)
        return maps

    def load_head(self, checkpoint: str | os.PathLike[str] | Mapping[str, Tensor]) -> None:
        """Take the head's weights from those of a whole model, such as published ones.

        Args:
            checkpoint: a file, or weights by name, with the keys ``net_out`` and ``net_mask`` below any one prefix.

        Raises:
            WeightsError: no such head, several, or one of another shape; it says which options it needs.
        """
        if isinstance(checkpoint, Mapping):
            name, weights = "these weights", head_weights(checkpoint)
        else:
            name, weights = repr(Path(checkpoint).name), head_weights(open_weights(checkpoint))
        theirs, ours = bottleneck_of(weights), self.up.config.hidden_dim
        if theirs != ours:
            raise WeightsError(
                f"the head in {name} has {_bottleneck(theirs)} and the converter {_bottleneck(ours)}; make the "
                f"converter with hidden_dim={theirs}"
            )
        other = next((name for name, value in weights.items() if not isinstance(value, Tensor)), None)
        if other is not None:
            raise WeightsError(f"the weight {other} in {name} is a {type(weights[other]).__name__}; expected a tensor")
        try:
            self.up.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise WeightsError(
                f"the head in {name} has a {FIRST} of shape {tuple(weights[FIRST].shape)} and does not fit the converter "
                f"({', '.join(f'{k}={v}' for k, v in vars(self.up.config).items())}); give the options that it was trained with"
            ) from error


def _check_states(
    states: Tensor, attention_mask: Tensor | None, image_token_mask: Tensor | None, head: nn.Module
) -> None:
    """Refuse what is no tensor, and numbers of another type than the head's, whose words would be a convolution's."""
    named = {"hidden_states": states, "attention_mask": attention_mask, "image_token_mask": image_token_mask}
    for name, value in named.items():
        if value is not None and not isinstance(value, Tensor):
            raise ShapeError(f"{name} is a {type(value).__name__}; expected a tensor: torch.as_tensor makes one")
    own = next(head.parameters()).dtype
    if states.dtype != own and not (states.is_floating_point() and torch.is_autocast_enabled(states.device.type)):
        raise ShapeError(
            f"the states are {states.dtype} and the converter {own}; give it hidden_states.to({own}), or make it converter.to({states.dtype if states.is_floating_point() else own})"
        )


def _bottleneck(hidden_dim: int | None) -> str:
    return "no bottleneck" if hidden_dim is None else f"a bottleneck of {hidden_dim} features"
