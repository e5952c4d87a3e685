"""Size: a raster's (h, w). By itself, so that reading pictures and videos needs no torch."""

from __future__ import annotations

Size = tuple[int, int]
"""A raster's (h, w)."""
