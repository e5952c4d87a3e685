"""The command line."""

from isotherm.cli.main import main

__all__ = ["main"]
