"""The database behind the history: SQLite in a file beside it, or PostgreSQL by its address."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError

from isotherm.errors import InputError, MissingExtraError, OptionError
from isotherm.studio.unkept import LOST, Unkept

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_S = 30
"""How long SQLite waits for another process that writes."""

LEAST_BYTES = 1 << 20
"""Of room on a disk that is not full: SQLite's log and its index take tenths of it."""

READS = "isotherm_reads"
"""The execution option of connections that only read, which SQLite never lets wait for a writer."""

LOCK = 0x150_7E12
"""The number that PostgreSQL's advisory lock has while tables are made or changed, so that one process does it."""


def open_database(url: str) -> Engine:
    """An engine whose tables are of today: made where there are none, changed where they are older.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``.

    Raises:
        OptionError: another kind of address.
        MissingExtraError: the driver of PostgreSQL is not installed.
        InputError: the database cannot be opened, or is of a newer isotherm; the message never holds the password.
    """
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise OptionError("the database's address is none; expected sqlite:///FILE or postgresql://...") from error
    kind, shown = address.get_backend_name(), address.render_as_string(hide_password=True)
    if kind not in ("sqlite", "postgresql"):
        raise OptionError(f"the database is {kind!r}; expected sqlite or postgresql")
    if kind == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    try:
        # a client's 40 threads shall wait for a connection, not fail
        engine = create_engine(
            address, pool_pre_ping=kind == "postgresql", **({"pool_size": 10} if kind != "sqlite" else {})
        )
    except ImportError as error:
        raise MissingExtraError("psycopg", "web", "a PostgreSQL database") from error
    if kind == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        with in_words(shown, Path(address.database) if kind == "sqlite" and address.database else None):
            _migrate(engine)
    except InputError:
        engine.dispose()
        raise
    return engine


@contextmanager
def in_words(shown: str, fpath: Path | None) -> Iterator[None]:
    """What the database has against being used, in words.

    Args:
        shown: the database's address, without its password.
        fpath: the file of SQLite.

    Raises:
        InputError: the database is damaged, or cannot be used for another reason.
    """
    try:
        yield
    except SQLAlchemyError as error:
        # whatever else SQLite has against a file, such as a lock, is one of the subclasses
        if fpath is not None and type(getattr(error, "orig", None)) is sqlite3.DatabaseError:
            # not "move it away": what no row of a new history names would be swept from the folder
            raise InputError(
                f"the history {fpath} is damaged, or is no database; nothing was deleted. Keep it with the folder that it "
                "lies in, where the results of its runs are, and start anew with another --dir"
            ) from error
        reason = (str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__])[0]
        # SQLite calls a disk without room for its log a fault of the disk
        full = fpath is not None and fpath.parent.is_dir() and shutil.disk_usage(fpath.parent).free < LEAST_BYTES
        reason += "; its disk is full, make room on it" if full else ""
        raise InputError(f"the database {shown} cannot be used ({reason})") from error


def reading(engine: Engine) -> Engine:
    """The same database for those who only read."""
    return engine.execution_options(**{READS: True})


def _begin_sqlite(connection: Connection) -> None:
    if not connection.get_execution_options().get(READS):
        _check_there(connection)
    # who reads first and writes then would fail, not wait, where another one has written in between
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(READS) else "BEGIN IMMEDIATE")


def _check_there(connection: Connection) -> None:
    """Raise Unkept where another file, or none, lies by now where the database was opened: SQLite goes on writing into
    the file that was removed, and what it says was kept is gone.
    """
    fpath, file = connection.info["file"]
    if file is not None and _identity(fpath) != file:
        raise Unkept(LOST)


def _identity(fpath: str) -> tuple[int, int] | None:
    try:
        facts = Path(fpath).stat()
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


def _set_up_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN leaves out what makes and changes tables
    cursor = connection.cursor()
    # WAL: readers never wait for the writer; FULL: what was acknowledged survives a power cut
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={1000 * BUSY_S}"):
        cursor.execute(f"PRAGMA {pragma}")
    (_, _, fpath), *_ = cursor.execute("PRAGMA database_list")
    record.info["file"] = (fpath, _identity(fpath))
    cursor.close()


def _check(connection: Connection) -> None:
    # damage behind the header would be met by whoever comes to that page of the file, much later
    if (verdict := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
        raise DatabaseError("PRAGMA quick_check", None, sqlite3.DatabaseError(str(verdict)))


def _is_of_today(connection: Connection) -> bool:
    """Whether the newest migration was done, found without alembic, whose import is a tenth of a studio's start."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    newest = max(fpath.name for fpath in (MIGRATIONS / "versions").glob("*.py")).partition("_")[0]
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [newest]


def _migrate(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            _check(connection)
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        if _is_of_today(connection):
            return
        from alembic import command
        from alembic.config import Config
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise InputError(
                f"the database was made by another isotherm ({error}); update isotherm, or name another database"
            ) from error
