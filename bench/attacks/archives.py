"""Archives of torch: programs in one of their parts, parts that are elsewhere, twice or endless, and programs by name."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import save

from bench.attacks.attack import Attack, Hostile, Write

DOORS = ("model", "weights", "weights of the detector")


def _torch(**how: Any) -> Write:
    def write(folder: Path, marker: Path) -> Path:
        torch.save({"a": torch.ones(2), "b": Hostile(marker)}, folder / "weights.pt", **how)
        return folder / "weights.pt"

    return write


def _whole(folder: Path, marker: Path) -> Path:
    """A module as torch.save(net) writes it, whose state holds the program."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 2))
    net.hostile = Hostile(marker)  # type: ignore[assignment]
    torch.save(net, folder / "net.pth")
    return folder / "net.pth"


def _good() -> bytes:
    file = io.BytesIO()
    torch.save({"a": torch.ones(2)}, file)
    return file.getvalue()


def _changed(change: Callable[[list[tuple[str, bytes]], Path], list[tuple[str, bytes]]]) -> Write:
    """A valid archive whose parts are changed.

    Args:
        change: of (name, content) of all parts, and the marker, the parts that are written.
    """

    def write(folder: Path, marker: Path) -> Path:
        with zipfile.ZipFile(io.BytesIO(_good())) as archive:
            parts = [(name, archive.read(name)) for name in archive.namelist()]
        fpath = folder / "weights.pt"
        with zipfile.ZipFile(fpath, "w") as archive:
            for name, content in change(parts, marker):
                archive.writestr(zipfile.ZipInfo(name), content)
        return fpath

    return write


def _evil(marker: Path) -> bytes:
    return pickle.dumps({"a": Hostile(marker)}, protocol=2)


def _again(parts: list[tuple[str, bytes]], marker: Path, *, first: bool) -> list[tuple[str, bytes]]:
    name = next(name for name, _ in parts if name.endswith("data.pkl"))
    return [(name, _evil(marker)), *parts] if first else [*parts, (name, _evil(marker))]


def _bomb(folder: Path, marker: Path) -> Path:
    """A storage of a gigabyte of zeros in a megabyte."""
    fpath = folder / "weights.pt"
    with zipfile.ZipFile(io.BytesIO(_good())) as good, zipfile.ZipFile(fpath, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in good.namelist():
            if name.endswith("data/0"):
                with archive.open(name, "w", force_zip64=True) as part:
                    for _ in range(64):
                        part.write(bytes(1 << 24))
            else:
                archive.writestr(name, good.read(name))
    return fpath


def _claims(numel: int) -> Write:
    """A tensor of more numbers than its storage holds."""

    class Claim:
        def __reduce__(self) -> Any:
            storage = torch.storage.TypedStorage(
                wrap_storage=torch.ones(2).untyped_storage(), dtype=torch.float32, _internal=True
            )
            return torch._utils._rebuild_tensor_v2, (storage, 0, (numel,), (1,), False, {})

    def write(folder: Path, marker: Path) -> Path:
        torch.save({"a": Claim()}, folder / "weights.pt")
        return folder / "weights.pt"

    return write


def _script(folder: Path, marker: Path) -> Path:
    """A TorchScript program that writes a file as it runs."""

    class Writes(torch.nn.Module):
        def __init__(self, where: str) -> None:
            super().__init__()
            self.where = where

        def forward(self, x: Tensor) -> Tensor:
            save(x, self.where)  # ultralytics replaces torch.save by what TorchScript does not compile
            return x.mean((2, 3))

    torch.jit.script(Writes(str(marker))).save(str(folder / "script.pt"))
    return folder / "script.pt"


def _exported(folder: Path, marker: Path) -> Path:
    """An archive as torch.export writes it, whose sample inputs are a pickle."""
    fpath = folder / "net.pt2"
    with zipfile.ZipFile(fpath, "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/version", "0")
        archive.writestr("net/models/model.json", json.dumps({"graph_module": {}, "schema_version": {"major": 8}}))
        for part in ("weights/model.pt", "sample_inputs/model.pt", "constants/model.pt"):
            file = io.BytesIO()
            torch.save(Hostile(marker), file)
            archive.writestr(f"net/data/{part}", file.getvalue())
    return fpath


ATTACKS: tuple[Attack, ...] = (
    Attack("a program beside weights", "archive of torch", "runs code", _torch(), DOORS),
    Attack(
        "the same in the form before 1.6",
        "archive of torch",
        "runs code",
        _torch(_use_new_zipfile_serialization=False),
        DOORS,
    ),
    Attack("the same in protocol 4", "archive of torch", "runs code", _torch(pickle_protocol=4), DOORS),
    Attack("a whole network with a program in its state", "archive of torch", "runs code", _whole, DOORS),
    Attack(
        "data.pkl twice, the hostile one first",
        "archive of torch",
        "runs code",
        _changed(lambda parts, marker: _again(parts, marker, first=True)),
        DOORS,
        harmless=True,
    ),
    Attack(
        "data.pkl twice, the hostile one last",
        "archive of torch",
        "runs code",
        _changed(lambda parts, marker: _again(parts, marker, first=False)),
        DOORS,
    ),
    Attack(
        "constants.pkl of TorchScript beside weights",
        "archive of torch",
        "runs code",
        _changed(
            lambda parts, marker: [
                *parts,
                ("archive/constants.pkl", _evil(marker)),
                ("archive/code/__torch__.py", b"import os"),
            ]
        ),
        DOORS,
        harmless=True,
    ),
    Attack(
        "parts whose names lead out of the archive",
        "archive of torch",
        "reads elsewhere",
        _changed(lambda parts, marker: [*parts, (f"../../{marker.name}", b"x"), (str(marker), b"x")]),
        DOORS,
        harmless=True,
    ),
    Attack("a gigabyte of zeros in a megabyte", "archive of torch", "uses up memory or time", _bomb, DOORS),
    Attack("a tensor larger than its storage", "archive of torch", "reads elsewhere", _claims(1 << 40), DOORS),
    Attack("TorchScript that writes a file", "program", "runs code", _script, ("model", "weights", "explain")),
    Attack("pickles in an archive of torch.export", "program", "runs code", _exported, ("model", "weights", "explain")),
)
