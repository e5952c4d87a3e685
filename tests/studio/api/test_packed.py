"""JSON is packed where that is taken and worth it, and says the same."""

from __future__ import annotations

import gzip
import json

import pytest

from isotherm.studio.api.packed import SMALL, packed_json

MANY = {"runs": [{"id": f"{i:032x}", "title": "größer", "star": False} for i in range(24)]}


def test_many_facts_are_packed_for_who_takes_it():
    plain, packed = packed_json(MANY, None), packed_json(MANY, "gzip, br")
    assert json.loads(plain.body) == json.loads(gzip.decompress(packed.body)) == MANY
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"
    assert len(packed.body) < len(plain.body) / 4


def test_a_few_facts_stay_as_they_are():
    few = packed_json({"runs": []}, "gzip")
    assert len(few.body) < SMALL
    assert json.loads(few.body) == {"runs": []}


def test_what_is_no_json_is_not_sent():
    with pytest.raises(ValueError, match="JSON"):
        packed_json({"x": float("nan")}, None)
