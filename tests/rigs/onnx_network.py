"""A network whose logits grow with the brightness of what it sees, and the same as an ONNX file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn


def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    return net.eval()


def onnx_file(folder: Path, rows: str | int = "b") -> Path:
    """The file, for any number of pictures or so many."""
    onnx = pytest.importorskip("onnx", reason="nothing that writes ONNX is installed")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    state = {name: t.numpy() for name, t in network().state_dict().items()}
    nodes = [
        helper.make_node("Conv", ["x", "cw", "cb"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "lw", "lb"], ["y"], transB=1),
    ]
    initial = zip(("cw", "cb", "lw", "lb"), ("0.weight", "0.bias", "4.weight", "4.bias"), strict=True)
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [rows, 3, 64, 64])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [rows, 3])],
        [numpy_helper.from_array(state[name], short) for short, name in initial],
    )
    fpath = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), fpath)
    return fpath
