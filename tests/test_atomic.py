"""Files appear whole or not at all, and what a killed writer left is swept up by the next."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isotherm import atomic
from isotherm.atomic import PREFIX, SUFFIX, atomic_write, sweep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks are those of POSIX systems")


def parts(dpath: Path) -> list[str]:
    return [f.name for f in dpath.iterdir() if f.name.startswith(".")]


KILLED = """
import os, signal, sys
from pathlib import Path
from isotherm.atomic import atomic_write
with atomic_write(Path(sys.argv[1]) / "a.bin") as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
WRITER = """
import sys
from pathlib import Path
from isotherm.atomic import atomic_write, sweep
for i in range(60):
    with atomic_write(Path(sys.argv[1]) / f"{sys.argv[2]}-{i}", durable=False) as file:
        file.write(bytes(1000))
    sweep(sys.argv[1])
"""


def test_what_a_killed_writer_left_is_swept_by_the_next_process_and_nothing_else(tmp_path, monkeypatch, programs):
    monkeypatch.setattr(atomic, "_swept", set())
    assert programs.run(KILLED, [str(tmp_path)], cwd=tmp_path).returncode == -signal.SIGKILL
    assert len(parts(tmp_path)) == 1
    (tmp_path / ".isotherm-notes").write_text("mine")
    (tmp_path / "x.part").write_text("mine")
    (tmp_path / f"{PREFIX}folder{SUFFIX}").mkdir()
    (tmp_path / f"{PREFIX}link{SUFFIX}").symlink_to(tmp_path / "x.part")
    with atomic_write(tmp_path / "b.bin") as file:
        file.write(b"whole")
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted(
        [".isotherm-notes", "x.part", f"{PREFIX}folder{SUFFIX}", f"{PREFIX}link{SUFFIX}", "b.bin"]
    )
    assert (tmp_path / "x.part").read_text() == "mine"


def test_a_file_that_is_being_written_is_left_alone(tmp_path):
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"one")
        assert sweep(tmp_path) == []
        assert len(parts(tmp_path)) == 1
    assert (tmp_path / "a.bin").read_bytes() == b"one"
    assert parts(tmp_path) == []


def test_many_who_sweep_and_write_at_once_lose_nothing(tmp_path, programs):
    """Four processes write and sweep the same folder; every file that was written is there, whole."""
    folder = tmp_path / "all"
    folder.mkdir()
    writers = [programs.start(WRITER, [str(folder), str(who)], cwd=tmp_path) for who in range(4)]
    assert [writer.wait().returncode for writer in writers] == [0] * 4
    assert parts(folder) == []
    assert {f.stat().st_size for f in folder.iterdir()} == {1000}
    assert len(list(folder.iterdir())) == 240


def test_a_name_may_be_as_long_as_a_name_may_be(tmp_path):
    fpath = tmp_path / ("a" * 255)
    with atomic_write(fpath) as file:
        file.write(b"x")
    assert fpath.read_bytes() == b"x"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_on_any_error_the_old_file_stays_and_nothing_is_left(tmp_path, error):
    fpath = tmp_path / "a.bin"
    fpath.write_bytes(b"old")

    def write() -> None:
        with atomic_write(fpath) as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    assert [f.name for f in tmp_path.iterdir()] == ["a.bin"]
    assert fpath.read_bytes() == b"old"
    if isinstance(error, OSError):
        assert caught.value.filename == str(fpath)


def test_of_two_who_write_at_once_one_has_the_name(tmp_path):
    def write(content: bytes, *, inside: Callable[[], None] = lambda: None) -> None:
        with atomic_write(tmp_path / "a", replace=False) as file:
            file.write(content)
            inside()

    with pytest.raises(FileExistsError):
        write(b"first", inside=lambda: write(b"second"))
    assert (tmp_path / "a").read_bytes() == b"second"
    assert parts(tmp_path) == []
