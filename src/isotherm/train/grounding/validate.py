"""How good a grounding model is on instructions that it has not seen, and how sure it may be: temperature, size of its
ellipses, and when to answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm import decode
from isotherm.data.grounding.augment import GroundingAugmentation
from isotherm.data.grounding.cache import CachedGrounding
from isotherm.frame import Frame
from isotherm.grounding.answer import Answers, Calibration, check_logits, read_answers
from isotherm.grounding.confidence import fit_logistic
from isotherm.grounding.model import GroundingModel
from isotherm.points import Points, State
from isotherm.progress import Progress, Say, silent
from isotherm.train.grounding.build import TrainedGrounding
from isotherm.train.grounding.task import AugmentedData, as_arrays

LOGGED = ("err_px", "hit", "nll", "entropy", "answered", "answered_wrong")
"""Figures that are logged in a run; the first judges it, and less is better."""
MOST_RISK = 0.1
"""Share of wrong answers among those given that the rule of abstention promises, where the data allow it."""


@dataclass(frozen=True, eq=False)
class GroundingMaps:
    """The maps of a set whose places are known.

    Args:
        logits: (n, H, W).
        frame: (n,) of them.
        points: (n, m, 2) in source pixels, NaN where there are fewer.
        record: (n) the number of the instruction that each is of.
        place: (n, 2) the numbers of the view and of the step that each is of; the first of both unless given.
    """

    logits: Float[Tensor, "n H W"]
    frame: Frame
    points: Float[Tensor, "n m 2"]
    record: Int[Tensor, " n"]
    place: Int[Tensor, "k 2"] = field(default_factory=lambda: torch.zeros(0, 2, dtype=torch.long))

    def __post_init__(self) -> None:
        if not len(self.place):
            object.__setattr__(self, "place", torch.zeros(len(self.record), 2, dtype=torch.long))

    def view(self, i: int) -> int:
        """The number of the picture, among those of its instruction, that a map is of."""
        return int(self.place[i, 0])


@dataclass(frozen=True, eq=False)
class JudgedGrounding:
    """What a model said of a set.

    Args:
        answers: of every map.
        record: (n) the number of its instruction.
        place: (n, 2) the numbers of its view and its step.
        error_px: (n) from the first place to the nearest true one, in source pixels.
        error_cells: (n) the same in cells, the larger of the two axes.
        hit: (n) within the distance that counts as right.
        nll: (n) negative log-probability of the true place's cell, in nats; of several places, of their sum.
    """

    answers: Answers
    record: Int[Tensor, " n"]
    place: Int[Tensor, "n 2"]
    error_px: Float[Tensor, " n"]
    error_cells: Float[Tensor, " n"]
    hit: Bool[Tensor, " n"]
    nll: Float[Tensor, " n"]

    def which(self, i: int) -> tuple[int, int]:
        """(view, step) of a map."""
        view, step = self.place[i].tolist()
        return view, step

    def figures(self) -> dict[str, float]:
        """Those of :data:`LOGGED`: mean error, share of hits, mean negative log-probability and entropy in nats, share
        of answered instructions, and share of wrong ones among these.
        """
        answered = self.answers.answers
        wrong = (~self.hit & answered).sum() / answered.sum().clamp(min=1)
        return {
            "err_px": float(self.error_px.mean()),
            "hit": float(self.hit.float().mean()),
            "nll": float(self.nll.mean()),
            "entropy": float(self.answers.entropy.mean()),
            "answered": float(answered.float().mean()),
            "answered_wrong": float(wrong),
        }

    def to_json(self) -> dict[str, Any]:
        """Figures as JSON can hold them."""
        return {"maps": len(self.hit), **self.figures(), "median_err_px": float(self.error_px.median())}


@torch.no_grad()
def maps_of(
    model: GroundingModel, data: CachedGrounding, trained: TrainedGrounding, *, batch: int = 8, say: Say = silent
) -> GroundingMaps:
    """The maps of a cached set, each picture shown whole.

    Args:
        model: in evaluation mode.
        data: the set.
        trained: whose side and outputs are taken.
        batch: prompts at a time.
        say: takes the progress after every batch; what it raises ends it.

    Raises:
        NonFiniteError: a map, whose instruction is named, holds NaN or infinity.
    """
    shown = AugmentedData(data, GroundingAugmentation(), side=trained.side)
    logits, frames, points, record, which = [], [], [], [], []
    for start in range(0, len(data), batch):
        index = torch.arange(start, min(start + batch, len(data)))
        some = shown.batch(index, torch.zeros_like(index), seed=0)
        prompts = model.batch(as_arrays(some.pictures), some.texts)
        maps = trained.outputs.heatmaps(model(prompts).float().cpu())
        frame = model.output_frame(prompts, some.frame)
        b, v, s = some.truth.known.nonzero().unbind(-1)
        for i, values in zip(b.tolist(), maps[b, v, s], strict=True):
            instruction = data.records[int(index[i])]
            check_logits(values, instruction.origin or instruction.name)
        logits.append(maps[b, v, s])
        frames.append(Frame(frame.to_source[b, v], frame.size, frame.source_size[b, v]))
        place = some.truth.points[b, v, s]
        points.append(torch.where((some.truth.state[b, v, s] == int(State.LABELLED))[..., None], place, torch.nan))
        record.append(index[b])
        which.append(torch.stack([v, s], -1))
        say(Progress(step=int(index[-1]) + 1, total=len(data), text="", stage="judging"))
    return GroundingMaps(torch.cat(logits), Frame.cat(frames), torch.cat(points), torch.cat(record), torch.cat(which))


def judge_maps(maps: GroundingMaps, calibration: Calibration) -> JudgedGrounding:
    """Compare what maps say with the truth.

    Args:
        maps: of a set.
        calibration: how the maps are read, and what counts as right.
    """
    answers = read_answers(maps.logits, maps.frame, calibration)
    first = answers.peaks.xy[:, 0]
    apart = (maps.points - first[:, None]).norm(dim=-1).nan_to_num(nan=torch.inf)
    near = apart.argmin(-1)
    row = torch.arange(len(first))
    cells = Points(maps.points).to_cells(maps.frame).xy
    cell = Points(first[:, None]).to_cells(maps.frame).xy[:, 0]
    error_cells = (cells[row, near] - cell).abs().amax(-1)
    h, w = maps.frame.size
    log = (maps.logits / calibration.temperature).flatten(-2).log_softmax(-1).view_as(maps.logits)
    there = torch.isfinite(cells).all(-1)
    x, y = (cells.nan_to_num().floor().long()[..., i].clamp(0, most - 1) for i, most in ((0, w), (1, h)))
    each = torch.where(there, log[row[:, None], y, x], -torch.inf)
    return JudgedGrounding(
        answers,
        maps.record,
        maps.place,
        apart[row, near],
        error_cells,
        error_cells <= calibration.within_cells,
        -each.logsumexp(-1),
    )


def fit_calibration(
    maps: GroundingMaps, *, sigma_cells: float, within_cells: float = 2.0, most_risk: float = MOST_RISK
) -> Calibration:
    """A temperature, a size of ellipses, the chance to be right and a rule of when to answer, fitted on a set held out
    from training.

    Args:
        maps: of that set.
        sigma_cells: standard deviation of the training targets in cells.
        within_cells: how far from the place, along either axis, an answer may be to count as right.
        most_risk: share of wrong answers among those given that the rule shall hold.
    """
    # the target of several places is no single Gaussian, which is what a temperature is fitted to
    one = torch.isfinite(maps.points).all(-1).sum(-1) == 1
    temperature = 1.0
    if bool(one.any()):
        temperature = decode.fit_temperature(
            maps.logits[one][:, None], Points(_first_known(maps.points[one])), maps.frame[one], sigma_cells=sigma_cells
        )
    warm = Calibration(temperature=temperature, within_cells=within_cells)
    judged = judge_maps(maps, warm)
    nearest = (maps.points - judged.answers.peaks.xy[:, :1]).norm(dim=-1).nan_to_num(nan=torch.inf).argmin(-1)
    true = Points(maps.points[torch.arange(len(nearest)), nearest][:, None])
    peaks = judged.answers.peaks
    covariance = peaks.covariance
    assert covariance is not None
    # of answers that are right: a wrong one is another block, and no ellipse would be wide enough
    hit = judged.hit
    scale = None
    if int(hit.sum()) >= 2:
        scale = decode.fit_covariance_scale(Points(peaks.xy[hit, :1], covariance=covariance[hit, :1]), true[hit])
    curve = fit_logistic(judged.answers.confidence, judged.hit)
    chance = judged.answers.confidence if curve is None else curve.chance(judged.answers.confidence)
    rule = decode.fit_abstention(chance, judged.hit, most_risk=most_risk)
    return replace(warm, covariance_scale=scale, confidence=curve, abstention=rule)


def _first_known(points: Float[Tensor, "n m 2"]) -> Float[Tensor, "n 1 2"]:
    known = torch.isfinite(points).all(-1).to(torch.uint8)
    return points[torch.arange(len(points)), known.argmax(-1)][:, None]
