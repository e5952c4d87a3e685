"""What is hidden in texts of others is spelt out, and nothing else is."""

from __future__ import annotations

import os

import pytest

from isotherm.ops.visible import markup, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\u202egnp", r"a\u202egnp"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        (os.fsdecode(b"a\xff"), r"a\xff"),
        ("\ud83d", r"\ud83d"),
        ("صورة 写真 🦎 👩\u200d🔬 café", "صورة 写真 🦎 👩\u200d🔬 café"),
    ],
)
def test_hidden_characters_are_spelt_and_letters_of_all_scripts_stay(text, shown):
    assert visible(text) == shown
    assert visible(shown) == shown
    visible(text).encode()


def test_line_breaks_stay_where_they_do_no_harm():
    assert visible("a\n\tb\x1b", lines=True) == "a\n\tb\\x1b"


def test_markup_is_text():
    assert markup("<b title='x'>\x1b\udcff") == r"&lt;b title=&#x27;x&#x27;&gt;\x1b\xff"
    assert markup(3) == "3"
