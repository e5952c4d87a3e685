"""Counting: what several looks say becomes one count, with dots, maps over the whole picture and one scale of colours."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from isotherm.api import open_model
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.points import Points
from isotherm.systems import counting_doubts, vlm_counting
from isotherm.systems import counting_figure as counting_figure_module
from isotherm.systems.counting_config import CountingConfig, CountPrompts
from isotherm.systems.counting_look import Look, cut_out
from isotherm.systems.vlm_counting import count
from isotherm.vlm.numbers import TextCount
from isotherm.zoo.tiny_vlm.network import random_tiny_vlm, tiny_processor

TINY = CountPrompts(whole="how many {category} ?")
CONFIG = CountingConfig(prompts=TINY, answer_tokens=4)


@pytest.fixture(scope="module")
def tiny():
    return TransformersVlm(random_tiny_vlm(0), tiny_processor(), name="tiny")


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)


# --- the logic, on looks whose truth is known ----------------------------------------------------------------


OBJECTS = np.array([[20.0, 20.0], [64.0, 30.0], [70.0, 48.0], [110.0, 80.0], [30.0, 75.0]])
"""In a picture of 128 x 96; the second and third lie where quadrants overlap."""


def true_look(model, picture, view, category, config):
    """A model that sees all objects in a view, and dots exactly where they are."""
    x0, y0, x1, y1 = view.box
    inside = (OBJECTS[:, 0] >= x0) & (OBJECTS[:, 0] < x1) & (OBJECTS[:, 1] >= y0) & (OBJECTS[:, 1] < y1)
    n = int(inside.sum())
    seen, frame = cut_out(picture, view, None)
    own = Frame.identity(seen.shape[:2]).to_grid(stride=8)
    cells = torch.zeros(own.size)
    for x, y in OBJECTS[inside] - [x0, y0]:
        cells[min(int(y // 8), own.size[0] - 1), min(int(x // 8), own.size[1] - 1)] = 0.5
    own_map = Heatmap(cells, own, "relevance", label=view.name, meta={"view": view.name})
    return Look(
        view,
        "how many?",
        str(n),
        TextCount(float(n), f"the number {n}"),
        float(n),
        own_map.with_(frame=frame.then(own)),
        own_map,
        seen,
        frame,
        Points(torch.tensor(OBJECTS[inside]).float(), score=torch.full((n,), 0.5)),
        8.0,
    )


@pytest.fixture
def seeing(monkeypatch, tiny):
    monkeypatch.setattr(vlm_counting, "look", true_look)
    return tiny


@pytest.mark.parametrize("strategy", ["global", "comparison", "dense", "hybrid"])
def test_a_model_that_counts_right_is_counted_right(seeing, noise, strategy):
    found = count(seeing, noise, "red", strategy=strategy, config=CONFIG)
    assert found.count == 5
    assert found.exact == pytest.approx(5)
    assert sorted(found.dots.xy.tolist()) == sorted(
        OBJECTS.tolist()
    )  # each object has one dot, though two crops see some of them
    assert found.unplaced == pytest.approx(0)
    assert [note for note in found.notes if "RANDOM WEIGHTS" not in note] == []
    if strategy in ("dense", "hybrid"):
        assert sum(c for c, one in zip(found.counts, found.looks, strict=True) if one.view.role == "part") > 5
    for i, view in enumerate(found.dots.channel.tolist()):
        x0, y0, x1, y1 = found.looks[view].view.box
        x, y = found.dots.xy[i].tolist()
        assert x0 <= x <= x1
        assert y0 <= y <= y1


def test_crops_of_the_users_count_what_they_hold(seeing, noise):
    found = count(seeing, noise, "red", strategy="custom", config=CONFIG, crops=[(0, 0, 80, 60), (60, 20, 128, 96)])
    assert found.count == 4  # all but the one below on the left
    assert [30.0, 75.0] not in found.dots.xy.tolist()


def changed(monkeypatch, **by_name):
    """Looks of some views that differ in something."""

    def look_(model, picture, view, category, config):
        from dataclasses import replace

        one = true_look(model, picture, view, category, config)
        return replace(one, **by_name.get(view.name.replace(" ", "_").replace(",", ""), {}))

    monkeypatch.setattr(vlm_counting, "look", look_)


REFUSES = {
    "answer": "I cannot tell",
    "answer_count": TextCount(None, "gives no number: 'I cannot tell'"),
    "expected": None,
    "heatmap": None,
    "own_map": None,
    "peaks": Points(torch.zeros(0, 2), score=torch.zeros(0)),
}


def test_a_crop_that_refuses_is_counted_by_the_whole(monkeypatch, tiny, noise):
    changed(monkeypatch, row_2_column_2=REFUSES)
    found = count(tiny, noise, "red", strategy="hybrid", config=CONFIG)
    assert found.count == 5
    assert found.counts[-1] is None
    assert found.dots.channel.tolist().count(0) == 1  # the one that no other quadrant sees
    assert any(
        "row 2, column 2: no count (gives no number: 'I cannot tell'); what no other crop sees there is counted by the whole"
        in note
        for note in found.notes
    )


def test_without_the_whole_what_a_refusing_crop_sees_is_missing_and_said(monkeypatch, tiny, noise):
    changed(monkeypatch, row_3_column_3=REFUSES)
    found = count(tiny, noise, "red", strategy="dense", config=CONFIG)
    assert found.count == 4
    assert any("row 3, column 3: no count" in note and "is not counted" in note for note in found.notes)


def test_no_count_at_all_is_none_and_no_number(monkeypatch, tiny, noise):
    changed(monkeypatch, whole_picture=REFUSES)
    found = count(tiny, noise, "red", strategy="global", config=CONFIG)
    assert found.count is None
    assert found.exact is None
    assert len(found.dots.xy) == 0
    assert "no count" in found.headline()
    assert found.figure(side=64).width > 64
    assert json.loads(json.dumps(found.to_json()))["count"] is None


def test_the_expected_number_stands_in_and_may_be_asked_for(monkeypatch, tiny, noise):
    changed(monkeypatch, whole_picture={"answer_count": TextCount(None, "gives no number: 'hm'"), "expected": 3.4})
    found = count(tiny, noise, "red", strategy="global", config=CONFIG)
    assert found.count == 3
    assert len(found.dots.xy) == 3  # the strongest
    assert any("its expected number 3.40 stands in" in note for note in found.notes)
    changed(monkeypatch, whole_picture={"answer_count": TextCount(9.0, "the number 9"), "expected": 4.6})
    assert count(tiny, noise, "red", strategy="global", config=CONFIG).count == 9
    by_expected = count(tiny, noise, "red", strategy="global", config=CountingConfig(prompts=TINY, by="expected"))
    assert by_expected.exact == pytest.approx(4.6)
    assert by_expected.count == 5
    assert any("says 9 and expects 4.60" in note for note in by_expected.notes)


def test_what_has_no_dot_and_what_disagrees_is_said(monkeypatch, tiny, noise):
    changed(monkeypatch, whole_picture={"answer_count": TextCount(12.0, "the number 12"), "expected": 12.0})
    found = count(tiny, noise, "red", strategy="global", config=CONFIG)
    assert found.count == 12
    assert found.unplaced == 7
    assert any("7.0 of the count have no dot" in note for note in found.notes)
    hybrid = count(tiny, noise, "red", strategy="hybrid", config=CONFIG)
    assert hybrid.count == 5
    assert any(
        "the crops together have 5 and the whole picture's look 12: the views disagree" in note for note in hybrid.notes
    )
    changed(monkeypatch, middle={"answer_count": TextCount(9.0, "the number 9"), "expected": 9.0})
    compared = count(tiny, noise, "red", strategy="comparison", config=CONFIG)
    assert compared.count == 5
    assert any("2 dot(s) inside of the middle, and the look at it alone counts 9" in note for note in compared.notes)


def test_a_count_that_its_dots_and_the_whole_picture_contradict_says_so(monkeypatch, tiny, noise):
    """Two shapes: the whole picture answers 2, the crops add up to 5, and there are two dots."""
    two = Points(torch.tensor(OBJECTS[:2]).float(), score=torch.ones(2))
    nothing = {
        "answer_count": TextCount(0.0, "the number 0"),
        "expected": 0.0,
        "peaks": Points(torch.zeros(0, 2), score=torch.zeros(0)),
    }
    many = {"answer_count": TextCount(5.0, "the number 5"), "expected": 5.0}
    changed(
        monkeypatch,
        whole_picture={"answer_count": TextCount(2.0, "the number 2"), "expected": 2.0},
        row_1_column_1=many | {"peaks": two},
        row_1_column_2=nothing,
        row_2_column_1=nothing,
        row_2_column_2=nothing,
    )
    found = count(tiny, noise, "red", strategy="hybrid", config=CONFIG)
    assert found.count > 2
    assert found.doubts == (
        f"it has {len(found.dots.xy)} dots" if len(found.dots.xy) > 1 else "it has 1 dot",
        "asked about the whole picture, the model says 2",
    )
    assert found.headline().endswith(f"; doubtful: {', '.join(found.doubts)}")
    assert found.line() == f"{found.count} red; doubtful: {', '.join(found.doubts)}"
    assert json.loads(json.dumps(found.to_json()))["doubts"] == list(found.doubts)
    titles = []
    monkeypatch.setattr(counting_figure_module, "add_title", lambda image, title: (titles.append(title), image)[1])
    found.figure(side=64)
    assert titles == [found.headline()]


@pytest.mark.parametrize(
    ("number", "dots", "whole", "against"),
    [
        (5, 2, 2.0, ["it has 2 dots", "asked about the whole picture, the model says 2"]),
        (3, 2, 2.0, ["it has 2 dots", "asked about the whole picture, the model says 2"]),
        (3, 2, 3.0, []),
        (3, 3, 2.0, []),
        (3, 2, None, []),
        (7, 0, None, ["it has no dots"]),
        (7, 1, 7.0, ["it has 1 dot"]),
        (20, 17, 18.0, []),
        (20, 20, 5.0, ["asked about the whole picture, the model says 5"]),
    ],
)
def test_what_contradicts_a_count(number, dots, whole, against):
    """Two that agree are believed against one that is off by little; one alone only where it is far off."""
    assert counting_doubts.contradictions(number, dots, whole) == against


def test_estimates_are_marked(monkeypatch, tiny, noise):
    changed(monkeypatch)
    assert count(tiny, noise, "red", strategy="hybrid", config=CONFIG).estimate == ""
    changed(monkeypatch, row_2_column_2=REFUSES)
    found = count(tiny, noise, "red", strategy="hybrid", config=CONFIG)
    assert found.estimate == "1 of 5 views did not answer with a number"
    assert found.line() == "about 5 red; an estimate: 1 of 5 views did not answer with a number"
    changed(monkeypatch, whole_picture=REFUSES)  # the crops do without
    assert count(tiny, noise, "red", strategy="hybrid", config=CONFIG).estimate == ""
    found = count(tiny, noise, "red", strategy="global", config=CONFIG)
    assert found.line() == "no count of red; the model did not answer with a number"
    changed(monkeypatch, whole_picture={"answer_count": TextCount(None, "gives no number: 'hm'"), "expected": 3.4})
    found = count(tiny, noise, "red", strategy="global", config=CONFIG)
    assert found.line().startswith("about 3 red; an estimate: it is the expected number")
    assert found.to_json()["estimate"] == found.estimate


def test_a_place_for_an_answer_is_no_count(noise):
    """The shipped model, asked where: it answers with places, however likely numbers are."""
    view = open_model("tiny-vlm")
    found = count(
        view,
        noise[:48, :48],
        "red",
        strategy="global",
        config=CountingConfig(prompts=CountPrompts(whole="where is {category} ?")),
    )
    (one,) = found.looks
    assert one.answer.split("-")[0] in ("top", "bottom", "left", "right", "middle")
    assert (found.count, one.expected, one.heatmap, found.counts) == (None, None, None, (None,))
    assert "no count of red" in found.line()
    assert "no count" in found.headline()


def test_json_says_everything(seeing, noise):
    found = count(seeing, noise, "red", strategy="hybrid", config=CONFIG)
    told = json.loads(json.dumps(found.to_json()))
    assert told["format"] == "isotherm.count/1"
    assert (told["count"], told["size"], told["category"]) == (5, [96, 128], "red")
    assert {(d["x"], d["y"]) for d in told["dots"]} == {tuple(p) for p in OBJECTS.tolist()}
    assert [v["name"] for v in told["views"]] == [
        "whole picture",
        "row 1, column 1",
        "row 1, column 2",
        "row 2, column 1",
        "row 2, column 2",
    ]
    assert told["views"][1]["box"] == [0, 0, 70, 53]
    assert told["views"][0]["answer"] == "5"
    assert told["views"][0]["frame"]["source_size"] == [96, 128]


# --- figures -------------------------------------------------------------------------------------------------


def test_all_panels_have_one_scale(seeing, noise, monkeypatch):
    used = []
    tile = counting_figure_module.overlay_tile

    def watching(heatmap, image, *, scale, **options):
        used.append((scale, float(heatmap.values.max())))
        return tile(heatmap, image, scale=scale, **options)

    monkeypatch.setattr(counting_figure_module, "overlay_tile", watching)
    from dataclasses import replace

    found = count(seeing, noise, "red", strategy="hybrid", config=CONFIG)
    weak = replace(found.looks[0], own_map=found.looks[0].own_map.with_(values=found.looks[0].own_map.values / 10))
    found = replace(found, looks=(weak, *found.looks[1:]))
    figure = found.figure(side=96)
    assert len(used) == 5
    assert len({scale for scale, _ in used}) == 1
    assert min(high for _, high in used) < 0.2 * max(high for _, high in used)
    assert used[0][0].high == pytest.approx(max(high for _, high in used))
    assert figure.width > 3 * 96
    # degrees of different views have no common unit, so each map has its own scale
    used.clear()
    replace(found, additive=False).figure(side=96)
    assert len({scale for scale, _ in used}) == 2


def test_amounts_are_drawn_per_area(seeing, noise, monkeypatch):
    """A crop that was made larger has smaller cells with less in each; on the picture it must not look weaker."""
    from dataclasses import replace

    found = count(seeing, noise, "red", strategy="comparison", config=CONFIG)
    finer = found.looks[1]
    halved = finer.heatmap.frame.resized([2 * s for s in finer.heatmap.frame.size])
    quarter = finer.heatmap.values.repeat_interleave(2, 0).repeat_interleave(2, 1) / 4
    finer = replace(
        finer,
        heatmap=Heatmap(quarter, halved, "relevance"),
        own_map=Heatmap(quarter, finer.own_map.frame.resized(halved.size), "relevance"),
    )
    highs = []
    tile = counting_figure_module.overlay_tile
    monkeypatch.setattr(
        counting_figure_module,
        "overlay_tile",
        lambda heatmap, *a, **k: (highs.append(float(heatmap.values.max())), tile(heatmap, *a, **k))[1],
    )
    replace(found, looks=(found.looks[0], finer)).figure(side=64)
    assert highs == pytest.approx([0.5, 0.5])
