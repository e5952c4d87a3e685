"""A page of somebody else's, open in the browser that was let in: it changes nothing in the studio and reads nothing."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rigs.breadth import wide
from rigs.programs import needs

pytestmark = needs("chromium")

EVIL = "evil.example"
"""A name of the attacker's that leads to this machine, as after DNS rebinding."""

ATTACKS = """async ({studio, run}) => {
    const png = Uint8Array.from(atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"), (c) => c.charCodeAt(0));
    const answer = {};
    const tries = (name, work) => work().then((got) => { answer[name] = got; }, () => { answer[name] = "refused"; });
    const ends = (node, good) => new Promise((done) => {
        node.onload = node.onopen = () => done(good(node));
        node.onerror = node.onclose = () => done("refused");
        setTimeout(() => done("refused"), 3000);
    });
    const put = (tag, address, good) => { const node = document.createElement(tag); node.src = studio + address; const end = ends(node, good); document.body.append(node); return end; };
    const form = async () => {
        document.body.insertAdjacentHTML("beforeend", `<iframe name=target></iframe><form method=post enctype="multipart/form-data" target=target action="${studio}/generate_heatmap"><input name=image value=x></form>`);
        const end = ends(document.querySelector("iframe[name=target]"), () => "sent");
        document.querySelector("form").submit();
        return end;
    };
    const send = (address, options) => fetch(studio + address, { credentials: "include", ...options });
    await Promise.all([
        tries("read", async () => (await send("/api/runs")).text()),
        tries("read a map", async () => (await send(`/api/runs/${run}/view/0/values`)).text()),
        tries("read blindly", async () => (await send("/api/runs", { mode: "no-cors" })).text()),
        tries("picture", async () => (await send("/api/pictures?name=evil.png", { method: "POST", mode: "no-cors", body: png })).text()),
        tries("run", async () => (await send("/api/runs", { method: "POST", mode: "no-cors", body: JSON.stringify({ pictures: [], options: {} }) })).text()),
        tries("sample", async () => (await send("/api/samples/scene-2", { method: "POST", mode: "no-cors" })).text()),
        tries("old app", async () => (await send("/generate_heatmap", { method: "POST", mode: "no-cors", body: new FormData() })).text()),
        tries("remove", async () => (await send(`/api/runs/${run}`, { method: "DELETE" })).text()),
        tries("note", async () => (await send(`/api/runs/${run}`, { method: "PATCH", body: '{"note": "evil"}' })).text()),
        tries("cancel", async () => (await send(`/api/runs/${run}/cancel`, { method: "POST", mode: "no-cors" })).text()),
        tries("form", form),
        tries("image", () => put("img", `/api/runs/${run}/view/0/image`, () => "shown")),
        tries("script", () => put("script", "/page/main.js", () => "run")),
        tries("data as script", () => put("script", "/api/state", () => "run")),
        tries("video", () => put("video", "/api/live/0/frames", () => "shown")),
        tries("frame", () => put("iframe", "/", (node) => { try { return node.contentDocument.body.textContent; } catch { return "refused"; } })),
        tries("socket", () => ends(new WebSocket(studio.replace("http", "ws") + "/"), () => "open")),
        tries("events", () => ends(new EventSource(`${studio}/api/runs/${run}/events`, { withCredentials: true }), () => "open")),
        tries("window", async () => { const page = window.open(studio + "/"); await new Promise((done) => setTimeout(done, 1000)); return page && page.document ? page.document.body.textContent : "refused"; }),
    ]);
    return answer;
}"""
UNREADABLE = ("refused", "")
"""What an attack may get: nothing. "sent" of a form says that it went off, not that anybody listened."""


@pytest.fixture(scope="module")
def elsewhere():
    """A server of the attacker's, at another port of the same machine; its address without the name."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Kittens</title><body>")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def victim(studio, cookies, browsers):
    """A browser that was let in, and where the attacker's name leads to this machine."""
    browser = browsers.launch(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1")
    context = browser.new_context()
    context.add_cookies([*cookies, {**cookies[0], "url": f"http://{EVIL}"}])
    yield context
    browser.close()


def everything(studio, run: str) -> dict[str, object]:
    """All that somebody else could have changed."""
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}").json()
        runs = client.get("/api/runs", params={"limit": 200}).json()["runs"]
    pictures = sorted(fpath.name for fpath in (studio.dpath / "studio" / "pictures").iterdir())
    return {"run": facts, "runs": [one["id"] for one in runs], "pictures": pictures}


# the site of the studio itself, whose cookies a browser sends along, is the one that most could come from
@pytest.mark.parametrize("name", ["127.0.0.1", *wide([EVIL, "localhost"])])
def test_another_page_in_the_same_browser_changes_and_reads_nothing(studio, victim, elsewhere, name):
    run = studio.example()
    before = everything(studio, run)
    page = victim.new_page()
    statuses: dict[str, int] = {}
    page.on("response", lambda answer: statuses.setdefault(f"{answer.request.method} {answer.url}", answer.status))
    page.goto(f"http://{name}:{elsewhere}/")
    got = page.evaluate(ATTACKS, {"studio": studio.url, "run": run})
    assert {name: text for name, text in got.items() if text not in (*UNREADABLE, "sent")} == {}
    assert len(got) == 19
    assert everything(studio, run) == before
    assert statuses[f"POST {studio.url}/generate_heatmap"] >= 400  # of most attacks the browser itself hides the answer
    assert {line: status for line, status in statuses.items() if studio.url in line and status < 400} == {}
    for opened in victim.pages:  # windows of the studio's own as well, which the attacker has no hand on
        opened.close()


def test_a_name_that_leads_here_is_no_name_of_the_studios(studio, victim):
    page = victim.new_page()
    port = studio.url.rpartition(":")[2]
    answer = page.goto(f"http://{EVIL}:{port}/")
    assert answer.status == 400
    assert page.evaluate("fetch('/api/runs').then((got) => got.status)") == 400
    assert page.evaluate("fetch('/api/samples/scene-2', {method: 'POST'}).then((got) => got.status)") == 400
    page.close()


def test_what_stops_the_attacks_is_no_mistake_in_them(studio, victim):
    """From the studio's own page the same requests are answered."""
    run = studio.example()
    page = victim.new_page()
    page.goto(studio.url)
    got = page.evaluate(
        """async (run) => ({
            read: (await fetch("/api/runs", { credentials: "include" })).status,
            values: (await (await fetch(`/api/runs/${run}/view/0/values`)).arrayBuffer()).byteLength > 0,
            image: await new Promise((done) => { const node = new Image(); node.onload = () => done("shown"); node.onerror = () => done("refused"); node.src = `/api/runs/${run}/view/0/image`; }),
            events: await new Promise((done) => { const node = new EventSource(`/api/runs/${run}/events`); node.onopen = () => { node.close(); done("open"); }; node.onerror = () => done("refused"); }),
        })""",
        run,
    )
    assert got == {"read": 200, "values": True, "image": "shown", "events": "open"}
    page.close()
