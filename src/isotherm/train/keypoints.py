"""Training of heatmap models for keypoints: the recipe, batches with their frames, and the task that the loop runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.data.keypoint_augment import Augmentation, draw, mirrored_points, recolour, warp
from isotherm.data.keypoint_cache import CachedKeypoints
from isotherm.data.keypoints import KeypointSet
from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.metrics.point_errors import out_of_bounds, place_known
from isotherm.points import Points
from isotherm.progress import Say, silent
from isotherm.train.backbone_training import BackboneTraining
from isotherm.train.collapse import CollapseWatch
from isotherm.train.keypoint_model import KeypointModel, Objective
from isotherm.train.loop import Part, Task, Validate, run_loop
from isotherm.train.parameters import ParameterGroup
from isotherm.train.run_folder import RunFolder
from isotherm.train.worker import Worker


@dataclass(frozen=True, kw_only=True)
class KeypointTraining(BackboneTraining):
    """A recipe; the rest of it is in :class:`isotherm.train.backbone_training.BackboneTraining`.

    Args:
        size: (h, w) of the model's input.
        objective: loss, sigma, decoder.
        augmentation: how pictures are changed.
        judged_by: the figure of validations, less being better, by which the best model is kept and patience runs: of
            all pictures, such as ``length_line_err_cm``, or of a group, such as ``val/hawaii/length_line_err_cm``.
    """

    size: Size = (256, 256)
    objective: Objective = field(default_factory=Objective)
    augmentation: Augmentation = field(default_factory=Augmentation)
    judged_by: str = "point_err_px"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.size) != 2 or min(self.size) < 1:
            raise OptionError(f"size is {self.size}; expected (h, w) of the model's input, two whole numbers above 0")


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures (b, 3, h, w) from 0 to 1, the frame that leads back to their sources, and their points in source
    pixels.
    """

    pictures: Tensor
    frame: Frame
    points: Points


def make_batch(
    data: CachedKeypoints,
    index: Int[Tensor, " b"],
    epoch: Int[Tensor, " b"],
    config: KeypointTraining,
    *,
    swaps: tuple[tuple[int, int], ...],
    device: torch.device,
) -> Batch:
    """Pictures by number, augmented as the seed, each one's epoch and number say."""
    kept = data.frame[index]
    tall = kept.cell_size[:, 0] / kept.cell_size[:, 1]
    drawn = draw(
        config.augmentation, index, seed=config.seed, epoch=epoch, cached=kept.size, size=config.size, tall=tall
    )
    pictures = torch.from_numpy(data.pictures[index.numpy()]).to(device)
    warped, frame = warp(pictures, kept, drawn, config.size)
    points, state = mirrored_points(data.points[index], data.state[index], drawn.flipped, swaps)
    return Batch(recolour(warped, drawn, config.augmentation), frame, Points(points.to(device), state=state.to(device)))


def outside(batch: Batch) -> float:
    """The share of the points of known place that lie outside of what the model is shown; 0 where there are none."""
    assert batch.points.state is not None
    known = place_known(batch.points.state)
    at = batch.frame.points_from_source(torch.where(known[..., None], batch.points.xy, 0.0))
    size = torch.tensor(batch.frame.size, device=at.device).expand(len(at), 2)
    return float((out_of_bounds(at, size) & known).sum() / known.sum().clamp(min=1))


class KeypointTask(Task):
    """Maps of points, trained as the objective says.

    Args:
        data: pictures and points.
        kind: the set they came from, for which points may be exchanged and which change names in a mirror.
    """

    def __init__(
        self, config: KeypointTraining, model: KeypointModel, data: CachedKeypoints, kind: KeypointSet
    ) -> None:
        self.config, self.model, self.data, self.kind = config, model, data, kind
        self.count = len(data)
        self.net, self.output_frame = model, model.output_frame

    def groups(self) -> list[ParameterGroup]:
        return self.config.groups(self.net.backbone, self.net.head)

    def watch(self) -> CollapseWatch | None:
        """Maps of keypoints collapse together, or one channel by itself; places have no maps."""
        if self.config.objective.loss == "coordinate_mse":
            return None
        cells = self.output_frame(Frame.identity(self.config.size)).size
        return CollapseWatch(self.config.objective.map_kind, cells, names=self.kind.names)

    def labelled(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        counts = self.config.objective.counts(self.data.state[index])
        return int(counts.sum()), counts.numel()

    def part(
        self,
        forward: nn.Module,
        index: Int[Tensor, " b"],
        epoch: Int[Tensor, " b"],
        *,
        done: float,
        device: torch.device,
    ) -> Part:
        batch = make_batch(self.data, index, epoch, self.config, swaps=self.kind.swaps, device=device)
        maps: Float[Tensor, "b n *cells"] = forward(batch.pictures)
        with torch.autocast(device.type, enabled=False):
            loss = self.config.objective.loss_of(
                maps, batch.points, self.output_frame(batch.frame), done=done, exchangeable=self.kind.exchangeable
            )
        return Part(loss, maps if maps.ndim == 4 else None, {"oob_points_frac": outside(batch)})


def train_keypoints(
    config: KeypointTraining,
    model: KeypointModel,
    data: CachedKeypoints,
    kind: KeypointSet,
    folder: RunFolder,
    *,
    worker: Worker | None = None,
    validate: Validate | None = None,
    say: Say = silent,
) -> KeypointModel:
    """Train a keypoint model, or go on with a run that was interrupted.

    Args:
        model: its weights are changed in place.
        data, kind: as of :class:`KeypointTask`. The others, and what is raised: as of
            :func:`isotherm.train.loop.run_loop`.
    """
    run_loop(config, KeypointTask(config, model, data, kind), folder, worker=worker, validate=validate, say=say)
    return model


def recipe_of(config: KeypointTraining, **others: Any) -> dict[str, Any]:
    """What a run folder writes down: the configuration and whatever else decides the numbers (data, backbone, head)."""
    return {"training": asdict(config), **others}
