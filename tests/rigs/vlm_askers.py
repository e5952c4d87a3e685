"""Tiny models that read pictures in ways of their own, from config, and their processors: Fuyu without a tower, T5Gemma 2
and Florence-2 by an encoder, Kosmos-2 and InstructBLIP by queries.
"""

from __future__ import annotations

import transformers as hf

from rigs.vlm_others import named
from rigs.vlm_parts import COLOURS, HIDDEN, PATCH, SIDE, TEXT, VIT, ids, seeded, template, words
from rigs.vlm_tiles import LLAMA, SQUARE


class _Underlined(hf.PreTrainedTokenizerFast):
    """Begins every text with a sign, as Fuyu's does; its processor takes that away again."""

    def __call__(self, text, **options):
        return super().__call__(f"_ {text}", **options)


def fuyu():
    """Patches go straight into the language model; its processor puts the mark in front by itself, and ends prompts."""
    tokenizer = words("_", "|SPEAKER|", "|NEWLINE|", "<0x04>", "<s>")
    tokenizer.__class__ = _Underlined
    processor = hf.FuyuProcessor(
        image_processor=hf.FuyuImageProcessor(size={"height": 64, "width": 64}, patch_size={"height": 8, "width": 8}),
        tokenizer=tokenizer,
    )
    config = hf.FuyuConfig(
        text_config={name: value for name, value in TEXT.items() if name != "num_key_value_heads"}
        | {"model_type": "persimmon", "vocab_size": len(tokenizer)},
        image_size=64,
        patch_size=8,
        **ids(tokenizer, image_token_id="|SPEAKER|"),
    )
    return seeded(lambda: hf.FuyuForCausalLM(config)), processor


def t5gemma2():
    """Gemma 3 as an encoder, and a decoder that asks it."""
    tokenizer = named(image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>")
    processor = hf.Gemma3Processor(
        image_processor=hf.Gemma3ImageProcessor(size=SQUARE, **COLOURS),
        tokenizer=tokenizer,
        image_seq_length=16,
        chat_template=template("<start_of_image>"),
    )
    text = TEXT | {
        "vocab_size": len(tokenizer),
        "layer_types": ["sliding_attention", "full_attention"],
        "query_pre_attn_scalar": 16,
        "num_attention_heads": 3,
    }
    config = hf.T5Gemma2Config(
        encoder={
            "text_config": text,
            "vision_config": VIT | {"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": PATCH},
            "mm_tokens_per_image": 16,
            **ids(
                tokenizer,
                boi_token_index="<start_of_image>",
                eoi_token_index="<end_of_image>",
                image_token_index="<image_soft_token>",
            ),
        },
        decoder=text,
        image_token_index=tokenizer.image_token_id,
    )
    return seeded(lambda: hf.T5Gemma2ForConditionalGeneration(config)), processor


def florence2():
    """BART, whose encoder reads the picture's tokens in front of the words."""
    tokenizer = named(image_token="<image>")
    processor = hf.Florence2Processor(
        image_processor=hf.CLIPImageProcessor(size=SQUARE, do_center_crop=False, image_seq_length=65, **COLOURS),
        tokenizer=tokenizer,
    )
    config = hf.Florence2Config(
        text_config={
            "model_type": "bart",
            "vocab_size": len(tokenizer),
            "d_model": HIDDEN,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 3,
            "decoder_attention_heads": 3,
            "encoder_ffn_dim": 96,
            "decoder_ffn_dim": 96,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 2,
            "decoder_start_token_id": 1,
        },
        vision_config={
            "depths": [1, 1],
            "patch_size": [3, 3],
            "patch_stride": [2, 2],
            "patch_padding": [1, 1],
            "patch_prenorm": [False, True],
            "embed_dim": [16, 32],
            "num_heads": [2, 4],
            "num_groups": [2, 4],
            "window_size": 4,
            "projection_dim": HIDDEN,
        },
        image_token_id=tokenizer.image_token_id,
    )
    return seeded(lambda: hf.Florence2ForConditionalGeneration(config)), processor


def kosmos_2():
    """Eight queries ask the whole picture; a mask says which tokens of the prompt they stand in for."""
    tokenizer = words(*(f"<query_{i}>" for i in range(8)))
    processor = hf.Kosmos2Processor(
        image_processor=hf.CLIPImageProcessor(size=SQUARE, crop_size=SQUARE, **COLOURS),
        tokenizer=tokenizer,
        num_patch_index_tokens=4,
    )
    processor.num_image_tokens = 8
    config = hf.Kosmos2Config(
        text_config={
            "vocab_size": len(tokenizer),
            "embed_dim": HIDDEN,
            "layers": 2,
            "ffn_dim": 96,
            "attention_heads": 3,
            "max_position_embeddings": 1024,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 2,
        },
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH},
        latent_query_num=8,
    )
    return seeded(lambda: hf.Kosmos2ForConditionalGeneration(config)), processor


QUERIES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "cross_attention_frequency": 1,
}


def _instructblip(prefix: str, kind: str, mark: str, **sight):
    """Eight queries ask the picture, and the words of the question with it."""
    tokenizer, question = words(), words()
    processor = getattr(hf, f"{prefix}Processor")(
        **sight, tokenizer=tokenizer, qformer_tokenizer=question, num_query_tokens=8
    )
    config = getattr(hf, f"{prefix}Config")(
        text_config=LLAMA | {"vocab_size": len(tokenizer)},
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH},
        qformer_config=QUERIES | {"vocab_size": len(question)},
        num_query_tokens=8,
        **ids(tokenizer, **{f"{kind}_token_index": mark}),
    )
    return seeded(lambda: getattr(hf, f"{prefix}ForConditionalGeneration")(config)), processor


def instructblip():
    pictures = hf.BlipImageProcessor(size=SQUARE, **COLOURS)
    return _instructblip("InstructBlip", "image", "<image>", image_processor=pictures)


def instructblipvideo():
    """It takes films of four frames, and no pictures."""
    films = hf.InstructBlipVideoVideoProcessor(size=SQUARE, **COLOURS)
    return _instructblip("InstructBlipVideo", "video", "<video>", video_processor=films)


ASKERS = {
    "fuyu": fuyu,
    "t5gemma2": t5gemma2,
    "florence2": florence2,
    "kosmos-2": kosmos_2,
    "instructblip": instructblip,
    "instructblipvideo": instructblipvideo,
}
