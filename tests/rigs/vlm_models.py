"""Tiny vision-language models from config, with seeded random weights, and their real processors with tokenizers made by hand."""

from __future__ import annotations

import warnings
from functools import cache
from unittest import mock

import transformers as hf

from isotherm.models.transformers.vlm.families import layout_of
from isotherm.zoo.tiny_vlm.network import random_tiny_vlm, tiny_processor
from rigs.vlm_parts import (
    COLOURS,
    HIDDEN,
    MIXED,
    MROPE,
    PATCH,
    QWEN_MARKS,
    SIDE,
    TEXT,
    TILED,
    VIT,
    ids,
    seeded,
    template,
    words,
)


def _qwen_parts():
    sides = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2}
    tokenizer = words(*QWEN_MARKS)
    pictures = hf.Qwen2VLImageProcessor(**sides, **COLOURS, min_pixels=16 * 16, max_pixels=80 * 80)
    mark = "<|vision_start|><|{}_pad|><|vision_end|>"
    chat = template(mark.format("image"), mark.format("video"))
    numbers = ids(
        tokenizer,
        image_token_id="<|image_pad|>",
        video_token_id="<|video_pad|>",
        vision_start_token_id="<|vision_start|>",
        vision_end_token_id="<|vision_end|>",
    )
    return sides, tokenizer, pictures, chat, numbers


def qwen2_vl():
    sides, tokenizer, pictures, chat, numbers = _qwen_parts()
    videos = hf.Qwen2VLVideoProcessor(
        **sides,
        **COLOURS,
        size={"shortest_edge": 16 * 16, "longest_edge": 80 * 80},
        do_sample_frames=False,
        cap_pixels_per_frame=False,
    )
    processor = hf.Qwen2VLProcessor(
        image_processor=pictures, tokenizer=tokenizer, video_processor=videos, chat_template=chat
    )
    config = hf.Qwen2VLConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer), "rope_parameters": MROPE},
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": HIDDEN,
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        **numbers,
    )
    return seeded(lambda: hf.Qwen2VLForConditionalGeneration(config)), processor


def qwen2_5_vl():
    """Windows of 16 pixels: 2 x 2 tokens, so that a picture of 3 x 3 tokens has cut ones; the second block sees all."""
    sides, tokenizer, pictures, chat, numbers = _qwen_parts()
    videos = hf.Qwen2VLVideoProcessor(
        **sides,
        **COLOURS,
        size={"shortest_edge": 16 * 16, "longest_edge": 80 * 80},
        do_sample_frames=False,
        cap_pixels_per_frame=False,
    )
    processor = hf.Qwen2_5_VLProcessor(
        image_processor=pictures, tokenizer=tokenizer, video_processor=videos, chat_template=chat
    )
    config = hf.Qwen2_5_VLConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer), "rope_parameters": MROPE},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "out_hidden_size": HIDDEN,
            "num_heads": 4,
            "intermediate_size": 64,
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 16,
            "fullatt_block_indexes": [1],
        },
        **numbers,
    )
    return seeded(lambda: hf.Qwen2_5_VLForConditionalGeneration(config)), processor


def qwen3_vl():
    """The one that ships: its architecture, vocabulary and processor, with random weights."""
    processor = tiny_processor()
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    processor.chat_template = template(mark, "<|video_pad|>")
    processor.video_processor = hf.Qwen3VLVideoProcessor(
        patch_size=4,
        merge_size=2,
        temporal_patch_size=2,
        **COLOURS,
        size={"shortest_edge": 16 * 16, "longest_edge": 4 * 80 * 80},
        do_sample_frames=False,
        cap_pixels_per_frame=False,
    )
    return random_tiny_vlm(0), processor


