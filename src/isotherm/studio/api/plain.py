"""What every request's JSON and query must be before anything else looks at it: text and numbers that can be kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Request
from pydantic import Field
from pydantic.config import JsonDict

from isotherm import limits
from isotherm.studio.api.refusals import Refused

MOST_DEPTH = limits.REQUEST_DEPTH
"""Lists and objects within each other, in a request."""
LARGEST = 1 << 63
"""Whole numbers from here on are refused: no database and no option has them."""
DESCRIBED: JsonDict = {"pattern": r"^[^\u0000]*$"}
"""Of text, for the description."""
VALUE: JsonDict = {
    "anyOf": [
        {"type": "string", **DESCRIBED},
        {"type": "number", "exclusiveMinimum": -LARGEST, "exclusiveMaximum": LARGEST},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "array", "items": {"type": ["string", "number"], "maximum": 1e9, "minimum": -1e9, **DESCRIBED}},
    ]
}
"""Of an option, for the description."""
Options = Annotated[
    dict[str, Any], Field(json_schema_extra={"additionalProperties": VALUE, "propertyNames": DESCRIBED})
]
"""Options of a job, by their names."""
MADE_HARMLESS = "name"
"""A query word that any text may be: the name of a file, which is cleaned where it is used."""


async def check_plain(request: Request) -> None:
    """Refuse a request whose query or JSON holds what can be neither kept nor shown.

    Args:
        request: of any route; only those that take JSON have their body read here.

    Raises:
        Refused: half a character, a NUL, no number, a number too large, or lists too deep; says where.
    """
    for key, value in request.query_params.multi_items():
        if key != MADE_HARMLESS:
            _check(value, key[:60], 0)
    if getattr(request.scope.get("route"), "body_field", None) is not None:
        try:
            body = json.loads(await request.body() or b"null")
        except ValueError:
            return  # what is no JSON is refused in the words for that
        except RecursionError as error:
            raise Refused(422, f"the body has more than {MOST_DEPTH} lists or objects within each other") from error
        _check(body, "", 0)


def _check(value: Any, where: str, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Refused(422, f"{where or 'the body'}: NaN and infinity are no numbers here; expected a finite number")
    elif isinstance(value, int) and not -LARGEST < value < LARGEST:
        raise Refused(422, f"{where or 'the body'}: a number of {len(f'{value:x}')} hexadecimal digits is too large")
    elif isinstance(value, list | dict):
        if depth >= MOST_DEPTH:
            raise Refused(422, f"{where}: more than {MOST_DEPTH} lists or objects within each other")
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, one in pairs:
            _check_text(str(key), where or "the body")
            _check(one, f"{where}.{key}".lstrip(".")[:120], depth + 1)


def _check_text(text: str, where: str) -> None:
    if "\0" in text:
        raise Refused(422, f"{where}: the text has a NUL character (\\0), which cannot be kept; leave it out")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Refused(
            422, f"{where}: the text has half a character (a lone surrogate, \\ud800 to \\udfff); send it whole"
        )
