"""Tiny models of families that read documents, from config, and their processors: FastVLM's convolutions, Granite's, OCR models."""

from __future__ import annotations

import torch
import transformers as hf

from rigs.vlm_grids import LINEAR
from rigs.vlm_models import IDEFICS_MARKS
from rigs.vlm_others import minicpm
from rigs.vlm_parts import COLOURS, HIDDEN, MIXED, MROPE, PATCH, SIDE, TEXT, TILED, VIT, seeded, template, words
from rigs.vlm_tiles import SIGLIP
from rigs.vlm_towers import SAM


def fast_vlm():
    """Its tower is a network of convolutions of timm's: here a small one, whose 5 x 5 cells are its tokens."""
    tokenizer = words(image_token="<image>")
    square = {"height": 160, "width": 160}
    processor = hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessor(size={"shortest_edge": 160}, crop_size=square, **MIXED),
        tokenizer=tokenizer,
        patch_size=32,
        vision_feature_select_strategy="full",
        chat_template=template("<image>"),
    )
    config = hf.FastVlmConfig(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "test_convnext",
            "do_pooling": False,
            "hidden_size": 64,
        },
        image_token_index=processor.image_token_id,
    )
    return seeded(lambda: hf.FastVlmForConditionalGeneration(config)), processor


def granite4_vision():
    """Pictures come into the language model at several of its layers, and the places of their tokens are zero before."""
    tokenizer = words(image_token="<image>")
    processor = hf.Granite4VisionProcessor(
        image_processor=hf.LlavaNextImageProcessor(**TILED),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        downsample_rate="1/2",
        chat_template=template("<image>"),
    )
    config = hf.Granite4VisionConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer), "num_hidden_layers": 6},
        vision_config=SIGLIP | {"hidden_size": 64},
        qformer_config={
            "model_type": "blip_2_qformer",
            "num_hidden_layers": 1,
            "intermediate_size": 64,
            "cross_attention_frequency": 1,
            "use_qformer_text_input": False,
        },
        image_token_index=processor.image_token_id,
        image_grid_pinpoints=TILED["image_grid_pinpoints"],
        image_seq_length=16,
        vision_feature_select_strategy="full",
        downsample_rate="1/2",
        deepstack_layer_map=[[-1, 0], [-2, 1]],
        spatial_target_layers=[2, 3, 4, 5],
    )
    return seeded(lambda: hf.Granite4VisionForConditionalGeneration(config)), processor


def granite_docling():
    tokenizer = words(*IDEFICS_MARKS, image_token="<image>")
    processor = hf.GraniteDoclingProcessor(
        image_processor=hf.GraniteDoclingImageProcessor(size={"height": SIDE, "width": SIDE}, max_patches=6, **COLOURS),
        tokenizer=tokenizer,
        image_seq_len=16,
        chat_template=template("<image>"),
    )
    config = hf.GraniteDoclingConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer)},
        vision_config=VIT
        | {
            "image_size": SIDE,
            "patch_size": PATCH,
            "out_hidden_size": HIDDEN,
            "scale_factor": 2,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=processor.image_token_id,
        pad_token_id=0,
    )
    return seeded(lambda: hf.GraniteDoclingForConditionalGeneration(config)), processor


def minicpm_ocr():
    """Four times as many tokens as MiniCPM-V 4.6, whose processor and tower it has."""
    rope = {**MROPE, "partial_rotary_factor": 1.0}
    return minicpm("MiniCPMOcr", pictures="MiniCPMOcr", **LINEAR, model_type="qwen3_5_text", rope_parameters=rope)


def unlimited_ocr():
    """CLIP's layers behind SAM's features, which crops of the picture and the whole picture go through."""
    tokenizer = words(image_token="<image>")
    processor = hf.UnlimitedOcrProcessor(
        image_processor=hf.UnlimitedOcrImageProcessor(
            size={"height": 64, "width": 64}, tile_size=48, max_patches=4, **COLOURS
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        downsample_ratio=4,
        chat_template=template("<image>"),
    )
    config = hf.UnlimitedOcrConfig(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
        },
        vision_config={
            "sam_config": SAM | {"downsample_channels": [24, 32]},
            "encoder_config": VIT | {"image_size": 64, "patch_size": 16},
        },
        image_token_id=processor.image_token_id,
    )
    return centred(seeded(lambda: hf.UnlimitedOcrForConditionalGeneration(config))), processor


def pp_chart2table():
    """GOT-OCR 2's model; its processor leaves it to the chat template to write a token for each place."""
    tokenizer = words("<imgpad>", "<img>", "</img>")
    processor = hf.PPChart2TableProcessor(
        image_processor=hf.PPChart2TableImageProcessor(size={"height": 64, "width": 64}),
        tokenizer=tokenizer,
        chat_template=template("<img>" + "<imgpad>" * 16 + "</img>"),
    )
    config = hf.PPChart2TableConfig(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config=SAM,
        image_token_index=tokenizer.convert_tokens_to_ids("<imgpad>"),
        image_seq_length=16,
    )
    return seeded(lambda: hf.GotOcr2ForConditionalGeneration(config)), processor


def centred(model):
    """The model, whose 3 x 3 convolutions look most at their middle, as random ones look to a side."""
    near = torch.tensor([0.3, 1.0, 0.3])
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            module.weight.data *= near[:, None] * near
    return model


DOCUMENTS = {
    "fast_vlm": fast_vlm,
    "granite4_vision": granite4_vision,
    "granite_docling": granite_docling,
    "minicpm_ocr": minicpm_ocr,
    "unlimited_ocr": unlimited_ocr,
    "pp_chart2table": pp_chart2table,
}