def paligemma():
    tokenizer = words("<image>")
    pictures = hf.SiglipImageProcessor(size={"height": SIDE, "width": SIDE}, **COLOURS)
    pictures.image_seq_length = (SIDE // PATCH) ** 2
    processor = hf.PaliGemmaProcessor(image_processor=pictures, tokenizer=tokenizer)
    config = hf.PaliGemmaConfig(
        text_config=TEXT | {"model_type": "gemma", "vocab_size": len(tokenizer)},
        vision_config=VIT
        | {"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": PATCH, "vision_use_head": False},
        image_token_index=processor.image_token_id,
        projection_dim=HIDDEN,
        hidden_size=HIDDEN,
    )
    return seeded(lambda: hf.PaliGemmaForConditionalGeneration(config)), processor


def gemma3():
    tokenizer = words(boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>")
    pictures = hf.Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE}, **COLOURS)
    processor = hf.Gemma3Processor(
        image_processor=pictures, tokenizer=tokenizer, image_seq_length=16, chat_template=template("<start_of_image>")
    )
    config = hf.Gemma3Config(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 16,
        },
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH, "vision_use_head": False},
        mm_tokens_per_image=16,
        **{
            name.replace("_id", "_index"): number
            for name, number in ids(
                tokenizer,
                image_token_id="<image_soft_token>",
                boi_token_id="<start_of_image>",
                eoi_token_id="<end_of_image>",
            ).items()
        },
    )
    return seeded(lambda: hf.Gemma3ForConditionalGeneration(config)), processor


def gemma3_crops():
    """With pan and scan, which the processor must be told once more: its own default is off, whatever its image processor says."""
    model, processor = gemma3()
    crops = {
        "do_pan_and_scan": True,
        "pan_and_scan_min_crop_size": 20,
        "pan_and_scan_max_num_crops": 4,
        "pan_and_scan_min_ratio_to_activate": 1.2,
    }
    processor.images_kwargs = processor.images_kwargs | crops
    return model, processor


def llava():
    tokenizer = words(image_token="<image>")
    pictures = hf.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, **MIXED)
    return _llava(tokenizer, pictures)


def llava_squashed():
    """A processor that squashes, as those with SigLIP towers have it."""
    return _llava(
        words(image_token="<image>"), hf.SiglipImageProcessor(size={"height": SIDE, "width": SIDE}, **COLOURS)
    )


def _llava(tokenizer, pictures):
    processor = hf.LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )
    config = hf.LlavaConfig(
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(tokenizer)},
        vision_config=VIT
        | {
            "model_type": "clip_vision_model",
            "num_hidden_layers": 3,
            "image_size": SIDE,
            "patch_size": PATCH,
            "projection_dim": 32,
        },
        image_token_index=processor.image_token_id,
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    return seeded(lambda: hf.LlavaForConditionalGeneration(config)), processor


def llava_onevision():
    """Tiles of 26 pixels, of which patches of 4 leave 2 unseen; nine tiles at most, shrunk to the room of four."""
    tokenizer = words(image_token="<image>", video_token="<video>")
    side, places = 26, [[26 * i, 26 * j] for i in range(1, 4) for j in range(1, 4)]
    pictures = hf.LlavaOnevisionImageProcessor(
        size={"height": side, "width": side}, image_grid_pinpoints=places, **COLOURS
    )
    videos = hf.LlavaOnevisionVideoProcessor(size={"height": side, "width": side}, do_sample_frames=False, **COLOURS)
    processor = hf.LlavaOnevisionProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        video_processor=videos,
        num_image_tokens=36,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_4",
        chat_template=template("<image>", "<video>"),
    )
    config = hf.LlavaOnevisionConfig(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config=VIT
        | {"model_type": "siglip_vision_model", "image_size": side, "patch_size": PATCH, "vision_use_head": False},
        image_token_index=processor.image_token_id,
        video_token_index=processor.video_token_id,
        image_grid_pinpoints=places,
        vision_aspect_ratio="anyres_max_4",
    )
    return seeded(lambda: hf.LlavaOnevisionForConditionalGeneration(config)), processor


