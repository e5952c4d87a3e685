"""What is said of a database that cannot be used; nothing of it is touched."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from sqlalchemy import inspect

from isotherm.errors import InputError
from isotherm.studio.store import database
from isotherm.studio.store.database import open_database
from isotherm.studio.store.tables import BY_WORDS

PAGE = 4096


def test_damage_behind_the_header_is_met_at_the_start(tmp_path):
    fpath = tmp_path / "history.db"
    open_database(f"sqlite:///{fpath}").dispose()
    whole = fpath.read_bytes()
    # the last page is an index or a table that no start looks at
    damaged = whole[:-PAGE] + b"\xa5" * PAGE
    fpath.write_bytes(damaged)
    with pytest.raises(InputError, match=r"history\.db is damaged.* nothing was deleted.*another --dir"):
        open_database(f"sqlite:///{fpath}")
    assert fpath.read_bytes() == damaged


def test_the_address_is_shown_as_it_was_typed(tmp_path):
    if find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed")
    with pytest.raises(InputError, match=r"the database postgresql://me:\*\*\*@/db\?host="):
        open_database(f"postgresql://me:s3cret@/db?host={tmp_path}")


def test_an_older_database_is_changed_and_one_of_today_is_not_looked_at_twice(url, tmp_path, monkeypatch):
    from alembic import command

    address = url or f"sqlite:///{tmp_path / 'a.db'}"
    engine = open_database(address)
    with engine.begin() as connection:
        for name in (BY_WORDS, "runs_by_verdicts"):
            connection.exec_driver_sql(f"DROP INDEX {name}")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
    engine.dispose()
    engine = open_database(address)
    assert {BY_WORDS, "runs_by_verdicts"} <= {index["name"] for index in inspect(engine).get_indexes("runs")}
    engine.dispose()
    monkeypatch.setattr(command, "upgrade", None)
    open_database(address).dispose()


def test_a_disk_without_room_is_named(tmp_path, monkeypatch):
    """SQLite says "disk I/O error" where there is none for its log."""
    (tmp_path / "history.db").mkdir()  # whatever else cannot be opened
    for free, named in ((10 << 30, False), (4096, True)):
        monkeypatch.setattr(database.shutil, "disk_usage", lambda dpath, free=free: SimpleNamespace(free=free))
        with pytest.raises(InputError, match="cannot be used") as caught:
            open_database(f"sqlite:///{tmp_path / 'history.db'}")
        assert ("its disk is full, make room on it" in str(caught.value)) == named
