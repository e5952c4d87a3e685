"""Tiny models with towers of other kinds, from config, and their processors: timm's, SAM's, and queries to which pictures come down."""

from __future__ import annotations

import transformers as hf

from rigs.vlm_grids import LINEAR, PIXELS, SIDES, VISION
from rigs.vlm_others import minicpm, named
from rigs.vlm_parts import COLOURS, HIDDEN, MROPE, PATCH, SIDE, TEXT, VIT, ids, seeded, template, words
from rigs.vlm_tiles import LLAMA, SQUARE

SAM = {
    "hidden_size": 32,
    "output_channels": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": PATCH,
    "window_size": 4,
    "global_attn_indexes": [1],
    "mlp_dim": 64,
    "initializer_range": 0.1,
}


def blip_2():
    """Eight queries ask the whole picture; its processor puts their places in front of the words."""
    tokenizer = words("<image>")
    processor = hf.Blip2Processor(
        image_processor=hf.BlipImageProcessor(size=SQUARE, **COLOURS), tokenizer=tokenizer, num_query_tokens=8
    )
    config = hf.Blip2Config(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH},
        qformer_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "encoder_hidden_size": 32,
            "cross_attention_frequency": 1,
            "vocab_size": 40,
        },
        num_query_tokens=8,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return seeded(lambda: hf.Blip2ForConditionalGeneration(config)), processor


def aria():
    """Patches of a square are asked by as many queries as the configuration says."""
    tokenizer = named(image_token="<|img|>")
    processor = hf.AriaProcessor(
        image_processor=hf.AriaImageProcessor(max_image_size=980, min_image_size=336),
        tokenizer=tokenizer,
        size_conversion={980: 8},
        chat_template=template("<|img|>"),
    )
    config = hf.AriaConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer), "moe_num_experts": 2, "moe_num_shared_experts": 1},
        vision_config=VIT | {"model_type": "idefics3_vision", "image_size": 980, "patch_size": 70},
        projector_patch_to_query_dict={196: 8},
        image_token_index=tokenizer.image_token_id,
    )
    return seeded(lambda: hf.AriaForConditionalGeneration(config)), processor


def deepseek_ocr2():
    """Queries behind SAM's features, in a language model that sees all of them, put tokens into an order of their own.

    There are 144 of them for a tile and 256 for the whole, whatever the configuration says: as many as cells of 16 pixels.
    """
    tokenizer = words("<image>", image_token="<image>")
    processor = hf.DeepseekOcr2Processor(
        image_processor=hf.DeepseekOcr2ImageProcessor(
            size={"height": 256, "width": 256}, tile_size=192, max_patches=4, **COLOURS
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        downsample_ratio=4,
        chat_template=template("<image>"),
    )
    sam = {name: value for name, value in SAM.items() if name != "mlp_dim"}
    config = hf.DeepseekOcr2Config(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "mlp_layer_types": ["dense", "sparse"],
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "n_group": 1,
            "topk_group": 1,
        },
        vision_config={
            "sam_config": sam | {"image_size": 256, "downsample_channels": [24, 32]},
            "encoder_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 4,
                "vocab_size": 8,
            },
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return seeded(lambda: hf.DeepseekOcr2ForConditionalGeneration(config)), processor


def got_ocr2():
    tokenizer = words("<imgpad>", "<img>", "</img>")
    processor = hf.GotOcr2Processor(
        image_processor=hf.GotOcr2ImageProcessor(size={"height": 64, "width": 64}, **COLOURS),
        tokenizer=tokenizer,
        chat_template=template("<imgpad>"),
    )
    processor.num_image_tokens = 16
    config = hf.GotOcr2Config(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config=SAM,
        image_token_index=tokenizer.convert_tokens_to_ids("<imgpad>"),
        image_seq_length=16,
    )
    return seeded(lambda: hf.GotOcr2ForConditionalGeneration(config)), processor


def janus():
    tokenizer = named(image_token="<image_placeholder>", boi_token="<begin_of_image>", eoi_token="<end_of_image>")
    processor = hf.JanusProcessor(
        image_processor=hf.JanusImageProcessor(size=SQUARE, min_size=4, **COLOURS),
        tokenizer=tokenizer,
        num_image_tokens=64,
        chat_template=template("<image_placeholder>"),
    )
    config = hf.JanusConfig(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": PATCH,
            "projection_dim": HIDDEN,
            "num_image_tokens": 64,
        },
        vq_config={
            "embed_dim": 4,
            "num_embeddings": 8,
            "latent_channels": 4,
            "base_channels": 32,
            "channel_multiplier": [1],
            "num_res_blocks": 1,
            "projection_dim": HIDDEN,
            "image_token_embed_dim": HIDDEN,
        },
        image_token_id=tokenizer.image_token_id,
    )
    return seeded(lambda: hf.JanusForConditionalGeneration(config)), processor


def perception_lm():
    """Tiles of 160 pixels through a ViT of timm's, whose tokens are pooled two by two."""
    tokenizer = named(image_token="<|image|>", video_token="<|video|>")
    square = {"height": 160, "width": 160}
    processor = hf.PerceptionLMProcessor(
        image_processor=hf.PerceptionLMImageProcessor(size=square, tile_size=160, max_num_tiles=2, **COLOURS),
        video_processor=hf.PerceptionLMVideoProcessor(size=square, **COLOURS),
        tokenizer=tokenizer,
        patch_size=16,
        pooling_ratio=2,
        chat_template=template("<|image|>", "<|video|>"),
    )
    config = hf.PerceptionLMConfig(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config={
            "architecture": "test_vit",
            "do_pooling": False,
            "model_args": {"embed_dim": 64, "img_size": [160, 160], "depth": 2},
        },
        projector_pooling_ratio=2,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
    )
    return seeded(lambda: hf.PerceptionLMForConditionalGeneration(config)), processor


