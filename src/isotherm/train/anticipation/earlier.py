"""How well an anticipation model does the earlier it has to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from isotherm.errors import OptionError
from isotherm.gaze.model import AnticipationModel
from isotherm.metrics.intervals import Interval, bootstrap_answers
from isotherm.progress import Say, silent
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.anticipation.validate import Answers, answers_of
from isotherm.train.anticipation.videos import VideoClips

TIMES_S = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
"""Seconds between a clip's end and its action."""


@dataclass(frozen=True, eq=False)
class Curve:
    """What models reach at several times before the actions, on the same clips.

    Args:
        times_s: seconds between a clip's end and its action.
        answers: of every time, of every model.
        accuracy: of the action at every time, with its interval over clips and models.
    """

    times_s: tuple[float, ...]
    answers: tuple[tuple[Answers, ...], ...]
    accuracy: tuple[Interval, ...]

    def recall(self, *, k: int = 5, head: str = "action") -> list[float]:
        """Mean class recall at every time, mean over the models.

        Args:
            k: of the recall.
            head: which.
        """
        name = f"{head}_recall_{k}"
        return [sum(a.figures(k=k)[name] for a in models) / len(models) for models in self.answers]

    def rows(self, *, k: int = 5) -> list[str]:
        """A line for each time.

        Args:
            k: of the recall.
        """
        return [
            f"{time_s:g} s before: action accuracy {a.per_cent()}, recall at {k} {100 * recall:.1f}"
            for time_s, a, recall in zip(self.times_s, self.accuracy, self.recall(k=k), strict=True)
        ]


def anticipation_curve(
    models: Sequence[AnticipationModel],
    data: VideoClips,
    times_s: Sequence[float] = TIMES_S,
    *,
    gaze: GazeUse | None = None,
    batch: int = 16,
    device: torch.device | None = None,
    say: Say = silent,
) -> Curve:
    """Ask models the same actions from clips that end earlier and earlier.

    Only actions that have a clip at all of these times are asked, so that every point is of the same actions.

    Args:
        models: in evaluation mode, such as one per seed.
        data: of videos, with the protocol 'start'.
        times_s: seconds between a clip's end and its action.
        gaze: what the models are told; None: what there is.
        batch: clips at once.
        device: where the models are; None: the CPU.
        say: is told how far it is.

    Raises:
        OptionError: no times, no models, clips of the protocol 'legacy', or no action with a clip at all times.
    """
    if not times_s or not models or min(times_s) < 0:
        raise OptionError(
            f"the times are {list(times_s)} for {len(models)} models; expected at least one of each, in seconds"
        )
    if data.plan.protocol != "start":
        raise OptionError(
            "clips of the protocol 'legacy' end where the action has begun, so nothing is anticipated; give protocol='start'"
        )
    latest = max(times_s)
    same = data.ahead(latest).rows
    if not len(same):
        raise OptionError(
            f"none of {len(data)} actions begins {latest:g} s after its video; leave out the longest times"
        )
    points = []
    for time_s in times_s:
        say(f"clips that end {time_s:g} s before their actions")
        clips = data.ahead(time_s, rows=same)
        points.append(tuple(answers_of(m, clips, gaze or GazeUse(), batch=batch, device=device) for m in models))
    accuracy = [
        bootstrap_answers(torch.stack([a.right().double() for a in answers], dim=1), draws=500) for answers in points
    ]
    return Curve(tuple(times_s), tuple(points), tuple(accuracy))
