"""Clips of videos as a set to train on: actions of tables, the frames before them, and where the person looked."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from isotherm.data.anticipation.anchors import ClipPlan, PlannedClip, Range
from isotherm.data.anticipation.classes import UNKNOWN, Classes
from isotherm.data.anticipation.clips import VideoClip, gaze_until, read_clip
from isotherm.data.anticipation.leak import leak
from isotherm.data.anticipation.transforms import ClipTransform, TransformedClip, eight_bit
from isotherm.data.anticipation.windows import DamagedWindowError
from isotherm.data.video import VideoInfo, probe_video
from isotherm.errors import InputError
from isotherm.frame import Size
from isotherm.gaze.clips import gaze_of_clips
from isotherm.progress import Say, silent
from isotherm.train.anticipation.clip_data import ClipBatch
from isotherm.train.anticipation.clip_memory import ClipMemory, ReadClip, bytes_of
from isotherm.train.anticipation.source import ClipsChoice, ClipSource
from isotherm.train.anticipation.tables import joined_tables, tables_of, words_of
from isotherm.train.anticipation.video_files import VIDEO_ENDINGS, NamedFiles
from isotherm.train.anticipation.video_gaze import VideoGaze
from isotherm.train.anticipation.windows import ClipWindows

BEHIND_S = 1.0
"""By how much an action may begin behind the end of its video, as headers round and tables are made by hand."""
SHOWN = 5
"""Problems that a message names."""


@dataclass(frozen=True)
class _Video:
    """A video of a source. fpath: its file. info: what its header says. source: number of the source."""

    fpath: Path
    info: VideoInfo
    source: int


class VideoClips:
    """Fulfils :class:`isotherm.train.anticipation.clip_data.ClipData`.

    What a clip shows depends on the seed, the epoch and the action's number in its tables alone; actions that are left
    out change nothing of the others.

    Args:
        sources: tables with their videos and gaze, joined; the same id must mean the same in all of them.
        choice: how clips are made.
        root: where relative paths start.
        classes: those of the training; None: these actions are the training, and decide them.
        skip_bad: leave out rows, and actions of videos, that cannot be read, with a message each.
        say: is told what was assumed, what is missing and what was left out.

    Attributes:
        table: all actions of all sources.
        rows: (n) numbers of the actions that have a clip.
        kept: the classes, as a checkpoint stores them.

    Raises:
        InputError: a table, a video or a row that cannot be read, with its path.
    """

    part_names: Sequence[str] = ("all",)
    slow = True

    def __init__(
        self,
        sources: Sequence[ClipSource],
        choice: ClipsChoice,
        *,
        root: Path,
        classes: Classes | None = None,
        skip_bad: bool = False,
        say: Say = silent,
    ) -> None:
        training = classes is None
        self._say, self._skip = say, skip_bad
        self._plan = choice.training_plan() if training else choice.plan
        self.size: Size = (choice.side, choice.side)
        self.frames, self.rate_hz = self._plan.frames, self._plan.rate_hz
        self._plain = ClipTransform.plain(self.size)
        drawn = choice.augmentation if training else None
        # another seed than the plan's, whose first numbers the transform's would repeat
        self._drawn = None if drawn is None else drawn.transform(choice.side, seed=self._plan.seed + 1)
        tables = tables_of(sources, root=root, skip_bad=skip_bad)
        self.table, self._source_of = joined_tables(tables), [i for i, t in enumerate(tables) for _ in t]
        for line in (*self.table.notes, *self.table.skipped):
            say(line)
        self.kept = Classes.of(self.table) if classes is None else classes
        self.classes: Mapping[str, Sequence[str]] = words_of(self.kept)
        if classes is not None and (absent := classes.absent(self.table)).rows:
            say(str(absent))
        self._videos: dict[tuple[int, str], _Video] = {}
        self._gaze = [VideoGaze(source.gaze, root=root) for source in sources]
        self.rows = self._readable(sources, root, training=training)
        numbers = self.kept.numbers(self.table)
        every = torch.stack([torch.from_numpy(values) for values in (numbers.verb, numbers.noun, numbers.action)], 1)
        self.labels: Int[Tensor, "n 3"] = every[self.rows]
        self.parts: Int[Tensor, " n"] = torch.zeros(len(self.rows), dtype=torch.long)
        self._broken: set[int] = set()
        self._memory_mb, self._disk_mb = choice.memory_mb, choice.disk_mb
        self._memory = ClipMemory[ReadClip](round(choice.memory_mb * 1e6))
        self._decoded = ClipMemory[VideoClip](round(choice.memory_mb * 1e6))
        self._planned = dict[int, PlannedClip]()
        self._windows: ClipWindows | None = None
        self._spans = dict[int, Range]()
        if self._plan.protocol == "legacy" and len(self.rows) and (training or len(self.table.videos)):
            self._say_leak()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def changes(self) -> str:
        """Why a clip is another one in another epoch, in words; empty where it is not."""
        if self._drawn is not None:
            return "augmentation changes the pictures in every epoch"
        if self._moments_change:
            return f"clips end {self._plan.anticipation_s} s before their actions, drawn anew in every epoch"
        return ""

    @property
    def _moments_change(self) -> bool:
        spans = (self._plan.anticipation_s, self._plan.legacy_point)
        return any(span is not None and span[0] != span[1] for span in spans)

    def batch(self, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"] | None = None) -> ClipBatch:
        """As of :class:`isotherm.train.anticipation.clip_data.ClipData`.

        Args:
            index: which.
            epoch: of each; None: the first one's clips, and nothing of the pictures is changed.
        """
        epochs = [None] * len(index) if epoch is None else epoch.tolist()
        reads, ahead, labels = [], [], self.labels[index].clone()
        for k, (i, of) in enumerate(zip(index.tolist(), epochs, strict=True)):
            planned = self.planned(i, of or 0)
            read = self._memory.get(i)
            if read is None:
                clip = self._clip(i, planned, of)
                shown = self._grey() if clip is None else clip
                read = ReadClip(eight_bit(shown.video), shown)
                if clip is None:
                    labels[k] = UNKNOWN
                elif not self.changes:
                    self._memory.keep(i, read.bare(), read.n_bytes)
            reads.append(read)
            ahead.append(planned.anticipation_s)
        gaze = gaze_of_clips([read.clip for read in reads])
        video = torch.stack([read.pictures for read in reads])
        return ClipBatch(video, gaze, labels, torch.tensor(ahead, dtype=torch.float32))

    def keep_windows(self, dpath: Path) -> None:
        """Keep all frames that clips may show whose moments are drawn anew, from the first time on that they are read.

        Worth it where every clip is asked for several times, as more of a video is decoded the first time.

        Args:
            dpath: for what does not fit into memory.
        """
        if self._moments_change:
            self._windows = ClipWindows(dpath, memory_mb=self._memory_mb, disk_mb=self._disk_mb, say=self._say)

    def planned(self, i: int, epoch: int = 0) -> PlannedClip:
        """The moments of a clip.

        Args:
            i: its number.
            epoch: of the run.
        """
        row = int(self.rows[i])
        if (planned := self._planned.get(row)) is None:
            planned = self._plan.planned(self.table[row], row, epoch=epoch, video_rate_hz=self._rate_of(row))
            if not self._moments_change:
                self._planned[row] = planned
        return planned

    def fpath(self, i: int) -> Path:
        """The video file of a clip.

        Args:
            i: its number.
        """
        return self._video(int(self.rows[i])).fpath

    def clip(self, i: int) -> TransformedClip | None:
        """A clip as it is; None where its video breaks off, and such ones are to be left out.

        Args:
            i: its number.
        """
        return self._clip(i, self.planned(i), None)

    def pictures(self, clip: TransformedClip | None) -> UInt8[Tensor, "t 3 h w"]:
        """The pictures of a clip, grey ones where there is none.

        Args:
            clip: of :meth:`clip`.
        """
        return eight_bit((self._grey() if clip is None else clip).video)

    def clip_at(self, i: int, before_s: Float[Tensor, " t"]) -> TransformedClip:
        """A clip without its pictures, whose frames are known: nothing is decoded.

        Args:
            i: its number.
            before_s: when its frames are shown, counted from its end; NaN where it cannot be read.
        """
        row, planned = int(self.rows[i]), self.planned(i)
        if not bool(torch.isfinite(before_s).all()):
            return replace(self._grey(), video=torch.zeros(self.frames, 3, 0, 0))
        video = self._video(row)
        frame = self._plain.drawn(video.info.size, row)
        store = self._gaze[video.source].store(self.table[row].video, video.fpath, video.info.size, self._say)
        gaze = None if store is None else gaze_until(store, before_s.numpy() + planned.end_s, planned.end_s)
        shown = None if gaze is None else gaze.through(frame)
        return TransformedClip(torch.zeros(self.frames, 3, 0, 0), frame, before_s, shown)

    @property
    def plan(self) -> ClipPlan:
        """How its clips lie before actions."""
        return self._plan

    def ahead(self, ahead_s: float, *, rows: Int[Tensor, " m"] | None = None) -> VideoClips:
        """The same actions from clips that end some other time before them; nothing is drawn or changed.

        Args:
            ahead_s: seconds between a clip's end and its action.
            rows: numbers of actions that are kept; None: all that have such a clip.
        """
        other = copy.copy(self)
        other._plan, other._drawn = replace(self._plan, anticipation_s=(ahead_s, ahead_s)), None
        # these are other clips under the same numbers
        other._memory, other._decoded, other._planned, other._windows = ClipMemory(0), ClipMemory(0), {}, None
        usable = torch.from_numpy(other._plan.usable(self.table))
        kept = torch.isin(self.rows, usable if rows is None else rows)
        other.rows, other.labels, other.parts = self.rows[kept], self.labels[kept], self.parts[kept]
        return other

    def _video(self, row: int) -> _Video:
        return self._videos[self._source_of[row], self.table[row].video]

    def _rate_of(self, row: int) -> float | None:
        video = self.table[row].video
        return self.table.videos[video].rate_hz if video in self.table.videos else self._video(row).info.rate_hz

    def _clip(self, i: int, planned: PlannedClip, epoch: int | None) -> TransformedClip | None:
        """None where the video breaks off, and such videos are to be left out."""
        row = int(self.rows[i])
        if self._windows is not None and epoch is not None:
            clip = self._of_window(i, row, planned)
            if clip is not None:
                return (self._drawn or self._plain)(clip, row, epoch=epoch)
        if epoch is None or self._drawn is None:
            clip = self._read(row, planned, None)
            return None if clip is None else self._plain(clip, row, epoch=epoch or 0)
        clip = self._decoded.get(i)
        if clip is None:
            # whether there is room to keep it must not change what is shown
            clip = self._read(row, planned, self._drawn.enough(self._video(row).info.size))
            if clip is not None and not self._moments_change:
                self._decoded.keep(i, clip, bytes_of(clip.video, clip.gaze))
        return None if clip is None else self._drawn(clip, row, epoch=epoch)

    def _of_window(self, i: int, row: int, planned: PlannedClip) -> VideoClip | None:
        """A clip of the frames that are kept; None where they are not."""
        video = self._video(row)
        assert self._windows is not None
        try:
            if (span := self._spans.get(row)) is None:
                span = self._spans[row] = self._plan.span(self.table[row], video_rate_hz=self._rate_of(row))
            window = self._windows.window(i, video.fpath, video.info, span, self._drawn, self._plain)
            if window is None:
                return None
            gaze = self._gaze[video.source].store(self.table[row].video, video.fpath, video.info.size, self._say)
            return window.clip(planned, gaze=gaze)
        except DamagedWindowError as error:
            self._say(f"{error}; the clip is decoded again")
        except InputError:
            if not self._skip:
                raise
        return None  # whether this one clip can be read is seen where it is read alone

    def _read(self, row: int, planned: PlannedClip, short_side: int | None) -> VideoClip | None:
        """A clip as it is decoded, and its pictures shrunk to a shorter side."""
        video = self._video(row)
        try:
            gaze = self._gaze[video.source].store(self.table[row].video, video.fpath, video.info.size, self._say)
            return read_clip(video.fpath, planned, gaze=gaze, short_side=short_side)
        except InputError as error:
            if not self._skip:
                raise
            if row not in self._broken:
                self._say(f"{self.table[row].where}: {error}; the clip is grey and has no label")
                self._broken.add(row)
            return None

    def _grey(self) -> TransformedClip:
        frame = self._plain.drawn(self.size, 0)
        before = torch.arange(-self.frames, 0, dtype=torch.float64) / self.rate_hz
        return TransformedClip(torch.full((self.frames, 3, *self.size), 0.5), frame, before, None)

    def _readable(self, sources: Sequence[ClipSource], root: Path, *, training: bool) -> Int[Tensor, " n"]:
        """Numbers of actions with a clip whose video can be read."""
        usable = self._plan.usable(self.table).tolist()
        if len(usable) < len(self.table):
            self._say(f"{len(self.table) - len(usable)} of {len(self.table)} actions begin too early for a clip")
        if training and (unknown := [i for i in usable if self.table[i].verb is None]):
            self._say(f"{len(unknown)} actions have no class and are not trained on")
            usable = [i for i in usable if self.table[i].verb is not None]
        files = [NamedFiles(source.videos, VIDEO_ENDINGS, root=root) for source in sources]
        problems: dict[tuple[int, str], str] = {}
        lost, good, missing = Counter[str](), list[int](), Counter[str]()
        for row in usable:
            key = self._source_of[row], self.table[row].video
            if key not in self._videos and key not in problems:
                problem = self._open(key, files[key[0]])
                if problem is not None:
                    problems[key] = problem
                elif (reason := self._gaze[key[0]].lacking(key[1])) is not None:
                    missing[reason] += 1
            problem = problems.get(key) or self._behind(row)
            if problem is None:
                good.append(row)
            else:
                lost[problem] += 1
        for reason in missing:
            self._say(reason)
        if lost and not self._skip:
            lines = "; ".join(list(lost)[:SHOWN])
            raise InputError(
                f"{sum(lost.values())} actions have no video that can be used: {lines}; correct the paths, or leave these actions out (skip_bad)"
            )
        for problem, many in lost.items():
            self._say(f"{problem}; {many} actions are left out")
        return torch.tensor(good, dtype=torch.long)

    def _open(self, key: tuple[int, str], files: NamedFiles) -> str | None:
        """What is wrong with a video, or None."""
        fpath = files.path(key[1])
        if fpath is None:
            return f"there is no video {key[1]} at {files.sought(key[1])}"
        for other in files.others(key[1]):
            self._say(f"there is a video {key[1]} at {fpath} and at {other}; the first is read")
        try:
            self._videos[key] = _Video(fpath, probe_video(fpath), key[0])
        except InputError as error:
            return str(error)
        return None

    def _behind(self, row: int) -> str | None:
        action, video = self.table[row], self._video(row)
        length = video.info.duration_s
        if length is None or action.start_s <= length + BEHIND_S:
            return None
        return f"{action.where}: the action begins at {action.start_s:g} s, and {video.fpath} ends at {length:.2f} s; is it another video?"

    def _say_leak(self) -> None:
        known = {a.video: self.table.videos.get(a.video) for a in self.table}
        if all(known.values()):
            self._say(f"with the protocol 'legacy' {leak(self.table, self._plan)}")
        else:
            self._say("with the protocol 'legacy' clips may show the actions that they are to predict")
