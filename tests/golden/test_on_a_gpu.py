"""What a GPU answers beside the processor, by the public doors: labels, places and verdicts the same, values to single precision.

Convolutions and products are asked for in full single precision here; TF32, which torch allows convolutions by default, is
measured by ``python -m bench gpu``.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

import isotherm
from golden.cases import GRADIENT, HERE, TOKEN, training_command

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

TOLERANCE = 2e-3
"""Of a map's largest magnitude: sums of a network in another order, in single precision."""

SCENE = HERE / "scene.jpg"
CHANGED = ("ablationcam", "scorecam", "occlusion", "rise")
"""Methods that score changed pictures."""

CASES = {
    **{name: ("scenes", SCENE, {"method": name}) for name in (*GRADIENT, "eigencam", "kpcacam", *CHANGED)},
    "finercam": ("scenes", SCENE, {"method": "finercam", "target": isotherm.TopK(4)}),
    "smoothed by direction": ("scenes", SCENE, {"smooth": "eigen"}),
    "smoothed by copies": ("scenes", SCENE, {"smooth": "augment"}),
    "detector": ("detector", SCENE, {}),
    "detector, boxes": ("detector", SCENE, {"target": isotherm.Detection(of="left")}),
    "question": ("tiny-vlm", HERE / "shapes-count.png", {"prompt": "how many red ?", "method": list(TOKEN)}),
    "where": ("tiny-vlm", HERE / "shapes-where.png", {"prompt": "where is green ?", "method": list(TOKEN)}),
    "resnet18": ("torchvision:resnet18", SCENE, {"weights": "none"}),
    "vit": ("timm:vit_tiny_patch16_224", SCENE, {"weights": "none"}),
    "convnext": ("timm:convnext_atto", SCENE, {"weights": "none"}),
    "segmenter": ("torchvision:lraspp_mobilenet_v3_large", SCENE, {"weights": "none"}),
}


@pytest.fixture(autouse=True)
def _full_precision():
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False  # products are in full precision by default, convolutions are not
    yield
    torch.backends.cudnn.allow_tf32 = before


def _both(model, picture, options):
    """The same explanation by the processor and by the GPU."""
    weights = {key: options[key] for key in ("weights",) if key in options}
    rest = {key: value for key, value in options.items() if key not in weights}
    return [
        isotherm.explain(isotherm.open_model(model, device=device, seed=0, **weights), picture, seed=0, **rest)
        for device in ("cpu", "cuda")
    ]


def assert_alike(ours, theirs):
    """Labels equal, frames equal, values as near as single precision allows."""
    assert [_name(m.label) for m in ours] == [_name(m.label) for m in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.frame.to_source, other.frame.to_source.cpu())
        a, b = (m.values.detach().cpu().double() for m in (one, other))
        assert torch.allclose(a, b, rtol=0, atol=TOLERANCE * float(a.abs().max()), equal_nan=True), float(
            (a - b).abs().max() / a.abs().max()
        )


def _name(label: str) -> str:
    return label.rpartition(" ")[0] if label.endswith("%") else label


@pytest.mark.parametrize("case", CASES)
def test_a_gpu_says_what_the_processor_says(case):
    model, picture, options = CASES[case]
    on_cpu, on_gpu = _both(model, picture, {"trust": "off", **options})
    assert_alike(on_cpu, on_gpu)
    if "prompt" in options:
        assert on_cpu.answer == on_gpu.answer


@pytest.mark.parametrize("level", ["fast", "full"])
@pytest.mark.parametrize("model", ["scenes", "detector"])
def test_verdicts_are_the_same(model, level):
    on_cpu, on_gpu = _both(model, SCENE, {"trust": level})
    assert [t and t.verdict for t in on_cpu.trust] == [t and t.verdict for t in on_gpu.trust]


def test_random_weights_are_the_same():
    """Each kind of device draws other numbers from a seed; a verdict that rests on random weights may not depend on it."""
    from isotherm.metrics.randomisation import randomised

    drawn = []
    for device in ("cpu", "cuda"):
        layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.MultiheadAttention(8, 2)]
        torch.manual_seed(1)
        model = torch.nn.Sequential(*layers).to(device)
        model.register_parameter("scale", torch.nn.Parameter(torch.full((4,), 2.0, device=device)))
        with randomised(model, seed=3):
            drawn.append({name: p.detach().cpu() for name, p in model.named_parameters()})
            assert all(p.device.type == device for p in model.parameters())
    assert all(torch.equal(value, drawn[1][name]) for name, value in drawn[0].items())


def test_the_verdict_of_an_answer_is_the_same():
    on_cpu, on_gpu = _both("tiny-vlm", HERE / "shapes-count.png", {"prompt": "how many red ?"})
    assert [t and t.verdict for t in on_cpu.trust] == [t and t.verdict for t in on_gpu.trust]


def test_a_clip():
    clip = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
    assert_alike(*_both("torchvision:r3d_18", clip, {"weights": "none", "trust": "off"}))


def test_losses_and_decoders():
    from isotherm import decode, losses

    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 24, 32, generator=generator)
    points = torch.rand(2, 3, 2, generator=generator) * torch.tensor([32.0, 24.0])
    for loss in (losses.gaussian_mse, losses.gaussian_cross_entropy):
        exact = loss(maps.double(), points.double(), sigma_cells=1.5)
        assert loss(maps.cuda(), points.cuda(), sigma_cells=1.5).item() == pytest.approx(exact.item(), rel=1e-5)
    peaks = torch.exp(-((maps - maps.amax((2, 3), keepdim=True)) ** 2))
    for name in ("argmax", "quarter_offset", "dark", "soft_argmax", "local_soft_argmax"):
        on_cpu, on_gpu = getattr(decode, name)(peaks), getattr(decode, name)(peaks.cuda())
        torch.testing.assert_close(on_gpu.xy.cpu(), on_cpu.xy, atol=1e-3, rtol=0)
    for name in ("least_squares", "moment_inverse"):
        on_cpu = getattr(decode, name)(peaks, sigma_cells=1.5)
        on_gpu = getattr(decode, name)(peaks.cuda(), sigma_cells=1.5)
        torch.testing.assert_close(on_gpu.xy.cpu(), on_cpu.xy, atol=1e-2, rtol=0)


def test_the_command_explains_on_a_gpu(tmp_path):
    from isotherm.cli.main import main
    from isotherm.runs.read import read_items

    out = tmp_path / "run"
    assert not main(["explain", str(SCENE), "--model", "scenes", "--device", "cuda:0", "--out", str(out)])
    (item,) = read_items(out)
    assert item["status"] == "done"
    assert item["maps"]


def test_a_training_on_a_gpu_learns(tmp_path):
    from isotherm.cli.main import main

    assert not main([*training_command(tmp_path / "run"), "--device", "cuda"])
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file) if row.get("loss")]
    assert losses[-1] < losses[0]
