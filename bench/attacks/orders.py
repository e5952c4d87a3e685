"""What was imported before isotherm, and what the environment says: neither may open a door."""

from __future__ import annotations

ORDERS: dict[str, tuple[str, ...]] = {
    "isotherm first": (),
    "ultralytics first": ("ultralytics.nn.tasks",),
    "torch, timm and transformers first": ("torch", "timm", "transformers", "onnxruntime"),
    "all others first": ("ultralytics.nn.tasks", "transformers", "onnxruntime", "timm", "torch", "safetensors"),
    "isotherm, then all others": (
        "isotherm",
        "isotherm.models",
        "ultralytics.nn.tasks",
        "transformers",
        "timm",
        "onnxruntime",
    ),
}
SWITCHES: dict[str, dict[str, str]] = {
    "none set": {},
    "ULTRALYTICS_SAFE_LOAD=0": {"ULTRALYTICS_SAFE_LOAD": "0"},
    "ULTRALYTICS_SAFE_LOAD=1": {"ULTRALYTICS_SAFE_LOAD": "1"},
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1": {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD=1": {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"},
    "all that loosen": {
        "ULTRALYTICS_SAFE_LOAD": "0",
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        "YOLO_AUTOINSTALL": "True",
        "USE_HUB_KERNELS": "YES",
        "HF_HUB_TRUST_REMOTE_CODE": "1",
        "TRUST_REMOTE_CODE": "True",
        "TRANSFORMERS_TRUST_REMOTE_CODE": "1",
    },
}
"""Those that the installed packages read, and some that people believe they do."""
