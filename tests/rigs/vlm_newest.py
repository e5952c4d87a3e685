"""The newest tiny vision-language models, from config, and their processors: kin of Qwen's and Pixtral's, Phi-4, Gemma 3n."""

from __future__ import annotations

import torch
import transformers as hf

from rigs.vlm_grids import GLM_MARKS, PIXELS, QWEN_CHAT, SIDES, VISION, glm_numbers, qwen_numbers
from rigs.vlm_others import named
from rigs.vlm_parts import COLOURS, HIDDEN, PATCH, QWEN_MARKS, SIDE, TEXT, VIT, ids, seeded, template, words
from rigs.vlm_tiles import LLAMA, SIGLIP, SQUARE

LATENT = {
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "n_shared_experts": 1,
    "index_topk": 1024,
    "index_head_dim": 16,
    "index_n_heads": 2,
}


def ernie4_5_vl_moe():
    marks = {
        "image_token": "<|IMAGE_PLACEHOLDER|>",
        "image_start_token": "<|IMAGE_START|>",
        "image_end_token": "<|IMAGE_END|>",
        "video_token": "<|VIDEO_PLACEHOLDER|>",
        "video_start_token": "<|VIDEO_START|>",
        "video_end_token": "<|VIDEO_END|>",
    }
    tokenizer = named(**marks)
    sides = {"patch_size": PATCH, "merge_size": 2}
    processor = hf.Ernie4_5_VLMoeProcessor(
        image_processor=hf.Ernie4_5_VLMoeImageProcessor(**sides, size=PIXELS, **COLOURS),
        tokenizer=tokenizer,
        video_processor=hf.Ernie4_5_VLMoeVideoProcessor(**sides, temporal_patch_size=2, size=PIXELS, **COLOURS),
        chat_template=template(
            "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>", "<|VIDEO_START|><|VIDEO_PLACEHOLDER|><|VIDEO_END|>"
        ),
    )
    config = hf.Ernie4_5_VLMoeConfig(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 2, 4]},
            "moe_intermediate_size": [32, 16],
            "moe_k": 2,
            "moe_num_experts": 4,
            "moe_num_shared_experts": 1,
        },
        vision_config=VISION | {"temporal_merge_size": 2},
        **{f"{name}_id": tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()},
    )
    return seeded(lambda: hf.Ernie4_5_VLMoeForConditionalGeneration(config)), processor


def glm5_next():
    """Linear attention, and attention to tokens that an index chooses."""
    tokenizer = words(*GLM_MARKS, image_token="<|image|>", video_token="<|video|>")
    tokens = {"min_image_tokens": 4, "max_image_tokens": 100}
    processor = hf.Glm5NextProcessor(
        image_processor=hf.Glm5NextImageProcessor(**SIDES, **COLOURS, **tokens),
        tokenizer=tokenizer,
        video_processor=hf.Glm5NextVideoProcessor(**SIDES, **COLOURS),
        chat_template=template("".join(GLM_MARKS[:3]), "".join(GLM_MARKS[3:])),
    )
    config = hf.Glm5NextConfig(
        text_config=TEXT
        | LATENT
        | {
            "vocab_size": len(tokenizer),
            "layer_types": ["linear_attention", "indexed_attention"],
            "mlp_layer_types": ["dense", "dense"],
            "linear_head_dim": 16,
            "linear_num_heads": 2,
            "hc_mult": 2,
        },
        vision_config=VISION | {"image_size": SIDE, "projection_intermediate_size": 64},
        **glm_numbers(tokenizer),
    )
    return seeded(lambda: hf.Glm5NextForConditionalGeneration(config)), processor


def _qwen_kin(prefix, model, *, text, vision, tokens=None):
    """A model with Qwen2-VL's image processor, and its own processor."""
    tokenizer = named(*QWEN_MARKS, image_token="<|image_pad|>", video_token="<|video_pad|>")
    processor = getattr(hf, f"{prefix}Processor")(
        image_processor=hf.Qwen2VLImageProcessor(**SIDES, **COLOURS, size=PIXELS),
        tokenizer=tokenizer,
        video_processor=hf.Qwen2VLVideoProcessor(**SIDES, **COLOURS, size=PIXELS, do_sample_frames=False),
        chat_template=QWEN_CHAT,
    )
    numbers = {
        name: number for name, number in qwen_numbers(tokenizer).items() if "start" not in name and "end" not in name
    }
    config = getattr(hf, f"{prefix}Config")(
        text_config=TEXT | {"vocab_size": len(tokenizer)} | text, vision_config=VISION | vision, **numbers
    )
    return seeded(lambda: getattr(hf, model)(config)), processor


WINDOWS = {"window_size": 16, "fullatt_block_indexes": [1], "num_key_value_heads": 4}


def exaone4_5():
    text = {"model_type": "exaone4", "layer_types": ["full_attention", "full_attention"], "sliding_window": None}
    return _qwen_kin("Exaone4_5_", "Exaone4_5_ForConditionalGeneration", text=text, vision=WINDOWS)


def hyperclovax_vision_v2():
    return _qwen_kin(
        "HyperCLOVAXVisionV2",
        "HyperCLOVAXVisionV2ForConditionalGeneration",
        text={"model_type": "hyperclovax"},
        vision=WINDOWS | {"model_type": "qwen2_5_vl_vision"},
    )


def _pixtral(config, model, **text):
    """A language model behind Pixtral's tower, whose patches are merged two by two."""
    tokenizer = words("[IMG]", "[IMG_BREAK]", "[IMG_END]")
    processor = hf.PixtralProcessor(
        image_processor=hf.PixtralImageProcessor(size={"longest_edge": 64}, patch_size=PATCH, **COLOURS),
        tokenizer=tokenizer,
        patch_size=PATCH,
        spatial_merge_size=2,
        chat_template=template("[IMG]"),
    )
    made = config(
        text_config=TEXT | LATENT | {"vocab_size": len(tokenizer), "qk_rope_head_dim": 8} | text,
        vision_config=VIT | {"model_type": "pixtral", "image_size": 64, "patch_size": PATCH, "head_dim": 8},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )
    return seeded(lambda: model(made)), processor


