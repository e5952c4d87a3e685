"""Models that cannot be looked into: programs of TorchScript and torch.export, ONNX, quantised networks, plain
functions.

They become a module with one layer, its input. Methods that change the picture and look at the score work as for
every other model; nothing else can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.outputs import words_of
from isotherm.cam.view import LayerChoice
from isotherm.errors import AdapterError
from isotherm.frame import Size

Takes = Literal["tensors", "pictures"]
"""What a function is given: one tensor (b, c, h, w), or a list of arrays (h, w, 3) of bytes."""
INPUT = LayerChoice(
    ("input",), "input: this model cannot be looked into, so the picture itself is changed and its score looked at"
)


class BlackBox(nn.Module):
    """A module around a model without layers.

    Args:
        inner: what is called with a tensor, or with pictures.
        kind: what it is, in words.
        takes: see :data:`Takes`.
        module: whose device and number type the input gets, and which is put into evaluation mode; None: none.

    Attributes:
        one_by_one: the model takes one picture at a time.
        size: (h, w) of the pictures that it takes, where it says so.
    """

    size: Size | None = None

    def __init__(
        self, inner: Callable[..., Any], kind: str, *, takes: Takes = "tensors", module: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.input = nn.Identity()
        self.kind = kind
        self.takes = takes
        self.one_by_one = False
        # in a tuple, so that its modules are no layers and its weights are left alone
        self._held = (inner, module)

    @property
    def model(self) -> Any:
        """What is called."""
        return self._held[0]

    @property
    def place(self) -> nn.Module | None:
        """The module whose device and number type the input gets."""
        return self._held[1]

    def forward(self, x: Tensor, *others: Any) -> Any:
        """What the model puts out, with numbers and arrays as tensors."""
        x = self.input(x)
        if not self.one_by_one or len(x) == 1:
            return self._of_rows(x, others)
        rows = [
            [t[i : i + 1] if isinstance(t, Tensor) and t.ndim and len(t) == len(x) else t for t in (x, *others)]
            for i in range(len(x))
        ]
        return joined([self._of_rows(row[0], row[1:]) for row in rows])

    def _of_rows(self, x: Tensor, others: Sequence[Any]) -> Any:
        inner, module = self._held
        mode: AbstractContextManager[None] = nullcontext() if module is None else evaluating(module)
        with mode:
            if self.takes == "tensors":
                return as_tensors(inner(x, *others))
            pixels = (x.detach().clamp(0, 1) * 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
            return as_tensors(inner([np.ascontiguousarray(one) for one in pixels], *others))


def as_tensors(value: Any) -> Any:
    """An output with its numbers, lists of numbers and arrays as tensors.

    Example:
        >>> as_tensors([{"cat": 0.5}, {"cat": 1.0}])
        [{'cat': tensor(0.5000)}, {'cat': tensor(1.)}]
        >>> as_tensors([[0.5, 0.25]])
        tensor([[0.5000, 0.2500]])
    """
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return (
            torch.from_numpy(np.array(array, np.float32 if array.dtype.kind == "f" else array.dtype))
            if array.dtype.kind in "fiub"
            else value
        )
    if isinstance(value, float):
        return torch.tensor(value)
    if isinstance(value, Mapping):
        return {key: as_tensors(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        if value and _is_of_numbers(value):
            return torch.tensor(value, dtype=torch.float32)
        inner = [as_tensors(one) for one in value]
        return type(value)(*inner) if hasattr(value, "_fields") else type(value)(inner)
    return value


def _is_of_numbers(value: Any) -> bool:
    """Whether nested lists hold numbers alone, as many in each."""
    if isinstance(value, list | tuple):
        shapes = {len(one) if isinstance(one, list | tuple) else None for one in value}
        return len(shapes) == 1 and all(_is_of_numbers(one) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def joined(outputs: Sequence[Any]) -> Any:
    """The outputs of single pictures as the output of all of them.

    Example:
        >>> joined([{"a": torch.zeros(1, 2)}, {"a": torch.ones(1, 2)}])["a"].shape
        torch.Size([2, 2])
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.cat(list(outputs)) if first.ndim else torch.stack(list(outputs))
    if isinstance(first, Mapping):
        return {key: joined([out[key] for out in outputs]) for key in first}
    if isinstance(first, list) and len(first) == 1 and not isinstance(first[0], Tensor):
        return [one for out in outputs for one in out]  # a list with an entry for each picture
    if isinstance(first, list | tuple):
        parts = [joined(some) for some in zip(*outputs, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return first


def is_black_box(model: Any) -> bool:
    """Whether a model is one of those that cannot be looked into."""
    if isinstance(model, torch.jit.ScriptModule):
        return True
    if isinstance(model, nn.Module):
        return any("quantized" in type(module).__module__ for module in model.modules())
    return _exported(model) or _session(model) or (callable(model) and not isinstance(model, type))


def black_box(model: Any, takes: Takes = "tensors") -> BlackBox:
    """The module around a model that cannot be looked into.

    Args:
        model: a program of TorchScript or torch.export, a quantised network, a session of onnxruntime, or a callable.
        takes: what a callable is given.
    """
    if _exported(model):
        box = BlackBox(model.module(), "a torch.export program")
        box.size = _exported_size(model)
        return box
    if _session(model):
        from isotherm.models.own.onnxruntime_session import OnnxModel

        return BlackBox(OnnxModel(model), "an ONNX model")
    if isinstance(model, nn.Module):
        kind = "a TorchScript program" if isinstance(model, torch.jit.ScriptModule) else "a quantised network"
        return BlackBox(model, kind, module=model)
    return BlackBox(model, "a function", takes=takes)


def check_batches(box: BlackBox, tensor: Tensor, others: Sequence[Any], name: str) -> None:
    """Find out whether a model takes several pictures at once, by asking it.

    Args:
        tensor: one row.
        others: the further inputs.
        name: of the model.

    Raises:
        AdapterError: it makes models and is none.
    """
    with torch.no_grad():
        one = box(tensor, *others)
        if isinstance(one, nn.Module):
            raise AdapterError(f"the model is {name} itself, which makes models; call it, and give what it returns")
        twice = [t.repeat(2, *[1] * (t.ndim - 1)) if isinstance(t, Tensor) and t.ndim else t for t in (tensor, *others)]
        try:
            two = words_of(box(*twice))
        except Exception:  # whatever it raises, it takes no two
            two = ""
        box.one_by_one = True
        box.one_by_one = two != words_of(box(*twice))


def _exported(model: Any) -> bool:
    return type(model).__name__ == "ExportedProgram" and type(model).__module__.startswith("torch.export")


def _exported_size(program: Any) -> Size | None:
    """(h, w) of the first input that a program was exported for; None where any will do, or it is no picture."""
    inputs = set(program.graph_signature.user_inputs)
    first = next((node for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs), None)
    shape = tuple(getattr(first.meta.get("val"), "shape", ())) if first is not None else ()
    sides = [side for side in shape[2:] if isinstance(side, int)]
    return (sides[0], sides[1]) if len(shape) == 4 and len(sides) == 2 else None


def _session(model: Any) -> bool:
    return type(model).__name__ == "InferenceSession" and type(model).__module__.startswith("onnxruntime")
