"""Where cells of trained networks lie: ways to say it without asking, judged by what the cells answer to.

Ways: cells spread evenly over the input; receptive fields whose windows count from their middles; the same, counted
from where the energy of their weights is centred (:mod:`isotherm.cam.kernels`); and the centre of energy of the
gradient of single cells at the input, of one forward and one backward pass (bench/places_candidates.py).

Evidence (bench/places_judges.py): small objects that are pasted on pictures; HiResCAM around objects whose place is
known, or around a detector's own boxes; insertion - deletion on photographs. Networks: EfficientNet-Lite0 trained on
ImageNet and with random weights, whose paddings are on the right and below; the shipped classifiers and detector of
scenes, padded on both sides; and classifiers of scenes trained for this with TensorFlow's padding
(bench/places_same.py). One thread; every part is kept in bench/.work/places, and what was ended goes on there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from bench.kept import identity
from bench.measure import insert, table, threads, write
from bench.places_candidates import candidates
from bench.places_judges import by_maps, by_pasting, median

PAGE = Path(__file__).parents[1] / "docs" / "cells.md"
WORK = Path(__file__).parent / ".work" / "places"
WAY = 1
"""Of measuring: another one where code changes figures, so that what was kept is not used."""
WAYS = {
    "even": "spread evenly",
    "windows": "middles of windows",
    "kernels": "energy of weights",
    "gradient": "gradient",
}
GOAL = 1 / 8
"""Of the stride, which a median offset may have."""
SEEDS = (0, 1, 2)
LITE = ("conv_stem", *(f"blocks.{i}" for i in range(7)), "bn2")
SCENES = ("stem", "stage1", "stage2", "stage3")
DETECTOR = ("backbone.stages.0", "backbone.stages.1", "backbone.stages.2")
FILLED = ("blocks.5", "blocks.6", "bn2")
STEPS = 8
TRAINED = "pasted on photographs, EfficientNet-Lite0 trained"


def main(quick: bool = False) -> None:
    threads(1)
    seeds = SEEDS[:1] if quick else SEEDS
    parts = {}
    for name, job in _parts(quick, seeds).items():
        kept = WORK / f"{name.replace(' ', '-')}-{identity({'way': WAY, 'quick': quick})}.json"
        if not kept.exists():
            figures = job()
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(figures))
        parts[name] = json.loads(kept.read_text())
        print(f"{name}: done", flush=True)
    offsets = {name: part for name, part in parts.items() if name != "insertion"}
    summary, details = [], []
    for evidence, several in _grouped(offsets).items():
        judged = [(layer, axis, one[layer]) for one in several for layer in one for axis in (0, 1)]
        cells: list[Any] = [evidence, len(judged)]
        for how in WAYS:
            shares = [abs(f["offset"][how][axis][0]) / f["stride"] for _, axis, f in judged]
            cells.append(f"{sum(s <= GOAL for s in shares)}, at most {max(shares):.2f}")
        summary.append(cells)
        for layer in several[0]:
            for axis, direction in enumerate(("right", "down")):
                figures = [one[layer] for one in several]
                cells = [evidence, f"{layer} ({figures[0]['stride']:g})", direction]
                for how in WAYS:
                    each = [f["offset"][how][axis] for f in figures]
                    cells.append(", ".join(f"{m:+.1f} [{low:+.1f}, {high:+.1f}]" for m, low, high in each))
                details.append(cells)
    rows = [
        [layer, *(f"{fmean(f[layer][how] for f in parts['insertion'].values()):.3f}" for how in WAYS)]
        for layer in next(iter(parts["insertion"].values()))
    ]
    ways = list(WAYS.values())
    texts = [
        table(
            "Offsets whose median is at most 1/8 of the stride, and the largest one in strides",
            ["evidence", "offsets", *ways],
            summary,
        ),
        table(
            f"Insertion - deletion of GradCAM, mean of {len(parts['insertion'])} photographs",
            ["layer of EfficientNet-Lite0", *ways],
            rows,
        ),
    ]
    columns = ["evidence", "layer (stride)", "to the", *ways]
    print("\n".join([*texts, table("Medians in input pixels, with their intervals", columns, details)]))
    trained = [cells[1:] for cells in details if cells[0] == TRAINED]
    title = f"Medians in input pixels, with their intervals of 95 %: {TRAINED}"
    texts.append(table(title, columns[1:], trained))
    write("places", {"ways": WAYS, **parts}, quick=quick)
    if not quick:
        insert(PAGE, "places", "\n".join(texts))


def _parts(quick: bool, seeds: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
    """What is measured, part by part; figures of a part are plain data."""
    count, scenes, maps = (16, 2, 6) if quick else (96, 24, 200)
    found: dict[str, Callable[[], Any]] = {TRAINED: lambda: _pasted(_lite(), _photographs(quick), LITE, count)}
    for s in seeds:
        found[f"pasted on photographs, EfficientNet-Lite0 random, seed {s}"] = lambda s=s: _pasted(
            _lite(weights="none", seed=s), _photographs(quick), LITE, count
        )
    for padding, load in (("both sides", _shipped), ("right and below", _same)):
        if quick and padding == "right and below":
            continue  # there would be trainings to wait for
        for s in seeds:
            found[f"pasted on scenes, padded on {padding}, seed {s}"] = lambda s=s, load=load: _pasted(
                load(s), [scene.picture for scene in _scenes(scenes)], SCENES, 16
            )
            found[f"maps of objects, padded on {padding}, seed {s}"] = lambda s=s, load=load: _mapped(
                load(s), maps, SCENES[2:], _objects
            )
    found["pasted on scenes, detector, seed 0"] = lambda: _pasted(
        _detector(), [scene.picture for scene in _scenes(scenes)], DETECTOR, 16
    )
    found["maps in its own boxes, detector, seed 0"] = lambda: _mapped(_detector(), maps, DETECTOR, _boxes)
    found["insertion"] = lambda: _filled(quick)
    return found


def _grouped(parts: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Parts that differ in the seed alone, together."""
    groups: dict[str, list[Any]] = {}
    for name, part in parts.items():
        groups.setdefault(name.partition(", seed")[0], []).append(part)
    return groups


