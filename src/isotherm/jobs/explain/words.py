"""An explanation in lines, for a console or a log."""

from __future__ import annotations

from isotherm.cam.explanation import Explanation


def lines_of(explanation: Explanation) -> list[str]:
    """Its name, its question and answer, every map with its verdict, its notes."""
    lines = [f"\n{explanation.name}", *(f"  {line}" for line in explanation.question_lines)]
    verdicts = list(explanation.trust_lines)
    for i, heatmap in enumerate(explanation):
        lines.append(f"  {i:2d}  {heatmap.label}  ({heatmap.meta['method']})")
        if verdicts:
            lines.append(f"      {verdicts[i]}")
    return [*lines, *(f"  note: {note}" for note in explanation.notes)]
