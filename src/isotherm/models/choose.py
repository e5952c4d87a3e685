"""Which family reads a model: the one that recognises it most surely, by its name or by the class of an object.

Every choice comes back with a line that says what was chosen and why, because the same name may exist in
several packages.
"""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from torch import nn

from isotherm.cam.capture import original_module
from isotherm.cam.scores.naming import class_names
from isotherm.cam.view import View
from isotherm.errors import AdapterError, IsothermError, MissingExtraError, OptionError
from isotherm.models.family import Family, Fit, Match, families
from isotherm.models.held import held_by, with_its_name
from isotherm.models.own.black_box import is_black_box
from isotherm.models.own.family import FAMILY as OWN
from isotherm.models.own.trained_here import trained_here, words_of
from isotherm.models.weights.foreign import SUFFIXES, foreign_folder
from isotherm.models.weights.recognise import ModelFile, recognise
from isotherm.models.without_compiler import without_compiler
from isotherm.ops.devices import chosen_device
from isotherm.ops.names import near_names
from isotherm.vlm.view import LanguageView

EXAMPLES = (
    "imagenet",
    "resnet50",
    "timm:vit_small_patch16_224",
    "yolo11n.pt",
    "yoloe-11s-seg.pt",
    "facebook/detr-resnet-50",
    "scenes",
    "detector",
    "tiny-vlm",
)
ON_COMMAND_LINE = {
    "weights": "--weights",
    "preprocess": "--preprocess",
    "names": "--names",
    "activation": "--activation",
    "classes": "--classes",
    "like": "--like",
    "confidence": "--confidence",
    "gaze": "--gaze",
    "instruction": "--instruction",
    "size": "--size",
    "allow_code": "--allow-code",
    "dtype": "--dtype",
    "device": "--device",
    "seed": "--seed",
}
"""What the command line calls the options of families that it has."""
RENAMED = {"prompt": "class_prompt", "fuse": "fuse_batchnorm"}
"""What options of families were called when explaining had options of the same names."""
OF_MODELS = {
    ".safetensors",
    ".pth",
    ".pt2",
    ".bin",
    ".onnx",
    ".ckpt",
    ".torchscript",
    ".jit",
    ".gguf",
    ".keras",
    ".tar",
}
"""What names of files end with that hold models or weights, those of other tools apart."""


@dataclass(frozen=True, eq=False)
class OpenModel:
    """A view and the line that says how it was chosen."""

    view: View | LanguageView
    reason: str


def open_view(model: str | Path | nn.Module | View | LanguageView | Any, **options: Any) -> OpenModel:
    """A view of a model given by name, by file, or as an object.

    Args:
        model: a name (``resnet50``, ``yolo11n.pt``, ``timm:vit_small_patch16_224``, ``org/name`` of a hub or a
            local folder, ``imagenet`` for a network that was really trained, ``scenes``, ``detector`` and ``tiny-vlm``
            for the models that ship with isotherm), a module, a YOLO object, or a View.
        options: what the family takes: weights, allow_code, classes/text, confidence, size, names, device, seed, ...
            An option that the family does not know is an error.

    Raises:
        AdapterError: nothing fits; the message has the nearest names.
    """
    return open_with(model, options)


