"""What the page shows of a run, ready to be sent: written once by the process that has the maps in memory.

In the run's folder ``view/``, for picture number N: ``N.json`` (findings, notes and what each map is), ``N.f16`` (the
maps' values, one behind the other), ``N.jpg`` and ``N.thumb.jpg`` (the picture, upright), and ``N.map.jpg`` (the small
one with its first map over it, where that says anything). ``pictures.jsonl`` gains a line for each picture as soon as
it can be shown, so that a batch can be looked at while it runs, and another in its place when its maps were checked.
Nothing here is forced to the disk while somebody waits: a run's folder counts from when it is kept on.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from isotherm.atomic import atomic_write
from isotherm.data.names import moment_words
from isotherm.draw.colour import Scale, scale_of, shared_scale
from isotherm.draw.describe import in_halves, page_map, silence_of
from isotherm.draw.overlay import overlay_tile
from isotherm.draw.style import Style
from isotherm.heatmap import Heatmap
from isotherm.metrics.localisation import box_coverage, energy_inside
from isotherm.studio.desk.pictures import THUMB_SIDE, save_shown
from isotherm.studio.heatmaps import HeatmapFolder
from isotherm.studio.view_files import FOLDER, INDEX

SMALL = Style(lines=(), peak=False, unseen=False)
"""Of pictures that are listed: lines would be all that is seen of them."""
BINS = 32
"""Of a histogram."""
OF_A_MAP = ("method", "layer", "model", "score", "probability", "confidence", "part", "finding")
"""Facts of a map that the page shows as they are."""


@dataclass
class _Shown:
    """A picture of the run that can be shown, and is not complete yet.

    Args:
        item: the name of the item that it belongs to.
        index: its number.
        fpath: the file of what the page knows of it, which is ``view``.
        thumb: writes the small pictures; None when that is done.
        blocks: where the values of maps lie in their file. What was told of one stays there, as somebody may be reading
            with what the page knew before.
    """

    item: str
    index: int
    fpath: Path
    view: dict[str, Any]
    thumb: Callable[[], None] | None
    blocks: dict[bytes, int]


class ViewWriter:
    """Writes the view of one run.

    Args:
        folder: the run's.
        command: that asks for the same.
        heatmaps: where every map is kept by its time as well; None: nowhere.
    """

    def __init__(self, folder: Path, *, command: str, heatmaps: HeatmapFolder | None = None) -> None:
        self._run, self._folder, self._command, self._heatmaps = folder, folder / FOLDER, command, heatmaps
        self._count = 0
        self._ahead: deque[list[_Shown]] = deque()  # items whose files are not named yet
        self._open: list[_Shown] = []  # pictures of the item whose check is not told of yet

    def preview(
        self,
        facts: Mapping[str, Any],
        picture: UInt8[np.ndarray, "H W 3"],
        maps: Sequence[Heatmap],
        lines: Sequence[str] = (),
    ) -> None:
        """Write an item before its files are there; :meth:`add` of the same item, in the same order, then only names
        them. The same item again, before that, has further maps: it takes the place of the first.

        Args:
            facts: as in :meth:`add`, without files.
            picture: what the maps lie over.
            maps: in the order of the record.
            lines: of a question: what was asked and answered.
        """
        name = str(facts["name"])
        place = next((i for i, pictures in enumerate(self._ahead) if pictures[0].item == name), None)
        if place is None:
            self._ahead.append(self._item(facts, picture, maps, lines))
        else:
            self._ahead[place] = self._item(facts, picture, maps, lines, before=self._ahead[place])

    def add(
        self,
        facts: Mapping[str, Any],
        picture: UInt8[np.ndarray, "H W 3"],
        maps: Sequence[Heatmap],
        lines: Sequence[str] = (),
    ) -> None:
        """Write an item: one picture with its maps, or of a clip one for each of its moments.

        Args:
            facts: the item's line in the run's record.
            picture: what the maps lie over.
            maps: in the order of the record.
            lines: of a question: what was asked and answered.
        """
        is_ahead = bool(self._ahead) and self._ahead[0][0].item == str(facts["name"])
        self._open = self._ahead.popleft() if is_ahead else self._item(facts, picture, maps, lines)
        kept = [self._files(facts, i) for i in range(len(maps))]
        for shown in self._open:
            if shown.thumb is not None:
                shown.thumb()
                shown.thumb = None
            for entry, files in zip(shown.view["maps"], kept, strict=True):
                entry.update(files)
            _write(shown.fpath, _json(shown.view))

    def judge(self, facts: Mapping[str, Any]) -> None:
        """Write the verdicts of the item that was added last.

        Args:
            facts: its line in the run's record.
        """
        for shown in self._open:
            for entry, known in zip(shown.view["maps"], facts.get("maps", ()), strict=True):
                entry.update(_verdict(known))
            _write(shown.fpath, _json(shown.view))
            self._list(_summary(shown.view), shown.index)

    def _item(
        self,
        facts: Mapping[str, Any],
        picture: UInt8[np.ndarray, "H W 3"],
        maps: Sequence[Heatmap],
        lines: Sequence[str],
        *,
        before: Sequence[_Shown] = (),
    ) -> list[_Shown]:
        """Write an item's picture, or that of each of its moments; before: what was shown of it with fewer maps."""
        if not maps or maps[0].moments is None:
            none, earlier = [None] * len(maps), before[0] if before else None
            return [
                self._add(facts, str(facts["name"]), picture, list(maps), none, lines, facts.get("time_s"), earlier)
            ]
        scales = [shared_scale([heatmap]) for heatmap in maps]
        shown = []
        for i, moment in enumerate(maps[0]):
            assert moment.moments is not None
            assert moment.picture is not None
            times = moment.moments.times_s
            when = None if times is None else float(times[0][0])
            name = f"{facts['name']}, {moment.moments.names[0]}"
            shown.append(self._add(facts, name, moment.picture, [one[i] for one in maps], scales, lines, when))
        return shown

    def fail(self, name: str, reason: str) -> None:
        """Take down that an item failed, and why; maps of it that were shown meanwhile are not kept."""
        line = {"name": name, "status": "failed", "error": reason, "maps": 0}
        early = next((pictures for pictures in self._ahead if moment_words(pictures[0].item) == name), None)
        if early is not None:
            self._ahead.remove(early)
        self._list({**line, "verdicts": [], "checking": False, "labels": []}, early[0].index if early else None)

    def _add(
        self,
        facts: Mapping[str, Any],
        name: str,
        picture: UInt8[np.ndarray, "H W 3"],
        maps: list[Heatmap],
        scales: Sequence[Scale | None],
        lines: Sequence[str],
        moment_s: float | None,
        before: _Shown | None = None,
    ) -> _Shown:
        """Write a picture of the run, but for the small ones, which nobody waits for."""
        self._folder.mkdir(exist_ok=True)
        findings = list(facts.get("findings", ()))
        boxes = [list(one["box"]) for one in findings]
        recorded = list(facts.get("maps", ())) or [dict(one.meta) for one in maps]
        entries, blocks = [], dict(before.blocks) if before else {}
        for heatmap, scale, known in zip(maps, scales, recorded, strict=True):
            entry, block = self._map(heatmap, scale, known, boxes)
            offset = blocks.setdefault(block, sum(map(len, blocks)))
            entries.append(entry | {"offset": offset, "bytes": len(block), "files": [], "heatmap": None})
        h, w = picture.shape[:2]
        view = {
            "name": name,
            "h": h,
            "w": w,
            "boxes": boxes,
            "labels": [f"{one['label']} {one['confidence']:.2f}" for one in findings],
            "findings": findings,
            "lines": list(lines),
            "words": [{"text": word, "index": i} for i, word in enumerate((facts.get("answer") or "").split())]
            if facts.get("question")
            else [],
            **{key: list(facts.get(key, ())) for key in ("notes", "chosen", "warnings")},
            **{key: facts.get(key) for key in ("question", "answer", "forced", "count")},
            "moment_s": moment_s,
            "maps": entries,
        }
        index = self._count if before is None else before.index
        stem = self._folder / f"{index:05d}"
        _write(stem.with_suffix(".f16"), b"".join(blocks))
        image = Image.fromarray(picture)
        if before is None:
            save_shown(image, stem.with_suffix(".jpg"), durable=False)

        def thumb() -> None:
            save_shown(image, stem.with_suffix(".thumb.jpg"), THUMB_SIDE, durable=False)
            if maps and not silence_of(maps[0]):
                small = _small(image, maps[0], scales[0])
                save_shown(small, stem.with_suffix(".map.jpg"), THUMB_SIDE, durable=False)

        _write(stem.with_suffix(".json"), _json(view))
        self._list(_summary(view), None if before is None else index)
        return _Shown(str(facts["name"]), index, stem.with_suffix(".json"), view, thumb, blocks)

    def _map(
        self, heatmap: Heatmap, scale: Scale | None, known: Mapping[str, Any], boxes: Sequence[Sequence[float]]
    ) -> tuple[dict[str, Any], bytes]:
        facts, values = page_map(heatmap, scale)
        unit, halves = in_halves(values)
        statistics = {**known.get("statistics", {}), "histogram": _histogram(halves, unit)}
        statistics["mass_per_box"] = _masses(heatmap, boxes)
        entry = {
            **facts,
            "type": "f2",
            "unit": unit,
            **{key: known.get(key) for key in OF_A_MAP},
            **_verdict(known),
            "statistics": statistics,
            "command": self._command,
        }
        return entry, halves.tobytes()

    def _files(self, facts: Mapping[str, Any], number: int) -> dict[str, Any]:
        """The names of a map's own files, and of its picture by the time it was made."""
        files = [name for name in facts.get("files", ()) if f".{number:02d}-" in name]
        drawn = next((name for name in files if name.endswith(".jpg")), None)
        kept = None if drawn is None or self._heatmaps is None else self._heatmaps.keep(self._run / drawn)
        return {"files": files, "heatmap": kept}

    def _list(self, line: Mapping[str, Any], index: int | None = None) -> None:
        """A line for the next picture, or in the place of an earlier one."""
        self._folder.mkdir(exist_ok=True)
        with (self._folder / INDEX).open("ab") as file:
            file.write(_json({"index": self._count if index is None else index, **line}) + b"\n")
        self._count += index is None


