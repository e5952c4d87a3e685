"""Training of the heatmap detector: its loss, exact boxes under augmentation, killed and resumed, honest figures."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from isotherm import targets
from isotherm.data.keypoint_augment import Augmentation
from isotherm.data.scenes import HELD_OUT, TRAINING, VALIDATION, SceneConfig, make_scene
from isotherm.errors import OptionError
from isotherm.progress import Progress
from isotherm.train.loop import run_loop
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule
from isotherm.zoo.detector.boxed_scenes import SceneAugmentation, draw_boxed_scenes, quarter_turns, scene_batch
from isotherm.zoo.detector.network import DetectorMaps, HeatmapDetectorConfig, load_detector, random_detector
from isotherm.zoo.detector.recipe import DetectorRecipe
from isotherm.zoo.detector.training import (
    DetectorTask,
    DetectorTraining,
    detector_loss,
    evaluate,
    predicted_boxes,
    true_boxes,
)
from isotherm.zoo.detector.view import detector_preprocess
from isotherm.zoo.shipped import train_shipped

NET = HeatmapDetectorConfig(
    names=("ring", "star", "bolt"), size=(64, 64), widths=(8, 16), depth=1, hidden=8, typical=5.0
)
SMALL = DetectorTraining(
    seed=3,
    steps=6,
    batch=4,
    scenes=12,
    sizes=((64, 64), (48, 64)),
    keep_every=2,
    log_every=1,
    precision="float32",
    average=0.9,
    schedule=Schedule(warm_up=2),
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data():
    return draw_boxed_scenes(
        SMALL.seeds, [SceneConfig(size=size, classes=NET.names) for size in SMALL.sizes], detector_preprocess(NET.size)
    )


def weights(model):
    return [value.clone() for value in model.state_dict().values()]


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def fit(config, data, dpath, say=lambda line: None):
    task = DetectorTask(config, random_detector(NET, config.seed).train(), data)
    return weights(run_loop(config, task, RunFolder(dpath, {}), say=say))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The weights of a run that nothing interrupts."""
    return fit(SMALL, data, tmp_path_factory.mktemp("whole"))


def test_the_loss_by_hand():
    """One object of 2 x 4 cells in cell (1, 2), its centre a quarter and a half into it; all maps say 0."""
    box = torch.tensor([[[2.25 - 1, 1.5 - 2, 2.25 + 1, 1.5 + 2]]])
    target = targets.boxes(box, (4, 4), classes=torch.tensor([[0]]), count=1, centre="cell", sigma=1e-3)
    maps = DetectorMaps(torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))
    focal = 16 * 0.25 * math.log(2)  # one positive and 15 negatives, each (1/2)^2 ln 2
    size = 5 * (abs(math.log(2 / 5)) + abs(math.log(4 / 5)))
    for weight in ({}, {"size_weight": 0.0}, {"size_weight": 2.0, "offset_weight": 3.0}):
        expected = focal + weight.get("size_weight", 0.1) * size + weight.get("offset_weight", 1.0) * (0.25 + 0.5)
        assert float(detector_loss(maps, target, typical=5.0, **weight)) == pytest.approx(expected, rel=1e-5)
    # elsewhere than at the object nothing is asked of size and offset
    maps.log_size[..., 0, 0], maps.offset[..., 0, 0] = 9.0, 9.0
    assert float(detector_loss(maps, target, typical=5.0)) == pytest.approx(focal + 0.1 * size + 0.75, rel=1e-5)


def test_a_perfect_answer_costs_nothing_and_no_object_is_no_error():
    box = torch.tensor([[[4.0, 4.0, 12.0, 10.0]]])
    target = targets.boxes(box, (16, 16), classes=torch.tensor([[1]]), count=2, centre="cell")
    maps = DetectorMaps(
        torch.where(target.centres.heatmap.values == 1, 40.0, -40.0),
        (torch.where(target.supervised[:, None], target.size, 1.0) / 10).log(),
        target.offset,
    )
    assert float(detector_loss(maps, target, typical=10.0)) < 1e-6
    nothing = targets.boxes(
        torch.zeros(1, 0, 4), (16, 16), classes=torch.zeros(1, 0, dtype=torch.long), count=2, centre="cell"
    )
    assert float(detector_loss(maps._replace(logits=torch.full((1, 2, 16, 16), -40.0)), nothing, typical=10.0)) < 1e-6


