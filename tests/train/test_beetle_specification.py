"""The ten tests that the specification of the beetle experiment lists, by its numbers and names, at its own shapes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from isotherm import decode, targets
from isotherm.data.beetles import HELD_OUT, TRAINING, beetles
from isotherm.data.keypoint_augment import Augmentation
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.frame import Frame
from isotherm.heads import DeconvHead
from isotherm.losses import assign, gaussian_cross_entropy, gaussian_mse
from isotherm.models.transformers.backbone import backbone_of
from isotherm.points import Points, State
from isotherm.train import keypoint_run
from isotherm.train.keypoint_build import ModelChoice, make_model
from isotherm.train.keypoint_model import KeypointModel, Objective
from isotherm.train.keypoint_validate import judge
from isotherm.train.keypoints import KeypointTraining, train_keypoints
from isotherm.train.recipe import read_recipe
from isotherm.train.run_folder import RunFolder, read_figures
from isotherm.train.schedule import Schedule

INPUT, MAP = (256, 256), (64, 64)
SOURCE = Frame.letterbox((600, 800), INPUT)
CELLS = SOURCE.to_grid(stride=4)
LINES = ((0, 1), (2, 3))
RECIPES = Path(__file__).parents[2] / "recipes"


def peaks(points, sigma=2.0):
    return targets.gaussian(points, CELLS, sigma_cells=sigma).heatmap.values


def test_1_gaussian_heatmap_generation():
    at = CELLS.points_to_source(torch.tensor([[20.5, 30.5]]))[None]  # the centre of the cell in row 30, column 20
    assert peaks(at.expand(1, 4, 2)).shape == (1, 4, *MAP)
    one = peaks(at, sigma=2.0)[0, 0]
    assert divmod(int(one.argmax()), 64) == (30, 20)
    assert one.max() == pytest.approx(1)
    assert one[30, 22] == pytest.approx(math.exp(-0.5))  # one sigma away
    assert one[32, 22] == pytest.approx(math.exp(-1.0))


def test_2_soft_argmax_round_trip():
    at = CELLS.points_to_source(torch.tensor([[20.3, 30.7], [40.0, 11.25]]))[None]
    share = targets.gaussian(at, CELLS, sigma_cells=2.0, kind="probability").heatmap
    found = decode.soft_argmax(share)
    torch.testing.assert_close(found.xy, at, atol=2e-3, rtol=0)


@pytest.mark.parametrize("loss", [gaussian_mse, gaussian_cross_entropy])
def test_3_loss_masking(loss):
    """BeetlePalooza has no widths: neither their maps nor the NaN in their places may count."""
    maps = torch.randn(1, 4, *MAP, requires_grad=True)
    points = torch.tensor([[[torch.nan, torch.nan], [torch.nan, torch.nan], [300.0, 200.0], [500.0, 220.0]]])
    state = torch.tensor([[0, 0, 1, 1]])
    value = loss(maps, Points(points, state=state), CELLS, sigma_cells=2.0)
    value.backward()
    assert torch.isfinite(value)
    assert (maps.grad[:, :2] == 0).all()
    assert (maps.grad[:, 2:] != 0).any()
    alone = loss(maps[:, 2:].detach(), Points(points[:, 2:]), CELLS, sigma_cells=2.0)
    assert float(value.detach()) == pytest.approx(float(alone))  # the mean is over what is labelled


def test_4_decoder_output_shape():
    head = DeconvHead(384, 4)
    assert head(torch.zeros(2, 384, 16, 16)).shape == (2, 4, 64, 64)
    shapes = [
        tuple(m.weight.shape) for m in head.modules() if isinstance(m, torch.nn.ConvTranspose2d | torch.nn.Conv2d)
    ]
    assert shapes == [(384, 256, 4, 4), (256, 128, 4, 4), (4, 128, 1, 1)]
    assert sum(p.numel() for p in head.parameters()) == 384 * 256 * 16 + 256 * 128 * 16 + 2 * (256 + 128) + 128 * 4 + 4


def test_5_udpp_coordinate_round_trip():
    index = torch.tensor([0.0, 1.0, 127.5, 255.0])  # in the input; the specification counts pixels' centres from 0
    edge = Frame.identity(INPUT).to_grid(stride=4).points_from_source(torch.stack([index, index], -1) + 0.5)
    torch.testing.assert_close(edge[:, 0] - 0.5, (index + 0.5) / 4 - 0.5)
    points = torch.tensor([[0.0, 0.0], [800.0, 600.0], [123.4, 567.8], [0.5, 0.5]])
    torch.testing.assert_close(CELLS.points_to_source(CELLS.points_from_source(points)), points, atol=1e-3, rtol=0)
    assert CELLS.points_from_source(torch.tensor([[0.0, 0.0]]))[0].tolist() == pytest.approx(
        [0.0, 8.0]
    )  # 32 px of the letterbox
    assert CELLS.points_from_source(torch.tensor([[800.0, 600.0]]))[0].tolist() == pytest.approx([64.0, 56.0])


def test_6_permutation_invariant_loss():
    """The specification's loss is the lesser of both orders, for each line by itself."""
    points = torch.tensor([[[100.0, 100.0], [700.0, 500.0], [300.0, 200.0], [500.0, 220.0]]])
    logits = peaks(points)
    crossed = Points(points[:, [1, 0, 2, 3]])  # one line alone
    assert gaussian_mse(logits, crossed, CELLS, sigma_cells=2.0, groups=LINES).item() == pytest.approx(0, abs=1e-9)
    assert gaussian_mse(logits, crossed, CELLS, sigma_cells=2.0).item() > 1e-3


