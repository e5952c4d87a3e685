"""Gaze brought onto the clock of its video, by timestamps alone, with figures of how well they fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64

from isotherm.data.gaze.clock import VideoClock, steady_clock
from isotherm.data.gaze.formats.raw import RawGaze
from isotherm.data.gaze.limits import AlignOptions
from isotherm.data.gaze.measures import SampleCounts, reported
from isotherm.data.gaze.pairs import Pairs
from isotherm.data.gaze.recording import GazeRecording, states_of
from isotherm.data.gaze.report import AlignmentReport
from isotherm.data.gaze.states import GazeState
from isotherm.data.orientation import Orientation, Turn, Turns
from isotherm.errors import InputError, OptionError
from isotherm.frame import Size


@dataclass(frozen=True, eq=False)
class Alignment:
    """A recording on its video's clock, and the report on it.

    Args:
        recording: the gaze; what is refused is here all the same, to be looked at.
        report: figures, and what of them is beyond its limit.
        clock: of the video, or made of the numbers or the world timestamps of frames; None: neither is known.
        pairs: the times by which the clocks were compared, None where the gaze was on the video's clock.
    """

    recording: GazeRecording
    report: AlignmentReport
    clock: VideoClock | None
    pairs: Pairs | None


@dataclass(frozen=True, eq=False)
class _Placed:
    """Seconds on the video's clock, how they came about, and by which pairs of times."""

    seconds: Float64[np.ndarray, " n"]
    how: str
    clock: VideoClock | None
    pairs: Pairs | None = None
    frames_off: int | None = None


def align(
    raw: RawGaze,
    *,
    clock: VideoClock | None = None,
    world_ns: Int64[np.ndarray, " m"] | None = None,
    size: Size | None = None,
    options: AlignOptions | None = None,
    orientation: Orientation | None = None,
) -> Alignment:
    """Bring gaze onto the clock of its video.

    Times go through the pairs that are known: the recorder's own time of each frame (``world_ns``) against the time at
    which the video shows it, or the frame that each sample names. Without pairs nothing is guessed: the format is on
    the video's clock, or the first sample was said to belong to the first frame.

    Args:
        raw: what the file says.
        clock: of the video.
        world_ns: the recorder's time of each frame of the video.
        size: (h, w) of the video where there is no clock of it.
        options: what is still taken for aligned.
        orientation: in which pixels of a video that its container turns the places are, see
            :mod:`isotherm.data.orientation`; None: upright, which is a note of the recording.

    Raises:
        OptionError: nothing ties the recorder's clock to the video's, or the size of the video is not known.
        InputError: frames that the video has not by far, or no sample in its time.
    """
    options = options or AlignOptions()
    size = clock.size if clock is not None else size or raw.gaze_size
    if size is None:
        raise OptionError(
            f"places of the format {raw.format} go with the size of the video: give the video (--video), or its size (--size)"
        )
    placed = _placed(raw, clock, world_ns, size, options)
    turns = Turns(orientation)
    own = clock.own if clock is not None and clock.own is not None else Turn(size)
    turn = turns.of(clock.name if clock is not None else "", own)
    recording, counts = _recording(raw, placed.seconds + options.offset_s, turn, turns.notes)
    report = reported(
        raw,
        recording,
        counts,
        placed.clock,
        placed.pairs,
        how=placed.how,
        frames_off=placed.frames_off,
        options=options,
    )
    return Alignment(recording, report, placed.clock, placed.pairs)


def _placed(
    raw: RawGaze, clock: VideoClock | None, world_ns: np.ndarray | None, size: Size, options: AlignOptions
) -> _Placed:
    if raw.clock == "video":
        if world_ns is not None:
            raise OptionError(f"the format {raw.format} is on the video's clock; leave out --world-timestamps")
        if options.start_together:
            raise OptionError(
                f"the format {raw.format} is on the video's clock; leave out --start-together, and move it by --offset-s where it is off"
            )
        return _Placed(raw.time_ns / 1e9, "the format's times are on the video's own clock", clock)
    if world_ns is not None:
        return _by_world(raw, clock, world_ns, size)
    if raw.frame is not None:
        return _by_frames(raw, clock, raw.frame, size)
    if options.start_together:
        how = "the first sample is taken for the video's first frame, as was asked"
        return _Placed((raw.time_ns - raw.time_ns.min()) / 1e9, how, clock)
    raise OptionError(
        f"the format {raw.format} has times of its recorder: give its time of each frame of the video (--world-timestamps FILE), or say that the first sample belongs to the first frame (--start-together)"
    )


