"""Training of the scene classifier: deterministic, resumable, and honest about what it was measured on."""

from __future__ import annotations

import types
from dataclasses import replace

import pytest
import torch

from isotherm.data.scenes import HELD_OUT, TRAINING, VALIDATION, SceneConfig, make_scene
from isotherm.errors import OptionError
from isotherm.progress import Progress
from isotherm.runs.read import read_run
from isotherm.train import loop
from isotherm.train.loop import run_loop
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule
from isotherm.zoo.scenes.network import SceneNetConfig, load_scene_net, random_scene_net
from isotherm.zoo.scenes.recipe import SceneRecipe
from isotherm.zoo.scenes.training import (
    SceneTask,
    SceneTraining,
    augmented,
    draw_lessons,
    draw_scenes,
    evaluate,
    to_input,
)
from isotherm.zoo.scenes.view import load_scenes
from isotherm.zoo.shipped import train_shipped

NET = SceneNetConfig(names=("ring", "star", "bolt"), size=(64, 64), widths=(4, 6, 8, 8))
SMALL = SceneTraining(
    seed=3,
    steps=8,
    close_ups=12,
    close_up_steps=3,
    scenes=20,
    batch=8,
    keep_every=2,
    log_every=1,
    schedule=Schedule(warm_up=2),
    sizes=((64, 64), (48, 64)),
)
RECIPE = SceneRecipe(training=SMALL, network=NET, validated=4, held_out=6)


@pytest.fixture(scope="module")
def lessons():
    return draw_lessons(SMALL, NET)


