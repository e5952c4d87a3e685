"""Fetching a picture from an address that a user typed, without reaching into the user's own network.

An address can name, or redirect to, a machine that only this computer can see: a router, a cloud's metadata
service, a database. So the name is resolved once, every address it has must be public, the connection goes to
exactly the address that was checked (a second lookup could answer differently), and every redirect starts over.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from isotherm import limits
from isotherm.data.pictures import MAX_PIXELS, Picture, read_picture
from isotherm.errors import InputError
from isotherm.version import __version__

MAX_BYTES = limits.FETCHED_BYTES
MAX_REDIRECTS = 5
TIMEOUT_S = 20.0
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolver = Callable[[str, int], Sequence[str]]
"""From a host name and a port to its numeric addresses."""


@dataclass(frozen=True)
class Fetched:
    """What came from an address.

    Args:
        content: the body's bytes.
        url: where it came from in the end, after redirects.
        address: the numeric address that was connected to.
        content_type: what the server called it; not to be believed.
    """

    content: bytes
    url: str
    address: str
    content_type: str


def resolve(host: str, port: int) -> list[str]:
    """The numeric addresses of a host name, by the system's resolver.

    Raises:
        InputError: the name has no address.
    """
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"the host {host!r} was not found ({error}); check the address and the network") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def is_public(address: str) -> bool:
    """True where a numeric address is one of the open internet, also when an IPv6 form wraps an IPv4 one.

    Example:
        >>> [is_public(a) for a in ("93.184.216.34", "127.0.0.1", "10.1.2.3", "::ffff:192.168.0.1", "169.254.169.254")]
        [True, False, False, False, False]
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not (
        ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local
    )


def fetch(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    max_redirects: int = MAX_REDIRECTS,
    timeout_s: float = TIMEOUT_S,
    allow_private: bool = False,
    resolver: Resolver = resolve,
    tls: ssl.SSLContext | None = None,
) -> Fetched:
    """The bytes behind an http or https address.

    Args:
        url: the address, without user name and password.
        max_bytes: body size at which reading stops with an error.
        max_redirects: redirects that are followed, each checked like the first address.
        timeout_s: seconds for everything together, redirects included.
        allow_private: reach addresses of this machine and its networks too. For tests and trusted callers.
        resolver: name to numeric addresses; asked once per host.
        tls: certificate rules; the system's by default.

    Raises:
        InputError: an address that may not be reached, or no whole answer of status 200 within the limits.
    """
    deadline = time.monotonic() + timeout_s
    here = url
    for _ in range(max_redirects + 1):
        answer = _get(here, deadline, max_bytes, allow_private, resolver, tls, timeout_s)
        if isinstance(answer, Fetched):
            return answer
        if here.lower().startswith("https:") and answer.lower().startswith("http:"):
            raise InputError(
                f"{here} redirects from https to http ({answer}); give that address yourself if you trust it"
            )
        here = answer
    raise InputError(f"{url} redirects more than {max_redirects} times; give the last address itself")


def fetch_picture(url: str, *, max_pixels: int = MAX_PIXELS, **limits: Any) -> Picture:
    """The picture behind an address; ``limits`` as for :func:`fetch`."""
    return read_picture(fetch(url, **limits).content, name=url, max_pixels=max_pixels)


def split_url(url: str) -> tuple[str, str, int, str]:
    """(scheme, host, port, path with query) of an address that may be fetched.

    Raises:
        InputError: another scheme, no host, a user name or password, or characters that no address has.
    """
    if not url.isascii() and any("\ud800" <= c <= "\udfff" for c in url):
        raise InputError(f"the address {url!r} holds half a character (a lone surrogate); write it as UTF-8")
    if any(ord(c) <= 32 or ord(c) == 127 for c in url) or "\\" in url:
        raise InputError(f"the address {url!r} holds blanks, control characters or backslashes; write them as %XX")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
        host = (
            (parts.hostname or "").encode("idna").decode("ascii")
            if ":" not in (parts.hostname or "")
            else parts.hostname
        )
    except (ValueError, UnicodeError) as error:
        raise InputError(f"{url!r} is not an address that can be fetched ({error})") from error
    if parts.scheme not in ("http", "https"):
        raise InputError(f"{url!r} has the scheme {parts.scheme!r}; expected http or https")
    if not host:
        raise InputError(f"{url!r} names no host; expected something like https://example.org/photo.jpg")
    if parts.username is not None or parts.password is not None:
        raise InputError(
            f"the address at {host} holds a user name or password, which would end up in logs; leave them out"
        )
    if port == 0:
        raise InputError(f"{url!r} has the port 0; expected 1 to 65535")
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = f"?{urllib.parse.quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path + query


