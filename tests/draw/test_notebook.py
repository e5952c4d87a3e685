"""Notebooks: pictures that are pictures, text that stays text."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import gallery_html, heatmap_html, heatmap_png, overlay
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap

SOURCE = (240, 480)
EVIL = '"><script>alert(1)</script>'


def of(shape=(4, 8), picture=True, **fields) -> Heatmap:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    photo = np.full((*SOURCE, 3), 120, np.uint8) if picture else None
    return Heatmap(values, Frame.resize(SOURCE, shape[-2:]), "relevance", picture=photo, **fields)


def image(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_map_shows_itself_over_its_picture():
    heatmap = of()
    np.testing.assert_array_equal(image(heatmap._repr_png_()), overlay(heatmap, heatmap.picture))


def test_a_map_without_a_picture_shows_its_colours():
    out = image(heatmap_png(of(picture=False)))
    assert out.shape == (240, 480, 3)
    assert out.std() > 20


def test_its_box_is_drawn():
    plain, boxed = (image(heatmap_png(of(meta=m))) for m in ({}, {"box": [100, 50, 300, 200]}))
    changed = (plain != boxed).any(-1)
    assert changed[50, 150:250].all()
    assert not changed[100:150, 150:250].any()


@pytest.mark.parametrize("box", [[1, 2, 3], "box", [5, 5, 1, 1], [0, 0, float("nan"), 1], None])
def test_a_box_that_is_none_is_left_out(box):
    np.testing.assert_array_equal(image(heatmap_png(of(meta={"box": box}))), image(heatmap_png(of())))


def test_several_maps_become_several_pictures():
    assert len(re.findall("<img", heatmap_html(of((3, 4, 8))))) == 3
    assert image(heatmap_png(of((3, 4, 8)))).shape[1] > 3 * 240
    many = heatmap_html(of((30, 4, 8)))
    assert len(re.findall("<img", many)) == 24
    assert "6 more not drawn" in many


def test_text_is_escaped():
    evil = of(label=EVIL, meta={"method": EVIL, "layer": [EVIL], "trust": EVIL})
    for page in (evil._repr_html_(), gallery_html([evil], lines=[EVIL], trust_line=EVIL, notes=[EVIL], command=EVIL)):
        assert "<script" not in page
        assert page.count("&lt;script&gt;") >= 3


def test_the_picture_in_the_page_is_the_picture():
    heatmap = of()
    data = re.search(r'src="data:image/png;base64,([^"]+)"', heatmap_html(heatmap))[1]
    assert base64.b64decode(data) == heatmap_png(heatmap)


def test_a_gallery_says_what_is_there():
    page = gallery_html(
        [of(label="bus 0.9", meta={"method": "HiResCAM", "layer": "model.22"}), of(label="dog")],
        trust_line="believe it\nor not",
        command="isotherm explain a.jpg",
    )
    for text in ("bus 0.9", "HiResCAM · model.22", "dog", "believe it\nor not", "isotherm explain a.jpg"):
        assert text in page
    asked = gallery_html([of(label="two")], lines=["question: 'how many?'", "answer: '2'"], notes=["chosen by hand"])
    assert asked.index("question:") < asked.index("answer:") < asked.index("<img") < asked.index("chosen by hand")
    silent = of()
    assert "no positive evidence" in gallery_html([silent.with_(values=-silent.values)])
    assert "no heatmaps" in gallery_html([])