def open_with(
    model: Any, options: Mapping[str, Any], *, where_taken: Mapping[str, Any] | None = None, also: Sequence[str] = ()
) -> OpenModel:
    """:func:`open_view` for a front door that has options of its own.

    Args:
        model: as there, or one that is open already.
        where_taken: options which families that do not take them do without: the seed of random weights, of models that
            are opened by name, and what a module of one's own is tried with.
        also: the front door's own options, which a misspelt one may have meant.
    """
    if isinstance(model, str | Path):
        file = _file_of(str(model))
        if not _is_claimed(str(model)):
            held = held_by(str(model), options, (where_taken or {}).get("seed") or 0, file)
            if held is not None:
                opened = open_with(held.model, held.left, where_taken=where_taken, also=also)
                return OpenModel(with_its_name(opened.view, held), f"{held.reason}; {opened.reason}")
        with without_compiler():  # the library that the model is of is imported here
            family, match = _of_checkpoint(file) or family_of_name(str(model))
            load = family.loader()
            taken = inspect.signature(load).parameters
            options = {**options, **{k: v for k, v in (where_taken or {}).items() if k in taken}}
            return OpenModel(_call(family, load, match.name or str(model), options, also), match.reason)
    if isinstance(model, OpenModel) or (isinstance(model, View | LanguageView) and not isinstance(model, nn.Module)):
        if options:
            raise OptionError(
                f"a ready view takes no options ({', '.join(options)}){near_names(list(options), also)}; set them where the view is made"
            )
        if isinstance(model, OpenModel):
            return model
        return OpenModel(model, f"view {type(model).__name__} as given")
    inner = model if not isinstance(model, nn.Module) or is_black_box(model) else original_module(model)
    family, match = family_of_object(inner)
    wrap = family.wrapper()
    if family.own:
        options = {
            **options,
            **{k: v for k, v in (where_taken or {}).items() if k in inspect.signature(wrap).parameters},
        }
    return OpenModel(_call(family, wrap, inner, options, also), match.reason)


def open_as(family: Family, model: Any, options: Mapping[str, Any], *, also: Sequence[str] = ()) -> View:
    """A view of an object by a family that the caller chooses.

    Args:
        also: the front door's own options, which a misspelt one may have meant.

    Raises:
        AdapterError: the object is of no form that the family reads.
    """
    mistake = _mistake(model)
    if mistake is None and family.matches(model) is None:
        mistake = f"an object of the class {type(model).__name__} is not a model that isotherm can read; give a torch.nn.Module"
    if mistake is not None:
        raise AdapterError(mistake)
    inner = model if not isinstance(model, nn.Module) or is_black_box(model) else original_module(model)
    view = _call(family, family.wrapper(), inner, options, also)
    assert isinstance(view, View)
    return view


def family_of_object(model: object) -> tuple[Family, Match]:
    """The family that reads a model object, and why."""
    mistake = _mistake(model)
    if mistake is not None:
        raise AdapterError(mistake)
    if isinstance(model, nn.Module) and is_black_box(model):
        match = OWN.matches(model)
        assert match is not None
        return OWN, match
    surest = _surest(model)
    if surest is None:
        raise AdapterError(
            f"an object of the class {type(model).__name__} is not a model that isotherm can read; give a torch.nn.Module, a YOLO object, "
            "a model's name, or an object that fulfils isotherm.cam.view.View"
        )
    return surest


def _mistake(model: object) -> str | None:
    """What is wrong with something that belongs to a model and is none, and what to do; None for all else."""
    if isinstance(model, Mapping):
        return (
            f"the model is a mapping ({', '.join(str(key) for key in list(model)[:3]) or 'empty'}): weights without their network; load them into "
            "the network by load_state_dict and give that, or save them and give the file as weights= beside the network's name"
        )
    if isinstance(model, Enum):
        return f"the model is {model}, which are weights; give the network's name, or a network that was made with them"
    if isinstance(model, type):
        return f"the model is {getattr(model, '__name__', model)} itself, which makes models; call it, and give what it returns"
    return None


def family_of_name(name: str) -> tuple[Family, Match]:
    """The family that opens a model by its name or path, and why.

    Raises:
        AdapterError: no family knows it; the message says what is wrong with a path, or has the nearest names.
        MissingExtraError: the package that may know it is not installed.
    """
    prefix, colon, rest = name.partition(":")
    if colon:
        for family in families().values():
            if prefix in (family.name, *family.prefixes):
                return family, Match(Fit.OWN, f"{rest} from {family.name}, as the prefix says", rest)
    if (by_its_file := trained_here(name) or _of_checkpoint(_file_of(name))) is not None:
        return by_its_file
    surest = _surest(name)
    if surest is None or surest[1].fit == Fit.FALLBACK:
        _check_path(name)
    if surest is None:
        raise _unknown(name)
    return surest


