"""Whose request it is that is answered: one browser's, or that of scripts, which know the key."""

from __future__ import annotations

from contextvars import ContextVar

SCRIPTS = "scripts"
SESSION: ContextVar[str] = ContextVar("isotherm_session", default=SCRIPTS)
"""Set by the guard: a name for the browser's cookie, or :data:`SCRIPTS`."""
