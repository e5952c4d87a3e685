"""Actions in videos: when each begins and ends, and what it is. No torch here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from isotherm.errors import InputError
from isotherm.size import Size


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    Args:
        video: the name of its video.
        start_s, stop_s: on the video's clock.
        verb, noun: ids of the table; None where it is not known, as in a test set.
        narration: in words.
        name: of the row, unique in most tables.
        start_frame, stop_frame: as the table has them, which need not count the video's own frames; None where it has
            none.
        observed_s: up to when the video may be seen, where the table says so itself (Ego4D, short-term anticipation).
        where: "file:line" of its row.
    """

    video: str
    start_s: float
    stop_s: float
    verb: int | None
    noun: int | None
    narration: str = ""
    name: str = ""
    start_frame: int | None = None
    stop_frame: int | None = None
    observed_s: float | None = None
    where: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start_s <= self.stop_s:
            raise InputError(
                f"{self.where}: the action lasts from {self.start_s:g} to {self.stop_s:g} s; expected at least 0, and no end before the start"
            )
        if (self.verb is None) != (self.noun is None):
            raise InputError(f"{self.where}: verb is {self.verb} and noun {self.noun}; expected both or neither")


@dataclass(frozen=True)
class VideoFacts:
    """What a table says of a video.

    Args:
        rate_hz: frames per second.
        duration_s: length; None where it does not say.
        size: (h, w) in pixels; None where it does not say.
    """

    rate_hz: float
    duration_s: float | None = None
    size: Size | None = None


@dataclass(frozen=True, eq=False)
class ActionTable:
    """The actions of a data set or of a part of it.

    Args:
        actions: in the order of the file.
        verbs, nouns: names of ids; an id may be without one.
        videos: what is known of videos, by name.
        notes: what was assumed or chosen, a line each.
        skipped: what could not be read, a message each.
    """

    actions: tuple[Action, ...]
    verbs: Mapping[int, str] = field(default_factory=dict)
    nouns: Mapping[int, str] = field(default_factory=dict)
    videos: Mapping[str, VideoFacts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.actions)

    def __bool__(self) -> bool:
        return True  # a table without actions is still one

    def __iter__(self) -> Iterator[Action]:
        return iter(self.actions)

    def __getitem__(self, i: int) -> Action:
        return self.actions[i]

    def label(self, action: Action) -> str:
        """An action in words: its verb's and noun's names, or their ids where they have none.

        Args:
            action: of this table.

        Example:
            >>> table = ActionTable((Action("a", 0, 1, 3, 7),), verbs={3: "open"})
            >>> table.label(table[0])
            'open 7'
        """
        if action.verb is None or action.noun is None:
            return "not known"
        return f"{self.verbs.get(action.verb, action.verb)} {self.nouns.get(action.noun, action.noun)}"

    def of_videos(self) -> dict[str, tuple[int, ...]]:
        """The numbers of the actions of each video, by when they begin."""
        rows: dict[str, list[int]] = {}
        for i, action in enumerate(self.actions):
            rows.setdefault(action.video, []).append(i)
        return {video: tuple(sorted(of, key=lambda i: self.actions[i].start_s)) for video, of in rows.items()}

    def rate_of(self, video: str) -> float:
        """Frames per second of a video.

        Args:
            video: its name.

        Raises:
            InputError: the table does not say.
        """
        if video not in self.videos:
            raise InputError(
                f"nothing is known of the video {video!r}, so its frames cannot be counted; give the table of videos "
                "(EPIC_100_video_info.csv of EPIC-KITCHENS)"
            )
        return self.videos[video].rate_hz


def twice(table: ActionTable) -> tuple[str, ...]:
    """The names of rows that occur more than once, in order; empty where all are different.

    Args:
        table: of actions.
    """
    return tuple(name for name, count in Counter(a.name for a in table if a.name).items() if count > 1)
