"""Annotation text: every form, every refusal with its column, and the target it makes."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import targets
from isotherm.errors import AnnotationError, FrameError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.points import State
from isotherm.targets import Annotation, parse_annotation

SIZE = (100, 200)


@pytest.mark.parametrize(
    ("text", "flag", "normalised", "box_format", "points", "boxes"),
    [
        ("[0.5, 0.5]", "single_point", True, None, [[100, 50]], None),
        ("(0.5, 1)", "single_point", True, None, [[100, 100]], None),
        ("[[0.5, 0.5]]", "single_point", True, None, [[100, 50]], None),
        (" [ 20 ,1e1 ] ", "single_point", False, None, [[20, 10]], None),
        ("[[0, 0], [1, 1]]", "grasp_point", True, None, [[0, 0], [200, 100]], None),
        ("[(20, 10), [30, 40],]", "grasp_point", False, None, [[20, 10], [30, 40]], None),
        ("[0, .4, 1, .6]", "detection_1", True, None, [[100, 50]], [[0, 40, 200, 60]]),
        ("[10, 20, 30, 40]", "detection_1", False, None, [[20, 30]], [[10, 20, 30, 40]]),
        ("[10, 20, 30, 40]", "detection_1", False, "xywh", [[25, 40]], [[10, 20, 40, 60]]),
        ("[10, 20, 10, 20]", "detection_1", False, None, [[10, 20]], [[10, 20, 10, 20]]),
        ("[(0.5, 0.5, 0.2, 0.2)]", "detection_2", True, None, [[100, 50]], [[80, 40, 120, 60]]),
        ("(0.5, 0.5, 0.2, 0.2)", "detection_2", True, None, [[100, 50]], [[80, 40, 120, 60]]),
        ("[(0, 0.5, 0.2, 0.2)]", "detection_2", True, None, [[0, 50]], [[-20, 40, 20, 60]]),
        (
            "[(0.1, 0.1, 0.3, 0.3), (0, 0, 1, 1)]",
            "detection_2",
            True,
            "x0y0x1y1",
            [[40, 20], [100, 50]],
            [[20, 10, 60, 30], [0, 0, 200, 100]],
        ),
    ],
)
def test_forms(text, flag, normalised, box_format, points, boxes):
    found = parse_annotation(text, flag, normalised=normalised, size=SIZE, box_format=box_format)
    torch.testing.assert_close(found.points, torch.tensor(points, dtype=torch.float32))
    assert (found.boxes is None) == (boxes is None)
    if boxes is not None:
        torch.testing.assert_close(found.boxes, torch.tensor(boxes, dtype=torch.float32))
    assert found.labels == ("",) * len(points)


@pytest.mark.parametrize(
    ("text", "flag", "column", "found"),
    [
        ("", "single_point", 1, "the end"),
        ("[0.1, x]", "single_point", 7, "'x]'"),
        ("[0.1 0.2]", "single_point", 6, "'0.2'"),
        ("[0.1, 0.2", "single_point", 10, "the end"),
        ("[0.1, 0.2)", "single_point", 10, "')'"),
        ("[0.1, 0.2] # eh", "single_point", 12, "'# eh'"),
        ("0.1, 0.2", "single_point", 1, "'0.1'"),
        ("[, 1]", "single_point", 2, "','"),
        ("[]", "grasp_point", 1, "an empty list"),
        ("[[]]", "grasp_point", 2, "an empty list"),
        ("[[[0.1, 0.2]]]", "grasp_point", 3, "'['"),
        ("[0.1, [0.2, 0.3]]", "grasp_point", 7, "numbers and lists side by side"),
        ("[[0.1, 0.2], 0.3]", "grasp_point", 14, "numbers and lists side by side"),
        ("[0.1, 0.2, 0.3, 0.4]", "single_point", 2, "4 numbers together"),
        ("[[0.1, 0.2], [0.1, 0.2, 0.3]]", "grasp_point", 15, "3 numbers together"),
        ("[[0.1, 0.2], [0.3, 0.4]]", "single_point", 15, "2 places"),
        ("[0.1, 0.2]", "detection_1", 2, "2 numbers together"),
        ("[(0.1, 0.1, 0.2, 0.2), (0.1, 0.1, 0.2, 0.2)]", "detection_1", 25, "2 places"),
        ("[0.1, 1.5]", "single_point", 7, "y = 1.5"),
        ("[-0.1, 0.5]", "single_point", 2, "x = -0.1"),
        ("[1e999, 0.5]", "single_point", 2, "x = inf"),
        ("[nan, 0.5]", "single_point", 2, "'nan, 0.5]'"),
        ("[True, 0.5]", "single_point", 2, "'True, 0.5]'"),
        ("[0.5, 0.1, 0.2, 0.2]", "detection_1", 12, "x1 = 0.2 before x0 = 0.5"),
        ("[0.1, 0.5, 0.2, 0.2]", "detection_1", 17, "y1 = 0.2 before y0 = 0.5"),
        ("[(0.1, 0.1, -0.2, 0.2)]", "detection_2", 13, "extent along x = -0.2"),
        ('__import__("os")', "single_point", 1, "'__import__("),
    ],
)
def test_refusals_name_the_column_and_the_form(text, flag, column, found):
    with pytest.raises(AnnotationError, match=re.escape(f"found {found}")) as caught:
        parse_annotation(text, flag, normalised=True, size=SIZE)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert str(caught.value).startswith(f"column {column} of {text!r}: found ")
    assert "; expected " in str(caught.value)


def test_pixels_are_checked_against_the_picture_and_lines_are_counted():
    with pytest.raises(
        AnnotationError, match=r"line 2, column 4 of .*found x = 201; expected a number from 0 to 200$"
    ) as caught:
        parse_annotation("[[1, 2],\n  [201, 5]]", "grasp_point", normalised=False, size=SIZE)
    assert (caught.value.line, caught.value.column) == (2, 4)
    with pytest.raises(AnnotationError, match="pixels are not normalised"):
        parse_annotation("[20, 30]", "single_point", normalised=True, size=SIZE)


def test_long_and_deep_texts_end_at_once():
    with pytest.raises(AnnotationError, match="200002 characters"):
        parse_annotation("[" + "1" * 200_000 + "]", "single_point", normalised=False, size=SIZE)
    with pytest.raises(AnnotationError, match="column 3"):
        parse_annotation("[" * 50_000, "single_point", normalised=False, size=SIZE)
    with pytest.raises(AnnotationError, match="a finite number"):
        parse_annotation("[" + "9" * 50_000 + ", 1]", "single_point", normalised=False, size=SIZE)


@given(
    st.text(alphabet="[]()., -+e0123456789xj", max_size=30),
    st.sampled_from(["detection_1", "detection_2", "single_point", "grasp_point"]),
)
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused_and_never_beyond_the_picture(text, flag):
    try:
        found = parse_annotation(text, flag, normalised=True, size=SIZE)
    except AnnotationError:
        return
    assert bool(((found.points >= 0) & (found.points <= torch.tensor([200.0, 100.0]))).all())


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_what_python_prints_is_read_back(points):
    found = parse_annotation(repr(points), "grasp_point", normalised=True, size=SIZE).points
    torch.testing.assert_close(
        found, (torch.tensor(points, dtype=torch.float64) * torch.tensor([200.0, 100.0])).float()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flag": "point"}, "flag is 'point'; expected one of detection_1"),
        ({"flag": "single_point", "box_format": "xywh"}, "box_format is 'xywh'; expected none"),
        ({"flag": "detection_1", "box_format": "yxyx"}, "box_format is 'yxyx'; expected x0y0x1y1"),
    ],
)
def test_bad_options(options, message, unchecked):
    with pytest.raises(OptionError, match=message):
        parse_annotation("[0.5, 0.5]", normalised=True, size=SIZE, **options)


def test_an_annotation_keeps_its_parts_together():
    with pytest.raises(ShapeError, match="2 points, no boxes and 1 labels"):
        Annotation(torch.zeros(2, 2), None, ("mug",))


def test_the_target_of_a_text():
    frame = Frame.resize(SIZE, (10, 20))
    target = targets.from_annotation("[0.525, 0.55]", "single_point", frame, sigma_cells=1.5, normalised=True)
    assert target.heatmap.values.shape == (1, 10, 20)
    assert target.heatmap.kind == "probability"
    assert target.state.tolist() == [State.LABELLED]
    assert target.heatmap.values.sum().item() == pytest.approx(1, abs=1e-6)
    assert divmod(int(target.heatmap.values.argmax()), 20) == (5, 10)
    two = targets.from_annotation(
        "[(20, 30, 4, 4), (120, 70, 8, 8)]", "detection_2", frame, sigma_cells=1.0, normalised=False, kind="peak"
    )
    expected = targets.gaussian(
        torch.tensor([[20.0, 30.0], [120.0, 70.0]]), frame, sigma_cells=1.0
    ).heatmap.values.amax(0)
    torch.testing.assert_close(two.heatmap.values[0], expected)


def test_half_of_224_is_the_edge_between_cells_111_and_112():
    """Index 111.5: not cell 112, where pixels counted by truncation put it."""
    target = targets.from_annotation(
        "[0.5, 0.5]", "single_point", Frame.identity((224, 224)), sigma_cells=1.5, normalised=True
    )
    row = target.heatmap.values[0].sum(0)
    torch.testing.assert_close(row, row.flip(0))
    assert row[111].item() == pytest.approx(row.max().item())


def test_bad_doors(unchecked):
    frame = Frame.resize(SIZE, (10, 20))
    with pytest.raises(FrameError, match=r"batch \(2,\).*index the frame"):
        targets.from_annotation("[0.5, 0.5]", "single_point", frame.expanded(2), sigma_cells=1.0, normalised=True)
    with pytest.raises(OptionError, match="kind is 'logits'"):
        targets.from_annotation("[0.5, 0.5]", "single_point", frame, sigma_cells=1.0, normalised=True, kind="logits")
