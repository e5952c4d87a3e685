"""All saliency figures of some maps at once, for tables; and a map of the middle to hold beside them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.frame import Size
from isotherm.metrics.references import centre_map
from isotherm.metrics.saliency.between import correlation, kl_divergence, similarity
from isotherm.metrics.saliency.fixated import auc_judd, auc_shuffled, nss

NAMES = ("AUC-Judd", "sAUC", "NSS", "KL", "CC", "SIM")
"""As the field calls them, in the order of tables."""
HIGHER_IS_BETTER = {name: name != "KL" for name in NAMES}


def saliency_figures(
    maps: Float[Tensor, "t h w"],
    fixations: Float[Tensor, "_ n 2"],
    truth: Float[Tensor, "t h w"],
    *,
    group: Sequence[Hashable] | None = None,
    others: Float[Tensor, "m 2"] | None = None,
) -> dict[str, Float[Tensor, " t"]]:
    """The figures of every map by name.

    Args:
        maps: values, without NaN; negative ones count as 0 for KL and SIM, which are of distributions.
        fixations: (t, n, 2) in cells of the maps, NaN where there are fewer.
        truth: maps of where people looked, without negative values.
        group, others: as of :func:`auc_shuffled`.

    Returns:
        AUC-Judd, sAUC, NSS, KL, CC and SIM, (t,) each, NaN where one cannot be judged.
    """
    positive = maps.clamp(min=0)
    return {
        "AUC-Judd": auc_judd(maps, fixations),
        "sAUC": auc_shuffled(maps, fixations, group=group, others=others),
        "NSS": nss(maps, fixations),
        "KL": kl_divergence(positive, truth),
        "CC": correlation(maps, truth),
        "SIM": similarity(positive, truth),
    }


def middle_map(size: Size) -> Float[Tensor, "h w"]:
    """A Gaussian at the middle, as wide as half of each half side: what every map should be held beside, since people
    look at the middle.

    Args:
        size: (h, w) cells.

    Example:
        >>> middle_map((1, 4))
        tensor([[0.3247, 0.8825, 0.8825, 0.3247]])
    """
    return torch.exp(-2 * centre_map(size).double().square()).float()
