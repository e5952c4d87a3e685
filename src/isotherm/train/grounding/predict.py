"""Places of instructions in pictures, by a trained grounding model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from isotherm import heads
from isotherm.data.keypoint_cache import picture_at
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.grounding.answer import GroundingAnswer, grasp_at, read_answers
from isotherm.heatmap import Heatmap
from isotherm.points import Points
from isotherm.train.grounding.build import TrainedGrounding

PictureArray = UInt8[np.ndarray, "_ _ 3"]


def letterboxed(pictures: Sequence[PictureArray], side: int) -> tuple[list[UInt8[np.ndarray, "_ _ 3"]], Frame]:
    """Pictures in squares of a side, and the frames (v,) of these."""
    frames = [Frame.letterbox((p.shape[0], p.shape[1]), (side, side)) for p in pictures]
    return [picture_at(p, f) for p, f in zip(pictures, frames, strict=True)], Frame.stack(frames)


@torch.no_grad()
def output_maps(
    trained: TrainedGrounding, pictures: Sequence[Sequence[PictureArray]], texts: Sequence[str]
) -> tuple[Float[Tensor, "b v k H W"], Frame]:
    """The outputs of the head for some prompts, on the CPU, and the frames (b, v) of their maps.

    Args:
        trained: the model.
        pictures: of every prompt, of any sizes, as many as the model has views.
        texts: one for every prompt.

    Raises:
        OptionError: another number of pictures.
    """
    wrong = next((len(several) for several in pictures if len(several) != trained.views), None)
    if wrong is not None:
        raise OptionError(
            f"there are {wrong} pictures with an instruction; this model was trained on {trained.views} in one prompt"
            + (f" ({', '.join(trained.view_names)})" if trained.view_names else "")
        )
    boxed = [letterboxed(several, trained.side) for several in pictures]
    frame = _stacked([f for _, f in boxed])
    prompts = trained.model.batch([shown for shown, _ in boxed], texts)
    outputs = trained.model(prompts).float().cpu()
    return outputs, trained.model.output_frame(prompts, frame)


def predict_grounding(
    trained: TrainedGrounding,
    pictures: Sequence[Sequence[PictureArray]],
    texts: Sequence[str],
    *,
    most: int = 5,
    batch: int = 8,
) -> list[list[GroundingAnswer]]:
    """What instructions mean in their pictures.

    Args:
        trained: the model.
        pictures: of every prompt, of any sizes.
        texts: one for every prompt.
        most: places of every map.
        batch: prompts at a time.

    Returns:
        Of every prompt its answers, view after view, and within each step after step.

    Raises:
        OptionError: not as many texts as prompts, or another number of pictures than the model was trained on.
    """
    if len(pictures) != len(texts):
        raise OptionError(
            f"there are pictures for {len(pictures)} prompts and {len(texts)} texts; give as many of both"
        )
    answers = []
    for start in range(0, len(texts), batch):
        shown, some = pictures[start : start + batch], texts[start : start + batch]
        outputs, frame = output_maps(trained, shown, some)
        for i, text in enumerate(some):
            answers.append(
                [
                    answer
                    for j, picture in enumerate(shown[i])
                    for answer in _answers(trained, outputs[i, j], frame[i][j], text, picture, j, most)
                ]
            )
    return answers


def _answers(
    trained: TrainedGrounding, outputs: Tensor, frame: Frame, text: str, picture: PictureArray, view: int, most: int
) -> list[GroundingAnswer]:
    maps = trained.outputs.heatmaps(outputs)
    frames = frame.expanded(len(maps))
    read = read_answers(maps, frames, trained.calibration, most=most)
    grasps = None
    if trained.outputs.grasp:
        grasps = grasp_at(trained.outputs.grasps(outputs), read.peaks.xy[:, 0], frames)
    out = []
    for step, logits in enumerate(maps):
        label = text if len(maps) == 1 else f"{text} ({step + 1} of {len(maps)})"
        heatmap = Heatmap(logits / trained.calibration.temperature, frame, "logits", label=label, picture=picture)
        out.append(
            GroundingAnswer(
                text,
                heatmap,
                _present(read.peaks[step]),
                float(read.entropy[step]),
                float(read.confidence[step]),
                bool(read.answers[step]),
                step,
                view,
                None if grasps is None else (float(grasps[0][step]), float(grasps[1][step])),
            )
        )
    return out


def _present(peaks: Points) -> Points:
    """Without those that are none."""
    there = torch.isfinite(peaks.xy).all(-1)
    parts = {name: getattr(peaks, name) for name in ("covariance", "score", "state")}
    return Points(peaks.xy[there], **{name: None if p is None else p[there] for name, p in parts.items()})


def _stacked(frames: Sequence[Frame]) -> Frame:
    """Frames (v,) of b prompts -> (b, v)."""
    return Frame(
        torch.stack([f.to_source for f in frames]), frames[0].size, torch.stack([f.source_size for f in frames])
    )


@torch.no_grad()
def features_at(
    trained: TrainedGrounding, pictures: Sequence[PictureArray], text: str, places: Float[Tensor, "v 2"]
) -> Float[Tensor, "v c"]:
    """What the head reads at a place of every picture of one prompt, between the centres of its cells: the input of a
    head for rotations, a gripper or anything else that is needed there.

    Args:
        trained: the model.
        pictures: of the prompt.
        text: the instruction.
        places: (v, 2) in source pixels; NaN where a picture does not show it, as behind a camera, and then so are the
            features.
    """
    shown, frames = letterboxed(pictures, trained.side)
    prompts = trained.model.batch([shown], [text])
    grid = trained.model.features(prompts)[0].float().cpu()
    frame = trained.model.grid_frame(prompts, _stacked([frames]))[0]
    read = heads.sample_features(grid, places[:, None].float(), frame)[:, 0]
    return torch.where(torch.isfinite(places).all(-1)[:, None].cpu(), read, torch.nan)
