"""Opening weights files without running what is in them: safetensors, and torch files with weights_only."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.errors import WeightsError
from isotherm.models.weights.permission import Say, authorise, is_same_file, to_stderr
from isotherm.models.weights.pickles import damaged, unsafe_globals

MAX_HEADER_BYTES = 100_000_000
"""Largest safetensors header, as in the format's own reader."""


def open_weights(
    fpath: str | os.PathLike[str],
    *,
    allow_code: str | os.PathLike[str] | None = None,
    key: str | None = None,
    say: Say = to_stderr,
) -> dict[str, Tensor]:
    """Tensors by name from a weights file, on the CPU.

    What the file is decides its first bytes, not its name. safetensors and torch files of plain tensors are opened
    without running anything. A torch file that asks for other Python objects is refused, unless ``allow_code`` names it
    or it was allowed before with the same bytes.

    Args:
        fpath: a safetensors or torch (.pt, .pth, .bin, .ckpt) file.
        allow_code: a file whose content may run code on this machine, as the user said.
        key: which state dict, where a checkpoint holds several (``"model"``, ``"model_ema"``).
        say: where the line goes that names an allowed file's SHA-256.

    Raises:
        WeightsError: missing, damaged, cut short, another format, unsafe, or without one clear state dict.

    Example:
        >>> import tempfile
        >>> fpath = Path(tempfile.mkdtemp()) / "weights.pt"
        >>> torch.save({"epoch": 3, "model": {"weight": torch.ones(2)}}, fpath)
        >>> open_weights(fpath)
        {'weight': tensor([1., 1.])}
    """
    fpath = Path(fpath)
    check_weights_file(fpath)
    with fpath.open("rb") as file:
        head = file.read(64)
    if _is_safetensors(head, fpath):
        return _open_safetensors(fpath)
    if not (head.startswith(b"PK\x03\x04") or head.startswith(b"\x80")):
        raise WeightsError(
            f"{fpath} is no weights file that can be read: {_guess(head, fpath)}; expected safetensors or a torch file"
        )
    if head.startswith(b"PK"):
        _check_archive(fpath)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols: what matters is an error below
        try:
            with fpath.open("rb") as file:  # not the path, whose suffix would choose another reader
                loaded = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # hostile bytes raise anything at all
            objects = unsafe_globals(fpath, str(error))
            if not objects and not is_same_file(fpath, allow_code):
                raise damaged(fpath, error) from error
            loaded = _unpickled(fpath, objects, allow_code, say)
    return _state_dict(loaded, fpath, key)


def check_weights_file(fpath: Path) -> None:
    """Raise WeightsError unless ``fpath`` is a file with something in it."""
    try:
        status = fpath.stat()
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"there is no weights file {fpath} ({getattr(error, 'strerror', None) or error}); check the path"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise WeightsError(
            f"{fpath} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'no regular file'}; expected a weights file"
        )
    if not os.access(fpath, os.R_OK):
        raise WeightsError(f"{fpath} may not be read by this user; check its permissions")
    if status.st_size == 0:
        raise WeightsError(f"{fpath} is empty (0 bytes); copy or download it again")


def _unpickled(fpath: Path, objects: list[str], allow_code: str | os.PathLike[str] | None, say: Say) -> Any:
    content = fpath.read_bytes()  # once: what is hashed is what is opened
    if not authorise(fpath, hashlib.sha256(content).hexdigest(), allow_code, say):
        raise WeightsError(
            f"{fpath} asks for {', '.join(objects)} and could run any code while it is opened, so it was not; "
            f"if you know who made it, pass --allow-code {fpath}, or save it as safetensors"
        )
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    except Exception as error:
        raise WeightsError(
            f"{fpath} may run code but cannot be opened ({type(error).__name__}: {error}); is its package installed?"
        ) from error


# --- safetensors -----------------------------------------------------------------------------------------------


def _is_safetensors(head: bytes, fpath: Path) -> bool:
    # an 8-byte length, then JSON; torch files start with PK or with the pickle mark 0x80 and a small protocol number
    return head[8:9] == b"{" or (
        fpath.suffix.lower() == ".safetensors" and not head.startswith((b"PK\x03\x04", b"\x80\x02"))
    )


