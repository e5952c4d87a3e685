"""What isotherm answers today, by its public doors alone: maps, verdicts, answers, losses, decoders, a short training.

Whoever moves code runs these cases before and after. Only names that users know appear here, so that the cases run on either side
of a move. Each case gives named arrays; a text counts as the bytes of its UTF-8.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
Arrays = dict[str, np.ndarray]

GRADIENT = (
    "gradcam",
    "gradcampp",
    "hirescam",
    "xgradcam",
    "layercam",
    "elementwisecam",
    "eigengradcam",
    "shapleycam",
    "fullgrad",
    "integratedgradients",
)
TOKEN = ("propagation", "attention_gradient", "attention")


def _text(words: str) -> np.ndarray:
    return np.frombuffer(words.encode(), np.uint8)


def _explained(explanation) -> Arrays:
    """Values, frames and labels of every map, and the figures of every verdict."""
    out: Arrays = {"labels": _text("\n".join(m.label for m in explanation))}
    for i, m in enumerate(explanation):
        out[f"values/{i}"] = m.values.detach().double().numpy()
        out[f"frame/{i}"] = m.frame.to_source.numpy()
    for i, trust in enumerate(explanation.trust):
        if trust is not None:
            out[f"verdict/{i}"] = _text(trust.verdict)
    return out


def scenes() -> Arrays:
    """The shipped classifier: every method that needs one pass, on one class."""
    import isotherm

    return _explained(
        isotherm.explain("scenes", HERE / "scene.jpg", method=[*GRADIENT, "eigencam", "kpcacam"], seed=0, trust="off")
    )


def scenes_again() -> Arrays:
    """The shipped classifier: the methods that score changed pictures, and the one that compares classes."""
    import isotherm
    from isotherm.cam.methods import RISE

    out = {}
    for name, method in (
        ("ablationcam", "ablationcam"),
        ("scorecam", "scorecam"),
        ("occlusion", "occlusion"),
        ("rise", RISE(masks=64, seed=0)),
    ):
        out |= {
            f"{name}/{k}": v
            for k, v in _explained(
                isotherm.explain("scenes", HERE / "scene.jpg", method=method, seed=0, trust="off")
            ).items()
        }
    out |= {
        f"finercam/{k}": v
        for k, v in _explained(
            isotherm.explain(
                "scenes", HERE / "scene.jpg", target=isotherm.TopK(4), method="finercam", seed=0, trust="off"
            )
        ).items()
    }
    return out


def verdicts() -> Arrays:
    """The fast check of two maps of the shipped classifier."""
    import isotherm

    return _explained(isotherm.explain("scenes", HERE / "scene.jpg", method=["hirescam", "eigencam"], seed=0))


def smoothed() -> Arrays:
    """Several layers, fused, with both ways of smoothing."""
    import isotherm

    view = isotherm.open_model("scenes")
    layers = [name for name, _ in view.model.named_modules() if name][-6:-4]
    out = {"layers": _text(" ".join(layers))}
    for smooth in ("eigen", "augment"):
        out |= {
            f"{smooth}/{k}": v
            for k, v in _explained(
                isotherm.explain(view, HERE / "scene.jpg", method="hirescam", smooth=smooth, seed=0, trust="off")
            ).items()
        }
    return out


def detector() -> Arrays:
    """The shipped detector: a map of everything that it found."""
    import isotherm

    explanation = isotherm.explain("detector", HERE / "scene.jpg", seed=0, trust="off")
    boxes = np.array([f.box for f in explanation.findings])
    return {
        **_explained(explanation),
        "boxes": boxes,
        "confidences": np.array([f.confidence for f in explanation.findings]),
    }


def photograph() -> Arrays:
    """The network that was really trained, on a photograph."""
    import isotherm
    from isotherm.data.photographs import PHOTOGRAPHS

    return _explained(
        isotherm.explain("imagenet", PHOTOGRAPHS[1].fpath, method=["gradcam", "hirescam"], seed=0, trust="off")
    )


def questions() -> Arrays:
    """The shipped vision-language model: its answers and their maps."""
    import isotherm

    out: Arrays = {}
    for name, prompt in (("count", "how many red ?"), ("where", "where is green ?")):
        explanation = isotherm.explain(
            "tiny-vlm", HERE / f"shapes-{name}.png", prompt=prompt, method=list(TOKEN), seed=0, trust="off"
        )
        out |= {f"{name}/{k}": v for k, v in _explained(explanation).items()} | {
            f"{name}/answer": _text(explanation.answer)
        }
    return out


def families() -> Arrays:
    """Networks of other packages with weights from a seed: what is found, where, and the default map of it."""
    import isotherm

    out: Arrays = {}
    for model in (
        "torchvision:resnet18",
        "timm:vit_tiny_patch16_224",
        "timm:convnext_atto",
        "torchvision:lraspp_mobilenet_v3_large",
    ):
        view = isotherm.open_model(model, weights="none", seed=0)
        out |= {
            f"{model}/{k}": v for k, v in _explained(isotherm.explain(view, HERE / "scene.jpg", trust="off")).items()
        }
    return out


def losses() -> Arrays:
    """Every loss and its gradient, on noise."""
    from isotherm import losses as of

    g = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 4, 12, 16, generator=g, dtype=torch.float64)
    points = torch.rand(3, 4, 2, generator=g, dtype=torch.float64) * torch.tensor([18.0, 14.0]) - 1
    target = torch.softmax(torch.randn(3, 4, 12 * 16, generator=g, dtype=torch.float64), -1).view_as(maps)
    peaks = torch.rand(3, 4, 12, 16, generator=g, dtype=torch.float64)
    calls: dict[str, Callable] = {
        "gaussian_cross_entropy": lambda m: of.gaussian_cross_entropy(m, points, sigma_cells=1.5),
        "gaussian_mse": lambda m: of.gaussian_mse(m, points, sigma_cells=1.5),
        "cross_entropy": lambda m: of.cross_entropy(m, target),
        "mse": lambda m: of.mse(m, peaks),
        "kl": lambda m: of.kl(m, target),
        "js": lambda m: of.js(m, target),
        "adaptive_wing": lambda m: of.adaptive_wing(torch.sigmoid(m), peaks),
    }
    out: Arrays = {}
    for name, call in calls.items():
        leaf = maps.clone().requires_grad_()
        loss = call(leaf)
        loss.backward()
        out[name], out[f"{name}/gradient"] = loss.detach().numpy(), leaf.grad.numpy()
    return out


def decoders() -> Arrays:
    """Every decoder, on clean maps that reach beyond the border, and on noise."""
    from isotherm import Frame, decode, targets

    g = torch.Generator().manual_seed(1)
    points = torch.rand(2, 5, 2, generator=g) * torch.tensor([66.0, 50.0]) - 1
    frame = Frame.resize((48, 64), (12, 16))
    clean = targets.gaussian(points, frame, sigma_cells=1.2).heatmap.values
    noise = torch.rand(2, 5, 12, 16, generator=g)
    out: Arrays = {}
    for kind, maps in (("clean", clean), ("noise", noise)):
        for name in ("argmax", "quarter_offset", "dark", "least_squares"):
            options = {"sigma_cells": 1.2} if name == "least_squares" else {}
            out[f"{name}/{kind}"] = _points(getattr(decode, name)(maps, frame, **options))
        for name in ("moment_inverse", "soft_argmax", "local_soft_argmax"):
            options = {"sigma_cells": 1.2} if name == "moment_inverse" else {}
            out[f"{name}/{kind}"] = _points(getattr(decode, name)((maps + 1e-6).log(), frame, **options))
    return out


def arrays() -> Arrays:
    """What NumPy arrays give: targets, losses and decoders, on clean maps that reach beyond the border, and on noise."""
    from isotherm import Frame, decode, targets
    from isotherm import losses as of

    random = np.random.default_rng(2)
    points = random.uniform([-1, -1], [65, 49], (2, 5, 2))
    frame = Frame.resize((48, 64), (12, 16))
    clean, noise = targets.gaussian(points, frame, sigma_cells=1.2), random.random((2, 5, 12, 16))
    out: Arrays = {"gaussian": clean}
    for kind, maps in (("clean", clean), ("noise", noise)):
        logits = np.log(maps + 1e-6)
        for name, found in (
            ("argmax", decode.argmax(maps, frame)),
            ("least_squares", decode.least_squares(maps, frame, sigma_cells=1.2)),
            ("moment_inverse", decode.moment_inverse(logits, frame, sigma_cells=1.2)),
            ("soft_argmax", decode.soft_argmax(logits, frame)),
        ):
            out[f"{name}/{kind}/xy"], out[f"{name}/{kind}/score"] = np.asarray(found.xy), np.asarray(found.score)
        out[f"gaussian_mse/{kind}"] = np.asarray(of.gaussian_mse(maps, points, frame, sigma_cells=1.2))
        out[f"gaussian_cross_entropy/{kind}"] = np.asarray(
            of.gaussian_cross_entropy(logits, points, frame, sigma_cells=1.2)
        )
    return out


def _points(found) -> np.ndarray:
    return torch.cat([found.xy.double(), found.score.double()[..., None]], -1).numpy()


def training() -> Arrays:
    """Sixty steps of a small keypoint model, from the command line, the weights that come out."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "run"
        _command([*training_command(out), "--device", "cpu"])
        from safetensors.numpy import load_file

        return {k: v for k, v in load_file(out / "model.safetensors").items() if v.dtype.kind == "f"}


