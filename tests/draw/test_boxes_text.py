"""Boxes on the right pixels; labels that can be read."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import draw_boxes
from isotherm.draw import text as text_module
from isotherm.draw.boxes import PALETTE
from isotherm.draw.sheet import add_footer, shorten
from isotherm.draw.text import clean, font_for, wrap


def drawn(size, boxes, **marks) -> np.ndarray:
    image = Image.new("RGB", (size[1], size[0]), (120, 120, 120))
    draw_boxes(image, boxes, **marks)
    return np.asarray(image)


def test_a_box_is_drawn_on_its_own_first_and_last_pixels():
    out = drawn((100, 200), torch.tensor([[40.0, 20.0, 160.0, 80.0]]))
    own = (out == PALETTE[0]).all(-1)
    rows, columns = np.nonzero(own)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (40, 20, 159, 79)
    assert (out[30:70, 50:150] == 120).all()  # inside stays as it is


def test_a_side_outside_of_the_picture_is_not_drawn_at_its_edge():
    own = (drawn((100, 200), [[-50.0, 20.0, 100.0, 500.0]]) == PALETTE[0]).all(-1)
    assert own[50, 98:100].any()
    assert not own[50, :5].any()
    assert not own[99, 20:80].any()
    assert (drawn((100, 200), [[300.0, 20.0, 400.0, 50.0]], labels=["gone"]) == 120).all()


@pytest.mark.parametrize("corner", [(0, 0), (360, 0), (0, 260), (360, 260), (180, 130)])
def test_labels_stay_within_the_picture(corner):
    x, y = corner
    out = drawn((300, 400), [[x, y, x + 40.0, y + 40.0]], labels=["a rather long label 0.93"])
    bare = drawn((300, 400), [[x, y, x + 40.0, y + 40.0]])
    text = font_for("a", 11)
    filled = (out == PALETTE[0]).all(-1) & ~(bare == PALETTE[0]).all(-1)
    # the label's ground, less its letters, is there in full: nothing of it fell off the edge
    assert filled.sum() > 0.5 * text.getlength("a rather long label 0.93") * 11


def test_labels_of_one_place_do_not_cover_each_other():
    boxes = [[50.0, 100.0, 150.0, 200.0]] * 3
    out = drawn((300, 400), boxes, labels=["one 0.9", "two 0.8", "three 0.7"])
    areas = [(out == colour).all(-1).sum() for colour in PALETTE[:3]]
    alone = [
        (drawn((300, 400), boxes[:1], labels=[t], colours=[c]) == c).all(-1).sum()
        for t, c in zip(("one 0.9", "two 0.8"), PALETTE[:2], strict=True)
    ]
    outline = (drawn((300, 400), boxes[:1]) == PALETTE[0]).all(-1).sum()
    assert areas[0] >= alone[0] - outline
    assert areas[1] >= alone[1] - outline


def test_lines_and_text_grow_with_the_picture():
    def widths(h, w):
        out = drawn((h, w), [[w * 0.3, h * 0.3, w * 0.7, h * 0.7]])
        return int((out[h // 2, : w // 2] == PALETTE[0]).all(-1).sum())

    assert widths(200, 300) == 2
    assert widths(3000, 4000) >= 10


def test_no_boxes_is_no_error():
    assert (drawn((50, 50), torch.zeros(0, 4), labels=[]) == 120).all()


def test_wrapped_lines_fit_and_lose_nothing():
    font = font_for("", 14)
    command = "isotherm explain '/data/" + "very-long-name" * 20 + ".jpg' --model yolo11n.pt --box 0"
    lines = wrap(command, font, 300)
    assert all(font.getlength(line) <= 300 for line in lines)
    assert "".join(lines).replace(" ", "") == command.replace(" ", "")
    tall, short = (add_footer(Image.new("RGB", (400, 100)), t).height for t in (command, "short"))
    assert tall > short > 100


def test_shortened_names_keep_both_ends():
    font = font_for("", 14)
    short = shorten("models/backbone/layer4/block2/conv3", font, 120)
    assert font.getlength(short) <= 120
    assert short.startswith("mo")
    assert short.endswith("3")
    assert "..." in short


def test_of_a_text_as_much_is_kept_as_fits():
    text, font = "models/backbone/layer4/block2/conv3", font_for("", 14)
    for width in range(0, 300, 11):
        short = shorten(text, font, width)
        assert font.getlength(short) <= width
        if short != text:
            more = max(len(short) - len("..."), 1) + 1
            assert font.getlength(f"{text[: (more + 1) // 2]}...{text[len(text) - more // 2 :]}") > width
    assert shorten(text, font, 300) == text
    assert shorten(text, font, 10) == ""


def test_control_characters_do_not_reach_the_font():
    assert clean("a\tb\x00c\nd\u200b") == "a b c d"
    assert clean("x" * 80, 60) == "x" * 57 + "..."


@pytest.mark.parametrize("text", ["é", "Привет", "≤ 3 σ → ×"])
def test_characters_beyond_ascii_are_drawn_and_not_boxed(text):
    font = font_for(text, 20)
    blank = bytes(font.getmask("\U0010fffe"))
    assert all(bytes(font.getmask(c)) != blank for c in text if c != " ")


def test_a_character_that_no_font_has_is_no_error(monkeypatch):
    monkeypatch.setattr(text_module, "_WIDE_FONTS", ())
    text_module._best_name.cache_clear()
    assert font_for("\U0001f9ff", 12).getlength("\U0001f9ff") > 0
    text_module._best_name.cache_clear()


def test_a_word_of_any_length_is_broken_at_once():
    font = font_for("a", 14)
    started = time.process_time()
    lines = wrap("isotherm " + "aW/" * 20_000, font, 400)
    assert time.process_time() - started < 5  # it took minutes
    assert "".join(lines) == "isotherm" + "aW/" * 20_000
    assert all(350 < font.getlength(line) <= 400 for line in lines[1:-1])
    for word in ("iiiii" * 40, "WWWMM" * 30, "a.b/c-d_" * 25, "ffi" * 50):
        for width in (3, 20, 77):
            whole = wrap(word, font, width)
            assert "".join(whole) == word
            # a line holds all that fits
            assert all(font.getlength(a + b[0]) > width for a, b in pairwise(whole))
