"""Tiny models that read sounds and films as well as pictures, from config, and their processors: Qwen Omni, Nemotron, Muse,
Inkling."""

from __future__ import annotations

import transformers as hf

from rigs.vlm_grids import EXPERTS, PIXELS, QWEN_CHAT, SIDES, VISION
from rigs.vlm_others import named
from rigs.vlm_parts import COLOURS, HALF, HIDDEN, MROPE, PATCH, QWEN_MARKS, SIDE, TEXT, VIT, ids, seeded, template

SOUNDS = {
    "num_mel_bins": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "d_model": 32,
    "output_dim": HIDDEN,
}


def _qwen_omni(prefix: str, *, text=None, vision=None, sounds=None):
    """The thinker, which reads and writes words; its talker, which says them, is left out."""
    tokenizer = named(
        *QWEN_MARKS,
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        audio_token="<|AUDIO|>",
        vision_bos_token="<|vision_start|>",
        vision_eos_token="<|vision_end|>",
        audio_bos_token="<|audio_bos|>",
        audio_eos_token="<|audio_eos|>",
    )
    processor = getattr(hf, f"{prefix}Processor")(
        image_processor=hf.Qwen2VLImageProcessor(**SIDES, **COLOURS, size=PIXELS),
        video_processor=hf.Qwen2VLVideoProcessor(**SIDES, **COLOURS, size=PIXELS, do_sample_frames=False),
        feature_extractor=hf.WhisperFeatureExtractor(feature_size=16),
        tokenizer=tokenizer,
        chat_template=QWEN_CHAT,
    )
    processor.videos_kwargs = {"size": PIXELS}
    config = getattr(hf, f"{prefix}ThinkerConfig")(
        text_config=TEXT | {"vocab_size": len(tokenizer), "rope_parameters": dict(MROPE)} | (text or {}),
        vision_config=VISION | (vision or {}),
        audio_config=SOUNDS | (sounds or {}),
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        audio_token_id=tokenizer.audio_token_id,
        audio_start_token_id=tokenizer.audio_bos_token_id,
        vision_start_token_id=tokenizer.vision_bos_token_id,
        vision_end_token_id=tokenizer.vision_eos_token_id,
    )
    return seeded(lambda: getattr(hf, f"{prefix}ThinkerForConditionalGeneration")(config)), processor


def qwen2_5_omni_thinker():
    return _qwen_omni("Qwen2_5Omni", vision={"window_size": 16, "fullatt_block_indexes": [1]})


def qwen3_omni_moe_thinker():
    return _qwen_omni(
        "Qwen3OmniMoe",
        text=EXPERTS,
        vision={"num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        sounds={"downsample_hidden_size": 16},
    )


MUSE = {
    "image_token": "<|patch|>",
    "image_start_token": "<|image_start|>",
    "image_end_token": "<|image_end|>",
    "video_token": "<|video|>",
    "video_sep_token": "<|vid_frame_separator|>",
    "video_start_token": "<|vid_start|>",
    "video_end_token": "<|vid_end|>",
}


def _muse(prefix: str, *, marks=None, sounds=None, text=None, **more):
    tokenizer = named(**MUSE, **(marks or {}))
    processor = getattr(hf, f"{prefix}Processor")(
        image_processor=hf.MuseGlimmerImageProcessor(**SIDES, **COLOURS, max_image_tokens=100),
        video_processor=hf.MuseGlimmerVideoProcessor(**SIDES, **COLOURS),
        tokenizer=tokenizer,
        chat_template=template("<|patch|>", "<|video|>"),
        **(sounds or {}),
    )
    config = getattr(hf, f"{prefix}Config")(
        text_config=TEXT | {"vocab_size": len(tokenizer)} | (text or {}),
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "patch_size": PATCH,
            "pos_emb_height": 8,
            "pos_emb_width": 8,
            "max_position_embeddings": 64,
        },
        out_hidden_size=128,
        projector_hidden_size=64,
        **ids(tokenizer, image_token_id="<|patch|>", video_token_id="<|video|>"),
        **more,
    )
    return seeded(lambda: getattr(hf, f"{prefix}ForConditionalGeneration")(config)), processor


def muse_glimmer():
    return _muse("MuseGlimmer")


