"""Noisy linear imputation: removed pixels get the weighted mean of their neighbours, so that no edge gives them away.

Rong et al., "A consistent and efficient evaluation strategy for attribution methods" (ICML 2022), section 4: a blank or
blurred patch tells the model by its outline which pixels were removed; the solution of a linear system, plus noise,
hardly does. The system and how it is solved fast: :mod:`isotherm.metrics.multigrid`.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import MethodError, OptionError, ShapeError
from isotherm.frame import Size
from isotherm.metrics.multigrid import Smear, VCycle, weight_sum
from isotherm.metrics.references import mix

CACHE = 50_000
"""Pixels that are solved for at once on a processor, about one picture of 224 x 224: more would not stay in its cache,
and fewer would spend the time on starting operations. An accelerator gets 64 times as many."""
STEPS = 100
"""Multigrid cycles after which the solver gives up; five to ten are usual."""
DEPTH = 1e-6
"""How far a pass in float32 brings the error down."""


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
        raise ShapeError(
            f"removed is {tuple(removed.shape)}; expected {(len(pictures), *pictures.shape[-2:])}, a mask per picture"
        )
    if noise < 0 or tolerance <= 0:
        raise OptionError(
            f"noise is {noise} and tolerance {tolerance}; noise must not be negative and the tolerance must be positive"
        )
    if bool(removed.flatten(1).all(1).any()):
        raise OptionError("every pixel of a picture is removed, so there is nothing to fill it from; keep at least one")
    removed = removed.to(pictures.device)
    together = (
        max(1, (CACHE if pictures.device.type == "cpu" else 64 * CACHE) // removed[0].numel()) if len(removed) else 1
    )
    with torch.no_grad(), torch.autocast(pictures.device.type, enabled=False):
        solver: _Solver | None = None
        filled = []
        for some, gone in zip(pictures.split(together), removed.split(together), strict=True):
            if solver is None or solver.systems != len(some):
                solver = _Solver(len(some), pictures.shape[1], (pictures.shape[2], pictures.shape[3]), pictures.device)
            filled.append(solver(some, gone, tolerance))
    out = torch.cat(filled) if filled else pictures.detach().clone()
    return out if noise == 0 else out + _noise(out, seed, noise) * removed[:, None].to(out)


def _noise(like: Tensor, seed: int, scale: float) -> Tensor:
    rows = [
        torch.randn(like.shape[1:], generator=torch.Generator().manual_seed(mix(seed, row)), dtype=torch.float32)
        for row in range(len(like))
    ]
    return (torch.stack(rows) * scale).to(like)


class _Solver:
    """Conjugate gradients in float32, each step prepared by a multigrid cycle, within a refinement in float64.

    Float32 alone loses the last digits on large holes, where errors of rounding add up over the distance; float64
    throughout takes twice the time. So a pass in float32 brings the error down by four orders of magnitude, the
    residual is computed anew in float64, and the next pass works on what is left.
    """

    def __init__(self, systems: int, channels: int, size: Size, device: torch.device) -> None:
        self.systems = systems
        self.wide = torch.float32 if device.type == "mps" else torch.float64
        shape = (systems, channels, *size)
        self.cycle = VCycle(systems, channels, size, device)
        self.diagonal = weight_sum(size, dtype=self.wide, device=device) + 1 / 3
        padded = torch.zeros(systems, channels, size[0] + 2, size[1] + 2, dtype=self.wide, device=device)
        self.x, self.smear_x = padded[..., 1:-1, 1:-1], Smear(padded)
        padded = torch.zeros_like(padded, dtype=torch.float32)
        self.direction, self.smear_direction = padded[..., 1:-1, 1:-1], Smear(padded)
        self.residual, self.correction, self.image, self.scratch = (torch.zeros(shape, device=device) for _ in range(4))

    def __call__(self, pictures: Tensor, removed: Tensor, tolerance: float) -> Tensor:
        gone = removed[:, None]
        kept = (~gone).to(self.wide)
        # around the mean of what is kept and in units of its spread, so that the tolerance means the same everywhere
        values = pictures.to(self.wide).masked_fill(gone, 0.0)
        mean = values.sum((2, 3), keepdim=True) / kept.sum((2, 3), keepdim=True)
        values = values.sub_(mean).mul_(kept)
        spread = values.abs().amax((1, 2, 3), keepdim=True)
        spread = torch.where(spread > 0, spread, 1.0)
        # x holds the kept values all along, so that one sweep of the stencil gives both sides of the equation
        self.x.copy_(values.div_(spread))
        self.cycle.set(removed)
        # where there is no float64, its last digits cannot be asked for
        tolerance = tolerance if self.wide == torch.float64 else max(tolerance, 1e-5)
        left = STEPS
        while left > 0:
            total = self.smear_x().div_(12).addcmul_(self.diagonal, self.x, value=-1)
            self.residual.copy_(total.masked_fill_(~gone, 0.0))
            steps, error = self._pass(tolerance, left)
            self.x += self.correction
            left -= steps
            if error < tolerance:
                filled = torch.addcmul(mean, self.x, spread).to(pictures.dtype)
                return torch.where(gone, filled, pictures)
        raise MethodError(
            f"the imputation did not reach a tolerance of {tolerance} in {STEPS} steps; ask for a larger one"
        )

    def _pass(self, tolerance: float, steps: int) -> tuple[int, float]:
        """One pass: the correction for the residual; the steps it took and the error that it corrects, at its start.

        The multigrid cycle's answer is the error but for a tenth or so. Adding it therefore leaves far less than the
        error it names, and an error under the tolerance at the start of a pass was measured in float64.
        """
        level, x = self.cycle.finest, self.correction.zero_()
        first, before = 0.0, None
        for step in range(steps):
            z = self.cycle(self.residual)
            error = max(abs(float(e)) for e in torch.aminmax(z))
            if step == 0:
                first = error
            if error < max(tolerance, DEPTH * first):
                x += z
                return step + 1, first
            energy = self._dot(self.residual, z)
            if before is None:
                self.direction.copy_(z)
            else:
                self.direction.mul_(_ratio(energy, before)).add_(z)
            torch.mul(level.diagonal, self.direction, out=self.image)
            self.image.addcmul_(level.twelfth, self.smear_direction(), value=-1)
            along = _ratio(energy, self._dot(self.direction, self.image))
            x.addcmul_(along, self.direction)
            self.residual.addcmul_(along, self.image, value=-1)
            before = energy
        return steps, first

    def _dot(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.mul(a, b, out=self.scratch).sum((2, 3), keepdim=True)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """0 where there is nothing left to do in a channel: its residual is 0."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(below.dtype).tiny), 0.0)
