"""The same pixels as predict feeds, and Frames that know whence they come."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.errors import InputError, OptionError
from isotherm.frame import Frame
from isotherm.models.ultralytics.input import GREY, letterbox, letterbox_pads
from isotherm.models.ultralytics.view import wrap
from rigs.breadth import wide
from rigs.yolo_models import TINY_RTDETR, bus, made


def picture(h: int, w: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), np.uint8)


def fed_by_predict(yolo, pictures: list[np.ndarray], size, **more) -> torch.Tensor:
    """The tensor that the package's own predictor makes of RGB pictures."""
    predictor = yolo._smart_load("predictor")(
        overrides={
            **yolo.overrides,
            "imgsz": size,
            "mode": "predict",
            "rect": True,
            "conf": 0.25,
            "verbose": False,
            **more,
        }
    )
    predictor.setup_model(yolo.model, verbose=False)
    backwards = [np.ascontiguousarray(p[..., ::-1]) for p in pictures]
    predictor.setup_source(backwards)
    return predictor.preprocess(backwards)


@pytest.mark.parametrize(
    "shapes",
    [
        [(333, 517)],
        [(40, 640)],
        *wide([[(1080, 810)], [(7, 3)], [(320, 320)], [(501, 500)] * 2]),
        [(480, 640), (640, 480), (97, 31)],
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [320, (256, 384)], ids=str)
def test_detectors_get_the_pixels_of_predict(shapes, size):
    yolo = made("yolo11n.yaml")
    pictures = [picture(*s, seed=i) for i, s in enumerate(shapes)]
    inputs = wrap(yolo, size=size).prepare(pictures)
    assert torch.equal(inputs.tensor, fed_by_predict(yolo, pictures, size))
    assert inputs.frame.source_size.tolist() == [list(s) for s in shapes]
    torch.testing.assert_close(inputs.blank, torch.full((3,), 114 / 255))


def test_rt_detr_gets_the_pixels_of_predict():
    yolo = made(TINY_RTDETR)
    pictures = [picture(97, 311), picture(200, 100, 1)]
    inputs = wrap(yolo, size=320).prepare(pictures)
    assert torch.equal(inputs.tensor, fed_by_predict(yolo, pictures, 320))
    assert inputs.frame.boxes_to_source(torch.tensor([[[0.0, 0, 320, 320]]] * 2)).tolist() == [
        [[0, 0, 311, 97]],
        [[0, 0, 100, 200]],
    ]


@pytest.mark.parametrize("shape", [(97, 311), (311, 97), (224, 224), (50, 60)])
@pytest.mark.parametrize("size", [224, (128, 192)], ids=str)
def test_classifiers_get_the_pixels_of_predict(shape, size):
    yolo = made("yolo11n-cls.yaml")
    inputs = wrap(yolo, size=size).prepare([picture(*shape)])
    expected = fed_by_predict(yolo, [picture(*shape)], size)
    torch.testing.assert_close(inputs.tensor, expected, rtol=0, atol=1e-7)
    assert inputs.frame.size == tuple(expected.shape[-2:])


def gradient_picture(h: int, w: int) -> np.ndarray:
    """Red grows with x and green with y, so that an input pixel's colour says which source pixel it shows."""
    y, x = np.mgrid[:h, :w]
    return np.stack([x * 255.0 / w, y * 255.0 / h, np.zeros((h, w))], -1).round().astype(np.uint8)


@pytest.mark.parametrize(("config", "size"), [("yolo11n.yaml", 320), (TINY_RTDETR, 320), ("yolo11n-cls.yaml", 224)])
@pytest.mark.parametrize("shape", [(60, 43), (43, 64)])
def test_frames_tell_the_truth_about_every_pixel(config, size, shape):
    """Read the source position off the pixels themselves and compare it with the Frame's."""
    h, w = shape
    inputs = wrap(made(config), size=size).prepare([gradient_picture(h, w)])
    H, W = inputs.frame.size
    ys, xs = torch.meshgrid(torch.arange(H) + 0.5, torch.arange(W) + 0.5, indexing="ij")
    source = inputs.frame[0].points_to_source(torch.stack([xs, ys], -1).flatten(0, 1).double()).unflatten(0, (H, W))
    inside = (source[..., 0] > 1) & (source[..., 0] < w - 1) & (source[..., 1] > 1) & (source[..., 1] < h - 1)
    assert int(inside.sum()) > H * W / 3
    # bilinear interpolation of a ramp whose pixel i has the value i: at source position s (edge-origin) it is s - 0.5
    shown = inputs.tensor[0, :2].permute(1, 2, 0).double() * torch.tensor([w, h])
    error = (shown + 0.5 - source).abs()[inside]
    assert float(error.max()) < 0.3, "a byte resolves a quarter of a source pixel"
    assert float((shown + 0.5 - source)[inside].mean(0).abs().max()) < 0.06, "no systematic shift"


@settings(max_examples=60, deadline=None)
@given(h=st.integers(1, 900), w=st.integers(1, 900), rectangle=st.booleans())
def test_padding_is_that_of_the_package(h, w, rectangle):
    from ultralytics.data.augment import LetterBox

    params = LetterBox((320, 256), auto=rectangle, stride=32).get_params({"img": np.empty((h, w, 3), np.uint8)})
    inner, (left, top, right, bottom) = letterbox_pads((h, w), (320, 256), stride=32, rectangle=rectangle)
    assert inner == params["new_unpad"][::-1]
    assert (left, top, right, bottom) == (params["left"], params["top"], params["right"], params["bottom"])


@settings(max_examples=60, deadline=None)
@given(h=st.integers(64, 900), w=st.integers(64, 900))
def test_boxes_go_to_the_source_as_the_package_scales_them(h, w):
    """scale_boxes guesses scale and padding from the two shapes; on square inputs the guess is the letterbox itself."""
    from ultralytics.utils.ops import scale_boxes

    inner, pads = letterbox_pads((h, w), (320, 320), stride=32, rectangle=False)
    frame = Frame.identity((h, w)).resized(inner).padded(*pads)
    boxes = torch.tensor([[150.0, 140.0, 171.5, 180.25]], dtype=torch.float64)
    expected = scale_boxes((320, 320), boxes.clone(), (h, w))
    limits = torch.tensor([w, h, w, h], dtype=torch.float64)
    torch.testing.assert_close(frame.boxes_to_source(boxes).clamp_min(0).minimum(limits), expected, rtol=0, atol=1e-9)


def test_on_thin_pictures_the_frame_is_right_where_scale_boxes_guesses_wrong():
    """A side that rounds down to whole strides makes scale_boxes take another scale; the pixels decide who is right."""
    from ultralytics.utils.ops import scale_boxes

    h, w = 640, 65  # 320 x 32.5, rounded to 320 x 32: no padding at all
    white = np.zeros((h, w, 3), np.uint8)
    white[400:480] = 255
    inputs = letterbox([white], (320, 320), stride=32, like=torch.zeros(1))
    assert inputs.tensor.shape[-2:] == (320, 32)
    rows = torch.nonzero(inputs.tensor[0, 0, :, 16] > 0.5).flatten()
    box = torch.tensor([[0.0, float(rows[0]), 32.0, float(rows[-1] + 1)]], dtype=torch.float64)
    assert inputs.frame[0].boxes_to_source(box)[0, 1::2].tolist() == [400, 480]
    guessed = scale_boxes((320, 32), box.clone(), (h, w))[0, 1::2]
    assert float((guessed - torch.tensor([400.0, 480.0])).abs().max()) > 1


def test_half_precision_rounds_as_predict_rounds():
    like = torch.zeros(1, dtype=torch.float16)
    inputs = letterbox([bus()], (320, 320), stride=32, like=like)
    whole = letterbox([bus()], (320, 320), stride=32, like=torch.zeros(1))
    assert torch.equal(inputs.tensor, (whole.tensor * 255).round().half().div(255))
    assert letterbox([bus()], (320, 320), stride=32, like=like.bfloat16()).tensor.dtype == torch.bfloat16
    assert pytest.approx(114 / 255) == GREY


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)],
    ids=["grey", "alpha", "float"],
)
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(InputError, match="RGB bytes"):
        letterbox([bad], (320, 320), stride=32, like=torch.zeros(1))


def test_no_pictures_and_foreign_transforms_are_refused():
    with pytest.raises(InputError, match="empty"):
        wrap(made("yolo11n.yaml"), size=320).prepare([])
    import torchvision.transforms as T

    yolo = made("yolo11n-cls.yaml")
    yolo.model.transforms = T.Compose([T.RandomCrop(224), T.ToTensor()])
    yolo.model.transforms.transforms[0].size = (224, 224)
    try:
        with pytest.raises(OptionError, match="RandomCrop"):
            wrap(yolo).prepare([bus()])
    finally:
        del yolo.model.transforms
