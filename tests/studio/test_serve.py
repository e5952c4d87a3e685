"""Starting a studio and ending it: one address that lets a browser in, no port taken twice, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from isotherm.errors import InputError, OptionError
from isotherm.studio import serve
from isotherm.studio.access import key_in
from isotherm.studio.options import StudioOptions
from isotherm.studio.samples import samples
from rigs.studio import events_of

COMMAND = "from isotherm.studio import samples; samples.IMAGENET_PACKAGE = 'none'; from isotherm.console import entry; entry()"
"""Of a studio whose example is a generated scene, as where the network of photographs is not installed: it takes half the
time to open it. The photograph is asked about below, and its words are read in the browser's tests."""


@pytest.fixture
def start(tmp_path):
    """Starts a studio with these words; a failure leaves none behind."""
    made = []

    def started(*words):
        command = [sys.executable, "-c", COMMAND, "studio", "--dir", "here", *words]
        made.append(subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return made[-1]

    yield started
    for process in made:
        with process:  # which closes its pipes
            process.kill()


def test_a_studio_from_its_address_to_its_end(tmp_path, start):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        started = start("--port", str(taken))
        assert started.stdout.readline().startswith("Looking at which models can be used here")
        assert started.stdout.readline().startswith(f"Port {taken} is taken; the studio is at port ")
        assert started.stdout.readline().startswith("Making the example that the page opens with")
        address = re.match(r"Open (http://127\.0\.0\.1:\d+/)\?token=\S+ ", line := started.stdout.readline())
        assert address, line
    url, first = address[1], line.split()[1]
    with httpx.Client(base_url=url) as browser:
        assert browser.get("/api/state").status_code == 401
        socket_wanted = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "a"}
        assert browser.get("/ws", headers=socket_wanted).status_code == 401
        assert browser.get(first).status_code == 303
        assert started.stdout.readline().startswith(f"For the next browser: {url}?token=")
        state = browser.get("/api/state").json()
        assert browser.get(first).status_code == 403
        with httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {key_in(tmp_path / 'here' / 'key')}"}
        ) as script:
            with script.stream("GET", f"/api/runs/{state['example']}/events", timeout=120) as events:
                list(
                    events.iter_lines()
                )  # over already, but where the machine is so busy that the address did not wait
            example = script.get(f"/api/runs/{state['example']}").json()
            assert (example["title"], example["status"]) == ("scene-5.jpg", "finished")
            verdicts = [one["verdict"] for one in script.get(f"/api/runs/{state['example']}/view/0").json()["maps"]]
            assert verdicts == ["believable", "believable", None]  # a newcomer first sees a map that can be believed
            asks = {"pictures": [example["pictures"][0]["id"]], "options": {"model": "imagenet", "top": 9}}
            run_id = script.post("/api/runs", json=asks).json()["id"]
            with script.stream("GET", f"/api/runs/{run_id}/events") as events:  # open while the studio ends
                assert next(events.iter_lines()) == "id: 1"
                if Path("/proc/self/maps").exists():
                    assert "libtorch" not in Path(f"/proc/{started.pid}/maps").read_text()
                helpers = children_of(started.pid)
                started.send_signal(signal.SIGINT)
                started.send_signal(signal.SIGINT)  # as impatient people do
                _, errors = started.communicate(timeout=30)
    assert (started.returncode, errors) == (0, "")
    assert not [pid for pid in helpers if Path(f"/proc/{pid}").exists()]


def children_of(pid: int) -> list[int]:
    """Those that work for a process; what Python itself has beside them ends a moment later."""
    fpath = Path(f"/proc/{pid}/task/{pid}/children")
    words = fpath.read_text().split() if fpath.exists() else []
    return [int(word) for word in words if "spawn_main" in Path(f"/proc/{word}/cmdline").read_text()]


def test_two_studios_do_not_share_a_folder(tmp_path):
    options = StudioOptions(dir=tmp_path / "here")
    with serve._alone_in(options.dir):
        with pytest.raises(InputError, match="another studio works in this folder; end it, or give another --dir"):
            serve._alone_in(options.dir).__enter__()
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be used"), serve._alone_in(tmp_path / "file"):
            pass
    with serve._alone_in(options.dir):  # it is free again
        pass


