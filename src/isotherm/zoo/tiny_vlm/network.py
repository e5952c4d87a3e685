"""A vision-language model small enough to train here: Qwen3-VL's architecture with its real processor and a vocabulary
of forty words.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from isotherm.errors import MissingExtraError
from isotherm.headed import HeadedFile

SPECIAL = (
    "<pad>",
    "<eos>",
    "<unk>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
WORDS = (
    "how",
    "many",
    "where",
    "is",
    "there",
    "?",
    "red",
    "green",
    "blue",
    "yellow",
    "circle",
    "square",
    "triangle",
    "yes",
    "no",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "top-left",
    "top",
    "top-right",
    "left",
    "middle",
    "right",
    "bottom-left",
    "bottom",
    "bottom-right",
)
PATCH, MERGE = 4, 2
LEAST_PX, MOST_PX = 16 * 16, 192 * 192
"""Pixels of a picture or a frame, within which it is resized to whole tokens and not otherwise."""
VIDEO_PICTURES = 4
"""A whole video has as many pixels as so many of the largest pictures; more frames are smaller ones."""
FILE = HeadedFile(
    format="isotherm.tiny_vlm/1",
    noun="a trained tiny-vlm",
    advice="check the path, or train one: isotherm train tiny-vlm --out {fpath}",
    half=True,
)
TIED = "lm_head.weight"
"""The embedding once more, which is kept once."""


def tiny_processor() -> Any:
    """The processor: pictures of any size to blocks of 8 x 8 pixels, videos to the same blocks of two frames each,
    words to numbers, word by word.

    Qwen3-VL's processor writes the time before each moment of a video. The vocabulary has no times, so each becomes two
    unknown words.
    """
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast, Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor
    except ImportError as error:
        raise MissingExtraError("transformers", "models", "a vision-language model") from error
    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[3:]),
        clean_up_tokenization_spaces=False,
    )
    sides: dict[str, Any] = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 2}
    colours: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    pictures = Qwen2VLImageProcessor(**sides, **colours, min_pixels=LEAST_PX, max_pixels=MOST_PX)
    videos = Qwen3VLVideoProcessor(
        **sides,
        **colours,
        size={"shortest_edge": LEAST_PX, "longest_edge": VIDEO_PICTURES * MOST_PX},
        do_sample_frames=False,
        cap_pixels_per_frame=True,
        max_video_tokens=MOST_PX // (PATCH * MERGE) ** 2,
    )
    template = (
        "{% for message in messages %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
        "{% elif part['type'] == 'video' %}<|video_pad|>{% else %} {{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    return Qwen3VLProcessor(image_processor=pictures, tokenizer=fast, video_processor=videos, chat_template=template)


def tiny_config() -> Any:
    """The configuration: 0.63 million parameters, one deepstack layer, rotary positions in three parts."""
    from transformers import Qwen3VLConfig

    number = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(number),
            "hidden_size": 96,
            "intermediate_size": 288,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "head_dim": 32,
            "initializer_range": 0.1,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "max_position_embeddings": 1024,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": None,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": 96,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 144,
            "initializer_range": 0.1,
        },
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def random_tiny_vlm(seed: int = 0) -> Any:
    """The model with seeded random weights. With the usual deviation of 0.02, and positions as weak, training
    stalls.
    """
    from transformers import Qwen3VLForConditionalGeneration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(tiny_config())
        torch.nn.init.normal_(model.model.visual.pos_embed.weight, std=0.5)
    return model.eval()


def save_tiny_vlm(model: Any, fpath: str | os.PathLike[str], **facts: Any) -> Path:
    """Weights in float16, each once, with facts about them, in one safetensors file."""
    tensors = {name: value for name, value in model.state_dict().items() if name != TIED}
    return FILE.write(fpath, tensors, facts)


def load_tiny_vlm(fpath: str | os.PathLike[str] | None = None, *, seed: int = 0) -> Any:
    """The trained model, in float32 and evaluation mode.

    Args:
        fpath: what :func:`save_tiny_vlm` wrote; None: the one of a training seed that ships with isotherm.

    Raises:
        WeightsError: no such file, or not such a model.
    """
    path = (
        Path(str(resources.files("isotherm") / "assets" / f"tiny-vlm-{seed}.safetensors"))
        if fpath is None
        else Path(fpath)
    )
    file = FILE.read(path)
    model = random_tiny_vlm(0)
    FILE.fill(model, file.tensors, path, spare={TIED})
    return model.eval()
