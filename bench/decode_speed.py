"""How long decoders take for 64 x 17 maps of 64 x 48 and of 64 x 64 cells, beside DARK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bench.measure import interleaved, table, threads, write
from isotherm.decode import argmax, dark, least_squares, moment_inverse, soft_argmax
from isotherm.ops.gaussian import outer, peak_vectors


def decode_rows(*, quick: bool = False) -> tuple[list[list[Any]], dict[str, Any]]:
    """Rows of a table, and the same as a dictionary: milliseconds of each decoder and its ratio to DARK's.

    DARK is ours, batched (a blur of whole maps by matrix products); published ones loop over maps and are slower.
    """
    generator = torch.Generator().manual_seed(0)
    rows, results = [], {}
    for h, w in ((16, 16),) if quick else ((64, 48), (64, 64)):
        xy = torch.rand(64, 17, 2, generator=generator) * torch.tensor([w, h])
        maps = outer(*peak_vectors(xy, torch.full_like(xy, 2.0), (h, w))) + 0.05 * torch.randn(64, 17, h, w, generator=generator)
        jobs: dict[str, Callable[[], Any]] = {
            "argmax": lambda maps=maps: argmax(maps),
            "soft_argmax": lambda maps=maps: soft_argmax(10 * maps),
            "moment_inverse": lambda maps=maps: moment_inverse(10 * maps, sigma_cells=2.0),
            "least_squares": lambda maps=maps: least_squares(maps, sigma_cells=2.0),
            "least_squares, sigma fitted": lambda maps=maps: least_squares(maps),
            "DARK": lambda maps=maps: dark(maps),
        }
        seconds = interleaved(jobs, repeats=1 if quick else 15, warmup=2)
        for name, s in seconds.items():
            rows.append([f"64 x 17 x {h} x {w}", name, s * 1e3, seconds["DARK"] / s])
        results[f"{h}x{w}"] = {name: {"ms": s * 1e3, "times_faster_than_dark": seconds["DARK"] / s} for name, s in seconds.items()}
    return rows, results


def main(*, quick: bool = False) -> None:
    """Print the table and, unless quick, write results/decode_speed.json."""
    count = threads(1)
    rows, results = decode_rows(quick=quick)
    print(table(f"Decoding, {count} thread", ["maps", "decoder", "ms", "times faster than DARK"], rows))
    write("decode_speed", {"rows": results}, quick=quick)


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small maps, nothing written")
    main(quick=parser.parse_args().quick)
