"""Training of the grounding model that ships: instructions about tables, and maps of what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.data.tabletop import KINDS, ORTHOGRAPHIC, PERSPECTIVE
from isotherm.data.tabletop.table import TRAINING
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.losses import gaussian_cross_entropy
from isotherm.train.loop import LoopConfig, Part, Task
from isotherm.train.parameters import ParameterGroup
from isotherm.train.schedule import Schedule
from isotherm.zoo.tiny_grounding.network import SIDE
from isotherm.zoo.tiny_grounding.tables import TableInstructions, as_pixels, table_prompts

HELD_OUT_BATCH = 250


@dataclass(frozen=True, kw_only=True)
class TinyGroundingTraining(LoopConfig):
    """The recipe; what is not here is in :class:`isotherm.train.loop.LoopConfig`.

    Args:
        tables: that are drawn.
        views: of each table, which a step takes one of for every instruction.
        kinds: how often an instruction is of each of :data:`isotherm.data.tabletop.KINDS`.
        opening: steps over which they go from the first kind alone to these shares: where all kinds come at once, a run
            may learn relations and stay at chance with picks.
        sigma: standard deviation of the targets in cells.
        jitter: deviation of the random change of brightness and contrast.
    """

    steps: int = 2000
    batch: int = 32
    rate: float = 3e-3
    decay: float = 0.05
    average: float | None = 0.995
    log_every: int = 100
    keep_every: int = 500
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=100))
    tables: int = 900
    views: tuple[str, ...] = (*ORTHOGRAPHIC, *PERSPECTIVE)
    kinds: tuple[float, ...] = (0.4, 0.35, 0.25)
    opening: int = 400
    sigma: float = 1.5
    jitter: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tables < 1 or len(self.kinds) != len(KINDS) or min(self.kinds) < 0 or sum(self.kinds) <= 0:
            raise OptionError(
                f"tables is {self.tables} and kinds {self.kinds}; expected at least 1, and a share for each of {', '.join(KINDS)}"
            )
        if not self.sigma > 0 or self.jitter < 0 or self.opening < 0:
            raise OptionError(
                f"sigma is {self.sigma}, jitter {self.jitter} and opening {self.opening}; expected above 0, and at least 0 of the others"
            )

    def kinds_at(self, step: int) -> Float[Tensor, " k"]:
        """The shares of kinds at a step."""
        shares = torch.tensor(self.kinds) / sum(self.kinds)
        done = min(1.0, step / self.opening) if self.opening else 1.0
        first = torch.zeros_like(shares)
        first[0] = 1 - done
        return first + done * shares

    @property
    def seeds(self) -> range:
        """Of the tables: no two seeds of training share one."""
        first = TRAINING.start + (self.seed << 20)
        return TRAINING[first : first + self.tables]


class TableTask(Task):
    """Cross-entropy of the maps against Gaussians at the places that are meant.

    Args:
        config: the recipe.
        model: what is trained: all of it that is not frozen.
        data: the tables.
        number: of words, see :func:`isotherm.zoo.tiny_grounding.tables.table_prompts`.
    """

    def __init__(
        self,
        config: TinyGroundingTraining,
        model: nn.Module,
        data: TableInstructions,
        *,
        number: dict[str, int] | None = None,
    ) -> None:
        self.config, self.model, self.data, self.number = config, model, data, number
        self.count = len(data) * len(data.views)
        self.by_kind = [(data.kind == k).nonzero()[:, 0] for k in range(len(KINDS))]

    def groups(self) -> list[ParameterGroup]:
        config, trained = self.config, [p for p in self.model.parameters() if p.requires_grad]
        return [
            ParameterGroup(rate=config.rate, decay=config.decay, parameters=[p for p in trained if p.ndim >= 2]),
            ParameterGroup(rate=config.rate, decay=0.0, parameters=[p for p in trained if p.ndim < 2]),
        ]

    def rows(self, step: int, config: LoopConfig) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
        """Numbers of pairs of an instruction and a view, drawn anew in every step, and the step's number."""
        generator = torch.Generator().manual_seed((config.seed << 24) + step)
        kinds = torch.multinomial(self.config.kinds_at(step), config.batch, True, generator=generator)
        chance = torch.rand(config.batch, generator=generator)
        which = [self.by_kind[k][int(c * len(self.by_kind[k]))] for k, c in zip(kinds.tolist(), chance, strict=True)]
        view = torch.randint(len(self.data.views), (config.batch,), generator=generator)
        return torch.stack(which) * len(self.data.views) + view, torch.full((config.batch,), step)

    def labelled(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        return len(index), len(index)

    def part(
        self,
        forward: nn.Module,
        index: Int[Tensor, " b"],
        epoch: Int[Tensor, " b"],
        *,
        done: float,
        device: torch.device,
    ) -> Part:
        which, view = index // len(self.data.views), index % len(self.data.views)
        pixels = jittered(as_pixels(self.data.shown(which, view)), index, epoch, self.config)
        prompts = table_prompts(
            pixels, [self.data.texts[i] for i in which.tolist()], number=self.number, text_first=_text_first(forward)
        )
        return self.judged(forward(prompts), self.data.xy[which, view])

    def judged(self, maps: Float[Tensor, "b 1 1 h w"], xy: Float[Tensor, "b 2"]) -> Part:
        """The loss of maps whose true places are known."""
        maps = maps[:, 0]
        frame = Frame.resize((SIDE, SIDE), (maps.shape[-2], maps.shape[-1]))
        return Part(gaussian_cross_entropy(maps, xy[:, None], frame, sigma_cells=self.config.sigma), maps)


def jittered(
    pixels: Float[Tensor, "b 3 h w"], index: Int[Tensor, " b"], epoch: Int[Tensor, " b"], config: TinyGroundingTraining
) -> Float[Tensor, "b 3 h w"]:
    """Pictures brighter or darker and of more or less contrast, as the seed and the step say."""
    generator = torch.Generator().manual_seed((config.seed << 24) + (1 << 50) + int(epoch[0]))
    contrast, brightness = config.jitter * torch.randn(2, len(pixels), 1, 1, 1, generator=generator)
    return pixels * (1 + contrast) + brightness


def _text_first(model: Any) -> bool:
    return bool(getattr(model, "text_first", False))


@torch.no_grad()
def predict_tables(
    model: nn.Module,
    data: TableInstructions,
    index: Int[Tensor, " m"],
    view: int = 0,
    *,
    number: dict[str, int] | None = None,
    outputs: Any = None,
) -> Float[Tensor, "m ..."]:
    """What a model puts out for instructions by number, in one of their views.

    Args:
        model: reads prompts.
        data: the tables.
        index: numbers of instructions.
        view: its number.
        number: of words.
        outputs: of the model's output, what is kept; the maps (m, h, w), unless given.
    """
    kept = []
    for part in index.split(HELD_OUT_BATCH):
        prompts = table_prompts(
            as_pixels(data.shown(part, view)),
            [data.texts[i] for i in part.tolist()],
            number=number,
            text_first=_text_first(model),
        )
        out = model(prompts)
        kept.append(out[:, 0, 0] if outputs is None else outputs(out))
    return torch.cat(kept)


def errors_px(maps: Float[Tensor, "m h w"], xy: Float[Tensor, "m 2"]) -> Float[Tensor, " m"]:
    """How far the largest cell of every map lies from the place that is meant, in pixels of the picture."""
    h, w = maps.shape[-2:]
    best = maps.flatten(1).argmax(1)
    centres = torch.stack([(best % w + 0.5) * (SIDE / w), (best // w + 0.5) * (SIDE / h)], 1)
    return (centres - xy).norm(dim=1)


def shares(errors: Float[Tensor, " m"], kind: Int[Tensor, " m"], *, within: float = 2.0) -> dict[str, float]:
    """Of every kind of instruction the share of hits and the mean error in pixels.

    Args:
        errors: in pixels.
        kind: numbers of kinds.
        within: pixels, the largest error of a hit.
    """
    figures: dict[str, float] = {}
    for k, name in enumerate(KINDS):
        these = errors[kind == k]
        if len(these):
            figures |= {name: float((these <= within).float().mean()), f"{name}_px": float(these.mean())}
    return figures
