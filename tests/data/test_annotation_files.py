"""Annotation files as values: JSON as the standard library reads it, with lines; CSV; and what is refused."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.data.annotation_files import MAX_BYTES, Entry, Skipped, number, number_in_text, read_csv, read_json
from isotherm.errors import InputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def plain(value):
    """The values without their lines."""
    if isinstance(value, dict):
        return {key: plain(one) if isinstance(one, list) else one for key, one in value.items()}
    return [one.value for one in value]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(VALUES, max_size=5) | st.dictionaries(st.text(max_size=4), VALUES, max_size=5),
    st.sampled_from([None, 0, 3]),
)
def test_json_is_what_the_standard_library_reads(tmp_path_factory, value, indent):
    fpath = tmp_path_factory.getbasetemp() / "any.json"
    fpath.write_text(json.dumps(value, indent=indent), encoding="utf-8")
    assert plain(read_json(fpath)) == json.loads(fpath.read_text(encoding="utf-8"))


def test_every_entry_knows_its_line(tmp_path):
    fpath = tmp_path / "a.json"
    fpath.write_text(
        '\ufeff{"info": {"x":\n 1},\n "images": [\n\n{"id": 1}, {"id":\n2},\n   {"id": 3}]\n}\n', encoding="utf-8"
    )
    assert read_json(fpath) == {
        "info": {"x": 1},
        "images": [Entry({"id": 1}, f"{fpath}:5"), Entry({"id": 2}, f"{fpath}:5"), Entry({"id": 3}, f"{fpath}:7")],
    }


def test_rows_know_the_line_that_they_begin_in(tmp_path):
    fpath = tmp_path / "a.csv"
    fpath.write_bytes(b'a,b\r\n1,"two\r\nlines"\r\n\r\n,\r\n3,4\r\n')
    assert read_csv(fpath) == [
        Entry(["a", "b"], f"{fpath}:1"),
        Entry(["1", "two\r\nlines"], f"{fpath}:2"),
        Entry(["3", "4"], f"{fpath}:6"),
    ]


BAD = {
    # name: the reader, the file's bytes (None: no file), words of the message
    "missing": (read_json, None, "there is no annotation file"),
    "empty": (read_json, b"", r"is empty \(0 bytes\)"),
    "not utf-8": (read_json, b'[\n"\xff"]', r"a\.x:2: byte 3 is not UTF-8"),
    "a word": (read_json, b"hello", r"a\.x:1: begins with 'hello'; expected a JSON object or list"),
    "a number": (read_json, b" 3", "expected a JSON object or list"),
    "cut short": (read_json, b'{"a": [\n{"b": 1},\n', r"a\.x:3: column 1: not JSON: Expecting value"),
    "cut in a list": (read_json, b"[1, 2", r"Expecting ',' delimiter"),
    "no comma": (read_json, b"[1\n2]", r"a\.x:2: column 1: not JSON: Expecting ',' delimiter"),
    "a last comma": (read_json, b"[1,]", "not JSON: Expecting value"),
    "a last comma in an object": (read_json, b'{"a": 1,}', "property name"),
    "no colon": (read_json, b'{"a" 1}', "Expecting ':' delimiter"),
    "something after": (read_json, b"[1]\n[2]", r"a\.x:2: column 1: not JSON: Extra data"),
    "a key twice": (read_json, b'[1,\n{"id": 1, "id": 2}]', r"a\.x:2: the key 'id' occurs twice"),
    "a list twice": (read_json, b'{"a": [],\n"a": []}', "the key 'a' occurs twice"),
    "too deep": (read_json, b"[" * 200_000, "too deep|not JSON"),
    "a huge number": (read_json, b"[" + b"9" * 5000 + b"]", "not JSON that can be read"),
    "csv of nothing": (read_csv, b"\n\n,,\n", "has no rows"),
    "csv with more columns": (read_csv, b"a,b\n1,2\n1,2,3\n", r"a\.x:3: 3 columns; the first row has 2"),
    "csv with open quotes": (read_csv, b'a,b\n1,"2\n', r"a\.x:2: not CSV"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    reader, content, says = BAD[case]
    if content is not None:
        (tmp_path / "a.x").write_bytes(content)
    with pytest.raises(InputError, match=says):
        reader(tmp_path / "a.x")


def test_a_disk_image_is_not_read(tmp_path):
    (tmp_path / "a.json").touch()
    os.truncate(tmp_path / "a.json", MAX_BYTES + 1)  # a hole, which takes no room
    with pytest.raises(InputError, match=r"has 1\.00 GB; at most 1 GB"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match="is a folder"):
        read_json(tmp_path)


@pytest.mark.parametrize("value", ["1", True, None, [1], float("nan"), float("inf"), 10**400])
def test_what_is_not_a_number(value):
    with pytest.raises(InputError, match=r"a:1: x is .*; expected a (finite )?number"):
        number(value, "a:1", "x")


@pytest.mark.parametrize("text", ["nan", "inf", "1_000", "1,5", "0x10", "", "1 2", "٣", "1e999"])
def test_text_that_is_not_a_number(text):
    with pytest.raises(InputError, match=r"a:1: x is .*; expected a (finite )?number"):
        number_in_text(text, "a:1", "x")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_text(value):
    assert number_in_text(f" {value!r} ", "a:1", "x") == value


def test_skipping():
    strict, lenient = Skipped(allowed=False), Skipped(allowed=True)
    with pytest.raises(InputError, match="bad"), strict.one():
        raise InputError("bad")
    with lenient.one():
        raise InputError("bad")
    with pytest.raises(KeyError), lenient.one():  # our own mistakes are never skipped
        raise KeyError
    assert lenient.messages == ["bad"]


def test_an_annotation_file_has_its_article(tmp_path):
    (tmp_path / "empty.json").write_text("")
    with pytest.raises(InputError, match="expected an annotation file"):
        read_json(tmp_path)
    with pytest.raises(InputError, match="expected an annotation file"):
        read_json(tmp_path / "empty.json")
