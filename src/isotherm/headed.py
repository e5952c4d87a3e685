"""Files of tensors with a header: safetensors whose metadata hold one JSON object that says what the tensors are.

One reader and one writer for all files of ours. A file is whole or not there, what it claims is checked before anything
is allocated, and nothing in it is ever run.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from isotherm import limits
from isotherm.atomic import atomic_write
from isotherm.errors import IsothermError, MissingExtraError, WeightsError
from isotherm.untrusted.plain import DAMAGE, first_line, json_of

KEY = "isotherm"
"""The entry of the metadata that holds the header, its ``format`` included."""
MOST = limits.TENSOR_VALUES
"""Values of one tensor; more are refused before memory is asked for."""


@dataclass(frozen=True)
class Headed:
    """What a file holds.

    Args:
        header: plain data, without its ``format``.
        tensors: by name, on the CPU.
    """

    header: dict[str, Any]
    tensors: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class HeadedFile:
    """A kind of file: how it is called, and what is wrong where another one is given.

    Args:
        format: its name and version, such as ``isotherm.keypoints/1``, which every file of this kind says in its
            header.
        noun: what a file is, for messages, such as 'a keypoint model'.
        advice: what to do where there is no such file; ``{fpath}`` stands for its path.
        half: floating-point numbers lie in half precision on the disk and are read back in single precision.
        error: of our tree, raised for what cannot be read.
        most: values of one tensor that are read.

    Example:
        >>> kind = HeadedFile(format="example/1", noun="an example", advice="make one")
        >>> _ = kind.write(tmp_path / "a.safetensors", {"x": torch.ones(2)}, {"names": ["a", "b"]})
        >>> file = kind.read(tmp_path / "a.safetensors")
        >>> file.header, file.tensors["x"].tolist()
        ({'names': ['a', 'b']}, [1.0, 1.0])
    """

    format: str
    noun: str
    advice: str = "check the path"
    half: bool = False
    error: type[IsothermError] = WeightsError
    most: int = MOST

    def write(
        self, fpath: str | os.PathLike[str], tensors: Mapping[str, Tensor], header: Mapping[str, Any] | None = None
    ) -> Path:
        """Write a file, whole or not at all.

        Args:
            tensors: by name, on any device.
            header: plain data; what JSON does not know is written as text.

        Raises:
            InputError: the folder does not exist.
        """
        from safetensors.torch import save

        kept = {name: self._on_disk(value) for name, value in tensors.items()}
        text = header_text({"format": self.format, **(header or {})})
        with atomic_write(fpath) as file:
            file.write(save(kept, metadata={KEY: text}))
        return Path(fpath)

    def read(self, fpath: str | os.PathLike[str]) -> Headed:
        """Read a file of this kind. Never unpickles.

        Raises:
            WeightsError (or ``error``): it is missing, damaged, of another kind, or claims more values than are read.
        """
        from safetensors import SafetensorError, safe_open

        fpath = Path(fpath)
        if not fpath.is_file():
            raise self.error(f"there is no file {fpath}, expected {self.noun}; {self.advice.format(fpath=fpath)}")
        with self.reading(fpath):
            _check_length(fpath)
            try:
                with safe_open(fpath, framework="pt") as file:
                    names = list(file.keys())
                    if len(names) > limits.TENSORS:
                        raise ValueError(f"it has {len(names)} tensors; at most {limits.TENSORS} are read")
                    header = _header(file.metadata() or {}, fpath)
                    self.check_format(header.pop("format", None), fpath)
                    for name in names:
                        self._check_count(file.get_slice(name).get_shape(), name, fpath)
                    tensors = {name: self._in_memory(file.get_tensor(name)) for name in names}
            except SafetensorError as error:
                raise ValueError(str(error)) from error
        return Headed(header, tensors)

    @contextmanager
    def reading(self, fpath: str | os.PathLike[str]) -> Iterator[None]:
        """Around what is made of a header: whatever is wrong with it becomes one error that names the file.

        Raises:
            WeightsError (or ``error``): for anything that the block raises because of what the file holds.
        """
        try:
            yield
        except MissingExtraError:
            raise
        except self.error as known:
            if str(fpath) in str(known):
                raise
            raise self.error(f"{fpath}: {known}") from known
        except (*DAMAGE, IsothermError) as error:
            why = str(error) if isinstance(error, IsothermError) else first_line(error)
            raise self.error(
                f"{fpath} cannot be read as {self.noun} ({type(error).__name__}: {why}); it may be cut short or of another program"
            ) from error

    def fill(
        self,
        model: nn.Module,
        tensors: Mapping[str, Tensor],
        fpath: str | os.PathLike[str],
        *,
        spare: Collection[str] = (),
    ) -> None:
        """Load a file's tensors into a model that was made as its header says.

        Args:
            spare: names of the model that the file need not hold.

        Raises:
            WeightsError (or ``error``): names that are missing or unknown, or other shapes; with the first of them.
        """
        self.check_fit(model, tensors, fpath, spare=spare)
        model.load_state_dict(dict(tensors), strict=False)

    def check_fit(
        self,
        model: nn.Module,
        tensors: Mapping[str, Tensor],
        fpath: str | os.PathLike[str],
        *,
        spare: Collection[str] = (),
    ) -> None:
        """Refuse a file whose tensors are not those of a model; as of :meth:`fill`, and nothing is loaded.

        Raises:
            WeightsError (or ``error``): names that are missing or unknown, or other shapes; with the first of them.
        """
        state = model.state_dict()
        wrong = {
            "missing": sorted(set(state) - set(tensors) - set(spare)),
            "unknown": sorted(set(tensors) - set(state)),
            "of another shape": sorted(k for k in set(state) & set(tensors) if state[k].shape != tensors[k].shape),
        }
        if any(wrong.values()):
            raise self.error(
                f"{fpath} cannot be read as {self.noun}: it does not fit its own description: "
                + ", ".join(f"{what} {names[:3]}" for what, names in wrong.items() if names)
            )

    def check_format(self, format: Any, fpath: str | os.PathLike[str]) -> None:
        """Refuse what another kind of file says of itself.

        Raises:
            WeightsError (or ``error``): the format is another one.
        """
        if format != self.format:
            raise self.error(f"{fpath} is not {self.noun}: its format is {format!r}, expected {self.format!r}")

    def _on_disk(self, value: Tensor) -> Tensor:
        value = value.detach()
        return (value.half() if self.half and value.is_floating_point() else value).cpu().contiguous()

    def _in_memory(self, value: Tensor) -> Tensor:
        return value.float() if self.half and value.is_floating_point() else value

    def _check_count(self, shape: list[int], name: str, fpath: Path) -> None:
        if len(shape) > limits.DIMENSIONS:
            raise self.error(
                f"{fpath}: array {name!r} has {len(shape)} dimensions; at most {limits.DIMENSIONS} are read"
            )
        count = math.prod(max(int(side), 1) for side in shape)
        if count > self.most:
            raise self.error(f"{fpath}: array {name!r} claims {count} values; at most {self.most} are read from a file")


def _check_length(fpath: Path) -> None:
    """Refuse a header that is longer than those of as many tensors as are read, before it is."""
    with fpath.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > limits.OWN_HEADER_BYTES:
        raise ValueError(f"it claims a header of {length} bytes; at most {limits.OWN_HEADER_BYTES} are read")


def _header(metadata: Mapping[str, str], fpath: Path) -> dict[str, Any]:
    """The header; earlier files have the format and the rest of it in two entries of the metadata."""
    if KEY in metadata:
        header = json_of(metadata[KEY], fpath)
    else:
        rest = (
            [json_of(text, fpath) for name, text in metadata.items() if name != "format"]
            if "format" in metadata
            else []
        )
        header = {**(rest[0] if rest else {}), "format": metadata.get("format")}
    if not isinstance(header, dict):
        raise ValueError(f"its header is {type(header).__name__}; expected names with values")
    return header


def header_text(header: Mapping[str, Any]) -> str:
    """A header as JSON that every program reads; what JSON does not know, NaN among it, is written as text.

    Example:
        >>> header_text({"label": "cat", "share": float("nan"), "at": [1.5, float("inf")]})
        '{"label": "cat", "share": "nan", "at": [1.5, "inf"]}'
    """
    return json.dumps(_finite(header), default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
