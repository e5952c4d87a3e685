"""What no honest person sends: a clear answer in under two seconds, and the studio goes on."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rigs.breadth import wide
from rigs.studio import png, saved

SECONDS = 2.0
TIMES_PILLOW = 4.0


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
    "a row more than is read": (png_of(8_000, 6_251, bytes(1001 * 6_251)), 413, "50.0 megapixels; at most 50 are read"),
    "not a number": (saved(Image.fromarray(np.full((20, 20), np.nan, np.float32)), "TIFF"), 415, "NaN or infinite"),
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


def of(value: float, size: tuple[int, int]):
    """Whether what is shown is of one value and size."""
    return lambda shown: shown.shape[1::-1] == size and np.abs(shown.astype(float) - value).max() <= 2


def like(image: Image.Image):
    """Whether what is shown is a picture: in its lightness, as a JPEG has its colours at half the size."""
    light = np.asarray(image.convert("L")).astype(float)
    return lambda shown: np.abs(np.asarray(Image.fromarray(shown).convert("L")) - light).mean() < 8


TAKEN = {
    "60 frames": (film(), like(noise(40))),
    "broken EXIF": (with_broken_exif(), like(noise())),
    "one bit": (png_of(64, 64, bytes(9 * 64)), of(0, (64, 64))),
    "one pixel": (saved(Image.new("RGB", (1, 1), (9, 9, 9))), of(9, (1, 1))),
    "a strip": (saved(Image.new("RGB", (20_000, 2), (90, 90, 90))), of(90, (2560, 1))),  # as large as a page shows it
    "a palette, all transparent": (saved(Image.new("P", (30, 20)), transparency=0), of(255, (30, 20))),
    "32-bit": (saved(Image.fromarray(np.full((20, 20), 70_000, np.int32)), "TIFF"), of(128, (20, 20))),
    "a tail": (png(3) + b"<script>alert(1)</script>" * 100, like(Image.open(io.BytesIO(png(3))))),
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
    data, is_right = TAKEN[what]
    answer, seconds = send(studio, data)
    assert answer.status_code == 201, answer.text
    assert seconds < SECONDS
    shown = studio.get(f"/api/pictures/{answer.json()['id']}/image")
    assert shown.status_code == 200, shown.text
    with Image.open(io.BytesIO(shown.content)) as image:
        assert image.mode == "RGB"
        assert is_right(np.asarray(image))


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


def turned_cmyk() -> bytes:
    """Which is read by most steps: separated colours, and held upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.new("CMYK", (6_250, 8_000), (10, 200, 30, 40)), "JPEG", exif=exif, quality=75)


LARGEST = {
    "one bit": lambda: png_of(8_000, 6_250, bytes(1001 * 6_250)),
    "16 bits": lambda: saved(Image.fromarray(np.full((6_250, 8_000), 40_000, np.uint16)), compress_level=1),
    "CMYK, on its side": turned_cmyk,
}
"""50 megapixels, of one colour."""


@pytest.mark.parametrize("what", ["one bit", *wide(["16 bits", "CMYK, on its side"])])
def test_the_largest_picture_that_is_read_is_read_in_time(studio, what):
    """Time of the processor beside what Pillow needs for the same: other tests may run beside this one."""
    desk, data = studio.studio.pictures, LARGEST[what]()
    before = processor_s(desk.pid)
    answer, _ = send(studio, data)
    took = processor_s(desk.pid) - before
    assert answer.status_code == 201, answer.text
    assert (answer.json()["w"], answer.json()["h"]) == (8_000, 6_250)
    assert took < TIMES_PILLOW * pillow_s(data)


def pillow_s(data: bytes) -> float:
    """Seconds to read a picture and to write it as large as a page shows it, as few steps as it can be done in."""
    before = time.process_time()
    with Image.open(io.BytesIO(data)) as image:
        saved(image.convert("RGB").resize((2560, 2000)), "JPEG")
    return time.process_time() - before


def processor_s(pid: int) -> float:
    """Seconds that a process has computed."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
