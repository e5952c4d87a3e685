"""Tiny models, from config, and their processors, whose prompt is of an unusual kind: the decoder's, a header that is drawn
above the picture, none at all, words that are read in the picture, or one that is not about pictures or not answered in words.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import transformers as hf

from rigs.vlm_grids import qwen3_like
from rigs.vlm_others import GEMMA4_MARKS, named
from rigs.vlm_parts import COLOURS, HIDDEN, PATCH, SIDE, TEXT, VIT, ids, seeded, template, words
from rigs.vlm_tiles import SQUARE

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
BART = {
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
    "decoder_start_token_id": 2,
    "max_position_embeddings": 256,
}


class _Lettered(hf.Pix2StructImageProcessor):
    """Draws with a font that is here; the default one is fetched from the hub."""

    def render_header(self, image, header, font_bytes=None, font_path=None):
        return super().render_header(image, header, font_path=str(FONT))


def _pix2struct(patches: int, **pictures):
    tokenizer = words()
    processor = hf.Pix2StructProcessor(
        image_processor=_Lettered(patch_size={"height": PATCH, "width": PATCH}, **pictures), tokenizer=tokenizer
    )
    processor.images_kwargs = {"max_patches": patches}
    config = hf.Pix2StructConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "d_kv": 16,
            "d_ff": 96,
            "num_layers": 2,
            "num_heads": 3,
        },
        vision_config={
            "hidden_size": HIDDEN,
            "patch_embed_hidden_size": 3 * PATCH**2,
            "d_ff": 64,
            "d_kv": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "seq_len": patches,
        },
    )
    return seeded(lambda: hf.Pix2StructForConditionalGeneration(config)), processor


def pix2struct():
    """Its decoder goes on with the words, and asks an encoder of the picture's patches."""
    return _pix2struct(64)


def pix2struct_header():
    """The words are drawn above the picture, and are pixels like it."""
    return _pix2struct(256, is_vqa=True)


def donut():
    """A Swin encoder of the picture, and a decoder that goes on with the words."""
    tokenizer = words()
    processor = hf.DonutProcessor(
        image_processor=hf.DonutImageProcessor(size={"height": 64, "width": 64}, do_align_long_axis=False, **COLOURS),
        tokenizer=tokenizer,
    )
    encoder = hf.DonutSwinConfig(
        image_size=64, patch_size=PATCH, embed_dim=24, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    decoder = hf.MBartConfig(
        **BART, vocab_size=len(tokenizer), is_decoder=True, add_cross_attention=True, is_encoder_decoder=False
    )
    config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 1
    return seeded(lambda: hf.VisionEncoderDecoderModel(config)), processor


def pp_formulanet():
    """It writes the formula that it sees, and takes no words."""
    tokenizer = words()
    processor = hf.PPFormulaNetProcessor(
        image_processor=hf.PPFormulaNetImageProcessor(size={"height": 64, "width": 64}), tokenizer=tokenizer
    )
    config = hf.PPFormulaNetConfig(
        text_config=BART | {"vocab_size": len(tokenizer)},
        vision_config={
            "hidden_size": 32,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 64,
            "patch_size": PATCH,
            "window_size": 4,
            "global_attn_indexes": [1],
            "mlp_dim": 64,
            "post_conv_in_channels": 16,
            "post_conv_mid_channels": 32,
            "post_conv_out_channels": 32,
            "decoder_hidden_size": HIDDEN,
        },
    )
    return seeded(lambda: hf.PPFormulaNetForConditionalGeneration(config)), processor


def udop():
    """Tesseract reads words in the picture, which an encoder reads with the question and the picture's patches."""
    vocabulary = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        *((f"▁{word}", -1.0) for word in ("how", "many", "red", "?")),
    ]
    processor = hf.UdopProcessor(
        image_processor=hf.LayoutLMv3ImageProcessor(size=SQUARE, **COLOURS),
        tokenizer=hf.UdopTokenizer(vocab=vocabulary),
    )
    config = hf.UdopConfig(
        vocab_size=len(processor.tokenizer),
        d_model=HIDDEN,
        d_kv=16,
        d_ff=96,
        num_layers=2,
        num_heads=3,
        image_size=SIDE,
        patch_size=PATCH,
        decoder_start_token_id=0,
    )
    return seeded(lambda: hf.UdopForConditionalGeneration(config)), processor


