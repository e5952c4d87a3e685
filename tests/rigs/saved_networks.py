"""A small network, and files of every kind that it is saved in."""

from __future__ import annotations

import pickle
import struct
import zipfile

import torch
from safetensors.torch import save_file
from torch import nn

SIDE = 32


class Blocks(nn.Module):
    """Three classes of pictures of any size."""

    def __init__(self, classes=3):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.ReLU())
        self.head = nn.Linear(4, classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def blocks(classes=3):
    """The network with the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return Blocks(classes).eval()


def state(front="", classes=3):
    """Its weights, with something in front of their names."""
    return {f"{front}{name}": tensor for name, tensor in blocks(classes).state_dict().items()}


def _archive(fpath, *names):
    with zipfile.ZipFile(fpath, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")


def _headed(fpath):
    save_file({"a": torch.ones(1)}, fpath, metadata={"isotherm": '{"format": "isotherm.keypoints/1"}'})


LIGHTNING = {"pytorch-lightning_version": "2.2", "global_step": 3, "callbacks": {}}
SAVED = {
    # name: (how it is written, kind, words)
    "state.pt": (lambda f: torch.save(state(), f), "tensors", "weights (4 tensors by name, body.0.weight first)"),
    "legacy.pth": (
        lambda f: torch.save(state(), f, _use_new_zipfile_serialization=False),
        "tensors",
        "weights (4 tensors by name, body.0.weight first)",
    ),
    "nested.pt": (
        lambda f: torch.save({"state_dict": state("module."), "epoch": 3, "best": torch.ones(1)}, f),
        "tensors",
        "weights (4 tensors by name, module.body.0.weight first) in its entry state_dict",
    ),
    "compiled.pth": (lambda f: torch.save({"model_state": state("_orig_mod.")}, f), "tensors", "in its entry model_state"),
    "last.ckpt": (lambda f: torch.save({"state_dict": state("model."), **LIGHTNING}, f), "tensors", "of Lightning"),
    "two.pt": (
        lambda f: torch.save({"model": state(), "ema": state()}, f),
        "tensors",
        "several sets of weights in its entries model, ema",
    ),
    "plain.pkl": (lambda f: f.write_bytes(pickle.dumps(state())), "tensors", "weights (4 tensors by name"),
    "state.safetensors": (lambda f: save_file(state(), f), "tensors", "weights (4 tensors by name"),
    "whole.pt": (lambda f: torch.save(blocks(), f), "module", "a whole network, rigs.saved_networks.Blocks"),
    "whole.pth.tar": (
        lambda f: torch.save({"model": blocks(), "epoch": 1}, f, _use_new_zipfile_serialization=False),
        "module",
        "a whole network, rigs.saved_networks.Blocks, in its entry model",
    ),
    "script.pt": (lambda f: torch.jit.trace(blocks(), torch.zeros(1, 3, SIDE, SIDE)).save(str(f)), "torchscript", "TorchScript"),
    "program.pt2": (
        lambda f: torch.export.save(torch.export.export(blocks(), (torch.zeros(1, 3, SIDE, SIDE),)), f),
        "export",
        "a program of torch.export",
    ),
    "net.onnx": (lambda f: f.write_bytes(b"\x08\x07\x12\x07pytorch"), "onnx", "an ONNX model"),
    "named otherwise.bin": (lambda f: f.write_bytes(b"\x08\x07\x12\x07pytorch"), "onnx", "an ONNX model"),
    "keypoints.safetensors": (_headed, "isotherm", "a file of isotherm (isotherm.keypoints/1)"),
    "mine.yaml": (lambda f: f.write_text("nc: 2\nbackbone: []\nhead: []\n"), "description", "network of ultralytics"),
    "llm.gguf": (lambda f: f.write_bytes(b"GGUF\3\0\0\0" + bytes(40)), "other", "GGUF"),
    "keras.h5": (lambda f: f.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40)), "other", "Keras"),
    "new.keras": (lambda f: _archive(f, "metadata.json", "config.json", "model.weights.h5"), "other", "Keras"),
    "frozen.pb": (lambda f: f.write_bytes(b"\x0a\x20\x0a\x01x\x12\x0bPlaceholder"), "other", "TensorFlow"),
    "lite.tflite": (lambda f: f.write_bytes(b"\x1c\0\0\0TFL3" + bytes(40)), "other", "TensorFlow Lite"),
    "flax.msgpack": (lambda f: f.write_bytes(b"\x81\xa6params\x80" + bytes(40)), "other", "JAX"),
    "arrays.npz": (lambda f: _archive(f, "a.npy", "b.npy"), "other", "an archive of NumPy arrays"),
    "compiled.pt2": (lambda f: _archive(f, "m/data/aotinductor/model/x.so"), "other", "AOTInductor"),
    "trt.engine": (lambda f: f.write_bytes(b"ftrt" + bytes(40)), "other", "TensorRT"),
    "sizes.pkl": (lambda f: f.write_bytes(pickle.dumps(Sizes())), "other", "a pickle of rigs.saved_networks.Sizes, which is no network"),
    "numbers.pt": (lambda f: torch.save({"lr": 0.1}, f), "other", "a pickle of a mapping of lr, and no network"),
    "one.pt": (lambda f: torch.save(torch.ones(2), f), "other", "a single tensor"),
    "cut.safetensors": (lambda f: f.write_bytes(struct.pack("<Q", 90) + b'{"a":'), "damaged", "a safetensors file"),
    "cut.pt": (lambda f: f.write_bytes(b"PK\x03\x04" + bytes(80)), "damaged", "a zip archive"),
    "words.pt": (lambda f: f.write_bytes(b"only words"), "other", "no file of a model that can be read"),
}  # fmt: skip
"""Files of every kind."""


class Sizes:
    """An object of plain Python, as those of scikit-learn are."""

    def __init__(self):
        self.sizes = [1, 2]


def saved(dpath, name):
    """One of :data:`SAVED`, written."""
    fpath = dpath / name
    SAVED[name][0](fpath)
    return fpath
