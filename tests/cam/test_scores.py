"""Scores choose what they say, keep their graph, and read the same thing again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from isotherm.cam.scores import Classes, ClassLogit, Contrast, Detection, Function, SegmentationMask, Similarity, TopK
from isotherm.cam.scores.detections import iou, self_iou
from isotherm.cam.scores.naming import class_index, class_indices, class_names
from isotherm.cam.view import Pins, Segmentation
from isotherm.errors import OptionError, TargetError
from rigs.tiny_views import TinyClassifier, TinyDetector

PICTURES = [np.random.default_rng(i).integers(0, 255, (40 + 8 * i, 60, 3), dtype=np.uint8) for i in range(2)]


@pytest.fixture
def classified():
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    return view.find(view.run(inputs), inputs), inputs


@pytest.fixture
def detected():
    view = TinyDetector()
    inputs = view.prepare(PICTURES)
    return view, view.find(view.run(inputs), inputs), inputs


def test_class_logit(classified):
    p, inputs = classified
    best = ClassLogit()(p, inputs)
    torch.testing.assert_close(best.scores, p.logits.max(1).values)
    assert best.labels == tuple(p.names[i] for i in p.logits.argmax(1))
    for which in (1, "dog", "hound", "dog, hound", "DOG", "1", "houn"):
        torch.testing.assert_close(ClassLogit(which)(p, inputs).scores, p.logits[:, 1])
    assert best.scores.requires_grad


def test_top_k_and_classes(classified):
    p, inputs = classified
    t = TopK(2)(p, inputs)
    assert t.picture.tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(t.scores.view(2, 2), p.logits.topk(2, 1).values)
    t = Classes(("bus", "cat"))(p, inputs)
    torch.testing.assert_close(t.scores.view(2, 2), p.logits[:, [2, 0]])


def test_probabilities_are_claimed_only_of_classes_that_exclude_each_other(classified):
    p, inputs = classified
    own = p.logits.detach().softmax(1)
    assert TopK(2)(p, inputs).probability is None
    assert Classes(("bus",))(p, inputs).labels == ("bus", "bus")
    p = replace(p, exclusive=True)
    t = TopK(2)(p, inputs)
    torch.testing.assert_close(t.probability.view(2, 2), own.topk(2, 1).values)
    t = Classes(("bus", "cat"))(p, inputs)
    torch.testing.assert_close(t.probability.view(2, 2), own[:, [2, 0]])
    assert t.labels[0] == f"bus {100 * float(own[0, 2]):.0f} %"
    assert not t.probability.requires_grad
    torch.testing.assert_close(t.take(torch.tensor([3, 0])).probability, t.probability[[3, 0]])
    assert Contrast("cat", "bus")(p, inputs).probability is None  # a difference of logits is no class
    # a softmax reaches neither nothing nor all
    p = replace(p, logits=torch.tensor([[9.0, 0.0, -1.0, -1.0]]).expand(2, -1))
    assert TopK(2)(p, inputs).labels[:2] == ("cat >99 %", "dog, hound <1 %")


def test_contrast(classified):
    p, inputs = classified
    t = Contrast("cat", "bus")(p, inputs)
    torch.testing.assert_close(t.scores, p.logits[:, 0] - p.logits[:, 2])
    assert t.labels == ("cat rather than bus",) * 2
    top = p.logits.topk(2, 1).values
    torch.testing.assert_close(Contrast()(p, inputs).scores, top[:, 0] - top[:, 1])
    with pytest.raises(TargetError, match="itself"):
        Contrast("cat", "cat")(p, inputs)


def test_similarity(classified):
    p, inputs = classified
    ref = torch.randn(4)
    torch.testing.assert_close(Similarity(ref)(p, inputs).scores, F.cosine_similarity(p.embedding, ref[None]))
    with pytest.raises(TargetError, match="has 5 values"):
        Similarity(torch.randn(5))(p, inputs)


def test_reading_again_follows_the_targets_not_the_best(classified):
    p, inputs = classified
    t = TopK(3)(p, inputs)
    again = type(p)(torch.randn(4, 4), p.names)
    index = torch.tensor([5, 0, 3, 1])
    chosen = p.logits.topk(3, 1).indices.flatten()[index]
    torch.testing.assert_close(t.read(again, index), again.logits[torch.arange(4), chosen])
    part = t.take(torch.tensor([4, 5]))
    torch.testing.assert_close(part.read(again, torch.tensor([1, 0, 1, 0])), t.read(again, torch.tensor([5, 4, 5, 4])))


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (ClassLogit("ct"), "did you mean 'cat'"),
        (ClassLogit("zebra"), r"the model knows 'cat'[^.]*$"),
        (ClassLogit(4), "numbered from 0 to 3"),
        (ClassLogit(-1), "does not exist"),
        (TopK(9), "top 9 of 4"),
        (Detection(0), "use ClassLogit"),
        (SegmentationMask(), "segmenters"),
        (Function(lambda p: p.logits), r"shape \(2,\)"),
    ],
)
def test_wrong_scores_of_classifiers(classified, score, says):
    with pytest.raises(TargetError, match=says):
        score(*classified)


def test_ambiguous_names_ask_for_the_number(classified):
    p, inputs = classified
    twice = type(p)(p.logits, ("crane", "crane", "bus", "tram"))
    with pytest.raises(TargetError, match="fits 2 classes"):
        ClassLogit("crane")(twice, inputs)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("Tabby", 0), ("tabby cat", 0), ("hound", 2), ("Tiger  cat", 1), ("3", 3), (3, 3), ("bus stop", 3), ("iger", 1)],
)
def test_names_that_fit_one_class_only(wanted, index):
    assert class_index(wanted, ("tabby", "tiger cat", "dog, hound", "bus")) == index


def test_a_whole_name_counts_before_synonyms_and_its_parts_mean_it():
    names = ("missile", "projectile, missile", "rocket")
    assert class_index("missile", names) == 0
    assert class_index("projectile, missile", names) == 1
    assert class_indices(("projectile", "missile"), names) == [1]
    assert class_indices(("missile", "rocket", "missile"), names) == [0, 2]


@pytest.mark.parametrize("wanted", ["cat food", "tabby bus", "o", ""])
def test_names_that_fit_none_or_several(wanted):
    with pytest.raises(TargetError, match="there is no class"):
        class_index(wanted, ("tabby", "tiger cat", "dog, hound", "bus", "fox"))


def test_all_findings_and_one(detected):
    _, p, inputs = detected
    t = Detection()(p, inputs)
    assert len(t) == 6
    assert t.finding.tolist() == [0, 1, 2, 0, 1, 2]
    torch.testing.assert_close(t.scores, p.logits[torch.arange(6), p.classes])
    one = Detection(1)(p, inputs)
    assert one.picture.tolist() == [0, 1]
    torch.testing.assert_close(one.scores, t.scores[[1, 4]])


def test_by_class_name(detected):
    _, p, inputs = detected
    name = p.names[int(p.classes[0])]
    t = Detection(name)(p, inputs)
    assert all(label.startswith(name) for label in t.labels)
    assert len(t) == int((p.classes == p.classes[0]).sum())


def test_by_box_in_source_pixels(detected):
    _, p, inputs = detected
    source = inputs.frame[1].boxes_to_source(p.boxes[4:5].detach().double())[0]
    t = Detection(box=tuple(source.tolist()), min_iou=0.9)(p, inputs.take([0, 1]))
    assert 4 in t.rows.tolist()
    with pytest.raises(TargetError, match="no finding overlaps"):
        Detection(box=(0.0, 0.0, 0.5, 0.5))(p, inputs)


def test_every_part_has_the_score_it_says(detected):
    _, p, inputs = detected
    b = p.boxes.detach()
    w, h = b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]
    expected = {
        "left": w / 2,
        "right": w / 2,
        "top": h / 2,
        "bottom": h / 2,
        "width": w,
        "height": h,
        "size": (w * h).sqrt(),
        "box": torch.ones(6),
        "objectness": p.objectness.detach(),
    }
    for part, value in expected.items():
        t = Detection(of=part)(p, inputs)
        torch.testing.assert_close(t.scores.detach(), value, atol=1e-4, rtol=1e-4)
        assert (
            torch.autograd.grad(t.scores.sum(), p.boxes, retain_graph=True, allow_unused=True)[0] is not None
            or part == "objectness"
        )
    assert [s.split()[-1] for s in Detection(0, of="all")(p, inputs).labels[1:4]] == ["box", "mask", "objectness"]


def test_mask_score_is_the_mean_over_the_mask_it_had(detected):
    view, p, inputs = detected
    t = Detection(0, of="mask")(p, inputs)
    masks = p.masks().detach()
    for row, i in enumerate([0, 3]):
        torch.testing.assert_close(t.scores[row].detach(), masks[i][masks[i] > 0].mean())
    # on a darker picture the same pixels are read, not the new mask
    dark = inputs.with_tensor(inputs.tensor * 0.2)
    again = view.refind(view.run(dark), dark, t.pins)
    new = again.masks().detach()
    for row, i in enumerate([0, 3]):
        torch.testing.assert_close(t.read(again, torch.arange(2))[row].detach(), new[row][masks[i] > 0].mean())


def test_self_iou_has_a_value_of_one_and_a_gradient_that_is_not_zero():
    fixed = torch.tensor([0.0, 0.0, 4.0, 2.0])
    box = fixed.clone().requires_grad_()
    value = self_iou(box, fixed)
    (gradient,) = torch.autograd.grad(value, box)
    assert float(value.detach()) == 1
    # shrinking: area / 8, so d/dx1 = height / 8 and so on
    torch.testing.assert_close(gradient, torch.tensor([-2 / 8, -4 / 8, 2 / 8, 4 / 8]))
    # the plain formula's gradient vanishes at equality, which is why this one exists
    plain = fixed.clone().requires_grad_()
    low, high = torch.maximum(plain[:2], fixed[:2]), torch.minimum(plain[2:], fixed[2:])
    inter = (high - low).prod()
    area = (plain[2:] - plain[:2]).prod()
    (vanishes,) = torch.autograd.grad(inter / (area + 8 - inter), plain)
    assert float(vanishes.abs().max()) < 1e-6
    for other in ([1.0, 0.0, 5.0, 2.0], [0.0, 0.0, 8.0, 2.0], [1.0, 0.5, 3.0, 1.5]):
        moved = torch.tensor(other)
        torch.testing.assert_close(self_iou(moved, fixed), iou(moved[None], fixed[None])[0])


def test_scores_are_read_again_at_the_same_anchor(detected):
    view, p, inputs = detected
    t = Detection(2)(p, inputs)
    darker = inputs.with_tensor(inputs.tensor * 0.3)
    again = view.refind(view.run(darker), darker, t.pins)
    logits, _, _ = view._all(view.run(darker), darker)
    expected = logits[torch.arange(2), p.candidate[[2, 5]], p.classes[[2, 5]]]
    torch.testing.assert_close(t.read(again, torch.arange(2)), expected)
    assert isinstance(t.pins, Pins)


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (lambda: Detection(7), "no finding 7: the model found 3"),
        (lambda: Detection("tiger"), "no class 'tiger'"),
        (lambda: Detection(of="tail"), "no part 'tail'"),
        (lambda: Detection(of="keypoint"), "gives no keypoint"),
        (lambda: ClassLogit(), "use Detection"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_scores_of_detectors(detected, score, says):
    _, p, inputs = detected
    with pytest.raises(TargetError, match=says):
        score()(p, inputs)


def test_segmentation_mask():
    logits = torch.randn(2, 3, 16, 24, requires_grad=True)
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    p = Segmentation(logits, ("sky", "road", "car"))
    t = SegmentationMask("car")(p, inputs)
    said = logits.argmax(1) == 2
    expected = [logits[i, 2][said[i]].mean() for i in range(2)]
    torch.testing.assert_close(t.scores, torch.stack(expected))
    mask = torch.zeros(16, 24, dtype=torch.bool)
    mask[3:5, 4:9] = True
    torch.testing.assert_close(SegmentationMask(0, mask)(p, inputs).scores, logits[:, 0, 3:5, 4:9].mean((1, 2)))
    with pytest.raises(TargetError, match="empty"):
        SegmentationMask("sky")(
            Segmentation(logits * 0 + torch.tensor([0.0, 1.0, 0.0])[:, None, None], p.names), inputs
        )


def test_a_mask_of_one_channel_is_where_its_logit_is_above_0():
    logits = torch.randn(2, 1, 16, 24, requires_grad=True)
    inputs = TinyClassifier().prepare(PICTURES)
    targets = SegmentationMask()(Segmentation(logits, ("leaf",)), inputs)
    expected = torch.stack([one[one > 0].mean() for one in logits])
    torch.testing.assert_close(targets.scores, expected)
    torch.testing.assert_close(targets.read(Segmentation(logits * 2, ("leaf",)), torch.arange(2)), expected * 2)
    torch.testing.assert_close(SegmentationMask("leaf")(Segmentation(logits, ("leaf",)), inputs).scores, expected)


def test_a_picture_with_an_empty_mask_of_one_channel_has_no_target_unless_it_is_asked_for():
    inputs = TinyClassifier().prepare(PICTURES)
    logits = torch.stack([torch.full((1, 16, 24), -3.0), torch.linspace(-1, 3, 16)[None, :, None].expand(1, 16, 24)])
    p = Segmentation(logits, ("leaf",))
    targets = SegmentationMask()(p, inputs)
    assert targets.picture.tolist() == [1]
    torch.testing.assert_close(targets.scores, logits[1][logits[1] > 0].mean()[None])
    torch.testing.assert_close(
        targets.read(Segmentation(logits[1:] + 1, p.names), torch.tensor([0])), targets.scores + 1
    )
    with pytest.raises(TargetError, match="the mask of leaf is empty"):
        SegmentationMask("leaf")(p, inputs)
    with pytest.raises(TargetError, match="it has no pixel"):
        SegmentationMask(mask=torch.zeros(16, 24, dtype=torch.bool))(p, inputs)


@pytest.mark.parametrize("given", [["cat", "dog"], ("cat", "dog"), {0: "cat", 1: "dog"}, {1: "dog", 0: "cat"}])
def test_names_come_in_the_order_of_the_outputs(given):
    assert class_names(given) == ("cat", "dog")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("cat", "the text 'cat'"),
        ({1: "cat", 2: "dog"}, "numbers 1, 2"),
        (["cat", 3], "3, a int"),
        ({"cat": 0}, "numbers cat"),
    ],
)
def test_what_are_no_names_is_said(given, words):
    with pytest.raises(OptionError, match=words):
        class_names(given)


def test_a_word_within_a_name_is_nearer_than_letters_alike():
    names = ("crate", "oxcart", "tiger cat", "Egyptian cat", "tub, vat")
    with pytest.raises(TargetError, match="did you mean 'tiger cat', 'Egyptian cat'"):
        class_index("cat", names)


def test_rivals_are_the_logits_of_all_classes_and_the_targets_own_is_its_score(classified, detected):
    logits = torch.randn(2, 3, 16, 24)
    segmented = Segmentation(logits, ("sky", "road", "car")), TinyClassifier().prepare(PICTURES)
    for score, known in ((TopK(2), classified), (Detection(), detected[1:]), (SegmentationMask("car"), segmented)):
        targets = score(*known)
        some = torch.tensor([len(targets) - 1, 0])
        for one, where in ((targets, some), (targets.take(some), torch.arange(2))):
            prediction = known[0].take(targets.rows[some]) if targets.rows is not None else known[0]
            if targets.rows is None:
                prediction = replace(prediction, logits=prediction.logits[targets.picture[some]])
            rivals = one.rivals(prediction, where)
            assert rivals.shape[1] == known[0].logits.shape[1]
            torch.testing.assert_close(rivals[torch.arange(2), one.which[where]], one.read(prediction, where))
    assert Contrast()(*classified).rivals is None
    assert Detection(0, of="box")(*detected[1:]).rivals is None
