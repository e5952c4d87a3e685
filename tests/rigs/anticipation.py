"""Recipes of anticipation that take a second."""

from __future__ import annotations

from typing import Any

SETTINGS = {
    "crop_size": 16,
    "patch_size": 8,
    "frames_per_clip": 8,
    "tubelet_size": 2,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "pred_hidden_size": 16,
    "pred_num_attention_heads": 1,
    "pred_num_hidden_layers": 1,
}


def plain_anticipation(**training: Any) -> dict[str, Any]:
    """A recipe as YAML has it: 24 clips of 16 x 16 pixels, four steps."""
    clips = {"side": 16}
    return {
        "data": {
            "train": [{"format": "generated", "count": 24, "clips": clips}],
            "validation": [{"format": "generated", "split": "validation", "count": 12, "clips": clips}],
        },
        "model": {
            "backbone": "random",
            "settings": dict(SETTINGS),
            "fusion": {"name": "patch_add", "at": "embeddings"},
            "encoder": "full",
            "predictor": "none",
            "probe": {"blocks": 0, "heads": 2},
        },
        "training": {"steps": 4, "batch": 8, "keep_every": 2, "log_every": 1, "average": None} | training,
        "recall_k": 3,
        "devices": {"accelerator": "cpu"},
    }
