"""Tiny transformers models from config, with seeded random weights, and their real processors."""

from __future__ import annotations

import numpy as np
import torch
import transformers as hf

VIT = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=64, patch_size=16
)
VISION = dict(VIT)
TEXT = dict(
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    vocab_size=60,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
    max_position_embeddings=16,
)
SWIN = dict(image_size=64, patch_size=4, embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=4)
CNN = dict(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], layer_type="basic")
DETR = dict(
    d_model=32,
    encoder_layers=2,
    decoder_layers=2,
    encoder_attention_heads=4,
    decoder_attention_heads=4,
    encoder_ffn_dim=32,
    decoder_ffn_dim=32,
    num_queries=9,
    num_labels=4,
)
LEVELS = ["stage2", "stage3", "stage4"]


def _hybrid():
    return dict(
        backbone_config=hf.RTDetrResNetConfig(**CNN, out_features=LEVELS),
        encoder_hidden_dim=32,
        encoder_in_channels=[16, 16, 32],
        decoder_in_channels=[32, 32, 32],
        d_model=32,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        decoder_layers=2,
        num_queries=9,
        num_labels=4,
    )


def _windowed():
    """A backbone whose blocks see 2 x 2 windows of the picture as if they were pictures."""
    backbone = dict(
        model_type="rf_detr_dinov2",
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=64,
        patch_size=16,
        num_windows=2,
        out_features=["stage1", "stage3"],
    )
    return hf.RfDetrConfig(
        backbone_config=backbone,
        d_model=32,
        decoder_layers=2,
        decoder_self_attention_heads=4,
        decoder_cross_attention_heads=4,
        decoder_ffn_dim=32,
        num_queries=9,
        num_labels=4,
        group_detr=1,
        c2f_num_blocks=1,
    )


def _backbone(levels):
    return dict(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=hf.ResNetConfig(**CNN, out_features=levels),
    )


