"""Annotation text: points and boxes that a person or a program wrote as lists of numbers, and the target they make.

The text is read by a parser of its own, brackets, commas and numbers and nothing else: no ``eval``, and every error
knows its column.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, NoReturn, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm import limits
from isotherm.errors import AnnotationError, FrameError, OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.ops.gaussian import Sigma
from isotherm.ops.place import OffFrame
from isotherm.targets.mixture import mixture
from isotherm.targets.points import GaussianKind
from isotherm.training_map import TrainingMap

Flag = Literal["detection_1", "detection_2", "single_point", "grasp_point"]
"""What a text is. detection_1: one box. detection_2: one box or more. single_point: one point. grasp_point: one or
more.
"""
BoxFormat = Literal["x0y0x1y1", "cxcywh", "xywh"]
"""Corners; centre and extent; top-left corner and extent. x before y in all of them."""
MAX_CHARACTERS = limits.TEXT_LETTERS
"""Longer texts are refused before they are read."""

_BOX_FORMAT: dict[str, BoxFormat] = {"detection_1": "x0y0x1y1", "detection_2": "cxcywh"}
_FORM = {
    "detection_1": "one box of 4 numbers, such as [0.1, 0.2, 0.5, 0.6]",
    "detection_2": "boxes of 4 numbers, such as [(0.3, 0.4, 0.4, 0.4), ...]",
    "single_point": "one point of 2 numbers, such as [0.5, 0.5]",
    "grasp_point": "points of 2 numbers, such as [[0.5, 0.5], ...]",
}


@dataclass(frozen=True, eq=False)
class Annotation:
    """Places that a text named.

    Args:
        points: (n, 2) (x, y) in source pixels, edge-origin; of boxes, their centres.
        boxes: (n, 4) (x0, y0, x1, y1) in source pixels, or None where the text named points.
        labels: what the text calls each of them, '' where it does not say.
    """

    points: Float[Tensor, "n 2"]
    boxes: Float[Tensor, "n 4"] | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.points)
        if not self.labels:
            object.__setattr__(self, "labels", ("",) * count)
        if len(self.labels) != count or (self.boxes is not None and len(self.boxes) != count):
            boxes = "no" if self.boxes is None else len(self.boxes)
            raise ShapeError(
                f"{count} points, {boxes} boxes and {len(self.labels)} labels do not go together; give one of each per place"
            )


def parse_annotation(
    text: str, flag: Flag, *, normalised: bool, size: Size, box_format: BoxFormat | None = None
) -> Annotation:
    """Points or boxes from a list of numbers.

    Args:
        text: ``[x, y]``, ``[[x, y], ...]``, ``[a, b, c, d]`` or ``[(a, b, c, d), ...]``; square or round brackets,
            whole numbers or decimals.
        flag: what it is, see :data:`Flag`. Four numbers could be two points or boxes of three kinds: only the flag
            says.
        normalised: True: numbers from 0 to 1 over the picture's extent; False: source pixels, edge-origin.
        size: (h, w) of the source picture in pixels.
        box_format: see :data:`BoxFormat`; corners for detection_1 and centre and extent for detection_2 unless given.

    Returns:
        Annotation in source pixels, float32.

    Raises:
        AnnotationError: text of another form, a number that is not finite or outside of the picture, a box whose second
            corner lies before its first, more than 100,000 characters. A box given by its extent may overhang the
            picture.
        OptionError: another flag or box format, or a box format for points.

    Example:
        >>> parse_annotation("[0, 0.4, 1, 0.6]", "detection_1", normalised=True, size=(100, 200)).points.tolist()
        [[100.0, 50.0]]
    """
    if flag not in get_args(Flag):
        raise OptionError(f"flag is {flag!r}; expected one of {', '.join(get_args(Flag))}")
    of_boxes = flag in _BOX_FORMAT
    if box_format is not None and (not of_boxes or box_format not in get_args(BoxFormat)):
        allowed = ", ".join(get_args(BoxFormat)) if of_boxes else f"none, because {flag} is about points"
        raise OptionError(f"box_format is {box_format!r}; expected {allowed}")
    rows = number_rows(text, _FORM[flag])
    if flag in ("detection_1", "single_point") and len(rows) != 1:
        raise AnnotationError(text, rows[1][0].position if rows else 0, f"{len(rows)} places", _FORM[flag])
    for row in rows:
        if len(row) != (4 if of_boxes else 2):
            raise AnnotationError(text, row[0].position, f"{len(row)} numbers together", _FORM[flag])
    extent = (1.0, 1.0) if normalised else (float(size[0]), float(size[1]))
    if of_boxes:
        return boxes_of_rows(text, rows, extent, size, box_format=box_format or _BOX_FORMAT[flag])
    return points_of_rows(text, rows, extent, size)


def from_annotation(
    text: str,
    flag: Flag,
    frame: Frame,
    *,
    sigma_cells: Sigma,
    normalised: bool,
    kind: GaussianKind = "probability",
    box_format: BoxFormat | None = None,
    off_frame: OffFrame = "tail",
) -> TrainingMap:
    """The target of an annotation text: all places that it names, in one map.

    Args:
        text, flag, normalised, box_format: as of :func:`parse_annotation`; boxes count by their centres.
        frame: of the map, single; it knows the size of the source picture.
        sigma_cells: standard deviation in cells.
        kind: 'probability', the mixture of the places, which sums to 1; or 'peak', the largest of their Gaussians.
        off_frame: as of :func:`isotherm.targets.mixture`.

    Returns:
        TrainingMap of (1, h, w) maps and (1,) states.

    Raises:
        AnnotationError, OptionError: as :func:`parse_annotation` and :func:`isotherm.targets.mixture`.
        FrameError: the frame is batched: a text speaks of one picture.

    Example:
        >>> frame = Frame.resize((100, 200), (2, 4))
        >>> from_annotation("[0.5, 0.5]", "single_point", frame, sigma_cells=1.0, normalised=True).heatmap.values.shape
        torch.Size([1, 2, 4])
    """
    if kind not in ("peak", "probability"):
        raise OptionError(f"kind is {kind!r}; expected 'peak' or 'probability'")
    if frame.batch_shape:
        raise FrameError(
            f"the frame has batch {tuple(frame.batch_shape)}, and a text speaks of one picture; index the frame"
        )
    h, w = (int(v) for v in frame.source_size)
    points = parse_annotation(text, flag, normalised=normalised, size=(h, w), box_format=box_format).points
    how: Literal["mixture", "max"] = "mixture" if kind == "probability" else "max"
    return mixture(points[None], frame, sigma_cells=sigma_cells, how=how, off_frame=off_frame)


# --- what the parsers of models' text share -----------------------------------------------------------


class Number(NamedTuple):
    """A number and where in the text it stands."""

    value: float
    position: int


Row = list[Number]
_TOKEN = re.compile(r"\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<mark>[\[\](),]))", re.ASCII)
_CLOSING = {"[": "]", "(": ")"}


def short_enough(text: str) -> None:
    """Raises AnnotationError where a text is too long to be read, and OptionError where it is none."""
    if not isinstance(text, str):
        raise OptionError(
            f"the annotation is a {type(text).__name__}; expected text with numbers in brackets, such as '[0.5, 0.5]': str() makes it of a list"
        )
    if len(text) > MAX_CHARACTERS:
        raise AnnotationError(text, MAX_CHARACTERS, f"{len(text)} characters", f"at most {MAX_CHARACTERS}")


def number_rows(text: str, expected: str) -> list[Row]:
    """``[1, 2]`` as one row, ``[[1, 2], (3, 4)]`` as two, each number with its position.

    Raises:
        AnnotationError: anything else. expected: the form, for its message.
    """
    short_enough(text)
    position = 0

    def wrong(at: int, actual: str) -> NoReturn:
        raise AnnotationError(text, at, actual, expected)

    def following() -> tuple[str, str, int]:
        """(which, text, where) of the next token; position moves behind it."""
        nonlocal position
        match = _TOKEN.match(text, position)
        if match is None:
            at = len(text) - len(text[position:].lstrip())
            wrong(at, "the end" if at == len(text) else repr(text[at : at + 12]))
        position = match.end()
        which = match.lastgroup or ""
        return which, match[which], match.start(which)

    def listed(opening: str, start: int, depth: int) -> list[Number] | list[Row]:
        """Numbers, or lists of numbers, up to the bracket that closes."""
        parts: list = []
        while True:
            which, token, at = following()
            if token == _CLOSING[opening]:  # empty, or after a last comma as in (1, 2,)
                return parts or wrong(start, "an empty list")
            if which == "number":
                part: Number | list = Number(float(token), at)
            elif token in _CLOSING and depth == 0:
                part = listed(token, at, 1)
            else:
                wrong(at, repr(token))
            if parts and isinstance(part, Number) != isinstance(parts[0], Number):
                wrong(at, "numbers and lists side by side")
            parts.append(part)
            _, token, at = following()
            if token == _CLOSING[opening]:
                return parts
            if token != ",":
                wrong(at, repr(token))

    _, token, at = following()
    if token not in _CLOSING:
        wrong(at, repr(token))
    rows = listed(token, at, 0)
    if rest := text[position:].strip():
        wrong(len(text) - len(text[position:].lstrip()), repr(rest[:12]))
    return [rows] if isinstance(rows[0], Number) else rows  # type: ignore[list-item, return-value]


def points_of_rows(
    text: str, rows: list[Row], extent: tuple[float, float], size: Size, labels: tuple[str, ...] = ()
) -> Annotation:
    """Rows (x, y) that run from 0 to ``extent`` (h, w) over a picture of ``size`` (h, w) -> source pixels."""
    for x, y in rows:
        _in_range(text, x, extent[1], "x")
        _in_range(text, y, extent[0], "y")
    return Annotation(_scaled(rows, extent, size), None, labels)


def boxes_of_rows(
    text: str,
    rows: list[Row],
    extent: tuple[float, float],
    size: Size,
    labels: tuple[str, ...] = (),
    *,
    box_format: BoxFormat,
) -> Annotation:
    """Rows of four that run from 0 to ``extent`` (h, w) over a picture of ``size`` (h, w) -> source pixels."""
    for a, b, c, d in rows:
        for number, limit, name in ((a, extent[1], "x"), (b, extent[0], "y"), (c, extent[1], "x"), (d, extent[0], "y")):
            _in_range(
                text, number, limit, name if box_format == "x0y0x1y1" or number in (a, b) else "extent along " + name
            )
        if box_format == "x0y0x1y1" and (c.value < a.value or d.value < b.value):
            first, second, name = (a, c, "x") if c.value < a.value else (b, d, "y")
            raise AnnotationError(
                text,
                second.position,
                f"{name}1 = {second.value:g} before {name}0 = {first.value:g}",
                "x0 <= x1 and y0 <= y1",
            )
    corner, other = _scaled(rows, extent, size).view(-1, 2, 2).unbind(1)
    if box_format == "cxcywh":
        corner, other = corner - other / 2, corner + other / 2
    elif box_format == "xywh":
        other = corner + other
    return Annotation((corner + other) / 2, torch.cat([corner, other], -1), labels)


def _in_range(text: str, number: Number, limit: float, name: str) -> None:
    if not math.isfinite(number.value):
        raise AnnotationError(text, number.position, f"{name} = {number.value}", "a finite number")
    if not 0 <= number.value <= limit:
        hint = " (pixels are not normalised)" if limit == 1 else ""
        raise AnnotationError(
            text, number.position, f"{name} = {number.value:g}", f"a number from 0 to {limit:g}{hint}"
        )


def _scaled(rows: list[Row], extent: tuple[float, float], size: Size) -> Tensor:
    """Numbers that alternate between x and y, in float64 until they are source pixels."""
    values = torch.tensor([[n.value for n in row] for row in rows], dtype=torch.float64).view(-1, 2)
    scale = torch.tensor([size[1] / extent[1], size[0] / extent[0]], dtype=torch.float64)
    return (values * scale).float()
