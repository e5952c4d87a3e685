"""What was acknowledged is on the disk: the bytes before the name, the name before the row, the row before the answer.

A power cut cannot be made here. These tests look at the order in which the system is asked to write, which a kill of
the process cannot tell from another order.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from sqlalchemy import event

from isotherm.studio.heatmaps import HeatmapFolder
from isotherm.studio.store.blobs import Blobs
from isotherm.studio.store.history import History
from isotherm.studio.store.query import MapFacts


@pytest.fixture
def history(tmp_path, url):
    made = History(tmp_path / "studio", url=url)
    yield made
    made.close()


@pytest.fixture
def told(monkeypatch, history):
    """What was asked of the system, in order: files and folders synced, names given, rows acknowledged."""
    lines: list[str] = []
    sync, replace, link = os.fsync, os.replace, os.link

    def kind(fd: int) -> str:
        fpath = Path(f"/proc/self/fd/{fd}").readlink()
        return (
            f"sync {'folder' if fpath.is_dir() else 'file'} {'.new' if fpath.name.startswith('.new') else fpath.name}"
        )

    monkeypatch.setattr(os, "fsync", lambda fd: (lines.append(kind(fd)), sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (lines.append("name"), replace(a, b))[1])
    monkeypatch.setattr(os, "link", lambda a, b, **k: (lines.append("name"), link(a, b, **k))[1])
    event.listen(history._engine, "commit", lambda connection: lines.append("row"))
    return lines


def test_a_picture_is_on_the_disk_before_its_row(history, told):
    history.add_picture("a.png", [b"a", b"b"])
    assert told == ["sync file .new", "name", "sync folder pictures", "row"]


def test_a_runs_folder_is_on_the_disk_before_it_counts_as_finished(history, told):
    run_id = history.add_run("explain", key="k", title="t", model="m", options={}, command="c")
    assert told == ["row"]
    folder = history.runs.dpath / ".work.x"
    (folder / "raw").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "raw" / "a.npz").write_bytes(b"12345")
    del told[:]
    history.finish(run_id, folder, [MapFacts(picture="p", label="cat", method="GradCAM")])
    assert sorted(told[:4]) == ["sync file a.npz", "sync file run.json", "sync folder .work.x", "sync folder raw"]
    assert told[4:] == ["name", "sync folder runs", "row"]


def test_a_heatmap_is_on_the_disk_before_it_has_its_name(tmp_path, told):
    (tmp_path / "a.jpg").write_bytes(b"a picture")
    HeatmapFolder(tmp_path / "heatmaps").keep(tmp_path / "a.jpg")
    assert told == ["sync file .new", "name"]


def test_one_file_takes_the_place_of_another_at_once(tmp_path):
    blobs = Blobs(tmp_path)
    (first, _), (second, _) = blobs.write([b"old"]), blobs.write([b"new"])
    with blobs.path(first).open("rb") as reader:
        blobs.replace(first, second)
        assert reader.read() == b"old"  # who reads has the one or the other
    assert blobs.path(first).read_bytes() == b"new"
    assert list(blobs.ids()) == [first]


def test_sqlite_keeps_what_it_acknowledged_and_readers_wait_for_no_writer(tmp_path):
    history = History(tmp_path / "here")
    with history._engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]  # 2 is FULL
    with history._engine.begin():  # somebody writes
        assert history.counts() == {}
    history.close()
