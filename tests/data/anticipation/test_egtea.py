"""EGTEA Gaze+'s two forms."""

from __future__ import annotations

import pytest

from isotherm.data.anticipation.read import read_actions
from isotherm.errors import InputError

SPLIT = "OP91-R01-Soup-66680-68130-F001597-F001639 10 3 4 52\nOP91-R01-Soup-102000-103500 7 1 9\n"
RAW = (
    "# Clip ID (Unique, used only internally); Clip Prefix (Unique); Video Session; Starting Time (ms);  Ending Time (ms); "
    "Action Label; Verb Label; Noun Label(s)\n"
    "1; OP91-R01-Soup-66680-68130; OP91-R01-Soup; 66680; 68130; Take pot; Take; pot\n"
    "2; OP91-R01-Soup-70000-71000; OP91-R01-Soup; 70000; 71000; Cut carrot; Cut; carrot,knife\n"
)


def test_a_split_has_times_in_its_names_and_ids_that_count_from_one(tmp_path):
    fpath = tmp_path / "train_split1.txt"
    fpath.write_text(SPLIT)
    (tmp_path / "verb_idx.txt").write_text("Inspect/Read 1\nMove Around 3\n")
    table = read_actions(fpath)
    first, second = table
    assert (first.video, first.start_s, first.stop_s) == ("OP91-R01-Soup", 66.68, 68.13)
    assert (first.verb, first.noun, first.start_frame, first.stop_frame) == (3, 4, 1597, 1639)
    assert (second.verb, second.noun, second.start_frame) == (1, 9, None)
    assert table.verbs == {1: "Inspect/Read", 3: "Move Around"}
    assert table.notes == ("no noun_idx.txt", "of the nouns of 1 actions the first was taken")


def test_raw_annotations_are_words(tmp_path):
    fpath = tmp_path / "action_labels.csv"
    fpath.write_text(RAW)
    table = read_actions(fpath)
    assert [(a.start_s, a.stop_s, table.label(a)) for a in table] == [
        (66.68, 68.13, "Take pot"),
        (70.0, 71.0, "Cut carrot"),
    ]
    assert table.verbs == {0: "Cut", 1: "Take"}  # in the order of the alphabet, whatever that of the file
    assert table[1].where.endswith(":3")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("OP91-R01-Soup 1 2 3", "expected a session and two times"),
        ("OP91-R01-Soup-1-2 1 2", "3 words"),
        ("OP91-R01-Soup-1-2 0 1 1", "count from 1"),
        ("OP91-R01-Soup-1-2 a 1 1", "action is 'a'"),
        ("OP91-R01-Soup-9-2 1 1 1", "no end before the start"),
    ],
)
def test_what_is_wrong_with_a_line_is_named(tmp_path, line, words):
    fpath = tmp_path / "train_split1.txt"
    fpath.write_text(SPLIT + line + "\n")
    with pytest.raises(InputError) as error:
        read_actions(fpath, format="egtea-split")
    assert words in str(error.value)
    assert "train_split1.txt:3" in str(error.value)
    assert len(read_actions(fpath, format="egtea-split", skip_bad=True)) == 2


def test_what_is_wrong_with_a_raw_row_is_named(tmp_path):
    fpath = tmp_path / "action_labels.csv"
    fpath.write_text(RAW.replace("; 70000;", "; soon;"))
    with pytest.raises(InputError, match=":3: Starting Time"):
        read_actions(fpath)
    fpath.write_text(RAW.replace("carrot,knife", "carrot; knife"))
    with pytest.raises(InputError, match="with ';'"):
        read_actions(fpath)
