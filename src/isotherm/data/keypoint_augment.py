"""Batches of cached pictures, each turned, scaled, shifted, mirrored and recoloured by itself, in one resampling step.

Everything geometric is one affine map per picture, so its frame says where every cell of the result lies in the source
picture; colour follows on the device. What is drawn for a picture depends on the seed, the epoch and the picture alone,
never on the batch, so a run that is resumed sees what it would have seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from isotherm.data.keypoint_crop import FURTHER, crop_boxes
from isotherm.errors import OptionError
from isotherm.frame import Frame, Size

GREY = (0.299, 0.587, 0.114)
"""Luma of ITU-R BT.601, as torchvision and Pillow have it."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much pictures are changed; everything 0 leaves them as they are.

    Args:
        flip: probability of a mirror image, left to right.
        vertical_flip: probability of a mirror image, top to bottom.
        degrees: largest turn to either side.
        turn: probability of a turn.
        crop: (least, most) share of the picture's area that is cut out and fills the input, drawn evenly.
        ratio: (least, most) width over height of what is cut out, in the source picture, drawn evenly in its logarithm;
            it is stretched. Crops
            and vertical mirrors come before the turn, as in torchvision's chain of transforms, and none reaches beyond
            the picture; points that fall outside stay labelled.
        scale: (least, most) factor of size, drawn evenly in its logarithm.
        shift: largest shift, as a share of the side.
        brightness, contrast, saturation: largest relative change.
        hue: largest turn of the colour circle, as a share of it.
        grey: probability of a picture without colour.
        noise: standard deviation of noise per pixel, of 1.
    """

    flip: float = 0.0
    vertical_flip: float = 0.0
    degrees: float = 0.0
    turn: float = 1.0
    crop: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "vertical_flip", "turn", "grey"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} is {getattr(self, name)}; expected a probability from 0 to 1")
        for name, most in (
            ("degrees", 180.0),
            ("shift", 1.0),
            ("brightness", 1.0),
            ("contrast", 1.0),
            ("saturation", 1.0),
            ("hue", 0.5),
            ("noise", 1.0),
        ):
            if not 0 <= getattr(self, name) <= most:
                raise OptionError(f"{name} is {getattr(self, name)}; expected a number from 0 to {most:g}")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise OptionError(f"scale is {self.scale}; expected (least, most), two factors above 0 in order")
        if len(self.crop) != 2 or not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise OptionError(f"crop is {self.crop}; expected (least, most), two shares above 0 and up to 1 in order")
        if len(self.ratio) != 2 or not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise OptionError(f"ratio is {self.ratio}; expected (least, most), two numbers above 0 in order")

    @property
    def crops(self) -> bool:
        """Whether pictures are cut, mirrored top to bottom, or turned only sometimes."""
        return self.crop != (1.0, 1.0) or self.ratio != (1.0, 1.0) or self.vertical_flip > 0 or self.turn < 1


TURNS = ("flip", "vertical_flip", "degrees")
"""The options that mirror or turn pictures; 0 is that they do not."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn for each of b pictures.

    Args:
        to_cells: (b, 2, 3) from the cells of the result to those of the cached picture.
        flipped: (b) whether mirrored.
        colour: (b, 3) factors of brightness, contrast and saturation.
        hue: (b) in turns.
        grey: (b) 0 or 1.
        noise_seed: (b) one number per picture.
    """

    to_cells: Float[Tensor, "b 2 3"]
    flipped: Tensor
    colour: Float[Tensor, "b 3"]
    hue: Float[Tensor, " b"]
    grey: Float[Tensor, " b"]
    noise_seed: Int[Tensor, " b"]


def draw(
    augmentation: Augmentation,
    index: Int[Tensor, " b"],
    *,
    seed: int,
    epoch: int | Int[Tensor, " b"],
    cached: Size,
    size: Size,
    tall: float | Float[Tensor, " b"] = 1.0,
) -> Drawn:
    """The random numbers of some pictures, each from a generator of its own.

    Args:
        index: numbers of the pictures in their set.
        epoch: one for all, or each picture's own.
        cached: (h, w) of the cached pictures.
        size: (h, w) of the result, which without augmentation shows the whole cached picture.
        tall: how many times as tall as wide a cached cell is in its source; other than 1 where pictures are stretched.
    """
    a = augmentation
    u = torch.zeros(11, len(index), dtype=torch.float64)
    further = torch.zeros(len(index), FURTHER, dtype=torch.float64)
    epochs = torch.as_tensor(epoch).expand(len(index)).tolist()
    for column, (i, of) in enumerate(zip(index.tolist(), epochs, strict=True)):
        generator = torch.Generator().manual_seed(mixed_seed(seed, of, i))
        u[:, column] = torch.rand(11, generator=generator, dtype=torch.float64)
        if a.crops:
            further[column] = torch.rand(FURTHER, generator=generator, dtype=torch.float64)
    flipped = u[0] < a.flip
    angle = torch.deg2rad((2 * u[1] - 1) * a.degrees)
    factor = torch.exp(math.log(a.scale[0]) + u[2] * (math.log(a.scale[1]) - math.log(a.scale[0])))
    (ch, cw), (h, w) = cached, size
    shift = (2 * u[3:5] - 1) * a.shift * torch.tensor([[cw], [ch]])
    # result cells -> about its centre -> to the cached picture's scale, smaller where the picture shall grow -> turned
    # -> shifted
    sx, sy = cw / w / factor, ch / h / factor
    mirror = torch.where(flipped, -1.0, 1.0).double()
    cos, sin = angle.cos(), angle.sin()
    xx, xy, yx, yy = cos * sx * mirror, -sin * sy, sin * sx * mirror, cos * sy
    x0 = cw / 2 + shift[0] - xx * w / 2 - xy * h / 2
    y0 = ch / 2 + shift[1] - yx * w / 2 - yy * h / 2
    if a.crops:
        box = crop_boxes(further[:, 2:], cached, a.crop, a.ratio, tall)
        turned, upended = further[:, 0] < a.turn, further[:, 1] < a.vertical_flip
        cos, sin = torch.where(turned, cos, 1.0), torch.where(turned, sin, 0.0)
        sx, sy = box[:, 2] / w / factor * mirror, box[:, 3] / h / factor * torch.where(upended, -1.0, 1.0)
        xx, xy, yx, yy = sx * cos, -sx * sin, sy * sin, sy * cos  # turned in the input, then back into the crop
        x0 = box[:, 0] + shift[0] - xx * w / 2 - xy * h / 2
        y0 = box[:, 1] + shift[1] - yx * w / 2 - yy * h / 2
    matrix = torch.stack([torch.stack([xx, xy, x0], -1), torch.stack([yx, yy, y0], -1)], -2)
    colour = 1 + (2 * u[5:8].T - 1) * torch.tensor([a.brightness, a.contrast, a.saturation])
    return Drawn(
        matrix,
        flipped,
        colour.float(),
        ((2 * u[8] - 1) * a.hue).float(),
        (u[9] < a.grey).float(),
        (u[10] * 2**31).long(),
    )


def warp(
    pictures: UInt8[Tensor, "b 3 s t"], frame: Frame, drawn: Drawn, size: Size
) -> tuple[Float[Tensor, "b 3 h w"], Frame]:
    """Pictures (0 to 1) in their new places, and the frames that lead back to the source pictures.

    Bilinear, cell centres on cell centres; beyond the cached picture it is black. The cached pictures are antialiased
    and hardly larger than the result, so nothing aliases.
    """
    (h, w), (s, t) = size, pictures.shape[-2:]
    ys, xs = torch.meshgrid(
        torch.arange(h, dtype=torch.float64) + 0.5, torch.arange(w, dtype=torch.float64) + 0.5, indexing="ij"
    )
    cells = torch.stack([xs, ys], -1).view(1, -1, 2)
    to = drawn.to_cells
    at = cells @ to[:, :, :2].mT + to[:, None, :, 2]
    # grid_sample's -1 to 1 without align_corners is from edge to edge
    grid = (2 * at / torch.tensor([t, s]) - 1).view(-1, h, w, 2).to(pictures.device, torch.float32)
    values = F.grid_sample(pictures.float() / 255, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return values, frame.warped(to, size)


def recolour(pictures: Float[Tensor, "b 3 h w"], drawn: Drawn, augmentation: Augmentation) -> Float[Tensor, "b 3 h w"]:
    """Brightness, contrast, saturation and hue, grey and noise, in this order; clipped to 0 to 1 after each of the
    first three.

    Source: the definitions of torchvision's ``adjust_brightness``, ``adjust_contrast`` and ``adjust_saturation``; hue
    is a turn about the grey axis, which changes no grey value.
    """
    luma = torch.tensor(GREY, device=pictures.device)[:, None, None]
    brightness, contrast, saturation = drawn.colour.to(pictures.device).T[:, :, None, None, None]
    if augmentation.brightness:
        pictures = (pictures * brightness).clamp(0, 1)
    if augmentation.contrast:
        mean = (pictures * luma).sum(1, keepdim=True).mean((-2, -1), keepdim=True)
        pictures = (mean + contrast * (pictures - mean)).clamp(0, 1)
    if augmentation.saturation:
        grey = (pictures * luma).sum(1, keepdim=True)
        pictures = (grey + saturation * (pictures - grey)).clamp(0, 1)
    if augmentation.hue:
        pictures = torch.einsum("bij,bjhw->bihw", _turn(drawn.hue).to(pictures), pictures).clamp(0, 1)
    if augmentation.grey:
        gone = drawn.grey.to(pictures)[:, None, None, None]
        pictures = torch.lerp(pictures, (pictures * luma).sum(1, keepdim=True).expand_as(pictures), gone)
    if augmentation.noise:
        shape = pictures.shape[1:]
        noise = torch.stack(
            [torch.randn(shape, generator=torch.Generator().manual_seed(int(s))) for s in drawn.noise_seed]
        )
        pictures = (pictures + augmentation.noise * noise.to(pictures)).clamp(0, 1)
    return pictures


def mirrored_points(
    points: Float[Tensor, "b n 2"], state: Int[Tensor, "b n"], flipped: Tensor, swaps: tuple[tuple[int, int], ...]
) -> tuple[Tensor, Tensor]:
    """Left and right change names in mirrored pictures; the places stay, because frames carry the mirroring."""
    order = torch.arange(points.shape[1])
    for i, j in swaps:
        order[i], order[j] = j, i
    chosen = flipped[:, None]
    return torch.where(chosen[..., None], points[:, order], points), torch.where(chosen, state[:, order], state)


def _turn(hue: Float[Tensor, " b"]) -> Float[Tensor, "b 3 3"]:
    """Rotations about (1, 1, 1) by a share of a full turn (Rodrigues' formula)."""
    angle = 2 * math.pi * hue
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cos * torch.eye(3) + sin * cross + (1 - cos) / 3


def mixed_seed(seed: int, epoch: int, index: int) -> int:
    """One seed of three numbers, far apart for neighbours (splitmix64, Steele et al. 2014).

    Args:
        seed: of a run.
        epoch: of it.
        index: of what is drawn for.
    """
    z = 0
    for value in (seed, epoch, index):
        z = (z ^ value) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        z = (z ^ z >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        z ^= z >> 31
    return z >> 1
