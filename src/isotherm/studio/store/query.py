"""What of the history somebody wants to see, and the statement that finds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from sqlalchemy import BindParameter, Select, bindparam, func, select, tuple_

from isotherm.errors import OptionError
from isotherm.studio.store.tables import BY_WORDS, MapRow, RunRow, TagRow

Status = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
MOST = 200
"""Runs on a page at most."""
MOST_WORDS, MOST_LETTERS = 50, 1000
"""Of a search at most: databases take no pattern of any length, and no number of them."""


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
        for name in ("words", "verdict"):
            if (letters := len(getattr(self, name) or "")) > MOST_LETTERS:
                raise OptionError(f"{name} is a text of {letters} letters; at most {MOST_LETTERS} are looked for")
        if (count := len(self._words)) > MOST_WORDS:
            raise OptionError(f"words are {count} words; at most {MOST_WORDS} are looked for at once")

    def statement(self) -> Select[Any]:
        """The rows of the page with :data:`RUN_FACTS`, and one more where there is a next page."""
        page = self._ids().subquery()
        query = select(*(getattr(RunRow, name) for name in RUN_FACTS)).join(page, page.c.id == RunRow.id)
        return query.order_by(*self._order)

    @property
    def _order(self) -> tuple[Any, ...]:
        columns = (RunRow.created_s, RunRow.id)
        return columns if self.order == "oldest" else tuple(column.desc() for column in columns)

    @property
    def _words(self) -> list[str]:
        return list(dict.fromkeys(self.words.lower().split()))

    def _ids(self) -> Select[Any]:
        # the ids alone, so that a look at an index tells which runs they are
        query = select(RunRow.id)
        words = self._words
        if words:
            # with the words in it, and in the order of the page: left alone, SQLite would look at every row
            query = query.with_hint(RunRow, f"INDEXED BY {BY_WORDS}", "sqlite")
        for word in words:
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
        if self.after is not None:
            place, there = tuple_(RunRow.created_s, RunRow.id), tuple_(*self.after)
            query = query.where(place > there if self.order == "oldest" else place < there)
        return query.order_by(*self._order).limit(self.limit + 1)


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
    def of(cls, row: Any, maps: Iterable[Any], tags: Iterable[str]) -> RunFacts:
        """The facts of a run.

        Args:
            row: of the run, with :data:`RUN_FACTS` as attributes.
            maps: rows of its maps, in order, with :data:`MAP_FACTS` as attributes.
            tags: their names, in order.
        """
        facts = {name: getattr(row, name) for name in RUN_FACTS}
        made = tuple(MapFacts(**{name: getattr(one, name) for name in MAP_FACTS}) for one in maps)
        return cls(**{**facts, "pictures": tuple(facts["pictures"])}, maps=made, tags=tuple(tags))

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON has them; what is in them is theirs, not a copy, since a page of the history has many."""
        return {**vars(self), "maps": [vars(one) for one in self.maps]}


RUN_FACTS = tuple(one.name for one in fields(RunFacts) if one.name not in ("maps", "tags"))
"""Columns of a run's row that are its facts."""


@dataclass(frozen=True)
class Page:
    """Runs that were found, and what ``Query.after`` must be for those that follow; None at the end."""

    runs: Sequence[RunFacts]
    next: tuple[float, str] | None


OF_PAGE: BindParameter[list[str]] = bindparam("runs", expanding=True)
MAPS = (
    select(MapRow.run_id, *(getattr(MapRow, name) for name in MAP_FACTS))
    .where(MapRow.run_id.in_(OF_PAGE))
    .order_by(MapRow.run_id, MapRow.position)
)
"""The maps of the runs whose ids are given as ``runs``."""
TAGS = select(TagRow.run_id, TagRow.name).where(TagRow.run_id.in_(OF_PAGE)).order_by(TagRow.run_id, TagRow.name)
"""The tags of the runs whose ids are given as ``runs``."""


def distinct(column: Any) -> Select[Any]:
    """The values of a column that an index begins with, each once.

    The index is asked for the next larger value, again and again, where ``SELECT DISTINCT`` looks at every row.

    Args:
        column: without NULL.
    """
    least = select(func.min(column).label("value")).cte("least", recursive=True)
    further = select(func.min(column)).where(column > least.c.value).scalar_subquery()
    values = least.union_all(select(further).where(least.c.value.is_not(None)))
    return select(values.c.value).where(values.c.value.is_not(None))
