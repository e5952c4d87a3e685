"""Starting a studio: its folder, its processes, its port, the one address that lets a browser in, and its end."""

from __future__ import annotations

import signal
import socket
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from isotherm.errors import InputError, IsothermError
from isotherm.studio.access import Access, key_in, key_there
from isotherm.studio.api.pictures import SHOWN
from isotherm.studio.app import make_app
from isotherm.studio.body_drain import BodyDrain
from isotherm.studio.certificate import check_certificate
from isotherm.studio.desk.desk import Desk
from isotherm.studio.facts_cache import known_facts
from isotherm.studio.guard import LOOPBACK, Guard
from isotherm.studio.heatmaps import HeatmapFolder
from isotherm.studio.live.cameras import Cameras
from isotherm.studio.options import StudioOptions
from isotherm.studio.requests import SHIPPED
from isotherm.studio.samples import example
from isotherm.studio.store.database import in_words
from isotherm.studio.store.history import History
from isotherm.studio.studio import Studio
from isotherm.studio.submissions import submit
from isotherm.studio.work.workroom import Workroom

UNASKED_DAYS = 1.0
"""With limits: how long a picture, video or recording is kept that no kept run was asked about."""
NEXT_PORTS = 50
"""How many ports behind a taken one are tried."""
HEATMAPS = "heatmaps"
"""The folder, in the one where the studio is started, that has every finished map as a picture."""
EXAMPLE_S = 30.0
"""How long the address waits for the example, at most."""
END_S = 3
"""How long answers that are under way may take when the studio ends."""

Say = Callable[[str], None]


def serve(options: StudioOptions, say: Say = print) -> None:
    """Run a studio until Ctrl+C.

    Args:
        options: of ``isotherm studio``.
        say: takes every line for the person who started it.

    Raises:
        OptionError, InputError: the folder, the database, the address or the key cannot be used.
    """
    if options.tls_cert and options.tls_key:
        check_certificate(options.tls_cert, options.tls_key)
    fpath = options.key or options.dir / "key"
    key_there(fpath)  # a refusal shall not wait for the models
    with opened(options, say) as studio, listening(options, say) as listener:
        port = listener.getsockname()[1]
        address = f"{options.scheme}://{_shown_host(options)}:{port}"
        access = Access(key=key_in(fpath), on_used=lambda token: say(f"For the next browser: {address}/?token={token}"))
        guard = Guard(
            make_app(studio),
            access,
            hosts=hosts_of(options),
            cookie=f"isotherm-{port}",
            secure=options.scheme == "https",
        )
        if options.example:
            make_example(studio, say)
        url = f"{address}/?token={access.token}"
        say(f"Open {url}  (good for one visit; Ctrl+C ends the studio)")
        if options.open:
            webbrowser.open(url)
        _serve_until_stopped(BodyDrain(guard), listener, options, studio)
    say("The studio has ended; its runs are kept.")


@contextmanager
def opened(options: StudioOptions, say: Say = lambda line: None) -> Iterator[Studio]:
    """The parts of a studio; its processes end with the block.

    Args:
        options: of ``isotherm studio``.
        say: is told what takes a while.

    Raises:
        OptionError, InputError: the folder or the database cannot be used.
    """
    with ExitStack() as ends:
        with _in_words(options):
            studio = _studio(options, say, ends)
        yield studio


def _studio(options: StudioOptions, say: Say, ends: ExitStack) -> Studio:
    ends.enter_context(_alone_in(options.dir))
    history = History(options.dir, url=options.database)
    ends.callback(history.close)
    history.sweep()
    forget = partial(_forget_old, history, options)
    forget()
    pictures = Desk("pictures", timeout_s=20.0, threads=1)
    exports = Desk("exports", timeout_s=600.0, threads=options.threads)
    for desk in (pictures, exports):
        ends.callback(desk.close)
    heatmaps = HeatmapFolder(Path(HEATMAPS).absolute())
    room = Workroom(
        history,
        most_waiting=options.queue,
        timeout_s=options.timeout,
        heatmaps=heatmaps.dpath,
        after_run=forget,
        threads=options.threads,
    )
    ends.callback(room.close)
    cameras = Cameras(options.camera, room)
    ends.callback(cameras.close)
    models = tuple(dict.fromkeys((*SHIPPED, *options.model)))

    def announce(line: str) -> None:  # a first start: its example needs the worker as soon as the facts are known
        if options.example:
            room.expect("explain")
        say(line)

    facts = known_facts(exports, options.dir, models, announce)
    return Studio(
        history=history,
        room=room,
        pictures=pictures,
        exports=exports,
        heatmaps=heatmaps,
        dpath=options.dir,
        models=models,
        devices=tuple(facts["devices"]),
        facts=facts,
        cameras=cameras,
    )


