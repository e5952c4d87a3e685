"""ONNX models, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from isotherm.errors import AdapterError, MissingExtraError
from isotherm.frame import Size


class OnnxModel:
    """A function of a tensor around a session of onnxruntime.

    Args:
        session: an ``onnxruntime.InferenceSession``.

    Attributes:
        shape: (b, c, h, w) of its first input; None where any number fits.

    Raises:
        AdapterError: its first input is no batch of pictures of real numbers.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        first = session.get_inputs()[0]
        if first.type not in ("tensor(float)", "tensor(float16)", "tensor(double)") or len(first.shape) != 4:
            raise AdapterError(
                f"the ONNX model's input {first.name!r} is {first.type} of {len(first.shape)} dimensions; expected real numbers (pictures, channels, rows, columns)"
            )
        self.dtype = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(first.type, np.float32)
        self.shape = tuple(side if isinstance(side, int) and side > 0 else None for side in first.shape)

    @property
    def size(self) -> Size | None:
        """(h, w) of the pictures that it takes; None where any will do."""
        h, w = self.shape[2:]
        return None if h is None or w is None else (h, w)

    def __call__(self, x: Tensor, *others: Any) -> Any:
        names = [one.name for one in self.session.get_inputs()]
        arrays = [
            x.detach().cpu().numpy().astype(self.dtype),
            *(o.detach().cpu().numpy() if isinstance(o, Tensor) else np.asarray(o) for o in others),
        ]
        outputs = self.session.run(None, dict(zip(names, arrays, strict=True)))
        called = [one.name for one in self.session.get_outputs()]
        return outputs[0] if len(outputs) == 1 else dict(zip(called, outputs, strict=True))


def open_session(fpath: Path) -> Any:
    """A session of a file, on the CPU.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        AdapterError: the file is damaged, or no ONNX model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "export", f"running {fpath.name}") from error
    try:
        return onnxruntime.InferenceSession(str(fpath), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has errors of its own for each trouble
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise AdapterError(
            f"{fpath} cannot be opened as an ONNX model ({type(error).__name__}: {first}); export it again, or check the path"
        ) from error