def mistral_large4():
    return _pixtral(hf.MistralLarge4Config, hf.MistralLarge4ForConditionalGeneration, head_dim=8)


def mistral4():
    """Mistral 4 is a language model; pictures come to it in Mistral 3's class."""
    return _pixtral(
        hf.Mistral3Config,
        hf.Mistral3ForConditionalGeneration,
        model_type="mistral4",
        head_dim=8,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 1e4,
            "partial_rotary_factor": 1.0,
            "llama_4_scaling_beta": 0.1,
            "original_max_position_embeddings": 64,
        },
    )


def deepseek_vl_hybrid():
    """A second tower, SAM's, sees the same picture in more pixels; its convolutions are centred, as random ones look to a side."""
    tokenizer = words("<image_placeholder>", image_token="<image_placeholder>")
    tokenizer.image_token_id = tokenizer.convert_tokens_to_ids("<image_placeholder>")
    processor = hf.DeepseekVLHybridProcessor(
        image_processor=hf.DeepseekVLHybridImageProcessor(
            size=SQUARE, high_res_size={"height": 64, "width": 64}, min_size=4, **COLOURS
        ),
        tokenizer=tokenizer,
        num_image_tokens=64,
        chat_template=template("<image_placeholder>"),
    )
    config = hf.DeepseekVLHybridConfig(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config=SIGLIP,
        high_res_vision_config={
            "model_type": "sam_vision_model",
            "hidden_size": 32,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 64,
            "patch_size": 2,
            "window_size": 4,
            "global_attn_indexes": [1],
            "mlp_dim": 64,
        },
        image_token_id=tokenizer.image_token_id,
    )
    model = seeded(lambda: hf.DeepseekVLHybridForConditionalGeneration(config))
    near = torch.tensor([0.1, 1.0, 0.1])
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            module.weight.data *= near[:, None] * near
    return model, processor


def molmo2():
    """Patches are pooled two by two by attention, in crops that overlap and the whole picture."""
    marks = ("<im_patch>", "<im_col>", "<im_start>", "<low_res_im_start>", "<frame_start>", "<im_end>", "<frame_end>")
    tokenizer = words(*marks, "<im_low>", image_token="<|image|>", video_token="<|video|>")
    sides = {"patch_size": PATCH, "size": SQUARE}
    processor = hf.Molmo2Processor(
        image_processor=hf.Molmo2ImageProcessor(
            **sides, max_crops=4, overlap_margins=[1, 1], pooling_size=[2, 2], **COLOURS
        ),
        video_processor=hf.Molmo2VideoProcessor(**sides, pooling_size=[2, 2], **COLOURS),
        tokenizer=tokenizer,
        chat_template=template("<|image|>", "<|video|>"),
    )
    heads = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 8}
    config = hf.Molmo2Config(
        text_config=TEXT | {"vocab_size": len(tokenizer), "additional_vocab_size": 8},
        vision_config=VIT | heads | {"image_size": [SIDE, SIDE], "patch_size": PATCH, "num_position_embeddings": 64},
        adapter_config=heads | {"vision_feature_layer": [-1, -2], "intermediate_size": 64, "text_hidden_size": HIDDEN},
        **ids(
            tokenizer,
            image_start_token_id="<im_start>",
            low_res_image_start_token_id="<low_res_im_start>",
            image_end_token_id="<im_end>",
            image_patch_id="<im_patch>",
            frame_start_token_id="<frame_start>",
            frame_end_token_id="<frame_end>",
        ),
    )
    return seeded(lambda: hf.Molmo2ForConditionalGeneration(config)), processor


def phi4_multimodal():
    """Its processor counts 16 x 16 tokens for each tile, whatever it is told: 32 patches of 2 pixels, two by two."""
    tokenizer = named(image_token="<|endoftext10|>", audio_token="<|endoftext11|>")
    processor = hf.Phi4MultimodalProcessor(
        image_processor=hf.Phi4MultimodalImageProcessor(
            size={"height": 64, "width": 64}, patch_size=2, dynamic_hd=2, **COLOURS
        ),
        audio_processor=hf.Phi4MultimodalFeatureExtractor(),
        tokenizer=tokenizer,
        chat_template=template("<|endoftext10|>"),
    )
    config = hf.Phi4MultimodalConfig(
        **{k: v for k, v in TEXT.items() if k not in ("head_dim", "max_position_embeddings")},
        vocab_size=len(tokenizer),
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 64,
            "crop_size": 64,
            "patch_size": 2,
            "image_token_id": tokenizer.image_token_id,
        },
        audio_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_blocks": 1,
            "num_attention_heads": 4,
            "ext_pw_out_channel": 32,
            "depthwise_separable_out_channel": 32,
            "nemo_conv_channels": 16,
            "audio_token_id": tokenizer.audio_token_id,
        },
    )
    return seeded(lambda: hf.Phi4MultimodalForCausalLM(config)), processor


NEWEST = {
    "ernie4_5_vl_moe": ernie4_5_vl_moe,
    "glm5_next": glm5_next,
    "exaone4_5": exaone4_5,
    "hyperclovax_vision_v2": hyperclovax_vision_v2,
    "mistral_large4": mistral_large4,
    "deepseek_vl_hybrid": deepseek_vl_hybrid,
    "mistral4": mistral4,
    "molmo2": molmo2,
    "phi4_multimodal": phi4_multimodal,
}
