"""The windows of a set's clips: in memory as far as there is room, then on the disk; else clips are decoded anew."""

from __future__ import annotations

from pathlib import Path

from isotherm.data.anticipation.anchors import Range
from isotherm.data.anticipation.clips import shrunk
from isotherm.data.anticipation.transforms import ClipTransform, eight_bit, through
from isotherm.data.anticipation.windows import Window, WindowFolder, read_window, window_key
from isotherm.data.video import VideoInfo
from isotherm.frame import Frame
from isotherm.progress import Say, silent
from isotherm.train.anticipation.clip_memory import ClipMemory

USUAL_HZ = 60.0
"""Frames a second of a video that does not say."""


class ClipWindows:
    """Windows by the number of their clip.

    Args:
        dpath: for those that do not fit into memory.
        memory_mb, disk_mb: how much all of them may take here and there.
        say: is told where they are, and when there is no more room.
    """

    def __init__(self, dpath: Path, *, memory_mb: float, disk_mb: float, say: Say = silent) -> None:
        self._memory = ClipMemory[Window](round(memory_mb * 1e6))
        self._dpath, self._disk_bytes, self._say = dpath, round(disk_mb * 1e6), say
        self._folder: WindowFolder | None = None
        self._alone: set[int] = set()

    def window(
        self, i: int, fpath: Path, info: VideoInfo, span: Range, drawn: ClipTransform | None, plain: ClipTransform
    ) -> Window | None:
        """The window of a clip, read the first time; None where there is no room for it.

        Args:
            i: number of the clip.
            fpath: its video.
            info: of the video.
            span: (from, until) in seconds.
            drawn: what changes its pictures in every epoch, for which frames are kept as large as it needs them; None:
                nothing does, and they are kept as the model takes them.
            plain: what makes them so.
        """
        window = self._memory.get(i)
        if window is not None or i in self._alone:
            return window
        size = info.size if drawn is None else shrunk(info.size, drawn.enough(info.size))
        frame = plain.drawn(info.size, 0) if drawn is None else Frame.resize(info.size, size)
        h, w = frame.size
        n_bytes = int((span[1] - span[0]) * (info.rate_hz or USUAL_HZ) + 3) * 3 * h * w
        if self._memory.room(n_bytes):
            window = self._read(fpath, span, size, frame, drawn)
            self._memory.keep(i, window, window.n_bytes)
            return window
        folder, key = self._opened(), window_key(fpath, span, size, frame)
        window = folder.get(key, frame)
        if window is None and folder.room(n_bytes):
            window = self._read(fpath, span, size, frame, drawn)
            folder.keep(key, window)
        if folder.full and not self._alone:
            self._say(
                f"there is no more room for frames, neither in memory (data.memory_mb) nor in {self._dpath} (data.disk_mb): the videos of the other clips are decoded in every epoch"
            )
        if folder.full and window is None:
            self._alone.add(i)
        return window

    def _opened(self) -> WindowFolder:
        if self._folder is None:
            self._folder = WindowFolder(self._dpath, self._disk_bytes)
            if self._disk_bytes:
                self._say(
                    f"frames that do not fit into memory (data.memory_mb) are kept in {self._dpath} (data.disk_mb)"
                )
        return self._folder

    @staticmethod
    def _read(fpath: Path, span: Range, size: tuple[int, int], frame: Frame, drawn: ClipTransform | None) -> Window:
        shrink = None if drawn is not None else lambda video, own: eight_bit(through(video, own, frame))
        return read_window(fpath, span, size, frame, shrink=shrink)
