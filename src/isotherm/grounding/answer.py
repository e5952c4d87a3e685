"""Maps of an instruction -> what is answered: the places that are meant, each with how sure it is, or that it is not
known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm import decode, heads
from isotherm.cam.origin import describe
from isotherm.decode import Abstention
from isotherm.errors import NonFiniteError, OptionError
from isotherm.frame import Frame
from isotherm.grounding.confidence import Logistic
from isotherm.heatmap import Heatmap
from isotherm.points import Points


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How sure maps may be taken to be, fitted on data held out from training; as it is, nothing was fitted.

    Args:
        temperature: that logits are divided by.
        covariance_scale: that covariances are multiplied by, or None.
        within_cells: how far from the place, along either axis, an answer may be to count as right.
        confidence: from the map's share so near to its first place to the chance that this is right; None: the share
            itself, which is too small by as much as the targets were wide.
        abstention: when to answer; None: always.
    """

    temperature: float = 1.0
    covariance_scale: float | None = None
    within_cells: float = 2.0
    confidence: Logistic | None = None
    abstention: Abstention | None = None

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf or not 0 < self.within_cells < math.inf:
            raise OptionError(
                f"temperature is {self.temperature} and within_cells {self.within_cells}; expected finite numbers above 0"
            )


UNFITTED = Calibration()


@dataclass(frozen=True, eq=False)
class Answers:
    """What n maps say.

    Args:
        peaks: (n, most) places in source pixels, the likeliest first, with covariances; scores are the shares of the
            map's probability that are nearest to each; ABSENT where there are fewer.
        entropy: (n) of the maps, in nats.
        confidence: (n) the chance that the first place is right, from the map's probability within so many cells of it
            along both axes.
        answers: (n) where the rule of abstention answers; true throughout without one.
    """

    peaks: Points
    entropy: Float[Tensor, " n"]
    confidence: Float[Tensor, " n"]
    answers: Bool[Tensor, " n"]


def read_answers(
    logits: Float[Tensor, "n H W"], frame: Frame, calibration: Calibration = UNFITTED, *, most: int = 5
) -> Answers:
    """Decode maps by their modes, so that two candidates are never read as the place between them.

    Args:
        logits: (n, H, W).
        frame: (n,) of the maps.
        calibration: how sure they may be taken to be.
        most: places of every map.

    Example:
        >>> logits = torch.full((1, 8, 8), -20.0)
        >>> logits[0, 2, 5] = 0.0
        >>> found = read_answers(logits, Frame.stack([Frame.identity((8, 8))]))
        >>> found.peaks.xy[0, 0].round(decimals=3).tolist(), round(float(found.confidence), 3)
        ([5.5, 2.5], 1.0)
    """
    maps = logits.detach().float()[:, None] / calibration.temperature
    peaks = decode.modes(maps, frame, most=most)
    if calibration.covariance_scale is not None:
        peaks = decode.scale_covariance(peaks, calibration.covariance_scale)
    confidence = mass_within(maps[:, 0], peaks.to_cells(frame).xy[:, 0], calibration.within_cells)
    if calibration.confidence is not None:
        confidence = calibration.confidence.chance(confidence)
    rule = calibration.abstention
    answers = torch.ones_like(confidence, dtype=torch.bool) if rule is None else rule.answers(confidence)
    return Answers(peaks, decode.entropy(maps)[:, 0], confidence, answers)


def mass_within(
    logits: Float[Tensor, "n H W"], cells: Float[Tensor, "n 2"], within_cells: float
) -> Float[Tensor, " n"]:
    """The probability of the cells whose centres lie so near to a place along both axes.

    Args:
        logits: (n, H, W).
        cells: (n, 2) (x, y) of the place of each map.
        within_cells: largest distance along an axis.
    """
    probability = logits.flatten(-2).softmax(-1).view_as(logits)
    h, w = logits.shape[-2:]
    near_x = ((torch.arange(w, device=logits.device) + 0.5 - cells[:, :1]).abs() <= within_cells).to(logits)
    near_y = ((torch.arange(h, device=logits.device) + 0.5 - cells[:, 1:]).abs() <= within_cells).to(logits)
    return ((near_y[:, None] @ probability)[:, 0] * near_x).sum(-1)


def grasp_at(
    maps: Float[Tensor, "n 3 H W"], place: Float[Tensor, "n 2"], frame: Frame
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """(angle in radians from the x axis towards the y axis, width in source pixels) of the grasp at a place.

    Args:
        maps: cosine and sine of twice the angle, and the width in shares of the map's width.
        place: (n, 2) in source pixels.
        frame: (n,) of the maps, upright or turned: the angle is that in the source picture.
    """
    read = heads.sample_features(maps.detach(), place[:, None].to(maps), frame)[:, 0].double()
    turn = torch.atan2(read[:, 1], read[:, 0]) / 2
    ahead = torch.stack([turn.cos(), turn.sin()], -1)
    # a step along the grasp in cells is this step in source pixels
    step = (frame.to_source[:, :, :2].to(ahead) @ ahead[..., None])[..., 0]
    angle = torch.atan2(step[:, 1], step[:, 0]) % math.pi
    return angle, read[:, 2] * maps.shape[-1] * step.norm(dim=-1)


@dataclass(frozen=True, eq=False)
class GroundingAnswer:
    """What one picture and instruction give at one step.

    Args:
        text: the instruction.
        heatmap: logits, divided by the temperature.
        peaks: (m) places in source pixels, the likeliest first; scores are their shares of the probability.
        entropy: of the map, in nats.
        confidence: the chance that the first place is right, where the model was calibrated.
        answered: False where the model does not know well enough.
        step: which place of a sequence, from 0.
        view: the number of the picture among those of its prompt.
        grasp: (angle in radians, width in source pixels) at the first place, or None.
    """

    text: str
    heatmap: Heatmap
    peaks: Points
    entropy: float
    confidence: float
    answered: bool
    step: int = 0
    view: int = 0
    grasp: tuple[float, float] | None = None

    def check(self, where: str = "") -> None:
        """Refuse a map that says nothing.

        Raises:
            NonFiniteError: it holds NaN or infinity; the message begins with ``where``.
        """
        check_logits(self.heatmap.values, where)


def check_logits(logits: Float[Tensor, "*b H W"], where: str = "") -> None:
    """Refuse maps of which nothing can be read.

    Args:
        logits: as a model gives them.
        where: what the message begins with, such as a picture's name.

    Raises:
        NonFiniteError: one holds NaN or infinity.
    """
    if not bool(torch.isfinite(logits).all()):
        raise NonFiniteError(
            f"{where}: " * bool(where)
            + f"the model's map holds {describe(logits)}, so that no place can be read from it",
            advice="its weights may be damaged, its training may have diverged (see metrics.csv of its run), or half precision may be too coarse for it (then train with model.dtype=float32)",
        )
