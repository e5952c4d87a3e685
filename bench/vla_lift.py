"""The part of bench/vla.py in space: the grounding model of all views, whose maps are lifted, and how sure they are."""

from __future__ import annotations

import hashlib
import json
import statistics
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.kept import identity
from bench.vla_arms import WAY, WORK, drawn, tables
from isotherm import decode
from isotherm.atomic import atomic_write
from isotherm.data.tabletop import BOUNDS, KINDS, ORTHOGRAPHIC, PERSPECTIVE, make_tabletop
from isotherm.data.tabletop.table import HELD_OUT, VALIDATION
from isotherm.decode.cameras import Cameras
from isotherm.metrics.places import credible_level
from isotherm.train.grounding.build import TrainedGrounding, open_grounding
from isotherm.train.loop import run_loop
from isotherm.train.run_folder import RunFolder
from isotherm.zoo.tiny_grounding.network import SIDE
from isotherm.zoo.tiny_grounding.recipe import TinyGroundingRecipe, maps_of_tables
from isotherm.zoo.tiny_grounding.tables import TableInstructions
from isotherm.zoo.tiny_grounding.training import TableTask, errors_px, predict_tables, shares

RECIPE = TinyGroundingRecipe()
VIEWS = RECIPE.training.views
VALIDATED, JUDGED = VALIDATION[:60], HELD_OUT[:200]
LEVELS = (0.5, 0.8, 0.9, 0.95)
OF_EACH_KIND = 200
"""Instructions that are lifted."""
VOXELS = 48
"""Along each axis, for the perspective cameras; orthographic views take one for every cell."""
NEAR_CM = 5.0
SHIPPED = Path(__file__).parents[1] / "src" / "isotherm" / "assets" / "tiny-grounding-0.safetensors"


def trained_model(seed: int, recipe: TinyGroundingRecipe = RECIPE) -> TrainedGrounding:
    """The model that ships, for seed 0; else one by the same recipe, on the tables of seed 0, from a run that is gone on
    with."""
    if seed == 0 and recipe is RECIPE:
        return open_grounding(SHIPPED)[0]
    config = replace(recipe.training, seed=seed)
    of_seed = replace(recipe, training=config)
    settings = recipe_settings(of_seed)
    dpath = WORK / f"all views, seed {seed}, {identity(settings)}"
    fpath = dpath / "model.safetensors"
    if not fpath.exists():
        data = tables("views", recipe.training.seeds, VIEWS)
        # drawn tables that another seed has drawn already
        of_seed.__dict__["validation"] = tables("views-validated", VALIDATION[: recipe.validated], VIEWS)
        from isotherm.grounding.outputs import Outputs
        from isotherm.train.grounding.build import make_grounding
        from isotherm.zoo.tiny_grounding.recipe import PROBES

        model = make_grounding(of_seed.choice, Outputs(), probes=PROBES)
        model = run_loop(config, TableTask(config, model, data), RunFolder(dpath / "run", settings))
        of_seed.save(model, fpath)
    return open_grounding(fpath)[0]


def recipe_settings(recipe: TinyGroundingRecipe) -> dict[str, Any]:
    """All that decides a trained model."""
    return {"way": WAY, "recipe": asdict(recipe), "drawn": drawn(recipe.training.views)}


def settings_of(seed: int, recipe: TinyGroundingRecipe, judged: range) -> dict[str, Any]:
    """All that decides the figures of a seed: the model, by its file where it is the one that ships, and how it is judged."""
    ships = seed == 0 and recipe is RECIPE
    return {
        **recipe_settings(replace(recipe, training=replace(recipe.training, seed=seed))),
        "model": hashlib.sha256(SHIPPED.read_bytes()).hexdigest() if ships else "trained",
        "judged": [judged.start, judged.stop, judged.step],
        "lifted": [OF_EACH_KIND, VOXELS, NEAR_CM, list(LEVELS)],
    }


