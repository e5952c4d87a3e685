"""The documented examples of the module that circulates run with the import line alone changed, or say why they cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from isotherm.errors import ShapeError
from isotherm.systems.bridgevla import (
    ConvexUpSample,
    LLMToHeatmapConverter,
    create_multi_scale_heatmap,
    generate_hm_from_pt,
    generate_target_heatmap_from_annotation,
    quick_heatmap_from_llm,
    visualize_attention_comparison,
    visualize_multi_view_heatmaps,
    visualize_points_and_heatmap,
)
from isotherm.systems.bridgevla.figures import sheet
from oracles.heads import convex_upsample


@pytest.fixture
def image():
    return Image.effect_noise((64, 48), 60).convert("RGB")


def test_basic_usage(image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    points = torch.tensor([[112.0, 112.0], [56.0, 168.0]])
    target_heatmap = generate_hm_from_pt(points, res=224, sigma=10.0)
    assert target_heatmap.shape == (2, 224, 224)
    points_norm = [(0.5, 0.5), (0.25, 0.75)]
    visualize_points_and_heatmap(image, points_norm, target_heatmap[0], "output.png")
    assert (tmp_path / "output.png").stat().st_size > 1000
    with pytest.raises(ShapeError, match=r"take one view of one prompt \(heatmaps\[0, 0\]\)"):
        visualize_points_and_heatmap(image, points_norm, torch.randn(3, 224, 224), "output.png")


def test_conversion_with_three_views_of_three_hundred_tokens_cannot_be():
    with torch.device("meta"):  # 309 million weights, of which the error needs none
        converter = LLMToHeatmapConverter(vlm_dim=2048, patch_size=16, target_size=224, up_kernel=3, mask_scale=0.1)
    hidden_states = torch.randn(2, 300, 2048)
    attention_mask = torch.ones(2, 300)
    with pytest.raises(ShapeError, match="768 image tokens, and a prompt has 300"):
        converter(hidden_states, attention_mask, num_views=3)
    with pytest.raises(ShapeError, match="768 image tokens, and a prompt has 300"):
        quick_heatmap_from_llm(hidden_states, attention_mask, num_views=3, vlm_dim=2048)


def test_conversion_with_the_one_view_that_they_hold():
    converter = LLMToHeatmapConverter(vlm_dim=16)
    hidden_states, attention_mask = torch.randn(2, 300, 16), torch.ones(2, 300)
    with pytest.warns(UserWarning, match="first 256 tokens"):
        heatmaps, features = converter.forward_with_features(hidden_states, attention_mask)
    assert heatmaps.shape == (2, 1, 224, 224)
    assert features.shape == (2, 1, 16, 16, 16)
    with pytest.warns(UserWarning, match="random weights|first 256"):
        assert quick_heatmap_from_llm(hidden_states, attention_mask, num_views=1, vlm_dim=16).shape == heatmaps.shape


@pytest.mark.parametrize(
    ("annotation", "flag"),
    [
        ("[0.3, 0.4, 0.7, 0.6]", "detection_1"),
        ("[[0.2, 0.3], [0.8, 0.7]]", "detection_2"),
        ("[0.5, 0.5]", "single_point"),
        ("[[0.3, 0.4], [0.6, 0.5]]", "grasp_point"),
    ],
)
def test_target_generation(annotation, flag):
    target_hm = generate_target_heatmap_from_annotation(annotation, flag, image_size=224, sigma=8.0)
    assert target_hm.shape == (1, 224, 224)


def test_multi_scale():
    points = torch.tensor([[112.0, 112.0]])
    assert create_multi_scale_heatmap(points, image_size=224, scales=[2.0, 5.0, 10.0]).shape == (3, 224, 224)


def test_advanced_visualisation(image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sheet, "DPI", 64)  # of large pictures of noise most of the time is their compression
    heatmaps = torch.randn(3, 224, 224)
    visualize_multi_view_heatmaps([image] * 3, heatmaps, "multiview.png", view_names=["Front", "Side", "Top"])
    visualize_attention_comparison(image, heatmaps[0], heatmaps[1].softmax(-1), "comparison.png")
    assert {f.name for f in tmp_path.iterdir()} == {"multiview.png", "comparison.png"}


def test_training_integration():
    """Of one view a prompt; the losses of several are one cross-entropy each: test_faults.py has why."""

    def compute_heatmap_loss(pred_heatmaps, annotations, flags):
        losses = []
        for pred, annotation, flag in zip(pred_heatmaps, annotations, flags, strict=True):
            target = generate_target_heatmap_from_annotation(annotation, flag)
            target = target.to(pred.device)
            pred_flat = pred.view(-1)
            target_flat = target.view(-1)
            loss = F.cross_entropy(pred_flat.unsqueeze(0), target_flat.unsqueeze(0))
            losses.append(loss)
        return torch.stack(losses).mean()

    predicted = torch.zeros(2, 224, 224, requires_grad=True)
    loss = compute_heatmap_loss(predicted, ["[0.5, 0.5]", "[0, 0, 1, 1]"], ["single_point", "detection_1"])
    loss.backward()
    assert loss.item() == pytest.approx(10.82, abs=0.01)
    assert predicted.grad[0].argmin() in (111 * 224 + 111, 111 * 224 + 112, 112 * 224 + 111, 112 * 224 + 112)


def test_upsampling_of_the_published_width():
    with torch.device("meta"):
        upsampler = ConvexUpSample(in_dim=2048, out_dim=1, up_ratio=14)
        assert upsampler(torch.randn(1, 2048, 16, 16)).shape == (1, 1, 224, 224)


def test_upsampling_with_weights():
    """The documented call on fewer features; the numbers are those of the published formula, cell by cell."""
    upsampler = ConvexUpSample(in_dim=6, out_dim=1, up_ratio=14, padding="zeros").eval()
    features = torch.randn(1, 6, 3, 4)
    with torch.no_grad():
        values, weights = upsampler.net_out(features)[0], upsampler.net_mask(features)[0]
        maps = upsampler(features)
    assert maps.shape == (1, 1, 42, 56)
    expected = convex_upsample(values.double().numpy(), weights.double().numpy(), 14, 3, 0.1, "zeros")
    assert np.abs(maps[0].numpy() - expected).max() < 1e-6
    assert maps.std() > 1e-3
