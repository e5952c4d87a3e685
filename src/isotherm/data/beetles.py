"""Generated beetles: pictures of beetles from above with a ruler, whose width and length are known to the pixel.

They stand in for annotated collections of insects: the same four points, the same collections with the same gaps, but
with a truth that no annotator can give. A picture is a pure function of its seed and configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
import torch
from jaxtyping import Bool, Float64, UInt8

from isotherm.data.beetle_annotations import EXCHANGEABLE, LINES, NAMES
from isotherm.data.beetle_body import Body, Stance, draw_body, random_body
from isotherm.data.beetle_paint import Place, blur
from isotherm.data.beetle_tray import LOOKS, clutter, draw_ruler, ground
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.data.scene_paint import Light, finish_picture
from isotherm.data.scenes import HELD_OUT, TRAINING, VALIDATION
from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.points import State

__all__ = ["HELD_OUT", "LOOKS", "TRAINING", "VALIDATION", "Beetle", "BeetleConfig", "beetles", "make_beetle"]


@dataclass(frozen=True, kw_only=True)
class BeetleConfig:
    """What pictures of beetles look like. The same seed shows the same beetle at every size of the same shape.

    Args:
        size: (h, w) of the picture in pixels, at least 32 each.
        groups: collections to draw from, each as likely, out of :data:`LOOKS`.
        scale: the beetle's size as a multiple of what its collection has, in (0, 1.6].
        cut_off: probability that the edge of the picture cuts the beetle off, so that points may lie outside.
        near_edge: probability that one of its points lies within two per cent of the shorter side of an edge.
        annotator_px: standard deviation of the labels along x and along y about the truth, in pixels.
        grain: standard deviation of the sensor's noise, of a full scale of 1.
    """

    size: Size = (128, 128)
    groups: tuple[str, ...] = tuple(LOOKS)
    scale: float = 1.0
    cut_off: float = 0.1
    near_edge: float = 0.05
    annotator_px: float = 0.0
    grain: float = 0.012

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 32:
            raise OptionError(f"size is {self.size}; expected (h, w) of at least 32 pixels each")
        if (
            not self.groups
            or any(group not in LOOKS for group in self.groups)
            or len(set(self.groups)) < len(self.groups)
        ):
            raise OptionError(f"groups are {self.groups}; expected different names out of {', '.join(LOOKS)}")
        if not 0 < self.scale <= 1.6:
            raise OptionError(f"scale is {self.scale}; expected a factor in (0, 1.6]")
        if not (self.cut_off >= 0 and self.near_edge >= 0 and self.cut_off + self.near_edge <= 1):
            raise OptionError(
                f"cut_off is {self.cut_off} and near_edge {self.near_edge}; expected probabilities whose sum is at most 1"
            )
        if not (0 <= self.annotator_px < float("inf") and 0 <= self.grain < float("inf")):
            raise OptionError(
                f"annotator_px is {self.annotator_px} and grain {self.grain}; expected finite deviations of at least 0"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class Beetle:
    """A picture and all that is known about it. Places are (x, y) in edge-origin pixels.

    Args:
        picture: (H, W, 3) uint8 RGB.
        record: the picture with its labels, as training takes it.
        points: (4, 2) the truth, in the order of the record, also where that has no label.
        outline: (H, W) the pixels of the elytra (wing covers), what the points are the extremes of.
        axis: (2,) unit vector from the base of the elytra to their tip.
        ruler: (2, 2) its ends.
        ruler_mask: (H, W) its line without the ticks.
        ruler_cm: its length.
        group: the collection.
        seed: what it was made from.
    """

    picture: UInt8[np.ndarray, "H W 3"]
    record: KeypointRecord
    points: Float64[np.ndarray, "4 2"]
    outline: Bool[np.ndarray, "H W"]
    axis: Float64[np.ndarray, "2"]
    ruler: Float64[np.ndarray, "2 2"]
    ruler_mask: Bool[np.ndarray, "H W"]
    ruler_cm: float
    group: str
    seed: int


def make_beetle(seed: int, config: BeetleConfig | None = None) -> Beetle:
    """The beetle of a seed.

    Args:
        seed: 0 to 2**42 - 1; see :data:`TRAINING`, :data:`VALIDATION` and :data:`HELD_OUT`.

    Raises:
        OptionError: the seed is outside of that.

    Example:
        >>> beetle = make_beetle(3)
        >>> beetle.picture.shape, beetle.points.shape, beetle.group in LOOKS
        ((128, 128, 3), (4, 2), True)
    """
    config = config or BeetleConfig()
    if not 0 <= seed < HELD_OUT.stop:
        raise OptionError(f"seed is {seed}; expected 0 to 2**42 - 1")
    # two streams: the layout's draws must not depend on how many numbers the pixels took
    plan, pixels = (np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(2))
    (h, w), side = config.size, min(config.size)
    group = config.groups[int(plan.integers(len(config.groups)))]
    look = LOOKS[group]
    body = random_body(plan)
    length = float(plan.uniform(*look.length)) * config.scale * side
    # the elytra must have room inside of the picture
    stance = _placed(plan, body, min(length, 0.8 * side), config)
    length = stance.length
    points = stance.to_pixels(body.points)
    order = np.concatenate([plan.permutation(2), 2 + plan.permutation(2)])
    points = points[order]
    ruler, ruler_cm, px_per_cm = _ruler(plan, config.size, length, stance.base + 0.35 * length * stance.axis)
    white_ruler = max(look.ground) < 0.6
    light = Light(float(plan.uniform(0, 2 * pi)), 0.0, float(plan.uniform(0.2, 0.6)), float(plan.uniform(0.0, 0.25)))
    exposure, softness = plan.uniform(*look.light), plan.uniform(0, look.blur)
    canvas, _ = ground(pixels, look, config.size)
    keep_free = stance.base + 0.4 * length * stance.axis, 0.75 * length
    for _ in range(int(plan.integers(look.clutter[0], look.clutter[1] + 1))):
        clutter(canvas, plan, keep_free)
    if plan.uniform() < look.second:
        other, angle = random_body(plan), plan.uniform(0, 2 * pi)
        # on the edge that is farthest from the first
        place = (stance.base + 0.5 * length * stance.axis) / np.array([w, h])
        corner = np.where(place < 0.5, 1.0, 0.0) * np.array([w, h])
        outward = np.array([cos(angle), sin(angle)])
        draw_body(
            canvas,
            other,
            Stance(corner - 0.3 * length * outward, length * float(plan.uniform(0.8, 1.1)), outward),
            light.angle,
            light.shadow,
        )
    covered = draw_body(canvas, body, stance, light.angle, light.shadow)
    over = draw_ruler(canvas, ruler, 0.1 * px_per_cm, white_ruler)
    canvas = blur(canvas, float(softness)) * np.float32(exposure)
    picture = finish_picture(canvas, light, config.grain, pixels)
    labels = points + config.annotator_px * plan.standard_normal((4, 2))
    state = _states(points, over, config.size)
    if not look.width_labelled:
        labels[:2], state[:2] = np.nan, int(State.UNLABELLED)
    record = KeypointRecord(
        picture=picture,
        points=torch.from_numpy(labels.astype(np.float32)),
        state=torch.from_numpy(state),
        px_per_cm=px_per_cm,
        group=group,
        name=f"beetle {seed}",
        origin=f"generated from seed {seed}",
    )
    return Beetle(
        picture=picture,
        record=record,
        points=points,
        outline=covered >= 0.5,
        axis=stance.axis,
        ruler=ruler,
        ruler_mask=over >= 0.5,
        ruler_cm=ruler_cm,
        group=group,
        seed=seed,
    )


def beetles(seeds: Iterable[int], config: BeetleConfig | None = None) -> KeypointSet:
    """The beetles of some seeds, as data for training or evaluation.

    Args:
        seeds: such as ``TRAINING[:500]`` or ``HELD_OUT[:100]``.

    Returns:
        A set with the points ``width_p0, width_p1, length_p0, length_p1``; which end of a line comes first is chance.

    Example:
        >>> found = beetles(TRAINING[:3])
        >>> found.names[:2], found.exchangeable
        (('width_p0', 'width_p1'), ((0, 1), (2, 3)))
    """
    records = [make_beetle(seed, config).record for seed in seeds]
    return KeypointSet(records=records, names=NAMES, exchangeable=EXCHANGEABLE, lines=dict(LINES))


def _placed(rng: np.random.Generator, body: Body, length: float, config: BeetleConfig) -> Stance:
    """Somewhere inside, near an edge or cut off by it, at any angle."""
    angle, chance = rng.uniform(0, 2 * pi), rng.uniform()
    axis = np.array([cos(angle), sin(angle)])
    size, side = np.array([config.size[1], config.size[0]], float), min(config.size)
    places = Stance(np.zeros(2), length, axis).to_pixels(
        np.concatenate([body.points, [[-body.thorax[0] - body.head[0], 0]]])
    )
    low, high = -places[:4].min(0), size - places[:4].max(0)
    margin = np.minimum(0.025 * side, (high - low) / 2)
    # the head is kept inside as well where there is room
    first, last = low + margin, high - margin
    with_head = np.maximum(first, -places.min(0)), np.minimum(last, size - places.max(0))
    roomy = with_head[0] <= with_head[1]
    first, last = np.where(roomy, with_head[0], first), np.where(roomy, with_head[1], last)
    base = rng.uniform(0, 1, 2) * (last - first) + first
    edge, share = int(rng.integers(4)), rng.uniform()
    # how far the outermost point is beyond the edge; below 0: inside of it
    beyond = (0.03 + 0.3 * share) * length if chance < config.cut_off else -0.019 * share * side
    if chance < config.cut_off + config.near_edge:
        i = edge % 2
        base[i] = high[i] + beyond if edge < 2 else low[i] - beyond
    return Stance(base, length, axis)


def _ruler(
    rng: np.random.Generator, size: Size, length: float, centre: Place
) -> tuple[Float64[np.ndarray, "2 2"], float, float]:
    """A ruler's ends, its length in cm and the scale; along the edge that is farthest from the beetle."""
    (h, w), side = size, min(size)
    px_per_cm = length / float(rng.uniform(0.4, 1.2))
    ruler_cm = max(1, round(float(rng.uniform(0.2, 0.35)) * side / px_per_cm * 10)) / 10
    ruler_px = ruler_cm * px_per_cm
    inset, shift, flip = float(rng.uniform(0.035, 0.06)) * side, float(rng.uniform(0, 1)), rng.uniform() < 0.5
    # distance of the beetle's middle from the left, top, right and bottom edge
    room = [centre[0] / w, centre[1] / h, 1 - centre[0] / w, 1 - centre[1] / h]
    edge = int(np.argmax(room))
    i = 1 - edge % 2  # the axis that the ruler lies along
    across = inset if edge < 2 else (w, h)[1 - i] - inset
    start = inset + shift * ((w, h)[i] - ruler_px - 2 * inset)
    ends = np.empty((2, 2))
    ends[:, i], ends[:, 1 - i] = (start, start + ruler_px), across
    return ends[::-1].copy() if flip else ends, ruler_cm, px_per_cm


def _states(points: Float64[np.ndarray, "4 2"], over: np.ndarray, size: Size) -> np.ndarray:
    """Outside of the picture, under the ruler, or seen."""
    state = np.full(4, int(State.LABELLED), np.int64)
    inside = ((points >= 0) & (points < np.array([size[1], size[0]]))).all(1)
    state[~inside] = int(State.OUT_OF_FRAME)
    column, row = points[inside].astype(int).T
    state[inside] = np.where(over[row, column] >= 0.5, int(State.OCCLUDED), state[inside])
    return state
