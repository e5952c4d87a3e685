"""What is kept of pictures, videos and recordings: as long as a run that is kept was asked about them."""

from __future__ import annotations

from functools import partial

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.studio.options import StudioOptions
from isotherm.studio.serve import _forget_old
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.store.history import History

DAY_S = 86400.0


@pytest.fixture
def history(tmp_path, url):
    clock = [1e9]
    made = History(tmp_path / "studio", url=url, now=lambda: clock[0])
    made.clock = clock
    yield made
    made.close()


def run_about(history: History, *pictures: str, results: bytes = b"12345") -> str:
    pairs = [(one, f"{one[:4]}.png") for one in pictures]
    run_id = history.add_run("explain", key="k", title="t", model="m", options={}, command="c", pictures=pairs)
    folder = history.runs.dpath / f".work.{run_id}"
    folder.mkdir()
    (folder / "run.json").write_bytes(results)
    history.finish(run_id, folder, [])
    return run_id


def test_what_no_run_was_asked_about_goes_after_a_while(history):
    asked, waiting, left = (history.add_picture(f"{i}.mp4", [bytes([i]) * 10]) for i in range(3))
    run_id = run_about(history, asked)
    history.add_run("explain", key="w", title="t", model="m", options={}, command="c", pictures=[(waiting, "1.mp4")])
    history.clock[0] += 0.9 * DAY_S
    assert history.forget_pictures(days=1) == []
    history.clock[0] += 0.2 * DAY_S
    assert history.forget_pictures(days=1) == [left]
    with pytest.raises(NotThere, match="there is no picture"):
        history.picture(left)
    assert set(history.pictures.ids()) == {asked, waiting}
    history.remove(run_id)
    assert history.forget_pictures(days=1) == [asked]
    assert history.picture(waiting)[0] == "1.mp4"


def test_what_is_sent_again_is_new_again(history):
    picture_id = history.add_picture("a.png", [b"a"])
    history.clock[0] += 2 * DAY_S
    assert history.add_picture("a.png", [b"a"]) == picture_id
    assert history.forget_pictures(days=1) == []


def test_a_limit_in_bytes_counts_what_runs_were_asked_about_each_once(history):
    video = history.add_picture("a.mp4", [b"v" * 1000])
    first = run_about(history, video)
    history.clock[0] += 1
    second = run_about(history, video)
    assert history.retain(size_bytes=1010) == 0
    assert history.retain(size_bytes=1009) == 1
    with pytest.raises(NotThere):
        history.run(first)
    assert history.run(second).id == second


def test_the_limits_of_the_command_line_let_recordings_go_with_what_was_drawn_of_them(history, tmp_path):
    dpath = tmp_path / "studio"
    forget = partial(_forget_old, history)
    recording = history.add_picture("camera 1.mp4", [b"r"])
    (dpath / "shown").mkdir()
    (dpath / "shown" / f"{recording}-160.jpg").write_bytes(b"small")
    history.clock[0] += 30 * DAY_S
    forget(StudioOptions(dir=dpath))  # no limit: nothing goes
    assert history.picture(recording)
    forget(StudioOptions(dir=dpath, keep_runs=100))
    assert not list(history.pictures.ids())
    assert not list((dpath / "shown").iterdir())


def test_the_same_bytes_have_the_name_that_they_came_with_last(history):
    first = history.add_picture("first.png", [b"12345"])
    assert history.add_picture("second.png", [b"12345"]) == first
    assert history.picture_name(first) == "second.png"
