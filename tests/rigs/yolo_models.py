"""YOLO models for tests and benches: architecture from the package, seeded random weights, batch norms that know a real photo."""

from __future__ import annotations

import copy
import os
from functools import cache
from pathlib import Path

os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")

import numpy as np
import torch
from PIL import Image
from torch import nn

TINY_RTDETR = str(Path(__file__).parent / "rtdetr-tiny.yaml")


@cache
def bus() -> np.ndarray:
    """The photo that the package ships, (1080, 810, 3) RGB."""
    from ultralytics.utils import ASSETS

    return np.asarray(Image.open(ASSETS / "bus.jpg").convert("RGB"))


def embeddings(count: int, width: int = 512) -> torch.Tensor:
    """(count, width) random unit vectors, as text encoders give."""
    generator = torch.Generator().manual_seed(7)
    return nn.functional.normalize(torch.randn(count, width, generator=generator), dim=-1)


def make_yolo(config: str, *, seed: int = 0, size: int = 320):
    """A YOLO, YOLOE or RTDETR object that finds things on :func:`bus`.

    Random weights with default batch-norm statistics put out a constant. Here every batch norm takes the statistics
    of the photo, layer by layer in one pass, and the class outputs are spread so that confidences differ.
    """
    import ultralytics
    from ultralytics.data.augment import LetterBox

    torch.manual_seed(seed)
    yolo = (ultralytics.RTDETR if "rtdetr" in config else ultralytics.YOLO)(config)
    model = yolo.model
    # the very pixels of predict: with other interpolation a deep random net sees another picture
    side = LetterBox((size, size))(image=bus())
    tensor = torch.from_numpy(np.ascontiguousarray(side)).permute(2, 0, 1)[None].float() / 255
    batch = torch.cat([tensor, tensor.flip(3)])
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.momentum for m in norms]
    if "yoloe" in config:
        yolo.set_classes([f"thing{i}" for i in range(6)], embeddings(6)[None])
    for m in norms:
        m.momentum = 1.0  # running statistics become those of this batch
    model.train()
    with torch.no_grad():
        model(batch)
        model.eval()
        for m, momentum in zip(norms, before, strict=True):
            m.momentum = momentum
        _spread(model, batch, torch.Generator().manual_seed(seed))
    return yolo


def _spread(model: nn.Module, batch: torch.Tensor, generator: torch.Generator) -> None:
    """Last layers redrawn and scaled, so that confidences and boxes differ from cell to cell as trained ones do."""
    head = model.model[-1]
    contrast = [m for m in head.modules() if hasattr(m, "logit_scale")]
    wanted: dict[nn.Module, tuple[float, float]] = {}
    for name, (mean, spread) in {
        "cv2": (3.0, 0.5),
        "cv3": (-6.0, 1.5),
        "cv4": (0.0, 1.0),
        "cv5": (0.0, 1.0),
        "cv4_kpts": (0.0, 1.0),
    }.items():
        for branches in (getattr(head, name, None), getattr(head, f"one2one_{name}", None)):
            for branch in branches or ():
                last = branch[-1] if isinstance(branch, nn.Sequential) else branch
                if isinstance(last, nn.Conv2d):
                    wanted[last] = (mean, spread)
    for layer in getattr(head, "dec_score_head", ()):
        wanted[layer] = (-2.0, 1.5)
    if hasattr(head, "linear"):
        wanted[head.linear] = (0.0, 2.0)
    for mlp in getattr(head, "dec_bbox_head", ()):
        mlp.layers[-1].weight.normal_(0, 0.02, generator=generator)
    for last in wanted:
        last.weight.normal_(0, 1, generator=generator)
        last.bias.zero_()

    def settle(module: nn.Module, _args, out: torch.Tensor) -> torch.Tensor:
        if module in contrast:
            factor = 1.5 / out.std()
            module.logit_scale += factor.log()
            shift = -4.0 - (out.mean() - module.bias) * factor
            module.bias.copy_(shift)
            return out
        mean, spread = wanted[module]
        factor = spread / out.std()
        module.weight.mul_(factor)
        module.bias.fill_(mean - float(out.mean() * factor))
        return (
            out * factor + module.bias.view(-1, *[1] * (out.ndim - 2))
            if isinstance(module, nn.Conv2d)
            else out * factor + module.bias
        )

    handles = [m.register_forward_hook(settle) for m in (*wanted, *contrast)]
    model(batch)
    for handle in handles:
        handle.remove()
    head.shape = None


@cache
def _as_made(config: str):
    return make_yolo(config)


def fresh(config: str):
    """:func:`make_yolo`'s, as nobody has used it: a copy, which takes far less than making one."""
    return copy.deepcopy(_as_made(config))


@cache
def made(config: str):
    """:func:`make_yolo`, once per config; whoever changes it takes :func:`fresh`."""
    return fresh(config)


def predict(yolo, picture: np.ndarray, **arguments):
    """The package's own predict of one RGB picture, and the very model that it ran."""
    arguments = {"imgsz": 320, "verbose": False, "save": False, **arguments}
    result = yolo.predict(np.ascontiguousarray(picture[..., ::-1]), **arguments)[0]
    used = yolo.predictor.model
    yolo.predictor = None
    return result, used
