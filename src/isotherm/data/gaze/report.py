"""How well gaze fits its video: figures, their limits, and what a person should know; as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isotherm.data.gaze.limits import Check


@dataclass(frozen=True, eq=False)
class AlignmentReport:
    """Figures of an alignment.

    Args:
        facts: all of them, as JSON can hold them.
        checks: those that have a limit.
        notes: what was assumed or chosen.
    """

    facts: dict[str, Any]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The figures that are beyond their limits."""
        return tuple(check for check in self.checks if not check.passed)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        checks = [
            {"name": c.name, "value": c.value, "limit": c.limit, "unit": c.unit, "passed": c.passed, "hint": c.hint}
            for c in self.checks
        ]
        return {**self.facts, "aligned": not self.failed, "checks": checks, "notes": list(self.notes)}

    def __str__(self) -> str:
        return "\n".join(report_lines(self))


def report_lines(report: AlignmentReport) -> list[str]:
    """The report for a person, a line for each subject.

    Args:
        report: any.
    """
    f = report.facts
    s, states = f["samples"], f["states"]
    whole = max(1, sum(states.values()))
    shares = [f"{n} {name.replace('_', ' ')} ({n / whole:.1%})" for name, n in states.items()]
    over = f" over {f['video']}" if f["video"] else ""
    lines = [
        f"{f['file']} ({f['format']}){over}: {f['how']}",
        f"samples   {s['kept']} of {s['read']} kept ({s['repeated']} repeated, {s['backwards']} out of order), {_hz(s['rate_hz'])}, from {s['start_s']:.3f} to {s['end_s']:.3f} s",
        f"gaps      {s['gaps']}, about {s['lost']} samples lost, the longest {s['longest_gap_s'] * 1e3:.0f} ms at {s['longest_gap_at_s']:.2f} s",
        f"states    {', '.join(shares)}",
    ]
    if f["missing"]:
        lines.append(f"missing   {', '.join(f'{n}: {reason}' for reason, n in f['missing'].items())}")
    if "video_clock" in f:
        v = f["video_clock"]
        camera = f", a camera's {v['camera_rate']}" if v["camera_rate"] else ""
        steady = "variable rate" if v["variable"] else "steady"
        lines.append(
            f"{'video' if f['video'] else 'frames':<9} {v['frames']} frames of {v['size'][1]} x {v['size'][0]}, {v['length_s']:.3f} s, {v['rate_hz']:.4f} per second{camera}, {steady}, {v['dropped']} dropped, {v['repeated']} repeated"
        )
    if "clock" in f:
        c = f["clock"]
        drift = "" if c["drift_ppm"] is None else f", drift {c['drift_ppm']:.1f} +- {c['drift_error_ppm']:.1f} ppm"
        lines.append(
            f"clock     {c['pairs']} pairs, offset {c['offset_s']:.4f} s{drift} ({c['drift_words']}); from the line: rms {c['residual_rms_ms']:.2f}, 19 of 20 within {c['residual_p95_ms']:.2f}, most {c['residual_most_ms']:.2f} ms"
        )
    if "coverage" in f:
        c = f["coverage"]
        lines.append(
            f"coverage  {c['frames_with_a_sample']} frames have a sample within {c['window_s'] * 1e3:.0f} ms, {c['frames_tracked']} a tracked one; {c['samples_before']} samples before the video, {c['samples_after']} after it"
        )
    if f["y"]["mean_share_from_the_top"] is not None:
        lines.append(
            f"height    gaze lies at {f['y']['mean_share_from_the_top']:.0%} from the top on average; were y counted from the other end, at {f['y']['turned_over']:.0%}"
        )
    lines += [f"note      {note}" for note in report.notes]
    lines += [f"{'ok' if check.passed else 'REFUSED':<9} {check}" for check in report.checks]
    return lines


def _hz(rate: float | None) -> str:
    return "rate not known" if rate is None else f"{rate:.4g} per second"