def _small(image: Image.Image, heatmap: Heatmap, scale: Scale | None) -> Image.Image:
    """The picture as small as it is listed, with the map over it that is shown first."""
    tile = image.copy()
    tile.thumbnail((THUMB_SIDE, THUMB_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return overlay_tile(heatmap, tile, scale=scale or scale_of(heatmap), style=SMALL)


def _summary(view: Mapping[str, Any]) -> dict[str, Any]:
    """What a gallery sorts and filters by."""
    maps = view["maps"]
    scores = [one["score"] for one in maps if isinstance(one["score"], int | float)]
    peaks = [one["statistics"]["max"] for one in maps if "max" in one["statistics"]]
    return {
        **{key: view[key] for key in ("name", "h", "w", "moment_s")},
        "status": "done",
        "error": None,
        "maps": len(maps),
        "verdicts": [one["verdict"] for one in maps],
        "checking": any(one["checking"] for one in maps),
        "labels": [one["label"] for one in maps],
        "score": max(scores, default=None),
        "peak": max(peaks, default=None),
    }


def _verdict(known: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of whether to believe a map; ``checking``: that is being found out."""
    return {
        "verdict": known.get("verdict"),
        "judgement": known.get("judgement"),
        "trust": known.get("trust") or "",
        "checking": bool(known.get("checking")),
    }


def _histogram(halves: np.ndarray, unit: float) -> dict[str, list[float]] | None:
    """How many cells have values between each two edges; None where no value is finite."""
    finite = halves[np.isfinite(halves)].astype(np.float64) * unit
    if not finite.size:
        return None
    counts, edges = np.histogram(finite, BINS)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _masses(heatmap: Heatmap, boxes: Sequence[Sequence[float]]) -> list[float | None]:
    """Which part of the positive values lies in each box; None of a map without any."""
    if not boxes:
        return []
    values = torch.nan_to_num(heatmap.values.detach().cpu().double(), posinf=0.0, neginf=0.0)
    inside = heatmap.frame.boxes_from_source(torch.tensor(boxes, dtype=torch.float64))
    coverage = box_coverage(inside, heatmap.frame.size)
    masses = energy_inside(values.expand(len(boxes), -1, -1), coverage).tolist()
    return [mass if math.isfinite(mass) else None for mass in masses]


def _write(fpath: Path, data: bytes) -> None:
    with atomic_write(fpath, durable=False) as file:
        file.write(data)


def _json(value: Any) -> bytes:
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    """The same with None for the numbers that JSON has not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