@pytest.mark.parametrize("size", [(64, 64), (48, 96)])
def test_boxes_follow_every_turn_and_mirror_exactly(size):
    """A white box on black is found, to the pixel, where the frame says that its box now lies."""
    h, w = size
    net = detector_preprocess(size)
    data = draw_boxed_scenes([TRAINING[0]] * 12, [SceneConfig(size=size, classes=NET.names)], net)
    data.pictures[:] = 0
    data.pictures[:, :, 8:20, 16:40] = 255
    augmentation = SceneAugmentation(others=Augmentation(flip=0.5))
    pictures, frame = scene_batch(
        data, torch.arange(12), torch.zeros(12, dtype=torch.long), augmentation, seed=0, device=CPU
    )
    box = frame.boxes_from_source(torch.tensor([[16.0, 8.0, 40.0, 20.0]]).expand(12, 1, 4))[:, 0]
    for picture, (x0, y0, x1, y1) in zip(pictures, box.round().long().tolist(), strict=True):
        expected = torch.zeros(h, w)
        expected[y0:y1, x0:x1] = 1
        torch.testing.assert_close(picture, expected.expand(3, h, w), atol=1e-4, rtol=0)
    matrices = {tuple(m.flatten().tolist()) for m in frame.to_source[:, :, :2].round()}
    assert len(matrices) >= (5 if h == w else 3)  # of 8, or of 4 where only half turns fit


def test_quarter_turns_are_those_of_rot90():
    picture = torch.arange(36).view(6, 6)
    for k, matrix in enumerate(quarter_turns((6, 6))):
        ys, xs = torch.meshgrid(torch.arange(6) + 0.5, torch.arange(6) + 0.5, indexing="ij")
        at = torch.stack([xs, ys], -1).double() @ matrix[:, :2].T + matrix[:, 2]
        turned = picture[at[..., 1].floor().long(), at[..., 0].floor().long()]
        assert torch.equal(turned, torch.rot90(picture, k))


def test_channels_change_places_and_the_same_numbers_give_the_same_batch(data):
    index, epoch = torch.arange(12), torch.zeros(12, dtype=torch.long)
    plain = SceneAugmentation(turns=False, others=Augmentation())
    one, _ = scene_batch(data, index, epoch, plain, seed=0, device=CPU)
    orders = set()
    for before, after in zip(data.pictures.float() / 255, one, strict=True):
        order = [int(((after[i] - before).abs().amax((1, 2)) < 1e-3).nonzero()[0]) for i in range(3)]
        assert sorted(order) == [0, 1, 2]
        orders.add(tuple(order))
    assert len(orders) > 2
    some, _ = scene_batch(data, index[4:6], epoch[4:6], plain, seed=0, device=CPU)
    assert torch.equal(some, one[4:6])  # whatever else is in the batch
    assert not torch.equal(scene_batch(data, index, epoch + 1, plain, seed=0, device=CPU)[0], one)


def test_what_is_learnt_from_is_what_the_view_feeds():
    preprocess = detector_preprocess((128, 128))
    mean, std = (torch.tensor(x)[:, None, None] for x in (preprocess.mean, preprocess.std))
    for size in ((128, 128), (96, 128), (240, 100)):
        drawn = draw_boxed_scenes([5], [SceneConfig(size=size)], preprocess)
        scene = make_scene(5, SceneConfig(size=size))
        inputs = preprocess.batch([scene.picture])
        torch.testing.assert_close(drawn.pictures.float() / 255, inputs.tensor * std + mean, atol=1e-6, rtol=0)
        assert drawn.frame.allclose(inputs.frame)
        (truth,) = true_boxes(drawn)
        assert np.array_equal(truth.boxes.numpy(), scene.boxes)
        assert truth.classes.tolist() == scene.labels.tolist()


def test_the_same_seed_gives_the_same_weights(whole, data, tmp_path):
    torch.manual_seed(6)
    assert same(whole, fit(SMALL, data, tmp_path / "b"))
    assert not same(whole, fit(replace(SMALL, seed=4), data, tmp_path / "c"))


@pytest.mark.parametrize("after", [3, 5])
def test_a_killed_run_ends_in_the_same_bits(whole, data, tmp_path, after):
    def kill(line):
        if isinstance(line, Progress) and line.step == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(SMALL, data, tmp_path / "killed", say=kill)
    said = []
    assert same(whole, fit(SMALL, data, tmp_path / "killed", say=said.append))
    assert said[0] == f"going on from step {after - 1}"


