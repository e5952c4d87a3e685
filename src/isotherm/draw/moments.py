"""The maps of a clip: each moment over its frame on one sheet, or spread over all frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image

from isotherm.draw.colour import Scale, shared_scale
from isotherm.draw.describe import title_of
from isotherm.draw.panels import contact_sheet
from isotherm.draw.picture import Picture
from isotherm.draw.sheet import add_title
from isotherm.draw.style import Style
from isotherm.errors import ShapeError
from isotherm.heatmap import Heatmap
from isotherm.moments import Moments


def moment_sheet(
    heatmap: Heatmap,
    pictures: Sequence[Picture] | None = None,
    *,
    scale: Scale | None = None,
    style: Style | str | None = None,
    title: str | None = None,
    columns: int | None = None,
    side: int = 240,
) -> Image.Image:
    """Each moment of a clip's heatmap over its frame, with its time below, all of one scale.

    Args:
        heatmap: of one clip, (m, h, w) with moments.
        pictures: one per moment; those of the heatmap itself unless given.
        scale: for all; the shared scale of all moments unless given, so that a colour means the same at any time.
        title: the heatmap's label unless given.
        columns, style, side: as for :func:`isotherm.draw.contact_sheet`.

    Raises:
        ShapeError: a heatmap without moments or without pictures, or another number of pictures.
    """
    moments = moments_of(heatmap)
    if pictures is None:
        if heatmap.picture is None or heatmap.picture.ndim != 4:
            raise ShapeError(
                "this heatmap of a clip has no pictures; pass one per moment, those that moments.shown numbers"
            )
        pictures = list(heatmap.picture)
    sheet = contact_sheet(
        pictures,
        list(heatmap),
        captions=list(moments.names),
        columns=columns,
        scale=scale or shared_scale([heatmap]),
        style=style,
        side=side,
    )
    name = title_of(heatmap, "") if title is None else title
    return add_title(sheet, name) if name else sheet


def each_frame(heatmap: Heatmap) -> Iterator[Heatmap]:
    """A single map for every frame of a clip: that of its moment.

    Raises:
        ShapeError: a heatmap without moments.
    """
    moments = moments_of(heatmap)
    singles = [single.with_(picture=None) for single in heatmap]
    return (singles[moments.of_frame(frame)] for frame in range(round(moments.frames[-1][1])))


def moments_of(heatmap: Heatmap) -> Moments:
    """The moments of a heatmap of one clip; ShapeError for another one."""
    if heatmap.moments is None or heatmap.values.ndim != 3:
        raise ShapeError(
            f"this heatmap holds values of shape {tuple(heatmap.values.shape)} {'without' if heatmap.moments is None else 'with'} "
            "moments; expected the (m, h, w) maps of one clip, as explain makes them for a model that sees several moments"
        )
    return heatmap.moments
