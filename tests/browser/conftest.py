"""One studio for all tests of the page, and pages in a browser that tell what went wrong in them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rigs.browser import Browsers, Watched, context_of
from rigs.studio_forks import know_facts
from rigs.studio_server import running
from rigs.videos import scene_clip

BROWSERS = Browsers()


@pytest.fixture(scope="session")
def studio(tmp_path_factory, forks, browsers):
    """A studio as people start it, with a camera and a further model, and a history that all tests share."""
    browsers.shared()  # starts while the process that forks imports
    dpath = tmp_path_factory.mktemp("start")
    clip = scene_clip(dpath / "table.mp4", rate=5)
    know_facts(dpath, model := "yoloe-11s-seg.yaml")
    with running(dpath, ["--camera", str(clip), "--model", model], forks=forks) as process:
        yield process


@pytest.fixture(scope="session")
def cookies(studio):
    """What a browser gets for the printed address."""
    import httpx

    answer = httpx.get(studio.address())
    ((name, value),) = answer.cookies.items()
    return [{"name": name, "value": value, "url": studio.url, "httpOnly": True, "sameSite": "Strict"}]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """The browser stays from file to file, as its start is a second, and ends before a test that is not of this folder."""
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path.parent != Path(__file__).parent:
            BROWSERS.close()


@pytest.fixture(scope="session")
def browsers():
    yield BROWSERS
    BROWSERS.close()  # where the tests were interrupted


@pytest.fixture(scope="module")
def browser(browsers):
    return browsers.shared()


@pytest.fixture(scope="session")
def described(studio):
    """Whether the studio's own description has a request: what the page does, every program can do."""
    with studio.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    known = [
        (method.upper(), re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))))
        for path in paths
        for method in paths[path]
    ]

    def is_described(request) -> bool:
        parts = urlsplit(request.url)
        if f"{parts.scheme}://{parts.netloc}" != studio.url:  # what the browser made itself: blob:, data:
            return True
        return any(method == request.method and path.fullmatch(parts.path) for method, path in known)

    return is_described


@pytest.fixture(scope="module")
def wide_and_light(browser, cookies):
    """The context of most pages, one after the other: it has the scripts of the studio, which are compiled only once."""
    context = context_of(browser)
    context.add_cookies(cookies)
    yield context
    context.close()


@pytest.fixture
def page_of(browser, studio, cookies, described, wide_and_light):
    """Makes pages that were let in; each must have ended without an error in its console, and without a request that
    the studio's description does not have.

    Args of what it gives: width, theme, path of the page to open (None: none), and options of a browser's context.
    """
    pages: list[Watched] = []

    def make(width: int = 1440, theme: str = "light", path: str | None = "/", **options) -> Watched:
        alone = pages or options or path is None or (width, theme) != (1440, "light")
        context = None if alone else wide_and_light
        watched = Watched(browser, url=studio.url, width=width, theme=theme, context=context, **options)
        pages.append(watched)
        if alone:
            watched.context.add_cookies(cookies)
        if path is not None:
            watched.open(path)
        return watched

    yield make
    for watched in pages:
        watched.close()
    asked = [one for watched in pages for one in watched.requests]
    assert [f"{one.method} {one.url}" for one in asked if not described(one)] == []


@pytest.fixture
def lent(shared):
    """The page that a file's tests share, which it has as its fixture ``shared``, for one test."""
    with shared.lent() as desk:
        yield desk
