"""Noisy linear imputation: removed pixels get the weighted mean of their neighbours, so that no edge gives them away.

Rong et al., "A consistent and efficient evaluation strategy for attribution methods" (ICML 2022), section 4: a blank or
blurred patch tells the model by its outline which pixels were removed; the solution of a linear system, plus noise,
hardly does. The system and how it is solved fast: :mod:`isotherm.metrics.multigrid`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import MethodError, OptionError, ShapeError
from isotherm.metrics.multigrid import Smear, VCycle, weight_sum
from isotherm.metrics.references import mix

CACHE = 50_000
"""Pixels that are solved for at once on a processor, about one picture of 224 x 224: more would not stay in its cache,
and fewer would spend the time on starting operations. An accelerator gets 64 times as many."""
STEPS = 100
"""Conjugate-gradient steps after which the solver gives up; five to ten are usual."""


def linear_imputation(
    pictures: Float[Tensor, "n c h w"],
    removed: Bool[Tensor, "n h w"],
    *,
    noise: float = 0.0,
    seed: int = 0,
    tolerance: float = 1e-6,
) -> Float[Tensor, "n c h w"]:
    """Pictures whose removed pixels are the weighted mean of their eight neighbours, all of them at once.

    Args:
        pictures: model inputs. Kept pixels are returned bit by bit.
        removed: True where a pixel is to be replaced; at least one pixel per picture must stay.
        noise: standard deviation of the normal noise added to replaced pixels, in the pictures' units (ROAD: 0.01).
        seed: of the noise; the noise of row i depends on the seed and i only.
        tolerance: largest error of the solution, as a part of the kept pixels' spread.

    Returns:
        (n, c, h, w), dtype and device of ``pictures``.

    Raises:
        OptionError: a picture of which nothing would stay, or a negative noise.

    Source: Rong et al. 2022, section 4.2 and its repository's weights (direct 1/6, diagonal 1/12).

    Example:
        >>> picture = torch.tensor([[[[0.0, 9.0, 3.0]]]])
        >>> linear_imputation(picture, picture[:, 0] == 9.0).tolist()     # half of each side
        [[[[0.0, 1.5, 3.0]]]]
    """
    if tuple(removed.shape) != (len(pictures), *pictures.shape[-2:]):
        raise ShapeError(f"removed is {tuple(removed.shape)}; expected {(len(pictures), *pictures.shape[-2:])}, a mask per picture")
    if noise < 0 or tolerance <= 0:
        raise OptionError(f"noise is {noise} and tolerance {tolerance}; noise must not be negative and the tolerance must be positive")
    if bool(removed.flatten(1).all(1).any()):
        raise OptionError("every pixel of a picture is removed, so there is nothing to fill it from; keep at least one")
    removed = removed.to(pictures.device)
    together = max(1, (CACHE if pictures.device.type == "cpu" else 64 * CACHE) // removed[0].numel()) if len(removed) else 1
    with torch.no_grad(), torch.autocast(pictures.device.type, enabled=False):
        filled = [
            _solve(p, r, tolerance) for p, r in zip(pictures.split(together), removed.split(together), strict=True)
        ]
    out = torch.cat(filled) if filled else pictures.detach().clone()
    return out if noise == 0 else out + _noise(out, seed, noise) * removed[:, None].to(out)


def _noise(like: Tensor, seed: int, scale: float) -> Tensor:
    rows = [
        torch.randn(like.shape[1:], generator=torch.Generator().manual_seed(mix(seed, row)), dtype=torch.float32)
        for row in range(len(like))
    ]
    return (torch.stack(rows) * scale).to(like)


def _solve(pictures: Tensor, removed: Tensor, tolerance: float) -> Tensor:
    """Conjugate gradients in float64, each step prepared by a multigrid cycle in float32."""
    _, c, h, w = pictures.shape
    wide = torch.float32 if pictures.device.type == "mps" else torch.float64
    unknown = removed[:, None].to(wide)
    values = pictures.to(wide).masked_fill(removed[:, None], 0.0)
    # around the mean of what is kept and in units of its spread, so that the tolerance means the same everywhere
    mean = values.sum((2, 3), keepdim=True) / (1 - unknown).sum((2, 3), keepdim=True)
    values = (values - mean).mul_(1 - unknown)
    spread = values.abs().amax((1, 2, 3), keepdim=True)
    spread = torch.where(spread > 0, spread, 1.0)

    diagonal, twelfth = (weight_sum((h, w), dtype=wide, device=pictures.device) + 1 / 3) * unknown, unknown / 12
    padded = F.pad(values.div_(spread), (1, 1, 1, 1))
    direction, smear = padded[..., 1:-1, 1:-1], Smear(padded)
    residual = smear().mul(twelfth)  # what the kept neighbours say, with 0 as the first guess
    direction.zero_()
    x, cycle, before = torch.zeros_like(residual), VCycle(removed, c), None
    scratch = torch.empty_like(x)

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return torch.mul(a, b, out=scratch).sum((2, 3), keepdim=True)

    for _ in range(STEPS):
        error = cycle(residual.float()).to(wide)
        # the cycle's answer is the error but for some tenth, so adding it leaves less than half of the tolerance
        if max(abs(float(e)) for e in torch.aminmax(error)) < tolerance:
            x += error
            return torch.where(removed[:, None], (x * spread + mean).to(pictures.dtype), pictures)
        energy = dot(residual, error)
        if before is None:
            direction.copy_(error)
        else:
            direction.mul_(_ratio(energy, before)).add_(error)
        image = smear().mul_(twelfth).neg_().addcmul_(diagonal, direction)
        step = _ratio(energy, dot(direction, image))
        x.addcmul_(step, direction)
        residual.addcmul_(step, image, value=-1)
        before = energy
    raise MethodError(f"the imputation did not reach a tolerance of {tolerance} in {STEPS} steps; ask for a larger one")


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """0 where there is nothing left to do in a channel: its residual is 0."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(below.dtype).tiny), 0.0)
