"""Grad-CAM for vision-language models that count, in the calls that a notebook makes: arrays for ``imshow``, figures of
several views.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from isotherm.api import open_model
from isotherm.draw import save_picture
from isotherm.errors import AdapterError, TargetError
from isotherm.heatmap import Heatmap
from isotherm.systems.counting_config import CountingConfig
from isotherm.systems.counting_look import Look
from isotherm.systems.vlm_counting import CountResult, count
from isotherm.vlm.choose import token_methods
from isotherm.vlm.view import LanguageView

DEFAULT_MODEL = "Qwen/Qwen3-VL-2B-Instruct"
"""Taken where no model is named."""
DEFAULT_METHOD = "gradcam"

_log = logging.getLogger(__name__)


class VLMGradCAM:
    """A vision-language model that counts and shows where its number comes from.

    Args:
        model: a name, such as ``Qwen/Qwen3-VL-2B-Instruct`` (taken unless another is named) or ``tiny-vlm``, a folder,
            a model, or a view from :func:`isotherm.api.open_model`.
        method: of the maps, a name of :mod:`isotherm.vlm.methods`; Grad-CAM unless it or the configuration names
            another. ``propagation`` lies on the objects more often.
        config: how to count.
        options: of the model's adapter: weights, device, dtype, ...

    Raises:
        AdapterError: not a model that answers questions, or one that cannot be opened.
        MethodError: no such method.
    """

    def __init__(
        self,
        model: str | Path | Any = None,
        *,
        method: str | None = None,
        config: CountingConfig | None = None,
        **options: Any,
    ) -> None:
        config = config or CountingConfig()
        self.config = replace(config, method=_known(method or config.method or DEFAULT_METHOD))
        self.view = open_model(DEFAULT_MODEL if model is None else model, **options)
        if not isinstance(self.view, LanguageView):
            raise AdapterError(
                f"{self.view.name} answers no questions; counting needs a vision-language model, such as {DEFAULT_MODEL}"
            )

    def count(
        self,
        image: Any,
        category: str,
        strategy: str = "hybrid",
        *,
        crops: Sequence[Sequence[float]] = (),
        method: str | None = None,
    ) -> CountResult:
        """:func:`isotherm.systems.vlm_counting.count` by this model, with this object's method or another."""
        assert isinstance(self.view, LanguageView)
        config = self.config if method is None else replace(self.config, method=_known(method))
        return count(self.view, image, category, strategy=strategy, config=config, crops=crops)

    def heatmap(
        self, image: Any, category: str, crop_bbox: Sequence[float] | None = None, *, method: str | None = None
    ) -> Heatmap:
        """Where the expected number comes from, in the whole picture or in a crop of it, over the whole picture's
        pixels and in the method's own values.

        Args:
            crop_bbox: (x0, y0, x1, y1) in pixels of the picture.

        Raises:
            TargetError: the answer has no number, so there is nothing to show.
            OptionError: a crop that reaches outside of the picture, or is none.
        """
        one, name = self._look(image, category, crop_bbox, method)
        if one.heatmap is None:
            raise TargetError(_reason(one, name))
        return one.heatmap

    def generate_gradcam(
        self, image: Any, category: str, crop_bbox: Sequence[float] | None = None, *, method: str | None = None
    ) -> Float[np.ndarray, "h w"] | None:
        """The same as pixels to lay over the picture with ``imshow``, from 0 to 1, the largest value.

        0 is no relevance, or relevance against the number where the method has a sign, and not the map's smallest
        value: a map that is alike everywhere stays bright everywhere.

        Args:
            crop_bbox: (x0, y0, x1, y1) in pixels of the picture; the array is then of the crop, rounded outwards to
                whole pixels. Each array has its own scale: those of two crops cannot be compared.

        Returns:
            (h, w) float32 of the size of the picture or of the crop, or None where there is no map; the log says why.

        Raises:
            OptionError: a crop that reaches outside of the picture, or is none.
        """
        one, name = self._look(image, category, crop_bbox, method)
        if one.heatmap is None:
            _log.warning("no map for %r: %s", category, _reason(one, name))
            return None
        # what the model's own preprocessing cut off speaks for nothing
        values = one.heatmap.at_source(region=one.view.box).detach().cpu().float().nan_to_num(0.0).clamp(min=0).numpy()
        top = float(values.max())
        if top <= 0:
            _log.warning(
                "no map for %r: %s answers %r and nothing in %s speaks for it",
                category,
                name,
                one.answer,
                one.view.name,
            )
            return None
        return (values / np.float32(top)).clip(0, 1)

    def visualize_comparison(
        self,
        image: Any,
        category: str,
        output_path: str | os.PathLike[str] | None = None,
        crop_bbox: Sequence[float] | None = None,
        *,
        method: str | None = None,
    ) -> CountResult:
        """Draw the whole picture beside a crop of it.

        Args:
            output_path: of the figure; without it nothing is written, and ``figure()`` of the result draws it.
            crop_bbox: of the crop; the picture's middle, unless given.

        Returns:
            What was counted.
        """
        crops = () if crop_bbox is None else (crop_bbox,)
        return _drawn(self.count(image, category, "comparison", crops=crops, method=method), output_path)

    def visualize_counting_attention(
        self,
        image: Any,
        category: str,
        strategy: str = "comparison",
        output_path: str | os.PathLike[str] | None = None,
        *,
        method: str | None = None,
    ) -> CountResult:
        """Draw all views of a strategy.

        Args:
            strategy: ``comparison``, ``dense``, ``hybrid`` or ``global``.
            output_path: of the figure; without it nothing is written, and ``figure()`` of the result draws it.

        Returns:
            What was counted.
        """
        return _drawn(self.count(image, category, strategy, method=method), output_path)

    def _look(
        self, image: Any, category: str, crop_bbox: Sequence[float] | None, method: str | None
    ) -> tuple[Look, str]:
        strategy, crops = ("global", ()) if crop_bbox is None else ("custom", (crop_bbox,))
        result = self.count(image, category, strategy, crops=crops, method=method)
        (one,) = result.looks
        return one, result.model


def _known(method: str) -> str:
    token_methods(method)  # refuses what it does not know, before a model is loaded
    return method


def _reason(one: Look, name: str) -> str:
    return f"{name} answers {one.answer!r}: {'; '.join(one.notes)}"


def _drawn(result: CountResult, output_path: str | os.PathLike[str] | None) -> CountResult:
    if output_path is not None:
        save_picture(result.figure(), output_path)
    return result
