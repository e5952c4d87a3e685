"""An ONNX file on the command line: named by its path, explained by methods that look into nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from isotherm.cli import main
from rigs.onnx_network import onnx_file


def test_an_onnx_file_is_explained_and_a_method_that_looks_inside_is_refused(tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="nothing to run ONNX with is installed")
    fpath = str(onnx_file(tmp_path))
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[8:24, 40:56] = 255
    Image.fromarray(picture).save(tmp_path / "photo.png")
    command = ["explain", str(tmp_path / "photo.png"), "--model", fpath, "--trust", "off"]
    assert main([*command, "--method", "gradcam", "--out", str(tmp_path / "refused")]) == 2
    assert (
        "net.onnx is an ONNX model, which has none to look into; rise, drise and occlusion" in capsys.readouterr().err
    )
    assert main([*command, "--method", "occlusion", "--class", "2", "--out", str(tmp_path / "run")]) == 0, (
        capsys.readouterr().err
    )
    (item,) = map(json.loads, (tmp_path / "run" / "items.jsonl").read_text().splitlines())
    assert "class 2" in json.dumps(item)
