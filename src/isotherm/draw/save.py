"""Saving: whole files only, and every picture says which command makes it again."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from isotherm import limits
from isotherm.atomic import atomic_write
from isotherm.draw.colour import Scale
from isotherm.draw.overlay import single
from isotherm.draw.picture import Picture, open_canvas, to_pil
from isotherm.draw.sheet import add_footer
from isotherm.errors import FrameError, InputError, KindError, ShapeError
from isotherm.frame import Frame
from isotherm.headed import header_text
from isotherm.heatmap import Heatmap
from isotherm.untrusted.plain import DAMAGE, json_of, reads
from isotherm.version import __version__

JPEG_QUALITY = 92
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_BEGINS = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131  # EXIF tags
_MAP_KEY = "isotherm:map"
_TOP = 65535
MOST_COMMENT_BYTES = 65_000
"""Of a JPEG's comment, whose length is written in two bytes."""


def save_picture(
    image: Picture, fpath: str | os.PathLike[str], *, command: str | None = None, quality: int = JPEG_QUALITY
) -> Path:
    """Write a picture as PNG, JPEG or WebP, whole or not at all.

    Args:
        image: PIL or array, as for :func:`overlay`; written with 8 bits a channel. JPEG has no transparency: it
            is laid on white.
        fpath: ends in .png, .jpg, .jpeg or .webp.
        command: the command that makes this picture again. It is printed below the picture, a very long one
            shortened, and kept in the file: as a PNG text, a JPEG comment or a WebP EXIF description, where
            :func:`read_command` finds it. Of one that is longer than a JPEG or WebP can hold, its beginning is kept,
            with an ellipsis.
        quality: of JPEG and WebP, 1 to 95.

    Returns:
        The path written.

    Raises:
        InputError: another suffix, or no such folder.
    """
    fpath = Path(fpath)
    if fpath.suffix.lower() not in _FORMATS:
        raise InputError(f"cannot save a picture as {fpath.name!r}; the name must end in {', '.join(_FORMATS)}")
    form = _FORMATS[fpath.suffix.lower()]
    canvas = open_canvas(image)
    out = canvas.rgb if isinstance(canvas.rgb, Image.Image) else to_pil(canvas.rgb)
    if canvas.alpha is not None:
        alpha = canvas.alpha if isinstance(canvas.alpha, Image.Image) else _mask(canvas.alpha)
        if command or form == "JPEG":
            out = Image.composite(out, Image.new("RGB", out.size, "white"), alpha)
        else:
            out = out.copy()
            out.putalpha(alpha)
    if command:
        out = add_footer(out, command)
    with atomic_write(fpath) as file:
        out.save(file, form, **_options(form, command, quality))
    return fpath


@reads(advice="expected a picture that isotherm wrote")
def read_command(fpath: str | os.PathLike[str]) -> str | None:
    """The command that :func:`save_picture` kept in a file, or None."""
    try:
        with Path(fpath).open("rb") as file, open_written(file) as image:
            if image.format == "PNG":
                return image.info.get("Comment")
            if image.format == "JPEG":
                comment = image.info.get("comment")
                return comment.decode("utf-8", "replace") if comment else None
            description = image.getexif().get(_DESCRIPTION)
            # EXIF text is bytes; Pillow reads them as latin-1
            return description.encode("latin-1", "replace").decode("utf-8", "replace") if description else None
    except (OSError, SyntaxError) as error:  # Pillow calls broken bytes a syntax error
        raise InputError(f"cannot read {fpath} as a picture ({error}); expected PNG, JPEG or WebP") from error


def open_written(file: BinaryIO | io.BytesIO) -> Image.Image:
    """Open a picture that :func:`save_picture` or :func:`save_map16` wrote: PNG, JPEG or WebP.

    Not Image.open: a program that imports ultralytics has it replaced by one that asks for further packages where
    a file is not a picture.

    Args:
        file: open for reading bytes, at its start; it must stay open as long as the picture's pixels are wanted.

    Raises:
        OSError, SyntaxError: the bytes are none of the three formats, or are damaged.
    """
    prefix = file.read(12)
    file.seek(0)
    for form, begins in _BEGINS.items():
        if begins.match(prefix):
            Image.preinit()
            if form not in Image.OPEN:
                Image.init()
            return Image.OPEN[form][0](file, "")
    raise UnidentifiedImageError("its first bytes are of no such format")


