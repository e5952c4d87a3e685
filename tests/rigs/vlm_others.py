"""More tiny vision-language models, from config, and their processors: OCR models, Gemma 4, Kimi, MiniCPM-V."""

from __future__ import annotations

import transformers as hf

from rigs.vlm_parts import COLOURS, HIDDEN, MIXED, MROPE, PATCH, SIDE, TEXT, VIT, ids, seeded, template, words

PIXELS = {"shortest_edge": 16 * 16, "longest_edge": 80 * 80}


def named(*more: str, **marks: str):
    """A tokenizer that knows its marks by name, and their numbers."""
    tokenizer = words(*more, **marks)
    for name, mark in marks.items():
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(mark))
    return tokenizer


def hunyuan_vl():
    tokenizer = named(image_token="<img>", image_start_token="<img_start>", image_end_token="<img_end>")
    pictures = hf.HunYuanVLImageProcessor(patch_size=PATCH, merge_size=2, size=PIXELS, **MIXED)
    processor = hf.HunYuanVLProcessor(
        image_processor=pictures, tokenizer=tokenizer, chat_template=template("<img_start><img><img_end>")
    )
    config = hf.HunYuanVLConfig(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 2, 2, 2]},
        },
        vision_config=VIT
        | {
            "num_key_value_heads": 4,
            "out_hidden_size": HIDDEN,
            "text_hidden_size": HIDDEN,
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "max_image_size": 96,
            "min_image_size": 16,
        },
        image_token_id=tokenizer.image_token_id,
        im_start_id=tokenizer.image_start_token_id,
        im_end_id=tokenizer.image_end_token_id,
    )
    return seeded(lambda: hf.HunYuanVLForConditionalGeneration(config)), processor


def paddleocr_vl():
    tokenizer = named(image_token="<|IMAGE_PLACEHOLDER|>", start_token="<|IMAGE_START|>", end_token="<|IMAGE_END|>")
    pictures = hf.PaddleOCRVLImageProcessor(patch_size=PATCH, merge_size=2, size=PIXELS, **MIXED)
    processor = hf.PaddleOCRVLProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        chat_template=template("<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>"),
    )
    config = hf.PaddleOCRVLConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer), "rope_parameters": dict(MROPE)},
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH, "spatial_merge_size": 2},
        image_token_id=tokenizer.image_token_id,
        video_token_id=len(tokenizer) - 1,
        vision_start_token_id=tokenizer.start_token_id,
        vision_end_token_id=tokenizer.end_token_id,
    )
    return seeded(lambda: hf.PaddleOCRVLForConditionalGeneration(config)), processor


def kimi_k25():
    tokenizer = named(image_token="<|media_pad|>", video_token="<|kimi_video|>")
    sides = {"patch_size": PATCH, "merge_size": 2}
    processor = hf.Kimi_K25Processor(
        image_processor=hf.Kimi_K25ImageProcessor(**sides, size={"max_height": 64, "max_width": 64}, **COLOURS),
        tokenizer=tokenizer,
        video_processor=hf.Kimi_K25VideoProcessor(**sides, **COLOURS),
        chat_template=template("<|media_pad|>", "<|kimi_video|>"),
    )
    config = hf.Kimi_K25Config(
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(tokenizer)},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "patch_size": PATCH,
            "pos_emb_height": 16,
            "pos_emb_width": 16,
        },
        projection_hidden_size=32,
        **ids(tokenizer, image_token_id="<|media_pad|>", video_token_id="<|kimi_video|>"),
    )
    return seeded(lambda: hf.Kimi_K25ForConditionalGeneration(config)), processor


