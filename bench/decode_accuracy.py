"""Where decoders put points, in cells from the truth: ours beside the published ones, and beside what the noise allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from bench.measure import table, threads, write
from isotherm.decode import argmax, dark, least_squares, local_soft_argmax, moment_inverse, quarter_offset, soft_argmax
from isotherm.ops.gaussian import axis_exponent, outer, peak_vectors

SIZE = 64
PEAK_NOISE, LOGIT_NOISE = 0.05, 0.3
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "decode_error.png"
PLACES = {"interior": (8.0, 56.0), "border": (0.0, 2.0), "to 2 cells outside": (-2.0, 0.0)}
# the peers are ours by their formulas; tests/decode/test_peers.py holds them against mmpose's, transformers' and sleap-nn's
PEAK: dict[str, Callable[[Tensor, float], Tensor]] = {
    "argmax": lambda m, s: argmax(m).xy,
    "argmax + 1/4": lambda m, s: quarter_offset(m).xy,
    "DARK, mmpose": lambda m, s: dark(m).xy,
    "DARK-UDP, mmpose": lambda m, s: dark(m, stencil="udp").xy,
    "DARK, transformers": lambda m, s: dark(m, stencil="udp", blur_sigma=0.8).xy,
    "soft-argmax on a peak map, T = 1": lambda m, s: soft_argmax(m, kind="logits").xy,
    "soft-argmax on a peak map, T = 1/25": lambda m, s: soft_argmax(m, kind="logits", temperature=1 / 25).xy,
    "5 x 5 centroid, sleap-nn": lambda m, s: local_soft_argmax(m).xy,
    "least_squares, sigma fitted": lambda m, s: least_squares(m).xy,
    "least_squares": lambda m, s: least_squares(m, sigma_cells=s).xy,
}
LOGITS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "logits: soft-argmax": lambda m, s: soft_argmax(m).xy,
    "logits: moment_inverse": lambda m, s: moment_inverse(m, sigma_cells=s).xy,
}


def places(count: int, where: str, generator: torch.Generator) -> Tensor:
    """(count, 1, 2): for the border one coordinate of two lies near one of its two ends, the other one is in the interior."""
    low, high = PLACES[where]
    xy = 8 + 48 * torch.rand(count, 2, generator=generator)
    if where != "interior":
        near = low + (high - low) * torch.rand(count, generator=generator)
        side = torch.randint(4, (count,), generator=generator)
        xy[torch.arange(count), side // 2] = torch.where(side % 2 == 0, near, SIZE - near)
    return xy[:, None]


def peak_maps(xy: Tensor, sigma: float) -> Tensor:
    return outer(*peak_vectors(xy, torch.full_like(xy, sigma), (SIZE, SIZE)))


def logit_maps(xy: Tensor, sigma: float) -> Tensor:
    wide = torch.full_like(xy[..., 0], sigma)
    return axis_exponent(xy[..., 1], wide, SIZE)[..., :, None] + axis_exponent(xy[..., 0], wide, SIZE)[..., None, :]


def bound(xy: Tensor, sigma: float, noise: float) -> float:
    """Mean Euclidean error of an estimate that reaches the Cramer-Rao bound, amplitude unknown and sigma known.

    Fisher information J^T J / noise^2 by the derivatives over every cell; the error's norm by numbers drawn from it.
    """
    xy = xy.double()
    cells = torch.arange(SIZE, dtype=torch.float64) + 0.5
    g = peak_maps(xy, sigma)[:, 0]
    dx = g * (cells - xy[:, :, :1]) / sigma**2
    dy = g * (cells[:, None] - xy[:, :, 1:]) / sigma**2
    jacobian = torch.stack([dx, dy, g], 1).flatten(2)
    covariance = torch.linalg.inv(jacobian @ jacobian.mT)[:, :2, :2] * noise**2
    draws = torch.randn(len(xy), 200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return float((draws @ torch.linalg.cholesky(covariance).mT).norm(dim=-1).mean())


def measure(count: int) -> dict[str, dict[str, list[float]]]:
    """Mean errors in cells: decoder -> column -> one per sigma."""
    generator = torch.Generator().manual_seed(0)
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in [*PEAK, "Cramer-Rao bound of a peak map", *LOGITS]}
    for sigma in (1.0, 2.0, 3.0):
        for where in PLACES:
            xy = places(count, where, generator)
            peak_noise, logit_noise = (torch.randn(count, 1, SIZE, SIZE, generator=generator) for _ in range(2))
            for condition, scale in (("clean", 0.0), ("noisy", 1.0)):
                column = f"{condition} {where}"
                for decoders, maps in (
                    (PEAK, peak_maps(xy, sigma) + scale * PEAK_NOISE * peak_noise),
                    (LOGITS, logit_maps(xy, sigma) + scale * LOGIT_NOISE * logit_noise),
                ):
                    for name, decode in decoders.items():
                        rows[name].setdefault(column, []).append(float((decode(maps, sigma) - xy).norm(dim=-1).mean()))
                limit = bound(xy, sigma, PEAK_NOISE) if scale else 0.0
                rows["Cramer-Rao bound of a peak map"].setdefault(column, []).append(limit)
    return rows


def draw(fpath: Path, sigma: float = 2.0) -> None:
    """Errors on clean maps over the position along one axis, from 2 cells outside to the middle."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    along = torch.linspace(-2, 8, 401)
    xy = torch.stack([along, torch.full_like(along, 31.3)], -1)[:, None]
    shown = {name: PEAK[name] for name in ("argmax", "argmax + 1/4", "DARK, mmpose", "DARK-UDP, mmpose", "5 x 5 centroid, sleap-nn", "least_squares")}
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for decoders, maps, style in ((shown, peak_maps(xy, sigma), "-"), (LOGITS, logit_maps(xy, sigma), "--")):
        for name, decode in decoders.items():
            error = (decode(maps, sigma) - xy)[:, 0, 0].abs().clamp_min(1e-6)
            axes.semilogy(along, error, style, label=name, linewidth=2.2 if name in ("least_squares", "logits: moment_inverse") else 1.0)
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set(xlabel="true x in cells (0 is the edge of the map)", ylabel="error along x in cells", title=f"Clean maps of {SIZE} x {SIZE} cells, sigma {sigma:g}")
    axes.legend(fontsize=8, ncols=2, loc="lower right")
    fpath.parent.mkdir(exist_ok=True)
    figure.savefig(fpath, dpi=110)


def main(*, quick: bool = False) -> None:
    """Print the table and, unless quick, write results/decode_accuracy.json and the picture."""
    threads(1)
    count = 100 if quick else 1500
    rows = measure(count)
    columns = [f"{condition} {where}" for condition in ("clean", "noisy") for where in PLACES]

    def figures(values: list[float]) -> str:
        return "/".join("0" if v < 5e-4 else f"{v:.3f}" if math.isfinite(v) and v < 10 else f"{v:.1f}" for v in values)

    title = f"Mean Euclidean error in cells at sigma 1/2/3, {count} maps of {SIZE} x {SIZE}; noise {PEAK_NOISE} on peak maps, {LOGIT_NOISE} on logits"
    print(table(title, ["decoder", *columns], [[name, *[figures(row[c]) for c in columns]] for name, row in rows.items()]))
    write("decode_accuracy", {"count": count, "size": SIZE, "sigmas": [1, 2, 3], "peak_noise": PEAK_NOISE, "logit_noise": LOGIT_NOISE, "rows": rows}, quick=quick)
    if not quick:
        draw(PICTURE)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few maps, nothing written")
    main(quick=parser.parse_args().quick)
