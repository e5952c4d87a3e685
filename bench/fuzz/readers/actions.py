"""Tables of actions, and what is kept of videos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.fuzz.reader import Reader
from isotherm.data.anticipation.cache import CachedFeatures, cache_features
from isotherm.data.anticipation.egtea import read_egtea_raw, read_index
from isotherm.data.anticipation.epic_kitchens import read_class_names, read_missing_timestamps, read_video_info
from isotherm.data.anticipation.read import read_actions
from isotherm.data.anticipation.windows import Window, WindowFolder
from isotherm.frame import Frame

HEADER = "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
EPIC = f"""{HEADER}
P90_01_0,P90,P90_01,00:00:09.500,00:00:10.00,00:00:12.00,600,720,open drawer,open,3,drawer,8,"['drawer', 'hand']","[8, 11]"
P90_01_1,P90,P90_01,,00:01:00.25,00:01:00.75,3615,3645,take lid,take,0,lid,20,['lid'],[20]
"""
VIDEOS = "video_id,duration,fps,resolution\nP90_01,90.5,59.9400599400599,1920x1080\nP90_02,60.0,30.0,1280x720\n"
NAMES = "id,key,instances,category\n0,take,\"['take']\",any\n3,open,\"['open']\",any\n"
SPLIT = "OP01-R01-PastaSalad-1002316-1004005-F024051-F024101 1 2 3\nP02-R03-BaconAndEggs-139870-143190-F003325-F003425 10 1 22\n"
INDEX = "Open 1\nTake 2\nInspect/Read 3\n"
RAW = "Clip Prefix (Unique);Video Session;Starting Time (ms);Ending Time (ms);Action Label;Verb Label;Noun Label(s)\nOP01-R01-PastaSalad-1002316-1004005-F024051-F024101;OP01-R01-PastaSalad;1002316;1004005;Open Fridge;open;fridge\n"
CLIP = {
    "clip_uid": "c1",
    "video_uid": "v1",
    "action_idx": 4,
    "clip_parent_start_sec": 100.0,
    "action_clip_start_sec": 3.5,
    "action_clip_end_sec": 5.0,
    "verb_label": 7,
    "noun_label": 2,
    "verb": "pull",
    "noun": "rope",
}
OBJECT = {"box": [1, 2, 3, 4], "verb_category_id": 5, "noun_category_id": 6, "time_to_contact": 0.75}
SHORT_TERM = {
    "info": {"video_metadata": {"v1": {"fps": 30.0, "frame_width": 1920, "frame_height": 1440}}},
    "annotations": [
        {"uid": "s1", "video_id": "v1", "frame": 600, "clip_uid": "c1", "clip_frame": 300, "objects": [OBJECT, OBJECT]}
    ],
}


def _plain(*contents: Any) -> Any:
    return lambda folder: [
        content.encode() if isinstance(content, str) else json.dumps(content).encode() for content in contents
    ]


def _features(folder: Path) -> Path:
    cache = cache_features(["a", "b", "c"], _encoded, folder, weights="w", settings={}, batch=2)
    return cache.dpath


def _encoded(rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows).float()[:, None, None].expand(-1, 2, 3)


def _of_features(name: str) -> Any:
    return lambda folder: [(_features(folder) / name).read_bytes()]


def _beside_features(folder: Path) -> None:
    for fpath in _features(folder / "made").iterdir():
        if fpath.is_file():
            fpath.rename(folder / fpath.name)


def _cached(path: Path) -> None:
    cache = CachedFeatures(path.parent)
    cache.verify()
    assert cache[torch.arange(min(len(cache), 3))] is not None


def _windows(folder: Path) -> Sequence[bytes]:
    video = torch.zeros(3, 3, 4, 5, dtype=torch.uint8)
    window = Window(video.__getitem__, Frame.resize((8, 10), (4, 5)), np.arange(3) / 10, video.nbytes)
    assert WindowFolder(folder, 1 << 20).keep("w", window)
    return [(folder / "w.npy").read_bytes()]


def _window(path: Path) -> None:
    window = WindowFolder(path.parent, 1 << 20).get("w", Frame.resize((8, 10), (4, 5)))
    if window is not None:
        window.pictures(list(range(len(window.time_s))))


READERS = (
    Reader(
        name="actions of EPIC-KITCHENS",
        sources=("data/anticipation/epic_kitchens.py", "data/anticipation/columns.py", "data/anticipation/read.py"),
        form="csv",
        call=read_actions,
        fname="actions.csv",
        seeds=_plain(EPIC),
    ),
    Reader(
        name="videos of EPIC-KITCHENS",
        sources=("data/anticipation/epic_kitchens.py",),
        form="csv",
        call=read_video_info,
        fname="EPIC_100_video_info.csv",
        seeds=_plain(VIDEOS),
    ),
    Reader(
        name="classes of EPIC-KITCHENS",
        sources=("data/anticipation/epic_kitchens.py",),
        form="csv",
        call=read_class_names,
        fname="classes.csv",
        seeds=_plain(NAMES),
    ),
    Reader(
        name="missing times of EPIC-KITCHENS",
        sources=("data/anticipation/epic_kitchens.py",),
        form="csv",
        call=read_missing_timestamps,
        fname="missing.csv",
        seeds=_plain("narration_id\nP90_01_0\n"),
    ),
    Reader(
        name="split of EGTEA",
        sources=("data/anticipation/egtea.py", "data/anticipation/read.py"),
        form="text",
        call=read_actions,
        fname="split.txt",
        seeds=_plain(SPLIT),
    ),
    Reader(
        name="raw annotations of EGTEA",
        sources=("data/anticipation/egtea.py",),
        form="csv",
        call=read_egtea_raw,
        fname="raw.csv",
        seeds=_plain(RAW),
    ),
    Reader(
        name="index of EGTEA",
        sources=("data/anticipation/egtea.py",),
        form="text",
        call=read_index,
        fname="verbs.txt",
        seeds=_plain(INDEX),
    ),
    Reader(
        name="actions of Ego4D",
        sources=("data/anticipation/ego4d.py",),
        form="json",
        call=read_actions,
        fname="fho.json",
        seeds=_plain({"version": "1", "clips": [CLIP]}, SHORT_TERM),
    ),
    Reader(
        name="note of features",
        sources=("data/anticipation/cache.py",),
        form="json",
        call=_cached,
        fname="features.json",
        prepare=_beside_features,
        seeds=_of_features("features.json"),
        names_file=False,
    ),
    Reader(
        name="features of clips",
        sources=("data/anticipation/cache.py",),
        form="safetensors",
        call=_cached,
        fname="00000.safetensors",
        prepare=_beside_features,
        seeds=_of_features("00000.safetensors"),
        names_file=False,
    ),
    Reader(
        name="frames of a clip window",
        sources=("data/anticipation/windows.py",),
        form="npz",
        call=_window,
        fname="w.npy",
        seeds=_windows,
    ),
)