def llava_next():
    """Tiles of 32 pixels, never shrunk, of each of several pictures; its tower has a class token."""
    tokenizer = words(image_token="<image>")
    processor = hf.LlavaNextProcessor(
        image_processor=hf.LlavaNextImageProcessor(**TILED),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>"),
    )
    config = hf.LlavaNextConfig(
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(tokenizer)},
        vision_config=VIT
        | {
            "model_type": "clip_vision_model",
            "num_hidden_layers": 3,
            "image_size": SIDE,
            "patch_size": PATCH,
            "projection_dim": 32,
        },
        image_token_index=processor.image_token_id,
        image_grid_pinpoints=TILED["image_grid_pinpoints"],
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    return seeded(lambda: hf.LlavaNextForConditionalGeneration(config)), processor


IDEFICS_MARKS = (
    "<fake_token_around_image>",
    "<image>",
    "<end_of_utterance>",
    "<global-img>",
    "<video>",
    *(f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)),
)


def _idefics(model, config, pictures, processor, tokenizer):
    made = config(
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(tokenizer)},
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH},
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    )
    return seeded(lambda: model(made)), processor


def idefics3():
    tokenizer = words(*IDEFICS_MARKS)
    pictures = hf.Idefics3ImageProcessor(
        size={"longest_edge": 3 * SIDE}, max_image_size={"longest_edge": SIDE}, **COLOURS
    )
    processor = hf.Idefics3Processor(
        image_processor=pictures, tokenizer=tokenizer, image_seq_len=16, chat_template=template("<image>")
    )
    return _idefics(hf.Idefics3ForConditionalGeneration, hf.Idefics3Config, pictures, processor, tokenizer)


def smolvlm():
    """Its processor wants the package num2words, which only videos use."""
    tokenizer = words(*IDEFICS_MARKS)
    pictures = hf.SmolVLMImageProcessor(
        size={"longest_edge": 3 * SIDE}, max_image_size={"longest_edge": SIDE}, **COLOURS
    )
    videos = hf.SmolVLMVideoProcessor(
        size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}, fps=1, num_frames=4, **COLOURS
    )
    with mock.patch("transformers.models.smolvlm.processing_smolvlm.num2words", str):
        processor = hf.SmolVLMProcessor(
            image_processor=pictures,
            tokenizer=tokenizer,
            video_processor=videos,
            image_seq_len=16,
            chat_template=template("<image>"),
        )
    return _idefics(hf.SmolVLMForConditionalGeneration, hf.SmolVLMConfig, pictures, processor, tokenizer)


def internvl():
    """The processor cuts into tiles, though its image processor by itself would not."""
    tokenizer = words(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>", video_token="<video>"
    )
    pictures = hf.GotOcr2ImageProcessor(size={"height": SIDE, "width": SIDE}, min_patches=1, max_patches=6, **COLOURS)
    videos = hf.InternVLVideoProcessor(size={"height": SIDE, "width": SIDE}, **COLOURS)
    processor = hf.InternVLProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        video_processor=videos,
        image_seq_length=16,
        chat_template=template("<IMG_CONTEXT>", "<video>"),
    )
    config = hf.InternVLConfig(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config=VIT | {"image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        image_token_id=processor.image_token_id,
        image_seq_length=16,
        downsample_ratio=0.5,
    )
    return seeded(lambda: hf.InternVLForConditionalGeneration(config)), processor


FAMILIES = {
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "paligemma": paligemma,
    "gemma3": gemma3,
    "gemma3_crops": gemma3_crops,
    "llava": llava,
    "llava_squashed": llava_squashed,
    "llava_next": llava_next,
    "llava_onevision": llava_onevision,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "internvl": internvl,
}


def asked(processor, family, pictures, text="how many red ?", **options):
    """The full inputs of one prompt about these PIL pictures: a chat where the family has one, placeholders where it has none."""
    if family == "paligemma":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it makes labels in a way that numpy dislikes
            return processor(
                images=[list(pictures)], text="<image>" * len(pictures) + " " + text, return_tensors="pt", **options
            )
    content = [*({"type": "image", "image": picture} for picture in pictures), {"type": "text", "text": text}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, return_dict=True, return_tensors="pt", **options
    )


@cache
def family(name):
    model, processor = FAMILIES[name]()
    return model, processor, layout_of(model.config.model_type, model.config, processor)
