"""What tiny vision-language models are made of: configurations, tokenizers made by hand, templates of prompts."""

from __future__ import annotations

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers

from isotherm.zoo.tiny_vlm.network import WORDS

HALF = [0.5, 0.5, 0.5]
COLOURS = {"image_mean": HALF, "image_std": HALF}
MIXED = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
HIDDEN, SIDE, PATCH = 48, 32, 4
VIT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.1,
}
TEXT = {
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "head_dim": 16,
    "initializer_range": 0.1,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
TILED = {
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
    "image_grid_pinpoints": [[SIDE * i, SIDE * j] for i in range(1, 4) for j in range(1, 4) if i * j < 5],
    **MIXED,
}
"""Of LLaVA-NeXT's image processor: tiles of one side, at most four of them."""
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
QWEN_MARKS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def words(*marks: str, **named: str):
    """A tokenizer of whole words with these marks; ``named`` ones are its attributes, as processors ask for them."""
    special = dict.fromkeys(("<pad>", "<eos>", "<bos>", "<unk>", *marks, *named.values()))
    vocabulary = {word: i for i, word in enumerate((*special, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
        additional_special_tokens=list(marks),
        **({"model_specific_special_tokens": named} if named else {}),
    )


def template(picture: str, video: str = "") -> str:
    """A chat template that puts a placeholder where a picture or a video is, and ends with nothing."""
    return (
        "{% for message in messages %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
        + picture
        + "{% elif part['type'] == 'video' %}"
        + video
        + "{% else %} {{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )


def seeded(make, seed: int = 0):
    """The model with weights of deviation 0.1, so that features differ visibly; norms and biases as they come."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def ids(tokenizer, **names: str) -> dict[str, int]:
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}
