"""What vision-language models write: each family's units and order, and every refusal."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.errors import AnnotationError, OptionError
from isotherm.targets import parse_molmo, parse_paligemma, parse_qwen, parse_robopoint

SIZE = (100, 200)


def test_molmo():
    one = parse_molmo(' <point x="61.5" y="40.4" alt="the &quot;mug&quot;">the mug</point>', size=SIZE)
    torch.testing.assert_close(one.points, torch.tensor([[123.0, 40.4]]))
    assert (one.boxes, one.labels) == (None, ('the "mug"',))
    many = parse_molmo(
        'Two: <points x1="0" y1="100" x2="50" y2="25.0" alt="cups">cups</points> and <point x="10" y="10">.</point>',
        size=SIZE,
    )
    torch.testing.assert_close(many.points, torch.tensor([[0.0, 100.0], [100.0, 25.0], [20.0, 10.0]]))
    assert many.labels == ("cups", "cups", "")


@pytest.mark.parametrize(
    ("text", "column", "found"),
    [
        ("There are none.", 1, "no <point> and no <points>"),
        ('a <point x="1" y="2', 3, "a tag that cannot be read"),
        ('<point x="1" y=2>', 1, "a tag that cannot be read"),
        ('<point x="1" alt="a">', 1, "a tag without y"),
        ('<points x1="1" y1="2" x2="3">', 1, "a tag without y2"),
        ('<points x1="1" y1="2" x3="3" y3="4">', 1, "a tag without x2"),
        ('<points alt="a">', 1, "no coordinates"),
        ('<points coords="1 1 234 567">', 1, "a tag without x1"),
        ('<point x="1" y="2" z="3">', 23, "z"),
        ('<point x="1" x="2" y="3">', 14, "x twice"),
        ('<point x="a" y="2">', 11, "'a'"),
        ('<point x="nan" y="2">', 11, "'nan'"),
        ('<point x="100.1" y="2">', 11, "x = 100.1"),
        ('<point x="1" y="-2">', 17, "y = -2"),
    ],
)
def test_molmo_refusals(text, column, found):
    with pytest.raises(AnnotationError, match=re.escape(f"found {found}; expected")) as caught:
        parse_molmo(text, size=SIZE)
    assert caught.value.column == column


def test_qwen_boxes_in_thousandths_and_in_pixels_of_the_model_input():
    text = '```json\n[\n  {"bbox_2d": [100, 200, 300, 400], "label": "mug"},\n  {"bbox_2d": [0, 0, 1000, 1000], "label": "table", "note": 1}\n]\n```'
    found = parse_qwen(text, size=SIZE, units="thousandths")
    torch.testing.assert_close(found.boxes, torch.tensor([[20.0, 20, 60, 40], [0, 0, 200, 100]]))
    torch.testing.assert_close(found.points, torch.tensor([[40.0, 30], [100, 50]]))
    assert found.labels == ("mug", "table")
    box = '{"bbox_2d": [28, 56, 112, 56]}'
    torch.testing.assert_close(parse_qwen(box, size=SIZE, units="pixels").boxes, torch.tensor([[28.0, 56, 112, 56]]))
    torch.testing.assert_close(
        parse_qwen(box, size=SIZE, units="pixels", input_size=(112, 224)).boxes, torch.tensor([[25.0, 50, 100, 50]])
    )


def test_qwen_points():
    found = parse_qwen(
        '[{"point_2d": [500, 1e2], "label": "a"}, {"point_2d": [0, 1000]}]', size=SIZE, units="thousandths"
    )
    torch.testing.assert_close(found.points, torch.tensor([[100.0, 10], [0, 100]]))
    assert (found.boxes, found.labels) == (None, ("a", ""))


@pytest.mark.parametrize(
    ("text", "column", "found"),
    [
        ("", 1, "the end"),
        ("[]", 2, "']'"),
        ("a mug", 1, "'a mug'"),
        ('[{"bbox_2d": [1, 2, 3, 4]}', 27, "the end"),
        ('[{"bbox_2d": [1, 2, 3, 4]}, 5]', 29, "'5]'"),
        ('[{"bbox_2d": [1, 2, 3, 4]}] so', 29, "'so'"),
        ('[{"bbox_2d": [1, 2, 3]}]', 2, "bbox_2d = [1.0, 2.0, 3.0]"),
        ('[{"bbox_2d": [1, 2, 3, true]}]', 2, "bbox_2d = [1.0, 2.0, 3.0, true]"),
        ('[{"bbox_2d": [1, 2, 3, "4"]}]', 2, 'bbox_2d = [1.0, 2.0, 3.0, "4"]'),
        ('[{"bbox_2d": [1, 2, 3, NaN]}]', 2, "NaN"),
        ('[{"bbox_2d": [1, 2, 3, 4], "bbox_2d": [1, 2, 3, 4]}]', 2, "an object with one key twice"),
        ('[{"bbox_2d": [1, 2, 3, 4}]', 25, "no JSON (Expecting ',' delimiter)"),
        ('[{"label": "mug"}]', 2, "an object with neither bbox_2d nor point_2d"),
        ('[{"bbox_2d": [1, 2, 3, 4], "point_2d": [1, 2]}]', 2, "bbox_2d and point_2d"),
        ('[{"bbox_2d": [1, 2, 3, 4]}, {"point_2d": [1, 2]}]', 29, "boxes and points in one answer"),
        ('[{"point_2d": [1, 2], "label": 3}]', 2, "a label that is no text"),
        ('[{"point_2d": [1, 1001]}]', 2, "y = 1001"),
        ('[{"bbox_2d": [5, 2, 3, 4]}]', 2, "x1 = 3 before x0 = 5"),
        ('[{"point_2d": [1, 1' + "0" * 400 + "]}]", 2, "y = inf"),
    ],
)
def test_qwen_refusals(text, column, found):
    with pytest.raises(AnnotationError, match=re.escape(f"found {found}; expected")) as caught:
        parse_qwen(text, size=SIZE, units="thousandths")
    assert caught.value.column == column


def test_qwen_deep_lists_end_in_an_annotation_error():
    with pytest.raises(AnnotationError):
        parse_qwen('[{"bbox_2d": ' + "[" * 90_000, size=SIZE, units="thousandths")


def test_a_fence_may_be_long_and_empty():
    with pytest.raises(AnnotationError, match="found the end"):
        parse_qwen("```json\n" + " " * 90_000 + "```", size=SIZE, units="thousandths")
    with pytest.raises(AnnotationError, match="found '```json"):
        parse_qwen("```json\n" + " " * 90_000, size=SIZE, units="thousandths")


def test_qwen_options(unchecked):
    with pytest.raises(OptionError, match="units is 'percent'"):
        parse_qwen("[]", size=SIZE, units="percent")
    with pytest.raises(OptionError, match="input_size goes with units='pixels' only"):
        parse_qwen("[]", size=SIZE, units="thousandths", input_size=SIZE)


def test_robopoint():
    found = parse_robopoint("[(0.25, 0.71), (1, 0)]", size=SIZE)
    torch.testing.assert_close(found.points, torch.tensor([[50.0, 71.0], [200.0, 0.0]]))
    boxes = parse_robopoint("[(0.1, 0.2, 0.3, 0.4)]", size=SIZE).boxes
    torch.testing.assert_close(boxes, torch.tensor([[20.0, 20, 60, 40]]))
    with pytest.raises(AnnotationError, match=r"column 15 .*found 4 numbers together.*all of one length"):
        parse_robopoint("[(0.1, 0.2), (0.1, 0.2, 0.3, 0.4)]", size=SIZE)
    with pytest.raises(AnnotationError, match="found 3 numbers together"):
        parse_robopoint("[(0.1, 0.2, 0.3)]", size=SIZE)
    with pytest.raises(AnnotationError, match="found x = 2"):
        parse_robopoint("[(2, 0.2)]", size=SIZE)


def test_paligemma():
    found = parse_paligemma(
        "<loc0256><loc0128><loc0512><loc1023> coffee mug ; <loc0000><loc0000><loc0001><loc0002><seg012> plate",
        size=SIZE,
    )
    torch.testing.assert_close(
        found.boxes, torch.tensor([[25.0, 25.0, 1023 / 1024 * 200, 50.0], [0, 0, 400 / 1024, 100 / 1024]])
    )
    assert found.labels == ("coffee mug", "plate")


@pytest.mark.parametrize(
    ("text", "column", "found"),
    [
        ("mug", 1, "'mug'"),
        ("<loc0001><loc0002><loc0003> mug", 1, "'<loc0001><lo'"),
        ("<loc0001><loc0002><loc0003><loc1024> mug", 32, "step 1024"),
        ("<loc0001><loc0002><loc0003><loc0004><loc0005> mug", 37, "'<loc0005> mu'"),
        ("<loc0001><loc0002><loc0003><loc0004> mug ;", 43, "the end"),
        ("<loc0003><loc0002><loc0001><loc0004> mug", 23, "y1 = 1 before y0 = 3"),
    ],
)
def test_paligemma_refusals(text, column, found):
    with pytest.raises(AnnotationError, match=re.escape(f"found {found}; expected")) as caught:
        parse_paligemma(text, size=SIZE)
    assert caught.value.column == column


@given(st.lists(st.tuples(*[st.integers(0, 1023)] * 4), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_paligemma_tokens_come_back(boxes):
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes]
    text = " ; ".join(f"<loc{y0:04}><loc{x0:04}><loc{y1:04}><loc{x1:04}> thing" for x0, y0, x1, y1 in boxes)
    assert parse_paligemma(text, size=(1024, 1024)).boxes.tolist() == [list(map(float, b)) for b in boxes]


@given(st.text(alphabet='<>point/locx12y="{}[]:,_d . ;bb', max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused(text):
    for parse in (
        parse_molmo,
        parse_robopoint,
        parse_paligemma,
        lambda t, size: parse_qwen(t, size=size, units="pixels"),
    ):
        try:
            found = parse(text, size=SIZE)
        except AnnotationError:
            continue
        assert bool(torch.isfinite(found.points).all())
