"""What a file of a model is, found out by its first bytes and its tables of contents: nothing in it is unpickled or
run.

One recogniser for every door: for a file that is named as a model, and for one that is named as its weights.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isotherm.models.weights.foreign import Foreign, foreign, foreign_archive
from isotherm.models.weights.headers import MAX_HEADER_BYTES, check_weights_file, is_safetensors
from isotherm.models.weights.importing import can_be_found
from isotherm.models.weights.pickles import beyond_tensors, pickles_of
from isotherm.models.weights.skeleton import Sketch, sketch

Kind = Literal[
    "tensors", "module", "ultralytics", "torchscript", "export", "onnx", "isotherm", "description", "damaged", "other"
]
"""Weights by name; a network with its code's names; a checkpoint of ultralytics, or the description of one of its
networks; programs of TorchScript, torch.export and ONNX; a file that isotherm wrote; what is cut short; all else."""
PREFERRED = ("ema", "model_ema", "model", "net", "network")
"""Which of several networks in a checkpoint is the one that its maker evaluates."""
HEADER_KEY = "isotherm"
DESCRIBED = ("backbone:", "head:")
"""What stands in the description of a network of ultralytics."""


@dataclass(frozen=True)
class ModelFile:
    """What a file is.

    Args:
        fpath: the file.
        kind: see :data:`Kind`.
        words: the same in words, behind "it is" or "holds".
        inside: the key under which the network or the tensors lie; empty where they are the whole file.
        needs: classes and functions that it asks for while it is unpickled, beyond those of tensors.
        form: of a file of isotherm, its format; of other tools', what to do about it.
    """

    fpath: Path
    kind: Kind
    words: str
    inside: str = ""
    needs: tuple[str, ...] = ()
    form: Foreign | str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes that it needs and whose package cannot be found here, so that it cannot be opened."""
        return tuple(name for name in self.needs if not can_be_found(name.partition(".")[0]))


def recognise(fpath: Path) -> ModelFile:
    """What a file is.

    Raises:
        WeightsError: it is missing, a folder, empty, or may not be read.

    Example:
        >>> import torch
        >>> torch.save({"state_dict": {"module.fc.weight": torch.ones(2)}, "epoch": 3}, tmp_path / "last.ckpt")
        >>> recognise(tmp_path / "last.ckpt").words
        'weights (1 tensor by name, module.fc.weight) in its entry state_dict'
    """
    check_weights_file(fpath)
    with fpath.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PK\x03\x04"):
        return _archive(fpath)
    if is_safetensors(head, fpath):
        return _safetensors(fpath)
    if head[:1] == b"\x08" and (fpath.suffix.lower() == ".onnx" or b"pytorch" in head or b"onnx" in head):
        return ModelFile(fpath, "onnx", "an ONNX model")
    form = foreign(head, fpath)
    if form is not None:
        return ModelFile(fpath, "other", form.words, form=form)
    if head[:1] == b"\x80":
        return _pickle(fpath)
    if fpath.suffix.lower() in (".yaml", ".yml"):
        text = fpath.read_bytes()[:1_000_000].decode("utf-8", "replace")
        if all(key in text for key in DESCRIBED):
            return ModelFile(fpath, "description", "the description of a network of ultralytics")
    if fpath.suffix.lower() == ".onnx":  # onnxruntime says what is wrong with it
        return ModelFile(fpath, "onnx", "an ONNX model")
    return ModelFile(fpath, "other", f"no file of a model that can be read: its first bytes are {head[:8]!r}")


def _archive(fpath: Path) -> ModelFile:
    try:
        with zipfile.ZipFile(fpath) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return ModelFile(fpath, "damaged", "a zip archive")
    if any(name.endswith("constants.pkl") for name in names):
        return ModelFile(fpath, "torchscript", "a TorchScript program")
    if any(name.endswith(("models/model.json", "serialized_exported_program.json")) for name in names):
        return ModelFile(fpath, "export", "a program of torch.export")
    form = foreign_archive(names)
    if form is not None:
        return ModelFile(fpath, "other", form.words, form=form)
    if any(name.endswith("data.pkl") for name in names):
        return _pickle(fpath)
    return ModelFile(fpath, "other", f"a zip archive without weights ({', '.join(names[:3])})")


