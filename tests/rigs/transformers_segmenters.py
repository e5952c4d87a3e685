"""Tiny segmenters of transformers from their configurations, with seeded weights, and their real processors."""

from __future__ import annotations

import torch
import transformers as hf

from isotherm.models.transformers.view import wrap
from rigs.transformers_models import VIT, spread
from rigs.transformers_views import EDGES, SQUARE, _clip

SWIN = dict(
    image_size=64,
    patch_size=4,
    embed_dim=16,
    depths=[1, 1, 1, 1],
    num_heads=[2, 2, 2, 2],
    window_size=4,
    out_features=["stage1", "stage2", "stage3", "stage4"],
)
BEIT = dict(
    **{**VIT, "num_hidden_layers": 4}, num_labels=5, out_indices=[1, 2, 3, 4], pool_scales=(1, 2), auxiliary_channels=8
)
QUERIES = dict(
    hidden_dim=32, encoder_feedforward_dim=32, encoder_layers=2, num_attention_heads=2, dim_feedforward=32, num_labels=4
)
UPER = dict(hidden_size=16, auxiliary_channels=8, num_labels=5, pool_scales=[1, 2])


def _dpt(**options):
    return hf.DPTConfig(
        **{**VIT, "num_hidden_layers": 4},
        is_hybrid=False,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        **options,
    )


def _maskformer():
    decoder = hf.DetrConfig(
        d_model=32,
        decoder_layers=2,
        encoder_layers=1,
        decoder_attention_heads=2,
        encoder_attention_heads=2,
        decoder_ffn_dim=16,
        encoder_ffn_dim=16,
        num_queries=7,
    )
    return hf.MaskFormerConfig(
        backbone_config=hf.SwinConfig(**SWIN),
        decoder_config=decoder,
        fpn_feature_size=32,
        mask_feature_size=32,
        num_labels=4,
    )


def _oneformer():
    return hf.OneFormerConfig(
        **QUERIES,
        backbone_config=hf.SwinConfig(**SWIN),
        num_queries=9,
        mask_dim=32,
        conv_dim=32,
        decoder_layers=2,
        query_dec_layers=1,
        text_encoder_width=32,
        text_encoder_context_length=16,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=60,
        text_encoder_n_ctx=2,
        text_encoder_proj_layers=1,
        task_seq_len=16,
        is_training=False,
    )


def _mask2former(**options):
    return hf.Mask2FormerConfig(
        **{**QUERIES, **options},
        backbone_config=hf.SwinConfig(**SWIN),
        feature_size=32,
        mask_feature_size=32,
        decoder_layers=3,
        num_queries=7,
        num_feature_levels=3,
    )


SEGMENTERS = {
    "upernet": lambda: hf.UperNetForSemanticSegmentation(
        hf.UperNetConfig(
            **UPER,
            backbone_config=hf.ConvNextConfig(
                hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], out_features=SWIN["out_features"]
            ),
            auxiliary_in_channels=16,
        )
    ),
    "upernet_swin": lambda: hf.UperNetForSemanticSegmentation(
        hf.UperNetConfig(**UPER, backbone_config=hf.SwinConfig(**SWIN), auxiliary_in_channels=64)
    ),
    "dpt": lambda: hf.DPTForSemanticSegmentation(_dpt(num_labels=5, use_auxiliary_head=False)),
    "beit": lambda: hf.BeitForSemanticSegmentation(hf.BeitConfig(**BEIT)),
    "data2vec": lambda: hf.Data2VecVisionForSemanticSegmentation(hf.Data2VecVisionConfig(**BEIT)),
    "mobilevit": lambda: hf.MobileViTForSemanticSegmentation(
        hf.MobileViTConfig(
            image_size=64,
            hidden_sizes=[16, 24, 32],
            neck_hidden_sizes=[8, 8, 16, 16, 16, 24, 32],
            num_labels=5,
            aspp_out_channels=16,
        )
    ),
    "mobilenet_v2": lambda: hf.MobileNetV2ForSemanticSegmentation(
        hf.MobileNetV2Config(image_size=64, depth_multiplier=0.25, num_labels=5)
    ),
    "segformer_one_class": lambda: hf.SegformerForSemanticSegmentation(
        hf.SegformerConfig(
            hidden_sizes=[8, 16, 16, 32],
            depths=[1, 1, 1, 1],
            num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=16,
            num_labels=1,
        )
    ),
    "mask2former": lambda: hf.Mask2FormerForUniversalSegmentation(_mask2former()),
    "mask2former_one_class": lambda: hf.Mask2FormerForUniversalSegmentation(_mask2former(num_labels=1)),
    "maskformer": lambda: hf.MaskFormerForInstanceSegmentation(_maskformer()),
    "oneformer": lambda: hf.OneFormerForUniversalSegmentation(_oneformer()),
}
UNIVERSAL = ("mask2former", "maskformer", "oneformer")


def make_segmenter(family: str, seed: int = 0) -> torch.nn.Module:
    """A model of a family, in eval mode, whose weights tell pictures apart; of segments each query is sure of its class
    and mask, so that some are kept.
    """
    torch.manual_seed(seed)
    model = spread(SEGMENTERS[family](), seed)
    if family in UNIVERSAL:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "class_predictor" in name or "class_embed" in name:
                    parameter.mul_(30.0)
                if name.endswith(("class_predictor.bias", "class_embed.bias")):
                    parameter[-1] -= 40.0
    return model


def segmenter_processor(family: str):
    """The family's real processor at a small size."""
    wide = {"height": 96, "width": 128}
    if family.startswith("mask2former"):
        return hf.Mask2FormerImageProcessor(size=EDGES)
    made = {
        "maskformer": lambda: hf.MaskFormerImageProcessor(size=EDGES),
        "oneformer": lambda: hf.OneFormerProcessor(
            hf.OneFormerImageProcessor(size=wide), _clip(), max_seq_length=16, task_seq_length=16
        ),
        "dpt": lambda: hf.DPTImageProcessor(size=SQUARE),
        "beit": lambda: hf.BeitImageProcessor(size=SQUARE, do_center_crop=False),
        "data2vec": lambda: hf.BeitImageProcessor(size=SQUARE, do_center_crop=False),
        "mobilevit": lambda: hf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size=SQUARE),
        "mobilenet_v2": lambda: hf.MobileNetV2ImageProcessor(size={"shortest_edge": 72}, crop_size=SQUARE),
    }
    return made[family]() if family in made else hf.SegformerImageProcessor(size=wide)


def segmenter_view(family: str, model=None, **options):
    """A view of a tiny segmenter; of segments all of them."""
    if family in UNIVERSAL:
        options.setdefault("confidence", 0.0)
    return wrap(make_segmenter(family) if model is None else model, processor=segmenter_processor(family), **options)
