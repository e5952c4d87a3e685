"""Scores of models that put out maps: the depth of a place, the peak of a keypoint's heatmap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.maps import Maps
from isotherm.cam.scores.naming import class_indices
from isotherm.cam.trace import Targets
from isotherm.cam.view import Inputs, Prediction, giver_of
from isotherm.errors import TargetError, UnfitTargetError
from isotherm.relevance.score import Score


@dataclass(frozen=True)
class MapValue(Score):
    """The mean of a map in a box or its value at a point; of neither the peak of a heatmap, or the mean of a map of
    values such as depth.

    The cells that are read stay the same where the picture is changed.

    Args:
        which: maps by name or number, such as a keypoint; all of them if not given.
        box: x0, y0, x1, y1 in *source* pixels: the cells whose centres lie inside, or else the one nearest to its
            middle.
        point: x, y in *source* pixels: the nearest cell.

    Example:
        >>> nose, chair = MapValue("nose"), MapValue(box=(40, 60, 120, 200))
    """

    which: int | str | tuple[int | str, ...] | None = None
    box: tuple[float, float, float, float] | None = None
    point: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.box is not None and self.point is not None:
            raise TargetError("box and point both say where a map is read; give one of them")

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        p = need_maps(prediction, self)
        b, k = p.values.shape[:2]
        several = self.which if isinstance(self.which, tuple) else (self.which,)
        kinds = list(range(k)) if self.which is None else class_indices([w for w in several if w is not None], p.names)
        picture = torch.arange(b).repeat_interleave(len(kinds))
        kind = torch.tensor(kinds * b)
        weights = torch.stack([self._weights(p, i, n) for i, n in zip(picture.tolist(), kind.tolist(), strict=True)])

        def read(q: Prediction, target: Tensor) -> Tensor:
            values = need_maps(q, self).values
            index = target.cpu()
            row = torch.arange(len(index), device=values.device)
            return (values[row, kind[index].to(values.device)] * weights[index].to(values)).sum((1, 2))

        values = p.values[picture.to(p.values.device), kind.to(p.values.device)]
        scores = (values * weights.to(values)).sum((1, 2))
        labels = tuple(f"{p.names[n]} {self._where(p)}" for n in kind.tolist())
        return Targets(scores, picture, labels, read, of="value")

    def _where(self, p: Maps) -> str:
        if self.box is not None:
            return "in {:g},{:g},{:g},{:g}".format(*self.box)
        if self.point is not None:
            return "at {:g},{:g}".format(*self.point)
        return "peak" if p.peaked else "mean"

    def _weights(self, p: Maps, picture: int, kind: int) -> Float[Tensor, "h w"]:
        """How much of each cell is read, 1 in all."""
        h, w = p.frame.size
        if self.box is None and self.point is None and p.peaked:
            weights = torch.zeros(h, w)
            weights.view(-1)[int(p.values[picture, kind].detach().argmax())] = 1
            return weights
        y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        centres = p.frame[picture].points_to_source(torch.stack([x, y], -1).flatten(0, 1).double())
        if self.point is not None:
            inside, middle = torch.zeros(len(centres), dtype=torch.bool), torch.tensor(self.point).double()
        else:  # of neither the whole picture, without what was padded
            height, width = p.frame.source_size[picture].tolist()
            low, high = torch.tensor(self.box or (0, 0, width, height)).double().split(2)
            inside = ((centres >= low) & (centres <= high)).all(-1)
            middle = (low + high) / 2
        if not bool(inside.any()):
            off = (centres - middle).abs() / p.frame[picture].cell_size.double().flip(-1)
            nearest = int(off.square().sum(-1).argmin())
            if float(off[nearest].max()) > 1:
                raise TargetError(
                    f"{tuple(middle.tolist())} (source pixels) lies outside of what the model saw of the picture, so its map has no value there"
                )
            inside[nearest] = True
        return (inside.float() / inside.sum()).view(h, w)


def need_maps(prediction: Prediction, score: object) -> Maps:
    """The prediction, if it is maps.

    Raises:
        UnfitTargetError: it is another one.
    """
    if not isinstance(prediction, Maps):
        raise UnfitTargetError(
            f"{type(score).__name__} is a score of models of depth and of keypoints' heatmaps, but this model gives {type(prediction).__name__}",
            gives=giver_of(prediction),
        )
    return prediction