def file_of(seed: int, recipe: TinyGroundingRecipe = RECIPE, judged: range = JUDGED) -> Path:
    """Where the figures of a seed are kept: by all that decides them."""
    return WORK / f"lift-{seed}-{identity(settings_of(seed, recipe, judged))}.json"


def of_seed(seed: int, *, recipe: TinyGroundingRecipe = RECIPE, judged: range = JUDGED) -> dict[str, Any]:
    """All figures of one seed, from the file that an earlier run left."""
    fpath = file_of(seed, recipe, judged)
    if fpath.exists():
        return json.loads(fpath.read_text())
    trained = trained_model(seed, recipe)
    validation = tables("views-validated", VALIDATION[: recipe.validated], VIEWS)
    data = tables("views-judged", judged, VIEWS)
    index = of_each_kind(data)
    found = {
        "by_view": by_view(trained, data),
        "coverage": coverage(trained, validation, data),
        "space": in_space(trained, data, judged, index),
        "space_coverage": space_coverage(trained, validation, data, index),
    }
    with atomic_write(fpath) as file:
        file.write(json.dumps(found).encode())
    return found


def of_each_kind(data: TableInstructions) -> Tensor:
    """The numbers of the first instructions of every kind."""
    return torch.cat([(data.kind == k).nonzero()[:OF_EACH_KIND, 0] for k in range(len(KINDS))])


@torch.no_grad()
def by_view(trained: TrainedGrounding, data: TableInstructions) -> dict[str, dict[str, float]]:
    """Hits and errors in every view."""
    every, found = torch.arange(len(data)), {}
    for v, name in enumerate(data.views):
        errors = errors_px(predict_tables(trained.model, data, every, v), data.xy[:, v])
        found[name] = {"px": float(errors.mean()), **shares(errors, data.kind)}
    return found


@torch.no_grad()
def coverage(trained: TrainedGrounding, validation: TableInstructions, data: TableInstructions) -> dict[str, Any]:
    """How often the true cell lies in the region of a level: as the maps come, divided by the temperature that was fitted
    on other tables, and with the level that holds the true cell of so many of those tables' maps.
    """
    known, asked = maps_of_tables(trained.model, validation), maps_of_tables(trained.model, data)
    raw = credible_level(asked.logits.flatten(1).softmax(1).view_as(asked.logits), asked.points)
    warm = trained.calibration.temperature
    levels = [
        credible_level((maps.logits / warm).flatten(1).softmax(1).view_as(maps.logits), maps.points)
        for maps in (known, asked)
    ]
    return {
        str(level): {
            "maps": float((raw < level).float().mean()),
            "temperature": float((levels[1] < level).float().mean()),
            "conformal": float((levels[1] <= conformal(levels[0], level)).float().mean()),
        }
        for level in LEVELS
    }


