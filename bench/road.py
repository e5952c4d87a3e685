"""ROAD's imputation beside pytorch-grad-cam's: seconds per picture, same masks, same answer."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F

from bench.measure import interleaved, publish, table, threads, write
from isotherm.metrics import linear_imputation

FRACTIONS = tuple(f / 10 for f in range(1, 10))


def _scene(size: int, grid: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture with detail, and what MoRF and LeRF remove of it at each tenth: (3, s, s) and (18, s, s)."""
    generator = torch.Generator().manual_seed(seed)
    picture = F.interpolate(
        torch.randn(1, 3, size // 8, size // 8, generator=generator), (size, size), mode="bilinear"
    )[0]
    picture = picture + 0.1 * torch.randn(3, size, size, generator=generator)
    relevance = F.interpolate(
        torch.randn(1, 1, grid, grid, generator=generator), (size, size), mode="bilinear"
    ).flatten()
    rank = relevance.argsort(descending=True).argsort().reshape(size, size)
    counts = [round(f * size * size) for f in FRACTIONS]
    removed = [rank < n for n in counts] + [rank >= size * size - n for n in counts]
    return picture, torch.stack(removed)


def main(*, quick: bool = False) -> None:
    """Print the table and, unless quick, write results/road.json."""
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    count = threads(1)
    rows, results = [], {}
    for size, grid in ((96, 7),) if quick else ((224, 7), (224, 14), (224, 56)):
        picture, removed = _scene(size, grid, seed=size + grid)
        batch = picture.expand(len(removed), -1, -1, -1)
        kept, theirs = (~removed).float(), NoisyLinearImputer(noise=0.0)

        def ours(batch=batch, removed=removed) -> torch.Tensor:
            return linear_imputation(batch, removed)

        def pgc(picture=picture, kept=kept, theirs=theirs) -> torch.Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.stack([theirs(picture, k) for k in kept])

        error = float((ours() - pgc()).abs().max())
        seconds = interleaved({"isotherm": ours, "pytorch-grad-cam": pgc}, repeats=1 if quick else 3)
        ratio = seconds["pytorch-grad-cam"] / seconds["isotherm"]
        rows.append(
            [
                f"{size}x{size}, map {grid}x{grid}",
                seconds["isotherm"],
                seconds["pytorch-grad-cam"],
                ratio,
                f"{error:.1e}",
            ]
        )
        results[f"{size}, map {grid}"] = {"seconds": seconds, "ratio": ratio, "largest_difference": error}
    columns = ["picture", "isotherm s", "pytorch-grad-cam s", "times faster", "largest difference"]
    text = table(f"ROAD: 18 imputations (MoRF and LeRF, 10 to 90 %) of one picture, {count} thread", columns, rows)
    print(text)
    publish("road", [text], quick=quick)
    write("road", {"imputations_per_picture": 2 * len(FRACTIONS), "rows": results}, quick=quick)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small picture, nothing written")
    main(quick=parser.parse_args().quick)
