"""One table of everything that goes wrong with input: a clear message, and nothing half-written."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from isotherm.data.sources import expand
from isotherm.errors import InputError
from isotherm.runs.read import read_items, read_run
from isotherm.runs.record import Run

PHOTO = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)


def encoded(fmt, **options):
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, fmt, **options)
    return file.getvalue()


def half(fmt, **options):
    whole = encoded(fmt, **options)
    return whole[: len(whole) // 2]


def chunk(kind, body, crc=None):
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)
    )


def png(w, h, depth=8, colour=2, pixels=b"", crc=None):
    head = struct.pack(">2I5B", w, h, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head, crc) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    )


def float_tiff(value):
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.float32)).save(file, "TIFF")
    return file.getvalue()


CUT = "is damaged or cut short"
CASES = {
    # name of the case: file name, its bytes (None: there is no such file), words of the message
    "missing": ("none.jpg", None, "there is no file or folder"),
    "empty": ("a.jpg", b"", r"is empty \(0 bytes\)"),
    "one byte": ("a.jpg", b"\xff", "is not a picture that can be read"),
    "words named jpg": ("a.jpg", b"hello, these are words", "is not a picture that can be read"),
    "web page named png": ("a.png", b"<!DOCTYPE html><html>Log in</html>", "it is a web page"),
    "svg": ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG or XML"),
    "pdf": ("a.png", b"%PDF-1.7 ...", "it is a PDF"),
    "git lfs pointer": ("a.png", b"version https://git-lfs.github.com/spec/v1\noid", "run git lfs pull"),
    "heic": ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "install pillow-heif"),
    "zip": ("a.png", b"PK\x03\x04....", "it is a zip archive"),
    "numpy": ("a.png", b"\x93NUMPY\1\0v\0{'descr'", "it is a NumPy array"),
    "postscript": ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture that can be read"),
    "video named jpg": ("a.jpg", b"\0\0\0\x20ftypisom....", "looks like a video"),
    "half a jpeg": ("a.jpg", half("JPEG"), CUT),
    "half a progressive jpeg": ("a.jpg", half("JPEG", progressive=True), CUT),
    "jpeg header alone": ("a.jpg", encoded("JPEG")[:200], CUT),
    "half a png": ("a.png", half("PNG"), CUT),
    "half a gif": ("a.gif", half("GIF"), CUT),
    "half a bmp": ("a.bmp", half("BMP"), CUT),
    "half a tiff": ("a.tif", half("TIFF"), CUT),
    "half a packed tiff": ("a.tif", half("TIFF", compression="tiff_lzw"), CUT),
    "half a webp": ("a.webp", half("WEBP"), CUT),
    "half a jpeg 2000": ("a.jp2", half("JPEG2000"), "has no end marker"),
    "half an avif": ("a.avif", half("AVIF"), CUT),
    "half a qoi": ("a.qoi", half("QOI"), CUT),
    "bomb": ("a.png", png(30_000, 30_000), r"30000 x 30000 = 900\.0 megapixels; at most 50 are read"),
    "one pixel over the cap": ("a.png", png(50_000_001, 1), "megapixels; at most 50"),
    "png of no width": ("a.png", png(0, 5), "at least one pixel|" + CUT),
    "png without its pixels": ("a.png", png(50, 40, pixels=b"\0" * 10), CUT),
    "png with a wrong checksum": ("a.png", png(2, 1, pixels=b"\0" * 7, crc=1), CUT),
    "png that is not deflated": (
        "a.png",
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">2I5B", 9, 9, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b"\xff" * 50)
        + chunk(b"IEND", b""),
        CUT,
    ),
    "floats that are not numbers": ("a.tif", float_tiff(np.nan), "NaN or infinite"),
    "infinite floats": ("a.tif", float_tiff(np.inf), "NaN or infinite"),
    "tiff without entries": ("a.tif", b"II*\0\x08\0\0\0\0\0\0\0\0\0", CUT),
    "video of words": ("a.mp4", b"not a video", "cannot be opened as a video"),
    "empty video": ("a.mkv", b"", r"is empty \(0 bytes\)"),
    "video of zeros": ("a.avi", b"\0" * 5000, "cannot be opened as a video"),
    "document": ("a.docx", b"PK\x03\x04word", "is neither a picture nor a video"),
    "no suffix, no picture": ("README", b"words", "is neither a picture nor a video"),
    "list of nothing": ("a.txt", b"\n# only a remark\n", "names nothing"),
    "list that is not text": ("a.txt", b"\xff\xfe\0\1", "is not a list of paths"),
    "list of a missing file": ("a.txt", b"gone.png\n", "there is no file 'gone.png'"),
    "list of a stream": ("a.txt", b"rtsp://x.example/live\n", "streams are opened only where"),
    "list of a local address": ("a.txt", b"http://127.0.0.1:1/a.png\n", "not on the open internet"),
    "pattern without a match": ("*.nothing", None, "nothing matches it"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case, tmp_path):
    name, content, words = CASES[case]
    fpath = tmp_path / "in" / name
    fpath.parent.mkdir()
    if content is not None:
        fpath.write_bytes(content)
    before = sorted(f.name for f in fpath.parent.iterdir())
    with Run("explain", root=tmp_path / "runs") as run:
        try:
            for item in expand([fpath]):
                item.load()
                run.done(item.name)
        except InputError as error:
            run.failed(name, error)
    [record] = read_items(run.dpath)
    assert record["status"] == "failed"
    with pytest.raises(InputError, match=words):
        raise InputError(record["reason"])
    assert len(record["reason"]) < 600
    assert read_run(run.dpath)["summary"] == {"done": 0, "failed": [{"name": name, "reason": record["reason"]}]}
    assert sorted(f.name for f in run.dpath.iterdir()) == ["items.jsonl", "run.json"]
    assert sorted(f.name for f in fpath.parent.iterdir()) == before


def test_the_table_is_long_and_its_makers_make_pictures():
    assert len(CASES) >= 40
    from isotherm.data.pictures import read_picture

    for fmt in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "AVIF", "QOI"):
        assert read_picture(encoded(fmt), name="x").size == (40, 50)  # whole, each of them is read
    assert read_picture(png(2, 1, pixels=b"\0" * 7), name="x").size == (1, 2)
