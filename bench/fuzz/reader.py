"""What a reader is to the fuzzer: how it is called, what its valid inputs are, and how they are changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Form = Literal["json", "lines", "yaml", "csv", "text", "bytes", "safetensors", "npz", "zip"]
"""How an input is built, so that it can be changed without losing its form at once."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A function that reads what somebody else wrote.

    Args:
        name: short, unique.
        sources: the files of ``src/isotherm`` that do the reading, which the test of completeness goes by.
        form: of the input.
        call: takes the path of the input, or its text where ``fname`` is empty, and reads all of it.
        seeds: valid inputs, made in an empty folder.
        fname: the name that the input has in its folder; empty: the input is a text.
        prepare: puts into the folder what has to lie beside the input.
        fresh: the reader writes into the folder, which is therefore made anew for every input.
        valid: seeds are read; of those that name what is not here, False.
        slow: reads a few dozen inputs a second, since it builds a network of each.
        names_file: messages name the file of the input.
    """

    name: str
    sources: tuple[str, ...]
    form: Form
    call: Callable[[Any], object]
    seeds: Callable[[Path], Sequence[bytes]]
    fname: str = ""
    prepare: Callable[[Path], None] | None = None
    fresh: bool = False
    valid: bool = True
    slow: bool = False
    names_file: bool = True


def texts(*lines: str) -> Callable[[Path], list[bytes]]:
    """Seeds that are written out.

    Args:
        lines: one for every seed.
    """
    return lambda folder: [line.encode() for line in lines]


def written(fname: str, write: Callable[[Path], object]) -> Callable[[Path], list[bytes]]:
    """A seed that a writer of isotherm makes.

    Args:
        fname: of the file that it writes.
        write: takes the file's path.
    """

    def seeds(folder: Path) -> list[bytes]:
        write(folder / fname)
        return [(folder / fname).read_bytes()]

    return seeds
