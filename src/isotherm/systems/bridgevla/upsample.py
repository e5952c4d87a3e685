"""The convex upsampling head by the names of its users."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from isotherm.errors import WeightsError
from isotherm.heads.convex import ConvexUpsample
from isotherm.ops.convex_upsample import Padding

FIRST = "net_out.0.weight"
"""The key that every head has, whatever stands before it in a checkpoint."""


class ConvexUpSample(ConvexUpsample):
    """Features -> logits, ``up_ratio`` times as fine; :class:`isotherm.heads.ConvexUpsample` with the published names.

    Args:
        in_dim: c of the features.
        out_dim: number of maps.
        up_ratio: map cells per grid cell and axis.
        up_kernel: odd; the weights reach over so many coarse cells each way.
        mask_scale: factor on the weights' logits.
        with_bn: batch norms behind the convolutions.
        hidden_dim: a 1x1 convolution to so many channels first, which makes a head of 2048 features fifty times as
            fast; None: the published head.
        padding: what lies beyond the border: nothing (``"renorm"``), or logits of 0 (``"zeros"``), with which
            published weights were trained.

    Example:
        >>> import torch
        >>> ConvexUpSample(in_dim=8, out_dim=1, up_ratio=14)(torch.randn(1, 8, 16, 16)).shape
        torch.Size([1, 1, 224, 224])
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        up_ratio: int,
        up_kernel: int = 3,
        mask_scale: float = 0.1,
        with_bn: bool = False,
        *,
        hidden_dim: int | None = None,
        padding: Padding = "renorm",
    ) -> None:
        super().__init__(
            in_dim,
            out_dim,
            ratio=up_ratio,
            kernel=up_kernel,
            mask_scale=mask_scale,
            hidden_dim=hidden_dim,
            batch_norm=with_bn,
            padding=padding,
        )


def head_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The head's weights out of a whole model's: those below the one prefix at which ``net_out`` and ``net_mask`` lie.

    Args:
        weights: by name, such as ``module.up0.net_out.0.weight``.

    Returns:
        By the head's own names.

    Raises:
        WeightsError: there is no such head, or several.

    Example:
        >>> import torch
        >>> state = {f"mvt.up0.{k}": v for k, v in ConvexUpSample(2, 1, 2).state_dict().items()} | {"other": torch.ones(1)}
        >>> sorted(head_weights(state))[:2]
        ['net_mask.0.bias', 'net_mask.0.weight']
    """
    prefixes = [name.removesuffix(FIRST) for name in weights if name == FIRST or name.endswith(f".{FIRST}")]
    if len(prefixes) != 1:
        where = ", ".join(repr(p) for p in prefixes) or "nowhere"
        raise WeightsError(
            f"a convex upsampling head ({FIRST}, net_mask...) is {where} among the {len(weights)} weights; "
            "expected one: pick the part of the checkpoint that belongs to it"
        )
    prefix = prefixes[0]
    parts = tuple(f"{prefix}{part}" for part in ("net_out.", "net_mask.", "reduce."))
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(parts)}


def bottleneck_of(weights: Mapping[str, Tensor]) -> int | None:
    """The hidden_dim of a head with these weights; None: it has no bottleneck, as published ones."""
    reduce = weights.get("reduce.weight")
    return None if reduce is None else reduce.shape[0]
