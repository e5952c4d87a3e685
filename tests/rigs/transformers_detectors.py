"""Further tiny detectors of transformers from their configurations, with seeded weights, and their real processors."""

from __future__ import annotations

import torch
import transformers as hf

from isotherm.models.transformers.view import wrap
from rigs.transformers_models import DETR, _backbone, _hybrid, _windowed, spread
from rigs.transformers_views import EDGES

WIDE = {"height": 128, "width": 128}


def _lw_detr():
    backbone = hf.LwDetrViTConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=128,
        pretrain_image_size=128,
        patch_size=16,
        num_windows=4,
        window_block_indices=[0, 2],
        out_indices=[2, 3],
    )
    return hf.LwDetrConfig(
        backbone_config=backbone,
        projector_scale_factors=[1.0],
        d_model=32,
        decoder_layers=2,
        decoder_self_attention_heads=2,
        decoder_cross_attention_heads=4,
        decoder_ffn_dim=32,
        decoder_n_points=2,
        num_queries=9,
        num_labels=4,
        group_detr=1,
        c2f_num_blocks=1,
    )


MORE_DETECTORS = {
    "lw_detr": lambda: hf.LwDetrForObjectDetection(_lw_detr()),
    "rf_detr_masks": lambda: hf.RfDetrForInstanceSegmentation(_windowed()),
    "table_transformer": lambda: hf.TableTransformerForObjectDetection(
        hf.TableTransformerConfig(**_backbone(["stage4"]), **DETR)
    ),
    "dab_detr": lambda: hf.DabDetrForObjectDetection(
        hf.DabDetrConfig(**_backbone(["stage4"]), **{k: v for k, v in DETR.items() if k != "d_model"}, hidden_size=32)
    ),
    "deimv2": lambda: hf.Deimv2ForObjectDetection(hf.Deimv2Config(**_hybrid(), hidden_expansion=0.5)),
}


def detector_processor(family: str):
    """The family's real processor at a small size."""
    return {
        "lw_detr": lambda: hf.DeformableDetrImageProcessor(size=WIDE),
        "rf_detr_masks": lambda: hf.RfDetrImageProcessor(size=WIDE),
        "table_transformer": lambda: hf.DetrImageProcessor(size=EDGES),
        "dab_detr": lambda: hf.ConditionalDetrImageProcessor(size=EDGES),
        "deimv2": lambda: hf.RTDetrImageProcessor(size=WIDE),
    }[family]()


def make_detector(family: str, seed: int = 0) -> torch.nn.Module:
    """A model of a family, in eval mode, whose weights tell pictures apart."""
    torch.manual_seed(seed)
    return spread(MORE_DETECTORS[family](), seed)


def detector_view(family: str, model=None, **options):
    """A view of a tiny detector that reports everything."""
    options.setdefault("confidence", 0.0)
    return wrap(make_detector(family) if model is None else model, processor=detector_processor(family), **options)
