"""What there is to see of a report on places: diagrams, and a page of the best and the worst."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import ReportEntry
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.jobs.evaluate.place_pages import write_place_pages
from isotherm.metrics import report_places

FRAME = Frame.resize((48, 64), (12, 16))


@pytest.mark.parametrize("maps", [True, False])
def test_diagrams_and_a_page_of_the_best_and_the_worst(tmp_path, maps):
    truth = torch.full((6, 1, 2), 30.0)
    found = truth.clone()
    found[:, 0, 0] += torch.tensor([4.0, 1.0, 9.0, 0.0, 25.0, 2.0])
    found[3] = torch.nan
    logits = torch.randn(6, 12, 16)
    report = report_places(
        found,
        truth,
        FRAME,
        logits=logits if maps else None,
        confidence=torch.linspace(0.1, 0.9, 6) if maps else None,
        resamples=10,
    )
    asked = []

    def entry(number):
        asked.append(number)
        picture = np.full((48, 64, 3), 40 * number, np.uint8)
        return ReportEntry(picture, (Heatmap(logits[number], FRAME, "logits"),), title=f"instruction {number}")

    written = write_place_pages(report, entry, tmp_path, count=2, command="isotherm eval grounding")
    names = ["hits.png", *(["coverage.png", "reliability.png"] if maps else []), "report.html"]
    assert [path.name for path in written] == names
    assert asked == [1, 5, 4, 2]  # and not the one that has no answer
    page = written[-1].read_text()
    assert "best: instruction 1, off by 1.0 px" in page
    assert page.index("worst: instruction 4, off by 25.0 px") < page.index("worst: instruction 2, off by 9.0 px")
    # under every title lies the picture of its own number
    shown = re.findall(r'<img alt="(?:best|worst): instruction (\d), [^"]*" src="data:image/jpeg;base64,([^"]+)"', page)
    assert [int(number) for number, _ in shown] == asked
    for number, encoded in shown:
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            assert picture.size == (64, 48)
            assert np.abs(np.asarray(picture).astype(int) - 40 * int(number)).max() <= 2
    for path in written[:-1]:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