def training_command(out: Path) -> list[str]:
    """The words that ask for that training in a folder."""
    few = [
        {"format": "generated", "split": split, "count": count, "side": 64}
        for split, count in (("training", 64), ("validation", 16))
    ]
    changes = {
        "data.train": json.dumps(few[:1]),
        "data.validation": json.dumps(few[1:]),
        "training.steps": 60,
        "training.keep_every": 30,
        "training.schedule.warm_up": 5,
    }
    recipe = HERE.parents[1] / "recipes" / "first_beetles.yaml"
    words = ["train", "keypoints", "--config", str(recipe), "--out", str(out), "--quiet"]
    return [*words, *(word for key, value in changes.items() for word in ("--set", f"{key}={value}"))]


def _command(arguments: list[str]) -> str:
    """What a command prints; its exit code must be 0."""
    from isotherm.cli.main import main

    shown = StringIO()
    with redirect_stdout(shown), redirect_stderr(shown):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
    if code:
        raise RuntimeError(f"isotherm {' '.join(arguments)} ended with {code}:\n{shown.getvalue()}")
    return shown.getvalue()


CASES: tuple[Callable[[], Arrays], ...] = (
    scenes,
    scenes_again,
    verdicts,
    smoothed,
    detector,
    photograph,
    questions,
    families,
    losses,
    decoders,
    arrays,
    training,
)


def save(fpath: str | Path, cases: Sequence[Callable[[], Arrays]] = CASES) -> None:
    """Run cases and write ``case/array`` into an npz file."""
    torch.set_num_threads(1)  # sums have one order then
    np.savez(fpath, **{f"{case.__name__}/{name}": array for case in cases for name, array in case().items()})


if __name__ == "__main__":
    save(Path(sys.argv[1]))
