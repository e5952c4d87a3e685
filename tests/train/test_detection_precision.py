"""Average precision of detections: by hand, and against pycocotools on random findings."""

from __future__ import annotations

import contextlib
import io

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.train.detection_precision import OVERLAPS, Boxes, detection_average_precision, match, overlaps, shares


def box(*corners: float) -> torch.Tensor:
    return torch.tensor([corners], dtype=torch.float32)


def test_overlaps_by_hand():
    a = torch.tensor([[0.0, 0, 4, 2], [0, 0, 0, 0]])
    b = torch.tensor([[2.0, 0, 6, 2], [0, 0, 4, 2], [5, 5, 6, 6]])
    assert overlaps(a, b).tolist() == [[pytest.approx(4 / 12), 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_each_object_is_hit_once_and_by_the_surest():
    shared = torch.tensor([[0.6, 0.9], [0.7, 0.8], [0.7, 0.2]], dtype=torch.float64)
    assert match(shared, 0.5).tolist() == [True, True, False]  # the second takes the object that is left
    assert match(shared, 0.75).tolist() == [True, False, False]
    assert match(shared[:, :0], 0.5).tolist() == [False] * 3


def test_average_precision_by_hand():
    """One class, four objects; from the surest on: hit, miss, hit, miss, so precisions 1 at recall 1/4 and 2/3 at 1/2."""
    true = [Boxes(torch.cat([box(0, 0, 4, 4), box(10, 10, 14, 14)]), torch.tensor([0, 0]))] * 2
    found = [
        Boxes(torch.cat([box(0, 0, 4, 4), box(20, 0, 24, 4)]), torch.tensor([0, 0]), torch.tensor([0.9, 0.8])),
        Boxes(torch.cat([box(0, 30, 4, 34), box(10, 10, 14, 14)]), torch.tensor([0, 0]), torch.tensor([0.1, 0.7])),
    ]
    at_half = (26 * 1 + 25 * 2 / 3) / 101  # recalls 0 to 0.25, and 0.26 to 0.5
    precision = detection_average_precision(found, true, classes=2, least=(0.5,))
    assert float(precision[0, 0]) == pytest.approx(at_half)
    assert precision[1].isnan().all()  # a class that is nowhere has no figure


def test_a_finding_of_another_class_or_a_second_one_of_the_same_object_is_wrong():
    true = [Boxes(box(0, 0, 4, 4), torch.tensor([1]))]
    wrong = [Boxes(box(0, 0, 4, 4), torch.tensor([0]), torch.tensor([0.9]))]
    assert detection_average_precision(wrong, true, classes=2)[1].tolist() == [0.0] * 10
    twice = [Boxes(box(0, 0, 4, 4).repeat(2, 1), torch.tensor([1, 1]), torch.tensor([0.9, 0.8]))]
    assert shares(twice, true) == {"recall": 1.0, "precision": 0.5, "mean_iou": 1.0, "class_accuracy": 1.0}


def test_shares_by_hand():
    true = [Boxes(torch.cat([box(0, 0, 4, 4), box(10, 0, 14, 4), box(20, 0, 24, 4)]), torch.tensor([0, 1, 1]))]
    found = [
        Boxes(
            torch.cat([box(10, 0, 14, 4), box(0, 0, 4, 2), box(10, 0, 14, 4)]),  # wrong class, half of it, right class
            torch.tensor([0, 0, 1]),
            torch.tensor([0.9, 0.5, 0.4]),
        )
    ]
    figures = shares(found, true)
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["mean_iou"] == pytest.approx((0.5 + 1) / 2)
    assert figures["class_accuracy"] == pytest.approx(1 / 2)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_pycocotools_says(seed):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    generator = torch.Generator().manual_seed(seed)

    def boxes(n):
        corner = 60 * torch.rand(n, 2, generator=generator)
        return torch.cat([corner, corner + 5 + 30 * torch.rand(n, 2, generator=generator)], 1)

    true, found = [], []
    for _ in range(12):
        n = int(torch.randint(0, 5, (), generator=generator))
        true.append(Boxes(boxes(n), torch.randint(3, (n,), generator=generator)))
        near = true[-1].boxes + 2 * torch.randn(n, 4, generator=generator)
        near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 1)
        classes = torch.where(
            torch.rand(n, generator=generator) < 0.8, true[-1].classes, torch.randint(3, (n,), generator=generator)
        )
        found.append(
            Boxes(
                torch.cat([near, boxes(4)]),
                torch.cat([classes, torch.randint(3, (4,), generator=generator)]),
                torch.rand(n + 4, generator=generator),
            )
        )

    def wide(b):
        return [float(b[0]), float(b[1]), float(b[2] - b[0]), float(b[3] - b[1])]

    truth = COCO()
    truth.dataset = {
        "images": [{"id": i + 1} for i in range(12)],
        "categories": [{"id": k + 1} for k in range(3)],
        "annotations": [
            {
                "id": 1 + 100 * i + j,
                "image_id": i + 1,
                "category_id": int(t.classes[j]) + 1,
                "bbox": wide(t.boxes[j].double()),
                "area": float((t.boxes[j, 2:] - t.boxes[j, :2]).prod()),
                "iscrowd": 0,
            }
            for i, t in enumerate(true)
            for j in range(len(t.classes))
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results = truth.loadRes(
            [
                {
                    "image_id": i + 1,
                    "category_id": int(f.classes[j]) + 1,
                    "bbox": wide(f.boxes[j].double()),
                    "score": float(f.scores[j]),
                }
                for i, f in enumerate(found)
                for j in range(len(f.classes))
            ]
        )
        judge = COCOeval(truth, results, "bbox")
        judge.evaluate()
        judge.accumulate()
    expected = torch.from_numpy(judge.eval["precision"][:, :, :, 0, 2]).mean(1).T
    precision = detection_average_precision(found, true, classes=3)
    assert len(OVERLAPS) == 10
    assert 0.1 < float(precision[:, 0].mean()) < 0.95  # neither all right nor all wrong
    torch.testing.assert_close(precision, expected, rtol=0, atol=1e-9)


def test_what_does_not_go_together_is_refused(unchecked):
    one = Boxes(box(0, 0, 1, 1), torch.tensor([0]))
    with pytest.raises(ShapeError, match="as many"):
        detection_average_precision([], [one], classes=1)
    with pytest.raises(ShapeError, match="score"):
        detection_average_precision([one], [one], classes=1)
    with pytest.raises(OptionError, match="above 0"):
        detection_average_precision([], [], classes=1, least=(0.0,))
