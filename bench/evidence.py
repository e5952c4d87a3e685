"""Do maps point at what they should? Every method on trained classifiers whose evidence is known to the pixel.

Three classifiers (training seeds 0, 1, 2) explain 300 held-out scenes. A scene holds one to three objects of different
classes; each class that the model finds (logit above 0) is explained and must point at its own object, not at another
object nor at the clutter. Beside the methods stand random fields as coarse as the maps, the distance from the centre,
and the best methods on the same network with randomised weights, which must fall to chance.

One row puts HiResCAM's cells where most tools put them, evenly over the input, instead of where they lie.

energy: share of positive relevance on the object (chance: the share of the picture that it covers).
pointing: how often the strongest pixel lies on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import torch

from bench.measure import insert, table, threads, write

QUICK_METHODS = (
    "hirescam",
    "gradcam",
    "gradcampp",
    "xgradcam",
    "layercam",
    "elementwisecam",
    "eigencam",
    "eigengradcam",
    "kpcacam",
    "shapleycam",
    "ablationcam",
    "finercam",
)
SLOW_METHODS = ("fullgrad", "scorecam", "occlusion", "integratedgradients", "rise")
EVENLY = "HiResCAM, cells spread evenly"
PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
README = Path(__file__).parents[1] / "README.md"


def measure(
    seed: int, count: int, names: Sequence[str], *, random_weights: bool = False
) -> dict[str, list[tuple[float, float]]]:
    """(energy, pointing) of every explained class, by method."""
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute
    from isotherm.cam.scores import Classes
    from isotherm.cam.trace import LayerMap
    from isotherm.data.scenes import held_out_scenes
    from isotherm.metrics.localisation import energy_inside, pointing_game
    from isotherm.metrics.randomisation import randomised
    from isotherm.metrics.references import centre_map, random_maps
    from isotherm.ops.resample import to_source
    from isotherm.zoo.scenes.view import load_scenes

    view = load_scenes(seed)
    chosen = [methods.RISE(masks=500, batch=50) if n == "rise" else getattr(methods, n) for n in names]
    found: dict[str, list[tuple[float, float]]] = {m.name: [] for m in chosen}
    extra = {} if random_weights else {"random field": [], "centre": [], "the object's area": []}
    found |= extra | ({EVENLY: []} if "hirescam" in names and not random_weights else {})
    for number, scene in enumerate(islice(held_out_scenes(count), count)):
        inputs = view.prepare([scene.picture])
        with torch.no_grad():
            logits = view.run(inputs).logits[0]
        labels = [int(k) for k in scene.labels if logits[int(k)] > 0]
        if not labels:
            continue
        masks = torch.from_numpy(scene.masks[[list(scene.labels).index(k) for k in labels]])
        around = (
            randomised(view.model, seed=seed, calibrate=lambda x=inputs: view.run(x))
            if random_weights
            else nullcontext()
        )
        with around:
            together = [m for n, m in zip(names, chosen, strict=True) if n != "finercam"]
            done = list(
                zip(together, attribute(view, inputs, methods=together, score=Classes(tuple(labels))).maps, strict=True)
            )
            for method in chosen[len(together) :]:
                # FinerCAM compares a class with its nearest rivals, so all classes are targets and the found ones are kept
                everything = attribute(
                    view, inputs, methods=[method], score=Classes(tuple(range(len(view.names))))
                ).maps[0]
                done.append((method, LayerMap(everything.name, everything.values[labels], everything.frame[labels])))
            for method, m in done:
                _keep(found[method.name], to_source(m.values.float(), m.frame), masks, energy_inside, pointing_game)
            if EVENLY in found:
                m = dict(zip(names, (m for _, m in done), strict=False))["hirescam"]
                evenly = inputs.frame[torch.zeros(len(labels), dtype=torch.long)].to_grid(size=m.frame.size)
                _keep(found[EVENLY], to_source(m.values.float(), evenly), masks, energy_inside, pointing_game)
        if extra:
            size = tuple(masks.shape[-2:])
            field = random_maps(len(masks), size, grid=(16, 16), seed=number)
            _keep(found["random field"], field, masks, energy_inside, pointing_game)
            blob = (centre_map(size) + 1.5).expand_as(field)
            _keep(found["centre"], blob, masks, energy_inside, pointing_game)
            found["the object's area"] += [(float(m.float().mean()),) * 2 for m in masks]
    return found


def _keep(into: list[tuple[float, float]], maps, masks, energy_inside, pointing_game) -> None:
    into += zip(energy_inside(maps, masks).tolist(), pointing_game(maps, masks).tolist(), strict=True)


def main(quick: bool = False) -> None:
    from isotherm.metrics.intervals import bootstrap

    threads(2)
    seeds = (0,) if quick else (0, 1, 2)
    jobs = [
        (QUICK_METHODS, 20 if quick else 300, False),
        (SLOW_METHODS, 5 if quick else 40, False),
        (("hirescam", "gradcam", "ablationcam"), 20 if quick else 300, True),
    ]
    results: dict[str, dict[str, object]] = {}
    for names, count, random_weights in jobs:
        per_seed = [measure(seed, count, names, random_weights=random_weights) for seed in seeds]
        for name in per_seed[0]:
            label = f"{name}, randomised weights" if random_weights else name
            if label in results:
                continue
            values = torch.tensor([v for one in per_seed for v in one[name]], dtype=torch.float64)
            energy, pointing = bootstrap(values[:, 0]), bootstrap(values[:, 1])
            by_seed = [float(torch.tensor(one[name], dtype=torch.float64)[:, 0].nanmean()) for one in per_seed]
            results[label] = {
                "energy": [energy.mean, energy.low, energy.high],
                "pointing": [pointing.mean, pointing.low, pointing.high],
                "maps": energy.n,
                "no positive value": energy.left_out,
                "pictures": count,
                "energy by seed": by_seed,
            }
    rows = [
        [name, _span(r["energy"]), _span(r["pointing"]), r["maps"], r["no positive value"]]
        for name, r in sorted(results.items(), key=lambda item: -item[1]["energy"][0])  # type: ignore[index]
    ]
    text = table(
        f"Held-out scenes, {len(seeds)} training seeds",
        ["method", "energy on the object", "pointing", "maps", "maps without a positive value"],
        rows,
    )
    print(text)
    write("evidence", {"seeds": list(seeds), "results": results}, quick=quick)
    if not quick:
        for page in (PAGE, README):
            insert(page, "evidence", text)


def _span(values: object) -> str:
    mean, low, high = values  # type: ignore[misc]
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