def qianfan_ocr():
    tokenizer = named(start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>")
    processor = hf.QianfanOCRProcessor(
        image_processor=hf.GotOcr2ImageProcessor(
            size={"height": SIDE, "width": SIDE}, crop_to_patches=True, min_patches=1, max_patches=6, **COLOURS
        ),
        tokenizer=tokenizer,
        image_seq_length=16,
        chat_template=template("<image>"),
    )
    config = hf.QianfanOCRConfig(
        text_config=TEXT | {"model_type": "qwen3", "vocab_size": len(tokenizer)},
        vision_config=VIT | {"image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        image_token_id=tokenizer.context_image_token_id,
        downsample_ratio=0.5,
    )
    return seeded(lambda: hf.QianfanOCRForConditionalGeneration(config)), processor


GEMMA4_MARKS = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}


def gemma4():
    tokenizer = named(**GEMMA4_MARKS)
    sides = {"patch_size": PATCH, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    processor = hf.Gemma4Processor(
        feature_extractor=hf.Gemma4AudioFeatureExtractor(),
        image_processor=hf.Gemma4ImageProcessor(**sides),
        tokenizer=tokenizer,
        video_processor=hf.Gemma4VideoProcessor(**sides),
        chat_template=template("<|image|>", "<|video|>"),
    )
    config = hf.Gemma4Config(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "vocab_size_per_layer_input": len(tokenizer),
            "hidden_size_per_layer_input": 8,
            "layer_types": ["sliding_attention", "full_attention"],
            "num_kv_shared_layers": 0,
        },
        vision_config=VIT
        | {
            "num_key_value_heads": 4,
            "head_dim": 8,
            "patch_size": PATCH,
            "pooling_kernel_size": 2,
            "position_embedding_size": 512,
        },
        audio_config=None,
        **ids(
            tokenizer,
            image_token_id="<|image|>",
            boi_token_id="<|image>",
            eoi_token_id="<image|>",
            video_token_id="<|video|>",
        ),
    )
    return seeded(lambda: hf.Gemma4ForConditionalGeneration(config)), processor


def lfm3_vl():
    tokenizer = named(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )
    sides = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2}
    processor = hf.Lfm3VlProcessor(
        image_processor=hf.Qwen2VLImageProcessor(**sides, **COLOURS, size=PIXELS),
        tokenizer=tokenizer,
        video_processor=hf.Qwen3VLVideoProcessor(**sides, **COLOURS, size=PIXELS, do_sample_frames=False),
        chat_template=template(
            "<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>"
        ),
    )
    config = hf.Lfm3VlConfig(
        text_config=TEXT
        | {"model_type": "lfm3", "vocab_size": len(tokenizer), "layer_types": ["conv", "full_attention"]},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "patch_size": PATCH,
            "layer_types": ["full_attention", "full_attention"],
        },
        projector_hidden_size=64,
        **ids(
            tokenizer,
            image_token_id="<|image_pad|>",
            video_token_id="<|video_pad|>",
            vision_start_token_id="<|vision_start|>",
            vision_end_token_id="<|vision_end|>",
        ),
    )
    return seeded(lambda: hf.Lfm3VlForConditionalGeneration(config)), processor


def minicpm(name: str, *, pictures: str, **text):
    """A model of the MiniCPM-V kind: a whole picture and slices of it, each with its marks.

    Args:
        name: what its classes begin with.
        pictures: what those of its image and video processors begin with.
        text: of its language model.
    """
    marks = {
        "image_token": "<unk_image>",
        "video_token": "<unk_video>",
        "image_start_token": "<image>",
        "image_end_token": "</image>",
        "slice_start_token": "<slice>",
        "slice_end_token": "</slice>",
        "image_id_start_token": "<image_id>",
        "image_id_end_token": "</image_id>",
    }
    tokenizer = named(**marks)
    sides = {"patch_size": PATCH, "scale_resolution": SIDE, "max_slice_nums": 4}
    processor = getattr(hf, f"{name}Processor")(
        image_processor=getattr(hf, f"{pictures}ImageProcessor")(**sides, **COLOURS),
        video_processor=getattr(hf, f"{pictures}VideoProcessor")(**sides, **COLOURS),
        tokenizer=tokenizer,
        chat_template=template("<unk_image>", "<unk_video>"),
    )
    config = getattr(hf, f"{name}Config")(
        text_config=TEXT | {"vocab_size": len(tokenizer)} | text,
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH, "insert_layer_id": 0},
        insert_layer_id=0,
        image_size=SIDE,
        patch_size=PATCH,
        **ids(tokenizer, image_token_id="<unk_image>", video_token_id="<unk_video>"),
    )
    return seeded(lambda: getattr(hf, f"{name}ForConditionalGeneration")(config)), processor


def minicpmv4_6():
    return minicpm("MiniCPMV4_6", pictures="MiniCPMV4_6", model_type="qwen2")


OTHERS = {
    "hunyuan_vl": hunyuan_vl,
    "paddleocr_vl": paddleocr_vl,
    "kimi_k25": kimi_k25,
    "qianfan_ocr": qianfan_ocr,
    "gemma4": gemma4,
    "lfm3_vl": lfm3_vl,
    "minicpmv4_6": minicpmv4_6,
}
