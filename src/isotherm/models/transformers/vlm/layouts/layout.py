"""Abstract layouts of vision tokens, and the proof that they are right."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from isotherm.errors import AdapterError
from isotherm.frame import Frame, Size
from isotherm.vlm.tokens import PictureTokens


class UnknownPlacesError(AdapterError):
    """A model runs, and which pixels its vision tokens stand for could not be found out."""


class NoTokensError(AdapterError):
    """Pictures are no tokens of a model's prompts, or none that could be seen on their way into its language model."""


@dataclass(frozen=True, eq=False)
class VideoTokens:
    """One video of a prompt.

    Args:
        size: (h, w) of its frames.
        moments: what the model sees at a time, a frame or some frames in one; each counts its own tokens, and their
            numbers run on from moment to moment.
        count: of all its tokens, with those that stand for no place.
        times_s: of each moment, the mean of its first and its last frame's in seconds; None where the processor does
            not say.
        frames: of each moment, which of the source. Where a video comes without its rate, some processors take 24
            frames per second, and tell the model so.
    """

    size: Size
    moments: tuple[PictureTokens, ...]
    count: int
    times_s: tuple[float, ...] | None = None
    frames: tuple[tuple[int, ...], ...] | None = None


class VisionLayout(ABC):
    """Abstract: what a family's processor does to pictures."""

    @abstractmethod
    def pictures(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[PictureTokens]:
        """The tokens of every picture of a processed prompt.

        Args:
            inputs: what the processor gave.
            sizes: (h, w) of the source pictures, in the prompt's order.
        """

    @abstractmethod
    def pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        """The mean normalised colour of what each token is made from, picture by picture, in the order of the tokens;
        nan for one made of no pixels.
        """

    def videos(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[VideoTokens]:
        """The tokens of every video of a processed prompt; ``sizes`` are (h, w) of their frames."""
        raise AdapterError(
            f"which pixels the tokens of a video stand for is not known of {type(self).__name__}; give it frames as pictures instead"
        )

    def video_pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        """As :meth:`pixels`, of the videos."""
        raise AdapterError(
            f"which pixels the tokens of a video stand for is not known of {type(self).__name__}; give it frames as pictures instead"
        )


def moment_times(
    inputs: Mapping[str, Any], k: int, count: int, per_moment: int
) -> tuple[tuple[float, ...] | None, tuple[tuple[int, ...], ...] | None]:
    """(times_s, frames) of the ``count`` moments of video ``k``, as :class:`VideoTokens` has them, from what inputs say
    of them.

    That is ``video_metadata``, which processors give when asked for it, or ``second_per_grid_ts``, which Qwen2.5-VL's
    gives. per_moment: frames in one.
    """
    facts = inputs.get("video_metadata")
    if facts is not None and facts[k].frames_indices is not None:
        numbers = [int(i) for i in facts[k].frames_indices]
        numbers += numbers[-1:] * (count * per_moment - len(numbers))  # the last frame fills up the last moment
        frames = tuple(tuple(numbers[i * per_moment : (i + 1) * per_moment]) for i in range(count))
        rate = facts[k].fps
        return (tuple((shown[0] + shown[-1]) / 2 / rate for shown in frames) if rate else None), frames
    if inputs.get("second_per_grid_ts") is None:
        return None, None
    step, within = float(inputs["second_per_grid_ts"][k]), (per_moment - 1) / 2 / per_moment
    return tuple((i + within) * step for i in range(count)), None


def coordinate_picture(size: Size) -> UInt8[np.ndarray, "h w 3"]:
    """A picture whose pixels say where they are: red grows from left to right, green from top to bottom, blue is
    even.
    """
    h, w = size
    picture = np.full((h, w, 3), 128, np.uint8)
    picture[..., 0] = np.round((np.arange(w) + 0.5) / w * 255).astype(np.uint8)
    picture[..., 1] = np.round((np.arange(h) + 0.5) / h * 255).astype(np.uint8)[:, None]
    return picture


def check_layout(
    layout: VisionLayout,
    inputs: Mapping[str, Any],
    sizes: Sequence[Size],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    name: str = "the model",
) -> float:
    """Prove that the tokens of :func:`coordinate_picture` say of themselves to lie where the layout puts them.

    Args:
        inputs: coordinate pictures of these sizes through the processor.
        mean, std: its normalisation of colours from 0 to 1.

    Returns:
        The largest distance between where a token lies and where its pixels come from, in cells.

    Raises:
        AdapterError: half a cell or more: the layout is not that of the processor, and no map is made by a guess.
    """
    worst = 0.0
    for picture, normalised in zip(layout.pictures(inputs, sizes), layout.pixels(inputs, sizes), strict=True):
        h, w = picture.size
        if len(normalised) != picture.count:
            raise AdapterError(
                f"{name} makes {len(normalised)} vision tokens of a picture of {h} x {w}; its layout says {picture.count}"
            )
        colour = normalised.double() * torch.tensor(std, dtype=torch.float64) + torch.tensor(mean, dtype=torch.float64)
        for grid in picture.grids:
            rows, columns = grid.frame.size
            true = (colour[grid.token.flatten(), :2] * torch.tensor([w, h])).view(rows, columns, 2)
            ys, xs = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
            stated = grid.frame.points_to_source(torch.stack([xs, ys], -1).view(-1, 2).double()).view(rows, columns, 2)
            # where a cell reaches beyond the picture its mean colour is not its centre's
            inner = _inside(grid.frame, picture.size)
            apart = ((true - stated) / grid.frame.cell_size.double()).abs().amax(-1)[inner]
            # bytes know a place to 1/255 of the side, which may be more than a cell
            unsure = torch.tensor([w, h]) / 255 / grid.frame.cell_size.double()
            excess = float((apart - float(unsure.max())).clamp(min=0).max()) if len(apart) else 0.0
            worst = max(worst, excess)
    if worst >= 0.5:
        raise AdapterError(
            f"the vision tokens of {name} do not lie where its layout says, by {worst:.1f} cells; explaining it would point elsewhere, so it is refused"
        )
    return worst


def _inside(frame: Frame, size: Size) -> Bool[Tensor, "h w"]:
    rows, columns = frame.size
    ys, xs = torch.meshgrid(torch.arange(rows).double(), torch.arange(columns).double(), indexing="ij")
    boxes = frame.boxes_to_source(torch.stack([xs, ys, xs + 1, ys + 1], -1).view(-1, 4))
    h, w = size
    return (
        (boxes[:, 0] >= -1e-6) & (boxes[:, 1] >= -1e-6) & (boxes[:, 2] <= w + 1e-6) & (boxes[:, 3] <= h + 1e-6)
    ).view(rows, columns)
