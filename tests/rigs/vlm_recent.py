"""Tiny models of recent families, from config, and their processors: kin of GLM's and Qwen's, and some without a vision tower."""

from __future__ import annotations

import transformers as hf

from rigs.vlm_grids import GLM_MARKS, LINEAR, PIXELS, QWEN_CHAT, SIDES, VISION, glm_numbers, qwen_numbers
from rigs.vlm_newest import LATENT
from rigs.vlm_ocr import centred
from rigs.vlm_others import GEMMA4_MARKS, named
from rigs.vlm_parts import COLOURS, HIDDEN, MROPE, PATCH, QWEN_MARKS, SIDE, TEXT, VIT, ids, seeded, template, words


def glmga():
    """GLM-4.6V's model and processor, with an image processor of its own."""
    tokenizer = words(*GLM_MARKS, image_token="<|image|>", video_token="<|video|>")
    processor = hf.Glm46VProcessor(
        image_processor=hf.GlmgaImageProcessor(**SIDES, **COLOURS, size=PIXELS),
        tokenizer=tokenizer,
        video_processor=hf.GlmgaVideoProcessor(**SIDES, **COLOURS, size=PIXELS, do_sample_frames=False),
        chat_template=template("".join(GLM_MARKS[:3]), "".join(GLM_MARKS[3:])),
    )
    config = hf.GlmgaConfig(
        text_config=TEXT
        | {
            "model_type": "glm4v_text",
            "vocab_size": len(tokenizer),
            "rope_parameters": {**MROPE, "partial_rotary_factor": 1.0},
        },
        vision_config=VISION | {"model_type": "glm4v_vision", "image_size": SIDE},
        **glm_numbers(tokenizer),
    )
    return seeded(lambda: hf.Glm46VForConditionalGeneration(config)), processor


def dots3_note():
    """It takes sounds, too; patches have no second moment."""
    marks = ("<|imgpad|>", "<|video_pad|>", "<|audio_comp_pad|>")
    tokenizer = words(*marks)
    sides = SIDES | {"temporal_patch_size": 1}
    processor = hf.Dots3NoteProcessor(
        image_processor=hf.Qwen2VLImageProcessor(**sides, **COLOURS, size=PIXELS),
        tokenizer=tokenizer,
        video_processor=hf.Qwen3VLVideoProcessor(**sides, **COLOURS, size=PIXELS, do_sample_frames=False),
        feature_extractor=hf.Dots3NoteFeatureExtractor(),
        chat_template=template(marks[0], marks[1]),
    )
    config = hf.Dots3NoteConfig(
        text_config=TEXT
        | LATENT
        | {
            "vocab_size": len(tokenizer),
            "qk_rope_head_dim": 8,
            "shared_experts_intermediate_size": 32,
            "layer_types": ["indexed_attention", "indexed_attention"],
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "patch_size": PATCH,
            "moe_intermediate_size": 32,
            "mlp_layer_types": ["dense", "sparse"],
            "num_local_experts": 4,
            "adapter_in_dim": 32,
            "adapter_out_dim": HIDDEN,
        },
        audio_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "downsample_hidden_size": 8,
            "adapter_input_size": 32,
            "adapter_out_dim": HIDDEN,
        },
        **ids(tokenizer, image_token_id=marks[0], video_token_id=marks[1], audio_token_id=marks[2]),
    )
    return seeded(lambda: hf.Dots3NoteForConditionalGeneration(config)), processor


def step3p7():
    """Crops and the whole picture, each brought down by convolutions."""
    tokenizer = words("<im_patch>", "<patch_start>", "<patch_end>", "<patch_newline>", "<im_start>", "<im_end>")
    processor = hf.Step3p7Processor(
        image_processor=hf.Step3p7ImageProcessor(
            size={"height": 64, "width": 64}, patch_size=48, vision_patch_size=PATCH, **COLOURS
        ),
        tokenizer=tokenizer,
        chat_template=template("<im_patch>"),
    )
    config = hf.Step3p7Config(
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "layer_types": ["sliding_attention", "full_attention"]}
        | {"sliding_window": 512, "moe_intermediate_size": 32, "n_routed_experts": 4, "num_experts_per_tok": 2}
        | {"share_expert_dim": 32, "mlp_layer_types": ["dense", "sparse"]},
        vision_config=VIT | {"image_size": 64, "patch_size": PATCH, "mlp_ratio": 2.0, "max_position_embeddings": 256},
        image_token_id=processor.image_token_id,
    )
    return centred(seeded(lambda: hf.Step3p7ForConditionalGeneration(config))), processor


