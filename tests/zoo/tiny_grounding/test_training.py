"""Training of tiny-grounding: what a step sees, what it is judged by, and runs that are gone on with."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from isotherm.data.tabletop import KINDS
from isotherm.errors import OptionError
from isotherm.grounding.model import GroundingModel
from isotherm.heads import ConvexUpsample
from isotherm.progress import Progress
from isotherm.train.loop import run_loop
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule
from isotherm.zoo.tiny_grounding.network import HEAD_OPTIONS, SIDE, WIDTH
from isotherm.zoo.tiny_grounding.tables import as_pixels, draw_tables
from isotherm.zoo.tiny_grounding.training import (
    TableTask,
    TinyGroundingTraining,
    errors_px,
    jittered,
    predict_tables,
    shares,
)
from isotherm.zoo.tiny_grounding.view import load

CONFIG = TinyGroundingTraining(
    steps=4,
    batch=4,
    log_every=1,
    keep_every=2,
    tables=3,
    views=("top", "left"),
    schedule=Schedule(warm_up=1),
    opening=0,
)
PROBES = ("pick the red block", "put it left of the blue one")


@pytest.fixture(scope="module")
def drawn():
    return draw_tables(CONFIG.seeds, CONFIG.views, samples=1)


def model_of(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GroundingModel(load(weights="none", seed=seed), ConvexUpsample(WIDTH, 1, **HEAD_OPTIONS), probes=PROBES)


def test_the_instruction_reaches_the_image_tokens():
    model = model_of(0)
    assert model.conditioning == "as_is"
    assert model.instruction_change > 0.01


def test_a_step_draws_kinds_as_often_as_the_recipe_says(drawn):
    task = TableTask(CONFIG, model_of(0), drawn)
    many = replace(CONFIG, batch=4000)
    index, epoch = task.rows(7, many)
    assert torch.equal(index, task.rows(7, many)[0])
    assert not torch.equal(index, task.rows(8, many)[0])
    assert set(epoch.tolist()) == {7}
    kinds = drawn.kind[index // 2]
    for k, share in enumerate(CONFIG.kinds):
        assert float((kinds == k).float().mean()) == pytest.approx(share, abs=0.03)
    assert float((index % 2).float().mean()) == pytest.approx(0.5, abs=0.03)  # both views


def test_kinds_open_with_picks():
    config = replace(CONFIG, kinds=(2.0, 1.0, 1.0), opening=100)
    assert config.kinds_at(0).tolist() == [1, 0, 0]
    assert config.kinds_at(50).tolist() == [0.75, 0.125, 0.125]
    assert config.kinds_at(100).tolist() == config.kinds_at(4000).tolist() == [0.5, 0.25, 0.25]


def test_the_loss_of_a_map_that_knows_nothing_is_that_of_all_cells(drawn):
    task = TableTask(CONFIG, model_of(0), drawn)
    part = task.judged(torch.zeros(2, 1, 1, SIDE, SIDE), drawn.xy[:2, 0])
    assert float(part.loss) == pytest.approx(math.log(SIDE * SIDE), rel=1e-5)


def test_light_changes_with_the_step_and_follows_the_seed(drawn):
    index = torch.tensor([0, 3])
    pixels = as_pixels(drawn.shown(index, 0))
    one = jittered(pixels, index, torch.tensor([5, 5]), CONFIG)
    assert torch.equal(one, jittered(pixels, index, torch.tensor([5, 5]), CONFIG))
    assert not torch.equal(one, jittered(pixels, index, torch.tensor([6, 6]), CONFIG))
    assert torch.equal(jittered(pixels, index, torch.tensor([5, 5]), replace(CONFIG, jitter=0.0)), pixels)


def test_errors_and_shares_by_hand():
    maps = torch.zeros(2, 64, 64)
    maps[0, 10, 20] = maps[1, 30, 40] = 1  # their centres lie at (20.5, 10.5) and (40.5, 30.5)
    errors = errors_px(maps, torch.tensor([[20.5, 12.0], [43.5, 34.5]]))
    assert errors.tolist() == pytest.approx([1.5, 5.0])
    assert errors_px(maps[:, ::2, ::2] * 0 + torch.eye(32), torch.tensor([[1.0, 1.0]] * 2)).tolist() == [
        0,
        0,
    ]  # cells of 2 px
    found = shares(errors, torch.tensor([0, 0]))
    assert found == pytest.approx({"pick": 0.5, "pick_px": 3.25})
    assert set(shares(errors, torch.tensor([1, 2]))) == {"relation", "relation_px", "place", "place_px"}


def test_a_run_in_pieces_ends_in_the_same_bits(drawn, tmp_path):
    torch.set_num_threads(1)

    def fit(name, **options):
        task = TableTask(CONFIG, model_of(1), drawn)
        return run_loop(CONFIG, task, RunFolder(tmp_path / name, {}), **options).state_dict()

    def stop(message):
        if isinstance(message, Progress) and message.step == 3:
            raise KeyboardInterrupt

    whole = fit("whole")
    with pytest.raises(KeyboardInterrupt):
        fit("cut", say=stop)
    said = []
    again = fit("cut", say=said.append)
    assert "going on from step 2" in said
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_predictions_are_of_the_view_that_is_asked_for(drawn):
    model, every = model_of(0), torch.arange(3)
    top, left = (predict_tables(model, drawn, every, view=v) for v in (0, 1))
    assert top.shape == (3, SIDE, SIDE)
    assert not torch.allclose(top, left)


def test_bad_recipes():
    with pytest.raises(OptionError, match=f"a share for each of {', '.join(KINDS)}"):
        replace(CONFIG, kinds=(1.0, 1.0))
    with pytest.raises(OptionError, match="sigma is 0"):
        replace(CONFIG, sigma=0)
    assert replace(CONFIG, seed=2).seeds[0] == 2 << 20  # no two training seeds share a table
