"""Training of heatmap models for keypoints.

A step is a function of the recipe, the seed and the step's number alone: which pictures, how they are turned and coloured, which
learning rate. So a run that was killed and goes on from its checkpoint ends in the same bits as one that was not (on a CPU, with
the same number of threads).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn

from isotherm.data.keypoint_augment import Augmentation, draw, mirrored_points, recolour, warp
from isotherm.data.keypoint_cache import CachedKeypoints
from isotherm.data.keypoints import KeypointSet
from isotherm.errors import IsothermError, OptionError
from isotherm.frame import Frame, Size
from isotherm.points import Points
from isotherm.train.average import WeightAverage
from isotherm.train.collapse import CollapseWatch
from isotherm.train.keypoint_model import KeypointModel, Objective
from isotherm.train.parameters import parameter_groups
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule

PRECISION = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class CollapsedError(IsothermError):
    """A run whose maps have become uniform, and that was asked to stop then."""


@dataclass(frozen=True, kw_only=True)
class KeypointTraining:
    """A recipe.

    Args:
        seed: of order and augmentation (and of weights, where they are made from it). steps: of the optimiser.
        batch: pictures per step. accumulate: parts that a batch is worked on in, to save memory.
        size: (h, w) of the model's input.
        rate: peak learning rate of the head (AdamW). decay: weight decay, on weights alone. backbone_rate: factor for the
            backbone; 0: frozen. layer_decay: factor per block towards the input. schedule: of the rate over the run.
        average: decay of the moving average of weights, or None. clip: largest norm of the gradient, or None.
        precision: of the forward pass; sums of losses are in float32 always.
        compiled: through torch.compile.
        log_every, keep_every: steps between lines of figures, and between checkpoints.
        stop_collapsed: stop, and say so, where the maps have become uniform; otherwise it is only said.
    """

    seed: int = 0
    steps: int = 1000
    batch: int = 32
    accumulate: int = 1
    size: Size = (256, 256)
    objective: Objective = field(default_factory=Objective)
    augmentation: Augmentation = field(default_factory=Augmentation)
    rate: float = 1e-3
    decay: float = 0.1
    backbone_rate: float = 0.0
    layer_decay: float = 1.0
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=50))
    average: float | None = 0.999
    clip: float | None = 1.0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compiled: bool = False
    log_every: int = 20
    keep_every: int = 200
    stop_collapsed: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "log_every", "keep_every"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.batch % self.accumulate:
            raise OptionError(f"batch is {self.batch} and accumulate {self.accumulate}; the batch must be a multiple of its parts")
        if self.precision not in PRECISION:
            raise OptionError(f"precision is {self.precision!r}; expected one of {', '.join(PRECISION)}")
        if self.clip is not None and self.clip <= 0:
            raise OptionError(f"clip is {self.clip}; expected a norm above 0, or None")


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures (b, 3, h, w) from 0 to 1, the frame that leads back to their sources, and their points in source pixels."""

    pictures: Tensor
    frame: Frame
    points: Points


def make_batch(
    data: CachedKeypoints, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"], config: KeypointTraining, *, swaps: tuple[tuple[int, int], ...], device: torch.device
) -> Batch:
    """Pictures by number, augmented as the seed, each one's epoch and number say."""
    drawn = draw(config.augmentation, index, seed=config.seed, epoch=epoch, cached=data.frame.size, size=config.size)
    pictures = torch.from_numpy(data.pictures[index.numpy()]).to(device)
    warped, frame = warp(pictures, data.frame[index], drawn, config.size)
    points, state = mirrored_points(data.points[index], data.state[index], drawn.flipped, swaps)
    return Batch(recolour(warped, drawn, config.augmentation), frame, Points(points.to(device), state=state.to(device)))


