"""Pictures are read upright, by their bit depth, whole or not at all."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from bench.decoding import KINDS, measured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from isotherm import limits
from isotherm.data import picture_formats
from isotherm.data.picture_formats import composite_on_white, scale_to_uint8
from isotherm.data.pictures import MAX_PIXELS, as_picture, read_picture
from isotherm.errors import InputError
from rigs.breadth import wide


def photo(h=24, w=36, channels=3):
    """Smooth colours with a bright corner, so that a turned, swapped or clipped picture differs."""
    y, x = np.mgrid[0:h, 0:w]
    planes = [x * 255 // (w - 1), y * 255 // (h - 1), (x + y) % 200, np.full_like(x, 255)]
    array = np.stack(planes[:channels], -1).astype(np.uint8)
    array[:6, :6] = 255
    return array


def encoded(image, fmt="PNG", **options):
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_lossless_formats_come_back_exactly(fmt, tmp_path):
    array = photo() if fmt != "GIF" else np.repeat(photo()[..., :1] // 16 * 16, 3, axis=2)
    fpath = tmp_path / f"p.{fmt.lower()}"
    Image.fromarray(array).save(fpath)
    picture = read_picture(fpath)
    assert np.array_equal(picture.array, array)
    assert (picture.name, picture.size, picture.format) == (str(fpath), (24, 36), fmt)
    assert picture.notes == ()
    assert picture.array.flags.writeable
    assert picture.array.flags.c_contiguous


def test_bytes_and_open_files_read_like_paths():
    content = encoded(Image.fromarray(photo()))
    for source in (content, io.BytesIO(content)):
        assert np.array_equal(read_picture(source, name="x").array, photo())
    late = io.BytesIO(content)
    late.seek(50)
    assert np.array_equal(read_picture(late).array, photo())
    assert np.array_equal(as_picture(io.BytesIO(content)).array, photo())
    assert as_picture(io.BytesIO(content), name="x").name == "x"


# every orientation in one format, and every format turned in one way
@pytest.mark.parametrize(
    ("fmt", "orientation"),
    [
        *(("PNG", orientation) for orientation in range(1, 9)),
        *((fmt, 6) for fmt in ("JPEG", "TIFF", "WEBP")),
        *wide((fmt, turned) for fmt in ("JPEG", "TIFF", "WEBP") for turned in range(1, 9) if turned != 6),
    ],
)
def test_every_orientation_comes_upright(fmt, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(fmt, {})
    content = encoded(Image.fromarray(photo()), fmt, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
    picture = read_picture(content, name="x")
    assert np.array_equal(picture.array, expected)
    assert picture.stored_size == (24, 36)
    assert picture.size == ((36, 24) if orientation >= 5 else (24, 36))
    assert picture.notes == (() if orientation == 1 else (f"turned upright (EXIF orientation {orientation})",))


def test_orientation_by_hand():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored left edge is the top
    array = np.array([[[10] * 3, [20] * 3, [30] * 3], [[40] * 3, [50] * 3, [60] * 3]], np.uint8)
    picture = read_picture(encoded(Image.fromarray(array), exif=exif), name="x")
    assert picture.array[..., 0].tolist() == [[40, 10], [50, 20], [60, 30]]
    assert picture.notes == ("turned upright (EXIF orientation 6)",)


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(fmt):
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    picture = read_picture(encoded(Image.fromarray(values), fmt), name="x")
    assert picture.array[0, :, 0].tolist() == [0, 1, 1, 128, 255]
    assert "16-bit grey was scaled to 8 bits" in picture.notes
    assert (picture.array[..., 0] == picture.array[..., 2]).all()


def test_sixteen_bit_colour_keeps_its_high_byte():
    # 16-bit RGB PNG, by hand, because Pillow writes none
    row = b"\0" + struct.pack(">6H", 0, 0x1234, 0xFFFF, 0x8000, 0x00FF, 0xFE00)
    chunks = [(b"IHDR", struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*c) for c in chunks)
    picture = read_picture(content, name="x")
    assert picture.array.tolist() == [[[0, 0x12, 255], [0x80, 0, 0xFE]]]
    assert picture.notes == ("16 bits per channel were reduced to 8",)


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def tiff(values, bits, photometric, packed):
    """A one-strip little-endian grey TIFF by hand."""
    h, w = values.shape
    entries = [
        (256, 4, w),
        (257, 4, h),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 0),
        (277, 3, 1),
        (278, 4, h),
        (279, 4, len(packed)),
    ]
    start = 8 + 2 + 12 * len(entries) + 4
    body = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        body += struct.pack("<HHII", tag, kind, 1, start if tag == 273 else value)
    return b"II*\0" + struct.pack("<I", 8) + body + b"\0" * 4 + packed


def test_tiff_of_twelve_bits_is_scaled_by_twelve_bits():
    pair = 0, 4095
    packed = bytes([pair[0] >> 4, (pair[0] & 15) << 4 | pair[1] >> 8, pair[1] & 255])
    picture = read_picture(tiff(np.array([pair]), 12, 1, packed), name="x")
    assert picture.array[0, :, 0].tolist() == [0, 255]
    assert picture.notes == ("12-bit grey was scaled to 8 bits",)


def test_tiff_where_zero_is_white():
    values = np.array([[0, 65535]], "<u2")
    assert read_picture(tiff(values, 16, 0, values.tobytes()), name="x").array[0, :, 0].tolist() == [255, 0]
    assert read_picture(tiff(values, 16, 1, values.tobytes()), name="x").array[0, :, 0].tolist() == [0, 255]


def test_wide_numbers_say_how_they_were_brought_to_eight_bits():
    unit = read_picture(encoded(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF"), name="x")
    assert unit.array[0, :, 0].tolist() == [0, 128, 255]
    assert "0..1" in unit.notes[0]
    wide = read_picture(encoded(Image.fromarray(np.array([[-1e38, 0, 1e38]], np.float32)), "TIFF"), name="x")
    assert wide.array[0, :, 0].tolist() == [0, 128, 255]
    assert "stretched" in wide.notes[0]
    ints = read_picture(encoded(Image.fromarray(np.array([[70000, 80000, 90000]], np.int32)), "TIFF"), name="x")
    assert ints.array[0, :, 0].tolist() == [0, 128, 255]
    flat = read_picture(encoded(Image.fromarray(np.full((2, 2), 7, np.int32)), "TIFF"), name="x")
    assert (flat.array == 128).all()
    assert "all values are 7" in flat.notes[0]


def test_transparency_lies_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 128, 255
    for fmt in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True, "exact": True} if fmt == "WEBP" else {}
        picture = read_picture(encoded(Image.fromarray(rgba), fmt, **options), name="x")
        assert picture.array[0, :, 0].tolist() == [255, 127, 0], fmt
        assert picture.notes == ("transparent parts are shown on white",)
    opaque = photo(channels=4)
    opaque[..., 3] = 255
    assert read_picture(encoded(Image.fromarray(opaque)), name="x").notes == ()


def test_every_mixture_with_white_is_rounded_to_the_nearest():
    value, alpha = np.mgrid[0:256, 0:256]
    rgba = np.stack([value, value, value, alpha], -1).astype(np.uint8)
    expected = value * (alpha / 255) + 255 * (1 - alpha / 255)
    assert np.abs(composite_on_white(rgba)[0][..., 0] - expected).max() <= 0.5 + 1e-9


def test_palette_grey_and_one_bit_transparency():
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 200, 10, 20])
    palette.putpixel((1, 0), 1)
    plain = read_picture(encoded(palette), name="x")
    assert plain.array[0].tolist() == [[0, 0, 0], [200, 10, 20]]
    seen = read_picture(encoded(palette, transparency=0), name="x")
    assert seen.array[0].tolist() == [[255, 255, 255], [200, 10, 20]]
    grey = Image.fromarray(np.array([[0, 90]], np.uint8))
    assert read_picture(encoded(grey, transparency=0), name="x").array[0, :, 0].tolist() == [255, 90]
    la = Image.fromarray(np.array([[[90, 0], [90, 255]]], np.uint8), "LA")
    assert read_picture(encoded(la), name="x").array[0, :, 0].tolist() == [255, 90]
    bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert read_picture(encoded(bits), name="x").array[0, :, 0].tolist() == [0, 255]


def test_cmyk_is_not_inverted():
    red = Image.new("RGB", (16, 16), (230, 20, 30)).convert("CMYK")
    for fmt in ("JPEG", "TIFF"):
        picture = read_picture(encoded(red, fmt), name="x")
        assert np.abs(picture.array.astype(int) - (230, 20, 30)).max() <= 4, fmt
        assert "CMYK" in picture.notes[0]


@pytest.mark.parametrize("fmt", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_give_their_first_frame(fmt):
    frames = [Image.new("RGB", (8, 8), c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if fmt == "WEBP" else {}
    content = encoded(frames[0], fmt, save_all=True, append_images=frames[1:], **options)
    picture = read_picture(content, name="x")
    assert (picture.array == (255, 0, 0)).all()
    assert picture.notes == ("there are several frames; the first one is used",)


def test_a_name_that_contradicts_the_content_is_said():
    picture = read_picture(encoded(Image.fromarray(photo())), name="photo.jpg")
    assert picture.notes == ("the name ends in .jpg but the file is PNG",)


@given(maximum=st.sampled_from([255, 1023, 4095, 65535]), data=st.data())
def test_scaling_keeps_order_and_ends(maximum, data):
    values = np.array(data.draw(st.lists(st.integers(0, maximum), min_size=1, max_size=20)), np.uint16)
    scaled = scale_to_uint8(values, maximum)
    assert np.abs(scaled - values * (255 / maximum)).max() <= 0.5 + 1e-9
    assert scale_to_uint8(np.array([0, maximum]), maximum).tolist() == [0, 255]
    # a picture of more pixels than there are values has the same ones
    many = np.resize(values, maximum + 2 + len(values))
    np.testing.assert_array_equal(scale_to_uint8(many, maximum)[: len(values)], scaled)


# --- refusing ------------------------------------------------------------------------------------------------


def bomb(h, w):
    """A valid PNG header and a few bytes of pixels."""
    head = struct.pack(">2I5B", w, h, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", head)
        + png_chunk(b"IDAT", zlib.compress(b"\0" * 4096))
        + png_chunk(b"IEND", b"")
    )


def test_a_bomb_is_refused_on_its_header(monkeypatch):
    """Its pixels are Pillow's, beyond what Python's own count of memory sees: so none may be made at all."""
    content, made = bomb(11_000, 11_000), []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: made.append(image))
    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", lambda image: made.append(image))
    with pytest.raises(InputError, match=r"11000 x 11000 = 121\.0 megapixels; at most 50"):
        read_picture(content, name="bomb.png")
    assert not made
    assert MAX_PIXELS == 50_000_000


def test_the_cap_is_exact():
    content = encoded(Image.new("RGB", (20, 10)))
    assert read_picture(content, name="x", max_pixels=200).size == (10, 20)
    with pytest.raises(InputError, match="megapixels"):
        read_picture(content, name="x", max_pixels=199)


@pytest.mark.parametrize(
    "fmt",
    [
        "JPEG",
        "JPEG progressive",
        "PNG",
        "GIF",
        "BMP",
        "TIFF",
        "TIFF tiff_lzw",
        "WEBP",
        "WEBP lossless",
        "PPM",
        "QOI",
        "JPEG2000",
        "JPEG2000 no_jp2",
        "AVIF",
    ],
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_files_are_refused_or_whole(fmt, data, request):
    """Never a picture with a grey lower half: whatever is accepted equals the whole file's pixels."""
    content = _whole(fmt)
    cut = data.draw(st.integers(0, len(content) - 1))
    try:
        picture = read_picture(content[:cut], name="x")
    except InputError:
        pass
    else:
        assert np.array_equal(picture.array, read_picture(content, name="x").array), (
            f"{fmt} cut at {cut} of {len(content)}"
        )


