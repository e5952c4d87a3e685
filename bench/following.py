"""Whether what a layer answers follows a textured square that is moved over a picture to nine places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, UInt8

from isotherm.cam.capture import record
from isotherm.cam.view import View
from isotherm.frame import Frame
from isotherm.relevance.modules import resolve

PICTURE = (300, 400)
"""(h, w) in pixels: neither the size nor the shape of any model's input, so that the way to it is on trial as well."""
PLACES = tuple((x / 6, y / 6) for y in (1, 3, 5) for x in (1, 3, 5))
"""Centres of the square, (x, y) as shares of what the model sees of the picture."""
SIDE = 1 / 6
"""Of the square, as a share of the shorter side of what the model sees."""
GRAIN = 4
"""Source pixels along one spot of the texture, which resizing must not wipe out."""
BEYOND = 1.0
"""Cells beyond the square's border within which the strongest cell's middle must lie. The places are two cells and more
apart in a grid of 7 x 7: a layout that is mirrored, transposed or a row off where rows are short misses some of them.
"""
TEXTURES = 2
"""Squares of other noise at each place; their answers are added."""


@dataclass(frozen=True)
class Followed:
    """How far a layer's strongest cell lay from the square.

    Args:
        layer: its name.
        grid: (h, w) of its cells.
        off: (9, 2), (x, y) from the square's centre to the strongest cell's, in cells.
        half: (x, y), half the square's side, in cells.
    """

    layer: str
    grid: tuple[int, int]
    off: Float[np.ndarray, "9 2"]
    half: Float[np.ndarray, "2"]

    @property
    def beyond(self) -> float:
        """How far beyond the square's border the strongest cell's middle lay, in cells, at the worst of the places."""
        return float((np.abs(self.off) - self.half).max())

    @property
    def follows(self) -> bool:
        """Whether the strongest cell went along with the square to every place."""
        return self.beyond <= BEYOND


def seen_of(frame: Frame) -> tuple[float, float, float, float]:
    """(x0, y0, x1, y1) in source pixels of what an input shows of its picture, without padding."""
    h, w = frame.size
    corners = frame.points_to_source(torch.tensor([[0.0, 0.0], [float(w), float(h)]], dtype=torch.float64)).numpy()
    low, high = corners.min(0), corners.max(0)
    height, width = (int(n) for n in frame.source_size)
    return max(0.0, low[0]), max(0.0, low[1]), min(float(width), high[0]), min(float(height), high[1])


def squares(
    size: tuple[int, int], seen: Sequence[float], *, seed: int = 0
) -> tuple[list[UInt8[np.ndarray, "h w 3"]], Float[np.ndarray, "9 2"], int]:
    """(a picture of faint noise and the same with a square at each place, the centres (x, y) in pixels, the side).

    Args:
        size: (h, w) of the pictures.
        seen: (x0, y0, x1, y1), where the squares lie.
        seed: of the texture.
    """
    rng = np.random.default_rng(seed)
    base = (118 + rng.integers(0, 20, (*size, 3))).astype(np.uint8)
    x0, y0, x1, y1 = seen
    side = max(GRAIN, round(min(x1 - x0, y1 - y0) * SIDE))
    spots = rng.integers(0, 2, (-(-side // GRAIN),) * 2 + (3,)) * 255
    texture = np.kron(spots, np.ones((GRAIN, GRAIN, 1)))[:side, :side].astype(np.uint8)
    pictures, centres = [base], []
    for x, y in PLACES:
        left, top = round(x0 + x * (x1 - x0) - side / 2), round(y0 + y * (y1 - y0) - side / 2)
        picture = base.copy()
        picture[top : top + side, left : left + side] = texture
        pictures.append(picture)
        centres.append((left + side / 2, top + side / 2))
    return pictures, np.array(centres), side


def settle(view: View) -> None:
    """Batch norms take the statistics of such pictures, as training would have given them: with those they begin with
    what a deep network answers fades or grows until its borders answer most.
    """
    norms = [
        m
        for m in view.model.modules()
        if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and m.running_mean is not None
    ]
    if not norms:
        return
    seen = seen_of(view.prepare([np.zeros((*PICTURE, 3), np.uint8)]).frame[0])
    pictures = [picture for seed in (2, 3) for picture in squares(PICTURE, seen, seed=seed)[0]]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        view.run(view.prepare(pictures))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def concentrate(view: View) -> None:
    """Kernels weigh their middle tap most, each step from it a half, at the same norm.

    Random kernels weigh all taps alike: the strongest answer walks by up to a tap with every convolution, six cells with one
    that is dilated by six, to another side with every seed. Which pixels a cell sees, and where their middle lies,
    is the same for every weight.
    """
    with torch.no_grad():
        for module in view.model.modules():
            if not isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d):
                continue
            before = module.weight.norm()
            for dim, taps in enumerate(module.kernel_size, 2):
                if taps % 2:
                    steps = (torch.arange(taps) - taps // 2).abs()
                    shape = [-1 if d == dim else 1 for d in range(module.weight.ndim)]
                    module.weight.mul_((0.5**steps).view(shape).to(module.weight))
            module.weight.mul_(before / module.weight.norm().clamp_min(1e-12))


def follow(view: View, layers: Sequence[str] | None = None) -> list[Followed]:
    """How the strongest change of each layer follows the square.

    Args:
        view: of any model that sees one picture.
        layers: names; the view's own choice unless given.
    """
    names = list(view.auto_layers().layers if layers is None else layers)
    refs = resolve(view.model, names)
    seen = seen_of(view.prepare([np.zeros((*PICTURE, 3), np.uint8)]).frame[0])
    changes: list[np.ndarray] = [np.zeros(0)] * len(refs)
    frames: list[Frame] = []
    for seed in range(TEXTURES):
        pictures, centres, side = squares(PICTURE, seen, seed=seed)
        grids: list[list[torch.Tensor]] = [[] for _ in refs]
        for picture in pictures:
            inputs = view.prepare([picture])
            recording = record(view.model, partial(view.run, inputs), refs, gradient=False)
            frames = []
            for i, call in enumerate(recording.calls):
                layout = view.layout(str(call.layer), call.output, inputs)
                grid = layout.to_grid(call.output)[0].detach().double()
                grids[i].append(grid)
                frames.append(layout.frame(inputs, (int(grid.shape[1]), int(grid.shape[2])))[0])
        for i, (first, *others) in enumerate(grids):
            change = torch.stack([(g - first).square().sum(0) for g in others]).numpy()
            changes[i] = changes[i] + change if changes[i].size else change
    return [
        _followed(str(ref), change, frame, centres, side)
        for ref, change, frame in zip(refs, changes, frames, strict=True)
    ]


def _followed(
    layer: str, change: Float[np.ndarray, "9 h w"], frame: Frame, centres: Float[np.ndarray, "9 2"], side: int
) -> Followed:
    cells = frame.points_from_source(torch.from_numpy(centres)).numpy()
    strongest = np.array([np.unravel_index(int(one.argmax()), one.shape) for one in change])
    at = strongest[:, ::-1] + 0.5
    size = frame.cell_size.numpy()[::-1]
    return Followed(layer, (int(change.shape[1]), int(change.shape[2])), at - cells, side / 2 / size)
