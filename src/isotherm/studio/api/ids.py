"""Ids in addresses: anything else is refused before it is looked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="32 letters of 0-9 and a-f", examples=["0" * 32])]
