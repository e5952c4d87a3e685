"""The pictures of a report on places: diagrams of calibration and hits, and a page with the best and the worst maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from isotherm.draw import ReportEntry, save_picture, write_report
from isotherm.draw.figures import curve_figure
from isotherm.metrics.place_report import PlaceReport

STEPS = tuple(0.05 * k for k in range(1, 20))
"""Levels of the regions in the diagram of calibration."""
SQUARE = 4.2, 4.0


def write_place_pages(
    report: PlaceReport, entry: Callable[[int], ReportEntry], dpath: Path, *, count: int = 8, command: str = ""
) -> list[Path]:
    """Write what there is to see of a report.

    Args:
        report: of m maps.
        entry: the number of a map -> its picture with the map; it is asked of the best and the worst alone.
        dpath: a folder that is there.
        count: of the best, and of the worst.
        command: that makes the same, written into the files.

    Returns:
        ``hits.png``: the share of right answers within the first k; with maps ``coverage.png``: the share of places
        inside of the regions of each level; with confidences ``reliability.png``; and ``report.html``, to look around
        in the maps. Lines at 45 degrees are what calibrated maps and confidences would give.
    """
    k = list(range(1, report.hits.shape[1] + 1))
    figures = {
        "hits": curve_figure(
            {"right": (k, report.hits.double().mean(0).tolist())}, x="candidates that count", y="share of hits"
        )
    }
    if report.level is not None:
        curve = {"observed": (list(STEPS), [report.coverage(level) for level in STEPS])}
        figures["coverage"] = curve_figure(
            curve,
            x="probability of the region",
            y="share of places inside",
            title="coverage",
            diagonal=True,
            size=SQUARE,
        )
    if report.reliability is not None:
        curve = {"observed": (report.reliability.score.tolist(), report.reliability.hit.tolist())}
        title = f"reliability, expected error {report.reliability.error:.3f}"
        figures["reliability"] = curve_figure(
            curve, x="confidence", y="share of hits", title=title, diagonal=True, size=SQUARE
        )
    written = [save_picture(figure, dpath / f"{name}.png", command=command) for name, figure in figures.items()]
    known = (~report.error_px.isnan()).nonzero().flatten()
    order = known[report.error_px[known].argsort(stable=True)].tolist()
    chosen = [("best", i) for i in order[:count]] + [("worst", i) for i in reversed(order[count:][-count:])]

    def named(which: str, number: int) -> ReportEntry:
        shown = entry(number)
        title = f"{which}: {shown.title or number}, off by {float(report.error_px[number]):.1f} px"
        return replace(shown, title=title)

    facts = {name: f"{value.mean:.3g}" for name, value in report.figures.rows[0].figures.items()}
    page = dpath / "report.html"
    write_report(
        (named(which, number) for which, number in chosen),
        page,
        title="Places: the best and the worst",
        command=command or None,
        facts=facts,
    )
    return [*written, page]
