"""YOLO at 640 x 640: one heatmap, the maps of a hundred findings, EigenCAM, beside the common recipe and pytorch-grad-cam.

Times are ratios to one forward + backward pass (FB) of the same model: the gradient of all class logits at all
weights. ``python -m bench yolo`` (or ``python bench/yolo.py``); ``--quick`` for a look.

The common recipe is what circulates for YOLO heatmaps, written anew: forward with graph, backward from the sum of the
top 1 % of the prediction tensor through all weights, Grad-CAM on five layers, and another forward pass for the boxes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.measure import interleaved, publish, table, threads, write  # noqa: E402

LAYERS = ("model.10", "model.12", "model.14", "model.16", "model.18")
"""The five layers of the recipe; half of them are Concat and Upsample."""
FINDINGS = 100


def common_recipe(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """One Grad-CAM as the circulating scripts compute it: all weights' gradients, and a second forward pass."""
    activations: list[torch.Tensor] = []
    gradients: list[torch.Tensor] = []

    def keep(_module: Any, _args: Any, output: torch.Tensor) -> None:
        activations.append(output.detach())
        output.register_hook(lambda g: gradients.insert(0, g))

    with ExitStack() as stack:
        for name in LAYERS:
            stack.callback(model.get_submodule(name).register_forward_hook(keep).remove)
        dense = _prediction(model(x))
        flat = dense.flatten()
        flat.topk(max(1, flat.numel() // 100)).values.sum().backward()
    maps = []
    for a, g in zip(activations, gradients, strict=True):
        cam = (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu()
        maps.append(torch.nn.functional.interpolate(cam / (cam.max() + 1e-7), x.shape[2:], mode="bilinear"))
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        model(x)  # for the boxes that are drawn on top
    return torch.stack(maps).mean(0)


def _prediction(out: Any) -> torch.Tensor:
    while not isinstance(out, torch.Tensor):
        out = out[0]
    return out


class _FirstTensor(torch.nn.Module):
    """pytorch-grad-cam cannot read YOLO's nested output."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _prediction(self.model(x))


def _prepare(view: Any, size: int) -> Any:
    """The photo on the full square: predict would cut the empty margin off, and the figures would be of a smaller input."""
    from isotherm.models.ultralytics.input import letterbox
    from rigs.yolo_models import bus

    return letterbox([bus()], (size, size), stride=32, like=next(view.model.parameters()), square=True)


def _view(config: str, size: int, device: str = "cpu") -> Any:
    """A view whose confidence threshold lets :data:`FINDINGS` findings through predict's own suppression."""
    from isotherm.models.ultralytics.view import wrap
    from rigs.yolo_models import make_yolo

    yolo = make_yolo(config, size=size)
    yolo.model.to(device)
    view = wrap(yolo, size=size, confidence=0.0, max_detections=FINDINGS)
    view.model.eval()
    inputs = _prepare(view, size)
    with torch.no_grad():
        least = float(view.find(view.run(inputs), inputs).confidence.min())
    return wrap(yolo, size=size, confidence=least * 0.9999, max_detections=FINDINGS)


def yolo_jobs(config: str, size: int, device: str = "cpu") -> tuple[dict[str, Callable[[], Any]], Any, int]:
    """Each job on one picture, the view, and how many findings there are."""
    from isotherm.cam.attribute import attribute
    from isotherm.cam.capture import record
    from isotherm.cam.locality import Refused
    from isotherm.cam.methods.eigencam import eigencam
    from isotherm.cam.methods.gradcam import gradcam
    from isotherm.cam.methods.hirescam import hirescam
    from isotherm.cam.patches import join_maps, level_map, patch_gradients
    from isotherm.cam.scores import Detection
    from isotherm.relevance.modules import resolve

    view = _view(config, size, device)
    model = view.model.eval()

    def prepare() -> Any:
        return _prepare(view, size)

    inputs = prepare()
    x = inputs.tensor
    head_inputs = list(view.auto_layers().layers)
    first = Detection(which=0)

    def fb() -> None:
        model.zero_grad(set_to_none=True)
        _classes(model(x)).sum().backward()
        model.zero_grad(set_to_none=True)

    def forward() -> None:
        with torch.no_grad():
            model(x)

    def floor() -> Any:
        """Forward with the graph from the first head input on, and the gradient of one class logit at all three."""
        recording = record(model, lambda: model(x), resolve(model, head_inputs))
        scores = _classes(recording.raw)
        return recording.gradients(scores.flatten(1).amax(1), torch.tensor([0]))

    def find() -> Any:
        recording = record(model, lambda: view.run(inputs), resolve(model, head_inputs), gradient=False)
        return recording.raw, view.find(recording.raw, inputs)

    def one(layers: Any, method: Any) -> Callable[[], Any]:
        return lambda: attribute(view, prepare(), methods=[method], score=first, layers=layers)

    raw, findings = find()
    targets = Detection()(findings, inputs)

    def all_maps(method: Any) -> Callable[[], Any]:
        def job() -> Any:
            plan = view.patch_plan(raw, findings, targets)
            gradients = patch_gradients(plan)
            assert not isinstance(gradients, Refused), gradients.reason
            maps = [level_map(gradient, method, inputs) for gradient in gradients]
            return join_maps(maps, [gradient.group.targets for gradient in gradients], plan.count)

        return job

    with_graph = record(model, lambda: view.run(inputs), resolve(model, head_inputs))
    graph_findings = view.find(with_graph.raw, inputs)
    graph_targets = Detection()(graph_findings, inputs)

    def dense_one() -> Any:
        return with_graph.gradients(graph_targets.scores[:1], graph_targets.picture[:1], keep_graph=True)

    jobs: dict[str, Callable[[], Any]] = {
        "FB": fb,
        "forward": forward,
        "floor": floor,
        "forward and findings": find,
        "one heatmap, own level": one("auto", hirescam),
        "one heatmap, three levels": one(head_inputs, hirescam),
        "one heatmap, recipe's five layers": one(list(LAYERS), gradcam),
        "maps of all findings, HiResCAM": all_maps(hirescam),
        "maps of all findings, GradCAM": all_maps(gradcam),
        "one dense gradient of one finding": dense_one,
        "common recipe": lambda: common_recipe(model, x),
        "EigenCAM, five layers": one(list(LAYERS), eigencam),
    }
    return jobs, view, len(findings)


def compare(config: str, *, size: int, repeats: int) -> tuple[dict[str, float], int]:
    """Median seconds of each job on one picture, and how many findings there are."""
    from pytorch_grad_cam import EigenCAM

    jobs, view, count = yolo_jobs(config, size)
    seconds = interleaved(jobs, repeats=repeats)
    model, x = view.model, _prepare(view, size).tensor
    pgc = EigenCAM(model=_FirstTensor(model), target_layers=[model.get_submodule(name) for name in LAYERS])
    pgc_targets = [lambda out: out.sum()]
    few = interleaved(
        {"FB": jobs["FB"], "pgc": lambda: pgc(input_tensor=x, targets=pgc_targets)},
        repeats=max(1, repeats // 4),
        warmup=0,
    )
    # pgc's run is long: its own FB beside it keeps the ratio honest on a busy machine
    seconds["pytorch-grad-cam EigenCAM, five layers"] = few["pgc"] / few["FB"] * seconds["FB"]
    return seconds, count


def _classes(out: Any) -> torch.Tensor:
    raw = out[1]
    return (raw.get("one2many", raw))["scores"]


def main(quick: bool = False) -> None:
    threads(2)
    size, repeats = (256, 1) if quick else (640, 9)
    results: dict[str, Any] = {}
    texts: list[str] = []
    for config in ("yolo11s-seg.yaml", "yoloe-11s-seg.yaml"):
        seconds, found = compare(config, size=size, repeats=repeats)
        fb = seconds["FB"]
        ratios = {name: value / fb for name, value in seconds.items()}
        dense = ratios["one dense gradient of one finding"] * found
        eigen = ratios["pytorch-grad-cam EigenCAM, five layers"] / ratios["EigenCAM, five layers"]
        rows = [[name, value * 1e3, ratios[name]] for name, value in seconds.items()]
        rows.append([f"the same {found} maps by a dense gradient each (computed)", dense * fb * 1e3, dense])
        texts.append(
            table(
                f"{config.removesuffix('.yaml')}, {size} x {size}, {found} findings", ["job", "ms", "ratio to FB"], rows
            )
        )
        texts.append(f"EigenCAM is {eigen:.1f} times faster than pytorch-grad-cam's.\n")
        print("\n".join(texts[-2:]))
        results[config] = {
            "size": size,
            "findings": found,
            "seconds": seconds,
            "ratio_to_fb": ratios,
            "dense_maps_of_all_findings_ratio_computed": dense,
            "eigencam_times_faster_than_pgc": eigen,
        }
    write("yolo", {"results": results}, quick=quick)
    publish("yolo", texts, quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
