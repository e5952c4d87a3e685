"""Tasks of a desk that fail in every way."""

from __future__ import annotations

from isotherm.errors import InputError, OptionError
from isotherm.studio.store.blobs import NotThere


def full() -> None:
    """The disk is full, and another error says that something could not be written."""
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise InputError("it could not be written") from error


def locked() -> None:
    """The folder cannot be written to."""
    raise OSError(30, "Read-only file system")


def wrong() -> None:
    """A value that is not allowed."""
    raise OptionError("no")


def stumble() -> None:
    """A fault of the code."""
    raise KeyError("a")


def moved() -> None:
    """A file lies elsewhere by now."""
    raise FileNotFoundError("/a/run/that/has/ended.npz")


def absent() -> None:
    """A picture that a run does not have."""
    raise NotThere("the run has no picture 7")