def _pasted(view, pictures, layers, count: int) -> dict[str, Any]:
    inputs = view.prepare([pictures[0]])
    places = candidates(lambda x: view.run(inputs.with_tensor(x)), view.model, inputs.tensor, layers)
    return _plain(by_pasting(view, pictures, layers, places, count=count), places)


def _mapped(view, count: int, layers, score) -> dict[str, Any]:
    shown = _scenes(count)
    inputs = view.prepare([shown[0].picture])
    places = candidates(lambda x: view.run(inputs.with_tensor(x)), view.model, inputs.tensor, layers)
    offsets = {}
    for layer in layers:
        offsets |= by_maps(view, shown, layer, places[layer], score)
    return _plain(offsets, places)


def _plain(offsets, places) -> dict[str, Any]:
    return {
        layer: {
            "stride": places[layer]["windows"].stride[1],
            "first": {how: places[layer][how].first for how in WAYS},
            "offset": {how: [median(values[:, axis]) for axis in (0, 1)] for how, values in ways.items()},
            "objects": len(next(iter(ways.values()))),
        }
        for layer, ways in offsets.items()
    }


def _filled(quick: bool) -> dict[str, dict[str, dict[str, float]]]:
    """Insertion - deletion of each photograph, by layer and way."""
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute
    from isotherm.cam.gain import inside
    from isotherm.cam.rerun import ViewRerun
    from isotherm.cam.scores import ClassLogit
    from isotherm.frame import Frame
    from isotherm.metrics.perturbation import deletion, insertion
    from isotherm.ops.resample import to_frame

    view, found = _lite(), {}
    for number, picture in enumerate(_photographs(quick)):
        inputs = view.prepare([picture])
        places = candidates(lambda x, i=inputs: view.run(i.with_tensor(x)), view.model, inputs.tensor, FILLED)
        found[str(number)] = {}
        for layer in FILLED:
            done = attribute(view, inputs, methods=[methods.gradcam], score=ClassLogit(), layers=layer)
            rerun = ViewRerun(view, inputs, done.targets)
            values = done.maps[0].values.float()
            arguments = dict(fill=inputs.blank, steps=STEPS, region=inside(inputs.frame))
            found[str(number)][layer] = {}
            for how, where in places[layer].items():
                frame = inputs.frame[0].to_cells(where.first, where.stride, tuple(values.shape[-2:]))
                on_input = to_frame(values, Frame.stack([frame]), inputs.frame, outside="edge")
                gain = [
                    float(measure(on_input, inputs.tensor, rerun.scores, **arguments).normalised_auc)
                    for measure in (insertion, deletion)
                ]
                found[str(number)][layer][how] = gain[0] - gain[1]
    return found


def _objects(view, inputs, scene):
    """Classes that are found, and the masks of their objects."""
    from isotherm.cam.scores import Classes

    with torch.no_grad():
        logits = view.run(inputs)[0] if isinstance(view.run(inputs), torch.Tensor) else view.run(inputs).logits[0]
    labels = [int(k) for k in scene.labels if logits[int(k)] > 0]
    masks = torch.from_numpy(scene.masks[[list(scene.labels).index(k) for k in labels]])
    return (Classes(tuple(labels)), masks) if labels else None


def _boxes(view, inputs, scene):
    """The detector's own findings, and their boxes as masks."""
    from isotherm.cam.scores import Detection

    with torch.no_grad():
        boxes = view.find(view.run(inputs), inputs).boxes.double().cpu()
    corners = inputs.frame[0].points_to_source(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
    h, w = scene.picture.shape[:2]
    masks = torch.zeros(len(corners), h, w, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, corners.round().int().tolist(), strict=True):
        mask[max(0, y0) : y1, max(0, x0) : x1] = True
    return (Detection(), masks) if len(masks) else None


def _lite(**options):
    from isotherm import open_model

    return open_model("imagenet", **options)


def _shipped(seed: int):
    from isotherm.zoo.scenes.view import load_scenes

    return load_scenes(seed)


def _same(seed: int):
    from bench.places_same import trained
    from isotherm.zoo.scenes.view import wrap

    return wrap(trained(seed))


def _detector():
    from isotherm.zoo.detector.view import load

    return load()


def _photographs(quick: bool):
    from isotherm.data.photographs import PHOTOGRAPHS
    from isotherm.data.pictures import read_picture

    return [read_picture(p.fpath).array for p in (PHOTOGRAPHS[1:2] if quick else PHOTOGRAPHS)]


def _scenes(count: int):
    from isotherm.data.scenes import held_out_scenes

    return list(islice(held_out_scenes(count), count))


if __name__ == "__main__":
    main()