def _options(form: str, command: str | None, quality: int) -> dict:
    software = f"isotherm {__version__}"
    if form == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Software", software)
        if command:
            text.add_itxt("Comment", command)
        return {"pnginfo": text, "compress_level": 3}  # level 6, Pillow's own, takes twice as long for 3 % less
    if form == "JPEG":
        return {"quality": quality, **({"comment": _comment(command)} if command else {})}
    exif = Image.Exif()
    exif[_SOFTWARE] = software
    if command:
        exif[_DESCRIPTION] = _comment(command)
    return {"quality": quality, "exif": exif.tobytes(), "method": 4}


def _comment(command: str) -> bytes:
    """The command as bytes, no more than a comment holds."""
    whole = command.encode()
    if len(whole) <= MOST_COMMENT_BYTES:
        return whole
    return whole[:MOST_COMMENT_BYTES].decode(errors="ignore").encode() + b" ..."


def _mask(alpha: np.ndarray) -> Image.Image:
    return to_pil(np.repeat(alpha[..., None], 3, -1)).getchannel(0)


def save_map16(heatmap: Heatmap, fpath: str | os.PathLike[str], *, scale: Scale | None = None) -> Path:
    """Write a map's cells as a 16-bit grey PNG, for programs that read pictures only.

    Grey 0 is a cell without a value (NaN); 1 to 65535 run evenly from ``scale.low`` to ``scale.high``. The scale,
    kind and frame are in the file as a PNG text, so :func:`load_map16` gives the heatmap back to one part in 65534
    of the scale. To keep every bit, use :meth:`Heatmap.save`.

    Args:
        heatmap: a single map.
        fpath: ends in .png.
        scale: by default from the smallest to the largest value, so that nothing is cut off; what lies beyond one that
            is given, infinities too, is written as its ends.

    Raises:
        InputError: another suffix, no such folder, or infinite values and no scale to end them.
        ShapeError: several maps.
    """
    single(heatmap)
    fpath = Path(fpath)
    if fpath.suffix.lower() != ".png":
        raise InputError(f"cannot save a 16-bit map as {fpath.name!r}; the name must end in .png")
    values = heatmap.values.detach().cpu().double().numpy()
    finite = values[np.isfinite(values)]
    infinite = int(np.isinf(values).sum())
    if scale is None and infinite:
        raise InputError(
            f"the map has {infinite} infinite values, which a 16-bit picture cannot hold; give a scale, by whose ends they "
            "are written, or keep every value with Heatmap.save"
        )
    if scale is None:
        scale = Scale(float(finite.min()), float(finite.max())) if finite.size else Scale(0.0, 0.0)
    span = (scale.high - scale.low) or 1.0
    unit = ((values - scale.low) / span).clip(0, 1)
    grey = np.where(np.isnan(values), 0, np.rint(np.nan_to_num(unit) * (_TOP - 1)) + 1).astype(np.uint16)
    header = {
        "low": scale.low,
        "high": scale.high,
        "missing": 0,
        "kind": heatmap.kind,
        "signed": heatmap.signed,
        "label": heatmap.label,
        "meta": dict(heatmap.meta),
        "to_source": heatmap.frame.to_source.tolist(),
        "source_size": heatmap.frame.source_size.tolist(),
    }
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", f"isotherm {__version__}")
    text.add_itxt(_MAP_KEY, header_text(header))
    with atomic_write(fpath) as file:
        Image.fromarray(grey).save(file, "PNG", pnginfo=text)
    return fpath


@reads(advice="expected a picture that isotherm wrote")
def load_map16(fpath: str | os.PathLike[str]) -> Heatmap:
    """The heatmap that :func:`save_map16` wrote, as float32.

    Raises:
        InputError: the file is missing, is not a PNG, or has no scale in it.
    """
    try:
        with Path(fpath).open("rb") as file, open_written(file) as image:
            if image.width * image.height > limits.PICTURE_PIXELS:
                raise ValueError(
                    f"it has {image.width} x {image.height} pixels; at most {limits.PICTURE_PIXELS} are read"
                )
            header = json_of(image.info[_MAP_KEY], fpath)
            grey = np.asarray(image).astype(np.float64)
        values = header["low"] + (grey - 1) / (_TOP - 1) * (header["high"] - header["low"])
        values[grey == header["missing"]] = np.nan
        frame = Frame(
            torch.tensor(header["to_source"], dtype=torch.float64),
            (values.shape[0], values.shape[1]),
            torch.tensor(header["source_size"]),
        )
        return Heatmap(
            torch.from_numpy(values.astype(np.float32)),
            frame,
            header["kind"],
            signed=header["signed"],
            label=header["label"],
            meta=header["meta"],
        )
    except (*DAMAGE, FrameError, KindError, ShapeError) as error:
        raise InputError(
            f"{fpath} is not a 16-bit map written by isotherm ({type(error).__name__}: {error})"
        ) from error
