"""Figures of how gaze fits its video."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isotherm.data.gaze.clock import VideoClock, camera_rate
from isotherm.data.gaze.formats.raw import RawGaze
from isotherm.data.gaze.limits import AlignOptions, Check
from isotherm.data.gaze.pairs import Pairs, drift_words
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.report import AlignmentReport
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.store import nearest_index, usual_window_s


@dataclass(frozen=True)
class SampleCounts:
    """How many samples there were.

    Args:
        read: in the file.
        kept: in the recording.
        backwards: that came before the one above them in the file.
        repeated: at the time of another one, which was kept for it.
    """

    read: int
    kept: int
    backwards: int
    repeated: int


def reported(
    raw: RawGaze,
    recording: GazeRecording,
    counts: SampleCounts,
    clock: VideoClock | None,
    pairs: Pairs | None,
    *,
    how: str,
    frames_off: int | None,
    options: AlignOptions,
) -> AlignmentReport:
    """The report on a recording that was brought onto a clock.

    Args:
        raw: what the file says.
        recording: the gaze on the clock.
        counts: of its samples.
        clock: of the video, None where nothing is known of it.
        pairs: by which the clocks were compared.
        how: it was brought there, in words.
        frames_off: by how many the numbers of frames differ, None where they were not compared.
        options: the limits.
    """
    facts: dict[str, Any] = {
        "file": raw.path.name,
        "format": raw.format,
        "video": clock.name if clock else "",
        "how": how,
    }
    facts["samples"] = _samples(recording, counts)
    facts["states"] = {s.name.lower(): int((recording.state == s).sum()) for s in GazeState}
    facts["missing"] = dict(raw.missing)
    checks = [Check("samples with a place", float((recording.state != GazeState.MISSING).sum()), 1, "", at_least=True)]
    if pairs is not None:
        facts["clock"], more = _clock(pairs, raw, clock, options)
        checks += more
    if frames_off is not None:
        facts["frames_off"] = frames_off
        hint = "is it another video, or was it cut?"
        checks.append(
            Check(
                "difference of the numbers of frames", frames_off, options.frames, "frames", "--most-frames", hint=hint
            )
        )
    if clock is not None:
        facts["video_clock"] = _video(clock)
        facts["coverage"], more = _coverage(recording, clock, tied=pairs is not None, options=options)
        checks += more
    facts["y"] = _down(recording)
    return AlignmentReport(facts, tuple(checks), recording.notes)


def _samples(recording: GazeRecording, counts: SampleCounts) -> dict[str, Any]:
    steps = np.diff(recording.time_s)
    usual = float(np.median(steps)) if len(steps) else math.nan
    wide = np.flatnonzero(steps > 3 * usual) if len(steps) else np.zeros(0, np.int64)
    longest = int(steps.argmax()) if len(steps) else 0
    return {
        "read": counts.read,
        "kept": counts.kept,
        "backwards": counts.backwards,
        "repeated": counts.repeated,
        "rate_hz": _figure(1 / usual) if usual > 0 else None,
        "start_s": _figure(recording.time_s[0]),
        "end_s": _figure(recording.time_s[-1]),
        "lost": int((np.rint(steps / usual) - 1).clip(0).sum()) if len(steps) else 0,
        "gaps": len(wide),
        "longest_gap_s": _figure(steps[longest]) if len(steps) else 0.0,
        "longest_gap_at_s": _figure(recording.time_s[longest]),
    }


def _clock(
    pairs: Pairs, raw: RawGaze, clock: VideoClock | None, options: AlignOptions
) -> tuple[dict[str, Any], list[Check]]:
    residual = pairs.residual_s
    offset, slope = pairs.line
    drift = (slope - 1) * 1e6
    open_ppm = 3 * pairs.slope_error * 1e6
    p95 = float(np.quantile(np.abs(residual), 0.95))
    compared = clock is not None and (bool(clock.name) or raw.rate_hz is not None)
    facts = {
        "pairs": len(residual),
        "offset_s": _figure(offset),
        "drift_ppm": _figure(drift) if compared else None,
        "drift_error_ppm": _figure(open_ppm / 3),
        "drift_words": drift_words(drift, open_ppm) if compared else "not known without a video",
        "residual_rms_ms": _figure(math.sqrt(float((residual**2).mean())) * 1e3),
        "residual_p95_ms": _figure(p95 * 1e3),
        "residual_most_ms": _figure(float(np.abs(residual).max()) * 1e3),
    }
    hint = "frames were dropped or repeated, or another clock was followed; see the residuals in the picture"
    checks = [
        Check(
            "19 of 20 pairs of times lie from their line",
            p95 * 1e3,
            options.tolerance_s * 1e3,
            "ms",
            "--tolerance-ms",
            hint=hint,
        )
    ]
    if compared:
        words = pairs.jump_words(drift) or drift_words(drift, open_ppm)
        limit = options.drift_ppm + open_ppm
        checks.append(Check("drift of the clocks", abs(drift), limit, "ppm", "--most-drift-ppm", hint=words))
    return facts, checks


def _video(clock: VideoClock) -> dict[str, Any]:
    frames = len(clock.time_s) - 1 + clock.gaps
    camera = camera_rate(frames / float(clock.time_s[-1])) if frames and clock.time_s[-1] > 0 else None
    return {
        "frames": len(clock.time_s),
        "size": list(clock.size),
        "length_s": _figure(clock.end_s),
        "rate_hz": _figure(clock.mean_rate_hz),
        "camera_rate": None if camera is None else str(camera),
        "variable": clock.variable,
        "dropped": clock.gaps,
        "repeated": clock.repeated,
    }


def _coverage(
    recording: GazeRecording, clock: VideoClock, *, tied: bool, options: AlignOptions
) -> tuple[dict[str, Any], list[Check]]:
    window = usual_window_s(recording.time_s)
    nearest, near = nearest_index(recording.time_s, clock.time_s, window)
    tracked = near & (recording.state[nearest] == GazeState.TRACKED) if len(recording) else near
    share = float(near.mean()) if len(near) else 0.0
    facts = {
        "window_s": _figure(window),
        "frames_with_a_sample": int(near.sum()),
        "frames_tracked": int(tracked.sum()),
        "share": _figure(share),
        "samples_before": int((recording.time_s < -window).sum()),
        "samples_after": int((recording.time_s > clock.end_s + window).sum()),
    }
    hint = "is it another video, another part of it, or is the offset wrong?"
    checks = [
        Check(
            "frames of the video that have a sample",
            100 * share,
            100 * options.coverage,
            "%",
            "--least-coverage",
            at_least=True,
            hint=hint,
        )
    ]
    before, beyond = -float(recording.time_s[0]), float(recording.time_s[-1]) - clock.end_s
    if not tied and clock.name:
        if before > 0:
            checks.append(
                Check("gaze begins before the video", before, options.overhang_s, "s", "--most-overhang-s", hint=hint)
            )
        ratio = (float(recording.time_s[-1]) / clock.end_s - 1) * 1e6 if clock.end_s else 0.0
        words = drift_words(ratio, 20.0) if 500 < ratio < 1500 else hint
        checks.append(
            Check("gaze goes on behind the video", beyond, options.overhang_s, "s", "--most-overhang-s", hint=words)
        )
    return facts, checks


def _down(recording: GazeRecording) -> dict[str, Any]:
    """Where gaze lies between top and bottom: a person may see here whether y was counted from the right end."""
    seen = recording.state == GazeState.TRACKED
    if not seen.any():
        return {"mean_share_from_the_top": None, "turned_over": None}
    down = float(recording.xy[seen, 1].mean()) / recording.size[0]
    return {"mean_share_from_the_top": _figure(down), "turned_over": _figure(1 - down)}


def _figure(value: float | np.floating) -> float:
    return float(f"{float(value):.9g}")
