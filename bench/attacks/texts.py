"""Texts that someone below us might evaluate: descriptions of YOLO, recipes, sweeps, annotations, names, and run records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from bench.attacks.attack import Attack, Hostile, Write

PLAIN = "nc: 2\nbackbone:\n  - [-1, 1, Conv, [8, 3, 2]]\nhead:\n  - [-1, 1, Classify, [nc]]\n"


def _text(fname: str, content: Callable[[str], str]) -> Write:
    """A file whose text is made of the marker's path."""

    def write(folder: Path, marker: Path) -> Path:
        (folder / fname).write_text(content(str(marker)))
        return folder / fname

    return write


def _python(marker: str) -> str:
    return f"__import__('os').mkdir({marker!r})"


def _activation(marker: str) -> str:
    return f"{_python(marker)} or torch.nn.SiLU()"


YOLO: dict[str, Callable[[str], str]] = {
    "an activation that is a program": lambda m: f'activation: "{_activation(m)}"\n{PLAIN}',
    "an activation by way of anchors and merges": lambda m: (
        f'<<: {{<<: {{activation: &a "{_activation(m)}"}}}}\n{PLAIN}'
    ),
    "an argument that is a program": lambda m: PLAIN.replace("[nc]", f'["{_python(m)}"]'),
    "a number of classes that is a program": lambda m: PLAIN.replace("nc: 2", f'nc: "{_python(m)}"'),
    "a layer that is a program": lambda m: PLAIN.replace("Conv,", f'"{_python(m)}",'),
    "a layer of torch that loads": lambda m: PLAIN.replace("Conv, [8, 3, 2]", 'torch.hub.load, ["someone/else", "x"]'),
    "a layer by its whole name": lambda m: PLAIN.replace("Conv, [8, 3, 2]", f'nn.modules.os.mkdir, ["{m}"]'),
    "a scale that is a program": lambda m: f'scales: {{n: "{_python(m)}"}}\n{PLAIN}',
    "a repeat of 10**9": lambda m: PLAIN.replace("[-1, 1, Conv", "[-1, 1000000000, Conv"),
    "a layer of 10**9 channels": lambda m: PLAIN.replace("[8, 3, 2]", "[1000000000, 3, 2]"),
}
TAGS: dict[str, Callable[[str], str]] = {
    "a tag that calls": lambda m: f"!!python/object/apply:os.mkdir ['{m}']\n",
    "a tag that makes an object": lambda m: f"a: !!python/object/new:os.mkdir ['{m}']\n",
    "a tag that imports": lambda m: "a: !!python/module:antigravity\n",
    "a tag that names a function": lambda m: "a: !!python/name:os.system\n",
    "aliases that multiply": lambda m: (
        "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    ),
    "100,000 brackets": lambda m: "a: " + "[" * 100_000,
}
JSONS: dict[str, Callable[[str], str]] = {
    "objects 100,000 deep": lambda m: '{"a":' * 100_000,
    "a number of a million digits": lambda m: '{"a": ' + "9" * 1_000_000 + "}",
    "a key of a class": lambda m: json.dumps(
        {"__class__": "os.mkdir", "__reduce__": ["os.mkdir", [m]], "py/object": m}
    ),
}


def _evil_yolo(folder: Path, marker: Path) -> Path:
    """A checkpoint of harmless layers whose description is a program that runs when the network is built again."""
    from ultralytics.nn.tasks import ClassificationModel

    model = ClassificationModel(yaml.safe_load(PLAIN), verbose=False)
    model.yaml["activation"] = _activation(str(marker))
    model.task = "classify"  # type: ignore[assignment]
    torch.save({"model": model, "train_args": {"task": "classify"}}, folder / "yolo.pt")
    return folder / "yolo.pt"


def _pickled_yolo(folder: Path, marker: Path) -> Path:
    torch.save({"model": Hostile(marker), "train_args": {"task": "detect"}}, folder / "yolov8n.pt")
    return folder / "yolov8n.pt"


def _run(folder: Path, marker: Path) -> Path:
    """A run whose record names files elsewhere."""
    record = {"format": "isotherm.run/1", "command": f"isotherm explain; mkdir {marker}", "source": str(marker)}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "items.jsonl").write_text(json.dumps({"source": "../../../etc/passwd", "maps": [str(marker)]}) + "\n")
    return folder


ATTACKS: tuple[Attack, ...] = (
    *(
        Attack(
            name,
            "YAML",
            "runs code" if "10**9" not in name else "uses up memory or time",
            _text("yolo-evil.yaml", how),
            ("model", "explain"),
        )
        for name, how in YOLO.items()
    ),
    Attack("a YOLO whose description is a program", "pickle", "runs code", _evil_yolo, ("model", "explain")),
    Attack("a YOLO that is a program", "pickle", "runs code", _pickled_yolo, ("model", "explain", "weights")),
    *(
        Attack(
            name,
            "YAML",
            "runs code" if "tag" in name else "uses up memory or time",
            _text("it.yaml", how),
            ("recipe", "sweep"),
        )
        for name, how in TAGS.items()
    ),
    *(
        Attack(
            name,
            "JSON",
            "runs code" if "class" in name else "uses up memory or time",
            _text("it.json", how),
            ("annotations", "class names", "recipe"),
            harmless="class" in name,
        )
        for name, how in JSONS.items()
    ),
    Attack("a run whose record names files elsewhere", "JSON", "reads elsewhere", _run, ("run",), harmless=True),
)
