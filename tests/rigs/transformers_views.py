"""What the tests of transformers' models share: processors, views, a bright block to look for."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers as hf

from isotherm.cam.capture import record
from isotherm.models.transformers.view import wrap
from isotherm.relevance.modules import resolve
from rigs.transformers_models import bert_tokenizer, clip_tokenizer, make

EDGES = {"shortest_edge": 96, "longest_edge": 160}
SQUARE = {"height": 64, "width": 64}
TEXTS = {
    "clip_pair": ["cat", "a dog"],
    "siglip_pair": ["cat", "a dog"],
    "owlv2": ["cat", "a dog"],
    "owlvit": ["cat", "a dog"],
    "grounding_dino": ["a cat", "red dog"],
}
LABELLED = (
    "detr",
    "detr_segmentation",
    "conditional_detr",
    "deformable_detr",
    "rt_detr",
    "rt_detr_v2",
    "d_fine",
    "yolos",
)
PROMPTED = ("grounding_dino", "owlv2", "owlvit")


@functools.cache
def _clip():
    return clip_tokenizer(Path(tempfile.mkdtemp()))


@functools.cache
def _bert():
    return bert_tokenizer(Path(tempfile.mkdtemp()))


def processor(family: str):
    """The family's real processor at a small size; None: the default one is used."""
    if family in ("detr", "detr_segmentation"):
        return hf.DetrImageProcessor(size=EDGES)
    made = {
        "conditional_detr": lambda: hf.ConditionalDetrImageProcessor(size=EDGES),
        "deformable_detr": lambda: hf.DeformableDetrImageProcessor(size=EDGES),
        "yolos": lambda: hf.YolosImageProcessor(size=EDGES),
        "clip_pair": lambda: hf.CLIPProcessor(
            hf.CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=SQUARE), _clip()
        ),
        "siglip_pair": lambda: hf.SiglipProcessor(hf.SiglipImageProcessor(size=SQUARE), _clip()),
        "owlv2": lambda: hf.Owlv2Processor(hf.Owlv2ImageProcessor(size=SQUARE), _clip()),
        "owlvit": lambda: hf.OwlViTProcessor(hf.OwlViTImageProcessor(size=SQUARE, crop_size=SQUARE), _clip()),
        "grounding_dino": lambda: hf.GroundingDinoProcessor(hf.GroundingDinoImageProcessor(size=EDGES), _bert()),
        "segformer": lambda: hf.SegformerImageProcessor(size={"height": 96, "width": 128}),
    }
    if family == "rf_detr":
        return hf.RfDetrImageProcessor(size={"height": 128, "width": 128})
    if family in ("rt_detr", "rt_detr_v2", "d_fine"):
        return hf.RTDetrImageProcessor(size={"height": 128, "width": 128})
    return made[family]() if family in made else None


def view_of(family: str, model=None, **options):
    """A view of a tiny model of the family, reporting everything if it is a detector."""
    if family in (*LABELLED, *PROMPTED):
        options.setdefault("confidence", 0.0)
    options.setdefault("processor", processor(family))
    options.setdefault("classes", TEXTS.get(family))
    return wrap(make(family) if model is None else model, **options)


def activation(view, layer: str, inputs):
    """One layer's output as a grid, and the frame of it."""
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, [layer]), gradient=False)
    output = recording.calls[0].output
    layout = view.layout(layer, output, inputs)
    grid = layout.to_grid(output)
    return grid, layout.frame(inputs, (grid.shape[-2], grid.shape[-1]))


def hit(view, layer: str, centre, *, size=(150, 210), half=12):
    """How far from a bright block's ``centre`` (x, y) the layer changes most, in cells."""
    h, w = size
    dark = np.full((h, w, 3), 60, np.uint8)
    bright = dark.copy()
    x, y = centre
    bright[y - half : y + half, x - half : x + half] = 250
    with torch.no_grad():
        before, frame = activation(view, layer, view.prepare([dark]))
        after, _ = activation(view, layer, view.prepare([bright]))
    # the fourth power leaves the cells that changed most: filters answer to the block's edges, attention a little everywhere
    change = (after - before).double().norm(dim=1)[0] ** 4
    yy, xx = torch.meshgrid(*(torch.arange(n) + 0.5 for n in change.shape), indexing="ij")
    found = torch.stack([(change * xx).sum(), (change * yy).sum()]) / change.sum()
    cell = frame.points_from_source(torch.tensor([[list(map(float, centre))]], dtype=torch.float64))[0, 0]
    return tuple((cell - found).abs().tolist())
