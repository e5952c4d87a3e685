"""What is said of a heatmap: the class's probability by a sigmoid stands behind its name wherever the name is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.draw import ReportEntry, comparison_grid, write_report
from isotherm.draw.describe import title_of
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap

PICTURE = np.full((40, 60, 3), 128, np.uint8)


def of(label, **meta):
    return Heatmap(torch.ones(4, 6), Frame.resize((40, 60), (4, 6)), "relevance", label=label, meta=meta)


@pytest.mark.parametrize(
    ("label", "meta", "title"),
    [
        ("gear", {"activation": "sigmoid", "probability": 0.97}, "gear 97 %"),
        ("gear", {"activation": "sigmoid", "probability": 1e-6}, "gear <1 %"),
        ("gear 97 %", {"activation": "softmax", "probability": 0.97}, "gear 97 %"),
        ("dog 0.61", {"activation": "sigmoid", "probability": 0.74, "confidence": 0.61}, "dog 0.61, class 74 %"),
        ("dog 0.61", {"activation": "sigmoid", "confidence": 0.61}, "dog 0.61"),
        ("dog 0.61 box", {"probability": 0.74, "confidence": 0.61}, "dog 0.61 box"),
        ("", {}, "heatmap"),
    ],
)
def test_the_title_is_the_label_with_the_probability_that_a_sigmoid_gives(label, meta, title):
    assert title_of(of(label, **meta)) == title


def test_the_report_shows_it_in_its_table_and_to_its_viewer(tmp_path):
    entry = ReportEntry(PICTURE, [of("gear", activation="sigmoid", probability=0.97)], title="photo")
    page = write_report([entry], tmp_path / "report.html").read_text()
    assert 'class="pick" aria-pressed="false">gear 97 %</button>' in page
    assert '"label": "gear 97 %"' in page or '"label":"gear 97 %"' in page


def test_a_grid_of_pictures_draws_it():
    plain = np.asarray(comparison_grid([[of("gear 97 %")]], PICTURE))
    told = np.asarray(comparison_grid([[of("gear", activation="sigmoid", probability=0.97)]], PICTURE))
    bare = np.asarray(comparison_grid([[of("gear")]], PICTURE))
    assert np.array_equal(told, plain)
    assert bare.shape != plain.shape or not np.array_equal(bare, plain)
