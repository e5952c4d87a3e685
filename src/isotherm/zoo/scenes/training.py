"""Training of the classifier that ships: ``python -m isotherm.zoo.scenes.training --seed 0 --out scenes-0.safetensors``.

About a hundred thousand views of generated scenes, six minutes on two cores. Everything random is a function of
the seed and of the epoch, so a run that was interrupted and started again ends in the same weights.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.data.scenes import CLASSES, HELD_OUT, TRAINING, VALIDATION, SceneConfig, make_scene
from isotherm.errors import IsothermError, OptionError, WeightsError
from isotherm.frame import Size
from isotherm.train.average_precision import average_precision
from isotherm.zoo.scenes.network import (
    SceneNet,
    SceneNetConfig,
    load_scene_net,
    random_scene_net,
    save_scene_net,
    scene_preprocess,
)
from isotherm.zoo.shipped import Stopwatch, command_of, ends, write_recipe

Say = Callable[[str], None]
OPTIONS = ("seed", "close_ups", "close_up_epochs", "scenes", "epochs", "batch", "precision")
"""What of a recipe the command line sets."""


@dataclass(frozen=True, kw_only=True)
class SceneTraining:
    """A recipe.

    Args:
        seed: of the weights, of the order of scenes, of augmentation, and of which scenes are drawn.
        close_ups: how many scenes of one large object and little clutter come first, a quarter of the input's area
            in size, and close_up_epochs how often: shapes are learnt four times as fast where they fill the picture.
        scenes: how many different ones follow. epochs: how often each is seen, turned, mirrored and recoloured anew.
        batch: pictures per step. rate: peak learning rate (AdamW, one cycle). decay: weight decay.
        sizes: (h, w) of scenes in turn; all are letterboxed as the view letterboxes, so that padding is nothing new.
        precision: of the convolutions in training; results are always measured in float32.
    """

    seed: int = 0
    close_ups: int = 8_000
    close_up_epochs: int = 8
    scenes: int = 10_000
    epochs: int = 10
    batch: int = 64
    rate: float = 4e-3
    decay: float = 0.05
    sizes: tuple[Size, ...] = ((128, 128), (96, 128), (128, 96), (128, 128))
    precision: Literal["bfloat16", "float32"] = "bfloat16"

    def __post_init__(self) -> None:
        for name, least in (("close_ups", 1), ("close_up_epochs", 0), ("scenes", 1), ("epochs", 1), ("batch", 2)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if not 0 <= self.seed < 1 << 20 or self.scenes + self.close_ups > 1 << 20:
            raise OptionError(
                f"seed {self.seed} with {self.scenes} scenes and {self.close_ups} close-ups; expected a seed below 2**20 and at most 2**20 of them together"
            )
        if self.precision not in ("bfloat16", "float32"):
            raise OptionError(f"precision is {self.precision!r}; expected bfloat16 or float32")

    @property
    def seeds(self) -> range:
        """Seeds of the close-ups and then of the scenes: another stretch of :data:`TRAINING` for every training seed."""
        return TRAINING[self.seed << 20 :][: self.close_ups + self.scenes]


@dataclass(frozen=True, eq=False)
class LabelledScenes:
    """Model-sized pictures (n, 3, h, w) uint8 and which classes they hold (n, k)."""

    pictures: UInt8[Tensor, "n 3 h w"]
    present: Bool[Tensor, "n k"]


def draw_scenes(
    seeds: Sequence[int], configs: Sequence[SceneConfig], size: Size, *, say: Say = lambda line: None
) -> LabelledScenes:
    """Scenes of the ``configs`` in turn, letterboxed to ``size`` as the view does it, kept in memory as bytes."""
    preprocess = scene_preprocess(size)
    pictures = torch.empty(len(seeds), 3, *size, dtype=torch.uint8)
    present = torch.zeros(len(seeds), len(configs[0].classes), dtype=torch.bool)
    began = time.perf_counter()
    for i, seed in enumerate(seeds):
        scene = make_scene(seed, configs[i % len(configs)])
        tensor, _ = preprocess.one(scene.picture)
        pictures[i] = ((tensor * preprocess.std[0] + preprocess.mean[0]) * 255).round().to(torch.uint8)
        present[i, scene.labels] = True
        if (i + 1) % 1000 == 0 or i + 1 == len(seeds):
            say(
                f"drawn {i + 1}/{len(seeds)} scenes of {size[0]} x {size[1]}, {(i + 1) / (time.perf_counter() - began):.0f} a second"
            )
    return LabelledScenes(pictures, present)


def draw_lessons(
    config: SceneTraining, net: SceneNetConfig, *, say: Say = lambda line: None
) -> list[tuple[LabelledScenes, int]]:
    """What is learnt from, in order, and for how many epochs each: close-ups, then scenes."""
    half = (net.size[0] // 2, net.size[1] // 2)
    close_up = SceneConfig(size=half, classes=net.names, objects=(1, 1), radius=(0.26, 0.44), clutter=(0, 3))
    whole = [SceneConfig(size=size, classes=net.names) for size in config.sizes]
    return [
        (draw_scenes(config.seeds[: config.close_ups], [close_up], half, say=say), config.close_up_epochs),
        (draw_scenes(config.seeds[config.close_ups :], whole, net.size, say=say), config.epochs),
    ]


def augmented(pictures: UInt8[Tensor, "b 3 h w"], generator: torch.Generator) -> UInt8[Tensor, "b 3 h w"]:
    """Each picture mirrored or not, its colour channels in another order; the batch turned by a multiple of 90 degrees."""
    turn = int(torch.randint(4, (), generator=generator))
    pictures = (
        torch.rot90(pictures, turn, (2, 3)) if pictures.shape[2] == pictures.shape[3] or turn % 2 == 0 else pictures
    )
    mirror = torch.rand(len(pictures), generator=generator) < 0.5
    pictures = torch.where(mirror[:, None, None, None], pictures.flip(3), pictures)
    order = torch.rand(len(pictures), 3, generator=generator).argsort(1)
    return pictures.gather(1, order[:, :, None, None].expand_as(pictures))


def to_input(pictures: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Bytes -> what :func:`isotherm.zoo.scenes.view.scene_preprocess` makes of them."""
    return ((pictures.float() / 255 - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)


def train(
    config: SceneTraining,
    lessons: Sequence[tuple[LabelledScenes, int]],
    net: SceneNetConfig,
    *,
    checkpoint: Path | None = None,
    say: Say = lambda line: None,
) -> SceneNet:
    """Fit a network; with a ``checkpoint`` each epoch is kept there and a later call goes on from it.

    Args:
        lessons: scenes and for how many epochs, in order. checkpoint: a file that need not exist yet.

    Raises:
        WeightsError: the checkpoint is of another recipe, or cannot be read.
    """
    model = random_scene_net(net, config.seed).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.rate, weight_decay=config.decay)
    start = 0
    if checkpoint is not None and checkpoint.is_file():
        start = _resume(checkpoint, config, net, model, optimiser)
        say(f"going on from {checkpoint} after epoch {start}")
    plan = [data for data, epochs in lessons for _ in range(epochs)]
    total = sum(len(data.pictures) for data in plan)
    for epoch in range(start, len(plan)):
        before = sum(len(data.pictures) for data in plan[:epoch])
        began = time.perf_counter()
        generator = torch.Generator().manual_seed((config.seed << 16) + epoch)
        loss = _epoch(
            model,
            optimiser,
            plan[epoch],
            config,
            generator,
            lambda seen, at=before: config.rate * one_cycle((at + seen) / total),
        )
        say(f"epoch {epoch + 1}/{len(plan)}: loss {loss:.4f}, {time.perf_counter() - began:.0f} s")
        if checkpoint is not None:
            state = {
                "recipe": _recipe(config, net),
                "epoch": epoch + 1,
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
            }
            with atomic_write(checkpoint) as file:
                torch.save(state, file)
    return model.eval()


