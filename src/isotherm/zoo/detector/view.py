"""The heatmap detector of generated scenes that ships with isotherm, as a view: ``--model detector``."""

from __future__ import annotations

import os
import re

import torch
from torch import Tensor

from isotherm.cam.premises import RandomWeights
from isotherm.cam.view import Detections, Inputs, LayerChoice, Layout, Pins
from isotherm.errors import AdapterError, OptionError
from isotherm.frame import Size
from isotherm.models.shared.classifier import where_it_lives
from isotherm.models.shared.grids import layout_of
from isotherm.models.shared.preprocess import Pictures, Preprocess, input_premises
from isotherm.relevance.modules import resolve
from isotherm.zoo.assets import asset
from isotherm.zoo.detector.network import (
    CONFIDENCE,
    DetectorMaps,
    HeatmapDetector,
    find_centres,
    load_detector,
    random_detector,
)

SEEDS = (0,)
"""Seeds whose trained weights ship."""


def detector_preprocess(size: Size) -> Preprocess:
    """Letterboxed with antialiasing, as for the scene classifier, filled with the mean colour that the backbone
    subtracts.
    """
    return Preprocess(size=size, geometry="letterbox")


class HeatmapDetectorView:
    """Fulfils :class:`isotherm.cam.view.View` for a :class:`isotherm.zoo.detector.network.HeatmapDetector`.

    A candidate is a cell of the maps: ``candidate`` is row * columns + column. The class logit of a finding is that of
    its cell, before the sigmoid; its box is computed from that cell's size and offset.

    Args:
        model: the detector.
        name: one line for people.
        confidence: least confidence of a finding, 0 to 1.
        most: findings in a picture.

    Raises:
        OptionError: a confidence outside of 0 to 1, or a ``most`` below 1.
    """

    default_method = "layercam"
    random_weights: RandomWeights | None = None

    def __init__(
        self, model: HeatmapDetector, *, name: str = "heatmap detector", confidence: float = CONFIDENCE, most: int = 20
    ) -> None:
        if not 0 <= confidence <= 1 or most < 1:
            raise OptionError(
                f"confidence is {confidence} and most {most}; expected a number from 0 to 1, and at least 1 finding"
            )
        self.model = model
        self.name = name
        self.names = model.config.names
        self.preprocess = detector_preprocess(model.config.size)
        self.premises = input_premises(self.preprocess, source="declared", why="its training")
        self.confidence, self.most = confidence, most

    def with_confidence(self, confidence: float) -> HeatmapDetectorView:
        """A view of the same network with another least confidence."""
        return HeatmapDetectorView(self.model, name=self.name, confidence=confidence, most=self.most)

    def prepare(self, pictures: Pictures) -> Inputs:
        """Pictures of any sizes -> one batch, letterboxed and normalised, so that 0 is nothing."""
        device, dtype = where_it_lives(self.model)
        return self.preprocess.batch(pictures, device=device, dtype=dtype)

    def run(self, inputs: Inputs) -> DetectorMaps:
        """The maps; the backbone normalises by itself, so what :meth:`prepare` did is undone first."""
        backbone = self.model.backbone
        maps: DetectorMaps = self.model(inputs.tensor * backbone.std + backbone.mean)
        return maps

    def find(self, raw: DetectorMaps, inputs: Inputs) -> Detections:
        """Local maxima of the maps that are confident enough, with the graph of their logits and boxes."""
        centres = find_centres(raw.logits, most=self.most)
        picture, rank = torch.nonzero(
            centres.score >= max(self.confidence, torch.finfo(torch.float32).tiny), as_tuple=True
        )
        return self._read(raw, picture, centres.cell[picture, rank], centres.classes[picture, rank])

    def refind(self, raw: DetectorMaps, inputs: Inputs, pins: Pins) -> Detections:
        """The same cells, read again."""
        device = raw.logits.device
        return self._read(
            raw, torch.arange(len(inputs), device=device), pins.candidate.to(device), pins.classes.to(device)
        )

    def auto_layers(self) -> LayerChoice:
        """The first residual block, chosen with LayerCAM on validation scenes: the only layer that passed both checks
        well.

        Deletion and insertion were far better than random there (.11 against .62, .84 against .51), and its maps lay on
        the object more than twice as much as those of random weights. Behind the head, trained and random weights put
        the same share on the object, because nothing but the finding's own neighbourhood has gradient: such a map says
        where the cell is and not what was seen.
        """
        return LayerChoice(
            ("backbone.stages.0.2",),
            "the first residual block, of stride 4: the rest of the network looks at the whole object from here; behind the head a map "
            "would only say where the finding's cell is, with random weights too",
        )

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input: all strides are exact, cell on block of pixels, in this network."""
        (ref,) = resolve(self.model, layer)
        layout = layout_of(ref.name, ref.module, output, inputs)
        (h, w), (rows, columns) = inputs.tensor.shape[-2:], output.shape[-2:]
        return Layout("nchw", stride=(h // rows, w // columns)) if layout.order == "nchw" else layout

    def _read(self, raw: DetectorMaps, picture: Tensor, cell: Tensor, classes: Tensor) -> Detections:
        columns = raw.logits.shape[-1]
        logits = raw.logits[picture, :, cell.div(columns, rounding_mode="floor"), cell % columns]
        return Detections(
            picture=picture,
            boxes=self.model.boxes_at(raw, picture, cell),
            logits=logits,
            classes=classes,
            confidence=logits.detach().float().sigmoid()[torch.arange(len(cell), device=cell.device), classes],
            candidate=cell,
            names=self.names,
            activation="sigmoid",
        )


def load(
    name: str = "detector",
    *,
    weights: str | os.PathLike[str] | None = None,
    confidence: float = CONFIDENCE,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> HeatmapDetectorView:
    """The command line's ``--model detector``.

    Args:
        name: ``detector``, or with a training seed, ``detector-0``.
        weights: a file that the training wrote; ``none`` for random weights; the shipped ones if None.
        confidence: least confidence of a finding.
        seed: of random weights.

    Raises:
        AdapterError, OptionError, WeightsError: unknown name, seed or file.

    Example:
        >>> load().names[:3]
        ('star', 'cross', 'ring')
    """
    match = re.fullmatch(r"(?:detector)?-?(\d*)", name)
    if match is None:
        raise AdapterError(f"there is no embedded model {name!r}; expected detector")
    of = int(match[1] or 0)
    if of not in SEEDS:
        raise OptionError(
            f"there are shipped detectors of the training seeds {', '.join(map(str, SEEDS))}, not of {of}"
        )
    if weights is not None and str(weights) != "none":
        return wrap(
            load_detector(weights), device=device, confidence=confidence, name=f"heatmap detector from {weights}"
        )
    shipped = load_detector(asset(f"detector-{of}.safetensors"))
    if weights is None:
        return wrap(shipped, device=device, confidence=confidence, name=f"heatmap detector, training seed {of}")
    view = wrap(
        random_detector(shipped.config, seed),
        device=device,
        confidence=confidence,
        name=f"heatmap detector, random weights of seed {seed}",
    )
    view.random_weights = RandomWeights.of(view.model, seed)
    return view


def wrap(
    model: HeatmapDetector,
    *,
    confidence: float = CONFIDENCE,
    device: str | torch.device | None = None,
    name: str = "heatmap detector",
) -> HeatmapDetectorView:
    """A view of a detector of one's own training; the module itself is moved if a ``device`` is given."""
    return HeatmapDetectorView(model if device is None else model.to(device), name=name, confidence=confidence)
