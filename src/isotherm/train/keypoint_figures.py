"""Whether a recipe's validation will have a figure by which it shall be judged: said before anything is trained."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from isotherm.data.beetle_annotations import LINES
from isotherm.data.beetles import LOOKS
from isotherm.data.keypoints import KeypointSet
from isotherm.errors import IsothermError, OptionError
from isotherm.metrics.keypoint_report import PCK_AT
from isotherm.metrics.point_errors import place_known
from isotherm.train.keypoint_data import DataChoice, Source, read_source
from isotherm.train.keypoint_validate import LOGGED, slug

SPREAD = ("inside_95", "nll")
"""Figures of covariances, which a model of maps has and one of places has not."""


def check_figure(name: str, data: KeypointSet, *, option: str, spread: bool = True) -> None:
    """Refuse a figure that no validation on a set can have.

    Args:
        name: of a figure, such as ``point_err_px`` or ``val/hawaii/length_line_err_cm``.
        data: what validates.
        option: what asks for the figure, for the message.
        spread: whether the model has covariances.

    Raises:
        OptionError: no such figure, group or line, or nothing that it could be computed from; with those that there
            are.
    """
    check_names(name, tuple(data.groups), tuple(data.lines), option=option, spread=spread)
    group, figure = name.rpartition("/")[::2]
    records = [r for r in data if not group or f"val/{slug(r.group)}" == group]
    line = figure.partition("_line_err")[0]
    if line in data.lines and "_line_err" in figure:
        ends = list(data.lines[line])
        records = [r for r in records if bool(place_known(r.state)[ends].all())]
        if not records:
            raise OptionError(
                f"{option} is {name!r}, and no picture that validates{_there(group)} has the line {line!r}; expected a figure that can be computed"
            )
    if figure.endswith("_cm") and not any(r.px_per_cm for r in records):
        raise OptionError(
            f"{option} is {name!r}, and no picture that validates{_there(group)} has a scale in centimetres; expected a figure in pixels, such as point_err_px"
        )


def check_names(name: str, groups: Sequence[str], lines: Sequence[str], *, option: str, spread: bool = True) -> None:
    """The same as far as names of groups and lines tell."""
    figures = [
        *(f for f in LOGGED if lines or not f.startswith("line_")),
        *(["line_err_px"] if lines else []),
        *(f"{line}_line_err_cm" for line in lines),
        *(f"pck@{at:g}" for at in PCK_AT),
    ]
    figures = [f for f in figures if spread or f not in SPREAD]
    prefixes = [f"val/{slug(group)}" for group in sorted(groups) if group]
    known = [*figures, *(f"{prefix}/{figure}" for prefix in prefixes for figure in figures)]
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]}? " if near else ""
    raise OptionError(
        f"{option} is {name!r}, which no validation here has; {hint}There are {', '.join(figures)}"
        + (f"; of all pictures, or of a group: {', '.join(f'{prefix}/...' for prefix in prefixes)}" if prefixes else "")
    )


def check_recipe(name: str, choice: DataChoice, *, option: str, root: Path | None = None, spread: bool = True) -> None:
    """The same for a recipe, as far as it or its files say which groups and lines will validate.

    Args:
        root: where paths start; None: no file is read.
    """
    parts = [_declared(source, root) for source in choice.validation or choice.train]
    if all(part is not None for part in parts):
        groups = [group for part in parts if part is not None for group in part[0]]
        lines = choice.lines or dict.fromkeys(line for part in parts if part is not None for line in part[1])
        check_names(name, groups, tuple(lines), option=option, spread=spread)


def _declared(source: Source, root: Path | None) -> tuple[list[str], list[str]] | None:
    """(groups, lines) of a source; None where nobody knows before it is read."""
    if source.format == "generated":
        return list(source.groups or LOOKS), list(LINES)
    if source.format == "beetles" and source.group:
        return [source.group], list(LINES)
    if root is None:
        return None
    try:
        data = read_source(source, root=root, skip_bad=True)
    except IsothermError:
        return None  # whoever trains on it says what is wrong with it
    return list(data.groups), list(data.lines)


def _there(group: str) -> str:
    return f" in {group}" if group else ""