def _file_of(name: str) -> ModelFile | None:
    """What the file of a name is, which is slow of a pickle; None where there is none, or a family claims the name."""
    path = Path(name).expanduser()
    return recognise(path) if path.is_file() and not _is_claimed(name) else None


def _of_checkpoint(file: ModelFile | None) -> tuple[Family, Match] | None:
    """The family of a file of ultralytics, and why; None for all other files."""
    if file is None or file.kind not in ("ultralytics", "description"):
        return None
    return families()["ultralytics"], Match(Fit.OWN, f"{file.fpath.name} is {file.words}")


def _is_claimed(name: str) -> bool:
    """Whether a family's prefix stands in front of a name, or another package's family opens it, whatever file it
    is, or a training of ours wrote it.
    """
    prefix, colon, _ = name.partition(":")
    return trained_here(name) is not None or any(
        (colon and prefix in (family.name, *family.prefixes))
        or (not family.is_ours and family.is_installed and _match(family, name) is not None)
        for family in families().values()
    )


def _surest(model: Any) -> tuple[Family, Match] | None:
    """The family whose match has the highest fit; of several the first, since other packages' families come first and
    were installed on purpose.
    """
    surest: tuple[Family, Match] | None = None
    candidates: Iterable[Family] = families().values()
    if isinstance(model, str):
        candidates = sorted(candidates, key=lambda family: -family.surest_name)  # keeps the order of equals
    for family in candidates:
        most = family.surest_name if isinstance(model, str) else Fit.OWN
        if surest is not None and surest[1].fit >= most:
            break  # neither this one nor those behind it can be surer
        match = _match(family, model)
        if match is not None and (surest is None or match.fit > surest[1].fit):
            surest = family, match
    match = OWN.matches(model)
    if match is not None and (surest is None or match.fit > surest[1].fit):
        return OWN, match
    return surest


