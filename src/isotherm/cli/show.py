"""``isotherm show``: what a saved heatmap holds."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from isotherm.cli.console import say
from isotherm.cli.options import Show
from isotherm.errors import OptionError
from isotherm.heatmap import Heatmap


def run(options: Show, arguments: Sequence[str]) -> int:
    if not options.fpaths:
        raise OptionError("no file was given; name one or more .npz or .safetensors files of heatmaps")
    for fpath in options.fpaths:
        heatmap = Heatmap.load(fpath)
        values = heatmap.values[torch.isfinite(heatmap.values)]
        say(f"{fpath}: {heatmap.label or 'heatmap'}")
        say(f"  kind      {heatmap.kind}{', signed' if heatmap.signed else ''}")
        say(f"  shape     {tuple(heatmap.values.shape)} {heatmap.values.dtype}")
        if values.numel():
            print(
                f"  values    {float(values.min()):.6g} to {float(values.max()):.6g}, mean {float(values.mean()):.6g}"
            )
        gaps, infinite = int(heatmap.values.isnan().sum()), int(heatmap.values.isinf().sum())
        if gaps:
            say(f"  gaps      {gaps} of {heatmap.values.numel()} cells are NaN: what was never seen")
        if infinite:
            print(
                f"  infinite  {infinite} of {heatmap.values.numel()} cells: no scale holds them, and no map that isotherm explains has any"
            )
        say(f"  frame     {heatmap.frame!r}")
        for key, value in heatmap.meta.items():
            say(f"  {key:<9} {value}")
    return 0
