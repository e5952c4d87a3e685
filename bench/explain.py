"""ResNet-50: every gradient method beside the physical floor, pytorch-grad-cam, torch-cam and captum.

Times are ratios to one forward + backward pass (FB) of the same model on the same pictures. The floor is the least
that any gradient method must do: forward, gradient to the layer, the sum over channels.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable

import numpy as np
import torch

from bench.measure import in_fresh_process, interleaved, publish, rss_mb, table, threads, write

GRADIENT = ("hirescam", "gradcam", "gradcampp", "xgradcam", "layercam", "elementwisecam", "eigengradcam")
PGC = {
    "hirescam": "HiResCAM",
    "gradcam": "GradCAM",
    "gradcampp": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "elementwisecam": "GradCAMElementWise",
    "eigengradcam": "EigenGradCAM",
    "eigencam": "EigenCAM",
}


def _quiet_pgc(kind: str, model: torch.nn.Module, layers: list[torch.nn.Module]):
    import pytorch_grad_cam

    return getattr(pytorch_grad_cam, kind)(model=model, target_layers=layers)


def gradient_jobs(batch: int, size: int, device: str = "cpu") -> dict[str, Callable[[], object]]:
    """Each job on one batch: the pass forward and backward, the floor, every method of ours and of the peers."""
    import torchcam.methods
    import torchvision
    from captum.attr import LayerGradCam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute
    from isotherm.cam.scores import ClassLogit
    from isotherm.models.torchvision.view import wrap

    torch.manual_seed(0)
    model = torchvision.models.resnet50(weights=None).eval().to(device)
    view = wrap(model)
    rng = np.random.default_rng(0)
    inputs = view.prepare([rng.integers(0, 255, (size, size, 3), dtype=np.uint8) for _ in range(batch)])
    x = inputs.tensor
    layer = model.layer4[-1]
    body = torch.nn.Sequential(*list(model.children())[:-2])
    targets = [ClassifierOutputTarget(7)] * batch

    def fb() -> None:
        model.zero_grad(set_to_none=True)
        model(x)[:, 7].sum().backward()

    def forward() -> None:
        with torch.no_grad():
            model(x)

    def floor() -> torch.Tensor:
        with torch.no_grad():
            leaf = body(x)
        leaf.requires_grad_()
        score = model.fc(model.avgpool(leaf).flatten(1))[:, 7].sum()
        (g,) = torch.autograd.grad(score, leaf)
        return (leaf.detach() * g).sum(1)

    def ours(names: tuple[str, ...]) -> None:
        attribute(view, inputs, methods=[getattr(methods, n) for n in names], score=ClassLogit(7), layers="layer4[-1]")

    jobs: dict[str, Callable[[], object]] = {"FB": fb, "forward": forward, "floor": floor}
    jobs |= {f"isotherm {n}": functools.partial(ours, (n,)) for n in (*GRADIENT, "eigencam")}
    jobs["isotherm seven at once"] = functools.partial(ours, GRADIENT)
    for name, kind in PGC.items():
        cam = _quiet_pgc(kind, model, [layer])
        jobs[f"pgc {name}"] = functools.partial(cam, input_tensor=x, targets=targets)
    extractor = torchcam.methods.GradCAM(model, target_layer="layer4")

    def torch_cam() -> None:
        with torch.enable_grad():
            extractor([7] * batch, model(x))

    captum_cam = LayerGradCam(model, layer)
    jobs["torch-cam gradcam"] = torch_cam
    jobs["captum gradcam"] = lambda: captum_cam.attribute(x, target=7)
    return jobs


MEMORY = """
import json, time, numpy as np, torch, torchvision
from bench.measure import peak_rss_mb, rss_mb, threads
threads(2)
torch.manual_seed(0)
model = torchvision.models.resnet18(weights=None).eval()
picture = np.random.default_rng(0).integers(0, 255, ({size}, {size}, 3), dtype=np.uint8)
from isotherm.models.torchvision.view import wrap
view = wrap(model)
inputs = view.prepare([picture])
with torch.no_grad():
    model(inputs.tensor)
before = rss_mb()
start = time.perf_counter()
if {ours}:
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute
    from isotherm.cam.scores import ClassLogit
    attribute(view, inputs, methods=[methods.{name}], score=ClassLogit(7), layers="layer4[-1]")
else:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    import tqdm
    cam = pytorch_grad_cam.{kind}(model=model, target_layers=[model.layer4[-1]])
    start = time.perf_counter()
    cam(input_tensor=inputs.tensor, targets=[ClassifierOutputTarget(7)])
print(json.dumps({{"seconds": time.perf_counter() - start, "memory_mb": peak_rss_mb() - before}}))
"""


def perturbation_methods(size: int) -> list[list[object]]:
    """Seconds and extra peak memory of ScoreCAM and AblationCAM, each in a process of its own."""
    rows: list[list[object]] = []
    for name, kind in (("scorecam", "ScoreCAM"), ("ablationcam", "AblationCAM")):
        mine = in_fresh_process(MEMORY.format(size=size, ours=True, name=name, kind=kind))
        theirs = in_fresh_process(MEMORY.format(size=size, ours=False, name=name, kind=kind))
        rows.append(
            [
                name,
                mine["seconds"],
                theirs["seconds"],
                theirs["seconds"] / mine["seconds"],
                mine["memory_mb"],
                theirs["memory_mb"],
                theirs["memory_mb"] / max(mine["memory_mb"], 1e-9),
            ]
        )
    return rows


def growth(count: int) -> float:
    """Growth of resident memory over many explanations, MB."""
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute
    from isotherm.zoo.scenes.view import load_scenes

    view = load_scenes()
    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)

    def once() -> None:
        attribute(view, view.prepare([picture]), methods=[methods.hirescam, methods.gradcam])

    for _ in range(100):
        once()
    gc.collect()
    before = rss_mb()
    for _ in range(count):
        once()
    gc.collect()
    return rss_mb() - before


def main(quick: bool = False) -> None:
    threads(2)
    size, repeats = (96, 2) if quick else (224, 7)
    results: dict[str, object] = {}
    texts: list[str] = []
    for batch in (1,) if quick else (1, 16):
        seconds = interleaved(gradient_jobs(batch, size), repeats=repeats if batch == 1 else max(2, repeats // 2))
        fb, floor = seconds["FB"], seconds["floor"]
        rows = [[name, s, s / fb, s / floor] for name, s in seconds.items()]
        texts.append(table(f"ResNet-50, {size} px, batch {batch}", ["job", "seconds", "/ FB", "/ floor"], rows))
        print(texts[-1], flush=True)
        results[f"resnet50 batch {batch}"] = {
            name: {"seconds": s, "to_fb": s / fb, "to_floor": s / floor} for name, s in seconds.items()
        }
    rows = perturbation_methods(96 if quick else 224)
    columns = ["method", "isotherm s", "pgc s", "times faster", "isotherm MB", "pgc MB", "times less"]
    texts.append(table("ResNet-18, perturbation methods", columns, rows))
    print(texts[-1], flush=True)
    results["perturbation"] = [dict(zip(columns, row, strict=True)) for row in rows]
    count = 100 if quick else 1000
    grown = growth(count)
    texts.append(f"{count} explanations: resident memory grew by {grown:.2f} MB.\n")
    print(texts[-1])
    results["growth_mb"] = {"explanations": count, "mb": grown}
    write("explain", results, quick=quick)
    publish("explain", texts, quick=quick)


if __name__ == "__main__":
    main()
