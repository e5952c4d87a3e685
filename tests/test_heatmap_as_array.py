"""A heatmap as an array, and its values on the pixels of the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_source

LETTERBOX = Frame.letterbox((48, 64), (32, 32)).to_grid(stride=4)
CROP = Frame.identity((48, 64)).cropped((16, 8, 48, 40)).resized((8, 8))


def heatmap(frame=LETTERBOX, dtype=torch.float32, batch=()):
    torch.manual_seed(0)
    return Heatmap(torch.randn(*batch, *frame.size).to(dtype), frame, "relevance", signed=True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_an_array_of_the_same_memory(dtype):
    hm = heatmap(dtype=getattr(torch, dtype))
    array = np.asarray(hm)
    assert array.dtype == dtype
    assert array.ctypes.data == hm.values.data_ptr()
    assert np.asarray(hm, copy=False).ctypes.data == hm.values.data_ptr()
    assert np.array(hm, copy=True).ctypes.data != hm.values.data_ptr()
    np.testing.assert_array_equal(np.array(hm), hm.values.numpy())


def test_another_type_is_a_copy():
    hm = heatmap()
    assert np.asarray(hm, dtype=np.float64).dtype == np.float64
    assert np.asarray(hm, dtype="float32").ctypes.data == hm.values.data_ptr()
    with pytest.raises(
        ValueError, match=r"torch\.float32 on cpu: as float64 they must be copied; leave copy=False out"
    ):
        np.asarray(hm, dtype=np.float64, copy=False)


def test_bfloat16_becomes_single_precision():
    hm = heatmap(dtype=torch.bfloat16)
    assert np.asarray(hm).dtype == np.float32
    np.testing.assert_array_equal(np.asarray(hm), hm.values.float().numpy())
    with pytest.raises(ValueError, match=r"bfloat16 on cpu: as NumPy has them they must be copied"):
        np.asarray(hm, copy=False)


def test_gradients_end_and_batches_stay():
    hm = heatmap(batch=(3,))
    hm = hm.with_(values=hm.values.requires_grad_())
    assert np.asarray(hm).shape == (3, 8, 8)
    assert np.stack(list(hm)).shape == (3, 8, 8)
    assert float(np.max(hm)) == hm.values.max().item()


@pytest.mark.parametrize("frame", [LETTERBOX, CROP, CROP.rotated(30)], ids=["letterbox", "crop", "rotated"])
@pytest.mark.parametrize("outside", ["nan", "edge"])
def test_on_the_pixels_as_resampling_has_it(frame, outside):
    hm = heatmap(frame, batch=(2,))
    torch.testing.assert_close(
        hm.at_source(outside=outside), to_source(hm.values, frame, outside=outside), rtol=0, atol=0, equal_nan=True
    )
    torch.testing.assert_close(
        hm.at_source((24, 32)),
        to_source(hm.values, frame, size=(24, 32), outside="nan"),
        rtol=0,
        atol=0,
        equal_nan=True,
    )


@pytest.mark.parametrize("frame", [LETTERBOX, CROP, CROP.rotated(30)], ids=["letterbox", "crop", "rotated"])
def test_a_region_is_a_part_of_the_whole(frame):
    hm = heatmap(frame, dtype=torch.float64)
    part = hm.at_source(region=(10, 20, 30, 33))
    assert part.shape == (13, 20)
    torch.testing.assert_close(part, hm.at_source()[20:33, 10:30], rtol=0, atol=1e-12, equal_nan=True)


def test_what_was_not_seen_is_nan_unless_the_nearest_cell_is_asked_for():
    hm = heatmap(CROP)
    known = torch.isfinite(hm.at_source())
    assert known[8:40, 16:48].all()
    assert known.sum() == 32 * 32
    assert hm.at_source(outside="edge")[0, 0] == hm.values[0, 0]


def test_beyond_the_edge_there_is_no_picture():
    hm = heatmap(LETTERBOX)  # its cells go on above and below, over the padding
    part = hm.at_source(region=(0, -2, 4, 2))
    assert torch.isnan(part).all(-1).tolist() == [True, True, False, False]
    torch.testing.assert_close(part[2:], hm.at_source()[:2, :4])
    assert torch.isfinite(hm.at_source(region=(0, -2, 4, 2), outside="edge")).all()


def test_a_region_at_another_size():
    ramp = Heatmap(torch.arange(8.0)[None].repeat(6, 1), Frame.identity((6, 8)), "relevance")
    # two pixels of the picture to each value: the means of their centres
    assert ramp.at_source((1, 2), region=(2, 1, 6, 3)).tolist() == [[2.5, 4.5]]


def test_a_region_between_pixels():
    ramp = Heatmap(torch.arange(8.0)[None].repeat(6, 1), Frame.identity((6, 8)), "relevance")
    assert ramp.at_source(region=(2.5, 1, 4.5, 2)).tolist() == [[2.5, 3.5]]
    assert ramp.at_source(region=(2, 1, 4.4, 1.3)).shape == (1, 2)


def test_type_device_and_gradient_stay():
    hm = heatmap(dtype=torch.float16)
    assert hm.at_source().dtype == torch.float16
    values = torch.ones(8, 8, requires_grad=True)
    Heatmap(values, LETTERBOX, "relevance").at_source(region=(0, 0, 8, 8)).sum().backward()
    assert values.grad.sum().item() == pytest.approx(64)


@pytest.mark.parametrize("region", [(3, 0, 3, 5), (0, 5, 5, 1), (0, 0, 5), (0, 0, float("nan"), 4)])
def test_regions_that_are_none(region):
    with pytest.raises(OptionError, match=r"region is .*; expected \(x0, y0, x1, y1\) in source pixels"):
        heatmap().at_source(region=region)


@pytest.mark.usefixtures("unchecked")
def test_words_and_pictures_that_do_not_fit():
    with pytest.raises(OptionError, match="outside"):
        heatmap().at_source(outside="zero")
    several = Frame.stack([Frame.resize((4, 4), (2, 2)), Frame.resize((6, 4), (2, 2))])
    with pytest.raises(ShapeError, match="one at a time"):
        Heatmap(torch.zeros(2, 2, 2), several, "relevance").at_source()
