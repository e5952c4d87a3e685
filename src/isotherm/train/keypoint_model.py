"""A backbone and a head: pictures -> one heatmap per point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from isotherm import decode
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heads import Head
from isotherm.heads.coordinates import CoordinateHead
from isotherm.losses import assign, gaussian_cross_entropy, gaussian_mse
from isotherm.losses.coordinate_mse import coordinate_mse, places_to_source
from isotherm.models.backbone import Backbone
from isotherm.ops.names import known_word
from isotherm.ops.place import place
from isotherm.points import Points, State
from isotherm.train.map_figures import MapKind


class KeypointModel(nn.Module):
    """Pictures (b, 3, h, w) from 0 to 1 -> maps (b, n, h ratio / stride, w ratio / stride), or places (b, n, 2).

    Args:
        backbone: gives the grid of features, or one vector.
        head: makes the grid finer, one map per point; a :class:`isotherm.heads.coordinates.CoordinateHead` makes places
            of the vector.
        frozen: the backbone keeps its weights and its evaluation mode, and no graph is made of it.
    """

    def __init__(self, backbone: Backbone, head: Head | CoordinateHead, *, frozen: bool) -> None:
        super().__init__()
        self.backbone, self.head, self.frozen = backbone, head, frozen
        if frozen:
            backbone.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> KeypointModel:
        """As :meth:`torch.nn.Module.train`, but a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n *cells"]:
        """The maps or places; what their numbers mean is decided by the objective that they are trained with."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            whole = isinstance(self.head, CoordinateHead)
            features = self.backbone.summary(pictures) if whole else self.backbone(pictures)
        maps: Tensor = self.head(features)
        return maps

    def output_frame(self, frame: Frame) -> Frame:
        """The frame of the maps, given that of the pictures; places are shares of the pictures themselves."""
        if isinstance(self.head, CoordinateHead):
            return frame
        return self.head.output_frame(self.backbone.output_frame(frame))


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What maps are trained to be, and the decoder that belongs to it.

    Args:
        loss: 'cross_entropy' (decoded by the moment inverse) or 'mse' (peak maps, decoded by least squares);
            'coordinate_mse' of places as shares of the input, which belongs to the head 'coordinates' and has no maps.
        sigma: standard deviation of the targets in cells at the end of the run.
        first_sigma: at its start, from which it falls geometrically; None: the same throughout. Wide targets at first
            are found from farther away.
        exchange: points whose order says nothing are matched by the least loss.
        decoder: 'own', the one that belongs to the loss; 'soft_argmax', the mean of a softmax over the raw maps, for
            comparison with work that decodes so: :attr:`note` says what it costs.
        coordinates: weight of an auxiliary loss on decoded places, the mean distance in cells (cross-entropy only).
    """

    loss: Literal["cross_entropy", "mse", "coordinate_mse"] = "cross_entropy"
    sigma: float = 2.0
    first_sigma: float | None = None
    exchange: bool = True
    decoder: Literal["own", "soft_argmax"] = "own"
    coordinates: float = 0.0

    def __post_init__(self) -> None:
        known_word(self.loss, ("cross_entropy", "mse", "coordinate_mse"), "loss")
        known_word(self.decoder, ("own", "soft_argmax"), "decoder")
        if self.decoder != "own" and self.loss == "coordinate_mse":
            raise OptionError("decoder is 'soft_argmax' with loss coordinate_mse, which has no maps; expected 'own'")
        for name in ("sigma", "first_sigma"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise OptionError(f"{name} is {value}; expected a finite number of cells above 0")
        if self.coordinates < 0 or (self.coordinates > 0 and self.loss != "cross_entropy"):
            raise OptionError(
                f"coordinates is {self.coordinates} with loss {self.loss}; expected at least 0, and 0 with 'mse', whose decoder follows no gradient far from the peak, and with 'coordinate_mse', which is that loss"
            )

    @property
    def map_kind(self) -> MapKind:
        """What the maps are."""
        return "peak" if self.loss == "mse" else "logits"

    @property
    def decoding(self) -> str:
        """The decoder, in words."""
        if self.loss == "coordinate_mse":
            return "nothing, as places are found directly"
        if self.decoder == "soft_argmax":
            return "soft-argmax"
        return "least squares" if self.loss == "mse" else "the moment inverse"

    @property
    def note(self) -> str:
        """What to say of a decoder that was chosen against the advice; empty where there is nothing to say."""
        if self.decoder == "own":
            return ""
        if self.loss == "mse":
            return (
                "decoder: soft_argmax of peak maps, as it was chosen: a softmax over a map whose peak is 1 is nearly uniform, so unless the "
                "logits grow far beyond it every place is pulled to the middle, 18 cells off on 64 x 64; decoder: own (least squares) is advised"
            )
        return (
            "decoder: soft_argmax, as it was chosen: no mean of cells reaches the border or what lies beyond it, where places are off by up to "
            "two cells; decoder: own (the moment inverse) is advised"
        )

    def sigma_at(self, done: float) -> float:
        """Sigma when this share of the run is done."""
        if self.first_sigma is None:
            return self.sigma
        return self.first_sigma * (self.sigma / self.first_sigma) ** min(max(done, 0.0), 1.0)

    def loss_of(
        self,
        maps: Float[Tensor, "b n *cells"],
        points: Points,
        frame: Frame,
        *,
        done: float,
        exchangeable: tuple[tuple[int, ...], ...],
    ) -> Float[Tensor, ""]:
        """The loss of a batch.

        Args:
            maps: what the model gave.
            points: in source pixels, with states.
            frame: of the maps.
            done: share of the run.
            exchangeable: sets of points whose order says nothing; looked at where ``exchange`` is set.
        """
        sigma, groups = self.sigma_at(done), exchangeable if self.exchange else ()
        if self.loss == "coordinate_mse":
            return coordinate_mse(maps, points, frame, groups=groups)
        if self.loss == "mse":
            return gaussian_mse(maps, points, frame, sigma_cells=sigma, groups=groups)
        loss = gaussian_cross_entropy(maps, points, frame, sigma_cells=sigma, groups=groups)
        if self.coordinates:
            loss = loss + self.coordinates * self._distance(maps, points, frame, sigma, groups)
        return loss

    def counts(self, state: Int[Tensor, "*b n"]) -> Bool[Tensor, "*b n"]:
        """Which points take part in the loss, by their states."""
        known = state != int(State.UNLABELLED)
        return known if self.loss == "mse" else known & (state != int(State.ABSENT))

    def decode(self, maps: Float[Tensor, "b n *cells"], frame: Frame) -> Points:
        """Places in source pixels by the decoder that belongs to the loss, or the one that was chosen."""
        if self.loss == "coordinate_mse":
            return places_to_source(maps, frame)
        if self.decoder == "soft_argmax":
            return decode.soft_argmax(maps, frame, kind="logits")
        if self.loss == "mse":
            return decode.least_squares(maps, frame, sigma_cells=self.sigma)
        return decode.moment_inverse(maps, frame, sigma_cells=self.sigma)

    def _distance(
        self, maps: Tensor, points: Points, frame: Frame, sigma: float, groups: tuple[tuple[int, ...], ...]
    ) -> Tensor:
        at = place(points, frame)
        shown, cells = at.shown, at.cells
        if groups:
            order = assign(maps, points, frame, groups=groups, loss="cross_entropy", sigma_cells=sigma)
            cells, shown = cells.gather(-2, order[..., None].expand(*order.shape, 2)), shown.gather(-1, order)
        decoded = decode.moment_inverse(maps, sigma_cells=sigma).xy
        apart = torch.linalg.vector_norm(torch.where(shown[..., None], decoded - cells, 0.0) + 1e-12, dim=-1)
        return torch.where(shown, apart, 0.0).sum() / shown.sum().clamp(min=1)
