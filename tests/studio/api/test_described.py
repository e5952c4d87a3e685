"""A value that the description does not admit is answered as the description says: 422, whatever address it is of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import isotherm
from isotherm.studio.app import make_app

IDS = "0" * 32


def forbidden(schema: dict[str, Any]) -> str | None:
    """A value that a parameter may not have; None where any text may be."""
    for kind in schema.get("anyOf", [schema]):
        if "enum" in kind:
            return "none-of-them"
        if "pattern" in kind and kind["pattern"] != r"^[^\u0000]*$":
            return "../x"
        if "minimum" in kind:
            return str(kind["minimum"] - 1)
        if kind.get("type") in ("integer", "number", "boolean"):
            return "a-word"
    return None


def requests(description: dict[str, Any]) -> list[tuple[str, str, dict[str, str], list[str]]]:
    """A request for each parameter that has forbidden values: method, path, query, described statuses."""
    made = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            parameters = operation.get("parameters", [])
            for wrong in parameters:
                value = forbidden(wrong["schema"])
                if value is None or (wrong["in"] == "path" and "/" in value):
                    value = "not-an-id" if wrong["in"] == "path" and value is not None else None
                if value is None or wrong["in"] == "header":
                    continue
                filled, query = path, {}
                for one in parameters:
                    given = value if one is wrong else usual(one["schema"])
                    if one["in"] == "path":
                        filled = filled.replace("{" + one["name"] + "}", given)
                    elif one is wrong or one.get("required"):
                        query[one["name"]] = given
                made.append((method.upper(), filled, query, sorted(operation["responses"])))
    return made


def usual(schema: dict[str, Any]) -> str:
    """A value that a parameter may have."""
    return str(next(iter(schema.get("enum", schema.get("examples", ["0"])))))


@pytest.mark.parametrize("least", [20])
def test_what_the_description_forbids_is_422_everywhere(studio, least):
    asked = requests(make_app(studio.studio).openapi())
    assert len(asked) >= least
    wrong = []
    for method, path, query, described in asked:
        answer = studio.request(method, path, params=query)
        if answer.status_code != 422 or "422" not in described or "error" not in answer.json():
            wrong.append((method, path, query, answer.status_code))
    assert wrong == []


def test_every_address_that_the_page_asks_is_described(studio):
    """As far as its scripts can be read; the browser's tests look at what is really asked."""
    paths = make_app(studio.studio).openapi()["paths"]
    known = re.compile("|".join(re.sub(r"\{\w+\}", "[^/]+", path) for path in paths))
    asked = set()
    for folder in ("studio/page", "draw/page"):
        for fpath in (Path(isotherm.__file__).parent / folder).glob("*.js"):
            for text in re.findall(r"[`\"'](/api/[^`\"'?]*)", fpath.read_text()):
                asked.add(re.sub(r"\$\{query\(.*|\$\{[^}]*\}?", lambda match: "" if "query" in match[0] else "*", text))
    assert len(asked) > 20
    assert {path for path in asked if not known.fullmatch(path)} == set()
