"""Why a count is wrong: the objects without a hotspot and the hotspots without an object, listed and drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from isotherm.draw.picture import fit, picture_tile
from isotherm.draw.sheet import add_title
from isotherm.errors import OptionError
from isotherm.systems.counting_kinds import matches
from isotherm.systems.vlm_counting import CountResult

MISSED, EMPTY, RIGHT = (230, 40, 40), (250, 210, 40), (60, 200, 80)


@dataclass(frozen=True, eq=False)
class CountErrors:
    """What of a count is right and what is not.

    Args:
        result: the count.
        missed: (m, 2) objects without a hotspot, in source pixels.
        empty: (k, 2) hotspots without an object.
        right: (n, 2) objects with one.
        reach_px: a hotspot this near is on an object.
    """

    result: CountResult = field(repr=False)
    missed: Float[np.ndarray, "m 2"]
    empty: Float[np.ndarray, "k 2"]
    right: Float[np.ndarray, "n 2"]
    reach_px: float

    def lines(self) -> list[str]:
        """The list for a person: first the sums, then a line for each mistake, with its place in pixels."""
        objects = len(self.missed) + len(self.right)
        return [
            f"{self.result.line()}; there are {objects}: {len(self.missed)} without a hotspot, {len(self.empty)} hotspot{'' if len(self.empty) == 1 else 's'} without an object",
            *(f"object at {x:.0f}, {y:.0f} without a hotspot" for x, y in self.missed),
            *(f"hotspot at {x:.0f}, {y:.0f} without an object" for x, y in self.empty),
        ]

    def figure(self, *, side: int = 420) -> Image.Image:
        """The picture with the missed objects as red rings, the empty hotspots as yellow crosses and the rest as green
        rings, each as wide as the reach.
        """
        h, w = self.result.picture.shape[:2]
        out = picture_tile(self.result.picture, fit((int(h), int(w)), (side, side)))
        zoom = np.array([out.width / w, out.height / h])
        draw = ImageDraw.Draw(out)
        r = max(3.0, self.reach_px * float(zoom.mean()))
        for points, colour in ((self.right, RIGHT), (self.missed, MISSED)):
            for x, y in points * zoom:
                draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=2)
        for x, y in self.empty * zoom:
            draw.line((x - r, y - r, x + r, y + r), fill=EMPTY, width=2)
            draw.line((x - r, y + r, x + r, y - r), fill=EMPTY, width=2)
        return add_title(out, self.lines()[0])


def count_errors(result: CountResult, points: Float[np.ndarray, "n 2"], *, reach_px: float) -> CountErrors:
    """Compare a count's hotspots, its dots, with where the objects are, one to one.

    Args:
        points: (n, 2) one on each object, (x, y) in source pixels.
        reach_px: a dot this near is on an object, such as half of an object's side.

    Raises:
        OptionError: a reach that is not above 0.
    """
    if not reach_px > 0:
        raise OptionError(f"reach_px is {reach_px}; expected pixels above 0, such as half of an object's side")
    dots = result.dots.xy.double().numpy()
    of_dot, of_point = matches(dots, points, reach_px)
    on = np.isin(np.arange(len(points)), of_point)
    return CountErrors(result, points[~on], dots[~np.isin(np.arange(len(dots)), of_dot)], points[on], float(reach_px))