def test_6_permutation_invariant_loss_of_cross_entropy():
    points = torch.tensor([[[100.0, 100.0], [700.0, 500.0], [300.0, 200.0], [500.0, 220.0]]])
    swapped = points[:, [1, 0, 3, 2]]
    logits = 8 * peaks(points)
    right, wrong = (gaussian_cross_entropy(logits, Points(p), CELLS, sigma_cells=2.0) for p in (points, swapped))
    matched = gaussian_cross_entropy(logits, Points(swapped), CELLS, sigma_cells=2.0, groups=LINES)
    assert float(matched) == pytest.approx(float(right))
    assert wrong > right + 1
    assert assign(logits, Points(swapped), CELLS, groups=LINES, loss="cross_entropy", sigma_cells=2.0).tolist() == [
        [1, 0, 3, 2]
    ]


def test_7_token_reshape_spatial_correctness():
    """A frozen DINOv3 at 16 x 16 tokens: class and register tokens go, the rest is laid out row by row, each over its patch."""
    import transformers

    config = transformers.DINOv3ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=256,
        patch_size=16,
        num_register_tokens=4,
    )
    backbone = backbone_of(config, seed=0).eval()
    pictures = torch.rand(1, 3, *INPUT)
    with torch.no_grad():
        grid = backbone(pictures)
        tokens = backbone.model(backbone_normalised(backbone, pictures)).last_hidden_state[:, 5:]
    assert grid.shape == (1, 32, 16, 16)
    for i, j in ((0, 0), (3, 7), (15, 15)):
        assert torch.equal(grid[0, :, i, j], tokens[0, 16 * i + j])
        changed = pictures.clone()
        changed[..., 16 * i : 16 * i + 16, 16 * j : 16 * j + 16] = (
            1 - changed[..., 16 * i : 16 * i + 16, 16 * j : 16 * j + 16]
        )
        with torch.no_grad():
            moved = (backbone(changed) - grid)[0].norm(dim=0)
        assert divmod(int(moved.argmax()), 16) == (i, j)


def backbone_normalised(backbone, pictures):
    return (pictures - backbone.mean) / backbone.std


@pytest.mark.parametrize("cell", [(0.0, 20.0), (64.0, 64.0), (0.125, 63.875), (-1.5, 30.0)])
def test_8_border_coordinate_reachability(cell):
    """Pixels 0 and 255 of the input lie at -0.375 and 63.375 in the map's index coordinates, outside of any mean of cell centres."""
    ends = Frame.identity(INPUT).to_grid(stride=4).points_from_source(torch.tensor([[0.5, 255.5]]))
    assert ends[0].tolist() == [0.125, 63.875]
    at = CELLS.points_to_source(torch.tensor([cell]))[None]
    inverse = decode.moment_inverse(
        targets.gaussian(at, CELLS, sigma_cells=2.0, kind="probability").heatmap.values.double().log(),
        CELLS,
        sigma_cells=2.0,
    )
    squares = decode.least_squares(peaks(at).double(), CELLS, sigma_cells=2.0)
    for found in (inverse, squares):
        torch.testing.assert_close(found.xy.float(), at, atol=0.02, rtol=0)
    soft = decode.soft_argmax(targets.gaussian(at, CELLS, sigma_cells=2.0, kind="probability").heatmap)
    assert (soft.xy - at).norm() > 1.5  # what the mean says, in pixels of the source


@pytest.mark.parametrize("loss", [gaussian_mse, gaussian_cross_entropy])
def test_9_permutation_and_mask_combined(loss):
    """Whichever order of the ends is taken, widths that are not known contribute nothing."""
    maps = torch.randn(2, 4, *MAP, requires_grad=True)
    points = torch.tensor([[[torch.nan, torch.nan], [torch.nan, torch.nan], [300.0, 200.0], [500.0, 220.0]]] * 2)
    state = torch.tensor([[0, 0, 1, 1]] * 2)
    value = loss(maps, Points(points, state=state), CELLS, sigma_cells=2.0, groups=LINES)
    value.backward()
    assert (maps.grad[:, :2] == 0).all()
    swapped = loss(maps.detach(), Points(points[:, [1, 0, 3, 2]], state=state), CELLS, sigma_cells=2.0, groups=LINES)
    assert value.item() == pytest.approx(swapped.item())
    alone = loss(maps[:, 2:].detach(), Points(points[:, 2:]), CELLS, sigma_cells=2.0, groups=((0, 1),))
    assert value.item() == pytest.approx(alone.item())


