"""Runs that go: a folder that somebody emptied by hand, and one that is removed to make room on a full disk."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from isotherm.studio.store.history import History
from isotherm.studio.store.query import Query


def test_a_run_whose_folder_was_emptied_is_none(tmp_path):
    history = History(tmp_path)
    run_id = history.add_run("explain", key="a", title="t", model="m", options={}, command="c")
    folder = history.runs.dpath / f".work.{run_id}"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    history.finish(run_id, folder, [])
    assert history.same("a").id == run_id
    (history.runs.path(run_id) / "run.json").unlink()
    assert history.same("a") is None
    assert history.sweep() == [f"the folder of run {run_id} was emptied"]
    assert (history.run(run_id).status, history.run(run_id).message) == ("failed", "its folder was emptied")
    assert history.sweep() == []
    history.close()


@pytest.fixture
def kept(tmp_path, url):
    """A history and a run that has finished."""
    history = History(tmp_path / "studio", url=url)
    run_id = history.add_run("explain", key="a", title="t", model="m", options={}, command="c")
    folder = history.runs.dpath / f".work.{run_id}"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    history.finish(run_id, folder, [])
    yield history, run_id
    history.close()


def refuse(history, while_, error) -> None:
    """Let what removes rows fail as long as something is so."""

    def fail(connection, cursor, statement, *_):
        if statement.startswith("DELETE") and while_():
            raise error

    event.listen(history._engine, "before_cursor_execute", fail)


def test_a_run_can_be_removed_from_a_disk_without_room(kept):
    """Which is how room is made; the database has to write before it can forget."""
    history, run_id = kept
    refuse(
        history,
        history.runs.path(run_id).exists,
        OperationalError("DELETE", None, Exception("database or disk is full")),
    )
    history.remove(run_id)
    assert history.search(Query()).runs == []
    assert list(history.runs.ids()) == []


def test_a_run_that_cannot_be_forgotten_for_another_reason_keeps_its_files(kept):
    history, run_id = kept
    refuse(history, lambda: True, OperationalError("DELETE", None, Exception("disk I/O error")))
    with pytest.raises(OperationalError, match="I/O"):
        history.remove(run_id)
    assert history.runs.path(run_id).is_dir()
    assert history.run(run_id).id == run_id
