"""Tiny models of families that see squares and tiles, from config, and their processors."""

from __future__ import annotations

import transformers as hf

from rigs.vlm_parts import COLOURS, HIDDEN, MIXED, PATCH, SIDE, TEXT, TILED, VIT, ids, seeded, template, words

SQUARE = {"height": SIDE, "width": SIDE}
SIGLIP = VIT | {"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": PATCH, "vision_use_head": False}
CLIP = VIT | {
    "model_type": "clip_vision_model",
    "num_hidden_layers": 3,
    "image_size": SIDE,
    "patch_size": PATCH,
    "projection_dim": 32,
}
LLAMA = TEXT | {"model_type": "llama"}


def aya_vision():
    marks = {
        "image_token": "<image>",
        "start_of_img_token": "<|START_OF_IMG|>",
        "end_of_img_token": "<|END_OF_IMG|>",
        "img_patch_token": "<|IMG_PATCH|>",
        "img_line_break_token": "<|IMG_LINE_BREAK|>",
        "tile_token": "TILE",
        "tile_global_token": "TILE_GLOBAL",
    }
    tokenizer = words(*marks.values(), *(f"TILE_{i}" for i in range(1, 13)))
    processor = hf.AyaVisionProcessor(
        image_processor=hf.GotOcr2ImageProcessor(
            size=SQUARE, crop_to_patches=True, min_patches=1, max_patches=6, **COLOURS
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        img_size=SIDE,
        downsample_factor=2,
        chat_template=template("<image>"),
    )
    config = hf.AyaVisionConfig(
        text_config=TEXT | {"model_type": "cohere2", "vocab_size": len(tokenizer)},
        vision_config=SIGLIP,
        downsample_factor=2,
        image_token_index=tokenizer.convert_tokens_to_ids("<|IMG_PATCH|>"),
    )
    return seeded(lambda: hf.AyaVisionForConditionalGeneration(config)), processor


def cohere2_vision():
    marks = ("<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>")
    names = ("boi_token", "eoi_token", "image_token", "img_line_break_token")
    tokenizer = words(*marks, **dict(zip(names, marks, strict=True)))
    for name, mark in zip(names, marks, strict=True):
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(mark))
    processor = hf.Cohere2VisionProcessor(
        image_processor=hf.Cohere2VisionImageProcessor(
            size=SQUARE, crop_to_patches=True, min_patches=1, max_patches=6, patch_size=PATCH, **COLOURS
        ),
        tokenizer=tokenizer,
        chat_template=template("<|IMG_PATCH|>"),
    )
    config = hf.Cohere2VisionConfig(
        text_config=TEXT | {"model_type": "cohere2", "vocab_size": len(tokenizer)},
        vision_config=SIGLIP,
        downsample_factor=2,
        alignment_intermediate_size=96,
        image_token_id=tokenizer.convert_tokens_to_ids("<|IMG_PATCH|>"),
    )
    return seeded(lambda: hf.Cohere2VisionForConditionalGeneration(config)), processor


def vipllava():
    tokenizer = words(image_token="<image>")
    processor = hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SQUARE, **MIXED),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )
    config = hf.VipLlavaConfig(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config=CLIP,
        vision_feature_layers=[-2, 1],
        vision_feature_layer=[-2, 1],
        image_token_index=processor.image_token_id,
        image_seq_length=64,
    )
    return seeded(lambda: hf.VipLlavaForConditionalGeneration(config)), processor


def llava_next_video():
    tokenizer = words(image_token="<image>", video_token="<video>")
    square = {"size": {"shortest_edge": SIDE}, "crop_size": SQUARE}
    processor = hf.LlavaNextVideoProcessor(
        image_processor=hf.LlavaNextImageProcessor(**TILED),
        video_processor=hf.LlavaNextVideoVideoProcessor(**square, do_sample_frames=False, **MIXED),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>", "<video>"),
    )
    config = hf.LlavaNextVideoConfig(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config=CLIP,
        image_grid_pinpoints=TILED["image_grid_pinpoints"],
        image_seq_length=64,
        **{
            k.replace("_id", "_index"): v
            for k, v in ids(tokenizer, image_token_id="<image>", video_token_id="<video>").items()
        },
    )
    return seeded(lambda: hf.LlavaNextVideoForConditionalGeneration(config)), processor


