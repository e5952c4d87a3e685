"""Tiny detectors of transformers for pages, text and prompts from their configurations, with seeded weights and their real processors."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import torch
import transformers as hf
from transformers.models.pp_doclayout_v2.configuration_pp_doclayout_v2 import PPDocLayoutV2ReadingOrderConfig

from isotherm.models.transformers.view import wrap
from rigs.transformers_models import CNN, TEXT, _grounding_dino, _hybrid, bert_tokenizer, clip_tokenizer, spread
from rigs.transformers_views import EDGES

WIDE = {"height": 128, "width": 128}
PROMPTS = {"mm_grounding_dino": ["a cat", "red dog"], "omdet_turbo": ["cat", "a dog"]}
FOUR = ["stage1", "stage2", "stage3", "stage4"]


def _page(levels: int) -> dict:
    options = _hybrid()
    if levels == 4:
        options["backbone_config"] = hf.RTDetrResNetConfig(**CNN, out_features=FOUR)
    return options


def _reading_order():
    return PPDocLayoutV2ReadingOrderConfig(
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=32,
        num_hidden_layers=1,
        num_classes=4,
        coordinate_size=6,
        shape_size=4,
        relation_bias_embed_dim=4,
        global_pointer_head_size=8,
    )


def _hgnet(**options):
    return hf.HGNetV2Config(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1, 1, 1, 1],
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 16, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 16, 32],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        out_features=FOUR,
        **options,
    )


def _lcnet(version: int):
    first, *rest = [8, 8, 16, 16, 32]
    if version == 3:
        blocks = [[[3, 8, first, 1, False]]]
        blocks += [[[3, a, b, 2, False]] for a, b in zip([first, *rest], rest, strict=False)]
        return hf.PPLCNetV3Config(
            block_configs=blocks, stem_channels=8, out_features=["stage2", "stage3", "stage4", "stage5"]
        )
    blocks = [[[3, 8, 8, 1, False]], [[3, 8, 16, 2, False]], [[3, 16, 16, 2, False]], [[3, 16, 32, 2, False]]]
    return hf.PPLCNetV4Config(block_configs=blocks, stem_channels=[3, 8, 8], out_features=FOUR)


def _omdet():
    return hf.OmDetTurboConfig(
        backbone_config=hf.SwinConfig(
            image_size=128,
            patch_size=4,
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 2, 2],
            window_size=4,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=hf.CLIPTextConfig(**{**TEXT, "max_position_embeddings": 77, "hidden_size": 24}, projection_dim=24),
        image_size=128,
        apply_layernorm_after_vision_backbone=False,  # which is for timm's backbones
        text_projection_in_dim=24,
        text_projection_out_dim=24,
        task_encoder_hidden_dim=32,
        class_embed_dim=24,
        num_queries=9,
        vision_features_channels=[32, 32, 32],
        encoder_in_channels=[16, 32, 64],
        encoder_hidden_dim=32,
        encoder_attention_heads=2,
        encoder_dim_feedforward=32,
        decoder_hidden_dim=32,
        decoder_num_heads=2,
        decoder_num_layers=2,
        decoder_dim_feedforward=32,
    )


def _mm_grounding_dino():
    like = _grounding_dino().to_dict()
    kept = {k: v for k, v in like.items() if k not in ("model_type", "transformers_version", "architectures")}
    return hf.MMGroundingDinoConfig(**kept)


OCR = dict(neck_out_channels=16)
LONG = {
    f"{name}_{part}": kernel
    for part, size in (("longratio", 7), ("midratio", 5), ("shortratio", 3))
    for name, kernel in (
        ("vertical_long_to_small_conv", [[size, 1], [1, 1], [size // 2, 0]]),
        ("horizontal_small_to_long_conv", [[1, size], [1, 1], [0, size // 2]]),
        ("symmetric_conv_long", [[size, size], [1, 1], [size // 2, size // 2]]),
    )
}
BLOCKS = dict(
    intraclass_block_config={**LONG, "reduce_channel": [1, 1, 0], "return_channel": [1, 1, 0]},
    scale_factor_list=[1, 2, 4, 8],
    kernel_list=[3, 2, 2],
)

FURTHER = {
    "mm_grounding_dino": lambda: hf.MMGroundingDinoForObjectDetection(_mm_grounding_dino()),
    "omdet_turbo": lambda: hf.OmDetTurboForObjectDetection(_omdet()),
    "pp_doclayout_v2": lambda: hf.PPDocLayoutV2ForObjectDetection(
        hf.PPDocLayoutV2Config(
            **_page(3), reading_order_config=_reading_order(), class_thresholds=[0.0] * 4, class_order=[0, 1, 2, 3]
        )
    ),
    "pp_doclayout_v3": lambda: hf.PPDocLayoutV3ForObjectDetection(
        hf.PPDocLayoutV3Config(
            **_page(4), x4_feat_dim=8, mask_feature_channels=[8, 8], num_prototypes=4, global_pointer_head_size=8
        )
    ),
    "pp_doclayout_v4": lambda: hf.PPDocLayoutV4ForObjectDetection(
        hf.PPDocLayoutV4Config(**{**_page(3), "hidden_size": 32, "global_pointer_head_size": 8})
    ),
    "pp_ocrv5_mobile_det": lambda: hf.PPOCRV5MobileDetForObjectDetection(
        hf.PPOCRV5MobileDetConfig(backbone_config=_lcnet(3), layer_list_out_channels=[8, 16, 16, 32], **OCR)
    ),
    "pp_ocrv5_server_det": lambda: hf.PPOCRV5ServerDetForObjectDetection(
        hf.PPOCRV5ServerDetConfig(backbone_config=_hgnet(), **BLOCKS, **OCR)
    ),
    "pp_ocrv6_small_det": lambda: hf.PPOCRV6SmallDetForObjectDetection(
        hf.PPOCRV6SmallDetConfig(backbone_config=_lcnet(4), layer_list_out_channels=[8, 16, 16, 32], **OCR)
    ),
    "pp_ocrv6_medium_det": lambda: hf.PPOCRV6MediumDetForObjectDetection(
        hf.PPOCRV6MediumDetConfig(backbone_config=_lcnet(4), **BLOCKS, **OCR)
    ),
}


@functools.cache
def _words(tokenizer: str):
    folder = Path(tempfile.mkdtemp())
    return bert_tokenizer(folder) if tokenizer == "bert" else clip_tokenizer(folder, length=77)


def further_processor(family: str):
    """The family's real processor at a small size."""
    if family == "mm_grounding_dino":
        return hf.GroundingDinoProcessor(hf.GroundingDinoImageProcessor(size=EDGES), _words("bert"))
    if family == "omdet_turbo":
        return hf.OmDetTurboProcessor(hf.DetrImageProcessor(size=WIDE), _words("clip"))
    if family.startswith("pp_doclayout"):
        return getattr(hf, f"PPDocLayoutV{family[-1]}ImageProcessor")(size=WIDE)
    return hf.PPOCRV5ServerDetImageProcessor(limit_side_len=256)


def make_further(family: str, seed: int = 0) -> torch.nn.Module:
    """A model of a family, in eval mode, whose weights tell pictures apart."""
    torch.manual_seed(seed)
    return spread(FURTHER[family](), seed)


def further_view(family: str, model=None, **options):
    """A view of a tiny detector that reports everything."""
    if not family.startswith("pp_ocr"):
        options.setdefault("confidence", 0.0)
    options.setdefault("classes", PROMPTS.get(family))
    return wrap(make_further(family) if model is None else model, processor=further_processor(family), **options)
