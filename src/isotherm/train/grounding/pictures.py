"""Pictures with what was answered: the map over the picture, the places with their ellipses, and the truth as rings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from isotherm.data.grounding.cache import CachedGrounding
from isotherm.data.grounding.records import GroundingRecord
from isotherm.data.pictures import read_picture
from isotherm.decode.uncertainty import cell_probability
from isotherm.draw import draw_points, overlay, save_picture
from isotherm.draw.text import clean
from isotherm.frame import Frame
from isotherm.grounding.answer import GroundingAnswer
from isotherm.heatmap import Heatmap
from isotherm.points import Points
from isotherm.train.grounding.build import TrainedGrounding
from isotherm.train.grounding.predict import predict_grounding
from isotherm.train.grounding.validate import JudgedGrounding

LEAST_SIDE = 512
"""Smaller pictures are made larger until their longer side has about so many pixels."""
LEAST_SHARE = 0.1
"""Of the probability: places with less are not drawn."""
MOST_LETTERS = 160
"""Of an instruction in a title or a line; the whole one is in the record."""


def draw_answer(
    answer: GroundingAnswer,
    *,
    level: float = 0.95,
    truth: Float[Tensor, "m 2"] | None = None,
    title: str = "",
    footer: str | None = None,
) -> Image.Image:
    """The picture of an answer with its map, its likeliest places and, of a grasp, the line between the fingers.

    Args:
        answer: whose heatmap has its picture.
        level: probability of the ellipses.
        truth: (m, 2) true places in source pixels.
        title, footer: written above and below.
    """
    picture = answer.heatmap.picture
    assert picture is not None
    zoom = max(1, math.ceil(LEAST_SIDE / max(picture.shape[:2])))
    shown = np.asarray(
        Image.fromarray(picture).resize((picture.shape[1] * zoom, picture.shape[0] * zoom), Image.Resampling.LANCZOS)
    )
    frame = answer.heatmap.frame
    larger = Frame(frame.to_source * zoom, frame.size, frame.source_size * zoom)
    probability = Heatmap(cell_probability(answer.heatmap.values[None])[0], larger, "probability", label=answer.text)
    laid = overlay(probability, shown)
    score = answer.peaks.score
    assert score is not None
    many = max(1, int((score >= LEAST_SHARE).sum()))
    xy, covariance = answer.peaks.xy[:many] * zoom, answer.peaks.covariance
    covariance = None if covariance is None else covariance[:many] * zoom**2
    names = [f"{float(s):.0%}" for s in score[:many]]
    lines: list[tuple[int, int]] = []
    if answer.grasp is not None:
        angle, width = answer.grasp
        reach = torch.tensor([math.cos(angle), math.sin(angle)]).to(xy) * width * zoom / 2
        xy = torch.cat([xy, (xy[0] - reach)[None], (xy[0] + reach)[None]])
        if covariance is not None:
            covariance = torch.cat([covariance, torch.full((2, 2, 2), 1e-6).to(covariance)])
        lines, names = [(many, many + 1)], [*names, "", ""]
    rings = None
    if truth is not None:
        places = torch.full_like(xy, torch.nan)
        count = min(len(truth), len(xy))
        places[:count] = truth[:count].to(xy) * zoom
        rings = Points(places)
    return draw_points(
        laid,
        Points(xy, covariance=covariance),
        names=names,
        lines=lines,
        truth=rings,
        level=level,
        least_side=1,
        title=title or describe(answer),
        footer=footer,
    )


def describe(answer: GroundingAnswer) -> str:
    """A line for a person: the instruction, shortened where it is long, and where it is or that the model is unsure."""
    label = clean(answer.heatmap.label or "", MOST_LETTERS)
    if not answer.answered:
        return f"{label}: not sure enough to answer (confidence {answer.confidence:.0%})"
    x, y = answer.peaks.xy[0].tolist()
    return f"{label}: ({x:.0f}, {y:.0f}), confidence {answer.confidence:.0%}"


def write_extremes(
    judged: JudgedGrounding, data: CachedGrounding, trained: TrainedGrounding, dpath: Path, *, count: int, command: str
) -> list[Path]:
    """The best and the worst answered instructions as files, named by rank; earlier ones are replaced.

    Args:
        judged: what the model said of the set.
        data: the set.
        trained: the model.
        dpath: a folder for the files.
        count: of the best, and of the worst.
        command: written into the files.
    """
    dpath.mkdir(parents=True, exist_ok=True)
    for old in [*dpath.glob("best-*.jpg"), *dpath.glob("worst-*.jpg")]:
        old.unlink()
    order = judged.error_cells.argsort(stable=True)
    count = min(count, len(order))
    chosen = [("best", k, int(i)) for k, i in enumerate(order[:count])]
    chosen += [("worst", k, int(i)) for k, i in enumerate(order.flip(0)[:count])]
    rows = [int(judged.record[i]) for _, _, i in chosen]
    pictures = [[picture_of(data.records[row], v) for v in range(data.which.shape[1])] for row in rows]
    answers = predict_grounding(trained, pictures, [data.texts[row] for row in rows])
    written = []
    for (what, k, i), row, several in zip(chosen, rows, answers, strict=True):
        answer = next(a for a in several if (a.view, a.step) == judged.which(i))
        truth = data.truth.points[row, answer.view, answer.step]
        title = f"{describe(answer)}; off by {float(judged.error_px[i]):.1f} px"
        drawn = draw_answer(answer, truth=truth[torch.isfinite(truth).all(-1)], title=title)
        written.append(save_picture(drawn, dpath / f"{what}-{k + 1}.jpg", command=command))
    return written


def picture_of(record: GroundingRecord, view: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """The picture of a view of an instruction; raises InputError where it cannot be read."""
    picture = record.pictures[view]
    return picture if isinstance(picture, np.ndarray) else read_picture(picture).array
