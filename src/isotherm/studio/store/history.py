"""The studio's memory: which runs there were, what was said about them, and where their results lie.

What is large is written first and the row that names it afterwards, and removed the other way round. So a row never
names what is not there, whenever the process is killed; what no row names is swept away at the next start.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from isotherm.errors import OptionError
from isotherm.studio.store.blobs import Blobs, NotThere, checked_id, new_id
from isotherm.studio.store.database import open_database, reading
from isotherm.studio.store.query import MAP_FACTS, MAPS, TAGS, MapFacts, Page, Query, RunFacts, Status, distinct
from isotherm.studio.store.tables import MapRow, PictureRow, RunRow, TagRow
from isotherm.studio.unkept import is_full

RECORD = "run.json"
"""Every run's folder has it: where it is not, the results are not."""
TAG_LETTERS = 64
LEFT_OVER_S = 3600.0
"""How old something that no row names must be to be swept away: what a living process writes gets its row sooner."""


class History:
    """Runs, pictures and notes in a folder, across restarts.

    Args:
        dpath: the folder; made if it is not there.
        url: of a database elsewhere; None: SQLite in the folder.
        now: the clock, in seconds since 1970.

    Raises:
        InputError, OptionError: the database cannot be opened.
    """

    def __init__(self, dpath: Path, *, url: str | None = None, now: Callable[[], float] = time.time) -> None:
        dpath.mkdir(parents=True, exist_ok=True)
        self.runs, self.pictures = Blobs(dpath / "runs"), Blobs(dpath / "pictures")
        self._now = now
        self._whole: dict[str, tuple[int, int]] = {}  # size and time of change of picture files that were read
        self._engine = open_database(url or f"sqlite:///{dpath.absolute() / 'history.db'}")
        self._reads = reading(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # --- pictures --------------------------------------------------------------------------------------------------

    def add_picture(self, name: str, parts: Iterable[bytes]) -> str:
        """Keep a picture's bytes as they came; the id of a picture with the same bytes, if there is one.

        Args:
            name: what the user calls it; never part of a path.
            parts: its bytes, in pieces, so that a large one is never in memory as a whole.
        """
        digest = hashlib.sha256()

        def read() -> Iterable[bytes]:
            for part in parts:
                digest.update(part)
                yield part

        picture_id, size = self.pictures.write(read())
        with Session(self._engine) as session, session.begin():
            there = session.scalar(select(PictureRow.id).where(PictureRow.sha256 == digest.hexdigest()).limit(1))
            if there is None:
                session.add(
                    PictureRow(
                        id=picture_id,
                        sha256=digest.hexdigest(),
                        name=name[:200],
                        created_s=self._now(),
                        size_bytes=size,
                    )
                )
            else:
                again = {"created_s": self._now(), "name": name[:200]}  # by which it is known now; runs have their own
                session.execute(update(PictureRow).where(PictureRow.id == there).values(**again))
        if there is not None:  # its file may be missing or damaged: these are its bytes
            self.pictures.replace(there, picture_id)
        return there or picture_id

    def picture(self, picture_id: str) -> tuple[str, Path]:
        """A picture's name and file.

        Raises:
            NotThere: there is none of this id, or its file is missing or of another size than it was sent with.
        """
        row, fpath = self._picture(picture_id), self.pictures.path(picture_id)
        if not fpath.is_file():
            raise NotThere(f"the file of the picture {row.name} is missing; send it again")
        if not self._is_whole(row, fpath):
            raise NotThere(f"the file of the picture {row.name} is damaged; send it again")
        return row.name, fpath

    def _is_whole(self, row: PictureRow, fpath: Path) -> bool:
        """Whether a file has the bytes that were sent; they are read once, and again where the file was changed."""
        there = fpath.stat()
        state = (there.st_size, there.st_mtime_ns)
        if there.st_size == row.size_bytes and self._whole.get(row.id) != state:
            with fpath.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != row.sha256:
                    return False
            self._whole[row.id] = state
        return there.st_size == row.size_bytes

    def picture_name(self, picture_id: str) -> str:
        """What a picture is called, whether or not its file is there.

        Raises:
            NotThere: there is none of this id.
        """
        return self._picture(picture_id).name

    def _picture(self, picture_id: str) -> PictureRow:
        with Session(self._reads) as session:
            row = session.get(PictureRow, checked_id(picture_id))
        if row is None:
            raise NotThere(f"there is no picture {picture_id}; send it again")
        return row

    # --- runs ------------------------------------------------------------------------------------------------------

    def add_run(
        self,
        job: str,
        *,
        key: str,
        title: str,
        model: str,
        options: dict[str, Any],
        command: str,
        pictures: Sequence[tuple[str, str]] = (),
    ) -> str:
        """Take down that a job is asked for; from here on it is not forgotten. Returns its id."""
        run_id = new_id()
        with Session(self._engine) as session, session.begin():
            row = RunRow(
                id=run_id,
                key=key,
                job=job,
                status="queued",
                created_s=self._now(),
                title=title,
                model=model,
                options=options,
                command=command,
                words="",
                pictures=[{"id": picture_id, "name": name} for picture_id, name in pictures],
            )
            row.words = _words(row)
            session.add(row)
        return run_id

    def set_status(self, run_id: str, status: Status, message: str = "") -> None:
        """How far a run is, or how it ended other than well.

        Raises:
            NotThere: there is no such run.
        """
        ended = None if status in ("queued", "running") else self._now()
        with Session(self._engine) as session, session.begin():
            row = _row(session, run_id)
            row.status, row.message, row.ended_s = status, message, None if ended is None else max(ended, row.created_s)

    def finish(
        self, run_id: str, folder: Path, maps: Sequence[MapFacts], *, status: Status = "finished", message: str = ""
    ) -> None:
        """Keep the results of a run: its folder is moved to its id, and only then it counts as finished.

        Args:
            folder: on the same disk as the history; not empty.
            status: ``cancelled`` for one that ended early and has results of what it did before.

        Raises:
            NotThere: there is no such run; the folder stays where it is.
        """
        with Session(self._reads) as session:
            _row(session, run_id)
        size = self.runs.keep(folder, run_id)
        with Session(self._engine) as session, session.begin():
            row = _row(session, run_id)
            row.status, row.message, row.size_bytes = status, message, size
            row.ended_s = max(self._now(), row.created_s)  # where the clock was put back meanwhile
            row.maps = [
                MapRow(position=i, **{name: getattr(one, name) for name in MAP_FACTS}) for i, one in enumerate(maps)
            ]
            row.words, row.verdicts = _words(row), _verdicts(maps)

    def run(self, run_id: str) -> RunFacts:
        """What is known of a run.

        Raises:
            NotThere: there is no such run.
        """
        with Session(self._reads) as session:
            return _facts(_row(session, run_id))

    def same(self, key: str) -> RunFacts | None:
        """The newest finished run of the same request whose results are there and of which nothing failed, or None."""
        query = select(RunRow).where(RunRow.key == key, RunRow.status == "finished", RunRow.message == "")
        with Session(self._reads) as session:
            rows = session.scalars(query.order_by(RunRow.created_s.desc()))
            return next((_facts(row) for row in rows if self._has_results(row.id)), None)

    def _has_results(self, run_id: str) -> bool:
        return (self.runs.path(run_id) / RECORD).is_file()

    def search(self, query: Query) -> Page:
        """A page of the history."""
        with self._reads.connect() as connection:
            rows = connection.execute(query.statement()).all()
            run_ids = [row.id for row in rows[: query.limit]]
            maps, tags = defaultdict(list), defaultdict(list)
            for one in connection.execute(MAPS, {"runs": run_ids}):
                maps[one.run_id].append(one)
            for one in connection.execute(TAGS, {"runs": run_ids}):
                tags[one.run_id].append(one.name)
        runs = [RunFacts.of(row, maps[row.id], tags[row.id]) for row in rows[: query.limit]]
        last = runs[-1] if len(rows) > query.limit else None
        return Page(runs, None if last is None else (last.created_s, last.id))

    def remove(self, run_id: str) -> None:
        """Forget a run and remove its results; nothing happens where there is none."""
        try:
            self._forget(run_id)
        except SQLAlchemyError as error:
            if not is_full(error):
                raise
            self.runs.remove(run_id)  # which makes the room that forgetting it takes
            self._forget(run_id)
        self.runs.remove(run_id)

    def _forget(self, run_id: str) -> None:
        with Session(self._engine) as session, session.begin():
            session.execute(delete(RunRow).where(RunRow.id == checked_id(run_id)))

    # --- what people say about runs ----------------------------------------------------------------------------------

    def star(self, run_id: str, star: bool) -> None:
        """Give a run a star, or take it."""
        with Session(self._engine) as session, session.begin():
            _row(session, run_id).star = star

    def annotate(self, run_id: str, *, note: str | None = None, marks: list[Any] | None = None) -> None:
        """Write a run's note, or what was drawn over its maps; None leaves it."""
        with Session(self._engine) as session, session.begin():
            row = _row(session, run_id)
            row.note = row.note if note is None else note
            row.marks = row.marks if marks is None else marks
            row.words = _words(row)

    def tag(self, run_id: str, names: Iterable[str]) -> None:
        """Set a run's tags, in place of those that it has.

        Raises:
            OptionError: a tag is empty or longer than 64 letters.
        """
        cleaned = sorted({" ".join(name.split()) for name in names})
        for name in cleaned:
            if not 0 < len(name) <= TAG_LETTERS:
                raise OptionError(f"the tag {name[:80]!r} has {len(name)} letters; expected 1 to {TAG_LETTERS}")
        with Session(self._engine) as session, session.begin():
            row = _row(session, run_id)
            kept = {tag.name: tag for tag in row.tags}
            row.tags = [kept.get(name) or TagRow(name=name) for name in cleaned]
            row.words = _words(row)

    def choices(self) -> dict[str, list[str]]:
        """What searches can be narrowed to: models, labels, verdicts and tags that there are."""
        columns = {"model": RunRow.model, "label": MapRow.label, "verdict": RunRow.verdicts, "tag": TagRow.name}
        with self._reads.connect() as connection:
            values = {name: set(connection.scalars(distinct(column))) for name, column in columns.items()}
        values["verdict"] = {word for words in values["verdict"] for word in words.split(",") if word}
        return {name: sorted(words) for name, words in values.items()}

    # --- keeping house -----------------------------------------------------------------------------------------------

    def sweep(self, *, older_than_s: float = LEFT_OVER_S) -> list[str]:
        """What a start does after a crash: runs that were at work are interrupted, and what no row names is removed.

        A finished run whose folder is missing or empty (somebody removed it by hand) fails, and says so. Returns what
        was done, in words.
        """
        done = []
        with Session(self._engine) as session, session.begin():
            at_work = select(RunRow.id).where(RunRow.status.in_(("queued", "running")))
            for run_id in list(session.scalars(at_work)):
                values = {
                    "status": "interrupted",
                    "message": "the studio ended before the run did",
                    "ended_s": self._now(),
                }
                session.execute(update(RunRow).where(RunRow.id == run_id).values(values))
                done.append(f"run {run_id} was interrupted")
            kept = set(session.scalars(select(RunRow.id).where(RunRow.size_bytes > 0)))
            there = set(self.runs.ids())
            whole = select(RunRow.id).where(RunRow.size_bytes > 0, RunRow.status.in_(("finished", "cancelled")))
            for run_id in sorted(one for one in session.scalars(whole) if not self._has_results(one)):
                why = "was emptied" if run_id in there else "is missing"
                values = {"status": "failed", "message": f"its folder {why}"}
                session.execute(update(RunRow).where(RunRow.id == run_id).values(values))
                done.append(f"the folder of run {run_id} {why}")
            pictures = set(session.scalars(select(PictureRow.id)))
            lost = sorted(pictures - set(self.pictures.ids()))
            session.execute(delete(PictureRow).where(PictureRow.id.in_(lost)))
            done += [f"the file of picture {picture_id} is missing" for picture_id in lost]
        for blobs, known in ((self.runs, kept), (self.pictures, pictures)):
            done += [f"removed {name}, which nothing names" for name in blobs.sweep(known, older_than_s=older_than_s)]
        return done

    def retain(self, *, runs: int | None = None, size_bytes: int | None = None, days: float | None = None) -> int:
        """Forget the oldest runs beyond a limit; runs with a star stay and count for nothing. Returns how many are
        gone.

        Args:
            runs: how many are kept at most.
            size_bytes: of their folders and of what they were asked about together, at most.
            days: how old they get.
        """
        ended = RunRow.status.notin_(("queued", "running"))
        query = select(RunRow.id, RunRow.created_s, RunRow.size_bytes, RunRow.pictures).where(ended, ~RunRow.star)
        with Session(self._reads) as session:
            rows = session.execute(query.order_by(RunRow.created_s.desc())).all()
            sizes = {one: bytes_ for one, bytes_ in session.execute(select(PictureRow.id, PictureRow.size_bytes))}
        gone, size, oldest = [], 0, -float("inf") if days is None else self._now() - 86400 * days
        for i, (run_id, created_s, bytes_, pictures) in enumerate(rows):
            size += bytes_ + sum(sizes.pop(one, 0) for one in _picture_ids(pictures))  # each once
            too_many = (runs is not None and i >= runs) or (size_bytes is not None and size > size_bytes)
            if too_many or created_s < oldest:
                gone.append(run_id)
        for run_id in gone:
            self.remove(run_id)
        return len(gone)

    def forget_pictures(self, *, days: float) -> list[str]:
        """Forget pictures and videos that no run was asked about, among them snapshots and recordings; their ids.

        Args:
            days: how long ago they were sent at least.
        """
        with Session(self._engine) as session, session.begin():
            old = set(session.scalars(select(PictureRow.id).where(PictureRow.created_s < self._now() - 86400 * days)))
            if old:
                for pictures in session.scalars(select(RunRow.pictures)):
                    old.difference_update(_picture_ids(pictures))
            session.execute(delete(PictureRow).where(PictureRow.id.in_(old)))
        for picture_id in old:
            self.pictures.remove(picture_id)
        return sorted(old)

    def counts(self) -> dict[str, int]:
        """How many runs there are of each status."""
        with Session(self._reads) as session:
            rows = session.execute(select(RunRow.status, func.count()).group_by(RunRow.status)).all()
        return {status: number for status, number in rows}


def _row(session: Session, run_id: str) -> RunRow:
    row = session.get(RunRow, checked_id(run_id))
    if row is None:
        raise NotThere(f"there is no run {run_id}; it may have been removed")
    return row


def _facts(row: RunRow) -> RunFacts:
    return RunFacts.of(row, row.maps, (tag.name for tag in row.tags))


def _picture_ids(pictures: Iterable[Any] | None) -> list[str]:
    return [str(one.get("id")) for one in pictures or () if isinstance(one, dict)]


def _words(row: RunRow) -> str:
    parts = [row.title, row.model, row.note or "", *(tag.name for tag in row.tags), *(one.label for one in row.maps)]
    return "\n".join(dict.fromkeys(part.lower() for part in parts if part))


def _verdicts(maps: Iterable[MapFacts]) -> str:
    return "".join(f",{word}" for word in sorted({one.verdict for one in maps if one.verdict})) + ","
