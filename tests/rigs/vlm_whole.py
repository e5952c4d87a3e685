"""Tiny models, from config, and their processors, whose pictures are no tokens with places: their language models ask the
picture by cross-attention, put it in front of the prompt by themselves, or turn it into numbers of a code book.
"""

from __future__ import annotations

import torch
import transformers as hf
from tokenizers.processors import TemplateProcessing

from rigs.vlm_others import named
from rigs.vlm_parts import COLOURS, HIDDEN, MIXED, PATCH, SIDE, TEXT, VIT, ids, seeded, template, words
from rigs.vlm_tiles import SQUARE


def _looking(make):
    """The model with the gates of its cross-attention open: families begin their training with closed ones."""
    model = seeded(make)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[2] in ("cross_attn_attn_gate", "cross_attn_mlp_gate", "gate"):
                parameter.fill_(1.0)
    return model


def mllama():
    """Every second layer asks the tiles of the picture; a mask says which token may ask which."""
    tokenizer = named("<|python_tag|>", image_token="<|image|>")
    processor = hf.MllamaProcessor(
        image_processor=hf.MllamaImageProcessor(size=SQUARE, max_image_tiles=4, **COLOURS),
        tokenizer=tokenizer,
        chat_template=template("<|image|>"),
    )
    config = hf.MllamaConfig(
        text_config={name: value for name, value in TEXT.items() if name != "head_dim"}
        | {"vocab_size": len(tokenizer), "cross_attention_layers": [1]},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 4,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 64,
            "image_size": SIDE,
            "patch_size": PATCH,
        },
        image_token_index=tokenizer.image_token_id,
    )
    return _looking(lambda: hf.MllamaForConditionalGeneration(config)), processor


def idefics():
    """Every layer asks the picture; a mask says which token may ask which."""
    tokenizer = words("<image>", "<fake_token_around_image>")
    processor = hf.IdeficsProcessor(image_processor=hf.IdeficsImageProcessor(image_size=SIDE), tokenizer=tokenizer)
    config = hf.IdeficsConfig(
        **{name: value for name, value in TEXT.items() if name not in ("head_dim", "num_key_value_heads")},
        vocab_size=len(tokenizer),
        alpha_initializer="ones",
        vision_config={
            "embed_dim": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": PATCH,
        },
    )
    return seeded(lambda: hf.IdeficsForVisionText2Text(config)), processor


CODES = {"base_channels": 32, "channel_multiplier": [1, 2], "num_res_blocks": 1, "in_channels": 3}


def chameleon():
    """A square of 32 pixels becomes 16 x 16 numbers of a code book, each a word."""
    codes = [f"IMGIMG{''.join('ABCDEFGHIJ'[int(digit)] for digit in str(i))}Z" for i in range(32)]
    tokenizer = words("<image>", "<racm3:break>", "<eoss>", "<reserved08706>", *codes)
    tokenizer.sep_token = "<reserved08706>"
    processor = hf.ChameleonProcessor(
        image_processor=hf.ChameleonImageProcessor(size={"shortest_edge": SIDE}, crop_size=SQUARE),
        tokenizer=tokenizer,
        image_seq_length=256,
    )
    config = hf.ChameleonConfig(
        **{name: value for name, value in TEXT.items() if name != "head_dim"},
        vocab_size=len(tokenizer),
        vocabulary_map=tokenizer.get_vocab(),
        vq_config=CODES | {"num_embeddings": len(codes), "embed_dim": 16, "latent_channels": 16, "resolution": SIDE},
    )
    return seeded(lambda: hf.ChameleonForConditionalGeneration(config)), processor


def emu3():
    """A square of eight pixels becomes a number of a code book, each a word; every row ends with a word of its own."""
    codes = [f"<|visual token {i:06d}|>" for i in range(32)]
    tokenizer = named(
        "<|extra_200|>",
        *codes,
        image_token="<image>",
        boi_token="<|image start|>",
        eoi_token="<|image end|>",
        image_wrapper_token="<|image token|>",
        eof_token="<|extra_201|>",
    )
    processor = hf.Emu3Processor(
        image_processor=hf.Emu3ImageProcessor(min_pixels=64 * 64, max_pixels=96 * 96),
        tokenizer=tokenizer,
        chat_template=template("<image>"),
    )
    config = hf.Emu3Config(
        text_config={name: value for name, value in TEXT.items() if name != "head_dim"}
        | {"vocab_size": len(tokenizer)},
        vq_config=CODES
        | {"channel_multiplier": [1, 1, 1, 2], "codebook_size": len(codes), "hidden_size": 64, "attn_resolutions": [3]},
        vocabulary_map=tokenizer.get_vocab(),
    )
    return seeded(lambda: hf.Emu3ForConditionalGeneration(config)), processor


def kosmos_2_5():
    """Patches of pictures of any shape are asked by eight queries; a mask says which tokens these stand in for."""
    tokenizer = named(image_token="<s>", boi_token="<image>", eoi_token="</image>")
    processor = hf.Kosmos2_5Processor(
        image_processor=hf.Kosmos2_5ImageProcessor(patch_size={"height": PATCH, "width": PATCH}, max_patches=64),
        tokenizer=tokenizer,
        num_image_tokens=8,
    )
    processor.images_kwargs = processor.images_kwargs | {"max_patches": 64}
    config = hf.Kosmos2_5Config(
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
        vision_config=VIT | {"head_dim": 8, "patch_embed_hidden_size": 3 * PATCH**2, "max_num_patches": 64},
        latent_query_num=8,
    )
    return seeded(lambda: hf.Kosmos2_5ForConditionalGeneration(config)), processor


def blip():
    """BERT's layers ask the picture; generation leaves out the prompt's last token, which BERT's tokenizer puts there."""
    tokenizer = words("[CLS]", "[SEP]")
    ends = [(mark, tokenizer.convert_tokens_to_ids(mark)) for mark in ("[CLS]", "[SEP]")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    processor = hf.BlipProcessor(image_processor=hf.BlipImageProcessor(size=SQUARE, **MIXED), tokenizer=tokenizer)
    config = hf.BlipConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 2,
            **ids(tokenizer, sep_token_id="[SEP]"),
        },
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH},
    )
    return seeded(lambda: hf.BlipForConditionalGeneration(config)), processor


def git():
    """The model puts the picture's patches in front of the prompt by itself."""
    tokenizer = words()
    processor = hf.GitProcessor(
        image_processor=hf.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SQUARE, **MIXED),
        tokenizer=tokenizer,
    )
    config = hf.GitConfig(
        **{name: value for name, value in TEXT.items() if name not in ("head_dim", "num_key_value_heads")},
        vocab_size=len(tokenizer),
        vision_config=VIT | {"image_size": SIDE, "patch_size": PATCH},
    )
    return seeded(lambda: hf.GitForCausalLM(config)), processor


WHOLE = {
    "mllama": mllama,
    "idefics": idefics,
    "chameleon": chameleon,
    "emu3": emu3,
    "kosmos-2.5": kosmos_2_5,
    "blip": blip,
    "git": git,
}
