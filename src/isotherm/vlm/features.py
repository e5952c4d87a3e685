"""States at vision tokens -> grids of features with frames, for a head on any family of models."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.vlm.view import PromptInputs


@dataclass(frozen=True, eq=False)
class FeatureGrid:
    """The features of a picture, or of one of its tiles.

    Args:
        features: (c, h, w).
        frame: of its cells on the source picture.
    """

    features: Float[Tensor, "c h w"]
    frame: Frame


def picture_features(states: Float[Tensor, "n c"], prompt: PromptInputs) -> tuple[tuple[FeatureGrid, ...], ...]:
    """The states at a prompt's vision tokens, picture by picture, each where its pixels lie.

    Args:
        states: (n, c) in the order of the tokens, such as :func:`isotherm.vlm.blindness.image_states` gives.
        prompt: that they are of.

    Returns:
        Of every picture its grids: one, or several that may overlap where its model cuts pictures up. Differentiable
        in the states. A head on them gives maps with the frame ``head.output_frame(grid.frame)``.

    Raises:
        ShapeError: not one state per vision token.
    """
    if len(states) != len(prompt.positions):
        raise ShapeError(
            f"there are {len(states)} states for {len(prompt.positions)} vision tokens; expected one of each"
        )
    pictures = []
    for first, picture in zip(prompt.first, prompt.pictures, strict=False):
        grids = []
        for grid in picture.grids:
            picked = states[first + grid.token.flatten().to(states.device)]
            grids.append(FeatureGrid(picked.T.unflatten(1, grid.frame.size), grid.frame))
        pictures.append(tuple(grids))
    return tuple(pictures)