def qwen4_exp():
    """Linear attention, attention to tokens that an index chooses, and embeddings of the last words in a layer."""
    tokenizer = words(*QWEN_MARKS)
    processor = hf.Qwen3VLProcessor(
        image_processor=hf.Qwen2VLImageProcessor(**SIDES, **COLOURS, size=PIXELS),
        tokenizer=tokenizer,
        video_processor=hf.Qwen3VLVideoProcessor(**SIDES, **COLOURS, size=PIXELS, do_sample_frames=False),
        chat_template=QWEN_CHAT,
    )
    config = hf.Qwen4ExpConfig(
        text_config=TEXT
        | LINEAR
        | {
            "vocab_size": len(tokenizer),
            "rope_parameters": {**MROPE, "partial_rotary_factor": 1.0},
            "layer_types": ["linear_attention", "indexed_attention"],
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
            "hc_count": 2,
            "hc_lowrank": 8,
            "ple_layer_ids": [1],
            "heads_per_ngram": 2,
            "ngram_vocab_size_base": 100,
            "make_ngram_vocab_size_divisible_by": 4,
            "split_ngram_parts": 1,
            "indexer_n_heads": 2,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 16,
            "indexer_budget": 1024,
            "indexer_compress_ratio": 4,
        },
        vision_config=VISION | {"num_position_embeddings": 64},
        **qwen_numbers(tokenizer),
    )
    return seeded(lambda: hf.Qwen4ExpForConditionalGeneration(config)), processor


def cosmos3_edge():
    tokenizer = words(*QWEN_MARKS)
    sides = SIDES | {"temporal_patch_size": 1}
    processor = hf.Cosmos3EdgeProcessor(
        image_processor=hf.Cosmos3EdgeImageProcessor(**sides, **COLOURS, size=PIXELS),
        tokenizer=tokenizer,
        video_processor=hf.Cosmos3EdgeVideoProcessor(**sides, **COLOURS, size=PIXELS, do_sample_frames=False),
        chat_template=QWEN_CHAT,
    )
    config = hf.Cosmos3EdgeConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer), "rope_parameters": dict(MROPE)},
        vision_config=VIT | {"patch_size": PATCH, "num_patches": 64},
        projector_hidden_size=64,
        **qwen_numbers(tokenizer),
    )
    return seeded(lambda: hf.Cosmos3EdgeForConditionalGeneration(config)), processor


def gemma4_unified():
    """It has no vision tower: patches come into the language model as they are, by a single layer."""
    tokenizer = named(**GEMMA4_MARKS)
    sides = {"patch_size": PATCH, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    processor = hf.Gemma4UnifiedProcessor(
        feature_extractor=hf.Gemma4UnifiedAudioFeatureExtractor(),
        image_processor=hf.Gemma4UnifiedImageProcessor(**sides),
        tokenizer=tokenizer,
        video_processor=hf.Gemma4UnifiedVideoProcessor(**sides),
        chat_template=template("<|image|>", "<|video|>"),
    )
    config = hf.Gemma4UnifiedConfig(
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "layer_types": ["sliding_attention", "full_attention"], "global_head_dim": 16},
        vision_config={
            "patch_size": PATCH,
            "pooling_kernel_size": 2,
            "mm_embed_dim": HIDDEN,
            "mm_posemb_size": 128,
            "output_proj_dims": HIDDEN,
        },
        audio_config=None,
        **ids(
            tokenizer,
            image_token_id="<|image|>",
            boi_token_id="<|image>",
            eoi_token_id="<image|>",
            video_token_id="<|video|>",
            audio_token_id="<|audio|>",
        ),
    )
    return seeded(lambda: hf.Gemma4UnifiedForConditionalGeneration(config)), processor


def shieldgemma2():
    """Gemma 3's model; its processor asks whether a picture keeps a policy, and nothing else."""
    tokenizer = words(boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>")
    processor = hf.ShieldGemma2Processor(
        image_processor=hf.Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE}, **COLOURS),
        tokenizer=tokenizer,
        image_seq_length=16,
        chat_template=template("<start_of_image>"),
    )
    config = hf.ShieldGemma2Config(
        text_config=TEXT
        | {
            "model_type": "gemma3_text",
            "vocab_size": len(tokenizer),
            "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 16,
        },
        vision_config=VIT
        | {"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": PATCH, "vision_use_head": False},
        mm_tokens_per_image=16,
        image_token_index=tokenizer.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_index=tokenizer.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<end_of_image>"),
    )
    return seeded(lambda: hf.Gemma3ForConditionalGeneration(config)), processor


RECENT = {
    "glmga": glmga,
    "dots3_note": dots3_note,
    "step3p7": step3p7,
    "qwen4_exp": qwen4_exp,
    "cosmos3_edge": cosmos3_edge,
    "gemma4_unified": gemma4_unified,
    "shieldgemma2": shieldgemma2,
}