def test_9_permutation_and_mask_of_one_end():
    """One labelled end goes to the map that has it, whichever that is; the other map is left alone."""
    points = torch.tensor([[[100.0, 100.0], [700.0, 500.0], [300.0, 200.0], [500.0, 220.0]]])
    logits = (8 * peaks(points)).requires_grad_(True)
    given = points[:, [1, 0, 2, 3]].clone()
    given[:, 1] = torch.nan
    state = torch.tensor([[1, int(State.UNLABELLED), 1, 1]])
    value = gaussian_cross_entropy(logits, Points(given, state=state), CELLS, sigma_cells=2.0, groups=LINES)
    value.backward()
    whole = gaussian_cross_entropy(logits.detach(), Points(points), CELLS, sigma_cells=2.0)
    assert float(value.detach()) == pytest.approx(float(whole), rel=0.05)
    assert (logits.grad[0, 0] == 0).all()
    assert (logits.grad[0, 1] != 0).any()


@pytest.mark.usefixtures(
    "unchecked"
)  # the other tests check these shapes; two hundred times they take half of the time
def test_the_advised_way_finds_unseen_beetles_after_two_hundred_steps(tmp_path):
    """On few pictures the loss falls to near its floor, nothing collapses, and unseen beetles are found better than by the centre."""
    kind, unseen = beetles(TRAINING[:80]), beetles(HELD_OUT[:20])
    config = KeypointTraining(
        steps=200,
        batch=8,
        size=(64, 64),
        rate=6e-3,
        backbone_rate=1.0,
        average=0.97,
        keep_every=200,
        log_every=25,
        schedule=Schedule(warm_up=20),
        objective=Objective(sigma=1.0, first_sigma=3.0),
        augmentation=Augmentation(flip=0.5, degrees=180),
    )
    model = make_model(
        ModelChoice(widths=(8, 16), depth=1, head_options={"widths": (16,), "groups": 8}), 4, size=config.size
    )
    data, other = (cache_keypoints(part, tmp_path / "cache", side=64) for part in (kind, unseen))
    trained = train_keypoints(config, model, data, kind, RunFolder(tmp_path / "run", {}))
    assert isinstance(trained, KeypointModel)
    rows = read_figures(tmp_path / "run" / "metrics.csv")
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.8
    assert rows[-1]["uniform"] == 0
    judged = judge(trained, config.objective, other, kind, size=config.size, draws=1)
    centre = torch.linalg.vector_norm(other.points - 64.0, dim=-1).nanmean()
    assert float(judged.errors.nanmean()) < 0.5 * float(centre)
    assert np.isfinite(judged.errors.numpy()).all()


@pytest.mark.usefixtures("unchecked")
def test_10_quick_smoke_run(tmp_path, monkeypatch):
    """A hundred of the specification's 500 steps of its recipe, small: the loss decreases, and all metrics are finite."""
    monkeypatch.setattr(keypoint_run, "write_extremes", lambda *args, **options: [])
    plain = read_recipe(RECIPES / "beetle_spec.yaml")
    generated = {"format": "generated", "side": 32}
    plain["data"]["train"] = [{**generated, "count": 24, "groups": ["Hawaii", "BeetlePalooza", "BioRepo"]}]
    plain["data"]["validation"] = [{**generated, "split": "validation", "count": 6, "groups": ["Hawaii", "BioRepo"]}]
    head = {"widths": [8, 8], "groups": 4}
    plain["model"] |= {"backbone": "conv", "frozen": False, "widths": [8, 16], "depth": 1, "head_options": head}
    toy = {"size": [32, 32], "steps": 100, "batch": 8, "keep_every": 50, "log_every": 5, "backbone_rate": 1.0}
    plain["training"] |= toy
    recipe = keypoint_run.recipe_from(plain)
    assert (recipe.training.objective.loss, recipe.training.objective.decoder) == ("mse", "soft_argmax")
    keypoint_run.train_run(recipe, tmp_path / "run", root=tmp_path)
    rows = read_figures(tmp_path / "run" / "metrics.csv")
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 20
    assert np.mean(losses[-4:]) < 0.7 * losses[0]
    assert all(np.isfinite(value) for row in rows for value in row.values())
    judged = [row for row in rows if "val/hawaii/length_line_err_cm" in row]
    assert [row["step"] for row in judged] == [50, 100]
    for figure in ("point_err_cm", "line_err_cm", "length_line_err_cm", "width_line_err_cm", "oob_points_frac"):
        assert all(f"val/{group}/{figure}" in row for row in judged for group in ("hawaii", "biorepo"))
