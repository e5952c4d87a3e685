"""What a framework says about a request -> a sentence for a person: which field, what was given, what is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MOST_LETTERS = 60
"""Of what was given, in a sentence about it."""
ID_PATTERN = "^[0-9a-f]{32}$"
UNREADABLE = (
    "the body is no JSON that can be read: lists or objects lie too deep within each other, or a number is too long"
)

Context = Mapping[str, Any]
EXPECTED: Mapping[str, Callable[[Context], str]] = {
    "literal_error": lambda has: f"expected {has['expected']}",
    "greater_than_equal": lambda has: f"expected at least {has['ge']:g}",
    "less_than_equal": lambda has: f"expected at most {has['le']:g}",
    "int_parsing": lambda _: "expected a whole number",
    "int_parsing_size": lambda _: "expected a smaller number",
    "int_type": lambda _: "expected a whole number",
    "int_from_float": lambda _: "expected a whole number",
    "float_parsing": lambda _: "expected a number",
    "float_type": lambda _: "expected a number",
    "finite_number": lambda _: "expected a finite number",
    "bool_parsing": lambda _: "expected true or false",
    "bool_type": lambda _: "expected true or false",
    "string_type": lambda _: "expected text",
    "list_type": lambda _: "expected a list",
    "dict_type": lambda _: "expected an object",
    "model_attributes_type": lambda _: "expected an object",
    "string_too_long": lambda has: f"expected at most {has['max_length']} letters",
    "string_too_short": lambda has: f"expected at least {has['min_length']} letter(s)",
    "too_long": lambda has: f"expected at most {has['max_length']} entries",
    "too_short": lambda has: f"expected at least {has['min_length']} entries",
}


def problem(error: Mapping[str, Any]) -> str:
    """A sentence about one value that a request may not have.

    Args:
        error: as pydantic has it: ``loc``, ``type``, ``input``, ``ctx``, ``msg``.

    Example:
        >>> problem({"loc": ("query", "limit"), "type": "int_parsing", "input": "many", "msg": ""})
        "limit is 'many'; expected a whole number"
    """
    where = ".".join(str(part) for part in error["loc"][1:]) or "the body"
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "json_invalid":
        return f"the body is no JSON ({str(context.get('error', 'it ends too soon')).lower()}); expected an object"
    if kind == "missing":
        return "there is no body; expected a JSON object" if where == "the body" else f"{where} is missing"
    if kind == "extra_forbidden":
        return f"there is no field {where}; what there is stands in /openapi.json"
    if kind == "string_pattern_mismatch":
        if context.get("pattern") == ID_PATTERN:
            return f"{where} is {_short(error['input'])}, which is no id; expected 32 letters of 0-9 and a-f"
        return f"{where} is {_short(error['input'])}; expected text of the form {context.get('pattern')}"
    expected = EXPECTED.get(kind, lambda _: "expected what /openapi.json describes")(context)
    return f"{where} is {_short(error.get('input'))}; {expected}"


def plain_detail(status: int, detail: str, *, method: str, path: str, allowed: str) -> tuple[int, str]:
    """Status and sentence in place of what a framework says of an address or a body.

    Args:
        status: of HTTP.
        detail: the framework's words.
        method: of the request.
        path: of the request.
        allowed: methods that the address has.
    """
    if (status, detail) == (404, "Not Found"):
        return 404, f"there is nothing at {path[:MOST_LETTERS]!r}; what there is stands in /openapi.json"
    if (status, detail) == (405, "Method Not Allowed"):
        return 405, f"{method} does nothing at {path[:MOST_LETTERS]!r}; expected {allowed or 'another method'}"
    if (status, detail) == (400, "There was an error parsing the body"):
        return 422, UNREADABLE
    return status, detail


def encodable(text: str) -> str:
    """The text, with a question mark for every half of a character, which no answer can carry."""
    return text.encode("utf-8", "replace").decode()


def _short(value: Any) -> str:
    """What was given, in few words of JSON."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes that are no JSON"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"
