"""What a browser fetches before the first heatmap is on the screen: little, once, and nothing from elsewhere."""

from __future__ import annotations

import re

import pytest

from rigs.programs import needs

pytestmark = needs("chromium")

MOST_REQUESTS = 12
MOST_BYTES = 150_000
OF_THE_EXAMPLE = re.compile(r"/view/\d+(/(image|values|thumb))?$")
"""The example's picture and map, which count for nothing: they are what people came for."""


@pytest.fixture(scope="module")
def example(studio):
    return studio.example()


def test_the_first_load_is_small(page_of, example):
    watched = page_of()
    watched.page.wait_for_selector("html.ready")
    watched.page.wait_for_load_state("networkidle")
    own = [one for one in watched.requests if not OF_THE_EXAMPLE.search(one.url) and not one.url.startswith("data:")]
    assert len(own) <= MOST_REQUESTS, [one.url for one in own]
    sizes = {one.url: one.sizes()["responseBodySize"] for one in own}
    assert sum(sizes.values()) <= MOST_BYTES, sizes
    history = next(one.response() for one in own if "/api/runs?" in one.url)
    assert history.headers["content-encoding"] == "gzip"  # it grows with its runs
    assert any(OF_THE_EXAMPLE.search(one.url) for one in watched.requests)
