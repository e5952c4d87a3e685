"""The loop that trains every heatmap model: optimiser, schedule, averages, precision, checkpoints, figures, and what to
do when killed.

A step is a function of the configuration, the seed and the step's number alone: which pictures, how they are turned and
coloured, which learning rate. So a run that was killed and goes on from its checkpoint ends in the same bits as one
that was not (on a CPU, with the same number of threads).
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.errors import IsothermError, OptionError
from isotherm.progress import Progress, Say, silent
from isotherm.train.average import WeightAverage
from isotherm.train.parameters import ParameterGroup
from isotherm.train.run_folder import RunFolder, validation_column
from isotherm.train.schedule import Schedule
from isotherm.train.watch import Watch
from isotherm.train.worker import Alone, Worker

PRECISION = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Validate = Callable[[nn.Module, int], dict[str, float]]


class CollapsedError(IsothermError):
    """A run whose maps have become uniform, and that was asked to stop then."""


class DivergedError(IsothermError):
    """A run whose loss is no longer a number."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What is the same for every task.

    Args:
        seed: of order and augmentation (and of weights, where they are made from it).
        steps: of the optimiser.
        batch: pictures per step, over all devices.
        accumulate: parts that it is worked on in, to save memory.
        rate: peak learning rate (AdamW).
        decay: weight decay. What they hold for is in the task's groups.
        schedule: of the rate over the run.
        average: decay of the moving average of weights, or None.
        clip: largest norm of the gradient, or None.
        precision: of the forward pass; sums of losses are in float32 always.
        compiled: through torch.compile.
        log_every, keep_every: steps between lines of figures, and between checkpoints with their validation.
        patience: validations without an improvement after which the run ends, or None.
        wall_hours: hours of one start after which the run is validated, kept and left, to be gone on with; None: as
            long as it takes. It decides no numbers, so a run may be gone on with under another limit.
        stop_collapsed: stop, and say so, where the task's watch is alarmed, as by uniform maps; otherwise it is only
            said.
    """

    seed: int = 0
    steps: int = 1000
    batch: int = 32
    accumulate: int = 1
    rate: float = 1e-3
    decay: float = 0.1
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=50))
    average: float | None = 0.999
    clip: float | None = 1.0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compiled: bool = False
    log_every: int = 20
    keep_every: int = 200
    patience: int | None = None
    wall_hours: float | None = None
    stop_collapsed: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "log_every", "keep_every"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.rate <= 0 or self.decay < 0:
            raise OptionError(f"rate is {self.rate} and decay {self.decay}; expected above 0, and at least 0")
        if self.average is not None and not 0 <= self.average < 1:
            raise OptionError(
                f"average is {self.average}; expected a number from 0 to less than 1, such as 0.999, or None"
            )
        if self.batch % self.accumulate:
            raise OptionError(
                f"batch is {self.batch} and accumulate {self.accumulate}; the batch must be a multiple of its parts"
            )
        if self.precision not in PRECISION:
            raise OptionError(f"precision is {self.precision!r}; expected one of {', '.join(PRECISION)}")
        if self.clip is not None and self.clip <= 0:
            raise OptionError(f"clip is {self.clip}; expected a norm above 0, or None")
        if self.patience is not None and self.patience < 1:
            raise OptionError(f"patience is {self.patience}; expected at least 1 validation, or None")
        if self.wall_hours is not None and not self.wall_hours > 0:
            raise OptionError(f"wall_hours is {self.wall_hours}; expected a number of hours above 0, or None")


@dataclass(frozen=True)
class Part:
    """What a task says of a part of a batch.

    Args:
        loss: mean over what is labelled in the part.
        maps: (b, n, h, w) for the task's watch; None where there is nothing to see.
        figures: to be logged; of several parts of a step, the first one's are.
    """

    loss: Float[Tensor, ""]
    maps: Float[Tensor, "b n h w"] | None
    figures: Mapping[str, float] = field(default_factory=dict)


class Task(ABC):
    """Abstract: what a loop trains. The loop knows nothing of the model but that it has weights.

    Args:
        model: its forward is called through ``forward`` alone, which may be compiled or wrapped.
        count: pictures.
    """

    model: nn.Module
    count: int

    @abstractmethod
    def groups(self) -> list[ParameterGroup]:
        """What is trained, how fast and with how much decay; what is in no group is frozen.

        Raises:
            OptionError: there is nothing to train.
        """

    def watch(self) -> Watch | None:
        """A new watch that looks at the maps of every step, or None."""
        return None

    def rate_figures(self, groups: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Learning rates of single groups of the optimiser, to be logged beside the first; none unless a task says so.

        Args:
            groups: of the optimiser, in the order of :meth:`groups`, with 'lr' each.
        """
        return {}

    def rows(self, step: int, config: LoopConfig) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
        """(numbers of pictures, their epochs) of a step, a function of the step and the configuration alone.

        All pictures in a new order in every epoch (:func:`rows_of`), unless a task says otherwise.
        """
        return rows_of(step, config.batch, self.count, config.seed)

    def expect(self, parts: Sequence[tuple[Int[Tensor, " b"], Int[Tensor, " b"]]]) -> None:
        """Be told which parts this process will work on in the step after this one, to load them meanwhile.

        Args:
            parts: (numbers of pictures, their epochs) of each, in order.
        """
        return

    @abstractmethod
    def labelled(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        """Of pictures by number: how many things take part in the loss, and how many there could be."""

    @abstractmethod
    def part(
        self,
        forward: nn.Module,
        index: Int[Tensor, " b"],
        epoch: Int[Tensor, " b"],
        *,
        done: float,
        device: torch.device,
    ) -> Part:
        """Pictures by number, augmented as each one's epoch says, forward and loss; ``done``: share of the run."""


def rows_of(step: int, batch: int, count: int, seed: int) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
    """(numbers of pictures, their epochs) of a step: every epoch is a new order of all pictures, and none is cut
    short.
    """
    where = torch.arange(step * batch, (step + 1) * batch)
    epochs = where // count
    orders = {
        int(e): torch.randperm(count, generator=torch.Generator().manual_seed((seed << 20) + int(e)))
        for e in epochs.unique()
    }
    return torch.stack([orders[int(e)][int(w) % count] for e, w in zip(epochs, where, strict=True)]), epochs


def run_loop(
    config: LoopConfig,
    task: Task,
    folder: RunFolder,
    *,
    worker: Worker | None = None,
    validate: Validate | None = None,
    say: Say = silent,
) -> nn.Module:
    """Train a task's model, or go on with a run that was interrupted.

    Args:
        folder: where figures and checkpoints go; what is there is gone on from.
        worker: this process of the run; None: alone on the CPU.
        validate: called with the averaged model and the step whenever a checkpoint is kept; its figures are logged, and
            by the one named 'score' (more is better), or the first (less is better), the run is judged where it has
            patience.

    Returns:
        The model with its averaged weights (with its last ones where there is no average), in evaluation mode.

    Raises:
        OptionError: no pictures, or a batch that cannot be shared out.
        CollapsedError: see ``stop_collapsed``.
        DivergedError: the loss is not finite.
        WeightsError: the checkpoint is damaged.
    """
    worker = Alone(torch.device("cpu")) if worker is None else worker
    if task.count == 0:
        raise OptionError("there are no pictures to train on; look at what was skipped while reading")
    if config.batch % (config.accumulate * worker.world):
        raise OptionError(
            f"batch is {config.batch} for {worker.world} devices with accumulate {config.accumulate}; it must be a multiple of {config.accumulate * worker.world}"
        )
    say = say if worker.first else silent
    model: Any = task.model.to(worker.device).train()
    groups = task.groups()
    trained = [p for group in groups for p in group.parameters]
    optimiser: Any = torch.optim.AdamW(
        [{"params": g.parameters, "rate": g.rate, "lr": g.rate, "weight_decay": g.decay} for g in groups]
    )
    watch = task.watch()
    state = _State(model, optimiser, config, worker, watch)
    first = state.resume(folder, write=worker.first)
    if first:
        say(f"going on from step {first}")
    whole: Any = torch.compile(model) if config.compiled else model
    forward, optimiser = worker.set_up(whole, optimiser)
    warned, began, stopped = False, time.perf_counter(), state.ended(config)
    for step in range(first, first if stopped else config.steps):
        factor = config.schedule(step, config.steps)
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * factor
        index, epoch = task.rows(step, config)
        loss, figures = 0.0, dict[str, float]()
        known, possible = task.labelled(index)
        mine = _parts_of(index, epoch, config, worker)
        if step + 1 < config.steps:
            task.expect(_parts_of(*task.rows(step + 1, config), config, worker))
        for i, (part, of) in enumerate(mine):
            with worker.unfinished(forward, more=i + 1 < len(mine)):
                with torch.autocast(
                    worker.device.type, PRECISION[config.precision], enabled=config.precision != "float32"
                ):
                    result = task.part(forward, part, of, done=step / config.steps, device=worker.device)
                # a mean over what is labelled in the whole batch, however the labels fall into its parts
                share = task.labelled(part)[0] / max(1, known)
                worker.backward(state.scaler.scale(result.loss * (share * worker.world)))
            loss += float(result.loss.detach()) * share
            if i == 0:
                looked = {} if watch is None or result.maps is None else watch.look(result.maps, step=step)
                figures = {**result.figures, **looked}
        loss = worker.total(loss)
        if not math.isfinite(loss):  # before the weights are touched
            raise DivergedError(
                f"the loss is {loss} at step {step + 1}; lower the rate, clip gradients or use float32. What was kept in {folder.dpath} is from before"
            )
        state.scaler.unscale_(optimiser)
        norm = float(torch.nn.utils.clip_grad_norm_(trained, config.clip if config.clip is not None else float("inf")))
        state.scaler.step(optimiser)
        state.scaler.update()
        optimiser.zero_grad(set_to_none=True)
        if state.average is not None:
            state.average.update(model)
        done = step + 1
        for warning in () if watch is None else watch.warnings():
            say(warning)
        if watch is not None and not warned and worker.total(float(watch.alarmed)):
            message = watch.message(loss)
            say(message)
            warned = True
            if config.stop_collapsed:
                raise CollapsedError(message)
        last = done == config.steps
        out_of_time = not last and _out_of_time(config, began, worker)
        if done % config.log_every == 0 or last:
            if worker.first:
                folder.log(
                    {
                        "step": done,
                        "loss": loss,
                        "rate": config.rate * factor,
                        "gradient": norm,
                        "labelled": known / max(1, possible),
                        **figures,
                        **task.rate_figures(optimiser.param_groups),
                    }
                )
            pace = (done - first) / (time.perf_counter() - began)
            text = f"loss {loss:.4f}, {pace:.1f} steps a second"
            say(Progress(step=done, total=config.steps, text=text, stage="training"))
        if done % config.keep_every == 0 or last or out_of_time:
            if validate is not None and worker.first:
                judged = validate(model.eval() if state.average is None else state.average.applied_to(model), done)
                state.judge(judged)
                if judged:
                    folder.log({"step": done, **{validation_column(key): value for key, value in judged.items()}})
                model.train()
            if worker.first:
                state.keep(folder, done)
            state.scores = [float(s) for s in worker.agree(" ".join(map(repr, state.scores))).split()]
            if state.ended(config) and not last:
                say(f"no improvement in {config.patience} validations: stopped at step {done} of {config.steps}")
                break
        if out_of_time:
            folder.left = f"wall_hours is {config.wall_hours:g}, which are over at step {done} of {config.steps}"
            say(f"{folder.left}: stopped; what came of it is kept, and the same run can be gone on with (--resume)")
            break
    if state.average is not None:
        state.average.copy_to(model)
    trained_model: nn.Module = model.eval()
    return trained_model


def _out_of_time(config: LoopConfig, began: float, worker: Worker) -> bool:
    """True in all processes as soon as one of them has had its hours."""
    if config.wall_hours is None:
        return False
    return worker.total(float(time.perf_counter() - began >= config.wall_hours * 3600)) > 0


def _parts_of(
    index: Int[Tensor, " b"], epoch: Int[Tensor, " b"], config: LoopConfig, worker: Worker
) -> list[tuple[Int[Tensor, " p"], Int[Tensor, " p"]]]:
    """The parts of a step that are this process's."""
    mine = (whole.chunk(worker.world)[worker.rank].chunk(config.accumulate) for whole in (index, epoch))
    return list(zip(*mine, strict=True))


class _State:
    """Everything that a checkpoint holds."""

    def __init__(self, model: Any, optimiser: Any, config: LoopConfig, worker: Worker, watch: Watch | None) -> None:
        self.model, self.optimiser, self.watch = model, optimiser, watch
        self.average = None if config.average is None else WeightAverage(model, decay=config.average)
        self.scaler = torch.amp.GradScaler(worker.device.type, enabled=config.precision == "float16")
        self.scores: list[float] = []

    def judge(self, figures: dict[str, float]) -> None:
        """Note how good a validation was; more is better."""
        if figures:
            self.scores.append(figures["score"] if "score" in figures else -next(iter(figures.values())))

    def ended(self, config: LoopConfig) -> bool:
        """True where patience has run out."""
        if config.patience is None or not self.scores:
            return False
        best = max(range(len(self.scores)), key=lambda i: self.scores[i])  # the first of equals
        return len(self.scores) - 1 - best >= config.patience

    def keep(self, folder: RunFolder, step: int) -> None:
        frozen = {name for name, p in self.model.named_parameters() if not p.requires_grad}  # where they came from
        state = {
            "step": step,
            "model": {name: value for name, value in self.model.state_dict().items() if name not in frozen},
            "optimiser": self.optimiser.state_dict(),
            "watch": None if self.watch is None else self.watch.state_dict(),
            "scaler": self.scaler.state_dict(),
            "scores": self.scores,
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        folder.keep(state)

    def resume(self, folder: RunFolder, *, write: bool) -> int:
        state = folder.kept()
        step = 0 if state is None else int(state["step"])
        if state is not None:
            self.model.load_state_dict(state["model"], strict=False)
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            if self.watch is not None:
                self.watch.load_state_dict(state["watch"])
            self.scores = list(state["scores"])
        if write:
            folder.forget_after(step)
        return step
