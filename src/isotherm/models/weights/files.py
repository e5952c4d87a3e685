"""Opening weights files without running what is in them: safetensors, and torch files with weights_only."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.errors import WeightsError
from isotherm.models.weights.headers import MAX_HEADER_BYTES, is_safetensors
from isotherm.models.weights.importing import with_working_folder
from isotherm.models.weights.permission import Say, authorise, is_same_file, to_stderr
from isotherm.models.weights.pickles import damaged, unsafe_globals
from isotherm.models.weights.recognise import ModelFile, recognise
from isotherm.models.weights.refused import PROGRAMS, no_weights


def open_weights(
    fpath: str | os.PathLike[str],
    *,
    allow_code: str | os.PathLike[str] | None = None,
    key: str | None = None,
    say: Say = to_stderr,
) -> dict[str, Tensor]:
    """Tensors by name from a weights file, on the CPU.

    What the file is, its first bytes decide, not its name. safetensors and torch files of plain tensors are opened
    without running anything. A torch file that asks for other Python objects is refused, unless ``allow_code`` names it
    or it was allowed before with the same bytes.

    Args:
        fpath: a safetensors or torch (.pt, .pth, .bin, .ckpt) file; ``last.ckpt#model_ema`` names one of several sets
            of weights in a checkpoint.
        allow_code: a file whose content may run code on this machine, as the user said.
        key: which set of weights, where a checkpoint holds several (``"model"``, ``"model_ema"``).
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
    fpath, key = _with_key(Path(fpath), key)
    file = recognise(fpath)
    if file.kind in (*PROGRAMS, "isotherm", "description", "ultralytics") or (
        file.kind == "other" and not _is_torch(file)
    ):
        raise no_weights(file)
    with fpath.open("rb") as opened:
        head = opened.read(64)
    if is_safetensors(head, fpath) or not head.startswith((b"PK", b"\x80")):
        return _open_safetensors(fpath)
    if head.startswith(b"PK"):
        _check_archive(fpath)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols: what matters is an error below
        try:
            with _Bounded(io.FileIO(fpath)) as opened:  # not the path, whose suffix would choose another reader
                loaded = torch.load(opened, map_location="cpu", weights_only=True)
        except Exception as error:  # hostile bytes raise anything at all
            objects = unsafe_globals(fpath, str(error))
            if not objects and not is_same_file(fpath, allow_code):
                raise damaged(fpath, error) from error
            loaded = unpickled(file, f"asks for {', '.join(objects)}", allow_code, say)
    return _state_dict(loaded, fpath, key)


def unpickled(file: ModelFile, why: str, allow_code: str | os.PathLike[str] | None, say: Say = to_stderr) -> Any:
    """What a torch file holds, with the code that it asks for, where the user allowed this very file to run it.

    Args:
        why: what the file asks for beyond tensors, behind its name.

    Raises:
        WeightsError: it is not allowed, could not be opened if it were, or cannot be opened.
    """
    fpath = file.fpath
    check_can_be_opened(file)
    content = fpath.read_bytes()  # once: what is hashed is what is opened
    if not authorise(fpath, hashlib.sha256(content).hexdigest(), allow_code, say):
        raise unallowed(fpath, why)
    try:
        with with_working_folder():
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise WeightsError(
            f"{fpath} may run code but cannot be opened ({type(error).__name__}: {first}); is the version of its package that it was saved with "
            "installed?"
        ) from error


def check_can_be_opened(file: ModelFile) -> None:
    """Raise WeightsError where a file needs classes that cannot be found here, so that permission would be no use."""
    missing = file.missing
    if not missing:
        return
    if missing[0].startswith("__main__."):
        where = "which was written in a script or notebook, where no other program can find it"
    else:
        where = f"whose package {missing[0].partition('.')[0]} is neither installed nor in the working folder"
    raise WeightsError(
        f"{file.fpath} is {file.words}, and needs {missing[0]}, {where}, so it cannot be opened here; make that class importable, or save the "
        "network's state_dict() where it was made and give that"
    )


def unallowed(fpath: Path, why: str, instead: str = ", or save its weights as safetensors") -> WeightsError:
    """The error for a file that could run code and was not allowed to.

    Args:
        why: behind the file's name.
        instead: what else can be done.
    """
    what = f"{fpath} {why} and could run any code while it is opened, so it was not; if you know who made it"
    return WeightsError(
        f'{what}, pass allow_code="{fpath}"{instead}', command_line=f"{what}, pass --allow-code {fpath}{instead}"
    )


def unfetched(name: str, why: str) -> WeightsError:
    """The error for a named model whose weights are not here and cannot be fetched.

    Args:
        why: in words.
    """
    what = f"the weights of {name} are not here and could not be fetched ({why}); check the network"
    return WeightsError(
        f"{what}, pass the path of a state dict, or weights='none' for random ones",
        command_line=f"{what}, give a file as --weights, or --weights none for random ones",
    )


class _Bounded(io.BufferedReader):
    """A file from which no more bytes are asked for than it has: Python would ask for the memory of all of them."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        if size is not None and size > 1 << 20:
            size = min(size, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(size)


def _with_key(fpath: Path, key: str | None) -> tuple[Path, str | None]:
    """A file and which of its sets of weights, from ``last.ckpt#model_ema``; a file may be called so itself."""
    before, mark, after = str(fpath).rpartition("#")
    return (Path(before), after) if mark and before and key is None and not fpath.exists() else (fpath, key)


def _is_torch(file: ModelFile) -> bool:
    """Whether a file of an unclear kind is a torch file of which torch itself says what is wrong."""
    return not file.form and file.words.startswith(("a pickle", "a single", "a zip archive", "a safetensors"))


# --- safetensors -----------------------------------------------------------------------------------------------


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
    if not any(name.endswith("data.pkl") for name in names):
        raise WeightsError(f"{fpath} is a zip archive without weights ({', '.join(names[:3])}); unpack it first")
    if unpacked > fpath.stat().st_size + 1024:  # torch never compresses, so only a bomb would
        raise WeightsError(
            f"{fpath} has {fpath.stat().st_size} bytes but would unpack to {unpacked}; torch files are not compressed, so it was not opened"
        )


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
        if not dicts:
            raise WeightsError(f"{fpath} holds no state dict, only {', '.join(list(inner)[:5]) or 'nothing'}")
        held, which = f"{fpath} holds several state dicts ({', '.join(dicts)})", f"{fpath}#{next(iter(dicts))}"
        raise WeightsError(
            f'{held}; say which, such as weights="{which}"',
            command_line=f"{held}; say which, such as --weights {which}",
        )
    return dict(dicts[key if key is not None else next(iter(dicts))])