def fit(config, lessons, dpath, say=lambda message: None):
    """All weights and running statistics after a run."""
    model = run_loop(
        config, SceneTask(config, random_scene_net(NET, config.seed), lessons), RunFolder(dpath, {}), say=say
    )
    assert not any(m.training for m in model.modules())
    return [v.clone() for v in model.state_dict().values()]


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def whole(lessons, tmp_path_factory):
    """All weights of a run that nothing interrupts."""
    return fit(SMALL, lessons, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A run of the whole recipe: its folder, its figures, and what it reported."""
    dpath, messages = tmp_path_factory.mktemp("shipped"), []
    return dpath, train_shipped(RECIPE, dpath, command="by hand", say=messages.append), messages


def test_the_same_seed_gives_the_same_weights(whole, lessons, tmp_path):
    torch.manual_seed(6)
    assert same(whole, fit(SMALL, lessons, tmp_path / "b"))
    assert not same(whole, fit(replace(SMALL, seed=4), lessons, tmp_path / "c"))


@pytest.mark.parametrize("after", [3, 5, 7], ids=["among close-ups", "where scenes begin", "among scenes"])
def test_an_interrupted_run_ends_in_the_same_bits(whole, lessons, tmp_path, after):
    def interrupt(message):
        if isinstance(message, Progress) and message.step == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(SMALL, lessons, tmp_path / "cut", say=interrupt)
    said = []
    assert same(whole, fit(SMALL, lessons, tmp_path / "cut", say=said.append))
    assert said[0] == f"going on from step {after - 1}"


def test_close_ups_come_first_and_then_every_scene_once_an_epoch(lessons):
    task = SceneTask(SMALL, random_scene_net(NET, 0), lessons)
    steps = [task.rows(step, SMALL) for step in range(8)]
    assert all(bool((index < 12).all()) for index, _ in steps[:3])
    scenes = torch.cat([index for index, _ in steps[3:]])
    assert sorted(scenes[:20].tolist()) == list(range(12, 32))
    assert task.count == 32
    part = task.part(task.model, steps[0][0], steps[0][1], done=0.0, device=torch.device("cpu"))
    logits = task.model(to_input(augmented(lessons[0].pictures[steps[0][0]], *steps[0], seed=3)))
    wanted = lessons[0].present[steps[0][0]].float()
    by_hand = (logits.clamp(min=0) - logits * wanted + torch.log1p(torch.exp(-logits.abs()))).mean()
    assert part.loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert part.maps is None


def test_it_learns(lessons, tmp_path):
    """One class of three is in every picture; the classifier finds which, on pictures that it has learnt from."""
    config = replace(
        SMALL, steps=120, close_up_steps=0, batch=20, rate=1e-2, precision="float32", keep_every=120, log_every=5
    )
    said = []
    net = replace(NET, widths=(8, 12, 16, 24))
    model = random_scene_net(net, 3)
    before = evaluate(model, lessons[1])["mean_average_precision"]
    task = SceneTask(config, model, lessons)
    trained = run_loop(config, task, folder := RunFolder(tmp_path, {}), say=said.append)
    losses = [row["loss"] for row in folder.figures()]
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])
    assert evaluate(trained, lessons[1])["mean_average_precision"] > max(0.85, before + 0.1)


def test_a_run_writes_weights_and_what_they_were_measured_on(shipped):
    dpath, found, messages = shipped
    assert {"model.safetensors", "evaluation.json", "metrics.csv", "recipe.json", "run.json"} == {
        p.name for p in dpath.glob("[!.]*")
    }
    fitted_on = range(found["scenes"]["fitted_on"][0], found["scenes"]["fitted_on"][1] + 1)
    assert len(fitted_on) == 32
    assert fitted_on[0] in TRAINING
    assert found["scenes"]["validation"][0] in VALIDATION
    assert found["scenes"]["held_out"][0] in HELD_OUT
    square = SceneConfig(size=NET.size, classes=NET.names)
    model = load_scene_net(dpath / "model.safetensors")
    assert evaluate(model, draw_scenes(HELD_OUT[:6], [square], NET.size)) == found["results"]["held_out"]
    assert found["command"] == "by hand"
    drawn = [m for m in messages if isinstance(m, Progress) and m.stage == "drawing scenes"]
    assert [(m.step, m.total) for m in drawn] == [(12, 12), (20, 20)]
    # a run that is finished is left as it is
    before = (dpath / "model.safetensors").stat().st_mtime_ns
    assert train_shipped(RECIPE, dpath, command="again") == found
    assert (dpath / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_whose_hours_are_over_is_measured_and_goes_on_from_there(shipped, tmp_path, monkeypatch):
    hours = iter(range(1000))
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: 3600.0 * next(hours)))
    limited = replace(RECIPE, training=replace(RECIPE.training, wall_hours=2))
    found = train_shipped(limited, tmp_path / "run")
    assert found["left"].startswith("wall_hours is 2, which are over at step ")
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    monkeypatch.undo()
    ended = train_shipped(RECIPE, tmp_path / "run")
    assert "left" not in ended
    assert ended["results"] == shipped[1]["results"]
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    assert [start["status"] for start in read_run(tmp_path / "run")["starts"]] == [
        f"stopped: {found['left']}; it can be gone on with",
        "finished",
    ]


def test_scenes_that_figures_are_reported_on_may_not_be_fitted_on(monkeypatch):
    monkeypatch.setattr(SceneTraining, "seeds", property(lambda self: VALIDATION[:32]))
    with pytest.raises(AssertionError, match="fitted on"):
        replace(RECIPE)


def test_training_seeds_use_different_scenes():
    stretches = [SceneTraining(seed=seed).seeds for seed in range(3)]
    assert all(a.stop <= b.start for a, b in zip(stretches, stretches[1:]))  # noqa: B905, RUF007
    assert all(s.stop <= TRAINING.stop for s in stretches)


def test_what_is_learnt_from_is_what_the_view_feeds():
    """Bytes kept in memory and normalised again are the view's own input, letterboxed scenes too."""
    view = load_scenes()
    for size in ((128, 128), (96, 128), (240, 100)):
        config = SceneConfig(size=size)
        data = draw_scenes([5], [config], (128, 128))
        scene = make_scene(5, config)
        torch.testing.assert_close(to_input(data.pictures), view.prepare([scene.picture]).tensor, atol=1e-6, rtol=0)
        assert set(data.present[0].nonzero().flatten().tolist()) == set(scene.labels.tolist())


def test_augmentation_moves_pixels_and_channels_only_and_of_each_picture_alone():
    pictures = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    index = torch.arange(6)
    seen = set()
    for epoch in range(10):
        epochs = torch.full((6,), epoch)
        new = augmented(pictures, index, epochs, seed=1)
        assert torch.equal(augmented(pictures[2:4], index[2:4], epochs[2:4], seed=1), new[2:4])
        for before, after in zip(pictures, new, strict=True):
            candidates = {
                (turn, flip, order): torch.rot90(before, turn, (1, 2)).flip(2)[list(order)]
                if flip
                else torch.rot90(before, turn, (1, 2))[list(order)]
                for turn in range(4)
                for flip in (False, True)
                for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
            }
            matches = [key for key, value in candidates.items() if torch.equal(value, after)]
            assert len(matches) == 1
            seen.add(matches[0])
    assert len(seen) > 20
    assert len({turn for turn, _, _ in seen}) == 4
    assert not torch.equal(augmented(pictures, index, epochs, seed=2), new)


@pytest.mark.parametrize(
    "change",
    [
        {"scenes": 0},
        {"steps": 0},
        {"close_up_steps": -1},
        {"batch": 1},
        {"seed": -1},
        {"seed": 1 << 20},
        {"scenes": 1 << 20},
        {"precision": "int8"},
    ],
)
def test_wrong_recipes_are_refused(change, unchecked):
    with pytest.raises(OptionError):
        replace(SceneTraining(), **change)
