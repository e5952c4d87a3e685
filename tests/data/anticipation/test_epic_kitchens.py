"""EPIC-KITCHENS-100's tables as they are, and everything that can be wrong with a row, with its line."""

from __future__ import annotations

import pytest

from isotherm.data.anticipation.actions import twice
from isotherm.data.anticipation.epic_kitchens import read_class_names, read_epic_kitchens, read_missing_timestamps
from isotherm.data.anticipation.read import read_actions
from isotherm.errors import InputError
from rigs.action_tables import HEADER, ROWS, write_epic_kitchens


def test_rows_are_read_with_what_lies_beside_them(tmp_path):
    table = read_actions(write_epic_kitchens(tmp_path))
    assert len(table) == 3
    first, second, third = table
    assert (first.video, first.start_s, first.stop_s, first.verb, first.noun) == ("P90_01", 10.0, 12.0, 3, 8)
    assert (first.start_frame, first.stop_frame, first.name, first.narration) == (600, 720, "P90_01_0", "open drawer")
    assert second.start_s == 60.25  # its narration has no time, which nothing here needs
    assert second.where.endswith("EPIC_100_validation.csv:3")
    assert table.label(first) == "open drawer"
    assert table.videos["P90_01"].rate_hz == 59.9400599400599
    assert table.videos["P90_02"].size == (720, 1280)
    assert table.of_videos() == {"P90_01": (0, 1), "P90_02": (2,)}
    assert table.notes == table.skipped == twice(table) == ()
    assert third.verb == 0


def test_a_test_table_has_no_classes(tmp_path):
    columns = [0, 1, 2, 3, 4, 5, 6, 7]
    rows = [",".join(row.split(",")[i] for i in columns) for row in ROWS[1:]]
    (tmp_path / "t").mkdir()
    fpath = write_epic_kitchens(tmp_path / "t", rows, ",".join(HEADER.split(",")[i] for i in columns))
    table = read_epic_kitchens(fpath)
    assert [a.verb for a in table] == [None, None]
    assert "no classes" in table.notes[0]
    assert table.label(table[0]) == "not known"


def test_tables_that_are_not_there_are_noted(tmp_path):
    fpath = write_epic_kitchens(tmp_path)
    for name in ("EPIC_100_video_info.csv", "EPIC_100_verb_classes.csv"):
        (tmp_path / name).unlink()
    table = read_epic_kitchens(fpath)
    assert table.notes == ("no table of verbs", "no table of videos")
    assert table.label(table[0]) == "3 drawer"
    with pytest.raises(InputError, match="give the table of videos"):
        table.rate_of("P90_01")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("00:00:10.00", "10 s", ":2: start_timestamp is '10 s'; expected hours:minutes:seconds"),
        ("00:00:10.00", "00:00:13.00", ":2: the action lasts from 13 to 12 s"),
        (",3,drawer", ",x,drawer", ":2: verb_class is 'x'; expected a whole number"),
        (",600,", ",-600,", ":2: start_frame is '-600'"),
        ("P90_01,00", "P90_07,00", ":2: the video 'P90_07' is not in"),
        ("P90_01_0,", ",", ":2: narration_id is ''; expected text"),
        ("open drawer", "open, drawer", ":2: 16 columns; the first row has 15"),
    ],
)
def test_what_is_wrong_with_a_row_is_named_with_its_line(tmp_path, before, after, words):
    fpath = write_epic_kitchens(tmp_path, [ROWS[0].replace(before, after, 1), ROWS[1]])
    with pytest.raises(InputError) as error:
        read_epic_kitchens(fpath)
    assert words in str(error.value)


def test_bad_rows_can_be_left_out(tmp_path):
    table = read_epic_kitchens(
        write_epic_kitchens(tmp_path, [ROWS[0].replace("00:00:10.00", "?"), ROWS[1]]), skip_bad=True
    )
    assert len(table) == 1
    assert ":2: start_timestamp" in table.skipped[0]


def test_columns_that_are_missing_are_named(tmp_path):
    with pytest.raises(InputError, match="'stop_timestamp' is there 0 times"):
        read_epic_kitchens(write_epic_kitchens(tmp_path, header=HEADER.replace("stop_timestamp", "end_timestamp")))
    with pytest.raises(InputError, match="'noun_class' is there 0 times"):
        read_epic_kitchens(write_epic_kitchens(tmp_path, header=HEADER.replace(",noun_class", ",noun_number")))


def test_names_and_lists(tmp_path):
    fpath = tmp_path / "a.csv"
    fpath.write_text(",narration_id\n0,P01_09_660\n1,P01_09_789\n")  # as published, with a nameless column
    assert read_missing_timestamps(fpath) == {"P01_09_660", "P01_09_789"}
    fpath.write_text('"id","key","instances","category"\n0,"tap","[]","x"\n0,"spoon","[]","x"\n')
    with pytest.raises(InputError, match=":3: the id 0 occurs twice"):
        read_class_names(fpath)


def test_what_is_no_table_of_actions_is_refused(tmp_path):
    fpath = tmp_path / "a.csv"
    fpath.write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="no table of actions that is known"):
        read_actions(fpath)