def conformal(values: Tensor, level: float) -> float:
    """The value that lies above so large a share of values, and of one more that is drawn as they were."""
    n = len(values)
    return float(values.sort().values[min(n - 1, int(-(-(n + 1) * level // 1)) - 1)])


@torch.no_grad()
def maps_in(
    trained: TrainedGrounding, data: TableInstructions, index: Tensor, names: tuple[str, ...], *, corrupt: bool
) -> Tensor:
    """Logits (m, v, h, w) in some views, divided by the temperature. Corrupt: one view of each instruction, in turn,
    shows another table.
    """
    out = []
    for i, name in enumerate(names):
        v = data.views.index(name)
        maps = predict_tables(trained.model, data, index, v)
        if corrupt:
            wrong = torch.arange(len(index)) % len(names) == i
            other = replace(data, table=(data.table + 7) % len(data.pictures))
            maps[wrong] = predict_tables(trained.model, other, index[wrong], v)
        out.append(maps / trained.calibration.temperature)
    return torch.stack(out, 1)


def lifted(maps: Tensor, names: tuple[str, ...], fusion: str, cameras: Cameras | None, part: int = 25) -> Any:
    """The points of maps in orthographic views, or in those of cameras, and what is known of them."""
    if cameras is None:
        return decode.lift_orthographic(
            maps, views=[ORTHOGRAPHIC[name] for name in names], bounds=BOUNDS, fusion=fusion
        )
    found = [
        decode.lift_perspective(
            maps[i : i + part],
            Cameras(
                cameras.intrinsics[i : i + part], cameras.rotation[i : i + part], cameras.translation[i : i + part]
            ),
            bounds=BOUNDS,
            resolution=VOXELS,
            fusion=fusion,
        )
        for i in range(0, len(maps), part)
    ]
    return decode.Lifted(
        *(torch.cat([getattr(f, n) for f in found]) for n in ("xyz", "mean", "covariance", "score", "disagreement"))
    )


def in_space(
    trained: TrainedGrounding, data: TableInstructions, seeds: range, index: Tensor
) -> dict[str, dict[str, float]]:
    """Errors in space by fusion, with and without one corrupted view."""
    every = [make_tabletop(seeds[int(t)], size=SIDE, samples=1, views=()).cameras for t in data.table[index]]
    cameras = Cameras(*(torch.stack([getattr(c, n) for c in every]) for n in ("intrinsics", "rotation", "translation")))
    found, truth = {}, data.point[index].double()
    for names, of in ((tuple(ORTHOGRAPHIC), None), (PERSPECTIVE, cameras)):
        disagreement = {}
        for corrupt in (False, True):
            maps = maps_in(trained, data, index, names, corrupt=corrupt)
            for fusion in ("mean", "product"):
                points = lifted(maps, names, fusion, of)
                apart = (points.xyz.double() - truth).norm(dim=1) * 100
                key = f"{'orthographic' if of is None else 'perspective'}, {fusion}{', one corrupted' * corrupt}"
                found[key] = {
                    "mean_cm": float(apart.mean()),
                    "median_cm": float(apart.median()),
                    "near": float((apart <= NEAR_CM).float().mean()),
                    **{
                        f"{kind}_near": float((apart[data.kind[index] == k] <= NEAR_CM).float().mean())
                        for k, kind in enumerate(KINDS)
                    },
                }
                disagreement[fusion, corrupt] = points.disagreement
        for fusion in ("mean", "product"):
            intact, broken = disagreement[fusion, False], disagreement[fusion, True]
            above = (broken[:, None] > intact[None]).double() + 0.5 * (broken[:, None] == intact[None]).double()
            key = f"{'orthographic' if of is None else 'perspective'}, {fusion}, one corrupted"
            found[key]["seen"] = float(above.mean())
    return found


def space_coverage(
    trained: TrainedGrounding, validation: TableInstructions, data: TableInstructions, index: Tensor
) -> dict[str, dict[str, float]]:
    """How often the true point lies in the ellipsoid of a level, of the product of the orthographic views: with the
    covariance as it comes, and with the size that holds so many of other tables' points.
    """
    names, distances = tuple(ORTHOGRAPHIC), []
    # of each kind as many in both, so that what is fitted to one says something of the other
    for some, which in ((validation, of_each_kind(validation)), (data, index)):
        points = lifted(maps_in(trained, some, which, names, corrupt=False), names, "product", None)
        error = some.point[which].double() - points.mean.double()
        distances.append((error * torch.linalg.solve(points.covariance.double(), error)).sum(1))
    from scipy.stats import chi2

    return {
        str(level): {
            "covariance": float((distances[1] <= chi2.ppf(level, 3)).float().mean()),
            "conformal": float((distances[1] <= conformal(distances[0], level)).float().mean()),
        }
        for level in LEVELS
    }


def mean_and_range(values: list[float]) -> str:
    """``mean (least to most)``."""
    if len(values) == 1:
        return f"{values[0]:.3g}"
    return f"{statistics.fmean(values):.3g} ({min(values):.3g}–{max(values):.3g})"
