"""What a map of an answer costs: a random Qwen3-VL of 12 + 12 layers (768 and 1024 wide), 864 patches, beside a forward pass and the usual script.

Times are interleaved medians. Memory is how far resident memory rises above what holds the model and its inputs, each job in a process of its own.
The vocabulary has 32,000 words: an output matrix of 150,000 costs the same everywhere and hides what differs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.measure import in_fresh_process, insert, interleaved, peak_growth_mb, table, threads, write
from bench.usual_script import usual_script

PAGE = Path(__file__).parents[1] / "docs" / "vlm.md"
ANSWER = 8
"""Tokens of the longer answer."""


def make_view(*, quick: bool = False, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """The model with random weights and a processor for pictures of 384 x 576."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    from isotherm.models.transformers.vlm.view import TransformersVlm
    from isotherm.zoo.tiny_vlm.network import SPECIAL, WORDS, tiny_processor

    layers = 2 if quick else 12
    number = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": 32000,
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": layers,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": [12, 10, 10],
                "mrope_interleaved": True,
            },
            "pad_token_id": 0,
            "eos_token_id": 1,
        },
        vision_config={
            "depth": layers,
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_heads": 12,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 1024,
            "deepstack_visual_indexes": [0, 1] if quick else [3, 6, 9],
            "num_position_embeddings": 2304,
        },
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config).eval().to(device, dtype)
    sides: dict[str, Any] = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    small = tiny_processor()
    pictures = Qwen2VLImageProcessor(**sides, min_pixels=256 * 256, max_pixels=1024 * 1024)
    processor = Qwen3VLProcessor(
        image_processor=pictures,
        tokenizer=small.tokenizer,
        video_processor=Qwen3VLVideoProcessor(**sides),
        chat_template=small.chat_template,
    )
    return TransformersVlm(model, processor)


def make_jobs(view: Any) -> dict[str, Callable[[], Any]]:
    """Each job from the processed question on: pixels to logits, or to values per token."""
    from isotherm.vlm.guards import guarded
    from isotherm.vlm.methods import AttentionGradient, GradientActivation, Propagation
    from isotherm.vlm.question import Question
    from isotherm.vlm.scores import Answer, NextToken
    from isotherm.vlm.trace import record

    picture = np.random.default_rng(0).integers(0, 256, (384, 576, 3), dtype=np.uint8)
    prompt = view.ask([picture], "how many red ?")
    assert int(prompt.inputs["image_grid_thw"].prod()) == 864
    words = ("2", "red", "circle", "top", "left", "blue", "square", "right")[:ANSWER]

    def forward() -> Any:
        with torch.no_grad():
            return view.model(**prompt.inputs, use_cache=False, logits_to_keep=1).logits

    def explained(method: Any, score: Any) -> Any:
        question = Question.of(view, prompt, tower="tower" in method.needs)
        return guarded(method, record(question, score(question), method.needs))

    first = NextToken("2", of="log_prob")
    return {
        "forward, no gradients": forward,
        "usual script": lambda: usual_script(view.model, prompt.inputs),
        "isotherm attention_gradient": lambda: explained(AttentionGradient(), first),
        "isotherm propagation": lambda: explained(Propagation(), first),
        "isotherm gradient_activation": lambda: explained(GradientActivation(), first),
        f"isotherm attention_gradient, {ANSWER} tokens": lambda: explained(
            AttentionGradient(), Answer(" ".join(words), per="token")
        ),
        f"isotherm gradient_activation, {ANSWER} tokens": lambda: explained(
            GradientActivation(), Answer(" ".join(words), per="token")
        ),
        f"isotherm attention_gradient, {ANSWER} tokens in one map": lambda: explained(
            AttentionGradient(), Answer(" ".join(words))
        ),
        f"isotherm propagation, {ANSWER} tokens in one map": lambda: explained(Propagation(), Answer(" ".join(words))),
        f"isotherm propagation, {ANSWER} tokens": lambda: explained(
            Propagation(), Answer(" ".join(words), per="token")
        ),
    }


def memory(name: str, *, quick: bool) -> float:
    """Peak growth of one job, MB; called in a process of its own."""
    threads()
    view = make_view(quick=quick)
    job = make_jobs(view)[name]
    return peak_growth_mb(job)


def main(*, quick: bool = False) -> None:
    used = threads()
    view = make_view(quick=quick)
    jobs = make_jobs(view)
    seconds = interleaved(jobs, repeats=2 if quick else 7)
    view.model.zero_grad(set_to_none=True)
    code = "import json, warnings; warnings.simplefilter('ignore'); from bench.vlm_cost import memory; print(json.dumps({{'mb': memory({name!r}, quick={quick})}}))"
    grown = {name: in_fresh_process(code.format(name=name, quick=quick))["mb"] for name in jobs}
    floor, script = seconds["forward, no gradients"], grown["usual script"]
    base = grown["forward, no gradients"]
    rows = [
        [name, seconds[name], seconds[name] / floor, grown[name], (grown[name] - base) / (script - base)]
        for name in jobs
    ]
    per_token = {
        m: (seconds[f"isotherm {m}, {ANSWER} tokens"] - floor) / floor / ANSWER
        for m in ("attention_gradient", "gradient_activation", "propagation")
    }
    text = (
        table(
            f"Random Qwen3-VL of 12 + 12 layers, 864 patches, {used} threads",
            ["job", "seconds", "/ forward", "peak, MB", "peak beyond a forward pass / the usual script's"],
            rows,
        )
        + f"\nA map for each of {ANSWER} tokens, per token beyond the forward pass: {', '.join(f'{m} {v:.2f}' for m, v in per_token.items())} forward passes.\n"
    )
    print(text)
    write("vlm_cost", {"seconds": seconds, "peak_mb": grown, "per_token": per_token}, quick=quick)
    if not quick:
        insert(PAGE, "vlm cost", text)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
