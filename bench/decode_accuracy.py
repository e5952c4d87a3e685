"""Where decoders put points, in cells from the truth: ours beside the published ones, and beside what the noise allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from bench.measure import insert, table, threads, write
from isotherm.decode import argmax, dark, least_squares, local_soft_argmax, moment_inverse, quarter_offset, soft_argmax
from isotherm.ops.gaussian import axis_exponent, outer, peak_vectors

SIZE = 64
PEAK_NOISE, LOGIT_NOISE = 0.05, 0.3
BOUND, BOUND_FITTED = "Cramer-Rao bound of peak maps", "Cramer-Rao bound of peak maps, sigma unknown"
PAGE = Path(__file__).parents[1] / "docs" / "decoders.md"
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


def bound(xy: Tensor, sigma: float, noise: float, *, sigma_known: bool = True) -> float:
    """Mean Euclidean error of an estimate that reaches the Cramer-Rao bound; the amplitude is unknown.

    Fisher information J^T J / noise^2 by the derivatives over every cell; the error's norm by numbers drawn from it.
    """
    xy = xy.double()
    cells = torch.arange(SIZE, dtype=torch.float64) + 0.5
    g = peak_maps(xy, sigma)[:, 0]
    dx = g * (cells - xy[:, :, :1]) / sigma**2
    dy = g * (cells[:, None] - xy[:, :, 1:]) / sigma**2
    square = (cells - xy[:, :, :1]) ** 2 + (cells[:, None] - xy[:, :, 1:]) ** 2
    jacobian = torch.stack([dx, dy, g, *([] if sigma_known else [g * square / sigma**3])], 1).flatten(2)
    covariance = torch.linalg.inv(jacobian @ jacobian.mT)[:, :2, :2] * noise**2
    draws = torch.randn(len(xy), 200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return float((draws @ torch.linalg.cholesky(covariance).mT).norm(dim=-1).mean())


def measure(count: int) -> dict[str, dict[str, list[float]]]:
    """Mean errors in cells: decoder -> column -> one per sigma; of maps that are not ABSENT."""
    generator = torch.Generator().manual_seed(0)
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in [*PEAK, BOUND_FITTED, BOUND, *LOGITS]}
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
                        rows[name].setdefault(column, []).append(
                            float((decode(maps, sigma) - xy).norm(dim=-1).nanmean())
                        )
                for name, known in ((BOUND, True), (BOUND_FITTED, False)):
                    rows[name].setdefault(column, []).append(
                        bound(xy, sigma, PEAK_NOISE, sigma_known=known) if scale else 0.0
                    )
    return rows


SHOWN = (
    "argmax",
    "argmax + 1/4",
    "DARK, mmpose",
    "DARK-UDP, mmpose",
    "5 x 5 centroid, sleap-nn",
    "logits: soft-argmax",
    "least_squares",
    "logits: moment_inverse",
)
OURS = ("least_squares", "logits: moment_inverse")


def draw(fpath: Path, sigma: float = 2.0, repeats: int = 40) -> None:
    """Signed errors over the position along one axis, from 2 cells outside to 6 inside: a panel per decoder, all alike.

    The line is what a clean map gives, the band where 8 of 10 noisy ones lie.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    along = torch.linspace(-2, 6, 161)
    xy = torch.stack([along, torch.full_like(along, 31.3)], -1)[:, None]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(repeats, len(along), 1, SIZE, SIZE, generator=generator)
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 4, sharex=True, sharey=True).flat
    for axes, name in zip(panels, SHOWN, strict=True):
        decode, maps, scale = (
            (LOGITS[name], logit_maps(xy, sigma), LOGIT_NOISE)
            if name in LOGITS
            else (PEAK[name], peak_maps(xy, sigma), PEAK_NOISE)
        )
        clean = (decode(maps, sigma) - xy)[:, 0, 0]
        noisy = torch.stack([(decode(maps + scale * n, sigma) - xy)[:, 0, 0] for n in noise])
        low, high = noisy.quantile(0.1, 0), noisy.quantile(0.9, 0)
        colour = "#0b6e4f" if name in OURS else "#555555"
        axes.axvspan(-2, 0, color="0.93", linewidth=0)
        axes.axhline(0, color="0.75", linewidth=0.8)
        axes.fill_between(along, low, high, color=colour, alpha=0.22, linewidth=0)
        axes.plot(along, clean, color=colour, linewidth=1.8)
        axes.set_title(
            name.removeprefix("logits: ") + (" (ours)" if name in OURS else ""),
            fontsize=10,
            color=colour,
            fontweight="bold" if name in OURS else "normal",
        )
        axes.set(xlim=(-2, 6), ylim=(-2.2, 2.2))
        axes.spines[["top", "right"]].set_visible(False)
        axes.text(5.9, -1.95, "of logits" if name in LOGITS else "of peak maps", fontsize=8, color="0.45", ha="right")
    figure.supxlabel("true x in cells; grey: outside of the map", fontsize=10)
    figure.supylabel("decoded x - true x, in cells", fontsize=10)
    fpath.parent.mkdir(exist_ok=True)
    figure.savefig(fpath, dpi=100)


def main(*, quick: bool = False) -> None:
    """Print the table and, unless quick, write results/decode_accuracy.json and the picture."""
    threads(1)
    count = 100 if quick else 1500
    rows = measure(count)
    columns = [f"{condition} {where}" for condition in ("clean", "noisy") for where in PLACES]

    def figures(values: list[float]) -> str:
        return "/".join("0" if v < 5e-4 else f"{v:.3f}" if math.isfinite(v) and v < 10 else f"{v:.1f}" for v in values)

    title = f"Mean Euclidean error in cells at sigma 1/2/3, {count} maps of {SIZE} x {SIZE}; noise {PEAK_NOISE} on peak maps, {LOGIT_NOISE} on logits"
    text = table(
        title, ["decoder", *columns], [[name, *[figures(row[c]) for c in columns]] for name, row in rows.items()]
    )
    print(text)
    write(
        "decode_accuracy",
        {
            "count": count,
            "size": SIZE,
            "sigmas": [1, 2, 3],
            "peak_noise": PEAK_NOISE,
            "logit_noise": LOGIT_NOISE,
            "rows": rows,
        },
        quick=quick,
    )
    if not quick:
        insert(PAGE, "decode_accuracy", text)
        draw(PICTURE)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few maps, nothing written")
    main(quick=parser.parse_args().quick)
