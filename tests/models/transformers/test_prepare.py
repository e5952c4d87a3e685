"""The frame of transformers' processors, against where a block of light really ends up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as hf

from isotherm.errors import AdapterError, InputError, OptionError
from isotherm.models.transformers.prepare import Preparer
from rigs.transformers_models import picture

EDGES = {"shortest_edge": 96, "longest_edge": 160}
PROCESSORS = {
    "vit": lambda: hf.ViTImageProcessor(size={"height": 64, "width": 96}),
    "deit crops": lambda: hf.DeiTImageProcessor(
        size={"height": 73, "width": 73}, crop_size={"height": 64, "width": 64}
    ),
    "clip": lambda: hf.CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}),
    "clip crops beyond": lambda: hf.CLIPImageProcessor(
        size={"shortest_edge": 50}, crop_size={"height": 71, "width": 64}
    ),
    "bit": lambda: hf.BitImageProcessor(size={"shortest_edge": 80}, crop_size={"height": 65, "width": 64}),
    "siglip": lambda: hf.SiglipImageProcessor(size={"height": 64, "width": 64}),
    "beit": lambda: hf.BeitImageProcessor(
        size={"height": 70, "width": 70}, do_center_crop=True, crop_size={"height": 64, "width": 64}
    ),
    "convnext crops": lambda: hf.ConvNextImageProcessor(size={"shortest_edge": 96}),
    "convnext warps": lambda: hf.ConvNextImageProcessor(size={"shortest_edge": 384}),
    "mobilevit": lambda: hf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
    "segformer": lambda: hf.SegformerImageProcessor(size={"height": 64, "width": 96}),
    "detr": lambda: hf.DetrImageProcessor(size=EDGES),
    "detr pads": lambda: hf.DetrImageProcessor(size=EDGES, pad_size={"height": 200, "width": 180}),
    "detr limits": lambda: hf.DetrImageProcessor(size={"max_height": 100, "max_width": 120}),
    "deformable": lambda: hf.DeformableDetrImageProcessor(size=EDGES),
    "rt_detr": lambda: hf.RTDetrImageProcessor(size={"height": 96, "width": 128}),
    "yolos": lambda: hf.YolosImageProcessor(size=EDGES),
    "grounding_dino": lambda: hf.GroundingDinoImageProcessor(size=EDGES),
    "owlvit": lambda: hf.OwlViTImageProcessor(size={"height": 64, "width": 64}),
    "owlv2": lambda: hf.Owlv2ImageProcessor(size={"height": 96, "width": 96}),
    "vit pil": lambda: hf.ViTImageProcessorPil(size={"height": 64, "width": 96}),
    "detr pil": lambda: hf.DetrImageProcessorPil(size=EDGES),
    "yolos pil": lambda: hf.YolosImageProcessorPil(size=EDGES),
    "clip pil": lambda: hf.CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}),
    "untouched": lambda: hf.ViTImageProcessor(do_resize=False),
}


def light(size, centre, sigma=7.0):
    """A dark picture, and one with a smooth spot: OWLv2 scales without filtering, and edges would alias."""
    y, x = (np.arange(n) + 0.5 - c for n, c in zip(size, centre[::-1], strict=True))
    spot = 200 * np.exp(-(x**2 + y[:, None] ** 2) / (2 * sigma**2))
    dark = np.full((*size, 3), 40, np.uint8)
    return dark, dark + np.rint(spot).astype(np.uint8)[..., None]


@pytest.mark.parametrize("size", [(120, 190), (190, 120)], ids=["wide", "tall"])
@pytest.mark.parametrize("name", PROCESSORS)
def test_light_ends_up_where_the_frame_says(name, size):
    preparer = Preparer(PROCESSORS[name]())
    centre = (70, 83) if size[0] > size[1] else (83, 70)
    inputs = preparer.batch(light(size, centre))
    change = (inputs.tensor[1] - inputs.tensor[0]).double().abs().sum(0)
    yy, xx = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in change.shape), indexing="ij")
    where = torch.stack([(change * xx).sum(), (change * yy).sum()]) / change.sum()
    found = inputs.frame[0].points_to_source(where[None])[0]
    assert found.tolist() == pytest.approx(centre, abs=0.12)


@pytest.mark.parametrize("name", PROCESSORS)
def test_pixels_are_the_processors_own(name):
    processor = PROCESSORS[name]()
    pictures = [picture(110, 150), picture(110, 150, 1)]
    own = processor(images=pictures, return_tensors="pt")
    inputs = Preparer(processor).batch(pictures)
    assert torch.equal(inputs.tensor, own["pixel_values"])
    if "pixel_mask" in own:
        assert torch.equal(inputs.extra["pixel_mask"], own["pixel_mask"])


def test_pictures_of_different_shapes_share_one_padded_input():
    inputs = Preparer(hf.DetrImageProcessor(size=EDGES)).batch([picture(100, 200), picture(200, 120)])
    mask = inputs.extra["pixel_mask"]
    for row, (h, w) in enumerate(inputs.extra["sizes"].tolist()):
        assert int(mask[row, :h, :w].min()) == 1
        assert int(mask[row].sum()) == h * w
        corner = inputs.frame[row].points_to_source(torch.tensor([[float(w), float(h)]], dtype=torch.float64))[0]
        assert corner.flip(0).tolist() == pytest.approx(inputs.frame.source_size[row].tolist())


def test_owlv2_fills_a_square_from_the_top_left():
    inputs = Preparer(hf.Owlv2ImageProcessor(size={"height": 96, "width": 96})).batch([picture(100, 200)])
    end = inputs.frame[0].points_from_source(torch.tensor([[200.0, 100.0]], dtype=torch.float64))[0]
    assert end.tolist() == pytest.approx([96, 48])
    assert inputs.extra["sizes"].tolist() == [[96, 96]]


@pytest.mark.parametrize(
    ("processor", "blank"),
    [
        (hf.ViTImageProcessor(), [0, 0, 0]),
        (hf.RTDetrImageProcessor(size={"height": 64, "width": 64}), [0.485, 0.456, 0.406]),
        (hf.MobileViTImageProcessor(), [0.406, 0.456, 0.485]),
        (hf.ViTImageProcessor(do_rescale=False, do_normalize=False), [0.485 * 255, 0.456 * 255, 0.406 * 255]),
    ],
    ids=["normalised", "only rescaled", "blue first", "raw"],
)
def test_blank_is_the_mean_colour_as_the_model_sees_it(processor, blank):
    inputs = Preparer(processor).batch([picture()])
    assert inputs.blank.tolist() == pytest.approx(blank, abs=1e-3)


@pytest.mark.parametrize(
    ("processor", "size", "expected"),
    [
        (hf.ViTImageProcessor(), 96, (96, 96)),
        (hf.ViTImageProcessor(), (64, 96), (64, 96)),
        (hf.CLIPImageProcessor(), 96, (96, 96)),
        (hf.CLIPImageProcessor(), (64, 96), (64, 96)),
        (hf.DeiTImageProcessor(), (96, 64), (96, 64)),
        (hf.ConvNextImageProcessor(), 96, (96, 96)),
        (hf.DetrImageProcessor(), 120, (120, 200)),
        (hf.DetrImageProcessor(), (64, 96), (64, 96)),
        (hf.Owlv2ImageProcessor(), 64, (64, 64)),
    ],
)
def test_another_size(processor, size, expected):
    inputs = Preparer(processor, size=size).batch([picture(90, 150)])
    assert tuple(inputs.tensor.shape[-2:]) == expected


def test_the_share_that_a_crop_keeps_stays():
    own = Preparer(hf.DeiTImageProcessor()).batch([picture(200, 300)])
    other = Preparer(hf.DeiTImageProcessor(), size=112).batch([picture(200, 300)])

    def corners(inputs):
        return inputs.frame[0].boxes_to_source(
            torch.tensor([[0.0, 0, inputs.frame.size[1], inputs.frame.size[0]]], dtype=torch.float64)
        )

    assert torch.allclose(corners(own), corners(other))


class Sideways(hf.ViTImageProcessor):
    """Does not do what its settings say."""

    def _preprocess(self, images, **options):
        return super()._preprocess([image.roll(6, -1) for image in images], **options)


class Smaller(hf.ViTImageProcessor):
    def resize(self, image, size, **options):
        return super().resize(image, type(size)(height=32, width=32), **options)


@pytest.mark.parametrize("made", [Sideways, Smaller, hf.LevitImageProcessor])
def test_a_processor_that_does_something_else_is_refused(made):
    with pytest.raises(AdapterError, match=r"settings say"):
        Preparer(made()).batch([picture()])


def test_what_cannot_be_one_batch_is_refused():
    preparer = Preparer(hf.ViTImageProcessor(size={"shortest_edge": 64}))
    assert tuple(preparer.batch([picture(90, 150)]).tensor.shape) == (1, 3, 64, 106)
    with pytest.raises(InputError, match="one at a time"):
        preparer.batch([picture(90, 150), picture(90, 90)])
    with pytest.raises(InputError, match="empty"):
        preparer.batch([])
    with pytest.raises(OptionError, match="square"):
        Preparer(hf.ConvNextImageProcessor(), size=(64, 96))
    with pytest.raises(OptionError, match="size is"):
        Preparer(hf.DetrImageProcessor(), size=0)


def test_read_only_pictures_are_read_without_a_warning():
    fixed = picture()
    fixed.setflags(write=False)
    assert len(Preparer(hf.ViTImageProcessor()).batch([fixed])) == 1
