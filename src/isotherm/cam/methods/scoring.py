"""Scoring many masked versions of a picture in bounded memory.

However many masks a method asks for, only ``batch`` of them exist at a time; what stays is one number per mask
and target. Targets of one picture share the masked pictures, and, where the rerun can do it, the forward passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.trace import Rerun, Trace
from isotherm.errors import MethodError


@runtime_checkable
class SharedRerun(Protocol):
    """A rerun that reads several targets of one picture from one forward pass."""

    def scores_of_each(self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " m"]) -> Float[Tensor, "n m"]:
        """Scores of n versions of *one* picture for each of its m targets, without graph."""
        ...


def by_picture(trace: Trace) -> Iterator[tuple[Float[Tensor, "*time c h w"], Int[Tensor, " m"]]]:
    """Each picture's model input with the targets that are about it."""
    picture = trace.picture.cpu()
    for row in picture.unique().tolist():
        yield trace.inputs.tensor[row], torch.nonzero(picture == row).flatten()


def blank_of(trace: Trace) -> Float[Tensor, "c 1 1"]:
    """The input value for "nothing there"; 0, the mean colour of normalised pictures, where the adapter names none."""
    tensor = trace.inputs.tensor
    blank = trace.inputs.blank
    return (tensor.new_zeros(tensor.shape[-3]) if blank is None else blank.to(tensor))[:, None, None]


def masked_scores(
    rerun: Rerun,
    picture: Float[Tensor, "c h w"],
    masks: Float[Tensor, "n h w"],
    blank: Float[Tensor, "c 1 1"],
    target: Int[Tensor, " m"],
    *,
    batch: int,
) -> Float[Tensor, "n m"]:
    """Scores of m targets of one picture, seen through each mask.

    Args:
        picture: model input.
        masks: 1 shows the picture, 0 the blank.
        target: which of the trace's targets.
        batch: at most so many versions of the picture exist at a time.
    """
    masks = masks.to(picture)[:, None]
    parts = [several(rerun, picture * m + blank * (1 - m), target, batch=batch) for m in masks.split(batch)]
    return torch.cat(parts)


def several(
    rerun: Rerun, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " m"], *, batch: int
) -> Float[Tensor, "n m"]:
    """Scores of n versions of one picture for each of its m targets, ``batch`` rows per forward pass."""
    if isinstance(rerun, SharedRerun):
        return torch.cat([rerun.scores_of_each(part, target) for part in tensor.split(batch)])
    columns = []
    for one in target.tolist():
        parts = [rerun.scores(part, torch.full((len(part),), one)) for part in tensor.split(batch)]
        columns.append(torch.cat(parts))
    return torch.stack(columns, dim=1)


def check_batch(batch: int | None) -> None:
    """Raises MethodError for a batch size that cannot be."""
    if batch is not None and batch < 1:
        raise MethodError(f"batch is {batch}; it is how many changed pictures run at a time, at least 1")


def batch_on(device: torch.device | str, batch: int | None) -> int:
    """The batch asked for; otherwise 4 on a CPU, where larger ones cost memory and save no time, and 32 elsewhere."""
    return batch or (4 if torch.device(device).type == "cpu" else 32)
