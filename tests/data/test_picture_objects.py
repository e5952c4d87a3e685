"""Pictures that are held in memory: arrays, tensors and PIL's, of every layout, or refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.data.pictures import Picture, as_picture
from isotherm.errors import InputError


def photo(h=24, w=36, channels=3):
    """Smooth colours with a bright corner, so that a turned, swapped or clipped picture differs."""
    y, x = np.mgrid[0:h, 0:w]
    planes = [x * 255 // (w - 1), y * 255 // (h - 1), (x + y) % 200, np.full_like(x, 255)]
    array = np.stack(planes[:channels], -1).astype(np.uint8)
    array[:6, :6] = 255
    return array


# --- what a caller already holds ------------------------------------------------------------------------------


def test_the_same_picture_from_every_kind_of_object(tmp_path):
    array = photo()
    Image.fromarray(array).save(tmp_path / "p.png")
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    bf16 = torch.zeros(3, 24, 36, dtype=torch.bfloat16)
    for given_ in (
        array,
        array.astype(np.float32) / 255,
        array.astype(np.float64) / 255,
        array.astype(np.uint16) * 257,
        tensor,
        tensor.float() / 255,
        (tensor.float() / 255).requires_grad_(),
        Image.fromarray(array),
        tmp_path / "p.png",
        str(tmp_path / "p.png"),
        (tmp_path / "p.png").read_bytes(),
        Picture("x", array),
    ):
        picture = as_picture(given_)
        assert np.array_equal(picture.array, array), type(given_)
    assert (as_picture(bf16).array == 0).all()
    assert as_picture(array, name="mine").name == "mine"
    read_only = np.asarray(Image.fromarray(array))
    assert as_picture(read_only).array.flags.writeable


def test_grey_bool_alpha_and_strided_arrays():
    grey = photo()[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    for given_ in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None]):
        assert np.array_equal(as_picture(given_).array, expected)
    assert as_picture(np.array([[True, False]])).array[0, :, 0].tolist() == [255, 0]
    rgba = np.zeros((5, 6, 4), np.uint8)
    assert (as_picture(rgba).array == 255).all()
    assert as_picture(rgba).notes == ("transparent parts are shown on white",)
    flipped = photo()[:, ::-1]
    assert np.array_equal(as_picture(flipped).array, flipped)
    torch.from_numpy(as_picture(flipped).array)  # no negative strides


def test_a_pil_image_is_turned_and_names_itself(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(photo()).save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as image:
        picture = as_picture(image)
    assert picture.size == (36, 24)
    assert picture.name == str(tmp_path / "turned.jpg")


def test_layout_settles_what_shape_cannot():
    strip = np.zeros((3, 50, 3), np.uint8)
    strip[0] = 200
    assert as_picture(strip, layout="hwc").size == (3, 50)
    assert as_picture(strip, layout="chw").size == (50, 3)
    assert as_picture(strip, layout="chw").array[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        (np.zeros((3, 20, 30), np.uint8), r"expected \(H, W, C\); it looks like CHW: pass layout='chw'"),
        (torch.zeros(20, 30, 3), r"expected \(C, H, W\); it looks like HWC"),
        (np.zeros((3, 20, 3), np.uint8), "could be"),
        (torch.zeros(1, 3, 20, 30), "is a batch"),
        (np.zeros((20, 30, 5), np.uint8), "C must be 1, 3 or 4"),
        (np.zeros((0, 30, 3), np.uint8), "is not a picture"),
        (np.zeros(30, np.uint8), "is not a picture"),
        (np.zeros((20, 30, 3), np.int64), "int64 has no defined white"),
        (np.full((20, 30, 3), 200.0), "from 200 to 200; expected 0..1; it looks like 0..255"),
        (np.full((20, 30, 3), -1.5), "normalised for a model"),
        (np.full((20, 30, 3), np.nan), "NaN"),
        ([np.zeros((20, 30, 3), np.uint8)], "list of 1"),
        (17, "given as int"),
        (None, "NoneType"),
        (Image.new("F", (2, 2), float("nan")), "NaN"),
    ],
)
def test_whatever_would_be_a_guess_is_refused(given_, words):
    with pytest.raises(InputError, match=words):
        as_picture(given_)