def _open_safetensors(fpath: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    total = fpath.stat().st_size
    with fpath.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if total < 8 or length > min(total - 8, MAX_HEADER_BYTES):
        raise WeightsError(
            f"{fpath} claims a header of {length} bytes but has {total} bytes in all; "
            "it is damaged, cut short or no safetensors file: copy or download it again"
        )
    try:
        return load_file(fpath, device="cpu")
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError, MemoryError) as error:
        raise damaged(fpath, error) from error


# --- torch files -----------------------------------------------------------------------------------------------


def _check_archive(fpath: Path) -> None:
    try:
        with zipfile.ZipFile(fpath) as archive:
            names = archive.namelist()
            unpacked = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise damaged(fpath, error) from error
    if any(name.endswith("constants.pkl") for name in names):
        raise WeightsError(f"{fpath} is a TorchScript program, not weights; save model.state_dict() and give that")
    if not any(name.endswith("data.pkl") for name in names):
        raise WeightsError(f"{fpath} is a zip archive without weights ({', '.join(names[:3])}); unpack it first")
    if unpacked > fpath.stat().st_size + 1024:  # torch never compresses, so only a bomb would
        raise WeightsError(
            f"{fpath} has {fpath.stat().st_size} bytes but would unpack to {unpacked}; torch files are not compressed, so it was not opened"
        )


def _guess(head: bytes, fpath: Path) -> str:
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; run git lfs pull"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, as a download that needed a login gives"
    known = {
        b"\x89HDF": "it is HDF5 (Keras)",
        b"GGUF": "it is GGUF",
        b"\x1f\x8b": "it is gzip; unpack it",
        b"\x93NUMPY": "it is a NumPy array",
    }
    for magic, words in known.items():
        if head.startswith(magic):
            return words
    return "it is ONNX" if fpath.suffix.lower() == ".onnx" else f"its first bytes are {head[:8]!r}"


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )


def _state_dict(loaded: Any, fpath: Path, key: str | None) -> dict[str, Tensor]:
    if isinstance(loaded, nn.Module):
        loaded = loaded.state_dict()
    if _is_state_dict(loaded) and key is None:
        return dict(loaded)
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{fpath} holds a {type(loaded).__name__}; expected a state dict: tensors by name")
    inner = {str(k): v.state_dict() if isinstance(v, nn.Module) else v for k, v in loaded.items()}
    dicts = {k: v for k, v in inner.items() if _is_state_dict(v)}
    if key is not None and key not in dicts:
        raise WeightsError(f"{fpath} has no state dict {key!r}; it has {', '.join(dicts) or 'none'}")
    if key is None and len(dicts) != 1:
        held = (
            f"several state dicts ({', '.join(dicts)}); say which with key="
            if dicts
            else f"no state dict, only {', '.join(list(inner)[:5]) or 'nothing'}"
        )
        raise WeightsError(f"{fpath} holds {held}")
    return dict(dicts[key if key is not None else next(iter(dicts))])


def load_fitting(
    model: nn.Module, state: Mapping[str, Tensor], name: str, fpath: Path, *, optional: tuple[str, ...] = ()
) -> None:
    """A state dict into a model, all of it.

    Args:
        name, fpath: of the model and the file, for messages.
        optional: beginnings of names that either side may lack.

    Raises:
        WeightsError: a weight has another shape, is missing, or is unknown.
    """
    try:
        missing, unexpected = model.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{fpath} does not fit {name}: {str(error).splitlines()[-1].strip()}") from error
    # old files have no counters of batches, and nothing reads them
    missing = [k for k in missing if not k.startswith(optional) and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in unexpected if not k.startswith(optional)]
    if missing or unexpected:
        raise WeightsError(
            f"{fpath} does not fit {name}: {len(missing)} weights are missing ({', '.join(missing[:3]) or 'none'}) and "
            f"{len(unexpected)} are unknown ({', '.join(unexpected[:3]) or 'none'}); is it a file for another model?"
        )
