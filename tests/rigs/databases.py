"""Histories whose tables are there: the migrations that make them take ten times as long as most tests of a history."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, make_url

from isotherm.studio.store.database import open_database
from isotherm.studio.store.tables import Table


def open_with_tables(url: str) -> Engine:
    """What ``open_database`` does, to which a new file of SQLite is given with its tables.

    Args:
        url: of a database.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and address.database:
        fpath = Path(address.database)
        if not fpath.exists() and fpath.parent.is_dir():
            fpath.write_bytes(_empty_tables())
    return open_database(url)


@cache
def _empty_tables() -> bytes:
    """A file of SQLite as the migrations make it."""
    with tempfile.TemporaryDirectory(prefix="tables-") as folder:
        open_database(f"sqlite:///{folder}/history.db").dispose()
        return Path(folder, "history.db").read_bytes()


def make_database(url: str, name: str) -> str:
    """Make a database on a server of PostgreSQL.

    Args:
        url: of another one there.
        name: of the new one.

    Returns:
        Its address.
    """
    engine = open_database(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def empty_tables(url: str) -> None:
    """Leave no row in a database, whose tables are made where they are not there."""
    engine = open_database(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {', '.join(Table.metadata.tables)}")
    engine.dispose()
