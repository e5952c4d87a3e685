"""Cells of pixels in the places of vision tokens: what an answer loses when some are covered, whatever a model makes of
its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import MethodError
from isotherm.frame import Frame, Size
from isotherm.progress import Progress, tell
from isotherm.relevance.method import Method
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from isotherm.vlm.trace import TokenTrace
from isotherm.vlm.view import LanguageView, PromptInputs

TOGETHER = 16
"""Covered versions whose vision tokens are read at once."""


@runtime_checkable
class PlacingMethod(Method, Protocol):
    """A method whose values are of cells of pixels, and not of vision tokens."""

    @property
    def covers(self) -> bool:
        """True where nothing is asked of vision tokens: the verdict then covers pixels, too, instead of hiding
        tokens.
        """
        ...

    def places(self, prompt: PromptInputs) -> tuple[PictureTokens, ...]:
        """The cells of every picture of a prompt, as :func:`pixel_cells` makes them."""
        ...


def places_of(method: Method, prompt: PromptInputs) -> tuple[PictureTokens, ...]:
    """Where a method's values lie: on cells of its own, or on the vision tokens."""
    return method.places(prompt) if isinstance(method, PlacingMethod) else prompt.pictures


def covers(method: Method) -> bool:
    """Whether a method asks nothing of vision tokens."""
    return isinstance(method, PlacingMethod) and method.covers


def check_places(methods: Sequence[Method], prompt: PromptInputs) -> None:
    """Refuse methods that make maps of vision tokens which stand for no place.

    Raises:
        MethodError: with why, and what to take instead.
    """
    why = next((picture.placeless for picture in prompt.pictures if picture.placeless), "")
    unfit = [method.name for method in methods if not covers(method)]
    if why and unfit:
        raise MethodError(
            f"{', '.join(unfit)} would make a map of vision tokens, which are not known to stand for places: {why}. "
            "Take the method occlusion, which covers pixels of the picture"
        )


def pixel_cells(prompt: PromptInputs, longest: int) -> tuple[PictureTokens, ...]:
    """A grid over the whole of every picture, of cells as square as its sides allow.

    Args:
        longest: cells along a picture's longer side.
    """
    places = []
    for picture in prompt.pictures:
        side = max(picture.size) / longest
        rows, columns = (max(1, min(round(length / side), length)) for length in picture.size)
        grid = TokenGrid(Frame.resize(picture.size, (rows, columns)), torch.arange(rows * columns).view(rows, columns))
        places.append(PictureTokens(picture.size, (grid,), rows * columns))
    return tuple(places)


def scores_without(
    trace: TokenTrace, places: Sequence[PictureTokens], gone: Bool[Tensor, "b n"], *, stage: str = "covered pictures"
) -> Float[Tensor, " b"]:
    """The target's value where some cells have the mean colour of their picture.

    Args:
        places: of :func:`pixel_cells`.
        gone: which cells of each version, picture after picture.
        stage: what to call this where its progress is told.
    """
    question, view, scores = trace.question, trace.question.view, []
    for first in range(0, len(gone), TOGETHER):
        streams = [
            view.embed(_asked_without(view, question.prompt, places, row)) for row in gone[first : first + TOGETHER]
        ]
        scores.append(trace.scores(tuple(torch.cat(parts) for parts in zip(*streams, strict=True))))
        tell(Progress(step=min(first + TOGETHER, len(gone)), total=len(gone), stage=stage))
    return torch.cat(scores)


def _asked_without(
    view: LanguageView, prompt: PromptInputs, places: Sequence[PictureTokens], gone: Bool[Tensor, " n"]
) -> PromptInputs:
    """The same question about covered pictures; of a video a moment's cells are covered in all of its frames."""
    parts = gone.cpu().split([place.count for place in places])
    covers = [_pixels(place.size, part[place.grids[0].token]) for place, part in zip(places, parts, strict=True)]
    return asked_covered(view, prompt, covers, [_mean_colour(picture) for picture in shown_pictures(prompt)])


def shown_pictures(prompt: PromptInputs) -> Sequence[Picture]:
    """The pictures of a prompt, or all frames of its video."""
    return prompt.sources if prompt.video is None else prompt.video[0]


def asked_covered(
    view: LanguageView,
    prompt: PromptInputs,
    covers: Sequence[Bool[np.ndarray, "_ _"]],
    fills: Sequence[UInt8[np.ndarray, "_ _ 3"]],
) -> PromptInputs:
    """The same question about covered pictures.

    Args:
        covers: which pixels of each picture, or of each moment's frames, are covered.
        fills: for each of :func:`shown_pictures` what covers it, as large as it is or a single colour.
    """
    shown = shown_pictures(prompt)
    per_cover = -(-len(shown) // len(covers))
    pictures = [
        np.where(covers[i // per_cover][..., None], fill, picture)
        for i, (picture, fill) in enumerate(zip(shown, fills, strict=True))
    ]
    if prompt.video is None:
        return view.ask(pictures, prompt.text)
    return view.ask_video(pictures, prompt.text, fps=prompt.video[1])


def _pixels(size: Size, cells: Bool[Tensor, "r c"]) -> Bool[np.ndarray, "h w"]:
    """Which pixels lie, by their centres, in cells that evenly divide a picture."""
    rows, columns = (
        torch.floor((torch.arange(length) + 0.5) / length * count).long()
        for length, count in zip(size, cells.shape, strict=True)
    )
    return cells[rows][:, columns].numpy()


def _mean_colour(picture: Picture) -> UInt8[np.ndarray, "1 1 3"]:
    return picture.reshape(-1, 1, 1, picture.shape[-1]).mean(0).round().astype(picture.dtype)
