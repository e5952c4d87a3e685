"""Opening ultralytics checkpoints in the package's safe mode, which it has and does not use by itself.

Left alone, the package unpickles whatever it is given, and pip-installs modules that the file names. Both are
switched off here for the length of a load, whether or not the package was imported before.
"""

from __future__ import annotations

import difflib
import os
import pickle
import re
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isotherm.errors import MissingExtraError, WeightsError
from isotherm.models.ultralytics.description import (
    RefusedDescriptionError,
    check_description,
    check_text_model,
    not_allowed,
)
from isotherm.models.weights.files import unallowed
from isotherm.models.weights.headers import check_weights_file
from isotherm.models.weights.permission import Say, authorise, to_stderr
from isotherm.models.weights.pickles import unsafe_globals
from isotherm.models.weights.recognise import recognise
from isotherm.models.weights.refused import no_model
from isotherm.ops.hashing import sha256_of

_loading = threading.RLock()


def open_yolo(
    fpath: str | os.PathLike[str], *, allow_code: str | os.PathLike[str] | None = None, say: Say = to_stderr
) -> Any:
    """An ``ultralytics.YOLO`` (or YOLOE, YOLOWorld, RTDETR, as the file says) from a checkpoint.

    Args:
        fpath: a .pt file, or the bare name of a model that the package publishes (``"yolo11n.pt"``, ``"yolo11n"``),
            which it downloads into the working folder when it is not there.
        allow_code: a file whose content may run code on this machine, as the user said.
        say: where the line goes that names an allowed file's SHA-256.

    Returns:
        The object of the package; the module is its ``.model``.

    Raises:
        WeightsError: missing and not published, not downloadable, damaged, or asking for objects that a checkpoint
            of this package does not need, which could run any code.
        MissingExtraError: ultralytics is not installed.
    """
    package = need_ultralytics()
    path = Path(fpath)
    if "://" in os.fspath(fpath):
        raise WeightsError(f"{os.fspath(fpath)} is an address; download the file and give its path")
    local = path if path.exists() else _download(package, os.fspath(fpath))
    if local.suffix != ".pt":
        raise WeightsError(f"{local} is not an ultralytics checkpoint by its name; expected a .pt file")
    check_weights_file(local)
    with tempfile.TemporaryDirectory(prefix="isotherm-") as dpath:
        copy = Path(dpath) / "checkpoint.pt"
        try:
            kept = _kept_by_the_package(str(local))
            return _load(package, local if kept else Path(shutil.copyfile(local, copy)), local, safe=True)
        except (_RefusedError, RefusedDescriptionError) as refused:
            shutil.copyfile(local, copy)  # a private copy: what is hashed is what is opened
            if not authorise(local, sha256_of(copy), allow_code, say):
                if isinstance(refused, RefusedDescriptionError):
                    raise not_allowed(refused, local) from refused
                raise unallowed(local, f"asks for {refused}") from refused
            return _load(package, copy, local, safe=False)


class _RefusedError(Exception):
    """The safe mode met objects that it does not know; the text names them."""


def need_ultralytics() -> Any:
    """The package, imported with its safe mode on where it was not imported before.

    Raises:
        MissingExtraError: it is not installed.
    """
    # both are read once, when the package is imported; what counts is package_modes, where it is used
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "False")
    try:
        import ultralytics
    except ImportError as error:
        raise MissingExtraError("ultralytics-opencv-headless", "yolo", "a YOLO model") from error
    return ultralytics


@contextmanager
def package_modes(*, safe: bool) -> Iterator[None]:
    """The package's safe mode on or off and its installer off, whatever the environment said when it was imported.

    Raises:
        WeightsError: it has no safe mode.
    """
    from ultralytics.nn import tasks
    from ultralytics.utils import checks

    supported = getattr(getattr(tasks, "_SafeLoad", None), "SUPPORTED", False) and hasattr(tasks, "SAFE_LOAD")
    if safe and not supported:
        raise WeightsError(
            "this version of ultralytics cannot open checkpoints safely; run: pip install -U 'isotherm[yolo]'"
        )
    with _loading:
        before = tasks.SAFE_LOAD, checks.AUTOINSTALL
        tasks.SAFE_LOAD, checks.AUTOINSTALL = safe, False
        try:
            yield
        finally:
            tasks.SAFE_LOAD, checks.AUTOINSTALL = before


def _load(package: Any, path: Path, named: Path, *, safe: bool) -> Any:
    """The file at ``path``; errors and the result call it ``named``."""
    with package_modes(safe=safe), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols: what matters is an error below
        try:
            yolo = package.YOLO(str(path))
        except Exception as error:  # hostile bytes raise anything at all
            raise _explained(named, error, safe=safe) from error
    if safe:
        # nothing is built from them here, but training the model again would evaluate them
        if getattr(yolo.model, "yaml", None) is not None:
            check_description(yolo.model.yaml, named, saved=True)
        check_text_model(yolo.model, named)
    yolo.ckpt_path = yolo.overrides["model"] = yolo.model.pt_path = str(named)
    return yolo


def _explained(fpath: Path, error: Exception, *, safe: bool) -> Exception:
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    refused = next((e for e in chain if isinstance(e, pickle.UnpicklingError)), None)
    if safe and (refused is not None or "references types outside" in str(error)):
        message = str(refused or error)
        names = re.findall(r"GLOBAL ([\w.]+\w)", message) or [
            n for n in unsafe_globals(fpath) if not n.startswith("ultralytics.")
        ]
        if names:
            return _RefusedError(", ".join(names))
    if isinstance(error, ModuleNotFoundError):
        return WeightsError(
            f"{fpath} needs the package {error.name}, which is not installed; install it yourself if you trust the file's maker"
        )
    file = recognise(fpath)
    if file.kind not in ("ultralytics", "other"):
        return no_model(file)
    first = (str(chain[-1]).strip().splitlines() or [""])[0][:200]
    return WeightsError(
        f"{fpath} is damaged, cut short or no ultralytics checkpoint ({type(chain[-1]).__name__}: {first})"
    )


def _kept_by_the_package(path: str) -> bool:
    # it drops quotes and blanks from paths and renames yolov5n.pt to yolov5nu.pt, and would open another file
    from ultralytics.utils.checks import check_yolov5u_filename

    return check_yolov5u_filename(path.strip().replace("'", ""), verbose=False) == path


def _download(package: Any, name: str) -> Path:
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    known = sorted(n for n in GITHUB_ASSETS_NAMES if n.endswith(".pt"))
    wanted = name if Path(name).suffix else f"{name}.pt"
    if wanted not in known:
        bare = Path(wanted).name
        if bare in known:
            raise WeightsError(
                f"there is no file {name}; give the bare name {bare} to have it downloaded into the working folder"
            )
        near = difflib.get_close_matches(bare, known, n=3, cutoff=0.7)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise WeightsError(
            f"there is no weights file {name}, and ultralytics {package.__version__} publishes no model of that name{hint}"
        )
    try:
        path = Path(attempt_download_asset(wanted))
    except Exception as error:  # its download code raises anything from ConnectionError to RuntimeError
        raise WeightsError(
            f"{wanted} is not here and could not be downloaded ({type(error).__name__}: {error}); "
            "download it on a machine with a network and give its path"
        ) from error
    if not path.is_file():
        raise WeightsError(
            f"{wanted} is not here and could not be downloaded; download it on a machine with a network and give its path"
        )
    return path
