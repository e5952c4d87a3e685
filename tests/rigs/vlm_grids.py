"""Tiny models of families that list a picture's patches, from config, and their processors: kin of Qwen's."""

from __future__ import annotations

import transformers as hf

from rigs.vlm_parts import COLOURS, HIDDEN, MROPE, PATCH, QWEN_MARKS, TEXT, ids, seeded, template, words

SIDES = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2}
PIXELS = {"shortest_edge": 16 * 16, "longest_edge": 80 * 80}
QWEN_CHAT = template("<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>")
VISION = {
    "depth": 2,
    "hidden_size": 32,
    "num_heads": 4,
    "intermediate_size": 64,
    "patch_size": PATCH,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": HIDDEN,
}
LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_conv_kernel_dim": 2,
    "layer_types": ["linear_attention", "full_attention"],
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_routed_experts": 4}


def qwen_numbers(tokenizer):
    return ids(
        tokenizer,
        image_token_id="<|image_pad|>",
        video_token_id="<|video_pad|>",
        vision_start_token_id="<|vision_start|>",
        vision_end_token_id="<|vision_end|>",
    )


def qwen3_like(prefix: str, *, text=None, vision=None):
    """A model with Qwen3-VL's processor."""
    tokenizer = words(*QWEN_MARKS)
    pictures = hf.Qwen2VLImageProcessor(**SIDES, **COLOURS, size=PIXELS)
    videos = hf.Qwen3VLVideoProcessor(**SIDES, **COLOURS, size=PIXELS, do_sample_frames=False)
    processor = hf.Qwen3VLProcessor(
        image_processor=pictures, tokenizer=tokenizer, video_processor=videos, chat_template=QWEN_CHAT
    )
    config = getattr(hf, f"{prefix}Config")(
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "rope_parameters": {**MROPE, "partial_rotary_factor": 1.0}}
        | (text or {}),
        vision_config=VISION | {"num_position_embeddings": 64} | (vision or {}),
        **qwen_numbers(tokenizer),
    )
    return seeded(lambda: getattr(hf, f"{prefix}ForConditionalGeneration")(config)), processor


def qwen3_vl_moe():
    return qwen3_like("Qwen3VLMoe", text=EXPERTS, vision={"deepstack_visual_indexes": [0]})


def qwen3_5():
    """Three of four layers of the language model are linear attention; here one of two is."""
    return qwen3_like("Qwen3_5", text=LINEAR)


def qwen3_5_moe():
    return qwen3_like("Qwen3_5Moe", text=LINEAR | EXPERTS | {"shared_expert_intermediate_size": 32})


GLM_MARKS = (
    "<|begin_of_image|>",
    "<|image|>",
    "<|end_of_image|>",
    "<|begin_of_video|>",
    "<|video|>",
    "<|end_of_video|>",
)


def glm_numbers(tokenizer) -> dict[str, int]:
    """Of the marks of pictures and videos, as GLM's configurations name them."""
    return ids(
        tokenizer,
        image_token_id="<|image|>",
        video_token_id="<|video|>",
        image_start_token_id="<|begin_of_image|>",
        image_end_token_id="<|end_of_image|>",
        video_start_token_id="<|begin_of_video|>",
        video_end_token_id="<|end_of_video|>",
    )


def _glm(kind: str, processors: str, *, text=None, vision=None):
    tokenizer = words(*GLM_MARKS, image_token="<|image|>", video_token="<|video|>")
    chat = template("".join(GLM_MARKS[:3]), "".join(GLM_MARKS[3:]))
    pictures = getattr(hf, f"{processors}ImageProcessor")(**SIDES, **COLOURS, size=PIXELS)
    videos = getattr(hf, f"{processors}VideoProcessor")(**SIDES, **COLOURS, size=PIXELS, do_sample_frames=False)
    processor = getattr(hf, f"{processors}Processor")(
        image_processor=pictures, tokenizer=tokenizer, video_processor=videos, chat_template=chat
    )
    config = getattr(hf, f"{kind}Config")(
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "rope_parameters": {**MROPE, "partial_rotary_factor": 1.0}}
        | (text or {}),
        vision_config=VISION | {"image_size": 32} | (vision or {}),
        **glm_numbers(tokenizer),
    )
    return seeded(lambda: getattr(hf, f"{kind}ForConditionalGeneration")(config)), processor


def glm4v():
    return _glm("Glm4v", "Glm4v")


def glm4v_moe():
    return _glm("Glm4vMoe", "Glm4v", text=EXPERTS | {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1})


def glm46v():
    return _glm("Glm46V", "Glm46V", text={"model_type": "glm4v_text"}, vision={"model_type": "glm4v_vision"})


def glm_ocr():
    return _glm("GlmOcr", "Glm46V")


def video_llama_3():
    tokenizer = words("<image>", "<video>", image_token="<image>", video_token="<video>")
    tokenizer.image_token_id, tokenizer.video_token_id = tokenizer.convert_tokens_to_ids(["<image>", "<video>"])
    sides = {"patch_size": PATCH, "merge_size": 1}
    pictures = hf.VideoLlama3ImageProcessor(**sides, **COLOURS, size=PIXELS)
    videos = hf.VideoLlama3VideoProcessor(**sides, **COLOURS, size=PIXELS, do_sample_frames=False)
    processor = hf.VideoLlama3Processor(
        image_processor=pictures,
        tokenizer=tokenizer,
        video_processor=videos,
        chat_template=template("<image>", "<video>"),
    )
    config = hf.VideoLlama3Config(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "patch_size": PATCH,
        },
        **ids(tokenizer, image_token_id="<image>", video_token_id="<video>"),
    )
    return seeded(lambda: hf.VideoLlama3ForConditionalGeneration(config)), processor


GRIDS = {
    "qwen3_vl_moe": qwen3_vl_moe,
    "qwen3_5": qwen3_5,
    "qwen3_5_moe": qwen3_5_moe,
    "glm4v": glm4v,
    "glm4v_moe": glm4v_moe,
    "glm46v": glm46v,
    "glm_ocr": glm_ocr,
    "video_llama_3": video_llama_3,
}
