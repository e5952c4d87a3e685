"""What a user names on the command line, as a stream of items that are decoded one by one when asked."""

from __future__ import annotations

import glob
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from isotherm import limits
from isotherm.data.fetch import fetch_picture
from isotherm.data.missing import SCHEME, no_file
from isotherm.data.names import natural_key, near_names
from isotherm.data.picture_formats import PICTURE_SUFFIXES
from isotherm.data.pictures import MAX_PIXELS, Picture, check_regular_file, looks_like_picture, read_picture
from isotherm.data.video import (
    STREAM_PREFIXES,
    VIDEO_SUFFIXES,
    FrameChoice,
    VideoFrame,
    camera,
    count_frames,
    read_frames,
)
from isotherm.errors import InputError, IsothermError, MissingExtraError
from isotherm.untrusted.plain import reading

ItemKind = Literal["picture", "url", "frame"]
ReadPicture = Callable[..., Picture]
"""How a picture's file is read: from its path, with a ``name``; as :func:`isotherm.data.pictures.read_picture` does."""
LIST_SUFFIXES = frozenset((".txt", ".lst"))
MAX_LIST_BYTES = limits.LIST_BYTES
_STREAM_SUFFIXES = VIDEO_SUFFIXES | {".m3u8", ".mpd", ".sdp"}


@dataclass(frozen=True, eq=False)
class Item:
    """One picture to come; nothing of it is decoded before :meth:`load`.

    Args:
        name: what to call it: the path below the named folder, an address, or ``clip.mp4#000030`` for a frame. No two
            items have the same: where another one came before, it is the path or address as it was given, and of the
            same picture again a numbered one.
        kind: ``"picture"`` (a file), ``"url"`` or ``"frame"`` (of a video, stream or camera).
        index: its place among all items, from 0.
        time_s: seconds since the start of the video; None for pictures.
        source: the full path or address.
    """

    name: str
    kind: ItemKind
    index: int
    time_s: float | None
    source: str
    _load: Callable[[ReadPicture], Picture] = field(repr=False)

    def load(self, read: ReadPicture = read_picture) -> Picture:
        """Decode it.

        Args:
            read: reads a picture's file, where this is one; somebody may have its pixels still.

        Raises:
            InputError: this one cannot be read; the others may.
        """
        return self._load(read)


@dataclass(frozen=True, eq=False)
class Sources:
    """All items that some arguments name, in order.

    Args:
        total: how many there will be, None where it cannot be known (a stream, a camera, some videos).
        all_pictures: none of them is a frame of a video, a stream or a camera.
    """

    total: int | None
    all_pictures: bool
    _parts: Sequence[_Part] = field(repr=False)

    def __iter__(self) -> Iterator[Item]:
        index, taken = 0, set[str]()
        for part in self._parts:
            for make in part.items():
                item = make(index)
                if len(self._parts) > 1:  # a camera alone runs for days, and its frames have their numbers
                    item = replace(item, name=_free_name(item, taken))
                    taken.add(item.name)
                yield item
                index += 1


@dataclass(frozen=True, eq=False)
class _Part:
    count: int | None
    items: Callable[[], Iterator[Callable[[int], Item]]]
    has_frames: bool = False


