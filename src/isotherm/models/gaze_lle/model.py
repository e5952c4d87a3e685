"""Gaze-LLE as a whole: pictures and heads -> maps over the pictures, and points in their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from isotherm.decode.least_squares import least_squares
from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size
from isotherm.heatmap import Heatmap
from isotherm.models.backbone import Backbone
from isotherm.models.gaze_lle.decoder import GazeDecoder
from isotherm.points import Points

SIGMA_CELLS = 3.0
"""Of the Gaussians that the published models were trained with, on 64 x 64 cells."""

NormalisedBox = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class GazePrediction:
    """Where some people look.

    Args:
        heatmap: (p, h, w) peak maps, one for each person, over the source pixels of the picture that the person is in.
        inside: (p,) how likely each looks at something within the picture, 0 to 1; None of models that do not say.
    """

    heatmap: Heatmap
    inside: Float[Tensor, " p"] | None

    def points(self, *, sigma_cells: float = SIGMA_CELLS) -> Points:
        """The place of each person's map in source pixels, (p, 1, 2) with covariances and scores.

        The maps were trained to be Gaussians of peak 1, so the decoder is a fit of such a Gaussian, which is exact up
        to the border; the brightest cell, as commonly taken, is off by up to half a cell, and towards the upper left
        where its corner is taken for its place.

        Args:
            sigma_cells: of the Gaussians that the model was trained with.
        """
        values = self.heatmap.values.float()
        frame = self.heatmap.frame
        return least_squares(values[:, None], frame, sigma_cells=sigma_cells, kind="peak")


class GazeLLE(nn.Module):
    """A frozen backbone and the decoder of gaze.

    Args:
        backbone: from pictures to a grid of features; its weights are not trained here.
        decoder: for that grid and that many channels.
        size: (h, w) of the pictures that the model is fed.

    Raises:
        ShapeError: the decoder is for another grid, or for other channels.
    """

    def __init__(self, backbone: Backbone, decoder: GazeDecoder, *, size: Size = (448, 448)) -> None:
        super().__init__()
        grid = size[0] // backbone.stride, size[1] // backbone.stride
        config = decoder.config
        if (config.channels, config.grid) != (backbone.channels, grid):
            raise ShapeError(
                f"the decoder is for {config.channels} channels on {config.grid} cells, and the backbone gives "
                f"{backbone.channels} on {grid} of pictures of {size}"
            )
        self.backbone, self.decoder, self.size = backbone.requires_grad_(False), decoder, size

    def encode(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        """The scenes' features, which all people in a picture share.

        Args:
            pictures: of the model's size, from 0 to 1.
        """
        return self.backbone(pictures)

    def forward(
        self, pictures: Float[Tensor, "b 3 h w"], boxes: Float[Tensor, "p 4"], picture: Int[Tensor, " p"]
    ) -> tuple[Float[Tensor, "p y x"], Float[Tensor, " p"] | None]:
        """Maps of peak 1 at most, and whether the gaze lies within the picture.

        Args:
            pictures: of the model's size, from 0 to 1.
            boxes: (p, 4) x0, y0, x1, y1 of heads as shares of the picture; NaN for nobody in particular.
            picture: (p,) the picture that each head is in.
        """
        return self.decoder(self.encode(pictures)[picture], boxes)

    @torch.no_grad()
    def predict(
        self, pictures: Sequence[UInt8[Tensor, "3 _ _"]], boxes: Sequence[Float[Tensor, "n 4"] | None]
    ) -> GazePrediction:
        """Where the people in pictures of any sizes look.

        Args:
            pictures: (3, H, W) 8-bit RGB each.
            boxes: of each picture (n, 4) heads in its pixels; None: one person, whose head is not known.

        Returns:
            All people, those of the first picture first.

        Raises:
            ShapeError: not one set of boxes for each picture.
        """
        if len(boxes) != len(pictures):
            raise ShapeError(
                f"there are {len(boxes)} sets of boxes for {len(pictures)} pictures; expected one for each"
            )
        sizes = [(int(p.shape[-2]), int(p.shape[-1])) for p in pictures]
        shares = [head_boxes(b, size) for b, size in zip(boxes, sizes, strict=True)]
        picture = torch.cat([torch.full((len(s),), i, dtype=torch.int64) for i, s in enumerate(shares)])
        like = self.decoder.linear.weight
        fed = torch.stack([self.fed(p) for p in pictures])
        maps, inside = self(fed.to(like), torch.cat(shares).to(like), picture.to(like.device))
        cells = tuple(maps.shape[-2:])
        frames = Frame.stack([Frame.resize(size, cells) for size in sizes])
        return GazePrediction(Heatmap(maps.cpu(), frames[picture], "peak"), None if inside is None else inside.cpu())

    def fed(self, picture: UInt8[Tensor, "3 _ _"]) -> Float[Tensor, "3 h w"]:
        """A picture as the model is fed it: from 0 to 1, stretched to the model's size whatever its own shape is."""
        return F.interpolate(
            picture[None].float() / 255, self.size, mode="bilinear", align_corners=False, antialias=True
        )[0]


def head_boxes(boxes: Float[Tensor, "n 4"] | Sequence[NormalisedBox | None] | None, size: Size) -> Float[Tensor, "n 4"]:
    """Boxes of heads as the model takes them: shares of the picture, NaN for nobody in particular.

    Args:
        boxes: (n, 4) in pixels of the picture; or a list as the published code has it, of shares or None; None: one
            person of whom no box is known.
        size: (h, w) of the picture.

    Example:
        >>> head_boxes(torch.tensor([[10.0, 0.0, 20.0, 5.0]]), (10, 40)).tolist()
        [[0.25, 0.0, 0.5, 0.5]]
        >>> head_boxes([(0.25, 0.0, 0.5, 0.5), None], (10, 40)).tolist()
        [[0.25, 0.0, 0.5, 0.5], [nan, nan, nan, nan]]
    """
    if boxes is None:
        boxes = [None]
    if isinstance(boxes, Tensor):
        h, w = size
        return boxes / boxes.new_tensor([w, h, w, h])
    return torch.tensor([box if box is not None else (torch.nan,) * 4 for box in boxes]).view(-1, 4)
