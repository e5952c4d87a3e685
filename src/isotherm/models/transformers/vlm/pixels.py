"""Relevance of pixels: what a vision tower is fed, and which place of a picture each value of it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.models.transformers.recompute import recomputed_layers
from isotherm.models.transformers.vlm.coded import cells_of_values
from isotherm.models.transformers.vlm.layouts.patches import beyond_mean_patch
from isotherm.models.transformers.vlm.prompts import fed_name
from isotherm.vlm.patch_embedding import embedding_by_products
from isotherm.vlm.pixel_cells import shown_pictures
from isotherm.vlm.tokens import PictureTokens
from isotherm.vlm.view import PromptInputs, Streams

KEPT = 4
"""Sizes of pictures whose values' places are kept."""


class PixelRelevance:
    """What :class:`isotherm.models.transformers.vlm.view.TransformersVlm` has for methods that go back to pixels."""

    def embed_pixels(self: Any, prompt: PromptInputs, pixels: Tensor) -> Streams:
        with embedding_by_products(), recomputed_layers(self.model):
            return self._embedded(dict(prompt.inputs) | {fed_name(prompt): pixels}, prompt)

    def pixels(self: Any, prompt: PromptInputs) -> Tensor:
        return prompt.inputs[fed_name(prompt)]

    def positive_per_cell(
        self: Any, prompt: PromptInputs, pixels: Tensor, gradient: Tensor, places: Sequence[PictureTokens]
    ) -> Float[Tensor, " n"]:
        patch = getattr(getattr(self.model.config, "vision_config", self.model.config), "patch_size", 1)
        side = patch[0] if isinstance(patch, list | tuple) else patch
        beyond = beyond_mean_patch(pixels.float(), gradient.float(), int(side)).flatten()
        cells = self._cells_of_values(prompt, places).to(beyond.device)
        # what comes first is of no place
        total = beyond.new_zeros(1 + sum(place.count for place in places)).index_add(0, cells + 1, beyond)
        return total[1:].clamp(min=0)

    def _cells_of_values(self: Any, prompt: PromptInputs, places: Sequence[PictureTokens]) -> Int[Tensor, " v"]:
        """The cell of each value that the vision tower is fed, found out once for each size of pictures."""
        shown = shown_pictures(prompt)
        sizes = tuple((int(picture.shape[0]), int(picture.shape[1])) for picture in shown)
        key = (prompt.video is not None, sizes, tuple(place.grids[0].token.shape for place in places))
        known: dict[Any, Tensor] = self.__dict__.setdefault("_cells", {})
        if key not in known:

            def feed(pictures: Sequence[Picture]) -> Tensor:
                if prompt.video is None:
                    return self._shown(pictures, prompt.text)[fed_name(prompt)]
                return self._filmed(pictures, prompt.text, prompt.video[1])[fed_name(prompt)]

            while len(known) >= KEPT:
                known.pop(next(iter(known)))
            known[key] = cells_of_values(feed, sizes, places)
        return known[key]