def expand(
    args: Sequence[str | os.PathLike[str]],
    *,
    recursive: bool = False,
    every: int = 1,
    max_frames: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Sources:
    """Turn what a user named into items.

    Args:
        args: each a picture, a video, a folder, a quoted pattern (``"*.jpg"``, ``"**/*.png"``), a list file (``.txt``,
            one path or picture address per line, relative to the list), a camera's number, the address of a picture
            (http, https) or of a stream (rtsp, rtmp, or http with a video's suffix).
        recursive: look into the folders within folders.
        every: of videos, take each n-th frame.
        max_frames: of each video, take at most so many.
        start_s, end_s: of each video, from this second on, up to before that one.
        max_pixels: a video's frames, and a picture from an address, may have; of a picture's file its reader says so.

    Returns:
        Items in natural order (``2.jpg`` before ``10.jpg``) within each argument. That the named things exist is
        checked now; what is in them, when they are loaded.

    Raises:
        InputError: something does not exist; or nothing of what was named can be looked at. Of several things that
            exist, one that is of no known kind, damaged or empty becomes an item that fails to load.
        OptionError: a number of these out of range.

    Example:
        >>> for item in expand(["photos/", "clip.mp4"], every=10):   # doctest: +SKIP
        ...     picture = item.load()
    """
    choice = FrameChoice(every=every, max_frames=max_frames, start_s=start_s, end_s=end_s, max_pixels=max_pixels)
    if not args:
        raise InputError(
            "nothing was given to look at; give a picture, a folder, a video, an address or a camera's number"
        )
    parts: list[_Part] = []
    broken: list[InputError | MissingExtraError] = []
    for source in (os.fspath(one) for one in args):
        try:
            parts += _parts_of(source, recursive, choice)
        except (InputError, MissingExtraError) as error:
            if not os.path.lexists(source):  # a slip in a name is best known before anything is done
                raise
            broken.append(error)
            kind: ItemKind = "frame" if Path(source).suffix.lower() in VIDEO_SUFFIXES else "picture"
            parts.append(_broken(source, kind, source, error))
    if len(broken) == len(args):
        raise broken[0]
    counts = [part.count for part in parts]
    total = None if None in counts else sum(c for c in counts if c is not None)
    return Sources(total, not any(part.has_frames for part in parts), parts)


def _free_name(item: Item, taken: set[str]) -> str:
    """The item's name if no other one has it: results are written by name, and one must not replace another's."""
    _, sign, frame = item.name.rpartition("#") if item.kind == "frame" else ("", "", "")
    longer = f"{item.source}{sign}{frame}"
    names = itertools.chain([item.name, longer], (f"{longer} ({n})" for n in itertools.count(2)))
    return next(name for name in names if name not in taken)


# --- one argument ----------------------------------------------------------------------------------------------


def _parts_of(source: str, recursive: bool, choice: FrameChoice) -> list[_Part]:
    if SCHEME.match(source):
        return [_address(source, choice)]
    if not source.strip():
        raise InputError("an empty name was given; give a picture, a folder (. for this one), a video or an address")
    path = Path(source)
    if re.fullmatch(r"[0-9]+", source):
        if len(source) > 4:
            raise InputError(f"there is no camera {source[:40]}; a camera's number has at most four digits")
        if path.exists():
            raise InputError(f"{source} is both a camera's number and a file here; write ./{source} for the file")
        return [_video(camera(int(source)), f"camera{source}", None, choice)]
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return _pattern(source, choice)
    if stat.S_ISDIR(mode):
        return _files(_listed(path, recursive), choice)
    if stat.S_ISCHR(mode) and re.fullmatch(r"/dev/video[0-9]+", source):
        return [_video(source, path.name, None, choice)]
    check_regular_file(path, "picture or video")
    suffix = path.suffix.lower()
    if suffix in LIST_SUFFIXES:
        return _list(path, choice)
    if suffix not in PICTURE_SUFFIXES | VIDEO_SUFFIXES and not looks_like_picture(path):
        raise InputError(
            f"{source} is neither a picture nor a video; expected {_expected()}, a folder, or a list (.txt)"
        )
    return _files([(path, path.name)], choice, alone=True)


def _files(files: Sequence[tuple[Path, str]], choice: FrameChoice, *, alone: bool = False) -> list[_Part]:
    parts = []
    for path, name in files:
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            parts.append(_picture(path, name))
            continue
        try:
            count = count_frames(path, choice)
        except (InputError, MissingExtraError) as error:
            if alone:
                raise
            parts.append(_broken(name, "frame", str(path), error))  # one broken video does not stop a folder
        else:
            parts.append(_video(str(path), name, count, choice))
    return parts


def _picture(path: Path, name: str) -> _Part:
    def items() -> Iterator[Callable[[int], Item]]:
        yield lambda index: Item(name, "picture", index, None, str(path), lambda read: read(path, name=str(path)))

    return _Part(1, items)


def _url(url: str, choice: FrameChoice) -> _Part:
    def items() -> Iterator[Callable[[int], Item]]:
        yield lambda index: Item(
            url, "url", index, None, url, lambda _: fetch_picture(url, max_pixels=choice.max_pixels)
        )

    return _Part(1, items)


def _video(source: str, name: str, count: int | None, choice: FrameChoice) -> _Part:
    def items() -> Iterator[Callable[[int], Item]]:
        where = ""
        try:
            for frame in read_frames(source, **asdict(choice)):
                where = f", behind frame {frame.index} ({frame.time_s:.2f} s)"
                yield _framed(frame, f"{name}#{frame.index:06d}", source)
        except InputError as error:  # what came before the break stays, and the next argument still has its turn
            yield _failing(f"{name}{where}", "frame", source, error)

    return _Part(count, items, has_frames=True)


def _framed(frame: VideoFrame, title: str, source: str) -> Callable[[int], Item]:
    def load(_: ReadPicture) -> Picture:
        return Picture(title, frame.array(), format="video")

    return lambda index: Item(title, "frame", index, frame.time_s, source, load)


def _broken(name: str, kind: ItemKind, source: str, error: IsothermError) -> _Part:
    return _Part(1, lambda: iter([_failing(name, kind, source, error)]), has_frames=kind == "frame")


def _failing(name: str, kind: ItemKind, source: str, error: IsothermError) -> Callable[[int], Item]:
    def load(_: ReadPicture) -> Picture:
        raise InputError(str(error), command_line=error.on_command_line())

    return lambda index: Item(name, kind, index, None, source, load)


def _address(url: str, choice: FrameChoice, *, streams: bool = True) -> _Part:
    scheme = url.partition(":")[0].lower()
    web = scheme in ("http", "https")
    if not web and not url.lower().startswith(STREAM_PREFIXES):
        raise InputError(
            f"{url} has the scheme {scheme!r}; expected http or https (a picture), or rtsp, rtmp, udp (a stream)"
        )
    try:
        suffix = Path(urlsplit(url).path).suffix.lower()
    except ValueError as error:
        raise InputError(f"{url!r} is not an address ({error})") from error
    if web and suffix not in _STREAM_SUFFIXES:
        return _url(url, choice)
    if not streams:
        raise InputError(
            f"{url} is a stream; streams are opened only where they are named on the command line, not from a list"
        )
    return _video(url, Path(urlsplit(url).path).name or urlsplit(url).hostname or "stream", None, choice)


# --- many files ------------------------------------------------------------------------------------------------


def _known(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES


def _listed(folder: Path, recursive: bool) -> list[tuple[Path, str]]:
    files, folders, others = [], 0, 0
    unreadable: list[OSError] = []
    for here, inner, names in os.walk(folder, onerror=unreadable.append):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in names:
            path = Path(here, name)
            if _known(name):
                files.append((path, path.relative_to(folder).as_posix()))
            else:
                others += 1
        if not recursive:
            folders = len(inner)
            break
    if not files:
        if unreadable:
            raise InputError(f"the folder {folder} cannot be read ({unreadable[0].strerror}); check its permissions")
        hint = f"; its {folders} folders were not searched: add --recursive" if folders else ""
        raise InputError(
            f"the folder {folder} holds no picture or video ({others} other files){hint}; looked for {_expected()}"
        )
    return sorted(files, key=lambda pair: [natural_key(part) for part in Path(pair[1]).parts])


def _pattern(pattern: str, choice: FrameChoice) -> list[_Part]:
    if not glob.has_magic(pattern):
        raise no_file(pattern if len(pattern) <= 300 else f"{pattern[:300]}...")
    with reading(repr(pattern[:200]), advice="expected the name of a picture, or a pattern such as '*.jpg'"):
        names = glob.glob(pattern, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    matches = sorted(names, key=natural_key)
    files = [Path(match) for match in matches if Path(match).is_file() and _known(Path(match).name)]
    if not files:
        seen = (
            f"it matches {len(matches)} files or folders, but no picture or video" if matches else "nothing matches it"
        )
        raise InputError(f"the pattern {pattern!r} gives nothing: {seen}; looked for {_expected()}")
    root = Path(os.path.commonpath([path.parent for path in files]) if len(files) > 1 else files[0].parent)
    return _files([(path, path.relative_to(root).as_posix()) for path in files], choice)


def _list(path: Path, choice: FrameChoice) -> list[_Part]:
    if path.stat().st_size > MAX_LIST_BYTES:
        raise InputError(f"the list {path} has {path.stat().st_size} bytes; at most {MAX_LIST_BYTES} are read")
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} is not a list of paths ({error}); expected UTF-8 text, one path per line") from error
    entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not entries:
        raise InputError(f"the list {path} names nothing; expected one path per line, relative to the list")
    parts = []
    broken: list[InputError] = []
    for entry in entries:
        try:
            parts.append(_entry(path.parent, entry, choice))
        except InputError as error:  # one wrong line does not stop the list
            broken.append(error)
            parts.append(_broken(entry, "picture", entry, InputError(f"{path}: {error}")))
    if len(broken) == len(entries):
        which = "its only line names none" if len(entries) == 1 else f"none of its {len(entries)} lines names one"
        raise InputError(
            f"{path} is a text, and a text is read as a list of pictures, a path or an address on each line; {which}: {broken[0]}"
        )
    return parts


def _entry(folder: Path, entry: str, choice: FrameChoice) -> _Part:
    if SCHEME.match(entry):
        return _address(entry, choice, streams=False)
    target = folder / entry
    if not os.path.lexists(target):
        raise InputError(f"there is no file {entry!r}{near_names(target)}")
    check_regular_file(target, "picture or video")
    if target.suffix.lower() in LIST_SUFFIXES:
        raise InputError(f"{entry} is a list within a list; name its files instead")
    return _files([(target, entry)], choice)[0]


def _expected() -> str:
    return "pictures (.jpg, .png, .webp, .tif, .bmp, .gif and more) or videos (.mp4, .mov, .mkv, .avi, .webm and more)"
