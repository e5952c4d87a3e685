"""The layout of vision tokens that are not known to stand for any place: they are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from isotherm.frame import Size
from isotherm.models.transformers.vlm.layouts.layout import UnknownPlacesError, VisionLayout
from isotherm.models.transformers.vlm.prompts import picture_positions
from isotherm.vlm.tokens import PictureTokens


class PlacelessLayout(VisionLayout):
    """Every picture has as many tokens as the others, and no grid.

    Args:
        why: nothing more is known.
        token_id: of a picture in the prompt.
    """

    def __init__(self, why: str, *, token_id: int) -> None:
        self.why, self.token_id = why, token_id

    def pictures(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[PictureTokens]:
        count = len(picture_positions(inputs["input_ids"][:1], self.token_id))
        ends = [count * (k + 1) // len(sizes) for k in range(len(sizes))]
        return [
            PictureTokens((int(h), int(w)), (), end - first, placeless=self.why)
            for (h, w), first, end in zip(sizes, [0, *ends], ends, strict=False)
        ]

    def pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        raise UnknownPlacesError(self.why)