def gemma3n():
    """Its tower is a network of convolutions of timm's: here a small one, whose 5 x 5 cells are its tokens."""
    tokenizer = named(
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        audio_token="<audio_soft_token>",
        boa_token="<start_of_audio>",
        eoa_token="<end_of_audio>",
    )
    processor = hf.Gemma3nProcessor(
        feature_extractor=hf.Gemma3nAudioFeatureExtractor(),
        image_processor=hf.SiglipImageProcessor(size={"height": 160, "width": 160}, **COLOURS),
        tokenizer=tokenizer,
        image_seq_length=25,
        chat_template=template("<image_soft_token>"),
    )
    size = len(tokenizer)
    config = hf.Gemma3nConfig(
        text_config=TEXT
        | {
            "vocab_size": size + 16,
            "vocab_size_per_layer_input": size + 16,
            "hidden_size_per_layer_input": 8,
            "layer_types": ["sliding_attention", "full_attention"],
            "num_kv_shared_layers": 0,
            "laurel_rank": 8,
            "altup_num_inputs": 2,
        },
        vision_config={"architecture": "test_convnext", "hidden_size": 64, "vocab_size": 8, "vocab_offset": size},
        audio_config={
            "vocab_size": 8,
            "vocab_offset": size + 8,
            "hidden_size": 32,
            "conf_num_attention_heads": 4,
            "conf_num_hidden_layers": 1,
            "sscp_conv_channel_size": [8, 4],
        },
        vision_soft_tokens_per_image=25,
        **ids(
            tokenizer,
            image_token_id="<image_soft_token>",
            boi_token_id="<start_of_image>",
            eoi_token_id="<end_of_image>",
            audio_token_id="<audio_soft_token>",
            boa_token_id="<start_of_audio>",
            eoa_token_id="<end_of_audio>",
        ),
    )
    return seeded(lambda: hf.Gemma3nForConditionalGeneration(config)), processor


def minimax_m3_vl():
    marks = ("]<]image[>[", "]<]video[>[", "]<]start of image[>[", "]<]end of image[>[")
    tokenizer = words(*marks)
    processor = hf.MiniMaxM3VLProcessor(
        image_processor=hf.MiniMaxM3VLImageProcessor(**SIDES, size=PIXELS, **COLOURS),
        tokenizer=tokenizer,
        video_processor=hf.MiniMaxM3VLVideoProcessor(**SIDES, size=PIXELS, **COLOURS),
        chat_template=template(marks[0], marks[1]),
    )
    config = hf.MiniMaxM3VLConfig(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "rotary_dim": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "intermediate_size": 32,
            "shared_intermediate_size": 32,
            "dense_intermediate_size": 64,
            "index_n_heads": 1,
            "num_key_value_heads": 1,
            "index_head_dim": 16,
            "layer_types": ["full_attention", "full_attention"],
        },
        vision_config=VIT | {"image_size": 64, "patch_size": PATCH, "temporal_patch_size": 2, "spatial_merge_size": 2},
        image_token_index=tokenizer.convert_tokens_to_ids(marks[0]),
        video_token_index=tokenizer.convert_tokens_to_ids(marks[1]),
        projector_hidden_size=64,
    )
    return seeded(lambda: hf.MiniMaxM3SparseForConditionalGeneration(config)), processor


def cohere_compass():
    marks = ("<|IMAGE_PAD|>", "<|VIDEO_PAD|>", "<|VISION_START|>", "<|VISION_END|>")
    tokenizer = words(*marks)
    processor = hf.CohereCompassProcessor(
        image_processor=hf.CohereCompassImageProcessor(**SIDES, size=PIXELS, **COLOURS),
        tokenizer=tokenizer,
        video_processor=hf.Qwen3VLVideoProcessor(**SIDES, size=PIXELS, do_sample_frames=False, **COLOURS),
        chat_template=template(f"{marks[2]}{marks[0]}{marks[3]}", f"{marks[2]}{marks[1]}{marks[3]}"),
    )
    config = hf.CohereCompassConfig(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "rope_parameters": {"full_attention": dict(MROPE)},
            "layer_types": ["full_attention", "full_attention"],
        },
        vision_config=VISION | {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        **ids(
            tokenizer,
            image_token_id=marks[0],
            video_token_id=marks[1],
            vision_start_token_id=marks[2],
            vision_end_token_id=marks[3],
        ),
    )
    return seeded(lambda: hf.CohereCompassForConditionalGeneration(config)), processor


def minicpmv4_7():
    rope = {**MROPE, "partial_rotary_factor": 1.0}
    return minicpm("MiniCPMV4_7", pictures="MiniCPMV4_6", **LINEAR, model_type="qwen3_5_text", rope_parameters=rope)


TOWERS = {
    "blip-2": blip_2,
    "aria": aria,
    "deepseek_ocr2": deepseek_ocr2,
    "got_ocr2": got_ocr2,
    "janus": janus,
    "perception_lm": perception_lm,
    "gemma3n": gemma3n,
    "minimax_m3_vl": minimax_m3_vl,
    "cohere_compass": cohere_compass,
    "minicpmv4_7": minicpmv4_7,
}
