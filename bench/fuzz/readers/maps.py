"""Heatmaps, arrays beside them, and pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.fuzz.reader import Reader, written
from isotherm.data.keypoint_cache import FORMAT as CACHED
from isotherm.data.keypoint_cache import _noted
from isotherm.data.pictures import read_picture, read_picture_size
from isotherm.data.sources import expand
from isotherm.data.video import count_frames, probe_video, read_frames
from isotherm.data.video_writer import VideoWriter
from isotherm.draw.save import load_map16, read_command, save_map16, save_picture
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.moments import Moments
from isotherm.systems.people_gaze.parts import GazePart


def _heatmap(fpath: Path) -> None:
    frame = Frame.resize((12, 16), (3, 4))
    moments = Moments(((0.0, 4.0), (4.0, 8.0)), (0, 4), ((0.0, 0.1), (0.2, 0.3)))
    values = torch.linspace(-1, 1, 24).reshape(2, 3, 4)
    Heatmap(values, frame, "relevance", signed=True, label="cat", meta={"a": [1, None]}, moments=moments).save(fpath)


def _map16(fpath: Path) -> None:
    save_map16(Heatmap(torch.rand(3, 4), Frame.resize((12, 16), (3, 4)), "relevance"), fpath)


def _part(fpath: Path) -> None:
    f, n = 2, 3
    GazePart(
        index=np.arange(f),
        time_s=np.arange(f) / 10,
        count=np.array([1, 2]),
        boxes=np.zeros((n, 4), np.float32),
        head_score=np.ones(n, np.float32),
        maps=np.zeros((n, 4, 5), np.uint8),
        xy=np.zeros((n, 2)),
        score=np.ones(n, np.float32),
        inside=np.ones(n, np.float32),
    ).save(fpath)


def _pictures(folder: Path) -> Sequence[bytes]:
    colours = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    seeds = []
    for form, mode in (
        ("PNG", "RGB"),
        ("JPEG", "RGB"),
        ("WEBP", "RGB"),
        ("TIFF", "RGB"),
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("PNG", "I;16"),
    ):
        file = io.BytesIO()
        image = (
            Image.fromarray(colours).convert(mode)
            if mode != "I;16"
            else Image.fromarray(colours[..., 0].astype(np.uint16) * 255)
        )
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(file, form, **({"exif": exif} if form in ("JPEG", "PNG") else {}))
        seeds.append(file.getvalue())
    return seeds


def _commands(folder: Path) -> Sequence[bytes]:
    seeds = []
    for suffix in (".png", ".jpg"):
        save_picture(Image.new("RGB", (8, 6)), folder / f"a{suffix}", command="isotherm explain a.jpg")
        seeds.append((folder / f"a{suffix}").read_bytes())
    return seeds


def _beside(folder: Path) -> None:
    Image.new("RGB", (8, 6)).save(folder / "a.png")


def _video(fpath: Path) -> None:
    with VideoWriter(fpath) as writer:
        for i in range(3):
            writer.add(np.full((16, 16, 3), 40 * i, np.uint8), i / 10)


READERS = (
    Reader(
        name="video",
        sources=("data/video.py", "data/video_end.py", "data/video_seek.py"),
        form="bytes",
        call=lambda path: (probe_video(path), count_frames(path), list(read_frames(path, max_frames=3))),
        fname="video.mp4",
        seeds=written("video.mp4", _video),
    ),
    Reader(
        name="note of cached pictures",
        sources=("data/keypoint_cache.py",),
        form="json",
        call=lambda path: _noted(path.with_suffix(".u8"), (2, 1, 1, 3)),
        fname="a.json",
        prepare=lambda folder: (folder / "a.u8").write_bytes(bytes(6)),
        seeds=lambda folder: [
            json.dumps({"format": CACHED, "shape": [2, 1, 1, 3], "sizes": [[4, 5], "damaged"]}).encode()
        ],
    ),
    Reader(
        name="heatmap npz",
        sources=("heatmap.py",),
        form="npz",
        call=Heatmap.load,
        fname="map.npz",
        seeds=written("map.npz", _heatmap),
    ),
    Reader(
        name="heatmap safetensors",
        sources=("heatmap.py", "headed.py"),
        form="safetensors",
        call=Heatmap.load,
        fname="map.safetensors",
        seeds=written("map.safetensors", _heatmap),
    ),
    Reader(
        name="map of 16 bits",
        sources=("draw/save.py",),
        form="bytes",
        call=load_map16,
        fname="map.png",
        seeds=written("map.png", _map16),
    ),
    Reader(
        name="command in a picture",
        sources=("draw/save.py",),
        form="bytes",
        call=read_command,
        fname="picture.png",
        seeds=_commands,
    ),
    Reader(
        name="part of a gaze film",
        sources=("systems/people_gaze/parts.py",),
        form="npz",
        call=GazePart.load,
        fname="part.npz",
        seeds=written("part.npz", _part),
    ),
    Reader(
        name="picture",
        sources=("data/pictures.py", "data/picture_formats.py", "data/png_chunks.py", "data/orientation.py"),
        form="bytes",
        call=read_picture,
        fname="picture.png",
        seeds=_pictures,
    ),
    Reader(
        name="size of a picture",
        sources=("data/pictures.py",),
        form="bytes",
        call=read_picture_size,
        fname="picture.jpg",
        seeds=_pictures,
    ),
    Reader(
        name="list of pictures",
        sources=("data/sources.py",),
        form="text",
        call=lambda path: list(expand([path])),
        fname="list.txt",
        prepare=_beside,
        seeds=lambda folder: [b"a.png\n# no\nhttps://example.org/b.jpg\n", b"\xef\xbb\xbfa.png\r\nnowhere.png\n"],
    ),
)
