"""What the losses against a target map read: its values, and which maps take part."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.heatmap import Heatmap, Kind
from isotherm.losses.read import computing
from isotherm.points import State
from isotherm.training_map import TrainingMap

AnyTarget = TrainingMap | Heatmap | Tensor


class Pair(NamedTuple):
    """A prediction beside its target, both (*batch, h, w) in the precision to compute in, 0 in maps that take no
    part.
    """

    pred: Float[Tensor, "*b h w"]
    target: Float[Tensor, "*b h w"]
    active: Bool[Tensor, "*b"]


def read_target(
    pred: Float[Tensor, "*b h w"],
    target: AnyTarget,
    *,
    state: Int[Tensor, "*b"] | None,
    kinds: tuple[Kind, ...],
    distribution: bool = False,
) -> Pair:
    """A prediction and a target of any form -> values to compare.

    Args:
        target: a TrainingMap (its states are read), a Heatmap, or plain values that are taken to be of the right kind.
        state: (*batch). UNLABELLED maps take no part.
        kinds: that a Heatmap may be of.
        distribution: the target must sum to 1, so ABSENT maps take no part, and neither do OUT_OF_FRAME ones of zeros.

    Raises:
        KindError: a Heatmap of another kind.
        ShapeError: parts that do not fit.
        OptionError: no distribution where one is needed.
    """
    if pred.ndim < 2 or not pred.is_floating_point() or 0 in pred.shape[-2:]:
        raise ShapeError(
            f"pred has shape {tuple(pred.shape)} and dtype {pred.dtype}; expected floating point (*batch, h, w) with cells"
        )
    lead = pred.shape[:-2]
    if isinstance(target, TrainingMap):
        if state is not None:
            raise ShapeError("a TrainingMap has states of its own; leave state out")
        # states of many points that were fused into one map are one per map; of other makers the losses cannot tell
        state, target = target.state, target.heatmap
    values = target.expect(*kinds).values if isinstance(target, Heatmap) else target
    if values.shape != pred.shape:
        raise ShapeError(f"pred has shape {tuple(pred.shape)}, the target {tuple(values.shape)}; expected the same")
    if state is not None and state.shape != lead:
        raise ShapeError(f"state has shape {tuple(state.shape)}; expected {tuple(lead)}, one for every map")
    active = torch.ones(lead, dtype=torch.bool, device=pred.device) if state is None else state != int(State.UNLABELLED)
    dtype = computing(pred)
    values = values.detach().to(dtype)
    if distribution:
        mass = values.sum((-2, -1))
        if state is not None:
            active = active & (state != int(State.ABSENT)) & ~((state == int(State.OUT_OF_FRAME)) & (mass == 0))
        _expect_distribution(mass, active)
    chosen = active[..., None, None]
    return Pair(torch.where(chosen, pred.to(dtype), 0.0), torch.where(chosen, values, 0.0), active)


def _expect_distribution(mass: Tensor, active: Tensor) -> None:
    if torch.compiler.is_compiling():  # looking at values would break the graph in two
        return
    bad = active & ~((mass - 1).abs() < 1e-2)
    if bool(bad.any()):
        raise OptionError(
            f"a target map sums to {float(mass[bad][0]):.4g}; a distribution over cells sums to 1. Divide by the sum, or give "
            "the state ABSENT or UNLABELLED where there is none: an all-zero target would silently give no loss"
        )
