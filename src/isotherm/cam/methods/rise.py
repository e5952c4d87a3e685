"""RISE and D-RISE: the score of randomly masked pictures, averaged over the masks that show a pixel.

Petsiuk et al., "RISE: Randomized input sampling for explanation of black-box models" (BMVC 2018), eqs. 4-6, and
"Black-box explanation of object detectors via saliency maps" (CVPR 2021), which masks in the same way and scores a
detection. Assumes nothing about the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.methods.scoring import batch_on, blank_of, by_picture, check_batch, masked_scores
from isotherm.cam.trace import LayerMap, Trace
from isotherm.errors import MethodError
from isotherm.ops.resample import interpolation_matrix
from isotherm.progress import Progress, tell


@dataclass(frozen=True, kw_only=True)
class RISE:
    """Mean score over the masks that show a pixel, less the mean over all masks, signed.

    Args:
        masks: how many; the map's noise falls with the square root. The papers take 4,000 to 8,000.
        grid: (h, w) of a mask before it is enlarged, or one number for both.
        keep: probability that a cell of it shows the picture, between 0 and 1.
        seed: of the masks, which are the same for every picture and target, and for every ``batch``.
        centred: True subtracts the mean score, so that 0 means "makes no difference", and divides by how often each
            pixel was really shown. False is the paper's eq. 6, sum_i s_i M_i / (N keep), never centred.
        batch: masked pictures per forward pass; memory is bounded by it, whatever ``masks`` is. None: 4 on a CPU, 32
            elsewhere.
    """

    masks: int = 4000
    grid: int | tuple[int, int] = 7
    keep: float = 0.5
    seed: int = 0
    centred: bool = True
    batch: int | None = None

    name: ClassVar[str] = "RISE"
    signed: ClassVar[bool] = True
    explains: ClassVar[frozenset[str]] = frozenset({"pictures"})
    needs: ClassVar[frozenset[str]] = frozenset({"rerun"})

    def __post_init__(self) -> None:
        check_batch(self.batch)
        if self.masks < 1 or min(self._grid()) < 1:
            raise MethodError(f"{self.masks} masks on a grid of {self.grid} show nothing; both must be at least 1")
        if not 0 < self.keep < 1:
            raise MethodError(f"keep is {self.keep}; it is a probability, larger than 0 and smaller than 1")

    def __call__(self, trace: Trace) -> list[LayerMap]:
        rerun, blank = trace.need_rerun(), blank_of(trace)
        h, w = (int(s) for s in trace.inputs.tensor.shape[-2:])
        dtype = torch.promote_types(trace.scores.dtype, torch.float32)
        device = trace.inputs.tensor.device
        weighted = torch.zeros(len(trace), h, w, dtype=dtype, device=device)
        total = torch.zeros(len(trace), dtype=dtype, device=device)
        shown = torch.zeros(h, w, dtype=dtype, device=device)
        groups = list(by_picture(trace))
        done = 0
        for masks in self.make_masks((h, w), dtype=dtype, device=device):
            shown += masks.sum(0)
            for picture, target in groups:
                scores = masked_scores(rerun, picture, masks, blank, target, batch=len(masks)).to(weighted)
                rows = target.to(device)
                weighted[rows] += torch.einsum("nm,nhw->mhw", scores, masks)
                total[rows] += scores.sum(0)
            done += len(masks)
            tell(Progress(step=done, total=self.masks, stage=self.name))
        if not self.centred:
            return [LayerMap("input", weighted / (self.masks * self.keep), trace.frame)]
        # a pixel that no mask has shown says nothing: 0, as does the mean
        seen = shown.clamp(min=torch.finfo(dtype).tiny)
        mean = (total / self.masks)[:, None, None]
        return [
            LayerMap("input", torch.where(shown > 0, weighted / seen - mean, torch.zeros_like(weighted)), trace.frame)
        ]

    def make_masks(
        self, size: tuple[int, int], *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> Iterator[Float[Tensor, "n h w"]]:
        """The masks, ``batch`` at a time: random cells enlarged bilinearly by one cell too many and shifted at random.

        Args:
            size: (h, w) of the input.
            dtype, device: of the masks; the random numbers do not depend on them.

        Yields:
            (n, h, w) in [0, 1].
        """
        grid = self._grid()
        batch = batch_on(device, self.batch)
        cell = tuple(-(-s // g) for s, g in zip(size, grid, strict=True))
        generator = torch.Generator().manual_seed(self.seed)
        # some 50 numbers per mask: all of them are drawn at once, so that the batch size changes nothing
        cells = (torch.rand(self.masks, *grid, generator=generator, dtype=torch.float64) < self.keep).to(device, dtype)
        shifts = [torch.randint(c, (self.masks,), generator=generator).to(device) for c in cell]
        enlarge = [
            interpolation_matrix(
                (torch.arange((g + 1) * c, dtype=torch.float64) + 0.5) * (g / ((g + 1) * c)), g, outside="edge"
            ).to(device, dtype)
            for g, c in zip(grid, cell, strict=True)
        ]
        reach = [torch.arange(s, device=device) for s in size]
        for rows in torch.arange(self.masks, device=device).split(batch):
            down = enlarge[0][shifts[0][rows, None] + reach[0]]
            across = enlarge[1][shifts[1][rows, None] + reach[1]]
            yield down @ cells[rows] @ across.mT

    def _grid(self) -> tuple[int, int]:
        return (self.grid, self.grid) if isinstance(self.grid, int) else self.grid


@dataclass(frozen=True, kw_only=True)
class DRISE(RISE):
    """RISE with the settings of D-RISE: 5,000 masks on a 16 x 16 grid.

    The paper scores a masked picture by the detection in it that is most alike the one explained: IoU of the boxes
    times cosine of the class vectors times objectness. Here the same candidate is read again from the masked
    picture and its own score is taken, whatever the target is: class logit, box, mask. That is the detector's
    answer about *this* finding, costs no matching, and does not drop to 0 where the finding falls below the
    detector's threshold. The score ``Detection(of="box")`` is the IoU factor alone.
    """

    masks: int = 5000
    grid: int | tuple[int, int] = 16

    name: ClassVar[str] = "D-RISE"


rise = RISE()
drise = DRISE()
