"""The layers of an opened model as a tree: what each is and gives for one picture, which one is taken, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isotherm.cam.clips import ClipView
from isotherm.cam.view import View
from isotherm.errors import IsothermError
from isotherm.models.choose import OpenModel
from isotherm.vlm.view import LanguageView

GREY = np.full((480, 640, 3), 114, np.uint8)
"""A picture that a model is shown to see how large its layers are."""
Shapes = dict[str, list[int]]


def layer_tree(opened: OpenModel) -> list[dict[str, Any]]:
    """The outermost layers of a model, each with those inside.

    Args:
        opened: the model.

    Returns:
        Of each layer ``name``, ``type``, ``shape`` (of its output for one picture without the batch: c, h, w, or
        tokens and channels; None where it is not a tensor or did not run), ``automatic``, ``why`` and ``children``.
    """
    view = opened.view
    chosen, why = _automatic(view)
    shapes = _shapes(view)

    def of(module: nn.Module, above: str) -> list[dict[str, Any]]:
        entries = []
        for name, child in module.named_children():
            path = f"{above}.{name}" if above else name
            entry = {
                "name": path,
                "type": type(child).__name__,
                "shape": shapes.get(path),
                "automatic": path in chosen,
                "why": why if path in chosen else "",
                "children": of(child, path),
            }
            entries.append(entry)
        return entries

    return of(view.model, "")


def _automatic(view: View | LanguageView) -> tuple[tuple[str, ...], str]:
    """The layers that are taken unless told otherwise, without the numbers of their calls, and why."""
    if isinstance(view, LanguageView):
        return (), ""
    choice = view.auto_layers()
    return tuple(layer.partition("@")[0] for layer in choice.layers), choice.reason


def _shapes(view: View | LanguageView) -> Shapes:
    """What each layer gives for one picture; nothing of a model that takes no single picture."""
    if isinstance(view, LanguageView | ClipView):
        return {}
    shapes: Shapes = {}
    handles = []
    for name, module in view.model.named_modules():

        def seen(_module: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
            if isinstance(output, Tensor) and name not in shapes:
                shapes[name] = [int(side) for side in output.shape[1:]]

        handles.append(module.register_forward_hook(seen))
    try:
        with torch.no_grad():
            view.run(view.prepare([GREY]))
    except (IsothermError, RuntimeError):  # shapes are a help, not a condition
        return {}
    finally:
        for handle in handles:
            handle.remove()
    return shapes