def _grounding_dino():
    return hf.GroundingDinoConfig(
        backbone_config=hf.SwinConfig(
            image_size=64,
            patch_size=4,
            embed_dim=16,
            depths=[1, 1, 1, 1],
            num_heads=[2, 2, 2, 2],
            window_size=4,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=hf.BertConfig(
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            vocab_size=1100,
            max_position_embeddings=64,
        ),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=9,
        num_feature_levels=4,
        max_text_len=32,
        use_pretrained_backbone=False,
    )


MODELS = {
    "vit": lambda: hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=5)),
    "deit": lambda: hf.DeiTForImageClassificationWithTeacher(hf.DeiTConfig(**VIT, num_labels=5)),
    "beit": lambda: hf.BeitForImageClassification(hf.BeitConfig(**VIT, num_labels=5)),
    "swin": lambda: hf.SwinForImageClassification(hf.SwinConfig(**SWIN, num_labels=5)),
    "swinv2": lambda: hf.Swinv2ForImageClassification(hf.Swinv2Config(**SWIN, num_labels=5)),
    "convnext": lambda: hf.ConvNextForImageClassification(
        hf.ConvNextConfig(hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], num_labels=5)
    ),
    "resnet": lambda: hf.ResNetForImageClassification(hf.ResNetConfig(**CNN, num_labels=5)),
    "mobilevit": lambda: hf.MobileViTForImageClassification(
        hf.MobileViTConfig(
            image_size=64, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 16, 24, 32], num_labels=5
        )
    ),
    "dinov2": lambda: hf.Dinov2ForImageClassification(hf.Dinov2Config(**VIT, num_labels=5)),
    "dinov2_registers": lambda: hf.Dinov2WithRegistersForImageClassification(
        hf.Dinov2WithRegistersConfig(**VIT, num_labels=5)
    ),
    "siglip": lambda: hf.SiglipForImageClassification(
        hf.SiglipConfig(vision_config=VISION, text_config=TEXT, num_labels=5)
    ),
    "clip": lambda: hf.CLIPForImageClassification(hf.CLIPConfig(vision_config=VISION, text_config=TEXT, num_labels=5)),
    "dinov3": lambda: hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**VIT, num_register_tokens=3)),
    "dinov3_convnext": lambda: hf.DINOv3ConvNextModel(
        hf.DINOv3ConvNextConfig(hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1])
    ),
    "clip_pair": lambda: hf.CLIPModel(hf.CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=24)),
    "siglip_pair": lambda: hf.SiglipModel(hf.SiglipConfig(vision_config=VISION, text_config=TEXT)),
    "segformer": lambda: hf.SegformerForSemanticSegmentation(
        hf.SegformerConfig(
            hidden_sizes=[8, 16, 16, 32],
            depths=[1, 1, 1, 1],
            num_attention_heads=[1, 1, 2, 2],
            decoder_hidden_size=16,
            num_labels=5,
        )
    ),
    "detr": lambda: hf.DetrForObjectDetection(hf.DetrConfig(**_backbone(["stage4"]), **DETR)),
    "detr_segmentation": lambda: hf.DetrForSegmentation(
        hf.DetrConfig(
            **_backbone(["stage1", *LEVELS]), **{**DETR, "encoder_attention_heads": 8, "decoder_attention_heads": 8}
        )
    ),
    "conditional_detr": lambda: hf.ConditionalDetrForObjectDetection(
        hf.ConditionalDetrConfig(**_backbone(["stage4"]), **DETR)
    ),
    "deformable_detr": lambda: hf.DeformableDetrForObjectDetection(
        hf.DeformableDetrConfig(**_backbone(LEVELS), **DETR, num_feature_levels=4)
    ),
    "rf_detr": lambda: hf.RfDetrForObjectDetection(_windowed()),
    "rt_detr": lambda: hf.RTDetrForObjectDetection(hf.RTDetrConfig(**_hybrid())),
    "rt_detr_v2": lambda: hf.RTDetrV2ForObjectDetection(hf.RTDetrV2Config(**_hybrid())),
    "d_fine": lambda: hf.DFineForObjectDetection(hf.DFineConfig(**_hybrid(), hidden_expansion=0.5)),
    "yolos": lambda: hf.YolosForObjectDetection(
        hf.YolosConfig(**{**VIT, "image_size": [64, 96]}, num_detection_tokens=7, num_labels=4)
    ),
    "grounding_dino": lambda: hf.GroundingDinoForObjectDetection(_grounding_dino()),
    "owlv2": lambda: hf.Owlv2ForObjectDetection(
        hf.Owlv2Config(vision_config=VISION, text_config=TEXT, projection_dim=32)
    ),
    "owlvit": lambda: hf.OwlViTForObjectDetection(
        hf.OwlViTConfig(vision_config=VISION, text_config=TEXT, projection_dim=32)
    ),
}


def make(family: str, seed: int = 0) -> torch.nn.Module:
    """A model of a family, in eval mode, whose parameters have spread: the package's initial ones hardly tell pictures apart."""
    torch.manual_seed(seed)
    return spread(MODELS[family](), seed)


def spread(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The model in eval mode, its weights drawn anew so that they tell pictures apart."""
    model = model.eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "position" not in name and "norm" not in name:
                fan = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan**0.5)
    return model


def picture(h: int = 90, w: int = 150, seed: int = 0) -> np.ndarray:
    """A smooth random picture."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 3, 6, 8)))
    fine = torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic").clamp(0, 1)[0]
    return (fine.permute(1, 2, 0).numpy() * 255).astype(np.uint8)


WORDS = ["cat", "dog", "red", "bus", "remote", "control", "a"]


def bert_tokenizer(folder):
    """A real BERT tokeniser of a small vocabulary, with the numbers that Grounding DINO expects of its marks."""
    vocabulary = [f"[unused{i}]" for i in range(1100)]
    for number, word in {
        0: "[PAD]",
        100: "[UNK]",
        101: "[CLS]",
        102: "[SEP]",
        103: "[MASK]",
        1012: ".",
        1029: "?",
    }.items():
        vocabulary[number] = word
    for i, word in enumerate(WORDS):
        vocabulary[200 + i] = word
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    return hf.BertTokenizer.from_pretrained(folder)


def clip_tokenizer(folder, *, length: int = 16):
    """A real CLIP tokeniser of single letters."""
    import json

    letters = [c for c in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {"!": 0, "<|startoftext|>": 1, "<|endoftext|>": 2}
    for c in letters:
        vocabulary[c] = len(vocabulary)
    for c in letters:
        vocabulary[f"{c}</w>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return hf.CLIPTokenizer.from_pretrained(folder, model_max_length=length, pad_token="!")
