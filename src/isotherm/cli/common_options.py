"""What every command takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Common:
    debug: bool = False
    """Show the traceback of an error."""
    quiet: bool = False
    """Print only the summary and errors."""
