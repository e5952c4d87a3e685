"""transformers' detectors of the parts of a page (PP-DocLayout) and of where text is (PP-OCR) as views."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.view import Inputs, MaskReader
from isotherm.errors import AdapterError
from isotherm.models.transformers.detect import QueryDetectorView, grown_masks
from isotherm.models.transformers.segment import SegmenterView

PAGES = ("pp_doclayout_v2", "pp_doclayout_v3", "pp_doclayout_v4")
TEXT_MAPS = ("pp_ocrv5_mobile_det", "pp_ocrv5_server_det", "pp_ocrv6_medium_det", "pp_ocrv6_small_det")
CERTAIN = 1e-6
"""How near to 0 and 1 a probability may come before its logit is cut off: float32 holds no more next to 1."""


class PageView(QueryDetectorView):
    """PP-DocLayout: queries as of RT-DETR, which the processor reports in the order of reading.

    The third version has a mask for each query, the fourth four corners in place of a box; the box is then what
    encloses them, as the processor reports it.
    """

    def select(self, raw: Any) -> list[Mapping[str, Any]]:
        """The processor's own answer on a page of a single pixel, whose boxes begin with the number of the query."""
        count, queries = raw.logits.shape[:2]
        boxes = torch.zeros_like(raw.pred_boxes)
        if boxes.shape[-1] > 4:
            boxes[..., 2:] = 0.5  # the corners' distances from the centre, which are put out with a half added
        boxes[..., 0] = torch.arange(queries)
        stand_in = SimpleNamespace(**{**raw, "pred_boxes": boxes})
        try:
            return self.decoder(self.processor)(stand_in, threshold=self.confidence, target_sizes=[(1, 1)] * count)
        except ImportError as error:
            raise AdapterError(
                f"{type(self.processor).__name__} needs a package to make findings that is not installed ({str(error).strip().splitlines()[0]}); "
                "pip install opencv-python-headless"
            ) from error

    def shares(self, raw: Any) -> Float[Tensor, "b q 4"]:
        """Centre and size; of four corners those of what encloses them."""
        if raw.pred_boxes.shape[-1] == 4:
            return raw.pred_boxes
        corners = raw.pred_boxes[..., None, :2] + raw.pred_boxes[..., 2:].unflatten(-1, (4, 2)) - 0.5
        low, high = corners.amin(-2), corners.amax(-2)
        return torch.cat([(low + high) / 2, high - low], -1)

    def masks(self, raw: Any, inputs: Inputs, picture: Tensor, query: Tensor) -> MaskReader | None:
        """The way to the mask logits of findings, where the version makes masks."""
        masks = getattr(raw, "out_masks", None)
        return None if masks is None else grown_masks(masks, inputs, picture, query)


class TextMapView(SegmenterView):
    """PP-OCR's detectors of text: one map of how likely each pixel is text, of which the processor cuts boxes.

    What is explained are the logits of that map, as of a segmenter with one class; boxes that are cut out of it have no
    gradient.
    """

    encoder = "model.backbone"

    def run(self, inputs: Inputs) -> Float[Tensor, "b 1 h w"]:
        """The forward pass: the logit of the model's own probability, which its head ends in."""
        return self.call(inputs).last_hidden_state.logit(eps=CERTAIN)
