"""Tiny models of depth and of keypoints from their configurations, with seeded weights, and their real processors."""

from __future__ import annotations

import torch
import transformers as hf

from isotherm.models.transformers.view import wrap
from rigs.transformers_models import VIT, spread
from rigs.transformers_segmenters import _dpt
from rigs.transformers_views import SQUARE

FUSION = dict(neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16)
DEEP = {**VIT, "num_hidden_layers": 4}
STAGES = ["stage1", "stage2", "stage3", "stage4"]

DEPTH = {
    "depth_anything": lambda: hf.DepthAnythingForDepthEstimation(
        hf.DepthAnythingConfig(
            **FUSION,
            backbone_config=hf.Dinov2Config(**DEEP, out_features=STAGES, reshape_hidden_states=False),
            reassemble_hidden_size=32,
            patch_size=16,
            head_hidden_size=8,
        )
    ),
    "dpt": lambda: hf.DPTForDepthEstimation(_dpt()),
    "zoedepth": lambda: hf.ZoeDepthForDepthEstimation(
        hf.ZoeDepthConfig(
            **FUSION,
            backbone_config=hf.BeitConfig(
                **DEEP, out_features=STAGES, reshape_hidden_states=False, use_relative_position_bias=True
            ),
            bottleneck_features=16,
            num_relative_features=8,
            bin_embedding_dim=16,
            num_attractors=[4, 2, 2, 1],
            bin_configurations=[dict(n_bins=8, min_depth=0.001, max_depth=10.0, name="indoor")],
        )
    ),
    "glpn": lambda: hf.GLPNForDepthEstimation(
        hf.GLPNConfig(
            hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16
        )
    ),
}


def make_depth(family: str, seed: int = 0) -> torch.nn.Module:
    """A model of depth, in eval mode, whose weights tell pictures apart."""
    torch.manual_seed(seed)
    return spread(DEPTH[family](), seed)


def depth_processor(family: str):
    """The family's real processor at a small size."""
    return {
        "depth_anything": lambda: hf.DPTImageProcessor(size=SQUARE, keep_aspect_ratio=True, ensure_multiple_of=16),
        "dpt": lambda: hf.DPTImageProcessor(size=SQUARE),
        "zoedepth": lambda: hf.ZoeDepthImageProcessor(size=SQUARE, ensure_multiple_of=16),
        "glpn": lambda: hf.GLPNImageProcessor(),
    }[family]()


def depth_view(family: str, model=None, **options):
    """A view of a tiny model of depth."""
    return wrap(make_depth(family) if model is None else model, processor=depth_processor(family), **options)


def make_pose(seed: int = 0) -> torch.nn.Module:
    """A ViTPose of five keypoints, in eval mode, whose weights tell pictures apart."""
    torch.manual_seed(seed)
    backbone = hf.VitPoseBackboneConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=[96, 64],
        patch_size=[16, 16],
        mlp_ratio=2,
    )
    names = dict(enumerate(("nose", "left wrist", "right wrist", "left knee", "right knee")))
    config = hf.VitPoseConfig(backbone_config=backbone, scale_factor=4, id2label=names, num_labels=5)
    return spread(hf.VitPoseForPoseEstimation(config), seed)


def pose_view(model=None, **options):
    """A view of a tiny ViTPose."""
    processor = hf.VitPoseImageProcessor(size={"height": 96, "width": 64})
    return wrap(make_pose() if model is None else model, processor=processor, **options)
