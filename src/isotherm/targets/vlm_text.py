"""Points and boxes in the words of vision-language models: Molmo, Qwen, RoboPoint, PaliGemma.

Each family counts in its own units and orders. What a parser does not know it refuses, with the column, instead of
reading half of an answer.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any, Literal

from isotherm.errors import AnnotationError, OptionError
from isotherm.frame import Size
from isotherm.targets.annotation import (
    Annotation,
    Number,
    Row,
    boxes_of_rows,
    number_rows,
    points_of_rows,
    short_enough,
)

_MOLMO = '<point x="10.5" y="20" alt="...">...</point> or <points x1="..." y1="..." x2="..." y2="..." ...>...</points>'
_MOLMO_TAG = re.compile(r'<(points?)((?:\s+\w+\s*=\s*"[^"]*")*)\s*/?>')
_MOLMO_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_QWEN = '[{"bbox_2d": [x0, y0, x1, y1], "label": "..."}, ...] or [{"point_2d": [x, y], "label": "..."}, ...]'
_FENCE = re.compile(r"\s*```(?:json)?[ \t]*\n")
_ROBOPOINT = "[(x, y), ...] or [(x0, y0, x1, y1), ...] with numbers from 0 to 1"
_PALIGEMMA = "<locYYYY><locXXXX><locYYYY><locXXXX> name ; ... with four digits from 0000 to 1023"
_PALIGEMMA_BOX = re.compile(r"\s*((?:<loc\d{4}>){4})(?:<seg\d{3}>)*([^<>;]*)", re.ASCII)


def parse_molmo(text: str, *, size: Size) -> Annotation:
    """Molmo's points: percent of the picture's extent, in ``<point>`` and ``<points>`` tags.

    Args:
        text: an answer; words around the tags are passed over.
        size: (h, w) of the source picture in pixels.

    Returns:
        Annotation of points, in source pixels; the labels are the ``alt`` texts.

    Raises:
        AnnotationError: no tag, a tag that is cut short, coordinates without their partner, numbers outside of 0 to
            100.

    Source: Deitke et al., "Molmo and PixMo" (2024), pointing.

    Example:
        >>> parse_molmo('Here: <point x="25.0" y="50" alt="mug">mug</point>', size=(100, 200)).points.tolist()
        [[50.0, 50.0]]
    """
    short_enough(text)
    rows: list[Row] = []
    labels: list[str] = []
    for start in (m.start() for m in re.finditer(r"<points?\b", text)):
        tag = _MOLMO_TAG.match(text, start)
        if tag is None:
            raise AnnotationError(text, start, "a tag that cannot be read", _MOLMO)
        attributes: dict[str, tuple[str, int]] = {}
        for attribute in _MOLMO_ATTRIBUTE.finditer(text, tag.start(2), tag.end(2)):
            if attribute[1] in attributes:
                raise AnnotationError(text, attribute.start(), f"{attribute[1]} twice", _MOLMO)
            attributes[attribute[1]] = (attribute[2], attribute.start(2))
        label = html.unescape(attributes.pop("alt", ("", 0))[0])
        count = 1 if tag[1] == "point" else (len(attributes) + 1) // 2
        names = [("x", "y")] if tag[1] == "point" else [(f"x{i}", f"y{i}") for i in range(1, count + 1)]
        for name in (n for pair in names for n in pair):
            if name not in attributes:
                raise AnnotationError(text, start, f"a tag without {name}", _MOLMO)
        if not names or len(attributes) != 2 * count:
            strange = next(
                (name for name in attributes if name not in {n for pair in names for n in pair}), "no coordinates"
            )
            raise AnnotationError(text, attributes.get(strange, ("", start))[1], strange, _MOLMO)
        for x, y in names:
            rows.append([_decimal(text, *attributes[x]), _decimal(text, *attributes[y])])
            labels.append(label)
    if not rows:
        raise AnnotationError(text, 0, "no <point> and no <points>", _MOLMO)
    return points_of_rows(text, rows, (100.0, 100.0), size, tuple(labels))


def _decimal(text: str, value: str, position: int) -> Number:
    if _DECIMAL.fullmatch(value.strip(" ")) is None:
        raise AnnotationError(text, position, repr(value[:12]), "a number of percent, from 0 to 100")
    return Number(float(value), position)


def parse_qwen(
    text: str, *, size: Size, units: Literal["thousandths", "pixels"], input_size: Size | None = None
) -> Annotation:
    """Qwen's JSON of boxes or points, bare or in a ```` ```json ```` fence.

    Args:
        text: a list of objects with ``bbox_2d`` or ``point_2d`` and perhaps a ``label``, or one such object; other keys
            are passed over.
        size: (h, w) of the source picture in pixels.
        units: 'thousandths' of the picture's extent (Qwen2-VL, Qwen3-VL), or 'pixels' (Qwen2.5-VL).
        input_size: (h, w) of the picture as the model saw it, which its pixels count; ``size`` unless given. Qwen2.5-VL
            resizes every picture to multiples of 28, so its pixels are those of the source only by chance.

    Returns:
        Annotation of boxes or of points, in source pixels.

    Raises:
        AnnotationError: no JSON, another form, boxes and points in one answer, numbers outside of the picture.
        OptionError: other units, or an input size that goes with thousandths.

    Source: Bai et al., "Qwen2.5-VL technical report" (2025), absolute coordinates; Wang et al., "Qwen2-VL" (2024),
    coordinates in [0, 1000).

    Example:
        >>> text = '[{"bbox_2d": [100, 0, 300, 500], "label": "mug"}]'
        >>> found = parse_qwen(text, size=(100, 200), units="thousandths")
        >>> found.boxes.tolist(), found.labels
        ([[20.0, 0.0, 60.0, 50.0]], ('mug',))
    """
    if units not in ("thousandths", "pixels"):
        raise OptionError(f"units is {units!r}; expected 'thousandths' or 'pixels'")
    if units == "thousandths" and input_size is not None:
        raise OptionError("input_size goes with units='pixels' only; thousandths are of whatever the model saw")
    short_enough(text)
    seen = input_size or size
    extent = (1000.0, 1000.0) if units == "thousandths" else (float(seen[0]), float(seen[1]))
    rows: list[Row] = []
    labels: list[str] = []
    keys: set[str] = set()
    for item, position in _json_objects(text):
        here = [key for key in ("bbox_2d", "point_2d") if key in item]
        if len(here) != 1:
            raise AnnotationError(
                text, position, " and ".join(here) or "an object with neither bbox_2d nor point_2d", _QWEN
            )
        key = here[0]
        keys.add(key)
        if len(keys) > 1:
            raise AnnotationError(text, position, "boxes and points in one answer", _QWEN)
        values, label = item[key], item.get("label", "")
        if not isinstance(label, str):
            raise AnnotationError(text, position, "a label that is no text", _QWEN)
        # json reads true as bool; every number comes as float
        if (
            not isinstance(values, list)
            or len(values) != (4 if key == "bbox_2d" else 2)
            or not all(isinstance(v, float) for v in values)
        ):
            raise AnnotationError(text, position, f"{key} = {_shown(values)}", _QWEN)
        rows.append([Number(v, position) for v in values])
        labels.append(label)
    if keys == {"bbox_2d"}:
        return boxes_of_rows(text, rows, extent, size, tuple(labels), box_format="x0y0x1y1")
    return points_of_rows(text, rows, extent, size, tuple(labels))


def _shown(values: Any) -> str:
    """The beginning of a value as JSON has it, or as Python where JSON has none for it."""
    try:
        return json.dumps(values, allow_nan=False)[:40]
    except ValueError:
        return repr(values)[:40]


def _json_objects(text: str) -> list[tuple[dict[str, Any], int]]:
    """Each object of a JSON list with its position; one by one, because json says where a text breaks, not where values
    lie.
    """
    position, end = 0, len(text.rstrip())
    fence = _FENCE.match(text)
    if fence and text.endswith("```", fence.end(), end):
        position, end = fence.end(), end - 3
    decoder = json.JSONDecoder(parse_int=float, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    objects: list[tuple[dict[str, Any], int]] = []

    def skip(at: int) -> int:
        return end - len(text[at:end].lstrip())

    def wrong(at: int) -> AnnotationError:
        return AnnotationError(text, at, "the end" if at >= end else repr(text[at : at + 12]), _QWEN)

    position = skip(position)
    listed = text[position:end].startswith("[")
    position = skip(position + 1) if listed else position
    while True:
        if not text[position:end].startswith("{"):
            raise wrong(position)
        try:
            item, after = decoder.raw_decode(text[:end], position)
        except json.JSONDecodeError as error:
            raise AnnotationError(text, error.pos, f"no JSON ({error.msg})", _QWEN) from error
        except (ValueError, RecursionError) as error:
            raise AnnotationError(text, position, str(error) or "lists within lists", _QWEN) from error
        objects.append((item, position))
        position = skip(after)
        if listed and text[position:end].startswith(","):
            position = skip(position + 1)
            continue
        break
    if listed:
        if not text[position:end].startswith("]"):
            raise wrong(position)
        position = skip(position + 1)
    if position < end:
        raise wrong(position)
    return objects


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) < len(pairs):
        raise ValueError("an object with one key twice")
    return item


def parse_robopoint(text: str, *, size: Size) -> Annotation:
    """RoboPoint's list of tuples: two numbers are a point, four the corners of a box.

    Args:
        text: tuples of numbers from 0 to 1 over the picture's extent, all of one length.
        size: (h, w) of the source picture in pixels.

    Returns:
        Annotation of points or of boxes, in source pixels.

    Raises:
        AnnotationError: another form, tuples of different lengths, numbers outside of 0 to 1.

    Source: Yuan et al., "RoboPoint" (CoRL 2024).

    Example:
        >>> parse_robopoint("[(0.25, 0.5), (0.5, 1)]", size=(100, 200)).points.tolist()
        [[50.0, 50.0], [100.0, 100.0]]
    """
    rows = number_rows(text, _ROBOPOINT)
    for row in rows:
        if len(row) not in (2, 4) or len(row) != len(rows[0]):
            raise AnnotationError(
                text, row[0].position, f"{len(row)} numbers together", _ROBOPOINT + ", all of one length"
            )
    if len(rows[0]) == 4:
        return boxes_of_rows(text, rows, (1.0, 1.0), size, box_format="x0y0x1y1")
    return points_of_rows(text, rows, (1.0, 1.0), size)


def parse_paligemma(text: str, *, size: Size) -> Annotation:
    """PaliGemma's location tokens: y0 x0 y1 x1 in 1024 steps over the picture's extent.

    Args:
        text: boxes with their names, separated by semicolons; ``<seg...>`` tokens behind a box are passed over.
        size: (h, w) of the source picture in pixels.

    Returns:
        Annotation of boxes, in source pixels.

    Raises:
        AnnotationError: another form, another number of tokens, a step above 1023.

    Source: Beyer et al., "PaliGemma" (2024), location tokens; a step is 1/1024, as published readers of its answers
    divide.

    Example:
        >>> parse_paligemma("<loc0256><loc0000><loc0512><loc0512> mug", size=(100, 200)).boxes.tolist()
        [[0.0, 25.0, 100.0, 50.0]]
    """
    short_enough(text)
    rows: list[Row] = []
    labels: list[str] = []
    position = 0
    while True:
        box = _PALIGEMMA_BOX.match(text, position)
        if box is None:
            at = len(text) - len(text[position:].lstrip())
            raise AnnotationError(text, at, "the end" if at == len(text) else repr(text[at : at + 12]), _PALIGEMMA)
        # <loc0123>: 9 characters, the digits from the fifth on
        y0, x0, y1, x1 = (Number(float(box[1][9 * i + 4 : 9 * i + 8]), box.start(1) + 9 * i + 4) for i in range(4))
        for step in (y0, x0, y1, x1):
            if step.value > 1023:
                raise AnnotationError(text, step.position, f"step {step.value:g}", _PALIGEMMA)
        rows.append([x0, y0, x1, y1])
        labels.append(box[2].strip())
        position = box.end()
        if position == len(text):
            break
        if text[position] != ";":
            raise AnnotationError(text, position, repr(text[position : position + 12]), _PALIGEMMA)
        position += 1
    return boxes_of_rows(text, rows, (1024.0, 1024.0), size, tuple(labels), box_format="x0y0x1y1")
