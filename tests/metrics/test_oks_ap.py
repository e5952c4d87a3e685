"""Average precision where greedy matching is delicate: by hand, and as pycocotools has it, on exact ties and exact borders of size."""

from __future__ import annotations

import contextlib
import io
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from isotherm.errors import ShapeError
from isotherm.metrics.oks_ap import OksPredictions, OksTruth, oks_average_precision

SHAPE = np.array([[i % 4, i // 4] for i in range(17)], float)
"""Seventeen points whose box has 3 by 4."""
WIDE = np.array([[32.0 * (i % 2), 32.0 * (i // 2 % 2)] for i in range(17)])
"""Seventeen points whose box has exactly 32 by 32."""
NOTHING = np.zeros((0, 17, 2))


def scene(places, *, area=5000.0, ignored=None):
    """Objects with the same shape at some places."""
    points = torch.tensor(np.array([SHAPE + p for p in places]).reshape(-1, 17, 2))
    boxes = torch.tensor([[x, y, x + 4.0, y + 5.0] for x, y in places], dtype=torch.float64).reshape(-1, 4)
    areas = torch.tensor(np.broadcast_to(area, len(places)).copy(), dtype=torch.float64)
    return OksTruth(
        points,
        torch.ones(len(places), 17, dtype=torch.long),
        areas,
        boxes,
        None if ignored is None else torch.tensor(ignored),
    )


def found(points, score):
    return OksPredictions(torch.tensor(np.array(points).reshape(-1, 17, 2)), torch.tensor(score, dtype=torch.float64))


def at(places):
    return [SHAPE + p for p in places]


def pycoco(truth, predicted):
    """pycocotools' ten numbers."""
    images, annotations, results = [], [], []
    for k, (t, p) in enumerate(zip(truth, predicted, strict=True), start=1):
        images.append({"id": k, "width": 640, "height": 640})
        for i in range(len(t.area)):
            flat = torch.cat([t.points[i], torch.full((17, 1), 2.0)], 1).flatten().tolist()
            x0, y0, x1, y1 = t.boxes[i].tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": k,
                    "category_id": 1,
                    "iscrowd": 0 if t.ignored is None else int(t.ignored[i]),
                    "area": float(t.area[i]),
                    "num_keypoints": 17,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "keypoints": flat,
                }
            )
        for i in range(len(p.score)):
            flat = torch.cat([p.points[i], torch.ones(17, 1)], 1).flatten().tolist()
            results.append({"image_id": k, "category_id": 1, "keypoints": flat, "score": float(p.score[i])})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "person"}],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


CASES = {
    # the first prediction is as far from both; the later object takes it, and leaves the earlier one to the second prediction
    "equal similarity, helpful order": (scene([(50, 50), (60, 50)]), found(at([(55, 50), (50, 50)]), [0.9, 0.8])),
    "equal similarity, harmful order": (scene([(60, 50), (50, 50)]), found(at([(55, 50), (50, 50)]), [0.9, 0.8])),
    "area on the border of medium": (scene([(50, 50)], area=32.0**2), found(at([(50, 50)]), [0.5])),
    "area on the border of large": (scene([(50, 50)], area=96.0**2), found(at([(50, 50)]), [0.5])),
    "a wrong prediction on the border of medium": (
        scene([(50, 50)], area=2000.0),
        found([WIDE + 300, SHAPE + 50], [0.9, 0.5]),
    ),
    "several found on one crowd": (
        scene([(50, 50), (200, 50)], ignored=[True, False]),
        found(at([(50, 50), (50, 50), (200, 50)]), [0.9, 0.8, 0.7]),
    ),
    "equal scores": (scene([(50, 50), (200, 50)]), found(at([(300, 300), (50, 50), (200, 50)]), [0.5, 0.5, 0.5])),
    "the right one is the twenty-first": (
        scene([(50, 50)]),
        found(at([(300, 300)] * 20 + [(50, 50)]), [0.9] * 20 + [0.1]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_delicate_cases_are_those_of_pycocotools(case):
    truth, predicted = CASES[case]
    np.testing.assert_allclose(
        astuple(oks_average_precision([truth], [predicted])), pycoco([truth], [predicted]), rtol=0, atol=1e-12
    )


def test_by_hand():
    # right, wrong, right of two objects: precision 1 up to a recall of 1/2 (51 of the 101 points), then 2/3 (50 of them)
    got = oks_average_precision(
        [scene([(50, 50), (200, 50)])], [found(at([(50, 50), (400, 400), (200, 50)]), [0.9, 0.8, 0.7])]
    )
    expected = (51 + 50 * 2 / 3) / 101
    assert (got.ap, got.ap50, got.ap75) == pytest.approx((expected,) * 3)
    assert (got.ar, got.ar_medium, got.ar_large) == (1, 1, -1)
    # the wrong one's box has 12 pixels, so it is left out among medium objects
    assert got.ap_medium == pytest.approx(1)


def test_of_equal_similarities_the_later_object_is_taken():
    helpful, harmful = (
        oks_average_precision(
            [CASES[f"equal similarity, {how} order"][0]], [CASES[f"equal similarity, {how} order"][1]]
        )
        for how in ("helpful", "harmful")
    )
    assert (helpful.ar50, harmful.ar50) == (1, 0.5)


def test_a_size_on_the_border_counts_on_both_sides():
    got = oks_average_precision([scene([(50, 50)], area=96.0**2)], [found(at([(50, 50)]), [0.5])])
    assert (got.ar_medium, got.ar_large) == (1, 1)


def test_pictures_may_come_in_any_order_and_places_may_move():
    random = np.random.default_rng(0)
    truth = [scene([(50, 50), (200, 50)]), scene([(90, 20)], area=2e4), scene([])]
    predicted = [
        found(at([(52, 51), (230, 50)]), [0.91, 0.42]),
        found(at([(95, 20), (10, 10)]), [0.73, 0.64]),
        found(at([(5, 5)]), [0.55]),
    ]
    before = astuple(oks_average_precision(truth, predicted))
    assert 0 < before[0] < 1
    for _ in range(3):
        order = random.permutation(3)
        assert astuple(
            oks_average_precision([truth[i] for i in order], [predicted[i] for i in order])
        ) == pytest.approx(before, abs=1e-12)
    # from edge-origin to index coordinates: half a pixel on both
    moved = [OksTruth(t.points - 0.5, t.state, t.area, t.boxes - 0.5, t.ignored) for t in truth]
    assert astuple(
        oks_average_precision(moved, [OksPredictions(p.points - 0.5, p.score) for p in predicted])
    ) == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("objects", [0, 2])
def test_no_objects_or_none_of_them_ignored_are_told_apart_from_a_wrong_type(objects, unchecked):
    """``torch.tensor([])`` is of numbers, and is as empty as a tensor of truth values."""
    places = [(100 * i, 0) for i in range(objects)]
    given = scene(places, ignored=[] if not objects else [False] * objects)
    assert given.ignored.dtype == torch.bool
    predicted = found([SHAPE], [0.5])
    expected = oks_average_precision([scene(places)], [predicted])
    assert oks_average_precision([given], [predicted]) == expected
    for wrong in (torch.zeros(objects + 1, dtype=torch.bool), torch.zeros(max(1, objects))):
        with pytest.raises(ShapeError, match=rf"ignored has shape \(\d,\) and type .* for {objects} objects"):
            replace(given, ignored=wrong)