def _epoch(
    model: SceneNet,
    optimiser: torch.optim.Optimizer,
    data: LabelledScenes,
    config: SceneTraining,
    generator: torch.Generator,
    rate: Callable[[int], float],
) -> float:
    """One pass over ``data`` in a new order; ``rate`` maps pictures seen to a learning rate. Returns the mean loss."""
    seen, total = 0, 0.0
    for rows in torch.randperm(len(data.pictures), generator=generator).split(config.batch):
        for group in optimiser.param_groups:
            group["lr"] = rate(seen)
        x = to_input(augmented(data.pictures[rows], generator))
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = model(x)
        loss = F.binary_cross_entropy_with_logits(logits.float(), data.present[rows].float())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        seen += len(rows)
        total += float(loss.detach()) * len(rows)
    return total / seen


def one_cycle(progress: float) -> float:
    """Learning rate as a share of its peak: up in the first tenth, down along a cosine to 0."""
    return progress / 0.1 if progress < 0.1 else 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9))


def _recipe(config: SceneTraining, net: SceneNetConfig) -> str:
    return json.dumps([asdict(config), asdict(net)])


def _resume(
    checkpoint: Path, config: SceneTraining, net: SceneNetConfig, model: SceneNet, optimiser: torch.optim.Optimizer
) -> int:
    try:
        state = torch.load(checkpoint, weights_only=True)
        if state["recipe"] != _recipe(config, net):
            raise WeightsError(
                f"the checkpoint {checkpoint} is of another recipe ({state['recipe']}); delete it, or train with that one"
            )
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["epoch"])
    except (KeyError, TypeError, ValueError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(
            f"the checkpoint {checkpoint} cannot be read ({type(error).__name__}: {error}); delete it to start anew"
        ) from error


def evaluate(model: SceneNet, data: LabelledScenes, batch: int = 100) -> dict[str, Any]:
    """Figures of merit in float32: mean average precision, exact sets, likeliest class."""
    with torch.no_grad():
        logits = torch.cat([model(to_input(part)) for part in data.pictures.split(batch)])
    precision = average_precision(logits, data.present)
    likeliest = data.present[torch.arange(len(logits)), logits.argmax(1)]
    return {
        "scenes": len(logits),
        "mean_average_precision": round(float(precision.nanmean()), 5),
        "average_precision": {name: round(float(p), 5) for name, p in zip(model.config.names, precision, strict=True)},
        "all_objects_and_no_other": round(float(((logits > 0) == data.present).all(1).double().mean()), 5),
        "likeliest_class_is_there": round(float(likeliest.double().mean()), 5),
    }


def run(
    config: SceneTraining,
    out: Path,
    *,
    net: SceneNetConfig | None = None,
    held_out: int = 1000,
    say: Say = lambda line: print(line, flush=True),
) -> dict[str, Any]:
    """Draw, fit, measure, write ``out`` (safetensors) and the recipe with its results beside it (``.json``)."""
    net = net or SceneNetConfig(names=CLASSES)
    if out.suffix != ".safetensors":
        raise OptionError(f"--out is {out}; the name must end in .safetensors")
    if not out.parent.is_dir():
        raise OptionError(f"there is no folder {out.parent} for --out; create it first")
    reported = [*VALIDATION[:held_out], *HELD_OUT[:held_out]]
    if not set(config.seeds).isdisjoint(reported):
        raise AssertionError("scenes that figures are reported on are among those fitted on")
    clock = Stopwatch()
    lessons = draw_lessons(config, net, say=say)
    checkpoint = out.with_suffix(".checkpoint")
    fitted = train(config, lessons, net, checkpoint=checkpoint, say=say)
    seconds, processor_seconds = clock.read()
    save_scene_net(fitted, out)
    model = load_scene_net(out)  # what is measured is what ships, rounded to half precision
    square = [SceneConfig(size=net.size, classes=net.names)]
    results = {
        "validation": evaluate(model, draw_scenes(VALIDATION[:held_out], square, net.size)),
        "held_out": evaluate(model, draw_scenes(HELD_OUT[:held_out], square, net.size)),
    }
    parts = {
        "command": command_of("isotherm.zoo.scenes.training", config, OPTIONS, out),
        "training": asdict(config),
        "network": {**asdict(net), "parameters": sum(p.numel() for p in model.parameters())},
        "scenes": {
            "fitted_on": ends(config.seeds),
            "validation": ends(VALIDATION[:held_out]),
            "held_out": ends(HELD_OUT[:held_out]),
        },
        "results": results,
    }
    recipe = write_recipe(out, parts, seconds=seconds, processor_seconds=processor_seconds)
    checkpoint.unlink(missing_ok=True)
    say(f"{out}: held-out mean average precision {results['held_out']['mean_average_precision']:.4f}, {seconds:.0f} s")
    return recipe


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m isotherm.zoo.scenes.training", description="Train the classifier of generated scenes."
    )
    defaults = SceneTraining()
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument(
        "--out", type=Path, required=True, help="weights to write, NAME.safetensors; the recipe goes to NAME.json"
    )
    for name in ("close_ups", "close_up_epochs", "scenes", "epochs", "batch"):
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name), help="default: %(default)s"
        )
    parser.add_argument("--precision", choices=["bfloat16", "float32"], default=defaults.precision)
    parser.add_argument(
        "--threads", type=int, default=min(2, os.cpu_count() or 1), help="results are the same for the same number"
    )
    given = parser.parse_args(arguments)
    if given.threads < 1:
        parser.error(f"--threads is {given.threads}; expected at least 1")
    torch.set_num_threads(given.threads)
    try:
        config = SceneTraining(**{name: getattr(given, name) for name in OPTIONS})
        run(config, given.out)
    except IsothermError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, "\ninterrupted; the same command goes on from the last whole epoch\n")


if __name__ == "__main__":
    main()
