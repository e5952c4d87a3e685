"""Recordings of gaze, as eye trackers write them and as they are kept here."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.fuzz.reader import Reader
from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.beside import Beside
from isotherm.data.gaze.formats import ReadOptions, read_raw, read_world_timestamps
from isotherm.data.gaze.formats.aria_camera import read_calibration
from isotherm.data.gaze.head_boxes import read_head_boxes
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.store import MapOptions
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.data.gaze.zarr_store import ZarrWriter

EGO4D = (
    "canonical_timestamp_s,norm_pos_x,norm_pos_y,confidence\n0.0,0.25,0.75,1.0\n0.033333,0.5,0.1,0.98\n0.066667,,,0.0\n"
)
PUPIL = "gaze_timestamp,world_index,confidence,norm_pos_x,norm_pos_y,base_data\n342391.203481,0,0.96,0.25,0.75,342391.2-0 342391.2-1\n342391.207,0,0.3,0.30,0.34,342391.2-0\n342391.24,1,1.0,0.5,-0.1,342391.2-0 342391.3-1\n"
NEON = "section id,recording id,timestamp [ns],gaze x [px],gaze y [px],worn,fixation id,blink id\na,b,1754690230077095946,799.5,599.5,1.0,1,\na,b,1754690230082095946,10.0,20.0,1.0,,7\na,b,1754690230087095946,10.0,20.0,0.0,,\n"
EXO = "frame_num,tracking_timestamp_us,x,y\n0,148502622,703.5,703.5\n1,148602622,,\n"
ARIA = "tracking_timestamp_us,yaw_rads_cpf,pitch_rads_cpf,depth_m\n1000,0.1,-0.2,0.8\n2000,-0.5,0.3,2.0\n3000,,,\n"
TOBII = (
    {"type": "gaze", "timestamp": 0.01, "data": {"gaze2d": [0.25, 0.25], "gaze3d": [1, 2, 3]}},
    {"type": "event", "timestamp": 0.015},
    {"type": "gaze", "timestamp": 0.02, "data": {}},
)
EGTEA = "## a\n## b\n0\tSMP\t1\t100.0\t200.0\t0\tFixation\n41667\tSMP\t1\t900.0\t200.0\t1\tBlink\n"
WORLD = "timestamp [ns]\n1754690230077095946\n1754690230110095946\n"
FISHEYE = [610.0, 703.5, 701.2, 0.41, -0.45, 0.04, 1.29, -1.77, 0.65, -8e-5, 4e-5, -6e-4, 6e-4, 5e-4, 2e-4]
POSE = {"Translation": [-0.004, -0.012, -0.004], "UnitQuaternion": [math.sqrt(0.5), [0, 0, math.sqrt(0.5)]]}
CALIBRATION = {
    "CameraCalibrations": [
        {
            "Label": "camera-rgb",
            "Projection": {"Name": "FisheyeRadTanThinPrism", "Params": FISHEYE},
            "T_Device_Camera": POSE,
            "ConfigData": {"ImageWidth": 1408, "ImageHeight": 1408},
        }
    ],
    "T_Device_CPF": POSE,
}
BOXES = "frame,x0,y0,x1,y1,score\n0,1,2,30,40,0.5\n3,1.5,2,30,40,\n"
OPTIONS = MapOptions(rate_hz=25.0)
TIMES = (0.0, 0.04, 0.05)


def _recording() -> GazeRecording:
    t = np.arange(5) / 25
    xy = np.stack([6 + np.sin(t), 4 + np.cos(t)], -1)
    xy[2] = np.nan
    return GazeRecording.of(t, xy, size=(12, 16))


def _points(folder: Path) -> Sequence[bytes]:
    return [write_points(_recording(), folder / "gaze.parquet", video="a.mp4").read_bytes()]


def _maps() -> np.ndarray:
    maps = np.zeros((5, 3, 4), np.float32)
    maps[:, 1, 2] = 1
    return maps


def _npz(folder: Path) -> Sequence[bytes]:
    import io
    import zipfile

    seeds = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, maps=_maps(), time_s=np.arange(5) / 25)
        seeds.append(file.getvalue())
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in [("maps.npy", _npy_bytes(_maps())), *_beside().members()]:
            archive.writestr(name, data)
    return [*seeds, file.getvalue()]


def _beside() -> Beside:
    xy = np.full((5, 2), 2.0)
    return Beside(np.arange(5) / 25, np.zeros(5, np.uint8), xy, np.ones(5, np.float32), (12, 16), "peak", "a.mp4")


def _npy_bytes(array: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _frames(folder: Path, beside: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, one in enumerate(_maps()):
        np.save(folder / f"frame_{i:06d}.npy", one)
    if beside:
        for name, data in _beside().members():
            (folder / name).write_bytes(data)


def _opened(path: Path) -> None:
    store = open_gaze_store(path, options=OPTIONS)
    store.clip(TIMES)


def _clip_of_folder(path: Path) -> None:
    _opened(path.parent)


def _zarr(folder: Path) -> None:
    maps, beside = _maps(), _beside()
    header = {"size": [12, 16], "video": "a.mp4", "notes": []}
    writer = ZarrWriter(folder / "gaze.zarr", beside.time_s, (3, 4), number="float16", header=header)
    writer.write_maps(0, maps)
    writer.write_known(beside.state, beside.xy, beside.confidence)
    writer.finish()


def _zarr_json(folder: Path) -> list[bytes]:
    _zarr(folder)
    return [(folder / "gaze.zarr/zarr.json").read_bytes()]


def _raw(name: str, format: str, text: str, fname: str, module: str, options: ReadOptions | None = None) -> Reader:
    return Reader(
        name=name,
        sources=(f"data/gaze/formats/{module}.py", "data/gaze/formats/table.py", "data/gaze/formats/raw.py"),
        form="csv" if fname.endswith((".csv", ".txt")) else "lines",
        call=partial(read_raw, format=format, options=options),
        fname=fname,
        seeds=lambda folder: [text.encode()],
    )


def _plain(content: Any) -> Callable[[Path], list[bytes]]:
    return lambda folder: [content.encode() if isinstance(content, str) else json.dumps(content).encode()]


READERS = (
    _raw("gaze of Ego4D", "ego4d", EGO4D, "gaze.csv", "ego4d"),
    _raw("gaze of Pupil Core", "pupil-core", PUPIL, "gaze.csv", "pupil_core"),
    _raw("gaze of Neon", "neon", NEON, "gaze.csv", "neon"),
    _raw("gaze of Ego-Exo4D", "ego-exo4d", EXO, "take_2d.csv", "ego_exo4d"),
    _raw("gaze of EGTEA", "egtea", EGTEA, "gaze.txt", "egtea"),
    _raw("gaze of Tobii", "tobii-g3", "\n".join(map(json.dumps, TOBII)), "gazedata", "tobii_g3"),
    Reader(
        name="packed gaze of Tobii",
        sources=("data/gaze/formats/tobii_g3.py",),
        form="bytes",
        call=partial(read_raw, format="tobii-g3"),
        fname="gazedata.gz",
        seeds=lambda folder: [gzip.compress("\n".join(map(json.dumps, TOBII)).encode(), mtime=0)],
    ),
    Reader(
        name="gaze of Aria",
        sources=("data/gaze/formats/aria.py",),
        form="csv",
        call=lambda path: read_raw(path, "aria", ReadOptions(calibration=path.parent / "calibration.json")),
        fname="gaze.csv",
        prepare=lambda folder: (folder / "calibration.json").write_text(json.dumps(CALIBRATION)),
        seeds=_plain(ARIA),
    ),
    Reader(
        name="calibration of Aria",
        sources=("data/gaze/formats/aria_camera.py",),
        form="json",
        call=lambda path: read_calibration(path).project(np.array([[0.1, 0.2, 1.0]])),
        fname="calibration.json",
        seeds=_plain(CALIBRATION),
    ),
    Reader(
        name="times of a world camera",
        sources=("data/gaze/formats/world.py",),
        form="csv",
        call=read_world_timestamps,
        fname="world.csv",
        seeds=_plain(WORLD),
    ),
    Reader(
        name="times of a world camera in npy",
        sources=("data/gaze/formats/world.py",),
        form="npz",
        call=read_world_timestamps,
        fname="world.npy",
        seeds=lambda folder: [_npy_bytes(np.arange(5) / 25)],
    ),
    Reader(
        name="points of gaze",
        sources=("data/gaze/points_store.py", "data/gaze/seal.py", "data/gaze/stores.py"),
        form="bytes",
        call=_opened,
        fname="gaze.parquet",
        seeds=_points,
    ),
    Reader(
        name="maps of gaze in npz",
        sources=("data/gaze/npz_store.py", "data/gaze/beside.py", "data/gaze/store.py"),
        form="npz",
        call=_opened,
        fname="gaze.npz",
        seeds=_npz,
    ),
    Reader(
        name="maps of gaze in npy",
        sources=("data/gaze/npz_store.py",),
        form="npz",
        call=_opened,
        fname="gaze.npy",
        seeds=lambda folder: [_npy_bytes(_maps())],
    ),
    Reader(
        name="maps of gaze, a file each",
        sources=("data/gaze/frames_store.py",),
        form="npz",
        call=_clip_of_folder,
        fname="frame_000002.npy",
        prepare=_frames,
        seeds=lambda folder: [_npy_bytes(_maps()[0])],
        names_file=False,
    ),
    Reader(
        name="what lies beside maps of gaze",
        sources=("data/gaze/beside.py",),
        form="json",
        call=_clip_of_folder,
        fname="isotherm.json",
        prepare=partial(_frames, beside=True),
        seeds=lambda folder: [dict(_beside().members())["isotherm.json"]],
        names_file=False,
    ),
    Reader(
        name="maps of gaze in Zarr",
        sources=("data/gaze/zarr_store.py", "data/gaze/seal.py"),
        form="json",
        call=_clip_of_folder,
        fname="gaze.zarr/zarr.json",
        prepare=_zarr,
        seeds=_zarr_json,
        names_file=False,
    ),
    Reader(
        name="table of heads",
        sources=("data/gaze/head_boxes.py",),
        form="csv",
        call=read_head_boxes,
        fname="heads.csv",
        seeds=_plain(BOXES),
    ),
    Reader(
        name="heads in JSON",
        sources=("data/gaze/head_boxes.py",),
        form="json",
        call=read_head_boxes,
        fname="heads.json",
        seeds=lambda folder: [
            b'[{"frame": 0, "x0": 1, "y0": 2, "x1": 30, "y1": 40.5}]',
            b'{"0": [[1, 2, 3, 4]], "3": [[1, 2, 3, 4, 0.5]]}',
        ],
    ),
)