def video_llava():
    tokenizer = words("<image>", "<video>", image_token="<image>", video_token="<video>")
    square = {"size": {"shortest_edge": SIDE}, "crop_size": SQUARE}
    processor = hf.VideoLlavaProcessor(
        image_processor=hf.VideoLlavaImageProcessor(**square, **MIXED),
        video_processor=hf.VideoLlavaVideoProcessor(**square, **MIXED),
        tokenizer=tokenizer,
        patch_size=PATCH,
        chat_template=template("<image>", "<video>"),
    )
    config = hf.VideoLlavaConfig(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config=CLIP,
        image_seq_length=64,
        video_seq_length=8 * 65,
        **{
            k.replace("_id", "_index"): v
            for k, v in ids(tokenizer, image_token_id="<image>", video_token_id="<video>").items()
        },
    )
    return seeded(lambda: hf.VideoLlavaForConditionalGeneration(config)), processor


def mistral3():
    """Patches of any rectangle, merged two by two; a mark ends each row."""
    tokenizer = words("[IMG]", "[IMG_BREAK]", "[IMG_END]")
    processor = hf.PixtralProcessor(
        image_processor=hf.PixtralImageProcessor(size={"longest_edge": 64}, patch_size=PATCH, **COLOURS),
        tokenizer=tokenizer,
        patch_size=PATCH,
        spatial_merge_size=2,
        chat_template=template("[IMG]"),
    )
    config = hf.Mistral3Config(
        text_config=TEXT | {"model_type": "mistral", "vocab_size": len(tokenizer)},
        vision_config=VIT | {"model_type": "pixtral", "image_size": 64, "patch_size": PATCH, "head_dim": 8},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )
    return seeded(lambda: hf.Mistral3ForConditionalGeneration(config)), processor


def lighton_ocr():
    tokenizer = words(
        "<|image_pad|>",
        "<|vision_pad|>",
        "<|vision_end|>",
        image_token="<|image_pad|>",
        image_break_token="<|vision_pad|>",
        image_end_token="<|vision_end|>",
    )
    processor = hf.LightOnOcrProcessor(
        image_processor=hf.PixtralImageProcessor(size={"longest_edge": 64}, patch_size=PATCH, **COLOURS),
        tokenizer=tokenizer,
        patch_size=PATCH,
        spatial_merge_size=2,
        chat_template=template("<|image_pad|>"),
    )
    config = hf.LightOnOcrConfig(
        text_config=TEXT | {"model_type": "qwen3", "vocab_size": len(tokenizer)},
        vision_config=VIT | {"model_type": "pixtral", "image_size": 64, "patch_size": PATCH, "head_dim": 8},
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        spatial_merge_size=2,
    )
    return seeded(lambda: hf.LightOnOcrForConditionalGeneration(config)), processor


