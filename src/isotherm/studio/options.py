"""What ``isotherm studio`` is asked for. No torch here: ``isotherm --help`` must answer at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import UseAppendAction

from isotherm.errors import OptionError
from isotherm.studio.guard import LOOPBACK

PORTS = 65_535
RANGES = {
    "timeout": (1, 1_000_000_000),
    "queue": (1, 1_000_000),
    "threads": (1, 1024),
    "keep_runs": (1, 1_000_000_000),
    "keep_gb": (0, 1_000_000_000),
    "keep_days": (0, 1_000_000),
}
"""The least and the largest that options may be; more than the largest is no limit of anything, and overflows."""


@dataclass(frozen=True, kw_only=True)
class StudioOptions:
    """Where a studio is reached, what may be asked for, and what it keeps.

    Raises:
        OptionError: a number out of range, or options that do not go together.
    """

    port: int = 8080
    """Where the page is reached; where it is taken, the next free one, which is named."""
    host: str = "127.0.0.1"
    """The address to listen on. Any other than this machine's own, such as 0.0.0.0, needs --key."""
    name: UseAppendAction[tuple[str, ...]] = ()
    """With --host: a further name by which browsers reach this machine; may be given several times."""
    key: Path | None = None
    """The file with the key of scripts, made where there is none. Default: the file key in --dir."""
    tls_cert: Path | None = None
    """A certificate, so that the page is reached by https, which browsers want before they open a camera."""
    tls_key: Path | None = None
    """The certificate's private key."""
    model: UseAppendAction[tuple[str, ...]] = ()
    """A model that may be asked for besides those that ship: a name, or a weights file; may be given several times."""
    camera: UseAppendAction[tuple[str, ...]] = ()
    """A camera of this machine (0), a stream (rtsp://...) or a video file, shown live; may be given several times."""
    dir: Path = Path("studio")
    """Folder for runs, pictures and the history. Each finished map is also a picture in heatmaps/, in the folder where
    the studio is started.
    """
    database: str | None = None
    """The history in a database elsewhere, postgresql://USER@HOST/NAME. Default: SQLite in --dir."""
    timeout: float = 900.0
    """Seconds that a run may take."""
    queue: int = 16
    """Runs that may wait; more are refused until there is room."""
    threads: int | None = None
    """Threads that a run computes with. Default: one for each core that the studio may use."""
    keep_runs: int | None = None
    """Forget the oldest runs beyond so many; those with a star stay."""
    keep_gb: float | None = None
    """Forget the oldest runs beyond so many gigabytes together."""
    keep_days: float | None = None
    """Forget runs older than so many days."""
    example: bool = True
    """Make the example that the page opens with, before the address is printed; once for a folder."""
    open: bool = False
    """Open the page in this machine's browser."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= PORTS:
            raise OptionError(f"--port {self.port}: expected a number from 0 (any free one) to {PORTS}")
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                none = "; leave it out for no limit" if name.startswith("keep_") else ""
                raise OptionError(f"--{name.replace('_', '-')} {value}: expected a number from {least} to {most}{none}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise OptionError("--tls-cert and --tls-key go together: the certificate and its private key")
        for option, fpath in (("--tls-cert", self.tls_cert), ("--tls-key", self.tls_key)):
            if fpath is not None and not fpath.is_file():
                raise OptionError(f"{option} {fpath}: there is no such file")
        if not self.is_local and self.key is None:
            raise OptionError(
                f"--host {self.host} lets other machines reach this studio; give --key FILE, which holds the secret that "
                "scripts must know (it is made where there is none). Browsers still need the one-time address. For "
                "their cameras they also want https: give --tls-cert and --tls-key"
            )

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can reach the studio."""
        return self.host in LOOPBACK

    @property
    def scheme(self) -> str:
        """http, or https with a certificate."""
        return "http" if self.tls_cert is None else "https"
