"""The studio's folder goes, is read-only or full while the studio runs: it says so, lives on, and loses nothing that it
said was kept.
"""

from __future__ import annotations

import errno
import shutil
import threading

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from isotherm.studio.store.history import History
from isotherm.studio.unkept import FULL, LOST, READ_ONLY
from rigs.studio import client_of, events_of, png, send, studio_in
from rigs.studio_jobs import JOBS, PlayJob


@pytest.fixture
def studio(tmp_path):
    """A client of a studio of its own, whose runs play."""
    with studio_in(tmp_path / "studio", jobs=JOBS) as parts, client_of(parts) as client:
        yield client


def play(studio, *steps: str, key: str = "a") -> str:
    return studio.room.submit(PlayJob(steps=steps), key=key, title="t", pictures=[])


def played(studio, *steps: str, key: str = "a") -> tuple[str, dict]:
    """A run and its last event."""
    run = play(studio, *steps, key=key)
    return run, events_of(studio, run)[-1][2]


def refusals(studio, run: str) -> set[tuple[int, str]]:
    """What is answered to all that wants to be kept."""
    answers = [
        studio.patch(f"/api/runs/{run}", json={"note": "too late", "star": True, "tags": ["late"]}),
        studio.post("/api/pictures", params={"name": "b.png"}, content=png(2)),
        studio.post("/api/samples/scene-1"),
        studio.post("/generate_heatmap", files={"picture": ("c.png", png(3))}),
    ]
    return {(answer.status_code, answer.json()["error"]) for answer in answers}


@pytest.fixture
def noted(studio) -> str:
    """A finished run with a note."""
    run, last = played(studio, "one")
    assert last["event"] == "finished"
    assert studio.patch(f"/api/runs/{run}", json={"note": "kept"}).status_code == 200
    return run


def test_a_folder_that_was_moved_away_takes_nothing_and_goes_on_where_it_comes_back(studio, noted, tmp_path):
    dpath = studio.studio.dpath
    dpath.rename(tmp_path / "elsewhere")
    assert refusals(studio, noted) == {(507, LOST)}
    assert studio.get(f"/api/runs/{noted}").json()["note"] == "kept"
    (tmp_path / "elsewhere").rename(dpath)
    assert studio.patch(f"/api/runs/{noted}", json={"note": "kept again"}).status_code == 200
    send(studio, png(2))
    assert played(studio, "two", key="b")[1]["event"] == "finished"


@pytest.mark.parametrize("made_again", [False, True])
def test_a_folder_that_was_removed_keeps_nothing_and_says_so(studio, noted, made_again):
    """SQLite itself would write into the file that was removed, and say that it is kept."""
    shutil.rmtree(studio.studio.dpath)
    if made_again:
        History(studio.studio.dpath).close()
    answer = studio.patch(f"/api/runs/{noted}", json={"note": "too late"})
    assert (answer.status_code, answer.json()["error"]) == (507, LOST)
    assert studio.get("/api/state").status_code == 200


def test_a_run_that_loses_its_folder_ends_with_the_reason_and_the_next_one_is_done(studio, noted, tmp_path):
    run, dpath = play(studio, "one", "wait for a look", "two", key="b"), studio.studio.dpath
    for told in studio.room.events.of(run, timeout_s=5.0):
        if told is not None and told[1]["event"] == "item":
            break
    dpath.rename(tmp_path / "elsewhere")
    studio.room.looked(run)
    # what a page is told, without the request for it: that asks the database, which can be opened only where it was open
    *_, (_, last) = (told for told in studio.room.events.of(run, timeout_s=60.0) if told is not None)
    assert last["error"] == f"the studio could not keep it ({LOST})"
    (tmp_path / "elsewhere").rename(dpath)
    assert studio.get(f"/api/runs/{noted}").json()["note"] == "kept"
    assert played(studio, "three", key="c")[1]["event"] == "finished"


@pytest.mark.parametrize(("step", "words"), [("full", FULL), ("locked", READ_ONLY)])
def test_a_run_that_cannot_write_says_so_in_words(studio, step, words):
    assert played(studio, step)[1]["error"] == words
    assert played(studio, "one", key="b")[1]["event"] == "finished"


@pytest.mark.parametrize(
    ("number", "words", "of_sqlite"),
    [
        (errno.ENOSPC, FULL, "database or disk is full"),
        (errno.EROFS, READ_ONLY, "attempt to write a readonly database"),
        (errno.EACCES, READ_ONLY, "attempt to write a readonly database"),
    ],
)
def test_a_disk_that_takes_nothing_is_named_and_nothing_that_was_kept_is_lost(
    studio, noted, monkeypatch, number, words, of_sqlite
):
    refusing = threading.Event()
    refusing.set()

    def refuse(connection, cursor, statement, *_):
        if refusing.is_set() and not statement.startswith(("SELECT", "BEGIN")):
            raise OperationalError(statement, None, Exception(of_sqlite))

    def full(*_args, **_options):
        raise OSError(number, "the system's words")

    event.listen(studio.history._engine, "before_cursor_execute", refuse)
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.NamedTemporaryFile", full)
        patched.setattr("tempfile.mkstemp", full)
        assert refusals(studio, noted) == {(507, words)}
    refusing.clear()
    assert studio.get(f"/api/runs/{noted}").json()["note"] == "kept"
    assert studio.patch(f"/api/runs/{noted}", json={"note": "kept again"}).status_code == 200
    send(studio, png(2))


def test_an_upload_that_fills_the_disk_leaves_nothing_behind(studio, monkeypatch):
    files = studio.history.pictures

    def full(_):
        raise OSError(errno.ENOSPC, "the system's words")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        answer = studio.post("/api/pictures", params={"name": "b.png"}, content=png(2))
    assert (answer.status_code, answer.json()["error"]) == (507, FULL)
    assert list(files.dpath.iterdir()) == []
