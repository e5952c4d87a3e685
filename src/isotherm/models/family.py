"""A family of models: how its models are recognised, opened by name, and read as objects.

Families are found through the entry point group ``isotherm.models``, isotherm's own as well as those of other packages,
so that a package can add one without a change here (docs/adding_models.md).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from isotherm.errors import AdapterError, MissingExtraError

GROUP = "isotherm.models"
OURS = "isotherm"

Function = TypeVar("Function", bound=Callable[..., Any])


class Fit(IntEnum):
    """How surely a model belongs to a family; the surest family reads it."""

    FALLBACK = 0
    """It has a form that the family can read, where nobody else claims it."""
    LIKELY = 1
    """The family knows the name, but others use such names as well."""
    NAMED = 2
    """The family knows the name, or the class is derived from one of its own."""
    OWN = 3
    """It is the family's own class, file or shipped model."""


@dataclass(frozen=True)
class Match:
    """That a model belongs to a family.

    Args:
        fit: how surely.
        reason: why, as a clause such as "resnet50 is a torchvision model"; it is shown beside every map.
        name: what ``load`` is given, where that is not the name as it was asked for.
    """

    fit: Fit
    reason: str
    name: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """Models that are opened and read in one way.

    Functions may be given as ``"module:function"``, which is imported when it is first needed, so that naming a family
    costs nothing.

    Args:
        name: also the prefix that asks for it, as in ``timm:resnet50``.
        matches: given a model's name or path (str) or a model object; None where the family does not know it. It must
            be cheap, must not open anything, and is only called for names where ``package`` is installed.
        load: ``load(name, *, ...) -> View | LanguageView``. Its keywords are the options that the family takes, such as
            weights, device, seed, names, size; an option that it has not is refused with the nearest ones that it has.
        wrap: ``wrap(model, *, ...) -> View | LanguageView`` of an object; None for families that are opened by name
            alone.
        prefixes: further prefixes.
        package, extra: what has to be installed, and the extra of isotherm that installs it; None where nothing is.
        names: the names that ``load`` knows, for messages that suggest the nearest.
        surest_name: the highest fit that ``matches`` gives a name. A family is not asked about a name of which another
            one is at least as sure, so that its package is not imported for nothing.
        shipped: its models come with isotherm.
        own: its models are the user's own modules.
    """

    name: str
    matches: Callable[[Any], Match | None]
    load: str | Callable[..., Any]
    wrap: str | Callable[..., Any] | None = None
    prefixes: tuple[str, ...] = ()
    package: str | None = None
    extra: str | None = None
    names: Callable[[], Iterable[str]] = field(default=tuple)
    surest_name: Fit = Fit.OWN
    shipped: bool = False
    own: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether isotherm itself has it, so that a failure of it is ours and is not passed over."""
        place = self.load if isinstance(self.load, str) else self.load.__module__
        return place.startswith("isotherm.")

    @property
    def is_installed(self) -> bool:
        """Whether the package that its models come from is there."""
        return self.package is None or importlib.util.find_spec(self.package) is not None

    @property
    def has_catalogue(self) -> bool:
        """Whether its models have names of their own in a package that can be asked."""
        return self.package is not None and self.names is not tuple

    def loader(self) -> Callable[..., Any]:
        """The function that opens a model by name. Raises IsothermError where the family's package is not installed."""
        return self._installed(self.load)

    def wrapper(self) -> Callable[..., Any]:
        """The function that reads a model object. Raises IsothermError where that is not possible."""
        if self.wrap is None:
            raise AdapterError(f"models of the family {self.name} are opened by name; objects of it cannot be read")
        return self._installed(self.wrap)

    def missing(self, job: str) -> AdapterError | MissingExtraError:
        """The error for a job that needs the package, which is not installed."""
        assert self.package is not None
        if self.extra is None:
            return AdapterError(f"{job} needs the package {self.package}, which is not installed; install it with pip")
        # what the extra installs is not always called as what is imported
        package = "ultralytics-opencv-headless" if self.package == "ultralytics" else self.package
        return MissingExtraError(package, self.extra, job)

    def _installed(self, function: str | Callable[..., Any]) -> Callable[..., Any]:
        if not self.is_installed:
            raise self.missing(f"opening a model of {self.name}")
        if not isinstance(function, str):
            return function
        module, _, name = function.partition(":")
        return getattr(importlib.import_module(module), name)


