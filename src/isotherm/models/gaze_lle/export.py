"""Gaze-LLE as ONNX: one picture and any number of heads."""

from __future__ import annotations

import io
import os
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.atomic import atomic_write
from isotherm.errors import InputError, MissingExtraError
from isotherm.models.gaze_lle.model import GazeLLE


class _OnePicture(nn.Module):
    def __init__(self, model: GazeLLE) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: Float[Tensor, "1 3 h w"], boxes: Float[Tensor, "p 4"]) -> tuple[Tensor, ...]:
        features = self.model.encode(picture)
        maps, inside = self.model.decoder(features.expand(boxes.shape[0], -1, -1, -1), boxes)
        return (maps,) if inside is None else (maps, inside)


def export_gaze_lle(model: GazeLLE, fpath: str | os.PathLike[str]) -> Path:
    """Write a model to an ONNX file, whole or not at all.

    Its inputs are ``picture`` (1, 3, h, w) from 0 to 1, of the model's size, and ``boxes`` (p, 4) of heads as shares of
    the picture, NaN for nobody in particular; its outputs ``maps`` (p, y, x) and, if the model says so, ``inside`` (p).

    Args:
        model: on the processor.
        fpath: ends in .onnx.

    Returns:
        The path written.

    Raises:
        InputError: another suffix.
        MissingExtraError: the exporter is not installed.
    """
    fpath = Path(fpath)
    if fpath.suffix != ".onnx":
        raise InputError(f"cannot export a model as {fpath.name!r}; the name must end in .onnx")
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("onnxscript", "export", "writing ONNX") from error
    inout = model.decoder.config.inout
    heads = torch.tensor([[0.1, 0.2, 0.3, 0.4], [torch.nan] * 4])  # two, so that their number is no constant
    program = torch.onnx.export(
        _OnePicture(model).eval(),
        (torch.zeros(1, 3, *model.size), heads),
        input_names=["picture", "boxes"],
        output_names=["maps", "inside"] if inout else ["maps"],
        dynamic_shapes=({}, {0: torch.export.Dim("people", min=1)}),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    content = io.BytesIO()
    program.save(content)  # type: ignore[arg-type]  # it writes into files as well
    with atomic_write(fpath) as file:
        file.write(content.getbuffer())
    return fpath
