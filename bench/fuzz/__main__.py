"""``python -m bench.fuzz [--inputs N] [--seconds S] [--fresh] [names]``: try readers, in rounds, until there were N inputs.

``--each N`` tries N inputs of every reader instead, the same in every run, behind those of a folder (``--corpus``): what
the tests do. Each slice of work is kept when it ends, so that Ctrl-C loses one slice at most, and the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.fuzz.guided import IS_THERE, guided_work
from bench.fuzz.reader import Reader
from bench.fuzz.readers import READERS
from bench.fuzz.state import State, plain_name
from bench.fuzz.table import write_table
from bench.fuzz.work import apart, seeds_of, work

ROOT = Path(__file__).parents[2]
WORK = ROOT / "bench/.work/fuzz"
RESULTS = ROOT / "bench/results/fuzz.json"
SLICE_S = 6.0
"""Wall time of a slice of one reader."""


def main(words: list[str] | None = None) -> int:
    """Try readers; the exit code is 1 where one of them has a fault."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help="readers, by name; all of them unless given")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs of all readers together")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of wall time, after which it ends as well")
    parser.add_argument("--slice", type=float, default=SLICE_S, help="seconds of one reader at a time")
    parser.add_argument("--fresh", action="store_true", help="forget what was done before")
    parser.add_argument("--each", type=int, help="so many inputs of every reader, the same each time; nothing is kept")
    parser.add_argument("--corpus", type=Path, help="with --each: a folder of inputs by reader, which are read first")
    options = parser.parse_args(words)
    unknown = set(options.names) - {reader.name for reader in READERS}
    if unknown:
        parser.error(
            f"there is no reader {sorted(unknown)[0]!r}; there are {', '.join(reader.name for reader in READERS)}"
        )
    readers = [reader for reader in READERS if not options.names or reader.name in options.names]
    if options.each is not None:
        return _each(readers, options.each, options.corpus)
    print(
        "guided by coverage in every second slice" if IS_THERE else "not guided by coverage: atheris is not installed"
    )
    state = State(WORK, fresh=options.fresh)
    until = time.monotonic() + options.seconds
    try:
        _rounds(readers, state, options.inputs, until, options.slice)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on")
    faults = state.report(readers)
    if not options.names:
        write_table(state, RESULTS)
    return 1 if faults else 0


def _each(readers: list[Reader], count: int, corpus: Path | None) -> int:
    """Try every reader with the same inputs as the last time, and print what came of it."""
    total = faults = 0
    for reader in readers:
        known = (
            []
            if corpus is None
            else [fpath.read_bytes() for fpath in sorted((corpus / plain_name(reader.name)).glob("*"))]
        )
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            some = max(1, count // 20) if reader.slow else count
            done = work(
                reader, seeds_of(reader), seed=reader.name, inputs=some, folder=Path(folder) / "in", first=known
            )
        total += done.inputs
        for site, fault in done.faults.items():
            faults += 1
            print(
                f"{reader.name}: {site}\n    {fault['count']} times; {fault['message'][:200]!r}; {fault['data'][:200]!r}"
            )
    print(f"{len(readers)} readers, {total} inputs, {faults} kinds of faults")
    return 1 if faults else 0


def _rounds(readers: list[Reader], state: State, inputs: int, until: float, slice_s: float) -> None:
    seeds = {reader.name: seeds_of(reader) for reader in readers}
    while state.inputs(readers) < inputs and time.monotonic() < until:
        # those that had few inputs
        for reader in sorted(readers, key=lambda reader: state.turn(reader))[: max(1, len(readers) // 4)]:
            if state.inputs(readers) >= inputs or time.monotonic() >= until:
                return
            number = state.slices(reader.name)
            done = apart(
                reader,
                seeds[reader.name],
                pool=state.pool(reader.name),
                guided=guided_work if IS_THERE and number % 2 and not reader.slow else None,
                seed=f"{reader.name} {number}",
                inputs=1_000_000,
                seconds=slice_s,
            )
            state.add(reader.name, done)
            new = f", {len(done.faults)} kinds of faults" if done.faults else ""
            print(
                f"{state.inputs(readers):>9,} of {inputs:,} inputs; {reader.name}: {done.inputs:,} in this slice, {done.read:,} read{new}",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
