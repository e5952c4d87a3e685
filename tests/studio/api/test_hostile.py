"""What no honest person sends: a clear answer in under two seconds, and the studio goes on."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from rigs.studio import png, saved

SECONDS = 2.0


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(w: int, h: int, rows: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def noise(side: int = 300) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (side, side, 3), dtype=np.uint8))


def film() -> bytes:
    frames = [noise(40).rotate(i) for i in range(60)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def with_broken_exif() -> bytes:
    return saved(noise(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff" + b"\xff" * 200)


CUT = {
    form: (lambda data: data[: len(data) // 2])(saved(noise(), form)) for form in ("JPEG", "PNG", "GIF", "WEBP", "TIFF")
}
REFUSED = {
    "bomb of a gigapixel": (png_of(30_000, 30_000, bytes(3_751 * 300)), 413, "megapixels"),
    "bomb that claims all there is": (png_of(2**31 - 1, 2**31 - 1, b"\0"), 413, "megapixels"),
    "bomb of text": (png_of(8, 8, bytes(16), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 << 20), 9))), 415, ""),
    "no rows": (png_of(5000, 5000, b""), 415, "damaged"),
    "no width": (png_of(0, 10, b""), 415, ""),
    "the beginning alone": (b"\x89PNG\r\n\x1a\n", 415, ""),
    "two bytes": (b"\xff\xd8", 415, ""),
    "a page": (b"<!doctype html><script>alert(1)</script>", 415, "web page"),
    "a pickle": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0", 415, ""),
    **{f"half of a {form}": (data, 415, "damaged") for form, data in CUT.items()},
}
TAKEN = {
    "60 frames": film(),
    "broken EXIF": with_broken_exif(),
    "one bit": png_of(64, 64, bytes(9 * 64)),
    "one pixel": saved(Image.new("RGB", (1, 1))),
    "a strip": saved(Image.new("RGB", (20_000, 2))),
    "a palette with transparency": saved(noise().convert("P"), "PNG", transparency=0),
    "32-bit": saved(Image.fromarray(np.full((20, 20), 70_000, np.int32)), "TIFF"),
    "floating point": saved(Image.fromarray(np.full((20, 20), np.nan, np.float32)), "TIFF"),
    "a tail": png(3) + b"<script>alert(1)</script>" * 100,
}


def send(studio, data: bytes, name: str = "a.png"):
    began = time.monotonic()
    answer = studio.post("/api/pictures", params={"name": name}, content=data)
    return answer, time.monotonic() - began


@pytest.fixture(scope="module", autouse=True)
def warm(studio):
    """The process that looks at pictures has started."""
    assert send(studio, png(9))[0].status_code == 201


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_picture_is_refused_at_once(studio, what):
    data, status, message = REFUSED[what]
    answer, seconds = send(studio, data)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]
    assert str(studio.history.pictures.dpath) not in answer.text
    assert seconds < SECONDS
    assert not list(studio.history.pictures.dpath.glob(".new*"))


@pytest.mark.parametrize("what", TAKEN)
def test_odd_pictures_are_taken_for_what_they_are(studio, what):
    answer, seconds = send(studio, TAKEN[what])
    assert answer.status_code in (201, 415), answer.text
    assert seconds < SECONDS
    if answer.status_code == 201:
        shown = studio.get(f"/api/pictures/{answer.json()['id']}/image")
        assert shown.status_code == 200, shown.text
        assert Image.open(io.BytesIO(shown.content)).mode == "RGB"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\boot.ini",
        "a\0b.png",
        "con.png",
        "\u202egnp.exe",
        "%2e%2e%2fa",
        "." * 50,
    ],
)
def test_a_name_is_never_a_path(studio, name):
    answer, _ = send(studio, png(9), name)
    assert answer.status_code == 201
    plain = answer.json()["name"]
    assert not set("/\\\0\u202e") & set(plain)
    assert plain.strip(". ")


def test_the_largest_picture_that_is_read_is_read(studio):
    """50 megapixels, of one colour."""
    answer, seconds = send(studio, png_of(8_000, 6_250, bytes(1001 * 6_250)))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["w"], answer.json()["h"]) == (8_000, 6_250)
    assert seconds < 5 * SECONDS  # it is the largest, and other tests run beside it
