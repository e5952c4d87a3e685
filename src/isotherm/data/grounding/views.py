"""Calibrated views of one scene as a JSON file has them: an instruction, cameras, and of each a picture or a map."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isotherm.data.annotation_files import Entry, known_keys, read_json, shown, text_of
from isotherm.data.grounding.cameras import Box, ViewCamera, box_from, camera_from
from isotherm.data.pictures import read_picture, read_picture_turn
from isotherm.errors import InputError, KindError
from isotherm.heatmap import Heatmap
from isotherm.untrusted.plain import reads

KEYS = ("text", "bounds", "views")
VIEW_KEYS = ("name", "picture", "heatmap", "camera")


@dataclass(frozen=True, eq=False)
class SceneView:
    """One view.

    Args:
        name: of the view.
        camera: that took it.
        picture: (h, w, 3) uint8, or None.
        heatmap: a single map of logits or probabilities over the picture, or None.
        turned: the picture was stored turned, and is upright here.
    """

    name: str
    camera: ViewCamera
    picture: np.ndarray | None = None
    heatmap: Heatmap | None = None
    turned: bool = False


@dataclass(frozen=True, eq=False)
class SceneViews:
    """Views of one scene.

    Args:
        text: the instruction; empty where all maps are ready.
        bounds: the box in which the place lies, in units of the world.
        views: at least two, perspective and orthographic ones in any order.
    """

    text: str
    bounds: Box
    views: tuple[SceneView, ...]

    @property
    def ready(self) -> bool:
        """Whether every view has its map."""
        return all(view.heatmap is not None for view in self.views)


@reads()
def read_views(fpath: str | os.PathLike[str]) -> SceneViews:
    """The views of a JSON file.

    The file is an object with ``views``, a list of objects that have a ``camera``
    (:func:`isotherm.data.grounding.camera_from`), a ``picture`` or a ``heatmap`` (a file that
    :meth:`isotherm.Heatmap.save` wrote, .npz or .safetensors) or both, and a ``name``; ``bounds``, the box in which the
    place lies, ``[[x, y, z], [x, y, z]]``; and ``text``, the instruction, which may be left out where all maps are
    ready. Paths start at the file's folder.

    Args:
        fpath: the file.

    Raises:
        InputError: file, line and what is wrong there.
    """
    fpath = Path(fpath)
    whole = read_json(fpath)
    if not isinstance(whole, dict) or not isinstance(whole.get("views"), list):
        raise InputError(f"{fpath}: there is no list 'views' in it; expected an object with text, bounds and views")
    known_keys(whole, KEYS, str(fpath))
    if "bounds" not in whole:
        raise InputError(
            f"{fpath}: there are no 'bounds', the box in which the place lies; give them, such as [[-0.5, -0.5, 0], [0.5, 0.5, 0.5]]"
        )
    corners = whole["bounds"]
    bounds = box_from([e.value for e in corners] if isinstance(corners, list) else corners, str(fpath))
    text = whole.get("text", "")
    if not isinstance(text, str):
        raise InputError(f"{fpath}: text is {shown(text)}; expected the instruction")
    views = tuple(_view(entry, i, fpath.parent, bounds) for i, entry in enumerate(whole["views"]))
    if len(views) < 2:
        raise InputError(f"{fpath}: views has {len(views)} of them; a place in space needs at least two")
    names = [view.name for view in views]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{fpath}: two views have the name {twice!r}; give every view one of its own")
    scene = SceneViews(text, bounds, views)
    if not scene.ready and not text.strip():
        raise InputError(f"{fpath}: there are pictures without maps and no 'text' to look for in them")
    return scene


def _view(entry: Entry, i: int, root: Path, bounds: Box) -> SceneView:
    value, where = entry.value, entry.where
    if not isinstance(value, dict):
        raise InputError(f"{where}: the view is {shown(value)}; expected an object with a camera and a picture")
    known_keys(value, VIEW_KEYS, where)
    if "camera" not in value:
        raise InputError(f"{where}: the view has no 'camera'; expected K, R and t, or orthographic")
    camera = camera_from(value["camera"], where, bounds=bounds)
    name = text_of(value.get("name", f"view {i + 1}"), where, "name")
    if "picture" not in value and "heatmap" not in value:
        raise InputError(f"{where}: the view {name!r} has neither a 'picture' nor a 'heatmap'")
    picture = heatmap = None
    turned = False
    try:
        if "picture" in value:
            picture_fpath = root / text_of(value["picture"], where, "picture")
            picture, turned = read_picture(picture_fpath).array, read_picture_turn(picture_fpath).turned
        if "heatmap" in value:
            heatmap = _single(Heatmap.load(root / text_of(value["heatmap"], where, "heatmap")), where)
    except (InputError, KindError) as error:
        raise error if str(error).startswith(where) else InputError(f"{where}: {error}") from error
    if picture is not None and heatmap is not None:
        size = tuple(int(v) for v in heatmap.frame.source_size)
        if size != picture.shape[:2]:
            raise InputError(
                f"{where}: the map is of a picture of {size[1]} x {size[0]} pixels, the picture has {picture.shape[1]} x {picture.shape[0]}"
            )
    return SceneView(name, camera, picture, heatmap, turned)


def _single(heatmap: Any, where: str) -> Heatmap:
    """The map itself where the file holds one, of a kind that is a distribution."""
    while heatmap.values.ndim > 2 and len(heatmap) == 1:
        heatmap = heatmap[0]
    if heatmap.values.ndim > 2:
        raise InputError(f"{where}: the file holds {len(heatmap)} maps; expected one for the view")
    if heatmap.kind not in ("logits", "probability"):
        raise InputError(f"{where}: the map is of kind {heatmap.kind!r}; expected logits or probability")
    values = heatmap.values
    possible = torch.isfinite(values) | (values == -torch.inf if heatmap.kind == "logits" else False)
    most = values.max() if values.numel() else values.new_tensor(-torch.inf)
    if not bool(possible.all()) or not bool(torch.isfinite(most)) or (heatmap.kind == "probability" and most <= 0):
        raise InputError(
            f"{where}: the map is no distribution: it holds NaN or infinity, or nothing is likely in it; write one of finite {heatmap.kind}"
        )
    single: Heatmap = heatmap
    return single
