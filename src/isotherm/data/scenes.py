"""Generated scenes: pictures of textured shapes among clutter, whose evidence is known to the pixel.

The class of an object is its shape and nothing else: texture, colour, light, place, size and angle are drawn
independently of it, and clutter is drawn from the same ones. So what speaks for a class is exactly the object's
visible pixels, and since a scene holds objects of different classes, an explanation of one class has a right
place and a tempting wrong one.

A scene is a pure function of its seed and configuration: no state is shared between scenes, so batches, workers
and order cannot change a byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from isotherm.data.scene_clutter import random_clutter
from isotherm.data.scene_layout import Cover, cover, place, random_pose
from isotherm.data.scene_paint import cast_shadow, finish_picture, paint, random_finish, random_light
from isotherm.data.scene_shapes import CLASSES, MAX_KEYPOINTS, SHAPES
from isotherm.data.scene_textures import background
from isotherm.errors import OptionError
from isotherm.frame import Size

TRAINING = range(0, 1 << 40)
"""Seeds of scenes that models may be fitted on."""
VALIDATION = range(1 << 40, 1 << 41)
"""Seeds of scenes that choices may be made by: methods, layers, thresholds."""
HELD_OUT = range(1 << 41, 1 << 42)
"""Seeds of scenes that figures are reported on."""
if not TRAINING.stop <= VALIDATION.start < VALIDATION.stop <= HELD_OUT.start:
    raise AssertionError("the seeds of training, validation and held-out scenes must not overlap")

_SHAPE_OF = {shape.name: shape for shape in SHAPES}


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What scenes look like. Lengths are shares of the picture's shorter side, so any size shows the same world.

    Args:
        size: (h, w) of the picture in pixels.
        classes: names out of :data:`CLASSES`; labels are indices into this tuple.
        objects: least and most objects, each of another class. Where there is no room, fewer are drawn.
        radius: least and most radius of an object.
        clutter: least and most things that are no object; about a quarter of them lie in front.
        visible: least share of an object that stays visible, in (0, 1].
        stretch: an object's height to width is at most this squared.
        contrast: how far colours are from the ground's, 0 to 1.
        grain: standard deviation of the sensor's noise, of a full scale of 1.
    """

    size: Size = (128, 128)
    classes: tuple[str, ...] = CLASSES
    objects: tuple[int, int] = (1, 3)
    radius: tuple[float, float] = (0.13, 0.23)
    clutter: tuple[int, int] = (3, 8)
    visible: float = 0.7
    stretch: float = 1.12
    contrast: float = 0.35
    grain: float = 0.012

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 32:
            raise OptionError(f"size is {self.size}; expected (h, w) of at least 32 pixels each")
        unknown = [c for c in self.classes if c not in _SHAPE_OF]
        if unknown or not self.classes or len(set(self.classes)) < len(self.classes):
            raise OptionError(f"classes are {self.classes}; expected different names out of {', '.join(CLASSES)}")
        for name in ("objects", "clutter"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise OptionError(f"{name} is {(low, high)}; expected (least, most) with 0 <= least <= most")
        if self.objects[1] > len(self.classes):
            raise OptionError(
                f"objects is {self.objects}, but there are {len(self.classes)} classes and each object needs its own"
            )
        if not 0 < self.radius[0] <= self.radius[1] <= 0.5 / self.stretch:
            raise OptionError(
                f"radius is {self.radius}; expected 0 < least <= most <= {0.5 / self.stretch:.3f} of the shorter side"
            )
        if not 0 < self.visible <= 1:
            raise OptionError(f"visible is {self.visible}; expected a share in (0, 1]")
        if self.stretch < 1 or not 0 <= self.contrast <= 1 or self.grain < 0:
            raise OptionError(
                f"stretch {self.stretch}, contrast {self.contrast}, grain {self.grain}; expected stretch >= 1, contrast in [0, 1], grain >= 0"
            )


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and all that is known about it. Coordinates are edge-origin pixels; n objects, back to front.

    Args:
        picture: (H, W, 3) uint8 RGB.
        masks: (n, H, W) the visible pixels of each object; disjoint.
        boxes: (n, 4) x0, y0, x1, y1: the extent of each mask.
        labels: (n,) indices into ``names``, all different.
        keypoints: (n, MAX_KEYPOINTS, 3) x, y and visibility: 2 in the object's mask, 1 hidden, 0 (with x = y = 0)
            where the class has no such point. Their names are in ``SHAPES[...].keypoints``.
        centres: (n, 2) x, y.
        angles: (n,) radians clockwise of the class's upright form.
        radii: (n,) pixels.
        clutter: (H, W) visible pixels of things that are no object.
        names: class names.
        seed: what it was made from.
    """

    picture: UInt8[np.ndarray, "H W 3"]
    masks: Bool[np.ndarray, "n H W"]
    boxes: Float32[np.ndarray, "n 4"]
    labels: Int64[np.ndarray, " n"]
    keypoints: Float32[np.ndarray, "n k 3"]
    centres: Float32[np.ndarray, "n 2"]
    angles: Float32[np.ndarray, " n"]
    radii: Float32[np.ndarray, " n"]
    clutter: Bool[np.ndarray, "H W"]
    names: tuple[str, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.labels)


def make_scene(seed: int, config: SceneConfig | None = None) -> Scene:
    """The scene of a seed.

    Args:
        seed: 0 to 2**42 - 1; see :data:`TRAINING`, :data:`VALIDATION` and :data:`HELD_OUT`.

    Example:
        >>> scene = make_scene(8)
        >>> scene.picture.shape, [scene.names[i] for i in scene.labels]
        ((128, 128, 3), ['bolt'])
    """
    config = config or SceneConfig()
    if not 0 <= seed < HELD_OUT.stop:
        raise OptionError(f"seed is {seed}; expected 0 to 2**42 - 1")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    size = config.size
    canvas, ground = background(rng, size)
    light = random_light(rng)
    objects, labels = _objects(rng, config)
    count = int(rng.integers(config.clutter[0], config.clutter[1] + 1))
    front = min(count, int(rng.binomial(count, 0.25)))
    clutter = np.zeros(size, bool)

    def add(thing: Cover, apart: float) -> None:
        cast_shadow(canvas, thing, light)
        paint(canvas, thing, random_finish(rng, ground, thing.pose.radius, apart), light, rng)

    for _ in range(count - front):
        thing = _clutter(rng, config, (0.05, 0.2))
        add(thing, 0.5 * config.contrast)
        clutter[thing.patch] |= thing.alpha >= 0.5
    masks = np.zeros((len(objects), *size), bool)
    for i, thing in enumerate(objects):
        add(thing, config.contrast)
        solid = thing.alpha >= 0.5
        masks[(slice(None, i), *thing.patch)] &= ~solid
        masks[(i, *thing.patch)] = solid
        clutter[thing.patch] &= ~solid
    whole = np.array([float((thing.alpha >= 0.5).sum()) for thing in objects])
    for _ in range(front):
        thing = _clutter(rng, config, (0.04, 0.1))
        solid = thing.alpha >= 0.5
        hidden = masks[(slice(None), *thing.patch)][:, solid].sum(1)
        if (masks.sum((1, 2)) - hidden < config.visible * whole).any():
            continue
        add(thing, 0.5 * config.contrast)
        masks[(slice(None), *thing.patch)] &= ~solid
        clutter[thing.patch] |= solid
    picture = finish_picture(canvas, light, config.grain, rng)
    poses = [thing.pose for thing in objects]
    return Scene(
        picture=picture,
        masks=masks,
        boxes=_extents(masks),
        labels=np.array(labels, np.int64),
        keypoints=_keypoints(objects, [_SHAPE_OF[config.classes[k]].keypoints for k in labels], masks),
        centres=np.array([(p.x, p.y) for p in poses], np.float32).reshape(-1, 2),
        angles=np.array([p.angle for p in poses], np.float32),
        radii=np.array([p.radius for p in poses], np.float32),
        clutter=clutter,
        names=config.classes,
        seed=seed,
    )


def scenes(seeds: Iterable[int], config: SceneConfig | None = None) -> Iterator[Scene]:
    """The scenes of some seeds, one by one as they are asked for."""
    return (make_scene(seed, config) for seed in seeds)


def held_out_scenes(count: int = 300, config: SceneConfig | None = None) -> Iterator[Scene]:
    """The first ``count`` scenes of :data:`HELD_OUT`, which no model of this package was fitted or chosen on."""
    return scenes(HELD_OUT[:count], config)


def _objects(rng: np.random.Generator, config: SceneConfig) -> tuple[list[Cover], list[int]]:
    """Posed objects back to front and their labels; each stays visible enough behind those in front of it."""
    side = min(config.size)
    count = int(rng.integers(config.objects[0], config.objects[1] + 1))
    things: list[Cover] = []
    labels: list[int] = []
    taken: list[tuple[float, float, float]] = []
    for label in rng.permutation(len(config.classes))[:count].tolist():
        radius = float(rng.uniform(*config.radius)) * side
        pose = random_pose(rng, 0.0, 0.0, radius, config.stretch)
        at = place(rng, config.size, radius, pose.reach, taken, overlap=0.2)
        if at is None:
            continue
        thing = cover(_SHAPE_OF[config.classes[label]].distance, replace(pose, x=at[0], y=at[1]), config.size)
        if not _stay_visible([*things, thing], config):
            continue
        things.append(thing)
        labels.append(label)
        taken.append((*at, radius))
    return things, labels


def _stay_visible(things: list[Cover], config: SceneConfig) -> bool:
    last = np.zeros(config.size, bool)
    last[things[-1].patch] = things[-1].alpha >= 0.5
    above = last.copy()
    # from the front to the back, so that what two things hide together counts
    for thing in reversed(things[:-1]):
        solid = thing.alpha >= 0.5
        if (solid & ~above[thing.patch]).sum() < config.visible * solid.sum():
            return False
        above[thing.patch] |= solid
    return True


def _clutter(rng: np.random.Generator, config: SceneConfig, radius: tuple[float, float]) -> Cover:
    """A thing that is no object, anywhere; it may reach out of the picture."""
    pose = random_pose(
        rng,
        float(rng.uniform(0, config.size[1])),
        float(rng.uniform(0, config.size[0])),
        float(rng.uniform(*radius)) * min(config.size),
        1.3,
    )
    return cover(random_clutter(rng), pose, config.size)


def _extents(masks: Bool[np.ndarray, "n h w"]) -> Float32[np.ndarray, "n 4"]:
    """Smallest boxes around masks, none of which is empty."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _keypoints(
    things: list[Cover], named: list[dict[str, tuple[float, float]]], masks: Bool[np.ndarray, "n h w"]
) -> Float32[np.ndarray, "n k 3"]:
    points = np.zeros((len(things), MAX_KEYPOINTS, 3), np.float32)
    for i, (thing, names) in enumerate(zip(things, named, strict=True)):
        xy = thing.pose.to_pixels(np.array(list(names.values()), np.float32))
        column, row = xy.astype(int).T
        points[i, : len(xy), :2] = xy
        points[i, : len(xy), 2] = np.where(masks[i, row, column], 2, 1)
    return points
