"""A vision-language model small enough to ground instructions: PaliGemma's architecture with its real processor and a
vocabulary of eighteen words.

PaliGemma, because its prompts see themselves both ways: the states at a picture's tokens know the whole instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from isotherm.data.tabletop import COLOURS
from isotherm.data.tabletop import WORDS as INSTRUCTION_WORDS
from isotherm.errors import MissingExtraError

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<image>")
WORDS = tuple(dict.fromkeys((*INSTRUCTION_WORDS, *COLOURS)))
SIDE, PATCH, WIDTH = 64, 8, 64
"""Pixels of a picture's side and of a token's, and channels of a state."""
TOKENS = (SIDE // PATCH) ** 2
HEAD_OPTIONS = {"ratio": PATCH, "hidden_dim": 32, "mask_scale": 1.0}
"""Of the :class:`isotherm.heads.ConvexUpsample` that goes with it: maps of as many cells as the picture has pixels."""
TEXT = {
    "model_type": "gemma",
    "hidden_size": WIDTH,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "initializer_range": 0.1,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION = {
    "model_type": "siglip_vision_model",
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": SIDE,
    "patch_size": PATCH,
    "vision_use_head": False,
}


def numbers(further: Sequence[str] = ()) -> dict[str, int]:
    """The vocabulary: every word's number.

    Args:
        further: words behind those of the instructions.
    """
    return {word: i for i, word in enumerate(dict.fromkeys((*SPECIAL, *WORDS, *further)))}


def tiny_grounding_tokenizer(further: Sequence[str] = ()) -> Any:
    """The tokenizer: words to numbers, in small letters and without punctuation; words that it does not know are one
    and the same.

    Args:
        further: as of :func:`numbers`.
    """
    try:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingExtraError("transformers", "models", "a vision-language model") from error
    tokenizer = Tokenizer(models.WordLevel(numbers(further), unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("removed")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def tiny_grounding_processor(further: Sequence[str] = ()) -> Any:
    """The processor: pictures squashed into squares of 64 pixels, words to numbers.

    Args:
        further: as of :func:`numbers`.
    """
    tokenizer = tiny_grounding_tokenizer(further)
    from transformers import PaliGemmaProcessor, SiglipImageProcessor

    pictures: Any = SiglipImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=2
    )
    pictures.image_seq_length = TOKENS
    processor = PaliGemmaProcessor(image_processor=pictures, tokenizer=tiny_grounding_tokenizer(further))
    # PaliGemma's processor gives its tokenizer more than a thousand words for places, which this model does not know
    processor.tokenizer = tokenizer
    return processor


def tiny_grounding_config(further: Sequence[str] = ()) -> Any:
    """The configuration: a quarter of a million parameters.

    Args:
        further: as of :func:`numbers`.
    """
    try:
        from transformers import PaliGemmaConfig
    except ImportError as error:
        raise MissingExtraError("transformers", "models", "a vision-language model") from error
    number = numbers(further)
    return PaliGemmaConfig(
        text_config={**TEXT, "vocab_size": len(number)},
        vision_config=dict(VISION),
        image_token_index=number["<image>"],
        projection_dim=WIDTH,
        hidden_size=WIDTH,
    )


def random_tiny_grounding_vlm(seed: int = 0, further: Sequence[str] = ()) -> Any:
    """The language model with seeded random weights.

    Args:
        seed: of them.
        further: as of :func:`numbers`.
    """
    config = tiny_grounding_config(further)
    from transformers import PaliGemmaForConditionalGeneration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PaliGemmaForConditionalGeneration(config)
        stir(model)
    return model.eval()


def stir(model: Any) -> None:
    """Random weights of a vision tower and a projector with which a small model learns at once.

    The matrices keep the size of what goes through them, and the positions are as large as what is seen there: with the
    usual deviation of 0.02 training stalls.
    """
    for name, parameter in model.named_parameters():
        if ("vision_tower" not in name and "projector" not in name) or parameter.ndim < 2:
            continue
        deviation = parameter[0].numel() ** -0.5
        if "patch_embedding" in name:
            deviation *= 1.5
        torch.nn.init.normal_(parameter, std=0.5 if "position_embedding" in name else deviation)
