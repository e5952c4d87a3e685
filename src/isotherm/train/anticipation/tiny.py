"""The small model that learns within a minute what gaze is worth: it ships, and benchmarks train it."""

from __future__ import annotations

from typing import Any


def tiny_model(*, side: int = 32, frames: int = 8, patch: int = 8, hidden: int = 64, layers: int = 2) -> dict[str, Any]:
    """A V-JEPA 2 of random weights that is trained whole, with gaze added to its patches, as ``model`` of a recipe.

    Args:
        side: of the square that it is shown, in pixels.
        frames: of a clip.
        patch: side of a patch, in pixels.
        hidden: numbers of a token.
        layers: of the encoder.
    """
    return {
        "backbone": "random",
        "settings": {
            "crop_size": side,
            "patch_size": patch,
            "frames_per_clip": frames,
            "tubelet_size": 2,
            "hidden_size": hidden,
            "num_attention_heads": 4,
            "num_hidden_layers": layers,
            "pred_hidden_size": 32,
            "pred_num_attention_heads": 2,
            "pred_num_hidden_layers": 1,
        },
        "fusion": {"name": "patch_add", "at": "embeddings"},
        "encoder": "full",
        "predictor": "none",
        "probe": {"blocks": 0, "heads": 4},
    }


def tiny_training(**options: Any) -> dict[str, Any]:
    """How it is trained, as ``training`` of a recipe.

    Args:
        **options: in place of these or beside them: how long, and how often it is validated.
    """
    return {
        "batch": 50,
        "rate": 2e-3,
        "decay": 0.05,
        "clip": 1.0,
        "average": None,
        "loss": "cross_entropy",
        "schedule": {"warm_up": 100},
    } | options
