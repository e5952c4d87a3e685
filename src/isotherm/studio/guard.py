"""What every request to the studio must pass before anything looks at it, and the headers of every answer.

| attack | what stops it |
|---|---|
| a name of the attacker's that resolves to 127.0.0.1 (DNS rebinding) | the Host header must be one that the studio was started for |
| another page that sends a form or a picture (CSRF) | what changes anything must come from the studio's own page, by Origin and Sec-Fetch-Site |
| another page that embeds or reads what the studio shows | the same for everything but opening the page; frames are forbidden |
| a page of another program on this machine, which shares cookies across ports | it is refused by the same two headers |
| a script smuggled into a name or a note | Content-Security-Policy: scripts and styles from the studio's own files alone |
| anybody else who reaches the port | the cookie that the printed address is exchanged for, or the key |

Pure ASGI, so that it stands before the framework and its error pages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from isotherm.studio.access import Access
from isotherm.studio.asgi import App, Receive, Scope, Send
from isotherm.studio.session import SCRIPTS, SESSION

LOOPBACK = ("127.0.0.1", "localhost", "::1")
READS = ("GET", "HEAD")
OWN = ("same-origin", "none")
"""Sec-Fetch-Site of a request by the studio's own page, and of one that a person typed in."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


class Guard:
    """An ASGI application that lets through what may pass to another one.

    Args:
        app: what is guarded.
        access: the secrets.
        hosts: names and addresses that the studio is reached by, without a port.
        cookie: the cookie's name; one for each port, since browsers share cookies across ports.
        secure: the studio is reached by https, so that the cookie travels by nothing else.
    """

    def __init__(
        self,
        app: App,
        access: Access,
        *,
        hosts: Iterable[str] = LOOPBACK,
        cookie: str = "isotherm",
        secure: bool = False,
    ) -> None:
        self.app, self.access, self.cookie = app, access, cookie
        self._words = "Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
        self.hosts = frozenset(host.lower().strip("[]") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks WebSocket
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if (refused := self._refused(scope, headers)) is not None:
            await _answer(send, *refused)
            return
        if (token := self._token(scope)) is not None:
            await self._let_in(send, token, str(scope["path"]))
            return
        session = SCRIPTS if self._knows_key(headers) else self._browser(headers)
        if session is None:
            await _answer(send, 401, NOT_IN)
            return
        SESSION.set(session)
        await self.app(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and reason where a request comes from where none may come."""
        host = headers.get("host", "")
        if host_name(host) not in self.hosts:
            return 400, f"this studio is not {host[:80]!r}; open it by the address that it printed"
        if self._knows_key(headers):  # no browser sends it unless a page has it
            return None
        own = f"{scope.get('scheme', 'http')}://{host}".lower()
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        foreign = (origin is not None and origin.lower() != own) or (site is not None and site not in OWN)
        if scope["method"] in READS:
            opens_page = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
            if foreign and not (opens_page and origin is None):
                return 403, "another page may not read what the studio shows"
            return None
        if foreign or (origin is None and site is None):
            return 403, "only the studio's own page, or a script with the key, may change anything"
        return None

    def _token(self, scope: Scope) -> str | None:
        if scope["method"] != "GET":
            return None
        return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [None])[0]

    async def _let_in(self, send: Send, token: str, path: str) -> None:
        cookie = self.access.exchange(token)
        if cookie is None:
            await _answer(send, 403, USED)
            return
        # to a path of ours, whatever the request's: "//elsewhere" would lead away
        place = "/" + path.lstrip("/\\")
        headers = {"location": place, "set-cookie": f"{self.cookie}={cookie}; {self._words}"}
        await _answer(send, 303, "", headers)

    def _knows_key(self, headers: Mapping[str, str]) -> bool:
        kind, _, key = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.access.is_key(key.strip())

    def _browser(self, headers: Mapping[str, str]) -> str | None:
        """A name for the browser that was let in; None where none was."""
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return None
        if morsel is None or not self.access.is_cookie(morsel.value):
            return None
        return hashlib.sha256(morsel.value.encode()).hexdigest()  # who knows the name does not know the cookie


NOT_IN = "this browser was not let in yet: open the address that the studio printed where it was started"
USED = (
    "this address was used already, which is good for one visit, or is not one of this studio's: "
    "open the last one that the studio printed where it was started"
)


def host_name(host: str) -> str:
    """The name or address in a Host header, in lower case and without a port; empty for what is none.

    Example:
        >>> host_name("LocalHost:8080"), host_name("[::1]:8080"), host_name("a@b")
        ('localhost', '::1', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is no number
    except ValueError:
        return ""
    plain = parts.username is None and not parts.path and not parts.query and not parts.fragment
    return parts.hostname or "" if plain else ""


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            rest = [(name, value) for name, value in message.get("headers", []) if name.decode().lower() not in HEADERS]
            message = {**message, "headers": [*rest, *ours]}
        await send(message)

    return sending


async def _answer(send: Send, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
    body = json.dumps({"error": error}, allow_nan=False).encode() if error else b""
    lines = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [(n.encode(), v.encode("latin-1")) for n, v in {**lines, **(headers or {})}.items()],
    }
    sending = _with_headers(send)
    await sending(start)
    await sending({"type": "http.response.body", "body": body})
