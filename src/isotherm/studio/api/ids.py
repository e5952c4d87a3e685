"""Ids in addresses: anything else is refused before it is looked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from isotherm.studio.api.wording import ID_PATTERN

Id = Annotated[str, Path(pattern=ID_PATTERN, description="32 letters of 0-9 and a-f", examples=["0" * 32])]