def test_what_is_in_the_way_of_a_start_is_named(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    (here / "runs").write_text("")
    with pytest.raises(InputError, match=r"--dir .*here cannot be used \(File exists: .*runs\); nothing was deleted"):
        serve.serve(StudioOptions(dir=here), pytest.fail)
    (here / "runs").unlink()
    (here / "history.db").write_bytes(b"no database" * 400)
    with pytest.raises(InputError, match=r"history\.db is damaged"):
        serve.serve(StudioOptions(dir=here), pytest.fail)
    (here / "key").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"key file .* holds no key"):
        serve.serve(StudioOptions(dir=here), pytest.fail)
    junk = {"tls_cert": here / "key", "tls_key": here / "key"}
    with pytest.raises(InputError, match=r"--tls-cert .* holds no certificate"):
        serve.serve(StudioOptions(dir=here, **junk), pytest.fail)


def test_the_server_imports_no_torch():
    code = "import isotherm.studio.serve, sys; sys.exit('torch' in sys.modules or 'uvicorn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ).returncode == 0


def test_the_example_is_made_once(studio, monkeypatch):
    monkeypatch.setattr(serve, "example", lambda: (samples()["scene-2"], "scenes"))
    made, lines = [], []
    for _ in range(2):
        parts = replace(studio.studio, example=[])
        serve.make_example(parts, lines.append)
        made += parts.example
        assert studio.get(f"/api/runs/{made[0]}").json()["status"] == "finished"  # nobody has to wait for it
    assert made[0] == made[1]
    assert len(lines) == 1


def test_an_example_that_fails_or_takes_long_keeps_nobody_waiting(studio, monkeypatch):
    monkeypatch.setattr(serve, "example", lambda: (samples()["scene-2"], "tiny-vlm"))  # which wants a question
    parts = replace(studio.studio, example=[])
    serve.make_example(parts)
    assert parts.example == []
    monkeypatch.setattr(serve, "example", lambda: (samples()["scene-4"], "scenes"))
    serve.make_example(parts, wait_s=-1)
    assert len(parts.example) == 1
    assert events_of(studio, parts.example[0])[-1][1] == "finished"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"host": "0.0.0.0"}, r"--host 0\.0\.0\.0 lets other machines .* --key FILE.* cameras .* --tls-cert"),
        ({"port": 65536}, "--port 65536: expected a number from 0"),
        ({"queue": 0}, "--queue 0: expected a number from 1 to"),
        ({"keep_gb": float("inf")}, "--keep-gb inf: expected a number from 0 to .*; leave it out for no limit"),
        ({"keep_days": float("inf")}, "--keep-days inf"),
        ({"timeout": float("inf")}, "--timeout inf"),
        ({"keep_days": float("nan")}, "--keep-days nan"),
        ({"tls_cert": Path("a.pem")}, "--tls-cert and --tls-key go together"),
        ({"tls_cert": Path("a.pem"), "tls_key": Path("b.pem")}, r"--tls-cert a\.pem: there is no such file"),
    ],
)
def test_options_that_are_none(change, message):
    with pytest.raises(OptionError, match=message):
        StudioOptions(**change)


def test_names_by_which_browsers_come():
    assert serve.hosts_of(StudioOptions()) == ("127.0.0.1", "localhost", "::1")
    open_ = StudioOptions(host="0.0.0.0", key=Path("key"), name=("lab.example",))
    hosts = serve.hosts_of(open_)
    assert {"localhost", "lab.example", socket.gethostname()} <= set(hosts)
    assert "0.0.0.0" not in hosts


def test_a_port_that_nobody_may_have_is_named(tmp_path):
    with (
        pytest.raises(InputError, match=r"cannot listen at 203\.0\.113\.7, port 8080"),
        serve.listening(StudioOptions(host="203.0.113.7", key=tmp_path / "key"), print),
    ):
        pass
