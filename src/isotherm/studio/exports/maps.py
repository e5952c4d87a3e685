"""A map of a run, read back from its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isotherm.errors import InputError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.view_files import view_of, view_path
from isotherm.untrusted.plain import reading


def heatmap_of(folder: Path, index: int, number: int) -> tuple[Heatmap, dict[str, Any]]:
    """A map of a run: to the last bit where its file is there, and else as the page has it; and its picture's view.

    Args:
        folder: the run's.
        index: the picture's number.
        number: the map's.

    Raises:
        InputError: there is no such map.
        NotThere: there is no such picture, or the run has ended meanwhile and its folder is elsewhere.
    """
    view = view_of(folder, index)
    if not 0 <= number < len(view["maps"]):
        raise InputError(f"picture {index} has {len(view['maps'])} map(s), so there is none with number {number}")
    with reading(f"the view of picture {index}", advice="its file is damaged; run it again"):
        return _heatmap(folder, index, view["maps"][number], view), view


def _heatmap(folder: Path, index: int, one: dict[str, Any], view: dict[str, Any]) -> Heatmap:
    """A map of a picture, of which one entry of its view says where it lies."""
    raw = next((name for name in one["files"] if name.endswith((".npz", ".safetensors"))), None)
    if raw is not None and view["moment_s"] is None:
        if not (folder / raw).is_file():
            raise NotThere(f"the file of a map of picture {index} is not where the run was; ask again")
        return Heatmap.load(folder / raw)
    with view_path(folder, index, ".f16").open("rb") as file:
        file.seek(one["offset"])
        halves = (
            np.frombuffer(file.read(min(one["bytes"], os.fstat(file.fileno()).st_size)), "<f2")
            .astype(np.float32)
            .reshape(one["h"], one["w"])
        )
    to_cells = torch.tensor([*one["m"], 0.0, 0.0, 1.0], dtype=torch.float64).reshape(3, 3)
    x0, y0, x1, y1 = one["limits"]
    frame = Frame(
        torch.linalg.inv(to_cells)[:2],
        (one["h"], one["w"]),
        torch.tensor([view["h"], view["w"]]),
        (-x0, -y0, x1 - one["w"], y1 - one["h"]),
    )
    meta = {key: one[key] for key in ("method", "layer", "model", "score", "box") if one.get(key) is not None}
    values = torch.from_numpy(halves * np.float32(one["unit"]))
    return Heatmap(values, frame, one["kind"], signed=one["signed"], label=one["label"], meta=meta)