def test_training_learns_to_find_one_scene(tmp_path):
    """A few scenes, seen again and again without a change, are found again."""
    plain = SceneAugmentation(turns=False, channels=False, others=Augmentation())
    config = replace(
        SMALL, steps=80, scenes=4, rate=1e-2, average=None, keep_every=80, log_every=20, augmentation=plain
    )
    net = replace(NET, widths=(16, 24), hidden=16)
    data = draw_boxed_scenes(
        config.seeds, [SceneConfig(size=net.size, classes=net.names)], detector_preprocess(net.size)
    )
    before = evaluate(random_detector(net, 3), data)
    model = run_loop(config, DetectorTask(config, random_detector(net, 3).train(), data), RunFolder(tmp_path, {}))
    after = evaluate(model, data)
    assert before["AP50"] < 0.3
    assert after["AP50"] > 0.9
    assert after["recall"] > 0.9
    assert after["mean_iou"] > 0.7


def test_the_watch_sees_one_map_of_the_largest_class(data):
    task = DetectorTask(SMALL, random_detector(NET, 0), data)
    part = task.part(task.model, torch.arange(4), torch.zeros(4, dtype=torch.long), done=0.0, device=CPU)
    watch = task.watch()
    assert watch.kind == "peak"
    assert tuple(part.maps.shape) == (4, 1, *watch.cells)
    maps = part.maps.detach()
    assert 0 < float(maps.min()) <= float(maps.max()) < 1
    assert task.labelled(torch.arange(4)) == (sum(len(t.classes) for t in true_boxes(data)[:4]), 12)


def test_a_run_writes_weights_and_what_they_were_measured_on(tmp_path):
    said, heard = [], []
    recipe = DetectorRecipe(training=SMALL, network=NET, validated=4, held_out=6)
    found = train_shipped(
        recipe, tmp_path, say=said.append, on_validation=lambda step, figures: heard.append((step, set(figures)))
    )
    assert {"model.safetensors", "evaluation.json", "metrics.csv", "recipe.json", "run.json"} == {
        p.name for p in tmp_path.glob("[!.]*")
    }
    assert found["scenes"]["fitted_on"] == [SMALL.seeds[0], SMALL.seeds[-1]]
    assert found["scenes"]["fitted_on"][1] in TRAINING
    assert found["scenes"]["validation"][0] in VALIDATION
    assert found["scenes"]["held_out"][0] in HELD_OUT
    square = [SceneConfig(size=NET.size, classes=NET.names)]
    held_out = draw_boxed_scenes(HELD_OUT[:6], square, detector_preprocess(NET.size))
    model = load_detector(tmp_path / "model.safetensors")
    assert json.dumps(evaluate(model, held_out)) == json.dumps(found["results"]["held_out"])
    assert len(predicted_boxes(model, held_out)) == 6
    assert any(line.stage == "drawing scenes" and line.last for line in said if isinstance(line, Progress))
    assert [line.step for line in said if isinstance(line, Progress) and line.stage == "training"] == [1, 2, 3, 4, 5, 6]
    assert heard == [(step, {"score", "AP50", "recall", "mean_iou"}) for step in (2, 4, 6)]


def test_scenes_that_figures_are_reported_on_may_not_be_fitted_on(monkeypatch):
    monkeypatch.setattr(DetectorTraining, "seeds", property(lambda self: HELD_OUT[:12]))
    with pytest.raises(AssertionError, match="fitted on"):
        DetectorRecipe(training=SMALL, network=NET, validated=4, held_out=4)


def test_training_seeds_use_different_scenes():
    stretches = [DetectorTraining(seed=seed).seeds for seed in range(3)]
    assert all(a.stop <= b.start for a, b in zip(stretches, stretches[1:]))  # noqa: B905, RUF007
    assert all(s.stop <= TRAINING.stop for s in stretches)


@pytest.mark.parametrize(
    "change", [{"scenes": 0}, {"seed": -1}, {"size_weight": -1.0}, {"steps": 0}, {"precision": "int8"}]
)
def test_wrong_recipes_are_refused(change, unchecked):
    with pytest.raises(OptionError):
        replace(SMALL, **change)
