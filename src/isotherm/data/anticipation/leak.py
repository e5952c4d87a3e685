"""How much of the actions that are to be predicted clips show, and what a table's frame numbers count.

Run: python -m isotherm.data.anticipation.leak EPIC_100_validation.csv
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isotherm.data.anticipation.actions import ActionTable
from isotherm.data.anticipation.anchors import ClipPlan
from isotherm.data.anticipation.read import read_actions
from isotherm.errors import InputError, IsothermError


@dataclass(frozen=True)
class Leak:
    """What the clips of a table show of their own actions.

    Args:
        clips: in all.
        without: actions that have no clip, because they begin too early in their video.
        late: clips whose end is meant to lie later than the action's start, by the seconds of the table.
        showing: clips with a frame that is from within the action, by the moments of the frames that are read.
        frames: mean share of a clip's frames that are from within the action.
        action: mean share of an action that has passed by the clip's last frame.
        short: clips that reach back before the video's first frame.
    """

    clips: int
    without: int
    late: int
    showing: int
    frames: float
    action: float
    short: int

    def __str__(self) -> str:
        early = f"; {self.without} actions begin too early in their video for a clip" if self.without else ""
        if not self.showing:
            return f"none of {self.clips} clips shows the action that it is to predict{early}"
        return (
            f"{self.showing} of {self.clips} clips ({self.showing / self.clips:.1%}) show the action that they are to predict: {self.frames:.0%} of "
            f"their frames are from within it, and {self.action:.0%} of it has passed by the last one; {self.late} ({self.late / self.clips:.1%}) "
            f"are meant to end after it has begun{early}"
        )


def leak(table: ActionTable, plan: ClipPlan, *, epoch: int = 0) -> Leak:
    """What the clips of a plan show of the actions that they are to predict.

    Args:
        table: of actions; for the protocol 'legacy' with the frame rates of its videos.
        plan: of the clips.
        epoch: whose draws are taken.

    Raises:
        InputError: there are no clips, or a video's frame rate is not known.
    """
    usable = plan.usable(table).tolist()
    if not usable:
        raise InputError(f"none of {len(table)} actions has a clip, so nothing can be said of them")
    late, showing, frames, passed, short = 0, 0, list[float](), list[float](), 0
    for i in usable:
        action = table[i]
        rate = table.rate_of(action.video) if plan.protocol == "legacy" else None
        clip = plan.planned(action, i, epoch=epoch, video_rate_hz=rate)
        meant = plan.end_by_seconds(action, i, epoch=epoch)
        late += meant > action.start_s
        showing += bool(clip.inside.any())
        frames.append(float(clip.inside.mean()))
        length = max(action.stop_s - action.start_s, 1e-9)
        passed.append(float(np.clip((clip.time_s[-1] - action.start_s) / length, 0, 1)))
        short += clip.padded > 0
    return Leak(
        len(usable), len(table) - len(usable), late, showing, float(np.mean(frames)), float(np.mean(passed)), short
    )


@dataclass(frozen=True)
class FrameClock:
    """What the frame numbers of a video's rows count.

    Args:
        video: its name.
        rate_hz: frames per second that the video has.
        counted_hz: numbers per second of the table, by least squares.
        apart_s: the most that a row's number, as a frame of the video, lies from the row's seconds.
    """

    video: str
    rate_hz: float
    counted_hz: float
    apart_s: float


def frame_clocks(table: ActionTable) -> tuple[FrameClock, ...]:
    """What the frame numbers of each video's rows count; videos without any, or of a rate not known, are left out.

    Args:
        table: of actions with their frames and with the frame rates of its videos.
    """
    clocks = []
    for video, rows in table.of_videos().items():
        pairs = [(a.start_s, a.start_frame) for a in (table[i] for i in rows) if a.start_frame is not None]
        if not pairs or video not in table.videos:
            continue
        seconds, numbers = np.array(pairs, np.float64).T
        rate = table.videos[video].rate_hz
        slope = float((seconds * numbers).sum() / max((seconds**2).sum(), 1e-9))
        clocks.append(FrameClock(video, rate, slope, float(np.abs(numbers / rate - seconds).max())))
    return tuple(clocks)


def legacy_rate_hz(video_rate_hz: float, rate_hz: float) -> float:
    """The rate of frames that a whole number of the video's frames apart gives, where ``rate_hz`` was asked for.

    Args:
        video_rate_hz: of the video.
        rate_hz: of the clip.

    Example:
        >>> [round(legacy_rate_hz(rate, 8), 2) for rate in (24.0, 29.97, 50.0, 59.94, 60.0)]
        [8.0, 9.99, 8.33, 8.56, 8.57]
    """
    return video_rate_hz / int(video_rate_hz / rate_hz)


def report(table: ActionTable) -> Iterator[str]:
    """What is to be known before a model is judged on a table, a line each.

    Args:
        table: of actions, with the frame rates of its videos.
    """
    yield f"{len(table)} actions in {len(table.of_videos())} videos"
    yield from table.notes
    yield f"clips that end 1 s before the action's start: {leak(table, ClipPlan())}"
    clocks = frame_clocks(table)
    if not table.videos:
        yield "nothing is known of the videos' frame rates, so the protocol 'legacy' cannot be worked out"
        return
    yield f"clips of the protocol 'legacy', 1 s before the action's end: {leak(table, ClipPlan(protocol='legacy'))}"
    for rate in sorted({clock.rate_hz for clock in clocks}):
        of = [clock for clock in clocks if clock.rate_hz == rate]
        yield (
            f"{len(of)} videos of {rate:.2f} frames a second: the table's frame numbers count {np.median([c.counted_hz for c in of]):.2f} a second, "
            f"so they lie up to {max(c.apart_s for c in of):.2f} s from its seconds; clips of 'legacy' at 8 frames a second have {legacy_rate_hz(rate, 8):.2f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the report of a table.

    Args:
        arguments: the table's path; None: those of the command line.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 1:
        sys.exit("usage: python -m isotherm.data.anticipation.leak TABLE (such as EPIC_100_validation.csv)")
    try:
        for line in report(read_actions(words[0])):
            print(line)
    except IsothermError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
