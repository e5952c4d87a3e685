"""What each way for gaze into V-JEPA 2 ViT-L adds: parameters at both sites, and processor time of one pass at the features.

The pass is the predictor over the features of four frames of 256 x 256 (512 tokens and 256 of the future) with random weights, with
and without the way, as a ratio of processor seconds with one thread; turns alternate, and the median of the ratios counts, since the
machine may have other work. The published configuration: 24 encoder layers of 1024 channels, 12 predictor layers of 384.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.measure import insert, table, threads, write
from isotherm.gaze.backbone import VideoBackbone
from isotherm.gaze.fusion import FUSIONS, VARIANTS, fusion_from
from isotherm.gaze.gate import opened_gates
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.model import AnticipationConfig, AnticipationModel
from isotherm.gaze.probe import ProbeConfig
from isotherm.models.transformers.vjepa2.build import make_vjepa2

PAGE = Path(__file__).parents[1] / "docs" / "anticipation.md"
FRAMES = 4
SIZE = (256, 256)


def parameters(backbone: VideoBackbone, name: str, at: str) -> int:
    """How many a fusion has, at a site of the published configuration."""
    with torch.device("meta"):
        config = fusion_from({"name": name, "at": at})
        assert config is not None
        return sum(p.numel() for p in config.make(backbone.site(config.at)).parameters())


def made(settings: Any, name: str) -> AnticipationModel:
    """A model whose encoder has no layers, as its features are given."""
    config = AnticipationConfig(classes={"action": 1}, probe=ProbeConfig(blocks=0), fusion=fusion_from(name))
    return AnticipationModel(make_vjepa2(settings, seed=0), config).eval()


def cost(with_gaze: Callable[[], Any], without: Callable[[], Any], turns: int) -> tuple[float, float]:
    """(median ratio of processor seconds, median seconds without)."""

    def seconds(job: Callable[[], Any]) -> float:
        start = time.process_time()
        job()
        return time.process_time() - start

    with_gaze(), without()
    pairs = [(seconds(with_gaze), seconds(without)) for _ in range(turns)]
    return statistics.median(a / b for a, b in pairs), statistics.median(b for _, b in pairs)


def main(*, quick: bool = False) -> None:
    from transformers import VJEPA2Config

    threads(1)
    config = VJEPA2Config()
    with torch.device("meta"):
        backbone = VideoBackbone(make_vjepa2(config, seed=0))
    generator = torch.Generator().manual_seed(0)
    gaze = GazeInputs(
        torch.rand(1, FRAMES, 2, generator=generator) * SIZE[0],
        torch.zeros(1, FRAMES, dtype=torch.long),
        torch.ones(1, FRAMES),
        torch.arange(1.0 - FRAMES, 1)[None] / 8,
        SIZE,
    )
    features = torch.randn(1, FRAMES // 2 * 256, 1024, generator=generator)
    rows, results = [], {}
    for name in (*FUSIONS, *VARIANTS):
        counts = {at: parameters(backbone, name, at) for at in ("features", "embeddings")}
        model = made(config.to_dict() | {"num_hidden_layers": 0}, name)
        with torch.no_grad(), opened_gates(model):
            ratio, base_s = cost(
                lambda: model.context(features, gaze, 1.0),  # noqa: B023
                lambda: model.context(features, None, 1.0),  # noqa: B023
                2 if quick else 5,
            )
        results[name] = {**counts, "ratio": round(ratio, 3), "seconds_without": round(base_s, 3)}
        rows.append([name, *(f"{counts[at] / 1e3:,.0f} k" for at in counts), f"{ratio:.2f}"])
        print(rows[-1], flush=True)
    text = table(
        f"What a way for gaze adds to V-JEPA 2 ViT-L ({sum(p.numel() for p in backbone.parameters()) / 1e6:.0f} M parameters)",
        ["gaze", "parameters at the features", "parameters at the embeddings", "time of the predictor's pass, times"],
        rows,
    )
    print(text)
    write("fusions", {"fusions": results}, quick=quick)
    if not quick:
        insert(PAGE, "fusions", text)
