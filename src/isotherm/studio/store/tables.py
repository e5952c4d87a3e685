"""The tables of the studio's history. What is large lies in folders beside the database; a row names it by a random id.

Times are seconds since 1970 in UTC, which SQLite and PostgreSQL store, compare and index alike. A change of a table is
a new file in ``migrations/versions``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from isotherm.studio.store.lenient_json import LenientJson

BY_WORDS = "runs_by_words"
"""The index for searches for words, of another kind in each database: see ``migrations/versions/0003_searches.py``."""

ID = 32
"""Letters of an id: 128 random bits in hexadecimal, so that nobody guesses one."""


class Table(DeclarativeBase):
    """What all tables are made of."""


class RunRow(Table):
    """A job that somebody asked for: queued, running, or how it ended. Its results lie in the run folder of its id."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    key: Mapped[str] = mapped_column(String(64))
    """A hash of everything that decides the results: options, and the bytes of pictures and weights."""
    job: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    created_s: Mapped[float] = mapped_column(Float)
    ended_s: Mapped[float | None] = mapped_column(Float)
    title: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(LenientJson())
    command: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text, default="")
    star: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(Text, default="")
    marks: Mapped[list[Any]] = mapped_column(LenientJson(list), default=list)
    words: Mapped[str] = mapped_column(Text)
    """All that a search for words looks at, in lower case: title, model, labels, tags, note."""
    verdicts: Mapped[str] = mapped_column(Text, default=",")
    """Those of its maps, each between commas: there are few words and many maps, so an index of maps finds them
    slower.
    """
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    pictures: Mapped[list[Any]] = mapped_column(LenientJson(list), default=list)
    """Id and name of each picture that it is about."""

    maps: Mapped[list[MapRow]] = relationship(
        cascade="all, delete-orphan", order_by="MapRow.position", passive_deletes=True
    )
    tags: Mapped[list[TagRow]] = relationship(
        cascade="all, delete-orphan", order_by="TagRow.name", passive_deletes=True
    )

    __table_args__ = (
        Index("runs_by_time", "created_s", "id"),
        Index("runs_by_key", "key", "status"),
        Index("runs_by_model", "model", "created_s"),
        Index("runs_by_verdicts", "verdicts"),
    )


class MapRow(Table):
    """One heatmap of a run, with what a gallery sorts and filters by."""

    __tablename__ = "maps"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    picture: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(String(64))
    layers: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str | None] = mapped_column(String(32))
    statistics: Mapped[dict[str, Any]] = mapped_column(LenientJson())

    __table_args__ = (Index("maps_by_label", "label", "run_id"),)


class TagRow(Table):
    """A word that somebody gave to a run."""

    __tablename__ = "tags"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)

    __table_args__ = (Index("tags_by_name", "name", "run_id"),)


class PictureRow(Table):
    """A picture that was sent; its bytes, as they came, lie in a file of its id."""

    __tablename__ = "pictures"

    id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(Text)
    created_s: Mapped[float] = mapped_column(Float, index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
