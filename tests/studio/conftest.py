"""One studio for all tests of it: the shipped networks, its real processes, and a script that knows its key."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from isotherm.studio.store import history
from rigs.databases import open_with_tables
from rigs.studio import client_of, studio_in
from rigs.studio_processes import fork_processes, spawn_processes


@pytest.fixture(scope="session", autouse=True)
def _forked_processes():
    """Studios of this folder have processes that find torch imported."""
    fork_processes()
    yield
    spawn_processes()


@pytest.fixture(scope="session", autouse=True)
def _tables():
    """Histories of this folder find their tables made; how they are made is the matter of ``store/test_database``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "open_database", open_with_tables)
        yield


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    """A client of a studio whose parts are its attributes."""
    with studio_in(tmp_path_factory.mktemp("studio")) as parts, client_of(parts) as client:
        yield client
