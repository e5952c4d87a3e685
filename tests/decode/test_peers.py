"""Decoders beside slow oracles and beside the peers they are at par with; where values differ, the truth says who is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from isotherm.decode import argmax, dark, least_squares, local_soft_argmax, moment_inverse, quarter_offset
from isotherm.frame import Frame
from isotherm.ops.gaussian import axis_exponent, outer, peak_vectors
from oracles import decode as oracle

SIZE = (20, 26)


def places(n, low, high):
    """Points whose distance to the edges is at least ``low``; a negative one lets them lie outside."""
    return (
        torch.rand(n, 1, 2) * (torch.tensor([26.0, 20.0]) - 2 * low) + low
        if high is None
        else torch.cat([low + (high - low) * torch.rand(n, 1, 1), 6 + 8 * torch.rand(n, 1, 1)], -1)
    )


def peak_maps(at, sigma, noise=0.0, size=SIZE):
    maps = outer(*peak_vectors(at, torch.full_like(at, sigma), size))
    return maps + noise * torch.randn_like(maps)


def error(found, truth):
    return float((found - truth).norm(dim=-1).mean())


def all_of(function, maps, *args):
    return torch.tensor(np.array([function(m.numpy(), *args) for m in maps[:, 0]]), dtype=torch.float32)[:, None]


@pytest.mark.parametrize(("low", "high"), [(3, None), (-2, 1.5)], ids=["anywhere", "border"])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
def test_moment_inverse_is_the_root_that_bracketing_finds(sigma, low, high):
    at = places(6, low, high)
    wide = torch.full_like(at[..., 0], sigma)
    logits = (
        axis_exponent(at[..., 1], wide, 20)[..., :, None]
        + axis_exponent(at[..., 0], wide, 26)[..., None, :]
        + 0.3 * torch.randn(6, 1, *SIZE)
    )
    torch.testing.assert_close(
        moment_inverse(logits.double(), sigma_cells=sigma).xy.float(),
        all_of(oracle.moment_inverse, logits, sigma),
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.parametrize(("low", "high"), [(5, None), (-0.5, 2)], ids=["inside", "border"])
def test_least_squares_is_the_fit_that_scipy_finds(low, high):
    at = places(8, low, high)
    maps = peak_maps(at, 1.5, 0.03)
    theirs = torch.tensor(
        [oracle.gaussian_fit(m.numpy(), a.tolist(), 1.5) for m, a in zip(maps[:, 0], at[:, 0], strict=True)]
    )[:, None]
    # scipy fits the whole map, we the cells within three sigma: the noise beyond moves a fit by thousandths
    torch.testing.assert_close(least_squares(maps, sigma_cells=1.5).xy, theirs.float(), atol=0.02, rtol=0)


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_mmpose_dark(noise):
    """mmpose 759b39c, everywhere, to 1e-3 cells. Both give up at the border, where least squares is right."""
    at = torch.cat([places(8, 5, None), places(8, 0, 2)])
    maps = peak_maps(at, 1.5, noise)
    torch.testing.assert_close(dark(maps).xy, all_of(oracle.dark, maps), atol=1e-3, rtol=0)
    torch.testing.assert_close(dark(maps, stencil="udp").xy, all_of(oracle.dark_udp, maps), atol=5e-3, rtol=1e-3)
    assert error(dark(maps).xy[8:], at[8:]) > 4 * error(least_squares(maps, sigma_cells=1.5).xy[8:], at[8:])


def test_mmpose_quarter_offset():
    """mmpose 759b39c, exactly, but for cell 1 of each axis, which it leaves where it is: ours moves it, towards the truth."""
    at = places(40, 3, None)
    maps = peak_maps(at, 1.5)
    torch.testing.assert_close(quarter_offset(maps).xy, all_of(oracle.quarter_offset, maps), atol=0, rtol=0)
    at = places(20, 1.0, 2.0)
    maps = peak_maps(at, 1.5)
    assert error(quarter_offset(maps).xy, at) < error(all_of(oracle.quarter_offset, maps), at)


def test_sleap_integral_regression():
    maps = peak_maps(torch.cat([places(8, 4, None), places(8, 0, 2)]), 1.5, 0.03)
    torch.testing.assert_close(local_soft_argmax(maps).xy, all_of(oracle.centroid, maps), atol=1e-4, rtol=0)
    assert argmax(maps).xy[0, 0].tolist() == [v + 0.5 for v in oracle.argmax(maps[0, 0].numpy())]


def test_transformers_vitpose():
    """transformers 5.23, to 1e-3 cells inside. At the border it mirrors the map and ours sees zeros; both are wrong there."""
    from transformers.models.vitpose import image_processing_vitpose as vitpose

    def theirs(maps):
        stacked = maps.transpose(0, 1).numpy().repeat(2, 0)  # batch and keypoints of 1 would be squeezed away
        coordinates, _ = vitpose.get_keypoint_predictions(stacked)
        return (
            torch.tensor(vitpose.post_dark_unbiased_data_processing(coordinates, stacked, kernel=11))[0][
                :, None
            ].float()
            + 0.5
        )

    at = places(12, 5, None)
    maps = peak_maps(at, 2.0, 0.02, (40, 40))
    ours = dark(maps, stencil="udp", blur=11, blur_sigma=0.8)
    torch.testing.assert_close(ours.xy, theirs(maps), atol=2e-3, rtol=0)
    at = places(12, 0, 1)
    maps = peak_maps(at, 2.0, 0.0, (40, 40))
    assert error(theirs(maps), at) > 0.2
    assert error(least_squares(maps, sigma_cells=2.0).xy, at) < 1e-3


def test_torchvision_keypoint_rcnn():
    """torchvision 0.29, exactly: the largest cell of the map enlarged to its box. A fit of the map itself is nearer."""
    from torchvision.models.detection.roi_heads import heatmaps_to_keypoints

    at = places(5, 5, None)
    maps = peak_maps(at, 1.5)
    box = torch.tensor([10.0, 20.0, 10.0 + 78, 20.0 + 60])
    theirs = heatmaps_to_keypoints(maps, box.expand(5, 4))[0][..., :2]
    enlarged = F.interpolate(maps, (60, 78), mode="bicubic", align_corners=False)
    frame = Frame.identity((200, 200)).cropped(box.tolist())
    torch.testing.assert_close(argmax(enlarged, frame).xy, theirs, atol=1e-4, rtol=0)
    truth = at * 3 + box[:2]
    assert error(least_squares(maps, frame.to_grid(size=SIZE), sigma_cells=1.5).xy, truth) < 1e-3 < error(theirs, truth)
