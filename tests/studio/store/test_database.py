"""What is said of a database that cannot be used; nothing of it is touched."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from isotherm.errors import InputError
from isotherm.studio.store.database import open_database

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