def _match(family: Family, model: Any) -> Match | None:
    """What a family says of a model; one of another package that fails is left out with a warning, as one that cannot
    be imported is.
    """
    try:
        match = family.matches(model)
        if match is not None and not isinstance(match, Match):
            raise TypeError(f"matches gave {match!r}, expected an isotherm.models.family.Match or None")
    except Exception as error:
        if family.is_ours:
            raise
        warnings.warn(
            f"the model family {family.name} ({family.load}) was left out, since its matches failed "
            f"({type(error).__name__}: {error}); update or remove its package",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return match


def _check_path(name: str) -> None:
    """Raises AdapterError for a path that nothing can open, with what is wrong with it."""
    path = Path(name).expanduser()
    if path.is_dir():
        form = foreign_folder(path)
        if form is not None:
            raise AdapterError(
                f"the folder {name} is {form.words}; {form.advice}",
                command_line=f"the folder {name} is {form.words}; {form.instead or form.advice}",
            )
        raise AdapterError(
            f"the folder {name} has no config.json, so it is not a saved transformers model; give its folder or a model's name"
        )
    suffix = path.suffix.lower()
    if suffix in {".pt", ".yaml", ".yml"}:
        raise AdapterError(
            f"there is no file {name}, and it is not the name of an ultralytics model such as yolo11n.pt or yoloe-11s-seg.pt"
        )
    if suffix in OF_MODELS or suffix in SUFFIXES:
        raise AdapterError(f"there is no file {name}; check the path")


def _call(
    family: Family, function: Callable[..., Any], first: Any, options: Mapping[str, Any], also: Sequence[str] = ()
) -> View | LanguageView:
    values = {k: v for k, v in options.items() if v is not None}
    known = list(inspect.signature(function).parameters)[1:]
    unknown = sorted(set(values) - set(known))
    if unknown:
        if "trust" in unknown:
            raise OptionError(
                f"trust is how thoroughly maps are judged; a file that may run code while it is opened is named with allow_code={values['trust']!s:.80}"
            )
        for name in unknown:
            if RENAMED.get(name) in known:
                raise OptionError(f"{name}= is called {RENAMED[name]}= where a model of {family.name} is opened")
        if "like" in unknown:
            raise OptionError(
                f"a model of {family.name} cannot be shown by boxes what to look for (like); take a YOLOE, such as yoloe-11s-seg.pt",
                command_line=f"a model of {family.name} cannot be shown by boxes what to look for (--like); take a YOLOE, such as --model yoloe-11s-seg.pt",
            )
        who = (
            "a module of one's own takes"
            if family.own
            else f"{words_of(family)} that was trained here is used as it was trained and takes"
            if words_of(family)
            else f"{family.name}, which ships with isotherm, takes"
            if family.shipped
            else f"{family.name} models take"
        )
        offered = [ON_COMMAND_LINE[name] for name in sorted(known) if name in ON_COMMAND_LINE]
        raise OptionError(
            f"{who} no option {', '.join(unknown)}{near_names(unknown, [*known, *also])}; known are {', '.join(sorted(known))}",
            command_line=f"{who} no {', '.join(ON_COMMAND_LINE.get(name, name) for name in unknown)}; leave it out (known are {', '.join(offered) or 'none'})",
        )
    reads = {"names": class_names, **({"device": chosen_device} if family.is_ours else {})}
    values |= {name: read(values[name]) for name, read in reads.items() if name in values}
    return function(first, **values) if family.is_ours else _foreign(family, function, first, values)


def _foreign(
    family: Family, function: Callable[..., Any], first: Any, values: Mapping[str, Any]
) -> View | LanguageView:
    """What a family of another package makes of a model; an error of it names the family and where it comes from."""
    who = f"the model family {family.name} ({function.__module__}.{function.__qualname__})"
    try:
        view = function(first, **values)
    except IsothermError:
        raise
    except Exception as error:
        raise AdapterError(
            f"{who} failed ({type(error).__name__}: {error}); update its package, or look at the error behind this one"
        ) from error
    if not isinstance(view, View | LanguageView):
        raise AdapterError(
            f"{who} gave {view!r:.80}; expected an object that fulfils isotherm.cam.view.View or isotherm.vlm.view.LanguageView"
        )
    return view


def _unknown(name: str) -> AdapterError | MissingExtraError:
    """The error for a name that no family knows: the nearest names, or the package that might know it and is
    missing.
    """
    completed = _surest(f"{name}.pt")  # the file's name without its ending
    if completed is not None and completed[1].fit == Fit.OWN and not completed[0].is_installed:
        return completed[0].missing(f"there is no model {name!r}, but there may be a {name}.pt, and opening it")
    catalogues = [family for family in families().values() if family.has_catalogue]
    missing = [family for family in catalogues if not family.is_installed]
    known = [example for example in EXAMPLES if not example.endswith(name)]
    for family in families().values():
        if family.is_installed:
            known += family.names()
    # where a package cannot be asked, only what is clearly a slip is taken for one
    near = difflib.get_close_matches(name, dict.fromkeys(known), n=5, cutoff=0.75 if missing else 0.5)
    if missing and not near:
        return missing[0].missing(
            f"{name!r} is not a file or folder, nor a model that ships with isotherm; looking it up among {missing[0].name}'s models"
        )
    return AdapterError(
        f"there is no model {name!r}: not a file or folder, nor a name in {' or '.join(f.name for f in catalogues)}"
        + (
            f" (but {', '.join(f.name for f in missing)} could not be asked, not being installed: pip install 'isotherm[models]')"
            if missing
            else ""
        )
        + "; "
        + (f"did you mean {', '.join(near)}? " if near else "")
        + f"Examples: {', '.join(EXAMPLES)}"
    )
