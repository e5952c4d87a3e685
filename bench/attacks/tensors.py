"""Files of tensors that hold no program by design: safetensors, ONNX and arrays of NumPy."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.attacks.attack import Attack, Hostile, Write

DOORS = ("weights", "weights of the detector", "heatmap")


def _safetensors(header: bytes | Mapping[str, Any], *, length: int | None = None, content: bytes = bytes(8)) -> Write:
    """A file of a header, perhaps of another length than it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()

    def write(folder: Path, marker: Path) -> Path:
        fpath = folder / "weights.safetensors"
        fpath.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + content)
        return fpath

    return write


def _tensor(dtype: Any = "F32", shape: Any = (2,), ends: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(ends)}


def _link(to: str) -> Write:
    def write(folder: Path, marker: Path) -> Path:
        (folder / "weights.safetensors").symlink_to(to)
        return folder / "weights.safetensors"

    return write


def _pipe(folder: Path, marker: Path) -> Path:
    import os

    os.mkfifo(folder / "weights.safetensors")
    return folder / "weights.safetensors"


HEADERS: dict[str, Write] = {
    "a header of 2**63 bytes": _safetensors(b"{}", length=1 << 63),
    "a header of a gigabyte": _safetensors(b"{}", length=1 << 30),
    "a tensor of 2**62 numbers": _safetensors({"a": _tensor(shape=(1 << 62,), ends=(0, 1 << 62))}),
    "a shape whose product runs over": _safetensors({"a": _tensor(shape=(1 << 32, 1 << 32), ends=(0, 8))}),
    "offsets behind the end": _safetensors({"a": _tensor(ends=(0, 1 << 40))}),
    "offsets before the beginning": _safetensors({"a": _tensor(ends=(-64, -56))}),
    "offsets the wrong way round": _safetensors({"a": _tensor(ends=(8, 0))}),
    "two tensors in one place": _safetensors({"a": _tensor(), "b": _tensor()}),
    "a type that is none": _safetensors({"a": _tensor(dtype="__import__('os')")}),
    "100,000 empty tensors": _safetensors({f"t{i}": _tensor(shape=(0,), ends=(0, 0)) for i in range(100_000)}),
    "a header 100,000 levels deep": _safetensors(b'{"a":' * 100_000 + b"}" * 100_000),
    "metadata that is no object": _safetensors({"__metadata__": ["x"], "a": _tensor()}),
    "metadata with a format of isotherm that is none": _safetensors(
        {"__metadata__": {"format": "isotherm.detector/1", "config": '{"depth": 1e30, "names": "x"}'}, "a": _tensor()}
    ),
    "metadata of a network of 10**9 layers": _safetensors(
        {"__metadata__": {"isotherm": json.dumps({"format": "isotherm.keypoints/1", "depth": 10**9})}, "a": _tensor()}
    ),
}


def _onnx(location: str | None = None, *, domain: str = "", dims: int = 3, hostile: bool = False) -> Write:
    """A network of one step that adds a constant.

    Args:
        location: of the constant's numbers, as external data; "MARKER" is the marker's path.
        domain: of the step.
        dims: numbers of the constant.
    """

    def write(folder: Path, marker: Path) -> Path:
        from onnx import TensorProto, helper

        constant = TensorProto(name="b", data_type=TensorProto.FLOAT, dims=[dims])
        if location is None:
            constant.raw_data = bytes(12)
        else:
            constant.data_location = TensorProto.EXTERNAL
            where = location.replace("MARKER", str(marker)).replace("NAME", marker.name)
            constant.external_data.add(key="location", value=where)
            constant.external_data.add(key="length", value=str(4 * dims))
        step = helper.make_node("Add", ["x", "b"], ["y"], domain=domain)
        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3]) for n in ("x", "y")]
        graph = helper.make_graph([step], "g", ends[:1], ends[1:], [constant])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)])
        (folder / "net.onnx").write_bytes(model.SerializeToString())
        marker.write_bytes(np.ones(3, np.float32).tobytes())
        return folder / "net.onnx"

    return write


def _groups(folder: Path, marker: Path) -> Path:
    """Protocol buffers of a graph within a graph, thousands deep."""
    content = b""
    for _ in range(5_000):
        content = b"\x3a" + _varint(len(content)) + content
    (folder / "net.onnx").write_bytes(b"\x08\x08" + content)
    return folder / "net.onnx"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _objects(folder: Path, marker: Path) -> Path:
    """A map's archive whose values are pickled objects."""
    fpath = folder / "map.npz"
    np.savez(fpath, values=np.array([Hostile(marker)], dtype=object), meta=np.array("{}"))
    return fpath


def _npy(header: str, content: bytes = b"") -> Write:
    def write(folder: Path, marker: Path) -> Path:
        text = header.replace("MARKER", str(marker)).encode()
        npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content
        fpath = folder / "map.npz"
        with zipfile.ZipFile(fpath, "w") as archive:
            archive.writestr("values.npy", npy)
            file = io.BytesIO()
            np.save(file, np.array("{}"))
            archive.writestr("meta.npy", file.getvalue())
        return fpath

    return write


ARRAYS: dict[str, Write] = {
    "a header that is a program": _npy("__import__('os').mkdir('MARKER')\n"),
    "a type with a program in it": _npy(
        "{'descr': __import__('os').mkdir('MARKER'), 'shape': (1,), 'fortran_order': 0}"
    ),
    "items of 99,999,999 letters": _npy("{'descr': '<U99999999', 'shape': (1000,), 'fortran_order': False}"),
    "a shape of 2**60 numbers": _npy("{'descr': '<f8', 'shape': (1152921504606846976,), 'fortran_order': False}"),
    "brackets without end": _npy("(" * 60_000),
}

ATTACKS: tuple[Attack, ...] = (
    *(
        Attack(name, "safetensors", "uses up memory or time", write, DOORS[1:] if "metadata" in name else DOORS)
        for name, write in HEADERS.items()  # as plain weights nobody looks at metadata
    ),
    Attack("a link to endless zeros", "safetensors", "uses up memory or time", _link("/dev/zero"), DOORS),
    Attack("a link to a terminal", "safetensors", "uses up memory or time", _link("/dev/tty"), DOORS),
    Attack("a pipe that nobody writes to", "safetensors", "uses up memory or time", _pipe, DOORS),
    Attack("numbers in a file beside its folder", "ONNX", "reads elsewhere", _onnx("../NAME"), ("model", "explain")),
    Attack("numbers in a file by its whole path", "ONNX", "reads elsewhere", _onnx("MARKER"), ("model", "explain")),
    Attack("a step of a package of one's own", "ONNX", "runs code", _onnx(domain="evil"), ("model", "explain")),
    Attack("a constant of 2**40 numbers", "ONNX", "uses up memory or time", _onnx(dims=1 << 40), ("model", "explain")),
    Attack("graphs within graphs", "ONNX", "uses up memory or time", _groups, ("model", "explain")),
    Attack("pickled objects", "array", "runs code", _objects, ("heatmap",)),
    *(
        Attack(name, "array", "runs code" if "program" in name else "uses up memory or time", write, ("heatmap",))
        for name, write in ARRAYS.items()
    ),
)
