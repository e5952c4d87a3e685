"""The databases of a history: SQLite, and a real PostgreSQL for the whole session, without a row for each test."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from isotherm.studio.store.database import open_database
from rigs.databases import empty_tables, make_database
from rigs.postgres import server
from rigs.programs import postgres_binaries


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    if postgres_binaries() is None or find_spec("psycopg") is None:
        pytest.skip("PostgreSQL and psycopg are not both installed")
    # a socket's path may have 107 letters, fewer than pytest's own folders
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        os.chmod(folder, 0o755)
        with server(Path(folder) / "server") as url:
            yield url


@pytest.fixture
def postgres_url(postgres):
    """The address of a database without tables."""
    engine = open_database(postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engine.dispose()
    return postgres


@pytest.fixture(scope="session")
def postgres_tables(postgres):
    """The address of another database, whose tables are made once."""
    return make_database(postgres, "tables")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """What ``History`` takes as ``url``."""
    if request.param == "sqlite":
        return None
    empty_tables(address := request.getfixturevalue("postgres_tables"))
    return address
