"""Searches are answered from indexes: none looks at every run, in either database."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from isotherm.studio.store.database import open_database
from isotherm.studio.store.history import History
from isotherm.studio.store.query import MapFacts, Query, distinct
from isotherm.studio.store.tables import BY_WORDS, MapRow, RunRow, TagRow

COLUMNS = (RunRow.model, RunRow.verdicts, MapRow.label, TagRow.name)


@pytest.fixture
def filled(tmp_path, url):
    """A history of a few runs, with percent signs, underscores and letters of two bytes in their words."""
    history = History(tmp_path / "studio", url=url)
    for i, title in enumerate(("Cat 100%.jpg", "a_cat.jpg", "\u00c4pfel.jpg", "dog.jpg")):
        run_id = history.add_run("explain", key=str(i), title=title, model=f"m{i % 2}", options={}, command="")
        folder = history.runs.dpath / f".work.{i}"
        folder.mkdir()
        (folder / "run.json").write_text("{}")
        verdict = ("doubtful", "believable", None)[i % 3]
        maps = [MapFacts(picture=title, label=label, method="GradCAM", verdict=verdict) for label in ("b", "a")]
        history.finish(run_id, folder, maps)
        history.tag(run_id, [f"tag {i % 2}", "all"])
    yield history
    history.close()


def plan(history: History, statement) -> str:
    """How the database would answer a statement."""
    compiled = statement.compile(history._engine, compile_kwargs={"literal_binds": True})
    query_plan = "QUERY PLAN" if history._engine.dialect.name == "sqlite" else ""
    with history._engine.connect() as connection:
        if not query_plan:  # so few rows are read faster one by one, whatever there is
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(str(row) for row in connection.execute(text(f"EXPLAIN {query_plan} {compiled}")).all())


WORDS = {
    "cat": ["a_cat.jpg", "Cat 100%.jpg"],
    "CAT .JPG": ["a_cat.jpg", "Cat 100%.jpg"],
    "100%": ["Cat 100%.jpg"],
    "a_c": ["a_cat.jpg"],
    "\u00e4": ["\u00c4pfel.jpg"],
    "unicorn": [],
}
"""What is searched for, and the titles of the runs that have it, the newest first."""


def test_words_are_found_as_they_are(filled):
    for order in ("newest", "oldest"):
        searches = {words: filled.search(Query(words=words, order=order)).runs for words in WORDS}
        found = {words: [run.title for run in runs] for words, runs in searches.items()}
        assert found == {words: titles if order == "newest" else titles[::-1] for words, titles in WORDS.items()}


def test_words_are_looked_for_in_an_index(filled):
    shown = plan(filled, Query(words="unicorn").statement())
    assert BY_WORDS in shown
    if filled._engine.dialect.name == "sqlite":
        assert f"SCAN runs USING COVERING INDEX {BY_WORDS}" in shown


def test_a_page_of_the_history_has_each_run_with_what_belongs_to_it(filled):
    page = filled.search(Query(limit=3))
    assert [run.title for run in page.runs] == ["dog.jpg", "\u00c4pfel.jpg", "a_cat.jpg"]
    assert [run.tags for run in page.runs] == [("all", "tag 1"), ("all", "tag 0"), ("all", "tag 1")]
    assert [[one.label for one in run.maps] for run in page.runs] == 3 * [["b", "a"]]
    assert page.runs == [filled.run(run.id) for run in page.runs]


def test_what_can_be_chosen_is_found_step_by_step(filled):
    assert filled.choices() == {
        "model": ["m0", "m1"],
        "label": ["a", "b"],
        "verdict": ["believable", "doubtful"],
        "tag": ["all", "tag 0", "tag 1"],
    }
    for column in COLUMNS:
        shown = plan(filled, distinct(column))
        assert "SCAN runs" not in shown
        assert "SCAN maps" not in shown
        assert "Seq Scan on" not in shown


def test_a_database_without_trigrams_is_searched_all_the_same(postgres_url, tmp_path):
    """Whoever may not make an extension gets no index of words."""
    engine = open_database(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = 'plain'")) is None:
            connection.exec_driver_sql("CREATE ROLE plain LOGIN")
        connection.exec_driver_sql("GRANT ALL ON SCHEMA public TO plain")
    engine.dispose()
    history = History(tmp_path / "studio", url=postgres_url.replace("isotherm@", "plain@"))
    run_id = history.add_run("explain", key="k", title="cat.jpg", model="m", options={}, command="")
    assert [run.id for run in history.search(Query(words="cat")).runs] == [run_id]
    assert BY_WORDS not in plan(history, Query(words="cat").statement())
    history.close()


def test_another_fault_while_indexes_are_made_is_no_missing_extension(monkeypatch, postgres_url):
    from alembic import op

    make = op.create_index

    def stumble(name, *rest, **options):
        if name == BY_WORDS:
            op.execute("SELECT 1 / 0")
        return make(name, *rest, **options)

    monkeypatch.setattr(op, "create_index", stumble)
    with pytest.raises(Exception, match="division by zero") as caught:
        open_database(postgres_url)
    assert isinstance(caught.value.__cause__, DBAPIError)