@contextmanager
def _in_words(options: StudioOptions) -> Iterator[None]:
    """What the folder and the database have against being used, in the words of the command line."""
    try:
        with in_words("of --database", None if options.database else options.dir / "history.db"):
            yield
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise InputError(
            f"--dir {options.dir} cannot be used ({error.strerror or error}{where}); nothing was deleted; "
            "give another folder, or move away what is in the way"
        ) from error


@contextmanager
def _alone_in(dpath: Path) -> Iterator[None]:
    """No other studio works in the folder: each takes what waits there for the work of one that has died."""
    try:
        dpath.mkdir(parents=True, exist_ok=True)
        lock = FileLock(dpath / "lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"--dir {dpath}: another studio works in this folder; end it, or give another --dir"
        ) from error
    except OSError as error:
        raise InputError(f"--dir {dpath} cannot be used ({error.strerror or error}); give another folder") from error
    try:
        yield
    finally:
        lock.release()


def _forget_old(history: History, options: StudioOptions) -> None:
    """What the limits of the command line ask for; nothing where there are none."""
    limits = (options.keep_runs, options.keep_gb, options.keep_days)
    if any(limit is not None for limit in limits):
        size_bytes = None if options.keep_gb is None else round(options.keep_gb * 1e9)
        history.retain(runs=options.keep_runs, size_bytes=size_bytes, days=options.keep_days)
        days = UNASKED_DAYS if options.keep_days is None else min(UNASKED_DAYS, options.keep_days)
        for picture_id in history.forget_pictures(days=days):
            for shown in (options.dir / SHOWN).glob(f"{picture_id}-*.jpg"):
                shown.unlink(missing_ok=True)


@contextmanager
def listening(options: StudioOptions, say: Say) -> Iterator[socket.socket]:
    """A socket that listens on the port, or on the next free one, which is then named.

    Args:
        options: of ``isotherm studio``.
        say: is told where it is another port.

    Raises:
        InputError: no such address, or no port is free.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    last: OSError | None = None
    for port in range(options.port, options.port + NEXT_PORTS) if options.port else (0,):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, port))
            listener.listen(256)
        except (OSError, OverflowError) as error:
            listener.close()
            last = error if isinstance(error, OSError) else last
            continue
        with listener:
            if options.port and port != options.port:
                say(f"Port {options.port} is taken; the studio is at port {port}.")
            yield listener
        return
    raise InputError(
        f"the studio cannot listen at {options.host}, port {options.port} "
        f"({last.strerror if last else 'no port is free'}); give another --port or --host"
    )


def hosts_of(options: StudioOptions) -> tuple[str, ...]:
    """The names and addresses by which browsers may reach the studio."""
    if options.is_local:
        return LOOPBACK
    here = {socket.gethostname(), socket.getfqdn()}
    with suppress(OSError):  # a machine that does not know its own name
        here |= {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)}
    wildcard = options.host in ("0.0.0.0", "::")
    return (*LOOPBACK, *sorted(here), *(() if wildcard else (options.host,)), *options.name)


def _shown_host(options: StudioOptions) -> str:
    host = options.name[0] if options.name else options.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"[{host}]" if ":" in host else host


def make_example(studio: Studio, say: Say = lambda line: None, *, wait_s: float = EXAMPLE_S) -> None:
    """Make the run that the page opens with; one that was done before is used again.

    Args:
        studio: that does it.
        say: is told that it takes a while, where it does.
        wait_s: how long to wait for its end; the page shows its progress where it takes longer.
    """
    sample, model = example()
    try:
        with sample.fpath.open("rb") as file, in_words("of the history", None):
            picture_id = studio.history.add_picture(sample.fpath.name, [file.read()])
            run_id, same = submit(studio, "explain", [picture_id], {"model": model})
    except (IsothermError, OSError):  # the studio is as good without it
        return
    studio.example[:] = [run_id]
    if same:
        return
    say("Making the example that the page opens with; this takes some seconds, once...")
    until = time.monotonic() + wait_s
    for event in studio.room.events.of(run_id, timeout_s=1.0):
        if event is not None and event[1]["event"] == "failed":
            studio.example.clear()  # the history says why
        if time.monotonic() > until:
            break


def _serve_until_stopped(app: Any, listener: socket.socket, options: StudioOptions, studio: Studio) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="error",  # warnings are of what strangers send, and there is nothing to be done about it
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",  # nothing here starts or ends with it, and a second Ctrl+C would show where it was
        timeout_graceful_shutdown=END_S,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    server = uvicorn.Server(config)
    ended = server.handle_exit

    def end(sig: int, frame: Any) -> None:
        # streams of events and of cameras would keep their connections open
        studio.room.events.close()
        studio.cameras.close()
        ended(sig, frame)

    server.handle_exit = end  # type: ignore[method-assign]
    before = signal.signal(signal.SIGTERM, _interrupt)  # uvicorn raises the signal again when it has ended
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