def _by_world(raw: RawGaze, clock: VideoClock | None, world_ns: np.ndarray, size: Size) -> _Placed:
    zero = int(world_ns[0])
    world, device = (world_ns - zero) / 1e9, (raw.time_ns - zero) / 1e9
    if clock is None:
        how = "the recorder's times of its frames are the clock; no video was given"
        return _Placed(device, how, VideoClock(world, size))
    n = min(len(world), len(clock.time_s))
    if n < 2:
        raise InputError(f"{raw.path}: there are {n} frames with a time on both clocks; expected at least 2")
    pairs = Pairs(world[:n], clock.time_s[:n])
    how = f"through the recorder's and the video's times of {n} frames"
    return _Placed(_between(device, pairs), how, clock, pairs, abs(len(world) - len(clock.time_s)))


def _by_frames(raw: RawGaze, clock: VideoClock | None, frame: np.ndarray, size: Size) -> _Placed:
    """By the frame that each sample names: the mean time of its samples against the time of the frame."""
    device = (raw.time_ns - raw.time_ns.min()) / 1e9
    numbers, back = np.unique(frame, return_inverse=True)
    if numbers[0] < 0:
        raise InputError(f"{raw.path} names the frame {numbers[0]}; expected numbers from 0 (--first-frame says which)")
    timed = float(np.ptp(device)) > 0 and len(numbers) > 1
    means = np.bincount(back, device) / np.bincount(back)
    rate, off = raw.rate_hz, None
    if clock is None:
        if rate is None:
            if not timed:
                raise OptionError(f"{raw.path} numbers frames and has no times: give the video (--video)")
            rate = 1 / float(np.polyfit(numbers, means, 1)[0])
        clock = steady_clock(rate, int(numbers[-1]) + 1, size)
        words = f"no video was given: frames are taken at {rate:.4g} per second"
    else:
        off = max(0, int(numbers[-1]) + 1 - len(clock.time_s))
        words = "against the video's times of these frames"
    there = numbers < len(clock.time_s)
    if len(numbers) > 4:  # of the first and the last frame a part was recorded, whose mean is no middle
        there[[0, -1]] = False
    if there.sum() < 1:
        raise InputError(f"{raw.path} names frames from {numbers[0]}, and the video has {len(clock.time_s)}")
    shown = clock.time_s[numbers[there]] + raw.phase * clock.interval_s
    if not timed:
        return _Placed(_spread(frame, clock), f"by the frames that samples name, {words}", clock, None, off)
    pairs = Pairs(means[there], shown)
    a, b = pairs.line
    return _Placed(a + b * device, f"by the {len(numbers)} frames that samples name, {words}", clock, pairs, off)


def _spread(frame: np.ndarray, clock: VideoClock) -> np.ndarray:
    """Samples without times, spread evenly over the intervals of their frames."""
    order = np.argsort(frame, kind="stable")
    _, starts, counts = np.unique(frame[order], return_index=True, return_counts=True)
    rank = np.arange(len(frame)) - np.repeat(starts, counts)
    share = np.empty(len(frame))
    share[order] = (rank + 0.5) / np.repeat(counts, counts)
    known = clock.time_s[frame.clip(0, len(clock.time_s) - 1)]
    beyond = (frame - len(clock.time_s) + 1).clip(0) * clock.interval_s
    return known + beyond + share * clock.interval_s


def _between(device: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Linear between the pairs, and on by their usual slope beyond the first and the last."""
    _, slope = pairs.line
    inside = np.interp(device, pairs.device_s, pairs.video_s)
    before, behind = device < pairs.device_s[0], device > pairs.device_s[-1]
    inside[before] = pairs.video_s[0] + slope * (device[before] - pairs.device_s[0])
    inside[behind] = pairs.video_s[-1] + slope * (device[behind] - pairs.device_s[-1])
    return inside


def _recording(
    raw: RawGaze, seconds: np.ndarray, turn: Turn, more: tuple[str, ...]
) -> tuple[GazeRecording, SampleCounts]:
    (h, w), size = turn.stored, turn.size
    notes = [*raw.notes, *more]
    if raw.unit == "shares":
        xy = raw.xy * np.array([w, h])
    elif raw.gaze_size not in (None, turn.stored):
        assert raw.gaze_size is not None
        xy = raw.xy * np.array([w / raw.gaze_size[1], h / raw.gaze_size[0]])
        notes.append(f"pixels were those of {raw.gaze_size[1]} x {raw.gaze_size[0]} and are scaled to {w} x {h}")
    else:
        xy = raw.xy.copy()
    xy = turn.points(torch.from_numpy(xy)).numpy()
    # of several samples at one time the surest stays
    order = np.lexsort((-raw.confidence, seconds))
    backwards = int((np.diff(seconds) < 0).sum())
    sorted_s = seconds[order]
    kept = order[np.concatenate([[True], np.diff(sorted_s) > 0])]
    counts = SampleCounts(len(seconds), len(kept), backwards, len(seconds) - len(kept))
    state = states_of(xy[kept], size)
    sure = np.where(state == GazeState.MISSING, np.float32(0), raw.confidence[kept]).astype(np.float32)
    return GazeRecording(seconds[kept], xy[kept], state, sure, size, tuple(notes)), counts