def _get(
    url: str,
    deadline: float,
    max_bytes: int,
    allow_private: bool,
    resolver: Resolver,
    tls: ssl.SSLContext | None,
    timeout_s: float,
) -> Fetched | str:
    scheme, host, port, path = split_url(url)
    addresses = list(resolver(host, port))
    if not addresses:
        raise InputError(f"the host {host!r} has no address; check the spelling")
    if not allow_private:
        for address in addresses:
            if not is_public(address):
                raise InputError(
                    f"{url} leads to {address}, which is not on the open internet; "
                    "only public addresses are fetched: download the file and give its path"
                )
    connection = _Pinned(
        host, port, addresses, deadline, (tls or ssl.create_default_context()) if scheme == "https" else None
    )
    # a socket's own timeout starts anew with every byte, so a server that drips would hold on for hours
    watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), connection.abort)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request(
            "GET",
            path,
            headers={
                "User-Agent": f"isotherm/{__version__}",
                "Accept": "image/*",
                "Accept-Encoding": "identity",
                "Connection": "close",
            },
        )
        response = connection.getresponse()
        if response.status in _REDIRECTS:
            target = response.getheader("Location")
            if not target:
                raise InputError(f"{url} redirects (status {response.status}) without saying where")
            return urllib.parse.urljoin(url, target)
        return _body(url, response, connection, max_bytes)
    except InputError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        if connection.aborted or time.monotonic() >= deadline:
            raise InputError(f"{url} took longer than {timeout_s:g} s; try again or download it yourself") from error
        raise InputError(f"{url} cannot be fetched ({type(error).__name__}: {error}); check it in a browser") from error
    finally:
        watchdog.cancel()
        connection.close()


def _body(url: str, response: http.client.HTTPResponse, connection: _Pinned, max_bytes: int) -> Fetched:
    if response.status != 200:
        raise InputError(f"{url} answers {response.status} {response.reason}; expected a picture")
    coding = response.getheader("Content-Encoding", "identity").lower()
    if coding != "identity":
        raise InputError(f"{url} answers in the coding {coding}, which was not asked for; download it yourself")
    declared = response.length
    too_large = f"{url} is larger than {max_bytes / 2**20:g} MB; download it yourself and give a smaller copy"
    if declared is not None and declared > max_bytes:
        raise InputError(too_large)
    content = bytearray()
    while piece := response.read1(65536):
        content += piece
        if len(content) > max_bytes:
            raise InputError(too_large)
    if connection.aborted:
        raise TimeoutError
    if declared is not None and len(content) < declared:
        raise InputError(f"{url} breaks off after {len(content)} of {declared} bytes; try again")
    return Fetched(bytes(content), url, connection.address, response.getheader("Content-Type", ""))


class _Pinned(http.client.HTTPConnection):
    """A connection to numeric addresses that were checked; Host and certificate are those of the name."""

    def __init__(
        self, host: str, port: int, addresses: Sequence[str], deadline: float, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(host, port)
        self.default_port = 80 if tls is None else 443  # so that Host names the port only where it is unusual
        self.addresses, self.deadline, self.tls = addresses, deadline, tls
        self.address = ""
        self.aborted = False
        self.live: socket.socket | None = None  # http.client forgets its socket while the body is still being read

    def connect(self) -> None:
        error: OSError | None = None
        for address in self.addresses:
            remaining = self.deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            try:
                self.sock = self.live = socket.create_connection((address, self.port), remaining)
                self.address = address
                break
            except OSError as failed:
                error = failed
        else:
            raise error or OSError("no address")
        if self.tls is not None:
            self.sock = self.live = self.tls.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    def abort(self) -> None:
        self.aborted = True
        if self.live is not None:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                self.live.shutdown(socket.SHUT_RDWR)