def _whole(fmt, cache={}):  # noqa: B006
    if fmt not in cache:
        name, _, option = fmt.partition(" ")
        options = {"compression": option} if name == "TIFF" and option else {option: True} if option else {}
        cache[fmt] = encoded(Image.fromarray(photo(40, 52)), name, **options)
    return cache[fmt]


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "QOI"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_damaged_headers_raise_only_our_error(fmt, data):
    content = bytearray(_whole(fmt))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 120) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = read_picture(bytes(content), name="x", max_pixels=1_000_000)
    except InputError:
        return
    assert picture.array.dtype == np.uint8
    assert picture.array.shape[2] == 3


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_random_bytes_raise_only_our_error(content):
    with pytest.raises(InputError):
        read_picture(content, name="x")


def test_truncation_is_refused_even_where_another_package_allows_it(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    content = encoded(Image.fromarray(photo()))
    with pytest.raises(InputError, match="cut short"):
        read_picture(content[: len(content) // 2], name="x")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_image_open_is_not_used(monkeypatch):
    """ultralytics replaces it by one that pip-installs when a file is not a picture."""
    monkeypatch.setattr(Image, "open", lambda *a, **k: pytest.fail("Image.open was called"))
    assert read_picture(encoded(Image.fromarray(photo())), name="x").size == (24, 36)
    with pytest.raises(InputError, match="not a picture"):
        read_picture(b"not a picture at all", name="x")


def test_decoding_takes_no_more_memory_for_a_pixel_than_is_promised():
    """The kinds of files that took most: before transparency was laid on white strip by strip, 34 bytes and 24."""
    kinds = ("WebP, RGBA, lossless", "PNG, 16-bit RGBA", "TIFF, floating point")
    results = measured({kind: KINDS[kind] for kind in kinds}, 1000, 1600)
    per_pixel = {kind: one["bytes"] / one["pixels"] for kind, one in results.items()}
    assert max(per_pixel.values()) <= limits.PICTURE_PIXEL_BYTES, per_pixel
    assert per_pixel["PNG, 16-bit RGBA"] < 20
    assert min(per_pixel.values()) > 7  # the peak is seen


def test_strips_make_what_the_whole_makes(monkeypatch):
    monkeypatch.setattr(picture_formats, "STRIP", 100)
    draws = np.random.default_rng(0)
    for shape in ((40, 30, 4), (1, 700, 4), (700, 1, 4), (3, 3, 4)):
        rgba = draws.integers(0, 256, shape, dtype=np.uint8)
        mixed, _ = composite_on_white(rgba)
        wide = rgba.astype(np.float64)
        whole = np.rint((wide[..., :3] * wide[..., 3:] + 255 * (255 - wide[..., 3:])) / 255)
        assert np.abs(mixed - whole).max() <= 1
        values = draws.normal(size=shape[:2])
        stretched, _ = picture_formats.stretch_to_uint8(values)
        low, high = values.min(), values.max()
        assert (stretched == np.rint((values - low) / (high - low) * 255)).mean() > 0.99 or values.size == 1
