"""The job behind ``isotherm gaze convert``: one store or a folder of them, as another kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from isotherm.data.gaze.clock import read_clock
from isotherm.data.gaze.convert import SUFFIXES, Converted, ConvertOptions, convert_gaze
from isotherm.data.gaze.store import MapOptions
from isotherm.data.gaze.stores import holds_frames, open_gaze_store
from isotherm.data.names import natural_key, near_names
from isotherm.data.video import VIDEO_SUFFIXES
from isotherm.errors import InputError, OptionError
from isotherm.jobs.gaze.convert_options import GazeConvertJob
from isotherm.jobs.gaze.record import write_record
from isotherm.jobs.gaze.sizes import size_of
from isotherm.jobs.reporter import Reporter

RECORD = ".conversion.json"
"""Behind the name of a store: its record, which tells by which command, of what and with which losses it was made."""


@dataclass(frozen=True, eq=False)
class ConvertedStores:
    """What became of the stores.

    Args:
        done: of each that was converted, what was written.
        failed: of each that was not, by its path, why.
    """

    done: tuple[Converted, ...]
    failed: dict[Path, str]

    def __str__(self) -> str:
        lines = []
        for one in self.done:
            states = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in one.states.items())
            again = f", gone on with at {one.gone_on_from}" if one.gone_on_from else ""
            lines.append(
                f"{one.path}: {one.maps} ({states}), {one.bytes / 1e6:.2f} MB{again}; read again, off by at most {one.most_off:.2g}"
            )
            lines += [f"  {note}" for note in one.notes]
        return "\n".join(lines)


def run(
    options: GazeConvertJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None
) -> ConvertedStores:
    """Convert, one after the other; a store that fails is reported with its path, and the others go on.

    Args:
        options: what is asked for.
        reporter: is told how it goes.
        command: the command line, for the record beside every store (``a.zarr.conversion.json``).

    Raises:
        InputError: nothing to convert, two stores that would become one, or the only store cannot be.
        OptionError: something is needed that was not given.
        JobCancelled: it was cancelled; the same job goes on with it.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    sources = stores_in(options.source)
    single = sources == [options.source]
    _expect_names(sources, options, single=single)
    if not single and options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    made = ConvertOptions(
        to=options.to,
        number=options.number,
        compressed=options.compressed,
        cells=None if options.cells is None else size_of(options.cells, "--cells"),
        sigma_px=options.sigma_px,
        lossy=options.lossy,
    )
    done, failed = [], {}
    for source in sources:
        reporter.check()
        try:
            out = _target(source, options, single=single)
            if not single and out.exists() and not options.overwrite:
                reporter.message(f"{out} is there already and is kept")
                continue
            clock = _clock(source, options, single=single)
            store = open_gaze_store(source, options=clock)
            one = convert_gaze(store, out, made, clock=clock, overwrite=options.overwrite, say=reporter.say)
            facts = {**asdict(one), "path": one.path.name}
            write_record(out.with_name(f"{out.name}{RECORD}"), words, options, source=source, **facts)
            done.append(one)
        except (InputError, OptionError) as error:
            if single:
                raise
            failed[source] = str(error)
            reporter.message(f"{source}: {error}", "failure")
    if not done and failed:
        raise InputError(f"none of the {len(failed)} stores in {options.source} could be converted")
    return ConvertedStores(tuple(done), failed)


def stores_in(path: Path) -> list[Path]:
    """The stores that a path names: itself, or those in a folder, in the natural order of their names.

    Args:
        path: of a store, or of a folder of them.

    Raises:
        InputError: there is none.
    """
    if not path.exists():
        raise InputError(f"there is no gaze at {path}{near_names(path)}")
    if path.is_file() or path.suffix == ".zarr" or holds_frames(path):
        return [path]
    entries = sorted(path.iterdir(), key=lambda entry: natural_key(entry.name))
    inside = [
        entry
        for entry in entries
        if not entry.name.startswith(".")
        and (entry.suffix in (".npz", ".npy", ".parquet", ".zarr") or (entry.is_dir() and holds_frames(entry)))
    ]
    if not inside:
        raise InputError(
            f"{path} holds no stores of gaze; expected .npz, .parquet, .zarr or folders of frame_000000.npy"
        )
    return inside


def _target(source: Path, options: GazeConvertJob, *, single: bool) -> Path:
    name = (source.stem if source.suffix in (".npz", ".npy", ".parquet", ".zarr") else source.name) + SUFFIXES[
        options.to
    ]
    if single:
        out = options.out or source.with_name(name)
        wanted = SUFFIXES[options.to]
        if out.suffix != wanted and wanted:
            raise OptionError(f"--out {out}: expected a name that ends in {wanted}")
        return out
    return (options.out or options.source) / name


def _expect_names(sources: Sequence[Path], options: GazeConvertJob, *, single: bool) -> None:
    """Refuse stores that would become the same one, of which all but one would be lost."""
    becomes: dict[Path, Path] = {}
    for source in sources:
        out = _target(source, options, single=single)
        other = becomes.setdefault(out, source)
        if other is not source:
            raise InputError(
                f"{other.name} and {source.name} in {options.source} would both become {out}; convert them one by one, each with its own --out"
            )


def _clock(source: Path, options: GazeConvertJob, *, single: bool) -> MapOptions:
    size = None if options.size is None else size_of(options.size, "--size")
    times = None
    if options.video is not None:
        video = options.video if single and options.video.is_file() else _video_of(source, options.video)
        clock = read_clock(video)
        times, size = clock.time_s, clock.size
    return MapOptions(
        size=size, times_s=times, rate_hz=options.rate, key=options.key, scale=options.scale, first=options.first_frame
    )


def _video_of(source: Path, folder: Path) -> Path:
    if not folder.is_dir():
        raise OptionError(f"--video {folder}: expected the folder of the videos, for stores of several")
    stem = source.stem if source.suffix else source.name
    videos = [
        entry for entry in sorted(folder.iterdir()) if entry.stem == stem and entry.suffix.lower() in VIDEO_SUFFIXES
    ]
    if len(videos) != 1:
        there = "none" if not videos else ", ".join(video.name for video in videos)
        raise InputError(f"{folder} has {there} of the name {stem!r}; expected one video for {source.name}")
    return videos[0]