def rows_of(step: int, batch: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(numbers of pictures, their epochs) of a step: every epoch is a new order of all pictures, and none is cut short."""
    where = torch.arange(step * batch, (step + 1) * batch)
    epochs = where // count
    orders = {int(e): torch.randperm(count, generator=torch.Generator().manual_seed((seed << 20) + int(e))) for e in epochs.unique()}
    return torch.stack([orders[int(e)][int(w) % count] for e, w in zip(epochs, where, strict=True)]), epochs


def train_keypoints(
    config: KeypointTraining,
    model: KeypointModel,
    data: CachedKeypoints,
    kind: KeypointSet,
    folder: RunFolder,
    *,
    device: str | torch.device = "cpu",
    validate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> KeypointModel:
    """Train a model, or go on with a run that was interrupted.

    Args:
        model: its weights are changed in place. data: pictures and points. kind: the set they came from, for which points may be
            exchanged and which change names in a mirror. folder: where figures and checkpoints go; what is there is gone on from.
        validate: called with the averaged model and the step whenever a checkpoint is kept; its figures are logged.

    Returns:
        The model with its averaged weights (with its last ones where there is no average), in evaluation mode.

    Raises:
        OptionError: fewer pictures than none. CollapsedError: see ``stop_collapsed``. WeightsError: the checkpoint is damaged.
    """
    if len(data) == 0:
        raise OptionError("there are no pictures to train on; look at what was skipped while reading")
    device = torch.device(device)
    model.to(device).train()
    optimiser = torch.optim.AdamW(
        parameter_groups(model.backbone, model.head, rate=config.rate, decay=config.decay, backbone_rate=config.backbone_rate, layer_decay=config.layer_decay)
    )
    average = None if config.average is None else WeightAverage(model, decay=config.average)
    watch = CollapseWatch()
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
    first = _resume(folder, model, optimiser, average, watch, scaler)
    if first:
        say(f"going on from step {first}")
    forward = torch.compile(model) if config.compiled else model
    kind_of_map = "peak" if config.objective.loss == "mse" else "logits"
    told, began = False, time.perf_counter()
    for step in range(first, config.steps):
        factor = config.schedule(step, config.steps)
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * factor
        index, epoch = rows_of(step, config.batch, len(data), config.seed)
        loss = 0.0
        figures: dict[str, float] = {}
        labelled = config.objective.counts(data.state[index])
        for part, of in zip(index.chunk(config.accumulate), epoch.chunk(config.accumulate), strict=True):
            batch = make_batch(data, part, of, config, swaps=kind.swaps, device=device)
            with _precision(config, device):
                maps = forward(batch.pictures)
            value = config.objective.loss_of(
                maps, batch.points, model.output_frame(batch.frame), done=step / config.steps, exchangeable=kind.exchangeable
            )
            # a mean over what is labelled in the whole batch, however the labels fall into its parts
            share = int(config.objective.counts(data.state[part]).sum()) / max(1, int(labelled.sum()))
            scaler.scale(value * share).backward()
            loss += float(value.detach()) * share
            figures = figures or watch.look(maps, kind=kind_of_map, step=step)
        scaler.unscale_(optimiser)
        trained = [p for group in optimiser.param_groups for p in group["params"]]
        norm = float(torch.nn.utils.clip_grad_norm_(trained, config.clip if config.clip is not None else float("inf")))
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad(set_to_none=True)
        if average is not None:
            average.update(model)
        done = step + 1
        if watch.collapsed and not told:
            message = watch.message(loss, model.output_frame(data.frame[:1].resized(config.size)).size)
            say(message)
            told = True
            if config.stop_collapsed:
                raise CollapsedError(message)
        if done % config.log_every == 0 or done == config.steps:
            folder.log({"step": done, "loss": loss, "rate": config.rate * factor, "gradient": norm, "labelled": float(labelled.float().mean()), **figures})
            say(f"step {done} of {config.steps}: loss {loss:.4f}, {(done - first) / (time.perf_counter() - began):.1f} steps a second")
        if done % config.keep_every == 0 or done == config.steps:
            if validate is not None:
                found = validate(model if average is None else average.applied_to(model), done)
                folder.log({"step": done, **{f"validation {key}": value for key, value in found.items()}})
                model.train()
            _keep(folder, done, model, optimiser, average, watch, scaler)
    if average is not None:
        model.load_state_dict(average.values, strict=False)
    return model.eval()


@contextlib.contextmanager
def _precision(config: KeypointTraining, device: torch.device) -> Iterator[None]:
    with torch.autocast(device.type, PRECISION[config.precision], enabled=config.precision != "float32"):
        yield


def _state(model: KeypointModel) -> dict[str, Tensor]:
    """Weights that are trained, and buffers; a frozen backbone is where it came from."""
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def _keep(folder: RunFolder, step: int, model: KeypointModel, optimiser: Any, average: WeightAverage | None, watch: CollapseWatch, scaler: Any) -> None:
    state = {"step": step, "model": _state(model), "optimiser": optimiser.state_dict(), "uniform": list(watch.uniform), "scaler": scaler.state_dict()}
    if average is not None:
        state["average"] = average.state_dict()
    folder.keep(state)


def _resume(folder: RunFolder, model: KeypointModel, optimiser: Any, average: WeightAverage | None, watch: CollapseWatch, scaler: Any) -> int:
    state = folder.kept()
    if state is None:
        folder.forget_after(0)
        return 0
    model.load_state_dict(state["model"], strict=False)
    optimiser.load_state_dict(state["optimiser"])
    scaler.load_state_dict(state["scaler"])
    if average is not None:
        average.load_state_dict(state["average"])
    watch.uniform.extend(state["uniform"])
    folder.forget_after(int(state["step"]))
    return int(state["step"])


def recipe_of(config: KeypointTraining, **others: Any) -> dict[str, Any]:
    """What a run folder writes down: the configuration and whatever else decides the numbers (data, backbone, head)."""
    return {"training": asdict(config), **others}
