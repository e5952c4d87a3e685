"""What of the history somebody wants to see, and the statement that finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from sqlalchemy import Select, select, tuple_

from isotherm.errors import OptionError
from isotherm.studio.store.tables import MapRow, RunRow, TagRow

Status = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
MOST = 200
"""Runs on a page at most."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """A search in the history; what is not given does not matter.

    Args:
        words: each must be somewhere in a run's title, model, labels, tags or note, in any case.
        model, label, verdict, tag: exactly so; label and verdict of at least one of a run's maps.
        status: how a run ended, or queued or running.
        starred: True: only runs with a star.
        since_s, until_s: from when on, and before when, in seconds since 1970.
        order: the newest or the oldest first.
        limit: runs on a page, 1 to 200.
        after: ``Page.next`` of the page before.

    Raises:
        OptionError: a word or a number that is none of these.
    """

    words: str = ""
    model: str | None = None
    label: str | None = None
    verdict: str | None = None
    tag: str | None = None
    status: str | None = None
    starred: bool = False
    since_s: float | None = None
    until_s: float | None = None
    order: str = "newest"
    limit: int = 50
    after: tuple[float, str] | None = None

    def __post_init__(self) -> None:
        if self.status is not None and self.status not in get_args(Status):
            raise OptionError(f"status is {self.status!r}; expected one of {', '.join(get_args(Status))}")
        if self.order not in ("newest", "oldest"):
            raise OptionError(f"order is {self.order!r}; expected newest or oldest")
        if not 1 <= self.limit <= MOST:
            raise OptionError(f"limit is {self.limit}; expected 1 to {MOST} runs")

    def statement(self) -> Select[Any]:
        """The rows of the page, and one more where there is a next page."""
        query = select(RunRow)
        for word in self.words.lower().split():
            query = query.where(RunRow.words.contains(word, autoescape=True))
        for column, value in ((RunRow.model, self.model), (RunRow.status, self.status)):
            if value is not None:
                query = query.where(column == value)
        if self.label is not None:
            query = query.where(RunRow.id.in_(select(MapRow.run_id).where(MapRow.label == self.label)))
        if self.verdict is not None:
            query = query.where(RunRow.verdicts.contains(f",{self.verdict},", autoescape=True))
        if self.tag is not None:
            query = query.where(RunRow.id.in_(select(TagRow.run_id).where(TagRow.name == self.tag)))
        if self.starred:
            query = query.where(RunRow.star)
        if self.since_s is not None:
            query = query.where(RunRow.created_s >= self.since_s)
        if self.until_s is not None:
            query = query.where(RunRow.created_s < self.until_s)
        place = tuple_(RunRow.created_s, RunRow.id)
        if self.order == "newest":
            query = query.order_by(RunRow.created_s.desc(), RunRow.id.desc())
            query = query if self.after is None else query.where(place < tuple_(*self.after))
        else:
            query = query.order_by(RunRow.created_s, RunRow.id)
            query = query if self.after is None else query.where(place > tuple_(*self.after))
        return query.limit(self.limit + 1)


@dataclass(frozen=True, kw_only=True)
class MapFacts:
    """What the history knows of one heatmap.

    Args:
        picture: the name of the picture that it lies over.
        label: what it is of.
        layers: names of the target layers, joined by commas.
        verdict: believable, doubtful, ...; None where nobody judged it.
        statistics: numbers by name.
    """

    picture: str
    label: str
    method: str
    layers: str = ""
    verdict: str | None = None
    statistics: dict[str, Any] = field(default_factory=dict)


MAP_FACTS = tuple(one.name for one in fields(MapFacts))
"""Columns of a map's row that are its facts; the others say where it belongs."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What the history knows of a run.

    Args:
        id: also the name of its folder.
        key: a hash of everything that decides its results.
        created_s, ended_s: seconds since 1970.
        marks: what was drawn over its maps.
        pictures: ``id`` and ``name`` of each picture that it is about.
    """

    id: str
    key: str
    job: str
    status: Status
    created_s: float
    ended_s: float | None
    title: str
    model: str
    options: dict[str, Any]
    command: str
    message: str
    star: bool
    note: str
    marks: list[Any]
    tags: tuple[str, ...]
    maps: tuple[MapFacts, ...]
    pictures: tuple[dict[str, str], ...] = ()

    @classmethod
    def of(cls, row: RunRow) -> RunFacts:
        maps = tuple(MapFacts(**{name: getattr(one, name) for name in MAP_FACTS}) for one in row.maps)
        return cls(
            id=row.id,
            key=row.key,
            job=row.job,
            status=row.status,  # type: ignore[arg-type]  # only History writes it
            created_s=row.created_s,
            ended_s=row.ended_s,
            title=row.title,
            model=row.model,
            options=row.options,
            command=row.command,
            message=row.message,
            star=row.star,
            note=row.note,
            marks=row.marks,
            tags=tuple(tag.name for tag in row.tags),
            maps=maps,
            pictures=tuple(row.pictures),
        )


@dataclass(frozen=True)
class Page:
    """Runs that were found, and what ``Query.after`` must be for those that follow; None at the end."""

    runs: Sequence[RunFacts]
    next: tuple[float, str] | None
