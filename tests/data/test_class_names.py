"""Class names from files, and what is said where they are none."""

from __future__ import annotations

import pytest

from isotherm.data.class_names import read_class_names
from isotherm.errors import InputError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "cat\nsmall dog\nneither\n"),
        ("a.txt", "\ufeffcat\r\n small dog \r\nneither\n\n"),
        ("a.names", "cat\nsmall dog\nneither"),
        ("a.json", '["cat", "small dog", "neither"]'),
        ("a.json", '{"2": "neither", "0": "cat", "1": "small dog"}'),
    ],
)
def test_names_stand_in_the_order_of_their_numbers(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    assert read_class_names(tmp_path / name) == ["cat", "small dog", "neither"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", None, "cannot be read .*; check the path"),
        ("a.txt", b"", r"are empty"),
        ("a.txt", b"cat\n\ndog", r"class 1 has no name in .*a\.txt \(''\)"),
        ("a.txt", b"\xff\xfe\x00c", "are no text"),
        ("a.json", b"[1, 2]", r"class 0 has no name in .* \(1\)"),
        ("a.json", b'{"0": "cat", "2": "dog"}', r"have no 1; expected a name for each number from 0 to 1"),
        ("a.json", b"cat\ndog", "cannot be read as JSON .*; expected a list of names"),
        ("a.json", b"3", "are a int; expected a list of names"),
    ],
)
def test_what_is_no_list_of_names_is_refused(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_class_names(tmp_path / name)
