"""What the output of a module of one's own can be read as: a logit per class, logits per pixel, or nothing that is
known.

A shape is read only where hardly anything else has it, and what was read is told as an assumption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from isotherm.cam.outputs import parts_of, words_of
from isotherm.errors import AdapterError, OptionError
from isotherm.frame import Size

USUAL = ("logits", "out")
"""Parts of outputs that are called so hold the logits: in transformers' and in torchvision's outputs."""
FINEST = 4
"""Input pixels per cell up to which (b, k, h, w) is read as a mask's logits; detectors and heatmaps are often
coarser.
"""

Output = str | int | Callable[[Any], Any] | None
"""Which part of an output holds the logits: a key or an attribute, an index, or a function; None: the usual."""


@dataclass(frozen=True)
class Answer:
    """How an output is read.

    Args:
        kind: ``classes``: (b, k) logits, ``pixels``: (b, k, h, w) logits, or ``raw``: not at all.
        part: output -> the part of it with the logits.
        words: how it is read, for people.
    """

    kind: Literal["classes", "pixels", "raw"]
    part: Callable[[Any], Any]
    words: str = ""

    def logits(self, raw: Any) -> Any:
        """The logits in an output: (b, k) of classes, (b, k, h, w) of pixels."""
        part = self.part(raw)
        return class_logits(part) if self.kind == "classes" else part


def answer_of(raw: Any, size: Size, output: Output = None) -> Answer:
    """What the output of one picture can be read as.

    Args:
        raw: the output.
        size: (h, w) of the input.
        output: which part of it holds the logits, as the user says.

    Raises:
        OptionError: there is no such part.
        AdapterError: the part that the user names is no tensor of logits.
    """
    name, part = _part(raw, output)
    tensor = part(raw)
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        if output is not None:
            raise AdapterError(
                f"output={_shown(output)} is {words_of(tensor)}; expected logits, (1, k) or (1, k, h, w)"
            )
        return Answer("raw", part)
    what = f"{name}{words_of(tensor)}"
    one_row = tensor.ndim > 0 and len(tensor) == 1  # of the one picture; rows of anything else are no pictures
    if one_row and class_logits(tensor) is not None:
        k = class_logits(tensor).shape[1]
        return Answer(
            "classes", part, f"{what} read as {'one number' if k == 1 else f'a logit for each of {k} classes'}"
        )
    fine = tensor.ndim == 4 and all(n * FINEST >= whole for n, whole in zip(tensor.shape[2:], size, strict=True))
    if one_row and tensor.ndim == 4 and (fine or output is not None):
        return Answer("pixels", part, f"{what} read as logits of {tensor.shape[1]} class(es) for every pixel")
    if output is not None:
        raise AdapterError(
            f"output={_shown(output)} is {words_of(tensor)}, which are no logits, (1, k) or (1, k, h, w); leave output= out and give target=, "
            "a function of what the model puts out"
        )
    return Answer("raw", part)


def class_logits(tensor: Any) -> Any:
    """(b, k) logits of (b, k), (b, k, 1, ...) or (b,); None of all else."""
    if not isinstance(tensor, Tensor) or tensor.ndim == 0 or 0 in tensor.shape:
        return None
    if tensor.ndim == 1:
        return tensor[:, None] if len(tensor) else None
    return tensor.flatten(1) if tensor.shape[1:].numel() == tensor.shape[1] else None


def _part(raw: Any, output: Output) -> tuple[str, Callable[[Any], Any]]:
    """The name of a part, with a word behind it, and what takes it out of an output."""
    if callable(output):
        return "output's part ", output
    parts = parts_of(raw)
    if output is None:
        usual = next((name for name in USUAL if f'["{name}"]' in parts or f".{name}" in parts), None)
        if usual is None:
            return "", _whole
        output = usual
    if isinstance(output, str) and (f'["{output}"]' in parts or f".{output}" in parts):
        return f"{output}, ", _Named(output)
    numbered = isinstance(raw, tuple | list) and isinstance(output, int) and not isinstance(output, bool)
    if numbered and -len(raw) <= int(output) < len(raw):
        return f"number {output}, ", _Numbered(int(output))
    raise OptionError(
        f"output={_shown(output)} is no part of what the model puts out, {words_of(raw)}; give one of its names or numbers, or a function of it"
    )


def _shown(output: Output) -> str:
    return getattr(output, "__name__", repr(output)) if callable(output) else repr(output)


def _whole(raw: Any) -> Any:
    return raw


@dataclass(frozen=True)
class _Named:
    name: str

    def __call__(self, raw: Any) -> Any:
        return raw[self.name] if isinstance(raw, Mapping) else getattr(raw, self.name)


@dataclass(frozen=True)
class _Numbered:
    index: int

    def __call__(self, raw: Any) -> Any:
        return raw[self.index]
