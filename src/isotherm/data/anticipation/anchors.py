"""Which moments of a video a model may see before an action, planned in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotherm.data.anticipation.actions import Action, ActionTable
from isotherm.data.keypoint_augment import mixed_seed
from isotherm.errors import InputError, OptionError

Protocol = Literal["start", "legacy"]
Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class PlannedClip:
    """The moments of a clip.

    Args:
        time_s: (t,) of the frames, on the video's clock; they may repeat where the video does not reach back so far.
        end_s: the clip's end; nothing later may be seen, and times of the model count back from it.
        anticipation_s: from the clip's end to the action's start; with the protocol 'legacy' to whatever the anchor is.
        padded: of the frames, how many lie before the video's first one, which is shown in their place.
        inside: (t,) whether a frame shows the action itself.
    """

    time_s: Float64[np.ndarray, " t"]
    end_s: float
    anticipation_s: float
    padded: int
    inside: Bool[np.ndarray, " t"]

    @property
    def before_s(self) -> Float64[np.ndarray, " t"]:
        """(t,) of the frames, counted from the clip's end: at most 0."""
        return np.minimum(self.time_s - self.end_s, 0.0)


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """How clips lie before actions.

    With the protocol 'start' a clip ends ``anticipation_s`` before the action begins, and its frames lie at
    end - frames / rate_hz, ..., end - 1 / rate_hz, whatever the video's own rate. An action that begins so early that
    nothing lies before the clip's end has no clip (:meth:`usable`). With 'legacy' it is what the published
    evaluation of V-JEPA 2 makes: anchored at a point between the action's end (0, its default) and its start (1), in
    whole frames of the video, int(rate of the video / rate_hz) apart. Such a clip shows the action that it is to
    predict wherever that lasts longer than the anticipation time; :func:`isotherm.data.anticipation.leak.leak` says
    how often.

    Args:
        frames: of a clip.
        rate_hz: of its frames.
        anticipation_s: (least, most) seconds between the clip's end and the action's start, drawn evenly for every
            action and epoch; None: up to when the table itself says that may be seen.
        protocol: see above.
        legacy_point: (least, most) of the anchor, drawn evenly; of 'legacy' alone.
        seed: of what is drawn.

    Raises:
        OptionError: a value out of range.

    Source: for 'legacy' facebookresearch/vjepa2, evals/action_anticipation_frozen/epickitchens.py, and its issue 173.

    Example:
        >>> plan = ClipPlan(frames=4, rate_hz=2.0).planned(Action("a", 10.0, 13.0, 0, 0), 0)
        >>> plan.end_s, plan.time_s.tolist(), bool(plan.inside.any())
        (9.0, [7.0, 7.5, 8.0, 8.5], False)
    """

    frames: int = 32
    rate_hz: float = 8.0
    anticipation_s: Range | None = (1.0, 1.0)
    protocol: Protocol = "start"
    legacy_point: Range = (0.0, 0.0)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or not 0 < self.rate_hz < math.inf:
            raise OptionError(
                f"frames is {self.frames} and rate_hz {self.rate_hz}; expected at least 1, and a number above 0"
            )
        if self.protocol not in get_args(Protocol):
            raise OptionError(f"protocol is {self.protocol!r}; expected one of {', '.join(get_args(Protocol))}")
        if self.anticipation_s is not None and not 0 <= self.anticipation_s[0] <= self.anticipation_s[1] < math.inf:
            raise OptionError(
                f"anticipation_s is {self.anticipation_s}; expected (least, most) seconds, at least 0 and in order"
            )
        if self.protocol == "legacy" and self.anticipation_s is None:
            raise OptionError("the protocol 'legacy' needs anticipation_s, as (least, most) seconds")
        if not 0 <= self.legacy_point[0] <= self.legacy_point[1] <= 1:
            raise OptionError(
                f"legacy_point is {self.legacy_point}; expected (least, most) from 0, the action's end, to 1, its start"
            )
        if self.protocol == "start" and self.legacy_point != (0.0, 0.0):
            raise OptionError("legacy_point is of the protocol 'legacy' alone; leave it out, or give protocol='legacy'")

    def planned(
        self,
        action: Action,
        index: int,
        *,
        epoch: int = 0,
        video_rate_hz: float | None = None,
        frame_times_s: Float64[np.ndarray, " n"] | None = None,
    ) -> PlannedClip:
        """The clip of an action.

        Args:
            action: what is to be predicted.
            index: its number in the table, which its draws depend on.
            epoch: likewise.
            video_rate_hz: frames per second of the video; of 'legacy' alone, which needs it.
            frame_times_s: when each frame of the video is shown, for 'legacy' in videos of variable frame rate, as
                :func:`isotherm.data.gaze.clock.read_clock` reads them; None: evenly.

        Raises:
            InputError: the table does not say up to when may be seen, or nothing lies before that.
            OptionError: 'legacy' without the video's frame rate, or with one below the clip's.
        """
        ahead, point = self._drawn(action, index, epoch)
        if self.protocol == "legacy":
            return self._legacy(action, ahead, point, video_rate_hz, frame_times_s)
        end_s = action.start_s - ahead
        if end_s <= 0:
            raise InputError(
                f"{action.where or action.name}: the action begins at {action.start_s:g} s, so nothing of the video lies {ahead:g} s before it; "
                "leave it out (ClipPlan.usable says which have a clip)"
            )
        # counted back in whole steps, so that no rounding adds up
        moments = end_s - np.arange(self.frames, 0, -1) / self.rate_hz
        time_s = moments.clip(0.0)
        return PlannedClip(time_s, end_s, action.start_s - end_s, int((moments < 0).sum()), _inside(time_s, action))

    def span(self, action: Action, *, video_rate_hz: float | None = None) -> Range:
        """(first moment, latest end) of all clips that may be drawn for an action.

        Args:
            action: what is to be predicted.
            video_rate_hz: as of :meth:`planned`.

        Raises:
            As :meth:`planned`.

        Example:
            >>> ClipPlan(frames=4, rate_hz=2.0, anticipation_s=(0.5, 1.5)).span(Action("a", 10.0, 13.0, 0, 0))
            (6.5, 9.5)
        """
        aheads = [None] if self.anticipation_s is None else [(t, t) for t in self.anticipation_s]
        points = [(t, t) for t in self.legacy_point]
        fixed = [replace(self, anticipation_s=ahead, legacy_point=point) for ahead in aheads for point in points]
        clips = [plan.planned(action, 0, video_rate_hz=video_rate_hz) for plan in fixed]
        return min(float(clip.time_s[0]) for clip in clips), max(clip.end_s for clip in clips)

    def usable(self, table: ActionTable) -> Int64[np.ndarray, " m"]:
        """The numbers of the actions that have a clip, in any epoch; with the protocol 'legacy' all of them.

        Args:
            table: of actions.
        """
        if self.protocol == "legacy":
            return np.arange(len(table))
        most = None if self.anticipation_s is None else self.anticipation_s[1]
        ends = [a.start_s - most if most is not None else a.observed_s or 0.0 for a in table]
        return np.flatnonzero(np.array(ends, np.float64) > 0)

    def end_by_seconds(self, action: Action, index: int, *, epoch: int = 0) -> float:
        """When the clip of an action is meant to end, by the table's seconds, whatever its frames count.

        Args:
            action: what is to be predicted.
            index: its number in the table.
            epoch: whose draws are taken.
        """
        ahead, point = self._drawn(action, index, epoch)
        anchor = action.start_s if self.protocol == "start" else point * action.start_s + (1 - point) * action.stop_s
        return max(0.0, anchor - ahead)

    def _drawn(self, action: Action, index: int, epoch: int) -> Range:
        """Anticipation time and anchor of an action."""
        first, second = np.random.Generator(np.random.PCG64(mixed_seed(self.seed, epoch, index))).random(2).tolist()
        if self.anticipation_s is not None:
            return _between(self.anticipation_s, first), _between(self.legacy_point, second)
        if action.observed_s is None:
            raise InputError(
                f"{action.where or action.name}: the table does not say up to when may be seen; give anticipation_s"
            )
        return action.start_s - action.observed_s, 0.0

    def _legacy(
        self, action: Action, ahead: float, point: float, rate: float | None, times: np.ndarray | None
    ) -> PlannedClip:
        if rate is None or not self.rate_hz <= rate < math.inf:
            raise OptionError(
                f"the video has {rate} frames a second and the clip {self.rate_hz:g}; the protocol 'legacy' counts frames of the video, "
                "so its rate must be known, and at least that of the clip"
            )
        start, stop = (
            int(second * rate) if frame is None else frame
            for frame, second in ((action.start_frame, action.start_s), (action.stop_frame, action.stop_s))
        )
        step = int(rate / self.rate_hz)
        anchor = int(start * point + (1 - point) * stop - int(ahead * rate))
        wanted = np.arange(anchor - self.frames * step, anchor, step)
        shown = wanted.clip(0)
        if times is None:
            time_s, end_s = shown / rate, anchor / rate
        else:
            last = len(times) - 1
            time_s, end_s = times[shown.clip(0, last)], float(times[np.clip(anchor, 0, last)])
        end_s = max(end_s, float(time_s[-1]))
        return PlannedClip(time_s, end_s, ahead, int((wanted < 0).sum()), _inside(time_s, action))


def _between(limits: Range, share: float) -> float:
    return limits[0] + share * (limits[1] - limits[0])


def _inside(time_s: Float64[np.ndarray, " t"], action: Action) -> Bool[np.ndarray, " t"]:
    return (time_s >= action.start_s) & (time_s < max(action.stop_s, np.nextafter(action.start_s, np.inf)))
