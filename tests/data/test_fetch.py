"""Only public addresses are reached, at the address that was checked, within limits."""

from __future__ import annotations

import contextlib
import http.server
import io
import socket
import ssl
import subprocess
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isotherm.data.fetch import fetch, fetch_picture, is_public, split_url
from isotherm.errors import InputError


def png():
    file = io.BytesIO()
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)).save(file, "PNG")
    return file.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.seen.append((self.path, self.headers["Host"], dict(self.headers)))
        path = self.path.partition("?")[0]
        port = self.server.server_address[1]
        if path.startswith("/loop"):
            return self.redirect(f"/loop{len(self.server.seen)}")
        if path.startswith("/hop"):
            n = int(path[4:])
            return self.redirect(f"/hop{n - 1}" if n else "/p.png")
        where = {
            "/to-file": "file:///etc/passwd",
            "/to-private": f"http://inner.example:{port}/p.png",
            "/to-metadata": "http://169.254.169.254/latest/",
            "/nowhere": None,
            "/to-target": self.server.target,
        }
        if path in where:
            return self.redirect(where[path])
        if path == "/drip":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with contextlib.suppress(OSError):
                while not self.server.closing.wait(0.02):
                    self.wfile.write(b"x")
                    self.wfile.flush()
            return None
        if path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(64):
                    self.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            return None
        body, status, extra = {
            "/p.png": (png(), 200, {}),
            "/page": (b"<!DOCTYPE html><title>no</title>", 200, {}),
            "/missing": (b"", 404, {}),
            "/gzip": (b"..", 200, {"Content-Encoding": "gzip"}),
            "/short": (png(), 200, {"Content-Length": "5000"}),
            "/huge": (b"", 200, {"Content-Length": str(1 << 40)}),
        }[path]
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), "Content-Type": "image/png", **extra}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True
        return None

    def redirect(self, target):
        self.send_response(302)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextlib.contextmanager
def serving(tls=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.seen, server.closing, server.target = [], threading.Event(), None
    server.handle_error = lambda *_: None  # a client that hangs up is what half of these tests are about
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server():
    with serving() as running:
        yield running


def at(server, path, host="pictures.example"):
    return f"http://{host}:{server.server_address[1]}{path}"


class Names:
    """A resolver that counts, and answers with this machine."""

    def __init__(self, **others):
        self.asked, self.others = [], others

    def __call__(self, host, port):
        self.asked.append(host)
        return self.others.get(host, ["127.0.0.1"])


LOCAL = {"allow_private": True, "timeout_s": 5.0}


def test_a_picture_comes_over_the_checked_address_under_its_own_name(server):
    names = Names()
    picture = fetch_picture(at(server, "/p.png?size=1"), resolver=names, **LOCAL)
    assert picture.array.ravel().tolist() == list(range(60))
    path, host, headers = server.seen[0]
    assert path == "/p.png?size=1"
    assert host == f"pictures.example:{server.server_address[1]}"
    assert headers["Accept-Encoding"] == "identity"
    assert names.asked == ["pictures.example"]


def test_the_second_address_is_tried(server, monkeypatch):
    connect, asked = socket.create_connection, []

    def first_is_down(address, timeout):
        asked.append(address[0])
        if address[0] == "127.0.0.2":
            raise ConnectionRefusedError
        return connect(address, timeout)

    monkeypatch.setattr(socket, "create_connection", first_is_down)
    got = fetch(at(server, "/p.png"), resolver=lambda h, p: ["127.0.0.2", "127.0.0.1"], **LOCAL)
    assert asked == ["127.0.0.2", "127.0.0.1"]
    assert (got.address, got.content) == ("127.0.0.1", png())


def test_redirects_are_followed_and_resolved_anew(server):
    names = Names()
    got = fetch(at(server, "/hop3"), resolver=names, **LOCAL)
    assert got.url.endswith("/p.png")
    assert len(names.asked) == 5


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/loop", "redirects more than 5 times"),
        ("/hop5", "redirects more than 5 times"),
        ("/to-file", "expected http or https"),
        ("/nowhere", "without saying where"),
        ("/missing", "answers 404"),
        ("/gzip", "in the coding gzip"),
        ("/short", r"breaks off after \d+ of 5000 bytes"),
        ("/huge", "larger than 64 MB"),
        ("/page", "web page"),
    ],
)
def test_bad_answers_are_refused(server, path, words):
    with pytest.raises(InputError, match=words):
        fetch_picture(at(server, path), resolver=Names(), **LOCAL)


@pytest.mark.parametrize("path", ["/to-private", "/to-metadata"])
def test_a_redirect_into_the_own_network_is_refused_before_any_connection(server, path, monkeypatch):
    """The first hop counts as public here; only the second may stop it."""
    monkeypatch.setattr("isotherm.data.fetch.is_public", lambda a: a == "127.0.0.1")
    names = Names(**{"inner.example": ["10.0.0.7"], "169.254.169.254": ["169.254.169.254"]})
    with pytest.raises(
        InputError, match=r"leads to (10\.0\.0\.7|169\.254\.169\.254), which is not on the open internet"
    ):
        fetch(at(server, path), resolver=names, timeout_s=5.0)
    assert len(server.seen) == 1


