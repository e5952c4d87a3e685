"""isotherm: heatmaps of any vision model, made, explained and shown; see the stub beside this file for the names.

The face is lazy: ``import isotherm`` imports no torch, and no model library until a model of it is used.
"""

import sys
from typing import Any

import lazy_loader

_lazy, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

MOVED = {"Target": "TrainingMap"}
"""Names that have changed, and what they are now."""


def __getattr__(name: str) -> Any:
    if name not in MOVED:
        return _lazy(name)
    message = f"isotherm.{name} is isotherm.{MOVED[name]}; give the new name"
    # "from isotherm import Target" asks through the import machinery, which would put its own words in place of these
    importing = sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap"
    raise (ImportError if importing else AttributeError)(message)
