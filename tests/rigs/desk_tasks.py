"""Tasks of a desk that fail in every way."""

from __future__ import annotations

from isotherm.errors import InputError, OptionError


def full() -> None:
    """The disk is full, and another error says that something could not be written."""
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise InputError("it could not be written") from error


def wrong() -> None:
    """A value that is not allowed."""
    raise OptionError("no")


def stumble() -> None:
    """A fault of the code."""
    raise KeyError("a")
