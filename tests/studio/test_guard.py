"""The guard before the studio: who gets in, who does not, and what no other page can do."""

from __future__ import annotations

import asyncio
import stat
from typing import Any

import pytest

from isotherm.studio.access import Access, key_in
from isotherm.studio.guard import HEADERS, Guard, host_name

HOST = "127.0.0.1:8080"
OWN = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}


class App:
    """What is guarded; it counts who got through."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        self.seen.append(scope.get("path", scope["type"]))
        if scope["type"] == "http":
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"X-Frame-Options", b"ALLOWALL"), (b"x-own", b"1")],
                }
            )
            await send({"type": "http.response.body", "body": b"secret"})


class Answer:
    def __init__(self, sent: list[dict[str, Any]]) -> None:
        self.status = sent[0].get("status")
        self.pairs = [(name.decode().lower(), value.decode()) for name, value in sent[0].get("headers", [])]
        self.headers = dict(self.pairs)
        self.body = b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def guard(app) -> Guard:
    return Guard(app, Access(key="the-key"))


def ask(guard: Guard, method: str = "GET", path: str = "/", query: str = "", **headers: str) -> Answer:
    lines = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "scheme": "http",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in lines.items()],
    }
    return Answer(call(guard, scope))


def call(guard: Guard, scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive():
        return {"type": f"{scope['type']}.connect"}

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent


def cookie_of(guard: Guard) -> str:
    return ask(guard, query=f"token={guard.access.token}").headers["set-cookie"].split(";")[0]


def test_the_printed_address_lets_in_once(app):
    printed: list[str] = []
    guard = Guard(app, Access(on_used=printed.append))
    token = guard.access.token
    answer = ask(guard, path="/runs", query=f"token={token}")
    assert (answer.status, answer.headers["location"]) == (303, "/runs")
    assert answer.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert token not in answer.headers["set-cookie"]
    cookie = answer.headers["set-cookie"].split(";")[0]
    assert ask(guard, cookie=cookie).body == b"secret"
    again = ask(guard, query=f"token={token}")
    assert again.status == 403
    assert b"was used already, which is good for one visit, or is not one of this studio's" in again.body
    assert ask(guard, query="token=never-was-one").body == again.body
    assert "set-cookie" not in again.headers
    assert printed == [guard.access.token]
    assert ask(guard, query=f"token={printed[0]}").status == 303
    assert app.seen == ["/"]


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "\\\\evil.example", "///evil.example/x"])
def test_letting_in_leads_nowhere_else(guard, path):
    place = ask(guard, path=path, query=f"token={guard.access.token}").headers["location"]
    assert place.startswith("/evil")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cookie": "isotherm=wrong"},
        {"cookie": "isotherm="},
        {"cookie": "other=1; ;;=;"},
        {"cookie": 'isotherm="\x07'},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer"},
        {"authorization": "Basic the-key"},
        {"authorization": "Bearer tschüss"},
    ],
)
def test_whoever_was_not_let_in_sees_nothing(guard, app, headers):
    for method in ("GET", "HEAD"):
        answer = ask(guard, method, **headers)
        assert answer.status == 401
        assert b"secret" not in answer.body
    assert ask(guard, "POST", **as_own(headers)).status == 401
    assert app.seen == []


def as_own(headers: dict[str, str]) -> dict[str, str]:
    return {"origin": OWN["origin"], "sec_fetch_site": "same-origin", **headers}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "a@127.0.0.1", "[::1", "127.0.0.1:x"]
)
def test_a_name_that_only_resolves_here_is_refused(guard, app, host):
    cookie = cookie_of(guard)
    answer = ask(guard, host=host, cookie=cookie)
    assert answer.status == 400
    assert ask(guard, host=host, authorization="Bearer the-key").status == 400
    assert ask(guard, host=host, query=f"token={guard.access.token}").status == 400
    assert app.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST:8080", "[::1]:8080", "localhost"])
def test_the_names_of_this_machine_are_let_through(guard, host):
    assert ask(guard, host=host, cookie=cookie_of(guard)).status == 200


def test_a_studio_for_others_answers_to_its_own_name_alone(app):
    guard = Guard(app, Access(key="the-key"), hosts=["lab.example"])
    assert ask(guard, host="lab.example:8080", authorization="Bearer the-key").status == 200
    assert ask(guard, host="127.0.0.1", authorization="Bearer the-key").status == 400


FOREIGN = {
    "another site": {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
    "another port of this machine": {"origin": "http://127.0.0.1:3000", "sec_fetch_site": "same-site"},
    "a page without an origin": {"origin": "null", "sec_fetch_site": "cross-site"},
    "an old browser": {"origin": "https://evil.example"},
    "no-cors without an origin": {"sec_fetch_site": "cross-site"},
    "another scheme": {"origin": f"https://{HOST}"},
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_no_other_page_changes_anything(guard, app, name, method):
    answer = ask(guard, method, cookie=cookie_of(guard), **FOREIGN[name])
    assert answer.status == 403
    assert app.seen == []
    assert not any(header.startswith("access-control-") for header in answer.headers)


@pytest.mark.parametrize("name", FOREIGN)
def test_no_other_page_reads_anything(guard, app, name):
    for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("", "")):
        extra = {"sec_fetch_mode": mode, "sec_fetch_dest": dest} if mode else {}
        assert ask(guard, cookie=cookie_of(guard), **FOREIGN[name], **extra).status == 403
    assert app.seen == []


def test_a_link_from_elsewhere_opens_the_page(guard):
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert ask(guard, cookie=cookie_of(guard), **link).status == 200
    assert ask(guard, query=f"token={guard.access.token}", **link).status == 303


def test_the_studios_own_page_does_everything(guard):
    cookie = cookie_of(guard)
    for method in ("GET", "HEAD", "POST", "DELETE"):
        assert ask(guard, method, cookie=cookie, **as_own({})).status == 200
    assert ask(guard, "POST", cookie=cookie, origin=OWN["origin"]).status == 200


def test_a_cookie_without_an_origin_changes_nothing(guard, app):
    assert ask(guard, "POST", cookie=cookie_of(guard)).status == 403
    assert app.seen == []


def test_a_script_with_the_key_needs_no_origin(guard):
    for headers in ({}, {"origin": "https://elsewhere.example"}):
        assert ask(guard, "POST", authorization="Bearer the-key", **headers).status == 200
        assert ask(guard, "POST", authorization="bearer  the-key ", **headers).status == 200


def test_every_answer_has_the_headers_and_each_once(guard):
    for answer in (
        ask(guard, cookie=cookie_of(guard)),
        ask(guard),
        ask(guard, host="evil.example"),
        ask(guard, query=f"token={guard.access.token}"),
    ):
        for name, value in HEADERS.items():
            assert [v for n, v in answer.pairs if n == name] == [value]
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    assert ask(guard, cookie=cookie_of(guard)).headers["x-own"] == "1"


def test_websockets_are_closed_and_the_start_is_let_through(guard, app):
    scope = {"type": "websocket", "path": "/ws", "headers": [(b"host", HOST.encode())], "query_string": b""}
    assert call(guard, scope) == [{"type": "websocket.close", "code": 1008}]
    call(guard, {"type": "lifespan"})
    assert app.seen == ["lifespan"]


def test_each_port_has_its_own_cookie(app):
    guard = Guard(app, Access(), cookie="isotherm-8081")
    cookie = cookie_of(guard)
    assert cookie.startswith("isotherm-8081=")
    assert ask(guard, cookie=f"isotherm-8080=x; {cookie}").status == 200


def test_the_key_is_kept_and_its_owners_alone(tmp_path):
    key = key_in(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert len(key) > 40
    (tmp_path / "key").chmod(0o644)
    assert key_in(tmp_path / "key") == key
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    (tmp_path / "key").write_text("\n")
    assert key_in(tmp_path / "key") not in ("", key)


def test_names_in_host_headers():
    assert host_name("127.0.0.1:80/x") == ""
    assert host_name("::1") == ""
