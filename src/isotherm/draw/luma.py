"""Luma: the light and shade of a pixel, as one number."""

from __future__ import annotations

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue in it (ITU-R BT.601), as JPEG and Pillow have it."""

SHADES = 256
"""Its values in an 8-bit picture."""
