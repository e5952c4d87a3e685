"""A real PostgreSQL for tests: its own server in a temporary folder, on a socket, without a network."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rigs.programs import postgres_binaries


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A running server and the address of its database; it ends with the block.

    PostgreSQL refuses to run as root, so there it runs as the user that owns least.
    """
    found = postgres_binaries()
    assert found is not None
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def call(*words: str) -> None:
        subprocess.run([str(found / words[0]), *words[1:]], check=True, capture_output=True, user=user, cwd=folder)

    data = folder / "data"
    call("initdb", "-D", str(data), "-U", "isotherm", "-A", "trust", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    call("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://isotherm@/postgres?host={folder}"
    finally:
        call("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
