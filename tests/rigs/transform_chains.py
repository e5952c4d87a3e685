"""Random chains of torchvision's real transforms, with the affine map of each composed by hand from what was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import BoundingBoxes

BILINEAR = InterpolationMode.BILINEAR
Step = Callable[[Any], Any]


def affine(a, b, c, d, e, f) -> np.ndarray:
    return np.array([[a, b, c], [d, e, f], [0.0, 0.0, 1.0]])


def drawn(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Step, np.ndarray, tuple[int, int]]:
    """(a transform, its affine map from output to input in edge-origin pixels, the output's size)."""
    h, w = size
    kind = int(rng.integers(0, 7))
    if kind == 0:
        new = int(rng.integers(48, 160)), int(rng.integers(48, 160))
        return v2.Resize(new, interpolation=BILINEAR, antialias=True), affine(w / new[1], 0, 0, 0, h / new[0], 0), new
    if kind == 1:
        top, left = int(rng.integers(0, h // 4 + 1)), int(rng.integers(0, w // 4 + 1))
        new = int(rng.integers(h // 2, h - top + 1)), int(rng.integers(w // 2, w - left + 1))
        return lambda x: F.crop(x, top, left, *new), affine(1, 0, left, 0, 1, top), new
    if kind == 2:
        left, top, right, bottom = (int(v) for v in rng.integers(0, 16, 4))
        mode = ("constant", "edge", "reflect")[int(rng.integers(0, 3))]
        new = h + top + bottom, w + left + right
        return v2.Pad([left, top, right, bottom], padding_mode=mode), affine(1, 0, -left, 0, 1, -top), new
    if kind == 3:
        return v2.RandomHorizontalFlip(1.0), affine(-1, 0, w, 0, 1, 0), size
    if kind == 4:
        return v2.RandomVerticalFlip(1.0), affine(1, 0, 0, 0, -1, h), size
    degrees = float(rng.uniform(-40, 40))
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = affine(1, 0, w / 2, 0, 1, h / 2) @ affine(cos, -sin, 0, sin, cos, 0) @ affine(1, 0, -w / 2, 0, 1, -h / 2)
    if kind == 5:
        return lambda x: F.rotate(x, degrees, interpolation=BILINEAR), turned, size
    x, y = (int(v) for v in rng.integers(-8, 9, 2))
    zoom = float(rng.uniform(0.8, 1.25))
    # torchvision's affine turns clockwise, where its rotation turns the other way
    back = affine(1, 0, w / 2, 0, 1, h / 2) @ affine(cos, sin, 0, -sin, cos, 0) @ affine(1 / zoom, 0, 0, 0, 1 / zoom, 0)
    back = back @ affine(1, 0, -w / 2 - x, 0, 1, -h / 2 - y)
    return lambda p: F.affine(p, degrees, [x, y], zoom, [0.0, 0.0], interpolation=BILINEAR), back, size


def chain(seed: int) -> tuple[list[Step], np.ndarray, tuple[int, int], tuple[int, int]]:
    """(transforms, the map from the output to the source, size of the output, of the source)."""
    rng = np.random.default_rng(seed)
    source = size = int(rng.integers(100, 240)), int(rng.integers(100, 240))
    steps, whole = [], np.eye(3)
    for _ in range(int(rng.integers(1, 5))):
        step, matrix, size = drawn(rng, size)
        steps.append(step)
        whole = whole @ matrix
    return steps, whole, size, source


def floats(picture: Any) -> torch.Tensor:
    return F.to_dtype(F.to_image(picture), torch.float32, scale=True)


def run(steps: Sequence[Step], picture: Any, *, in_bytes: bool) -> np.ndarray:
    x = picture if in_bytes else floats(picture)
    for step in steps:
        x = step(x)
    return (floats(x) if in_bytes else x).numpy()


def looked_at(steps: Sequence[Step], source: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """([x, y] where each pixel of the output truly looks, (2, h, w) in source pixels; how much it sees of the picture).

    Every column of the source is lit alone, and every row: what comes out of a pixel is its weight, and the weights'
    centroid is where it looks.
    """
    places = []
    for n, along in ((source[1], -1), (source[0], -2)):
        lines = torch.zeros(n, *source, dtype=torch.float64)
        lines.movedim(along, 1)[torch.arange(n), torch.arange(n)] = 1
        x = lines.float()
        for step in steps:
            x = step(x)
        weights = x.double().numpy()
        total = weights.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            places.append(np.tensordot(np.arange(n) + 0.5, weights, 1) / total)
    return np.stack(places), total


def beside(steps: Sequence[Step], whole: np.ndarray, source: tuple[int, int]) -> float:
    """How far pixels of the output truly look from where a map puts them, the median in source pixels."""
    (x, y), total = looked_at(steps, source)
    v, u = np.meshgrid(*(np.arange(n) + 0.5 for n in total.shape), indexing="ij")
    at = np.einsum("ij,jhw->ihw", whole[:2], np.stack([u, v, np.ones_like(u)]))
    return float(np.median(np.hypot(x - at[0], y - at[1])[np.abs(total - 1) < 1e-3]))


def worst(frame: Any, whole: np.ndarray) -> float:
    """How far the corners of a frame lie from where a map puts them, source pixels along the worse axis."""
    h, w = frame.size
    corners = np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]], float).T
    return float(np.abs((whole[:2] - frame.to_source.numpy()) @ corners).max())


def worst_of_boxes(steps: Sequence[Step], whole: np.ndarray, size: tuple[int, int], source: tuple[int, int]) -> float:
    """How far torchvision's own bounding box lies from that of a map, in pixels of the output.

    The box is small and in the middle of what the output shows, so that nothing of it is cut away.
    """
    h, w = size
    middle = whole @ np.array([w / 2, h / 2, 1.0])
    x0, y0, x1, y1 = middle[0] - 4, middle[1] - 3, middle[0] + 4, middle[1] + 3
    data = torch.tensor([[x0, y0, x1, y1]], dtype=torch.float64)
    box: Any = BoundingBoxes(data, format="XYXY", canvas_size=source, clamping_mode=None)
    corners = np.linalg.inv(whole) @ np.array([[x0, y0, 1], [x1, y0, 1], [x0, y1, 1], [x1, y1, 1]], float).T
    for step in steps:  # boxes are padded by nothing but constants, which moves them alike
        box = v2.Pad(step.padding)(box) if isinstance(step, v2.Pad) else step(box)
    by_hand = np.concatenate([corners[:2].min(1), corners[:2].max(1)])
    # a box that is turned twice grows each time: its middle alone is where the map puts it
    found = np.asarray(box, float)[0]
    return float(np.abs((found[:2] + found[2:]) - (by_hand[:2] + by_hand[2:])).max() / 2)