def _safetensors(fpath: Path) -> ModelFile:
    try:
        with fpath.open("rb") as file:
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), MAX_HEADER_BYTES)))
        ours = json.loads(header.get("__metadata__", {}).get(HEADER_KEY, "null"))
        names = [name for name in header if name != "__metadata__"]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError, MemoryError):
        return ModelFile(fpath, "damaged", "a safetensors file")
    if isinstance(ours, dict) and isinstance(ours.get("format"), str):
        return ModelFile(fpath, "isotherm", f"a file of isotherm ({ours['format'][:80]})", form=ours["format"])
    if not names:
        return ModelFile(fpath, "other", "a safetensors file without a tensor in it")
    return ModelFile(fpath, "tensors", _tensors(names))


def _pickle(fpath: Path) -> ModelFile:
    sketched = sketch(pickles_of(fpath))
    needs = beyond_tensors(sketched.names)
    root = next((one for one in sketched.roots if not _is_preamble(one)), None)
    if root is None:
        return ModelFile(fpath, "damaged", "a pickle", needs=needs)
    inner = {key: one for key, one in (root.entries or {}).items() if isinstance(key, str)}
    networks = {key: one for key, one in inner.items() if one.is_module}
    if any(name.startswith("ultralytics.") for name in sketched.names) and (networks or root.is_module):
        return ModelFile(fpath, "ultralytics", "a checkpoint of ultralytics", needs=needs)
    if root.is_module:
        return ModelFile(fpath, "module", f"a whole network, {root.name}", needs=needs)
    if networks:
        key = next((key for key in PREFERRED if key in networks), next(iter(networks)))
        words = f"a whole network, {networks[key].name}, in its entry {key}"
        return ModelFile(fpath, "module", words, inside=key, needs=needs)
    if root.is_state_dict:
        return ModelFile(fpath, "tensors", _tensors(list(inner)), needs=needs)
    dicts = {key: one for key, one in inner.items() if one.is_state_dict}
    if dicts:
        by = " of Lightning" if "pytorch-lightning_version" in inner else ""
        (first, *others) = dicts
        words = _tensors(list(dicts[first].entries or {})) if not others else "several sets of weights"
        held = f"{words} in its {'entries' if others else 'entry'} {', '.join(dicts)}{by}"
        return ModelFile(fpath, "tensors", held, inside="" if others else first, needs=needs)
    if root.is_tensor:
        return ModelFile(fpath, "other", "a single tensor", needs=needs)
    if root.states:  # a network would have been seen by them
        form = Foreign(
            f"a pickle of {root.name}, which is no network of torch,",
            "give explain a function of pictures that asks it (takes='pictures')",
            "that can be explained in Python alone, by a function of pictures that asks it",
        )
        return ModelFile(fpath, "other", form.words, form=form, needs=needs)
    if root.name and root.entries is None:
        return ModelFile(fpath, "other", f"a pickle that calls {root.name}, and no network", needs=needs)
    made = f"a mapping of {', '.join(list(inner)[:5])}" if inner else "plain values"
    return ModelFile(fpath, "other", f"a pickle of {made}, and no network", needs=needs)


def _is_preamble(root: Sketch) -> bool:
    """Whether it is what stands in front of the object in a torch file of the older form: numbers and a system's
    description.
    """
    return isinstance(root.value, int) or "protocol_version" in (root.entries or {})


def _tensors(names: list[str]) -> str:
    first = f", {names[0]}{' first' if len(names) > 1 else ''}" if names else ""
    return f"weights ({len(names)} tensor{'' if len(names) == 1 else 's'} by name{first})"
