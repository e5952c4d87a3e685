"""An answer before the end of a request: it is read by whoever is still sending, and nobody sends without end."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed")
import httpx
import uvicorn

from isotherm.studio import body_drain
from isotherm.studio.access import Access
from isotherm.studio.app import make_app
from isotherm.studio.body_drain import BodyDrain
from isotherm.studio.guard import Guard
from rigs.breadth import wide
from rigs.studio import KEY, png

MB = 1 << 20
LIMIT_MB = 64


@contextmanager
def serving(app) -> Iterator[int]:
    """The port of a server of an application, in a thread."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def port(studio):
    with serving(BodyDrain(Guard(make_app(studio.studio), Access(key=KEY)))) as number:
        yield number


def head(port: int, path: str, size: int, **headers: str) -> bytes:
    lines = {"host": f"127.0.0.1:{port}", "authorization": f"Bearer {KEY}", "content-length": str(size), **headers}
    rest = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{rest}\r\n".encode()


def sent_whole(port: int, path: str, begins: bytes, mb: int, **headers: str) -> bytes:
    """What a program reads that sends everything before it looks for an answer, as most do."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head(port, path, len(begins) + mb * MB, **headers) + begins)
        for _ in range(mb):
            connection.sendall(bytes(MB))
        answer = b""
        while b"\r\n\r\n" not in answer or b"}" not in answer:
            part = connection.recv(65_536)
            assert part, answer
            answer += part
    return answer


@pytest.mark.parametrize(
    ("path", "begins", "headers", "status", "says"),
    [
        ("/api/pictures?name=a.png", png(1), {}, 413, b"the picture has more than 64 MB; send a smaller one"),
        ("/api/pictures?name=a.png", b"%PDF-1.7", {}, 415, b"it is a PDF"),
        ("/api/runs", b"{", {}, 413, b"more than 8 MB"),
        ("/api/pictures?name=a.png", png(1), {"authorization": "Bearer wrong"}, 403, b"only the studio's own page"),
        ("/api/pictures?name=a.png", png(1), {"host": "evil.example"}, 400, b"open it by the address"),
    ],
    ids=["too large", "no picture", "a long question", "without the key", "a foreign host"],
)
@pytest.mark.parametrize("connection", ["keep-alive", *wide(["close"])])
def test_who_sends_to_the_end_reads_why_it_was_refused(port, path, begins, headers, status, says, connection):
    answer = sent_whole(port, path, begins, 2 * LIMIT_MB, connection=connection, **headers)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert says in answer


def test_who_reads_while_it_sends_has_the_answer_at_the_limit(port):
    """As curl does; and it need not send the rest."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head(port, "/api/pictures?name=a.png", 1 << 40) + png(1))
        for _ in range(LIMIT_MB + 1):
            connection.sendall(bytes(MB))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_who_waits_for_leave_to_send_is_answered_without_it(port):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head(port, "/api/pictures", 1 << 40, expect="100-continue", authorization="no"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 403 ")


def test_a_program_that_uploads_reads_the_answer_and_goes_on(port):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {KEY}"}) as client:
        answer = client.post("/api/pictures?name=a.png", content=png(1) + bytes((LIMIT_MB + 9) * MB), timeout=60)
        assert (answer.status_code, "more than 64 MB" in answer.json()["error"]) == (413, True)
        assert client.get("/api/choices").status_code == 200


def answered(messages: list[dict], refuses: bool = True, **headers: str) -> tuple[list[dict], int]:
    """What is sent for a request that comes in these parts, and how many of them were fetched."""
    left, sent = list(reversed(messages)), []

    async def app(scope, receive, send):
        while not refuses and (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"too large"})

    async def receive():
        if not left:
            await asyncio.sleep(60)
        return left.pop()

    async def send(message):
        sent.append({**message, "left": len(left)})

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"Content-Length", b"9"), *((k.encode(), v.encode()) for k, v in headers.items())],
    }
    asyncio.run(BodyDrain(app)(scope, receive, send))
    return sent, len(messages) - len(left)


def part(size: int = 1, more: bool = True) -> dict:
    return {"type": "http.request", "body": bytes(size), "more_body": more}


def test_the_answer_goes_out_before_the_rest_is_fetched_and_ends_after_it():
    sent, fetched = answered([part(), part(), part(more=False)])
    assert fetched == 3
    assert [(one["type"][14:], one.get("body"), one.get("more_body", False), one["left"]) for one in sent] == [
        ("start", None, False, 3),
        ("body", b"too large", True, 3),
        ("body", b"", False, 0),
    ]
    whole, _ = answered([part(), part(more=False)], refuses=False)
    assert [one.get("body") for one in whole] == [None, b"too large"]
    assert answered([part(), {"type": "http.disconnect"}, part()])[1] == 2
    assert answered([part()], Expect="100-continue")[1] == 0  # it sends nothing before it is asked to


def test_nobody_is_heard_out_for_ever(monkeypatch):
    monkeypatch.setattr(body_drain, "MOST_BYTES", 1000)
    assert answered([part(100)] * 50)[1] == 10
    monkeypatch.setattr(body_drain, "IDLE_S", 0.01)
    assert answered([part(100)] * 3)[1] == 3
    monkeypatch.setattr(body_drain, "MOST_S", -1.0)
    assert answered([part(100)] * 3)[1] == 0


@pytest.mark.parametrize("size", ["-5", "+5", "5, 6", "0x10", "1e3", "5\x00", "9" * 400, ""])
def test_a_length_that_is_none_is_refused_and_the_studio_goes_on(port, size):
    """Of a request whose length cannot be true nothing is read."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head(port, "/api/runs", size) + b"{}")  # type: ignore[arg-type]
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert re.match(rb"HTTP/1.1 (400|411|413|415|422) ", answer) or not answer, answer[:200]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head(port, "/api/runs", 2) + b"{}")
        assert re.match(rb"HTTP/1.1 \d{3} ", connection.recv(65_536))
