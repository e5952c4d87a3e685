"""Relevance of pixels: what a vision tower is fed, and which vision token each value of it belongs to."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.models.transformers.recompute import recomputed_layers
from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.models.transformers.vlm.layouts.patches import positive_per_patch
from isotherm.models.transformers.vlm.prompts import fed_name
from isotherm.models.transformers.vlm.shares import tokens_of_values
from isotherm.relevance.still import still_attention
from isotherm.vlm.graph import PIXELS, kept_graph
from isotherm.vlm.patch_embedding import embedding_by_products
from isotherm.vlm.view import PromptInputs, Streams


class PixelRelevance:
    """What :class:`isotherm.models.transformers.vlm.view.TransformersVlm` has for methods that go back to pixels."""

    def embed_pixels(self: Any, prompt: PromptInputs, pixels: Tensor) -> Streams:
        with embedding_by_products(), recomputed_layers(self.model):
            return self._embedded(dict(prompt.inputs) | {fed_name(prompt): pixels}, prompt)

    def pixels(self: Any, prompt: PromptInputs) -> Tensor:
        return prompt.inputs[fed_name(prompt)]

    def positive_per_token(self: Any, prompt: PromptInputs, pixels: Tensor, gradient: Tensor) -> Float[Tensor, " n"]:
        patch = getattr(getattr(self.model.config, "vision_config", self.model.config), "patch_size", 1)
        side = patch[0] if isinstance(patch, list | tuple) else patch
        kept = positive_per_patch(pixels.float(), gradient.float(), int(side))
        if isinstance(self.layout, MeasuredLayout):
            token = self._token_of_values(prompt, pixels)
            values = kept.new_zeros(len(prompt.positions) + 1).index_add(0, token + 1, kept.flatten())
            return values[1:]  # what comes first belongs to none
        if prompt.video is not None:
            moments = self.layout.video_pixels(
                dict(prompt.inputs) | {fed_name(prompt): kept}, [prompt.pictures[0].size]
            )
            seen = moments[0]
        else:
            seen = torch.cat(
                self.layout.pixels(dict(prompt.inputs) | {fed_name(prompt): kept}, [p.size for p in prompt.pictures])
            )
        values = seen.nan_to_num(0.0).sum(-1)
        # the layout gives means; as much relevance as there is in the patches is in the tokens
        return values * (kept.abs().sum() / values.abs().sum()) if float(values.abs().sum()) > 0 else values

    def _token_of_values(self: Any, prompt: PromptInputs, pixels: Tensor) -> Int[Tensor, " v"]:
        """For each of the values that the vision tower is fed its token, once for each size of pictures."""
        assert isinstance(self.layout, MeasuredLayout)
        key = (prompt.video is not None, *(p.size for p in prompt.pictures))
        known = self.layout.token_of_values
        if key not in known:
            start = pixels.detach().clone().requires_grad_()
            with self._quiet(), still_attention(), kept_graph(self.model, {}, start=PIXELS):
                streams = self._embedded(dict(prompt.inputs) | {fed_name(prompt): start * 1.0}, prompt)
                known[key] = tokens_of_values(torch.cat([stream[0] for stream in streams], -1), start)
        return known[key]
