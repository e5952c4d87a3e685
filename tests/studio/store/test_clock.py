"""A clock that is put back while a run is worked on."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.studio.store.history import History
from isotherm.studio.store.query import Query


@pytest.mark.parametrize("status", ["finished", "failed"])
def test_no_run_ends_before_it_began(tmp_path, url, status):
    clock = [2e9]
    history = History(tmp_path / "studio", url=url, now=lambda: clock[0])
    run_id = history.add_run("explain", key="k", title="t", model="m", options={}, command="c")
    clock[0] -= 3600
    if status == "finished":
        folder = history.runs.dpath / ".work.x"
        folder.mkdir()
        (folder / "run.json").write_text("{}")
        history.finish(run_id, folder, [])
    else:
        history.set_status(run_id, status)
    run = history.run(run_id)
    assert (run.status, run.ended_s) == (status, run.created_s)
    # what is asked now lies behind it in the history, and is found
    second = history.add_run("explain", key="k", title="t", model="m", options={}, command="c")
    assert [one.id for one in history.search(Query()).runs] == [run_id, second]
    assert history.retain(days=1.0) == 0
    history.close()
