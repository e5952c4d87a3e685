"""Models that a name stands for and no family opens by itself: files that hold a network or a program, and functions of
the user's that make one.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import nn

from isotherm.cam.premises import Premise
from isotherm.errors import AdapterError, IsothermError, OptionError
from isotherm.models.own.black_box import is_black_box
from isotherm.models.weights.files import open_weights, unallowed, unpickled
from isotherm.models.weights.fitting import load_fitting
from isotherm.models.weights.importing import is_import, named_object
from isotherm.models.weights.permission import authorise
from isotherm.models.weights.recognise import ModelFile
from isotherm.models.weights.refused import no_model

HOLDS = ("module", "torchscript", "export", "onnx")
"""Kinds of files with a network or a program in them."""
USED = ("weights", "allow_code", "device")
"""Options that are used here, so that the family that reads the model does not get them."""
AnyView = TypeVar("AnyView", bound=Any)


@dataclass(frozen=True, eq=False)
class Held:
    """A model, and how it was found.

    Args:
        model: as an object.
        name: that it goes by.
        reason: what it is and where it is from, as a clause.
        left: of the options, what is left for the family that reads it.
        premises: what is taken for granted of its weights.
    """

    model: Any
    name: str
    reason: str
    left: Mapping[str, Any]
    premises: tuple[Premise, ...] = ()


def held_by(name: str, options: Mapping[str, Any], seed: int, file: ModelFile | None) -> Held | None:
    """The model that a file holds or a function makes; None where a name is neither of them.

    Args:
        name: a path, or ``package.module:factory``.
        options: weights, allow_code and device are used here.
        seed: of random weights that a factory makes.
        file: what the file is that a path leads to; None where there is none.

    Raises:
        AdapterError: a file that is no model, with what it is and what to do; a factory that fails.
        WeightsError: it may not be opened, or weights do not fit.
        OptionError: there is no such module or function.
    """
    if file is not None:
        if file.kind in ("ultralytics", "description"):
            return None
        if file.kind not in HOLDS:
            raise no_model(file)
        model = _opened(file, options.get("allow_code"))
        return _held(model, file.fpath.name, f"{file.fpath.name} is {file.words}", options)
    if not is_import(name):
        return None
    model, premises = _made(name, options.get("weights"), seed)
    return _held(model, name, f"{name} makes it", options, premises)


def with_its_name(view: AnyView, held: Held) -> AnyView:
    """The view with the model's name, and with what is taken for granted of its weights."""
    facts = {"name": held.name, "premises": (*held.premises, *getattr(view, "premises", ()))}
    if is_dataclass(view) and not isinstance(view, type):
        return cast("AnyView", replace(view, **facts))
    for name, value in facts.items():
        setattr(view, name, value)
    return view


def _held(model: Any, name: str, reason: str, options: Mapping[str, Any], premises: tuple[Premise, ...] = ()) -> Held:
    """The model with the weights and on the device that were asked for."""
    weights, device = options.get("weights"), options.get("device")
    left = {key: value for key, value in options.items() if key not in USED}
    eager = isinstance(model, nn.Module) and not isinstance(model, torch.jit.ScriptModule)
    if weights not in (None, "auto"):
        if not eager or weights == "none":
            why = "has its weights in it" if not is_import(name) else "makes its own weights"
            raise OptionError(
                f"weights is {weights!r}, but {name} {why}; leave weights out",
                command_line=f"--weights {weights}: {name} {why}; leave --weights out",
            )
        fpath = Path(weights)
        load_fitting(model, open_weights(fpath, allow_code=options.get("allow_code")), name, fpath)
        name = f"{name}, {fpath.name}"
    if isinstance(model, nn.Module):
        model.eval()
        if device is not None:
            model.to(device)
    elif device is not None:
        left["device"] = device  # refused by who reads it
    return Held(model, name, reason, left, premises)


# --- files -----------------------------------------------------------------------------------------------------


def _opened(file: ModelFile, allow_code: Any) -> Any:
    """What a file holds; programs and whole networks run code, so the user must have allowed the file."""
    if file.kind == "onnx":
        from isotherm.models.own.onnxruntime_session import open_session

        return open_session(file.fpath)
    if file.kind == "module":
        loaded = unpickled(file, f"is {file.words}, asks for {', '.join(file.needs[:5])}", allow_code)
        return _unwrapped(loaded[file.inside] if file.inside else loaded)
    content = file.fpath.read_bytes()  # once: what is hashed is what is opened
    if not authorise(file.fpath, hashlib.sha256(content).hexdigest(), allow_code):
        raise unallowed(file.fpath, f"is {file.words}", instead="")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is old
            if file.kind == "torchscript":
                return torch.jit.load(io.BytesIO(content), map_location="cpu")
            return torch.export.load(io.BytesIO(content))
    except Exception as error:  # damaged files raise anything at all
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise AdapterError(
            f"{file.fpath} cannot be opened as {file.words} ({type(error).__name__}: {first}); export it again, with this version of torch"
        ) from error


def _unwrapped(model: Any) -> Any:
    """A network in single precision, and out of what wraps it for several devices."""
    if isinstance(model, nn.DataParallel):
        model = model.module
    if isinstance(model, nn.Module) and any(p.dtype == torch.float16 for p in model.parameters()):
        model = model.float()  # half precision was for the file; the CPU lacks many operations in it
    return model


# --- functions that make models ------------------------------------------------------------------------------------


def _made(name: str, weights: Any, seed: int) -> tuple[Any, tuple[Premise, ...]]:
    """The model of a factory, or the model itself where one is named, and what is taken for granted of its weights."""
    named = named_object(name, "model")
    if isinstance(named, nn.Module) or not callable(named):
        if not isinstance(named, nn.Module) and not is_black_box(named):
            raise OptionError(
                f"model {name} is a {type(named).__name__}; expected a network, or a function without arguments that makes one"
            )
        return named, ()
    model = _called(named, name, seed)
    if weights not in (None, "auto") or not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        return model, ()
    random = _random(model, _called(named, name, seed + 1))
    if not random:
        why = "no file of weights was given; weights can be"
        return model, (Premise(about="weights", value=f"those that {name} makes", source="assumed", why=why),)
    count = len(model.state_dict())
    value = (
        f"random (seed {seed})"
        if len(random) == count
        else f"random in {len(random)} of {count} tensors ({random[0]} first)"
    )
    why = f"{name} makes them anew, and no file of weights was given"
    return model, (Premise(about="weights", value=value, source="random", why=why),)


def _called(factory: Any, name: str, seed: int) -> Any:
    """What a factory makes; the surrounding random state stays as it is."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return factory()
    except IsothermError:
        raise
    except Exception as error:  # code of the user's raises anything at all
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise AdapterError(
            f"{name}() failed ({type(error).__name__}: {first}); expected a function without arguments that makes a network"
        ) from error


def _random(model: nn.Module, other: Any) -> list[str]:
    """Weights that a second one of the same network, made with another seed, has otherwise: nobody trained them."""
    if not isinstance(other, nn.Module):
        return []
    there = other.state_dict()
    return [
        key
        for key, tensor in model.state_dict().items()
        if key in there and there[key].shape == tensor.shape and not torch.equal(there[key], tensor)
    ]
