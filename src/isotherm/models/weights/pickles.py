"""What a weights file would do if it were opened, found out without opening it."""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from isotherm.errors import WeightsError

_OF_WEIGHTS = re.compile(
    r"torch\.\w+|torch\._utils\.\w+|torch\._tensor\.\w+|torch\.nn\.parameter\.\w+|torch\.storage\.\w+|torch\.serialization\.\w+"
    r"|collections\.(OrderedDict|Counter|defaultdict)"
)
"""Names that files of plain tensors hold; only for telling a person what else there is, never for allowing it."""


def unsafe_globals(fpath: Path, message: str = "") -> list[str]:
    """Python objects that a torch file asks for beyond those that tensors need; nothing is run to find out.

    Args:
        fpath: a torch file, zip or plain pickle.
        message: what torch said when it refused the file; the object that it names comes first.

    Returns:
        Up to five names such as ``"posix.system"``.
    """
    named = re.findall(r"GLOBAL ([\w.]+\w)", message)
    others = beyond_tensors(_globals_in(_pickles_of(fpath)))
    return list(dict.fromkeys([*named, *others]))[:5]


def words_in(fpath: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The texts in a torch file, such as names of attributes, and those of them that name a tensor.

    Nothing is run to find them. There are none in other files.

    Args:
        fpath: a torch file, zip or plain pickle.
    """
    every: set[str] = set()
    of_tensors: set[str] = set()
    memo: dict[int, str] = {}  # texts and objects that the file speaks of again by number
    last, before = "", ""
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(_pickles_of(fpath))):
            if opcode.name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
                memo[len(memo) if argument is None else argument] = last
                continue
            before, last = last, ""
            if opcode.name in ("BINGET", "LONG_BINGET"):
                last = memo.get(int(argument or 0), "")
            elif opcode.name == "GLOBAL":
                last = str(argument)
            elif isinstance(argument, str):
                last = argument
                every.add(argument)
            if last.startswith("torch._utils _rebuild_") and before in every:
                of_tensors.add(before)
    except (ValueError, UnicodeError, IndexError, OverflowError, MemoryError, RecursionError):
        pass  # the rest is not pickle; what was found until here counts
    return frozenset(every), frozenset(of_tensors)


def pickles_of(fpath: Path, most: int = 1 << 26) -> bytes:
    """The pickles in a torch file, zip or not; of others, what they begin with.

    Args:
        fpath: the file.
        most: bytes that are read. Tensors lie behind the pickle, or in files of their own, so that it is short.
    """
    try:
        if not zipfile.is_zipfile(fpath):
            with fpath.open("rb") as file:
                return file.read(most)
        with zipfile.ZipFile(fpath) as archive:
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            return b"".join(archive.open(name).read(most) for name in names[:1])
    except (OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error):
        return b""


def beyond_tensors(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the classes and functions in a torch file that tensors do not need."""
    return tuple(name for name in names if not _OF_WEIGHTS.fullmatch(name))


def damaged(fpath: Path, error: Exception) -> WeightsError:
    """The error for a file that breaks its reader, with the reader's first line."""
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return WeightsError(f"{fpath} is damaged or cut short ({type(error).__name__}: {first}); copy or download it again")


def _pickles_of(fpath: Path) -> bytes:
    try:
        if not zipfile.is_zipfile(fpath):
            return fpath.read_bytes()
        with zipfile.ZipFile(fpath) as archive:
            return b"".join(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
    except (OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error):
        return b""


def _globals_in(pickles: bytes) -> list[str]:
    # a legacy torch file is several pickles in a row, and then raw tensor bytes
    names: list[str] = []
    stream = io.BytesIO(pickles)
    try:
        while stream.tell() < len(pickles):
            words: list[str] = []
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL" and len(words) >= 2:
                    names.append(".".join(words[-2:]))
                elif isinstance(argument, str):
                    words.append(argument)
    except (ValueError, UnicodeError, IndexError, OverflowError, MemoryError, RecursionError):
        pass  # the rest is not pickle; what was found until here counts
    return names
