"""What a result was made with: versions of isotherm, Python and the packages that shape it."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from isotherm.version import __version__

_PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "torchvision",
    "timm",
    "transformers",
    "ultralytics-opencv-headless",
    "ultralytics",
    "av",
)


def versions() -> dict[str, str]:
    """Versions of isotherm, Python and of the packages that shape a result, as far as installed."""
    found = {"isotherm": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            # a module that is loaded knows its build as well (torch: +cu132), its package does not
            found[package] = str(getattr(sys.modules.get(package), "__version__", "")) or metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