def cosmos3_omni():
    """Qwen3-VL under another name, whose processor it takes."""
    return qwen3_like("Cosmos3Omni")


def diffusion_gemma():
    """It writes blocks of words, each of them again and again."""
    tokenizer = named(**GEMMA4_MARKS)
    sides = {"patch_size": PATCH, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    processor = hf.Gemma4Processor(
        feature_extractor=hf.Gemma4AudioFeatureExtractor(),
        image_processor=hf.Gemma4ImageProcessor(**sides),
        tokenizer=tokenizer,
        video_processor=hf.Gemma4VideoProcessor(**sides),
        chat_template=template("<|image|>", "<|video|>"),
    )
    config = hf.DiffusionGemmaConfig(
        text_config=TEXT
        | {
            "vocab_size": len(tokenizer),
            "layer_types": ["sliding_attention", "full_attention"],
            "num_experts": 2,
            "top_k_experts": 1,
            "moe_intermediate_size": 32,
        },
        vision_config=VIT
        | {
            "model_type": "gemma4_vision",
            "num_key_value_heads": 4,
            "head_dim": 8,
            "patch_size": PATCH,
            "pooling_kernel_size": 2,
            "position_embedding_size": 512,
        },
        canvas_length=8,
        **ids(tokenizer, image_token_id="<|image|>", boi_token_id="<|image>", eoi_token_id="<image|>"),
    )
    return seeded(lambda: hf.DiffusionGemmaForBlockDiffusion(config)), processor


def pi0():
    """PaliGemma, and an expert that reads its keys and values and writes a robot's movements."""
    tokenizer = words("<image>")
    pictures = hf.PI0ImageProcessor(size=SQUARE, **COLOURS)
    pictures.image_seq_length = (SIDE // PATCH) ** 2
    processor = hf.PI0Processor(image_processor=pictures, tokenizer=tokenizer)
    text = TEXT | {"model_type": "gemma", "vocab_size": len(processor.tokenizer)}
    config = hf.PI0Config(
        vlm_config={
            "model_type": "paligemma",
            "text_config": text,
            "vision_config": VIT
            | {"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": PATCH, "vision_use_head": False},
            "projection_dim": HIDDEN,
            "image_token_id": processor.image_token_id,
        },
        dit_config=text,
    )
    return seeded(lambda: hf.PI0ForConditionalGeneration(config)), processor


def evolla():
    """It is asked about proteins."""
    tokenizer = words()
    processor = hf.EvollaProcessor(protein_tokenizer=words(), tokenizer=tokenizer)
    sizes = {name: value for name, value in TEXT.items() if name not in ("head_dim", "initializer_range")}
    config = hf.EvollaConfig(
        **sizes,
        vocab_size=len(tokenizer),
        aligner_num_add_layers=1,
        resampler_depth=1,
        resampler_dim_head=8,
        resampler_heads=2,
        resampler_num_latents=4,
        protein_encoder_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
        },
    )
    return seeded(lambda: hf.EvollaForProteinText2Text(config)), processor


DECODERS = {
    "pix2struct": pix2struct,
    "pix2struct_header": pix2struct_header,
    "vision-encoder-decoder": donut,
    "pp_formulanet": pp_formulanet,
    "udop": udop,
    "cosmos3_omni": cosmos3_omni,
    "diffusion_gemma": diffusion_gemma,
    "pi0": pi0,
    "evolla": evolla,
}
