"""OKS and average precision are pycocotools' own numbers."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.metrics.oks import COCO_SIGMAS, oks, oks_matrix
from isotherm.metrics.oks_ap import OksPredictions, OksTruth, oks_average_precision
from oracles import keypoint_metrics as oracle


def scene(seed, pictures=12, n=17):
    """Objects and predictions of all kinds: crowds, nothing labelled, ties, too many, none, far beyond the range of sizes."""
    random = np.random.default_rng(seed)
    truth, found = [], []
    for k in range(pictures):
        g, p = (int(random.integers(0, 5)), int(random.integers(0, 28 if k % 4 == 0 else 6)))
        size = random.choice([10.0, 50.0, 90.0, 300.0], g)
        corner = random.uniform(0, 300, (g, 2))
        points = corner[:, None] + random.uniform(0, 1, (g, n, 2)) * size[:, None, None]
        state = random.choice([0, 1, 2], (g, n), p=[0.3, 0.5, 0.2])
        state[random.uniform(size=g) < 0.15] = 0
        crowd = random.uniform(size=g) < 0.15
        predicted = random.uniform(0, 350, (p, n, 2))
        for i in range(p):
            if g and random.uniform() < 0.8:
                at = int(random.integers(g))
                predicted[i] = points[at] + random.normal(0, random.choice([0.5, 3, 10, 30]), (n, 2)) * size[at] / 100
        score = random.choice([0.1, 0.5, 0.9], p) if k % 3 == 0 else random.uniform(size=p)
        boxes = np.concatenate([corner, corner + size[:, None]], 1)
        area = size**2 * random.uniform(0.4, 1, g)
        truth.append((points, state, area, boxes, crowd))
        found.append((predicted, score))
    return truth, found


def pycoco(truth, found):
    images, annotations, results, identity = [], [], [], 0
    for k, ((points, state, area, boxes, crowd), (predicted, score)) in enumerate(zip(truth, found, strict=True)):
        images.append({"id": k + 1, "width": 640, "height": 640})
        for i in range(len(points)):
            identity += 1
            v = np.select([state[i] == 0, state[i] == 2], [0, 1], 2)
            flat = np.concatenate([np.where(v[:, None] > 0, points[i], 0), v[:, None]], 1).reshape(-1)
            x0, y0, x1, y1 = boxes[i]
            annotations.append(
                {
                    "id": identity,
                    "image_id": k + 1,
                    "category_id": 1,
                    "iscrowd": int(crowd[i]),
                    "area": float(area[i]),
                    "num_keypoints": int((v > 0).sum()),
                    "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
                    "keypoints": [float(f) for f in flat],
                }
            )
        for i in range(len(predicted)):
            flat = np.concatenate([predicted[i], np.ones((len(predicted[i]), 1))], 1).reshape(-1)
            results.append(
                {"image_id": k + 1, "category_id": 1, "keypoints": [float(f) for f in flat], "score": float(score[i])}
            )
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
    return evaluation


def ours(truth, found):
    made = [OksTruth(*(torch.tensor(part) for part in t)) for t in truth]
    return oks_average_precision(made, [OksPredictions(torch.tensor(p), torch.tensor(s)) for p, s in found])


@pytest.mark.parametrize("seed", range(6))
def test_all_ten_figures_are_those_of_pycocotools(seed):
    truth, found = scene(seed)
    expected = pycoco(truth, found).stats
    got = ours(truth, found)
    figures = [
        got.ap,
        got.ap50,
        got.ap75,
        got.ap_medium,
        got.ap_large,
        got.ar,
        got.ar50,
        got.ar75,
        got.ar_medium,
        got.ar_large,
    ]
    np.testing.assert_allclose(figures, expected, rtol=0, atol=1e-12)
    assert 0 < got.ap < 1


@pytest.mark.parametrize("seed", range(3))
def test_similarities_are_those_of_pycocotools(seed):
    truth, found = scene(seed)
    evaluation = pycoco(truth, found)
    compared = 0
    for k, ((points, state, area, boxes, _), (predicted, score)) in enumerate(zip(truth, found, strict=True)):
        expected = evaluation.ious[k + 1, 1]
        if not len(points) or not len(predicted):
            continue
        order = np.argsort(-score, kind="stable")[:20]
        got = oks_matrix(*(torch.tensor(part) for part in (predicted[order], points, state, area, boxes)), COCO_SIGMAS)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-9, atol=1e-14)
        compared += got.numel()
    assert compared > 50


def test_nothing_to_find_and_nothing_found():
    none = OksTruth(torch.zeros(0, 17, 2), torch.zeros(0, 17, dtype=torch.long), torch.zeros(0), torch.zeros(0, 4))
    some = OksPredictions(torch.zeros(1, 17, 2), torch.ones(1))
    assert oks_average_precision([none], [some]).ap == -1
    one = OksTruth(
        torch.rand(1, 17, 2) * 50,
        torch.ones(1, 17, dtype=torch.long),
        torch.tensor([2500.0]),
        torch.tensor([[0.0, 0, 50, 50]]),
    )
    nothing = OksPredictions(torch.zeros(0, 17, 2), torch.zeros(0))
    assert oks_average_precision([one], [nothing]).ap == 0
    assert oks_average_precision([one], [OksPredictions(one.points, torch.ones(1))]).ap == pytest.approx(1)


def test_oks_as_the_oracle_and_by_hand():
    random = np.random.default_rng(1)
    predicted, truth = random.uniform(0, 50, (6, 4, 2)), random.uniform(0, 50, (6, 4, 2))
    state, area, sigmas = random.integers(0, 5, (6, 4)), random.uniform(100, 2500, 6), [0.1, 0.05, 0.2, 0.3]
    state[0] = 0
    got = oks(torch.tensor(predicted), torch.tensor(truth), torch.tensor(state), torch.tensor(area), sigmas)
    np.testing.assert_allclose(got.numpy(), oracle.oks(predicted, truth, state, area, sigmas), equal_nan=True)
    assert torch.isnan(got[0])


def test_bad_input(unchecked):
    points, state = torch.zeros(1, 2, 2), torch.ones(1, 2, dtype=torch.long)
    with pytest.raises(ShapeError, match="3 sigmas for 2 points"):
        oks(points, points, state, torch.ones(1), [0.1] * 3)
    with pytest.raises(InputError, match="predicted point 1 of picture 0"):
        oks(torch.tensor([[[0.0, 0.0], [torch.nan, 0.0]]]), points, state, torch.ones(1), [0.1] * 2)
    with pytest.raises(OptionError, match="the smallest area nan"):
        oks(points, points, state, torch.tensor([torch.nan]), [0.1] * 2)
    with pytest.raises(OptionError, match="expected above 0"):
        oks(points, points, state, torch.ones(1), [0.1, 0.0])
    with pytest.raises(ShapeError, match="1 pictures with truth and 0"):
        oks_average_precision([OksTruth(points, state, torch.ones(1), torch.zeros(1, 4))], [])
    with pytest.raises(InputError, match="a prediction of picture 0 is not finite"):
        oks_average_precision(
            [OksTruth(points, state, torch.ones(1), torch.zeros(1, 4))],
            [OksPredictions(points, torch.full((1,), torch.nan))],
            sigmas=[0.1, 0.1],
        )
