"""A slice of work that is guided by coverage: atheris keeps inputs that reach lines of isotherm that none before did.

Our own changes of inputs stay; atheris chooses which inputs are changed next. Without the package (``pip install atheris``,
Linux and macOS) slices are guided by the places at which inputs are refused alone.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from bench.fuzz.forms import MOST, changed
from bench.fuzz.reader import Reader
from bench.fuzz.trial import limited, ready, tried
from bench.fuzz.work import Slice, tried_freely

IS_THERE = importlib.util.find_spec("atheris") is not None


def guided_work(
    reader: Reader,
    seeds: Sequence[bytes],
    *,
    seed: int,
    seconds: float,
    folder: Path,
    pool: Sequence[bytes],
    send: Callable[[Slice], object],
) -> None:
    """Read changed inputs, in this process, which ends with it: the loop is libFuzzer's and never comes back.

    Args:
        reader: that reads them.
        seeds: valid inputs.
        seed: of the generator.
        seconds: of wall time.
        folder: of the inputs.
        pool: earlier inputs.
        send: takes what came of them.
    """
    import atheris

    ready(reader, folder)
    for one in seeds:
        tried_freely(reader, folder, one)
    _instrument(atheris, reader)
    out, until = Slice(), time.monotonic() + seconds
    inputs = folder.parent / "seeds"
    inputs.mkdir()
    for i, one in enumerate([*seeds, *pool]):
        (inputs / str(i)).write_bytes(one)

    def test_one(data: bytes) -> None:
        if time.monotonic() > until:
            send(out)
            os._exit(0)
        out.add(data, tried(reader, folder, data))

    def mutate(data: bytes, most: int, number: int) -> bytes:
        return changed(Random(number), reader.form, [data or seeds[0], *seeds])[:most]

    words = [sys.argv[0], str(inputs), f"-seed={seed}", f"-max_len={MOST}", "-handle_segv=0", "-verbosity=0"]
    atheris.Setup(words, test_one, custom_mutator=mutate)
    with limited():
        atheris.Fuzz()


def _instrument(atheris: types.ModuleType, reader: Reader) -> None:
    """Count the lines of the files that do the reading."""
    names = {f"isotherm.{source.removesuffix('.py').replace('/', '.')}" for source in reader.sources}
    for name in sorted(names | {"isotherm.untrusted.plain", "isotherm.untrusted.arrays"}):
        module = sys.modules.get(name)
        owners = [module, *(value for value in vars(module).values() if isinstance(value, type))] if module else []
        for value in (value for owner in owners for value in list(vars(owner).values())):
            inner = getattr(value, "__func__", value)
            while hasattr(inner, "__wrapped__"):
                inner = inner.__wrapped__
            if isinstance(inner, types.FunctionType) and inner.__module__ == name:
                inner.__code__ = atheris.patch_code(inner.__code__, trace_dataflow=False)
