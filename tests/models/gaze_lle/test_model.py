"""Gaze-LLE as a whole: pictures of any size, people, points in source pixels, ONNX."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from isotherm import Frame, Heatmap
from isotherm.errors import InputError, ShapeError
from isotherm.models.gaze_lle import (
    GazeDecoder,
    GazeDecoderConfig,
    GazeLLE,
    GazePrediction,
    export_gaze_lle,
    head_boxes,
)
from rigs.gaze_lle import Patches, small_gaze_lle


def pictures(*sizes):
    draw = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=draw) for size in sizes]


def test_people_of_several_pictures_are_answered_as_alone_and_each_over_its_own_picture():
    model, some = small_gaze_lle(), pictures((60, 90), (44, 30))
    boxes = [torch.tensor([[9.0, 6.0, 45.0, 30.0], [45.0, 0.0, 90.0, 60.0]]), None]
    found = model.predict(some, boxes)
    assert found.heatmap.values.shape == (3, 8, 8)
    assert found.heatmap.kind == "peak"
    assert found.heatmap.frame.source_size.tolist() == [[60, 90], [60, 90], [44, 30]]
    for i, (picture, box) in enumerate([(some[0], boxes[0][:1]), (some[0], boxes[0][1:]), (some[1], None)]):
        alone = model.predict([picture], [box])
        torch.testing.assert_close(alone.heatmap.values[0], found.heatmap.values[i], atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.inside[0], found.inside[i], atol=1e-5, rtol=0)
    assert (found.heatmap.values[0] - found.heatmap.values[1]).abs().max() > 1e-3
    assert small_gaze_lle(inout=False).predict(some[:1], [None]).inside is None


def test_a_picture_without_people_costs_no_answer():
    model = small_gaze_lle()
    found = model.predict(pictures((30, 30), (40, 40)), [torch.zeros(0, 4), torch.tensor([[1.0, 1.0, 9.0, 9.0]])])
    assert found.heatmap.values.shape == (1, 8, 8)
    assert found.heatmap.frame.source_size.tolist() == [[40, 40]]


def test_pictures_are_fed_as_torchvision_does_it_in_the_published_transform():
    from torchvision.transforms import v2

    (picture,) = pictures((100, 37))
    model = small_gaze_lle()
    fed = model.fed(picture)
    steps = v2.Compose(
        [
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(model.backbone.mean.flatten(), model.backbone.std.flatten()),
        ]
    )
    expected = v2.Resize((56, 56), antialias=True)(steps(picture))
    torch.testing.assert_close((fed - model.backbone.mean) / model.backbone.std, expected, atol=1e-5, rtol=0)


def test_points_are_exact_for_maps_as_the_model_was_trained_on_up_to_the_border():
    """Where the brightest cell, the usual reading, is off by up to half a cell, 15 pixels of a video of full width."""
    size, cells = (1080, 1920), 64
    places = torch.tensor([[960.0, 540.0], [15.0, 1070.0], [1901.0, 7.5], [123.4, 777.7]])
    frame = Frame.resize(size, (cells, cells))
    at = frame.points_from_source(places)
    grid = torch.arange(cells) + 0.5
    distance = (grid - at[:, :1])[:, None, :].square() + (grid - at[:, 1:])[:, :, None].square()
    maps = torch.exp(-distance / (2 * 3.0**2))
    found = GazePrediction(Heatmap(maps, frame, "peak"), None).points()
    torch.testing.assert_close(found.xy[:, 0], places, atol=0.05, rtol=0)
    brightest = maps.flatten(1).argmax(1)
    corner = torch.stack([brightest % cells, brightest // cells], -1) * frame.cell_size.flip(-1).float()
    assert (corner - places).norm(dim=-1).max() > 15


def test_the_backbone_is_frozen_and_the_decoder_is_not():
    model = small_gaze_lle()
    assert not any(p.requires_grad for p in model.backbone.parameters())
    maps, _ = model(torch.rand(1, 3, 56, 56), torch.full((1, 4), math.nan), torch.tensor([0]))
    maps.sum().backward()
    assert all(
        p.grad is not None
        for n, p in model.decoder.named_parameters()
        if "inout_head" not in n and n != "head_token.weight"
    )


def test_parts_that_do_not_fit_are_refused():
    decoder = GazeDecoder(GazeDecoderConfig(channels=16, grid=(4, 4), width=8, layers=1, attention_heads=2))
    with pytest.raises(ShapeError, match="the backbone gives 8 on"):
        GazeLLE(Patches(8), decoder, size=(56, 56))
    with pytest.raises(ShapeError, match=r"on \(32, 32\)"):
        GazeLLE(Patches(16), decoder)
    with pytest.raises(ShapeError, match="1 sets of boxes for 2 pictures"):
        small_gaze_lle().predict(pictures((30, 30), (30, 30)), [None])


def test_boxes_are_taken_in_pixels_or_as_the_published_code_has_them():
    in_pixels = head_boxes(torch.tensor([[24.0, 18.0, 48.0, 36.0]]), (72, 96))
    assert in_pixels.tolist() == head_boxes([(0.25, 0.25, 0.5, 0.5)], (72, 96)).tolist()
    assert head_boxes(None, (72, 96)).isnan().all()
    assert head_boxes([], (72, 96)).shape == (0, 4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("people", [1, 3])
def test_onnx_says_the_same_of_any_number_of_people(exported, people):
    model, session = exported
    picture = torch.rand(1, 3, 56, 56, generator=torch.Generator().manual_seed(3))
    boxes = torch.tensor([[0.1, 0.2, 0.6, 0.7], [math.nan] * 4, [0.51, 0.51, 0.52, 0.52]])[:people]
    with torch.no_grad():
        maps, inside = model(picture, boxes, torch.zeros(people, dtype=torch.int64))
    found = session.run(None, {"picture": picture.numpy(), "boxes": boxes.numpy()})
    np.testing.assert_allclose(found[0], maps, atol=1e-5)
    np.testing.assert_allclose(found[1], inside, atol=1e-5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    import warnings

    runtime = pytest.importorskip("onnxruntime", reason="nothing to run ONNX with is installed")
    model = small_gaze_lle()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fpath = export_gaze_lle(model, tmp_path_factory.mktemp("onnx") / "gaze.onnx")
    with pytest.raises(InputError, match=r"must end in \.onnx"):
        export_gaze_lle(model, fpath.with_suffix(".pt"))
    return model, runtime.InferenceSession(str(fpath), providers=["CPUExecutionProvider"])
