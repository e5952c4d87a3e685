"""The studio's history: the same over SQLite and PostgreSQL, found again after restarts, whole after crashes."""

from __future__ import annotations

import sqlite3
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.errors import InputError, OptionError
from isotherm.studio.store.blobs import Blobs, checked_id, new_id
from isotherm.studio.store.database import open_database
from isotherm.studio.store.history import History
from isotherm.studio.store.query import MapFacts, Query


class Clock:
    """A clock that goes on a second each time that somebody looks."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def __call__(self) -> float:
        self.time_s += 1
        return self.time_s


@pytest.fixture
def history(tmp_path, url):
    made = History(tmp_path / "studio", url=url, now=Clock())
    yield made
    made.close()


def add(history: History, title: str = "photo.jpg", *, model: str = "imagenet", key: str = "k") -> str:
    return history.add_run("explain", key=key, title=title, model=model, options={"top": 2}, command="isotherm explain")


def results(history: History, *labels: str, verdict: str | None = "doubtful") -> tuple[Path, list[MapFacts]]:
    folder = history.runs.dpath / f".work.{new_id()}"
    (folder / "raw").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "raw" / "a.npz").write_bytes(b"12345")
    maps = [
        MapFacts(picture="photo.jpg", label=label, method="GradCAM", verdict=verdict, statistics={"peak": 0.5})
        for label in labels
    ]
    return folder, maps


def finished(history: History, *labels: str, verdict: str | None = "doubtful", **facts) -> str:
    run_id = add(history, **facts)
    history.finish(run_id, *results(history, *labels, verdict=verdict))
    return run_id


def names(blobs: Blobs) -> list[str]:
    """Everything in the folder, also what is hidden."""
    return [path.name for path in blobs.dpath.iterdir()]


def ids(history: History, **query) -> list[str]:
    return [run.id for run in history.search(Query(**query)).runs]


def test_a_run_from_its_request_to_its_results(history):
    run_id = add(history)
    assert (history.run(run_id).status, history.run(run_id).options) == ("queued", {"top": 2})
    history.set_status(run_id, "running")
    folder, maps = results(history, "cat", "tiger cat")
    history.finish(run_id, folder, maps)
    run = history.run(run_id)
    assert (run.status, run.created_s, run.ended_s) == ("finished", 1001.0, 1002.0)
    assert [one.label for one in run.maps] == ["cat", "tiger cat"]
    assert run.maps[0] == maps[0]
    assert (history.runs.path(run_id) / "raw" / "a.npz").read_bytes() == b"12345"
    assert not folder.exists()


def test_everything_is_there_after_a_restart(tmp_path, url):
    before = History(tmp_path / "studio", url=url)
    run_id = finished(before, "cat")
    before.tag(run_id, ["good", "to  show"])
    before.annotate(run_id, note="Look at the ear", marks=[{"box": [1, 2, 3, 4]}])
    before.star(run_id, True)
    picture = before.add_picture("photo.jpg", [b"ab", b"c"])
    before.close()
    after = History(tmp_path / "studio", url=url)
    run = after.run(run_id)
    assert (run.tags, run.note, run.star) == (("good", "to show"), "Look at the ear", True)
    assert run.marks == [{"box": [1, 2, 3, 4]}]
    name, fpath = after.picture(picture)
    assert (name, fpath.read_bytes()) == ("photo.jpg", b"abc")
    after.close()


def test_searches_by_everything(history):
    cat = finished(history, "cat", title="chelsea.png")
    dog = finished(history, "dog", "50%_off", title="rex.jpg", model="resnet50", verdict="believable")
    failed = add(history, title="bad.jpg", model="resnet50")
    history.set_status(failed, "failed", "out of memory")
    history.tag(dog, ["paper"])
    history.annotate(cat, note="The Ear")
    history.star(cat, True)
    assert ids(history) == [failed, dog, cat]
    assert ids(history, order="oldest") == [cat, dog, failed]
    assert ids(history, words="EAR") == [cat]
    assert ids(history, words="rex paper") == [dog]
    assert ids(history, words="rex ear") == []
    assert ids(history, words="50%_") == [dog]
    assert ids(history, words="0%o") == []
    assert ids(history, model="resnet50") == [failed, dog]
    assert ids(history, label="cat") == [cat]
    assert ids(history, verdict="believable") == [dog]
    assert ids(history, tag="paper") == [dog]
    assert ids(history, starred=True) == [cat]
    assert ids(history, status="failed", model="resnet50") == [failed]
    times = {run.id: run.created_s for run in history.search(Query()).runs}
    assert ids(history, since_s=times[dog]) == [failed, dog]
    assert ids(history, until_s=times[dog]) == [cat]
    assert history.choices() == {
        "model": ["imagenet", "resnet50"],
        "label": ["50%_off", "cat", "dog"],
        "verdict": ["believable", "doubtful"],
        "tag": ["paper"],
    }
    history.tag(dog, [])
    assert ids(history, words="paper") == []


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_join_without_a_gap_while_runs_are_added(history, order):
    made = [add(history, key=str(i)) for i in range(7)]
    expected, seen, after = made[::-1] if order == "newest" else made, [], None
    for _ in range(3):
        page = history.search(Query(limit=3, after=after, order=order))
        seen += [run.id for run in page.runs]
        after = page.next
        if order == "newest":
            add(history)
    assert seen[:7] == expected
    assert (after is None) == (order == "oldest" or len(seen) == 7)


@pytest.mark.parametrize(
    ("query", "message"),
    [({"status": "done"}, "finished"), ({"order": "best"}, "newest or oldest"), ({"limit": 0}, "1 to 200")],
)
def test_searches_that_are_none(query, message):
    with pytest.raises(OptionError, match=message):
        Query(**query)


def test_the_same_request_is_answered_from_what_is_there(history):
    assert history.same("a") is None
    run_id = add(history, key="a")
    assert history.same("a") is None  # not before it is finished
    history.finish(run_id, *results(history, "cat"))
    again = finished(history, "cat", key="a")
    assert history.same("a").id == again
    history.remove(again)
    assert history.same("a").id == run_id


def test_equal_pictures_are_kept_once(history):
    one = history.add_picture("a.jpg", [b"x" * 1000])
    assert history.add_picture("b.jpg", [b"x" * 500, b"x" * 500]) == one
    assert history.add_picture("a.jpg", [b"y"]) != one
    assert len(list(history.pictures.ids())) == 2


def test_a_picture_that_breaks_off_leaves_nothing(history):
    def parts():
        yield b"x"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        history.add_picture("a.jpg", parts())
    assert names(history.pictures) == []


@pytest.mark.parametrize("text", ["", "..", "../../etc/passwd", "A" * 32, "a" * 31, "a" * 33, "a" * 32 + "\n"])
def test_what_is_no_id_is_never_part_of_a_path(history, text):
    for call in (history.run, history.picture, history.remove, history.runs.path, checked_id):
        with pytest.raises(InputError, match="is no id"):
            call(text)


def test_runs_that_are_not_there(history):
    for call in (history.run, lambda i: history.star(i, True), lambda i: history.tag(i, ["x"])):
        with pytest.raises(InputError, match="there is no run"):
            call(new_id())
    folder, maps = results(history, "cat")
    with pytest.raises(InputError, match="there is no run"):
        history.finish(new_id(), folder, maps)
    assert folder.is_dir()
    with pytest.raises(OptionError, match="1 to 64"):
        history.tag(add(history), ["x" * 65])
    history.remove(new_id())


def test_what_a_crash_leaves_is_swept_away_and_nothing_else(history):
    queued, running, kept = add(history), add(history), finished(history, "cat")
    history.set_status(running, "running")
    history.runs.keep(results(history)[0], running)  # killed between folder and row
    history.pictures.write([b"killed between file and row"])
    (history.pictures.dpath / ".new.x").write_bytes(b"killed while writing")
    results(history)  # killed while explaining
    picture = history.add_picture("p.png", [b"kept"])
    lost_run, lost_picture = finished(history, "dog"), history.add_picture("q.png", [b"lost"])
    history.runs.remove(lost_run)
    history.pictures.remove(lost_picture)
    history.sweep(older_than_s=0.0)
    assert {run.id: run.status for run in history.search(Query()).runs} == {
        queued: "interrupted",
        running: "interrupted",
        kept: "finished",
        lost_run: "failed",
    }
    assert names(history.runs) == [kept]
    assert names(history.pictures) == [picture]
    with pytest.raises(InputError, match="send it again"):
        history.picture(lost_picture)
    assert history.sweep(older_than_s=0.0) == []


def test_what_is_young_is_not_swept_away(history):
    history.pictures.write([b"another process is about to name it"])
    assert history.sweep() == []
    assert len(names(history.pictures)) == 1


def test_limits_let_the_oldest_go_but_none_with_a_star(history):
    runs = [finished(history, "cat", key=str(i)) for i in range(5)]
    at_work = add(history)
    history.star(runs[0], True)
    assert history.retain(runs=2) == 2
    assert set(ids(history)) == {runs[0], runs[3], runs[4], at_work}
    assert set(history.runs.ids()) == {runs[0], runs[3], runs[4]}
    size = sum(len(text) for text in ("{}", "12345"))
    assert history.retain(size_bytes=2 * size) == 0
    assert history.retain(size_bytes=2 * size - 1) == 1
    assert set(ids(history)) == {runs[0], runs[4], at_work}
    assert history.retain(days=1.0) == 0
    history._now.time_s += 86400
    assert history.retain(days=1.0) == 1
    assert history.counts() == {"finished": 1, "queued": 1}


def test_many_threads_write_and_read_at_once(history):
    made: list[str] = []
    failures: list[BaseException] = []

    def work(k: int) -> None:
        try:
            for i in range(5):
                run_id = finished(history, "cat", key=f"{k}.{i}")
                history.tag(run_id, [f"t{k}"])
                history.search(Query(words="cat"))
                made.append(run_id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sorted(ids(history, limit=200)) == sorted(made)
    assert len(ids(history, tag="t3")) == 5


def test_a_database_that_is_none(tmp_path):
    (tmp_path / "history.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(
        InputError, match=r"history\.db is damaged, or is no database; nothing was deleted.* another --dir"
    ):
        History(tmp_path)
    for url, message in (("mysql://x/y", "mysql"), ("nothing", "sqlite:///FILE")):
        with pytest.raises(OptionError, match=message):
            open_database(url)


def test_a_database_of_a_newer_isotherm_is_left_alone(tmp_path):
    History(tmp_path).close()
    with sqlite3.connect(tmp_path / "history.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(InputError, match="another isotherm"):
        History(tmp_path)


def test_a_password_is_in_no_message(tmp_path):
    if find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed")
    with pytest.raises(InputError) as caught:
        open_database(f"postgresql://me:s3cret@/db?host={tmp_path}")
    assert "s3cret" not in str(caught.value)


def test_the_migrations_make_the_tables_of_today(url, tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from isotherm.studio.store.tables import BY_WORDS, Table

    # each database has its own index for words, which other tests look at
    shared = {"include_name": lambda name, kind, parents: name != BY_WORDS}
    engine = open_database(url or f"sqlite:///{tmp_path / 'a.db'}")
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=shared), Table.metadata) == []
    engine.dispose()


def test_blobs_are_whole_or_not_there(tmp_path):
    blobs = Blobs(tmp_path)

    def parts():
        yield b"a"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blobs.write(parts())
    assert names(blobs) == []
    started = time.time()
    blob_id, size = blobs.write([b"abc"])
    assert (size, blobs.path(blob_id).read_bytes(), list(blobs.ids())) == (3, b"abc", [blob_id])
    assert blobs.path(blob_id).stat().st_mtime >= started - 1
