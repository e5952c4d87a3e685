"""Files of other tools that hold models or weights: how they are recognised, and how their models are explained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FROM_SOURCE = "give the model that it was exported from"


@dataclass(frozen=True)
class Foreign:
    """A form of file that isotherm does not open.

    Args:
        words: what it is, behind "it is".
        advice: what to do.
        instead: where the advice of the command line is another one.
    """

    words: str
    advice: str
    instead: str = ""


def _exported(words: str, tool: str) -> Foreign:
    """One whose models can be exported to ONNX."""
    return Foreign(
        words,
        f"export the model to ONNX ({tool}) and give that file, or give explain a function of pictures that calls the model (takes='pictures')",
        f"export the model to ONNX ({tool}) and give --model FILE.onnx --method rise",
    )


LANGUAGE = Foreign(
    "GGUF, quantised weights for llama.cpp", "give the folder or the hub's name of the model that it was made from"
)
KERAS = _exported("a file of Keras (HDF5)", "tf2onnx")
TENSORFLOW = _exported("a graph of TensorFlow", "tf2onnx")
TFLITE = _exported("a TensorFlow Lite model", "tf2onnx --tflite")
FLAX = _exported("weights of JAX (Flax, msgpack)", "jax2onnx")
PICTURE = Foreign("a picture", "give a model's name, or the file of one")
PACKED = "unpack it, and give the file in it"
BEGINNINGS: tuple[tuple[bytes, Foreign], ...] = (
    (b"version https://git-lfs", Foreign("a Git LFS pointer, not the file itself", "run git lfs pull")),
    (b"GGUF", LANGUAGE),
    (b"\x89HDF", KERAS),
    (b"\x93NUMPY", Foreign("a NumPy array", "a network's weights are tensors by name; save them as safetensors")),
    (b"\x89PNG", PICTURE),
    (b"\xff\xd8\xff", PICTURE),
    (b"GIF8", PICTURE),
    (b"\x1f\x8b", Foreign("packed by gzip", PACKED)),
    (b"BZh", Foreign("packed by bzip2", PACKED)),
    (b"\xfd7zXZ", Foreign("packed by xz", PACKED)),
    (b"7z\xbc\xaf", Foreign("packed by 7-Zip", PACKED)),
    (b"Rar!", Foreign("packed by RAR", PACKED)),
)
PAGES = (b"<!doctype", b"<html")
SUFFIXES = {
    ".pb": TENSORFLOW,
    ".h5": KERAS,
    ".tflite": TFLITE,
    ".msgpack": FLAX,
    ".engine": Foreign("a TensorRT engine", FROM_SOURCE),
    ".plan": Foreign("a TensorRT engine", FROM_SOURCE),
    ".mlmodel": Foreign("a Core ML model", FROM_SOURCE),
    ".xml": Foreign("XML, as OpenVINO describes models", FROM_SOURCE),
    ".caffemodel": Foreign("weights of Caffe", FROM_SOURCE),
    ".pdparams": Foreign("weights of Paddle", FROM_SOURCE),
    ".pdmodel": Foreign("a model of Paddle", FROM_SOURCE),
    ".ncnn": Foreign("a model of NCNN", FROM_SOURCE),
}
"""Of files whose first bytes say nothing."""


def foreign(head: bytes, fpath: Path) -> Foreign | None:
    """What a file of another tool is, by its first bytes and otherwise by its name; None where neither says it.

    Args:
        head: the first 64 bytes.

    Example:
        >>> foreign(b"GGUF" + bytes(20), Path("model.bin")).words
        'GGUF, quantised weights for llama.cpp'
    """
    for beginning, form in BEGINNINGS:
        if head.startswith(beginning):
            return form
    if head.lstrip().lower().startswith(PAGES):
        return Foreign("a web page, as a download that needed a login gives", "download the file itself")
    if head[4:8] == b"TFL3":
        return TFLITE
    if (
        len(head) > 1 and 0x81 <= head[0] <= 0x8F and 0xA0 <= head[1] <= 0xBF
    ):  # a short mapping whose first key is a short text
        return FLAX
    return SUFFIXES.get(fpath.suffix.lower())


def foreign_archive(names: list[str]) -> Foreign | None:
    """What a zip archive of another tool is, by the names in it."""
    if any(name.endswith("model.weights.h5") for name in names):
        return _exported("a model of Keras", "tf2onnx")
    if any("data/aotinductor/" in name for name in names):
        return Foreign("a model compiled by AOTInductor", "give what torch.export.save wrote, or the model itself")
    if names and all(name.endswith(".npy") for name in names):
        return Foreign(
            "an archive of NumPy arrays", "a network's weights are tensors by name; save them as safetensors"
        )
    return None


def foreign_folder(dpath: Path) -> Foreign | None:
    """What a folder of another tool is."""
    if (dpath / "saved_model.pb").is_file():
        return _exported("a SavedModel of TensorFlow", "tf2onnx")
    if dpath.suffix == ".mlpackage":
        return Foreign("a Core ML model", FROM_SOURCE)
    if any(dpath.glob("*.xml")) and any(dpath.glob("*.bin")):
        return Foreign("a model of OpenVINO", FROM_SOURCE)
    return None
