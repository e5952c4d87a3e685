"""Training of the scene classifier: deterministic, resumable, and honest about what it was measured on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from isotherm.data.scenes import HELD_OUT, TRAINING, VALIDATION, SceneConfig, make_scene
from isotherm.errors import OptionError, WeightsError
from isotherm.zoo.scenes.network import SceneNet, SceneNetConfig, load_scene_net
from isotherm.zoo.scenes.training import (
    OPTIONS,
    SceneTraining,
    augmented,
    draw_lessons,
    draw_scenes,
    evaluate,
    main,
    one_cycle,
    run,
    to_input,
    train,
)
from isotherm.zoo.scenes.view import load_scenes
from isotherm.zoo.shipped import command_of

NET = SceneNetConfig(names=("ring", "star", "bolt"), size=(64, 64), widths=(4, 6, 8, 8))
SMALL = SceneTraining(seed=3, close_ups=12, close_up_epochs=1, scenes=20, epochs=2, batch=8, sizes=((64, 64), (48, 64)))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def lessons():
    return draw_lessons(SMALL, NET)


def weights(model: SceneNet) -> list[torch.Tensor]:
    return [v.clone() for v in model.state_dict().values()]


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_same_seed_gives_the_same_weights(lessons):
    torch.manual_seed(5)
    first = weights(train(SMALL, lessons, NET))
    torch.manual_seed(6)
    assert same(first, weights(train(SMALL, lessons, NET)))
    assert not same(first, weights(train(replace(SMALL, seed=4), lessons, NET)))


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_run_ends_in_the_same_weights(lessons, tmp_path, after):
    whole = weights(train(SMALL, lessons, NET))
    checkpoint = tmp_path / "run.checkpoint"
    done = 0

    def interrupt(line):
        nonlocal done
        if line.startswith("epoch"):
            done += 1
            if done > after:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, lessons, NET, checkpoint=checkpoint, say=interrupt)
    said = []
    resumed = weights(train(SMALL, lessons, NET, checkpoint=checkpoint, say=said.append))
    assert said[0].endswith(f"after epoch {after}")
    assert len(said) == 1 + 3 - after
    assert same(whole, resumed)


def test_a_checkpoint_of_another_recipe_or_a_broken_one_is_refused(lessons, tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    train(SMALL, lessons, NET, checkpoint=checkpoint)
    with pytest.raises(WeightsError, match="another recipe"):
        train(replace(SMALL, rate=1e-3), lessons, NET, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(WeightsError, match="delete it"):
        train(SMALL, lessons, NET, checkpoint=checkpoint)


def test_training_lowers_the_loss_and_leaves_the_network_in_eval_mode(lessons):
    said = []
    model = train(SMALL, [(lessons[1][0], 25)], NET, say=said.append)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in said]
    assert losses[-1] < losses[0] - 0.05
    assert not any(m.training for m in model.modules())


def test_run_writes_weights_and_a_recipe_that_was_measured(tmp_path):
    said = []
    recipe = run(SMALL, tmp_path / "net.safetensors", net=NET, held_out=6, say=said.append)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.json", "net.safetensors"]
    assert json.loads((tmp_path / "net.json").read_text()) == json.loads(json.dumps(recipe))
    fitted_on = range(recipe["scenes"]["fitted_on"][0], recipe["scenes"]["fitted_on"][1] + 1)
    assert len(fitted_on) == 32
    assert fitted_on[0] in TRAINING
    assert recipe["scenes"]["validation"][0] in VALIDATION
    assert recipe["scenes"]["held_out"][0] in HELD_OUT
    square = SceneConfig(size=NET.size, classes=NET.names)
    again = evaluate(load_scene_net(tmp_path / "net.safetensors"), draw_scenes(HELD_OUT[:6], [square], NET.size))
    assert again == recipe["results"]["held_out"]
    assert any("drawn 20/20" in line for line in said)


def test_scenes_that_figures_are_reported_on_may_not_be_fitted_on(tmp_path, monkeypatch):
    monkeypatch.setattr(SceneTraining, "seeds", property(lambda self: VALIDATION[:32]))
    with pytest.raises(AssertionError, match="fitted on"):
        run(SMALL, tmp_path / "net.safetensors", net=NET, held_out=4)


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


def test_augmentation_moves_pixels_and_channels_only():
    pictures = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    seen = set()
    for _ in range(10):
        new = augmented(pictures, generator)
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


def test_learning_rate_goes_up_and_down():
    assert one_cycle(0.05) == pytest.approx(0.5)
    assert one_cycle(0.1) == pytest.approx(1)
    assert one_cycle(0.55) == pytest.approx(0.5)
    assert one_cycle(1.0) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"scenes": 0},
        {"epochs": 0},
        {"close_up_epochs": -1},
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


def test_command_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "net.bin")])
    assert ended.value.code == 2
    assert ".safetensors" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "nowhere" / "net.safetensors")])
    assert ended.value.code == 2
    assert not list(tmp_path.iterdir())


def test_the_recipes_command_says_it_all(tmp_path):
    command = command_of(
        "isotherm.zoo.scenes.training", replace(SceneTraining(), seed=2, epochs=3), OPTIONS, tmp_path / "x.safetensors"
    )
    for part in ("--seed 2", "--epochs 3", "--close-ups", "--out x.safetensors", "--threads"):
        assert part in command
