"""How often clips show what they are to predict, and what frame numbers count."""

from __future__ import annotations

import pytest

from isotherm.data.anticipation.actions import Action, ActionTable, VideoFacts
from isotherm.data.anticipation.anchors import ClipPlan
from isotherm.data.anticipation.leak import frame_clocks, leak, legacy_rate_hz, main
from isotherm.errors import InputError
from rigs.action_tables import write_epic_kitchens


def row(start_s, length_s, *, counted_hz=60.0, video="a"):
    frames = int(start_s * counted_hz), int((start_s + length_s) * counted_hz)
    return Action(video, start_s, start_s + length_s, 0, 0, start_frame=frames[0], stop_frame=frames[1])


def table_of(*rows, rate=60.0):
    return ActionTable(rows, videos={"a": VideoFacts(rate)})


def test_legacy_shows_every_action_that_lasts_longer_than_the_anticipation_time():
    found = leak(table_of(row(20, 3), row(30, 0.5), row(40, 1.5), row(50, 0.9)), ClipPlan(protocol="legacy"))
    assert (found.clips, found.late, found.showing) == (4, 2, 2)
    # of 32 frames, 7/60 s apart, up to 1 s before the end: 17 within 2 s, 4 within half a second
    assert found.frames == pytest.approx((17 + 4) / 4 / 32)
    # by the last one, 7/60 s before the clip's end
    assert found.action == pytest.approx(((2 - 7 / 60) / 3 + (0.5 - 7 / 60) / 1.5) / 4)
    assert str(found).startswith("2 of 4 clips (50.0%) show the action")


def test_ours_shows_none_and_says_which_have_no_clip():
    found = leak(table_of(row(20, 3), row(0.5, 3), row(2, 1)), ClipPlan())
    assert (found.clips, found.without, found.late, found.showing, found.frames, found.action) == (2, 1, 0, 0, 0, 0)
    assert found.short == 1
    assert str(found) == (
        "none of 2 clips shows the action that it is to predict; 1 actions begin too early in their video for a clip"
    )
    with pytest.raises(InputError, match="none of 1 actions"):
        leak(table_of(row(0.5, 3)), ClipPlan())


def test_frame_numbers_that_count_another_clock_show_more():
    """Numbers of 60 a second in a video of 59.94: an hour in, the frames that are read are 3.6 s late."""
    rows = [row(3600, 0.5), row(3700, 0.6)]
    assert leak(table_of(*rows, rate=60.0), ClipPlan(protocol="legacy")).showing == 0
    found = leak(table_of(*rows, rate=59.94), ClipPlan(protocol="legacy"))
    assert (found.late, found.showing) == (0, 2)
    (clock,) = frame_clocks(table_of(*rows, rate=59.94))
    assert clock.counted_hz == pytest.approx(60, abs=1e-3)
    assert clock.apart_s == pytest.approx(3700 * 60 / 59.94 - 3700, abs=0.02)


def test_the_rate_of_whole_steps():
    assert legacy_rate_hz(59.94, 8) == pytest.approx(8.563, abs=1e-3)
    assert legacy_rate_hz(24, 8) == 8


def test_the_report_of_a_table(tmp_path, capsys):
    main([str(write_epic_kitchens(tmp_path))])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 actions in 2 videos"
    assert lines[1].startswith("clips that end 1 s before the action's start: none of 2 clips")
    assert "2 of 3 clips" in lines[2]
    assert "1 videos of 30.00 frames a second: the table's frame numbers count 60.00 a second" in lines[3]
    assert "clips of 'legacy' at 8 frames a second have 8.56" in lines[4]
    (tmp_path / "EPIC_100_video_info.csv").unlink()
    main([str(tmp_path / "EPIC_100_validation.csv")])
    assert "cannot be worked out" in capsys.readouterr().out


def test_what_cannot_be_read_is_said_without_a_traceback(tmp_path):
    with pytest.raises(SystemExit, match="usage"):
        main([])
    with pytest.raises(SystemExit, match="nowhere"):
        main([str(tmp_path / "nowhere.csv")])
