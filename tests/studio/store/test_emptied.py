"""A run whose folder somebody emptied by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.studio.store.history import History


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