def muse_spark():
    """With experts, and an ear that this asks nothing of."""
    return _muse(
        "MuseSpark",
        marks={"audio_token": "<|audio|>", "audio_start_token": "<|audio_s|>", "audio_end_token": "<|audio_e|>"},
        sounds={"feature_extractor": hf.MuseSparkFeatureExtractor()},
        text={"moe_intermediate_size": 32, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_hidden_size": 32},
        audio_config={
            "patch_sizes": (16, 6),
            "hidden_sizes": (16, 32),
            "depths": (1, 1),
            "num_hidden_layers": 2,
            "out_hidden_size": HIDDEN,
        },
    )


def nemotron_h_omni():
    """One layer of Mamba and one of attention behind RADIO's tower."""
    tokenizer = named(
        image_token="<image>",
        video_token="<video>",
        audio_token="<so_embedding>",
        image_start_token="<img>",
        image_end_token="</img>",
    )
    processor = hf.NemotronH_Omni_Reasoning_V3Processor(
        image_processor=hf.NemotronH_Omni_Reasoning_V3ImageProcessor(
            **COLOURS, patch_size=PATCH, min_num_patches=16, max_num_patches=400, max_model_len=1024
        ),
        video_processor=hf.NemotronH_Omni_Reasoning_V3VideoProcessor(norm_mean=HALF, norm_std=HALF, patch_size=PATCH),
        tokenizer=tokenizer,
        feature_extractor=hf.ParakeetFeatureExtractor(),
        chat_template=template("<image>", "<video>"),
    )
    config = hf.NemotronH_Omni_Reasoning_V3_Config(
        text_config={name: value for name, value in TEXT.items() if name != "num_hidden_layers"}
        | {
            "model_type": "nemotron_h",
            "vocab_size": len(tokenizer),
            "layers_block_type": ["linear_attention", "full_attention"],
            "ssm_state_size": 16,
            "mamba_num_heads": 4,
            "mamba_head_dim": 24,
            "n_groups": 2,
        },
        vision_config=VIT
        | {
            "model_type": "radio",
            "mlp_ratio": 2.0,
            "patch_size": PATCH,
            "image_size": SIDE,
            "max_img_size": 96,
            "video_temporal_patch_size": 2,
        },
        audio_config=None,
        projector_hidden_size=64,
        vision_hidden_size=32,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        audio_token_id=tokenizer.audio_token_id,
    )
    return seeded(lambda: hf.NemotronH_Omni_Reasoning_V3(config)), processor


BIASED = {
    "swa_num_attention_heads": 3,
    "swa_num_key_value_heads": 3,
    "swa_head_dim": 16,
    "sliding_window_size": 512,
    "d_rel": 4,
    "rel_extent": 64,
    "layer_types": ["hybrid_sliding", "hybrid"],
    "moe_intermediate_size": 32,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
}


def inkling_mm_model():
    """Each patch of 8 pixels is folded into one token by itself; no patch sees another before the language model."""
    marks = {"image_token": "<|unused_200054|>", "audio_token": "<|unused_200053|>"}
    tokenizer = named("<|content_image|>", "<|content_audio_input|>", **marks)
    processor = hf.InklingProcessor(
        image_processor=hf.InklingImageProcessor(**COLOURS, size={"height": 8, "width": 8}),
        feature_extractor=hf.InklingFeatureExtractor(),
        tokenizer=tokenizer,
        chat_template=template("<|content_image|><|unused_200054|>"),
    )
    config = hf.InklingConfig(
        text_config=TEXT
        | BIASED
        | {"vocab_size": len(tokenizer), "n_shared_experts": 1, "mlp_layer_types": ["dense", "sparse"]},
        vision_config={"patch_size": 8, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4},
        audio_config={"n_mel_bins": 8, "mel_vocab_size": 16},
        **ids(
            tokenizer,
            image_token_id="<|unused_200054|>",
            audio_token_id="<|unused_200053|>",
            image_bos_token_id="<|content_image|>",
            audio_bos_token_id="<|content_audio_input|>",
        ),
    )
    return seeded(lambda: hf.InklingForConditionalGeneration(config)), processor


def inkling2():
    """A tower of attention between patches of 4 pixels, whose features are merged two by two."""
    tokenizer = named(image_token="<|unused_200054|>")
    processor = hf.Inkling2Processor(
        image_processor=hf.Inkling2ImageProcessor(**COLOURS, size={"height": 8, "width": 8}),
        tokenizer=tokenizer,
        chat_template=template("<|unused_200054|>"),
    )
    config = hf.Inkling2Config(
        text_config=TEXT
        | BIASED
        | {"vocab_size": len(tokenizer), "unpadded_vocab_size": len(tokenizer), "n_layers_per_attn_res_block": 1},
        vision_config=VIT
        | {
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "posemb_grid_size": 8,
            "projection_hidden_dim": 64,
            "text_hidden_size": HIDDEN,
        },
        image_token_id=tokenizer.image_token_id,
    )
    return seeded(lambda: hf.Inkling2ForConditionalGeneration(config)), processor


OMNI = {
    "qwen2_5_omni_thinker": qwen2_5_omni_thinker,
    "qwen3_omni_moe_thinker": qwen3_omni_moe_thinker,
    "muse_glimmer": muse_glimmer,
    "muse_spark": muse_spark,
    "nemotron_h_omni": nemotron_h_omni,
    "inkling_mm_model": inkling_mm_model,
    "inkling2": inkling2,
}