def test_a_name_with_one_private_address_among_public_ones_is_refused():
    with pytest.raises(InputError, match=r"leads to 192\.168\.1\.1"):
        fetch("http://mixed.example/p.png", resolver=lambda h, p: ["93.184.216.34", "192.168.1.1"])


def test_own_machine_is_refused_by_default(server):
    for host in ("127.0.0.1", "2130706433", "0x7f.1", "localhost"):  # numbers that the system reads as 127.0.0.1
        with pytest.raises(InputError, match="not on the open internet"):
            fetch(at(server, "/p.png", host))
    assert server.seen == []


def test_a_streamed_body_stops_at_the_cap(server):
    with pytest.raises(InputError, match="larger than 1 MB"):
        fetch(at(server, "/chunked"), resolver=Names(), max_bytes=1 << 20, **LOCAL)
    assert len(fetch(at(server, "/chunked"), resolver=Names(), **LOCAL).content) == 64 * 65536


def test_a_dripping_server_cannot_hold_on(server):
    start = time.monotonic()
    with pytest.raises(InputError, match=r"took longer than 0\.3 s"):
        fetch(at(server, "/drip"), resolver=Names(), allow_private=True, timeout_s=0.3)
    assert time.monotonic() - start < 3


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="cannot be fetched"):
            fetch(f"http://x.example:{free.getsockname()[1]}/", resolver=Names(), **LOCAL)
    with pytest.raises(InputError, match="has no address"):
        fetch("http://x.example/", resolver=lambda h, p: [])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    dpath = tmp_path_factory.mktemp("tls")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=pictures.example",
    ]
    command += [
        "-addext",
        "subjectAltName=DNS:pictures.example",
        "-keyout",
        dpath / "key.pem",
        "-out",
        dpath / "cert.pem",
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs the openssl command to make a certificate: {error}")
    return dpath / "cert.pem", dpath / "key.pem"


def test_the_certificate_is_checked_against_the_name_not_the_address(certificate):
    cert, key = certificate
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(cert, key)
    asked = []
    server_tls.sni_callback = lambda sock, name, context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(cert))
    with serving(server_tls) as server:
        port = server.server_address[1]
        got = fetch(f"https://pictures.example:{port}/p.png", resolver=Names(), tls=trusting, **LOCAL)
        assert got.content == png()
        assert asked == ["pictures.example"]
        with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch(f"https://other.example:{port}/p.png", resolver=Names(), tls=trusting, **LOCAL)
        with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):  # the system does not know this one
            fetch(f"https://pictures.example:{port}/p.png", resolver=Names(), **LOCAL)
        with serving() as plain:
            server.target = at(plain, "/p.png")
            with pytest.raises(InputError, match="from https to http"):
                fetch(f"https://pictures.example:{port}/to-target", resolver=Names(), tls=trusting, **LOCAL)
            assert plain.seen == []


# --- addresses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "100::1",
        "2001:0:53aa:64c:0:0:80ff:fffe",
        "nonsense",
    ],
)
def test_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_public(address):
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_never_makes_it_public(ip):
    number = int(ip)
    for wrapped in (f"::ffff:{ip}", f"64:ff9b::{ip}", f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1"):
        assert is_public(wrapped) <= is_public(str(ip))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.org/a.png", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("http:///a.png", "names no host"),
        ("http://user:secret@example.org/a.png", "user name or password"),
        ("http://example.org:99999/a.png", "not an address"),
        ("http://example.org:0/a.png", "port 0"),
        ("http://exa mple.org/", "blanks"),
        ("http://example.org/a\r\nX: y", "blanks, control"),
        ("http://example.org\\@127.0.0.1/", "backslashes"),
        ("http://a..b/", "not an address"),
        ("http://[::1/", "not an address"),
    ],
)
def test_addresses_that_are_refused(url, words):
    with pytest.raises(InputError, match=words) as caught:
        fetch(url, resolver=lambda h, p: pytest.fail("it was looked up"))
    assert "secret" not in str(caught.value)


def test_split():
    assert split_url("https://Bücher.example/a/ü.png?q=1#part") == (
        "https",
        "xn--bcher-kva.example",
        443,
        "/a/%C3%BC.png?q=1",
    )
    assert split_url("http://[2606:4700::1]:81") == ("http", "2606:4700::1", 81, "/")


@given(st.text(max_size=60).map("http://".__add__))
@settings(max_examples=200)
def test_splitting_raises_only_our_error(url):
    try:
        scheme, host, port, path = split_url(url)
    except InputError:
        return
    assert scheme == "http"
    assert 0 < port < 65536
    assert (host + path).isascii()
    assert not set(path) & set("\r\n \0")
