"""What the parts of the studio's interface work with, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isotherm.studio.desk.desk import Desk
from isotherm.studio.heatmaps import HeatmapFolder
from isotherm.studio.live.cameras import Cameras
from isotherm.studio.requests import SHIPPED
from isotherm.studio.store.history import History
from isotherm.studio.work.workroom import Workroom


@dataclass(frozen=True, kw_only=True)
class Studio:
    """A running studio.

    Args:
        history: runs, pictures and remarks, across restarts.
        room: where runs wait and are worked on.
        pictures: the process that looks at pictures as they come in.
        heatmaps: where every finished map is a picture by its time.
        exports: the process that draws and lists what takes longer.
        dpath: the studio's folder, for what can be made again.
        models: that may be asked for, by the names that ``--model`` takes.
        devices: that may be asked for.
        facts: what the page must know once, as :func:`isotherm.studio.desk.facts.facts` has it.
        cameras: of this machine, which were named where the studio was started.
        snapshots: id of the last picture that came in, of each session.
        example: id of the run that the page opens with; a list, so that it can be filled in later.
    """

    history: History
    room: Workroom
    pictures: Desk
    exports: Desk
    heatmaps: HeatmapFolder
    dpath: Path
    models: tuple[str, ...] = SHIPPED
    devices: tuple[str, ...] = ("auto", "cpu")
    facts: Mapping[str, Any] = field(default_factory=dict)
    cameras: Cameras = field(default_factory=Cameras)
    snapshots: dict[str, str] = field(default_factory=dict)
    example: list[str] = field(default_factory=list)