def takes_options_of(wrap: Callable[..., Any], *, but: Iterable[str] = ()) -> Callable[[Function], Function]:
    """A decorator for ``load(name, *, ..., **options)`` that hands its options on to ``wrap``: its signature names them
    as well.

    So the options of a family are listed once. Nothing is put around the function; what both take is its own.

    Args:
        wrap: whose keywords are handed on.
        but: those that are not.

    Example:
        >>> def wrap(model, *, names=None, size=None): ...
        >>> @takes_options_of(wrap)
        ... def load(name, *, seed=0, **options): ...
        >>> str(inspect.signature(load))
        '(name, *, seed=0, names=None, size=None)'
    """

    def with_signature(load: Function) -> Function:
        own = inspect.signature(load)
        mine = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        further = [
            p
            for name, p in inspect.signature(wrap).parameters.items()
            if p.kind is p.KEYWORD_ONLY and name not in own.parameters and name not in but
        ]
        load.__signature__ = own.replace(parameters=[*mine, *further])  # type: ignore[attr-defined]
        return load

    return with_signature


def named(pattern: str, what: str, *, wrapped: str = "") -> Callable[[Any], Match | None]:
    """The ``matches`` of a family that is known by its names and one class of its own.

    Args:
        pattern: a regular expression of the whole name.
        what: the reason, where a name fits.
        wrapped: ``module:class`` of its objects; nobody has one whose module was never imported, so it is not.

    Example:
        >>> named("leafnet(-small)?", "leafkit's network of leaves")("leafnet-small").reason
        "leafkit's network of leaves"
    """
    module, _, cls = wrapped.partition(":")

    def matches(model: Any) -> Match | None:
        if isinstance(model, str):
            return Match(Fit.OWN, what) if re.fullmatch(pattern, model) else None
        if any((base.__module__, base.__name__) == (module, cls) for base in type(model).__mro__):
            return Match(Fit.OWN, f"{type(model).__name__} is a network of {module.partition('.')[0]}'s own")
        return None

    return matches


def class_match(model: object, package: str) -> Match | None:
    """The match of a model whose class is of a package, or is derived from one of it."""
    kind = type(model).__name__
    for base in type(model).__mro__:
        if base.__module__.partition(".")[0] == package:
            if base is type(model):
                return Match(Fit.OWN, f"{kind} is a class of {package}, so the {package} adapter reads it")
            return Match(
                Fit.NAMED, f"{kind} is a subclass of {package}'s {base.__name__}, so the {package} adapter reads it"
            )
    return None


@cache
def families() -> dict[str, Family]:
    """All families that are installed, by name: those of other packages, those that ship with isotherm, and those of
    the model libraries.

    A family of another package that cannot be imported is left out with a warning, so that it does not take the others
    with it.

    Raises:
        AdapterError: two packages have a family of one name, or isotherm's own are missing from the installation.
    """
    by_name: dict[str, tuple[Family, EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (_owner(p) == OURS, ".zoo." not in p.value, p.name)):
        try:
            family = point.load()
            if not isinstance(family, Family):
                raise TypeError(f"it is a {type(family).__name__}, expected an isotherm.models.family.Family")
        except (Exception, SystemExit) as error:
            if _owner(point) == OURS:
                raise
            warnings.warn(
                f"the model family {point.name} of {_owner(point)} cannot be used ({type(error).__name__}: {error}); "
                "update or remove that package",
                RuntimeWarning,
                stacklevel=2,
            )
            continue
        if family.name in by_name and by_name[family.name][1].value != point.value:
            others = " and ".join(_owner(p) for p in (by_name[family.name][1], point))
            raise AdapterError(f"{others} both have a model family called {family.name}; uninstall one of them")
        by_name[family.name] = (family, point)
    if not any(_owner(point) == OURS for _, point in by_name.values()):
        raise AdapterError(
            "isotherm's own model families are not registered; install the package (pip install -e . in a source tree), "
            "so that its entry points are found"
        )
    return {name: family for name, (family, _) in by_name.items()}


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