def llava_pixtral():
    """LLaVA's class with Pixtral's tower, as Pixtral 12B has it."""
    tokenizer = words("[IMG]", "[IMG_BREAK]", "[IMG_END]")
    processor = hf.PixtralProcessor(
        image_processor=hf.PixtralImageProcessor(size={"longest_edge": 64}, patch_size=PATCH, **COLOURS),
        tokenizer=tokenizer,
        patch_size=PATCH,
        chat_template=template("[IMG]"),
    )
    config = hf.LlavaConfig(
        text_config=TEXT | {"model_type": "mistral", "vocab_size": len(tokenizer)},
        vision_config=VIT | {"model_type": "pixtral", "image_size": 64, "patch_size": PATCH, "head_dim": 8},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return seeded(lambda: hf.LlavaForConditionalGeneration(config)), processor


def deepseek_vl():
    tokenizer = words("<image_placeholder>", image_token="<image_placeholder>")
    tokenizer.image_token_id = tokenizer.convert_tokens_to_ids("<image_placeholder>")
    processor = hf.DeepseekVLProcessor(
        image_processor=hf.DeepseekVLImageProcessor(size=SQUARE, min_size=4, **COLOURS),
        tokenizer=tokenizer,
        num_image_tokens=64,
        chat_template=template("<image_placeholder>"),
    )
    config = hf.DeepseekVLConfig(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config=SIGLIP,
        image_token_id=tokenizer.image_token_id,
    )
    return seeded(lambda: hf.DeepseekVLForConditionalGeneration(config)), processor


def lfm2_vl():
    marks = {
        "image_token": "<image>",
        "image_start_token": "<|image_start|>",
        "image_end_token": "<|image_end|>",
        "image_thumbnail": "<|img_thumbnail|>",
        "thumbnail_token": "<|img_thumbnail|>",
    }
    tokenizer = words(*(f"<|img_row_{i}_col_{j}|>" for i in range(1, 7) for j in range(1, 7)), **marks)
    tokenizer.image_token_id = tokenizer.convert_tokens_to_ids("<image>")
    processor = hf.Lfm2VlProcessor(
        image_processor=hf.Lfm2VlImageProcessor(
            encoder_patch_size=PATCH,
            tile_size=SIDE,
            downsample_factor=2,
            min_image_tokens=4,
            max_image_tokens=16,
            max_tiles=6,
            min_tiles=2,
            max_num_patches=64,
            **COLOURS,
        ),
        tokenizer=tokenizer,
        chat_template=template("<image>"),
    )
    config = hf.Lfm2VlConfig(
        text_config=TEXT
        | {"model_type": "lfm2", "vocab_size": len(tokenizer), "layer_types": ["conv", "full_attention"]},
        vision_config=VIT
        | {"model_type": "siglip2_vision_model", "num_patches": 64, "patch_size": PATCH, "vision_use_head": False},
        image_token_id=tokenizer.image_token_id,
        projector_hidden_size=HIDDEN,
        downsample_factor=2,
    )
    return seeded(lambda: hf.Lfm2VlForConditionalGeneration(config)), processor


def llama4():
    tokenizer = words(
        "<|image|>", "<|image_start|>", "<|image_end|>", "<|patch|>", "<|tile_x_separator|>", "<|tile_y_separator|>"
    )
    processor = hf.Llama4Processor(
        image_processor=hf.Llama4ImageProcessor(size=SQUARE, max_patches=6, **COLOURS),
        tokenizer=tokenizer,
        patch_size=PATCH,
        chat_template=template("<|image|>"),
    )
    config = hf.Llama4Config(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "num_local_experts": 2,
            "intermediate_size_mlp": 96,
            "attention_chunk_size": 1024,
        },
        vision_config=VIT
        | {
            "image_size": SIDE,
            "patch_size": PATCH,
            "intermediate_size": 128,
            "vision_output_dim": 64,
            "projector_input_dim": 64,
            "projector_output_dim": 64,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|patch|>"),
        **{
            k: v
            for k, v in zip(
                ("boi_token_index", "eoi_token_index"),
                tokenizer.convert_tokens_to_ids(["<|image_start|>", "<|image_end|>"]),
                strict=True,
            )
        },
    )
    return seeded(lambda: hf.Llama4ForConditionalGeneration(config)), processor


def ovis2():
    marks = ("<image>", "<IMG_ATOM>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    tokenizer = words(*marks)
    tokenizer.image_token_id = tokenizer.convert_tokens_to_ids("<IMG_ATOM>")
    processor = hf.Ovis2Processor(
        image_processor=hf.Ovis2ImageProcessor(
            size=SQUARE, crop_to_patches=True, min_patches=1, max_patches=6, **COLOURS
        ),
        tokenizer=tokenizer,
        image_token="<image>",
        image_seq_length=64,
        chat_template=template("<image>"),
    )
    config = hf.Ovis2Config(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH, "vocab_size": 40},
        image_token_id=tokenizer.image_token_id,
        visual_indicator_token_ids=tokenizer.convert_tokens_to_ids(list(marks[2:])),
        hidden_size=HIDDEN,
        vocab_size=len(tokenizer),
    )
    return seeded(lambda: hf.Ovis2ForConditionalGeneration(config)), processor


def idefics2():
    tokenizer = words("<fake_token_around_image>", "<image>", "<end_of_utterance>")
    processor = hf.Idefics2Processor(
        image_processor=hf.Idefics2ImageProcessor(
            size={"shortest_edge": 24, "longest_edge": 64}, do_image_splitting=False, **COLOURS
        ),
        tokenizer=tokenizer,
        image_seq_len=8,
        chat_template=template("<image>"),
    )
    config = hf.Idefics2Config(
        text_config=TEXT | {"model_type": "mistral", "vocab_size": len(tokenizer)},
        vision_config=VIT | {"image_size": 64, "patch_size": PATCH},
        perceiver_config={
            "hidden_size": HIDDEN,
            "resampler_n_latents": 8,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": 12,
            "num_key_value_heads": 2,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return seeded(lambda: hf.Idefics2ForConditionalGeneration(config)), processor


TILES = {
    "aya_vision": aya_vision,
    "cohere2_vision": cohere2_vision,
    "vipllava": vipllava,
    "llava_next_video": llava_next_video,
    "video_llava": video_llava,
    "mistral3": mistral3,
    "lighton_ocr": lighton_ocr,
    "llava_pixtral": llava_pixtral,
    "deepseek_vl": deepseek_vl,
    "lfm2_vl": lfm2_vl,
    "llama4": llama4,
    "ovis2": ovis2,
    "idefics2": idefics2,
}
