"""What a report says: everything that is known of a run, as it was written, and a picture for each map."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_pdf import PdfPages

from isotherm.draw.style import Style
from isotherm.studio.exports.pdf import CUT, write_pdf
from rigs.studio import finished_run

REMARKS = {
    "title": "scene-1.jpg",
    "command": "isotherm explain scene-1.jpg --model detector",
    "note": "look at $x^2$ & <b>",
    "tags": ["paper", "second tag"],
    "time": "2026-11-29 12:00 UTC",
    "version": "isotherm 1",
}


@pytest.fixture(scope="module")
def scene(studio):
    picture = studio.post("/api/samples/scene-1").json()["id"]
    return finished_run(studio, [picture], model="detector")


@pytest.fixture
def pages(monkeypatch):
    """The pages that were written: their texts, and how many pictures each has."""
    written = []
    keep = PdfPages.savefig

    def save(self, figure, **more):
        shown = [one for one in figure.axes if one.images]
        written.append(([text.get_text() for text in figure.texts], len(shown)))
        return keep(self, figure, **more)

    monkeypatch.setattr(PdfPages, "savefig", save)
    return written


def test_a_report_has_what_is_known_and_every_map_with_its_verdict(studio, scene, pages, tmp_path):
    write_pdf(tmp_path / "a.pdf", studio.history.runs.path(scene), Style(), REMARKS)
    view = studio.get(f"/api/runs/{scene}/view/0").json()
    texts = "\n".join(text for page, _ in pages for text in page)
    for words in ("title", "command", "note", "time", "version"):
        assert REMARKS[words] in texts
    assert "paper, second tag" in texts
    assert sum(count for _, count in pages) == len(view["maps"]) > 1
    for one in view["maps"]:
        (caption,) = [
            text for page, _ in pages for text in page if text.startswith(f"{one['label']} · {one['method']}")
        ]
        assert " ".join(one["trust"].split())[:40] in " ".join(caption.split())


@pytest.mark.parametrize(("lines", "cut"), [(20, False), (200, True)])
def test_a_note_that_does_not_fit_is_said_to_go_on(studio, scene, pages, tmp_path, lines, cut):
    note = "\n".join(f"line {i} of it" for i in range(lines))
    write_pdf(tmp_path / "a.pdf", studio.history.runs.path(scene), Style(), {**REMARKS, "note": note})
    texts = pages[0][0]
    assert (CUT in texts, f"line {lines - 1} of it" in texts) == (cut, not cut)
    assert pages[0][1] > 0  # its maps are on the page all the same
