"""Slices of work: a process of its own reads inputs of one reader for a while, and says what came of them."""

from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from bench.fuzz.forms import changed
from bench.fuzz.reader import Reader
from bench.fuzz.trial import FAULTS, Outcome, limited, ready, tried

SILENT_S = 60.0
"""Wall time after which a process that says nothing is ended: an input holds it in code that no signal reaches."""
MOST_POOL = 200
"""Inputs kept because they were refused at a place of their own."""


@dataclass
class Slice:
    """What came of some inputs of a reader.

    Args:
        inputs, read, refused: how many there were, were read, and were refused as they should be.
        slowest_s, largest_bytes: of a single input.
        sites: where inputs were decided, and how often.
        faults: a fault by its site: what it was, how often, and the smallest input of it.
        pool: inputs that reached a place of their own.
    """

    inputs: int = 0
    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    largest_bytes: int = 0
    sites: dict[str, int] = field(default_factory=dict)
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    pool: list[bytes] = field(default_factory=list)

    def add(self, data: bytes, outcome: Outcome) -> None:
        """Count one input."""
        self.inputs += 1
        self.read += outcome.result == "read"
        self.refused += outcome.result == "refused"
        self.slowest_s = max(self.slowest_s, outcome.seconds)
        self.largest_bytes = max(self.largest_bytes, outcome.n_bytes)
        site = f"{outcome.result}: {outcome.site}"
        self.sites[site] = self.sites.get(site, 0) + 1
        if (
            self.sites[site] == 1
            and outcome.result in ("refused", "read")
            and len(data) < 20_000
            and len(self.pool) < MOST_POOL
        ):
            self.pool.append(data)
        if outcome.result in FAULTS:
            fault = self.faults.setdefault(site, {"count": 0, "message": outcome.message[:500], "data": data})
            fault["count"] += 1
            if len(data) < len(fault["data"]):
                fault |= {"data": data, "message": outcome.message[:500]}


def seeds_of(reader: Reader) -> list[bytes]:
    """The valid inputs of a reader."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return list(reader.seeds(Path(folder)))


def work(
    reader: Reader,
    seeds: Sequence[bytes],
    *,
    seed: str,
    inputs: int,
    folder: Path,
    seconds: float = float("inf"),
    pool: Sequence[bytes] = (),
    first: Sequence[bytes] = (),
) -> Slice:
    """Read changed inputs, in this process.

    Args:
        reader: that reads them.
        seeds: valid ones that they are made of.
        seed: of the generator.
        inputs: how many at most.
        folder: of the inputs; its file is the one that is read at any moment.
        seconds: of wall time at most.
        pool: earlier inputs that they are made of as well.
        first: inputs that are read as they are, before all others.
    """
    random, out, mixed = Random(seed), Slice(), [*seeds, *pool]
    warnings.simplefilter("ignore")
    ready(reader, folder)
    for one in seeds:  # what is imported when it is first needed is nobody's time
        tried_freely(reader, folder, one)
    until = time.monotonic() + seconds
    with limited():
        for data in first:
            out.add(data, tried(reader, folder, data))
        inputs += len(first)
        while out.inputs < inputs and time.monotonic() < until:
            data = changed(random, reader.form, mixed if random.random() < 0.5 else seeds)
            known = len(out.pool)
            out.add(data, tried(reader, folder, data))
            if len(out.pool) > known:
                mixed.append(data)
            if out.inputs % 500 == 0:
                gc.collect()
    return out


def tried_freely(reader: Reader, folder: Path, data: bytes) -> None:
    """Read a valid input without limits.

    Raises:
        AssertionError: it is refused, so that everything made of it would be.
    """
    from isotherm.errors import IsothermError

    try:
        if reader.fname:
            (folder / reader.fname).write_bytes(data)
            reader.call(folder / reader.fname)
        else:
            reader.call(data.decode())
    except IsothermError as error:
        if not reader.valid:
            return
        raise AssertionError(f"{reader.name}: a valid input is refused: {error}") from error


def apart(
    reader: Reader,
    seeds: Sequence[bytes],
    *,
    seed: str,
    inputs: int,
    seconds: float,
    pool: Sequence[bytes] = (),
    guided: Callable[..., None] | None = None,
) -> Slice:
    """The same in a forked process; one that dies or hangs is a fault of the input that it was reading.

    Args:
        reader, seeds, seed, inputs, seconds, pool: as of :func:`work`.
        guided: works in its place, see :mod:`bench.fuzz.guided`.
    """
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def run() -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        try:
            if guided is not None:
                number = int(hashlib.sha256(seed.encode()).hexdigest()[:7], 16)
                where = folder / "in"
                guided(reader, seeds, seed=number, seconds=seconds, folder=where, pool=pool, send=theirs.send)
            theirs.send(work(reader, seeds, seed=seed, inputs=inputs, seconds=seconds, folder=folder / "in", pool=pool))
        except BaseException as error:
            theirs.send(f"{type(error).__name__}: {error}")
        theirs.close()
        os._exit(0)

    process = context.Process(target=run)
    process.start()
    theirs.close()
    try:
        answer: Any = ours.recv() if ours.poll(seconds + SILENT_S) else None
    except EOFError:
        answer = None
    if answer is None:
        process.kill()
        source = folder / "in" / (reader.fname or "none")
        data = source.read_bytes() if source.is_file() else b""
        answer = Slice(inputs=1)
        answer.faults[f"killed: {reader.name}"] = {"count": 1, "message": f"exit code {process.exitcode}", "data": data}
    process.join()
    shutil.rmtree(folder, ignore_errors=True)
    if isinstance(answer, str):
        out = Slice()
        out.faults["the fuzzer itself"] = {"count": 1, "message": answer, "data": b""}
        return out
    return answer


def name_of(data: bytes) -> str:
    """A name for an input by its bytes."""
    return hashlib.sha256(data).hexdigest()[:12]


def plain(slice_: Slice) -> dict[str, Any]:
    """A slice as JSON has it, without inputs."""
    kept = asdict(slice_)
    kept.pop("pool")
    kept["faults"] = {site: {k: v for k, v in fault.items() if k != "data"} for site, fault in slice_.faults.items()}
    return json.loads(json.dumps(kept))
