"""How far predicted points lie from where they are, in pixels and centimetres, whatever the order of points that may be
exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.points import State

Groups = Sequence[Sequence[int]]
FEW = 4
"""Groups of up to so many points are matched by trying all orders at once; larger ones one by one."""


def place_known(state: Int[Tensor, "*b n"]) -> Bool[Tensor, "*b n"]:
    """Where a point's place is known: LABELLED, OCCLUDED and OUT_OF_FRAME."""
    return (state != int(State.UNLABELLED)) & (state != int(State.ABSENT))


def match_exchangeable(
    predicted: Float[Tensor, "m n 2"], truth: Float[Tensor, "m n 2"], known: Bool[Tensor, "m n"], exchangeable: Groups
) -> Int[Tensor, "m n"]:
    """The order of the predicted points that fits the truth best: point i of the truth belongs to the prediction
    ``order[:, i]``.

    Within each group the summed distance over the known points is least, exactly; points in no group stay where they
    are.

    Args:
        predicted, truth: (m, n, 2) in the same pixels.
        known: (m, n) where the truth has a place.
        exchangeable: sets of points whose order says nothing, such as the two ends of a line, ((0, 1), (2, 3)).

    Returns:
        (m, n) numbers of points. Of equal fits the first in the order of the points.

    Raises:
        ShapeError: parts that do not fit.
        OptionError: a group with a point that does not exist, or a point in two groups.

    Source: Kuhn, "The Hungarian method for the assignment problem" (1955), for groups of more than four.

    Example:
        >>> ends = torch.tensor([[[0.0, 0.0], [9.0, 0.0]]])
        >>> match_exchangeable(ends.flip(1), ends, torch.ones(1, 2, dtype=torch.bool), [(0, 1)]).tolist()
        [[1, 0]]
    """
    _expect_pair(predicted, truth, known)
    _expect_groups(exchangeable, known.shape[1])
    m, n = known.shape
    order = torch.arange(n, device=known.device).expand(m, n).clone()
    for group in exchangeable:
        at = torch.tensor(list(group), device=known.device)
        apart = torch.linalg.vector_norm(predicted[:, at, None].double() - truth[:, None, at].double(), dim=-1)
        cost = torch.where(known[:, None, at], apart, 0.0)  # (m, predicted, true)
        if len(group) <= FEW:
            orders = torch.tensor(
                list(permutations(range(len(group)))), device=known.device
            )  # (p, k): true j <- predicted orders[p, j]
            sums = cost[:, orders, torch.arange(len(group), device=known.device)].sum(-1)
            best = orders[sums.argmin(-1)]
        else:
            from scipy.optimize import linear_sum_assignment  # a tenth of a second that few need

            rows = [
                torch.from_numpy(linear_sum_assignment(one.T.cpu().numpy())[1])
                for one in torch.nan_to_num(cost, nan=1e30)
            ]
            best = (
                torch.stack(rows).to(known.device)
                if rows
                else torch.zeros(0, len(group), dtype=torch.long, device=known.device)
            )
        order[:, at] = at[best]
    return order


def reordered(values: Float[Tensor, "m n *rest"], order: Int[Tensor, "m n"]) -> Float[Tensor, "m n *rest"]:
    """Values of predicted points in the order of the truth."""
    return values[torch.arange(len(order), device=order.device)[:, None], order]


def point_errors(
    predicted: Float[Tensor, "m n 2"],
    truth: Float[Tensor, "m n 2"],
    state: Int[Tensor, "m n"],
    *,
    exchangeable: Groups = (),
) -> Float[Tensor, "m n"]:
    """Distances between predicted and true points, after points that may be exchanged have been matched.

    Args:
        predicted, truth: (m, n, 2) in the same pixels.
        state: (m, n) of :class:`isotherm.points.State` of the truth.
        exchangeable: as of :func:`match_exchangeable`.

    Returns:
        (m, n) float64 in pixels, in the order of the truth; NaN where no place is known.

    Raises:
        InputError: a predicted point that would be compared is not finite; nothing is left out silently. And as
            :func:`match_exchangeable`.

    Example:
        >>> errors = point_errors(torch.tensor([[[3.0, 4.0]]]), torch.zeros(1, 1, 2), torch.tensor([[1]]))
        >>> errors.tolist()
        [[5.0]]
    """
    known = place_known(state)
    _expect_pair(predicted, truth, known)
    _expect_groups(exchangeable, known.shape[1])
    _expect_finite(predicted, known, exchangeable)
    ordered = reordered(predicted.double(), match_exchangeable(predicted, truth, known, exchangeable))
    return torch.where(known, torch.linalg.vector_norm(ordered - truth.double(), dim=-1), torch.nan)


def line_lengths(points: Float[Tensor, "m n 2"], lines: Mapping[str, tuple[int, int]]) -> Float[Tensor, "m k"]:
    """Distances between the ends of named lines, in the unit of the points; NaN where an end is.

    Example:
        >>> line_lengths(torch.tensor([[[0.0, 0.0], [3.0, 4.0]]]), {"length": (0, 1)}).tolist()
        [[5.0]]
    """
    if not lines:
        return points.new_zeros(len(points), 0, dtype=torch.float64)
    _expect_lines(lines, points.shape[1])
    first, second = (torch.tensor([pair[i] for pair in lines.values()], device=points.device) for i in (0, 1))
    return torch.linalg.vector_norm(points[:, first].double() - points[:, second].double(), dim=-1)


def length_errors(
    predicted: Float[Tensor, "m n 2"],
    truth: Float[Tensor, "m n 2"],
    state: Int[Tensor, "m n"],
    lines: Mapping[str, tuple[int, int]],
) -> Float[Tensor, "m k"]:
    """|predicted - true length| of named lines in pixels; NaN where the place of an end is not known.

    Raises:
        InputError: an end that would be compared is not finite.
        OptionError: a line with a point that does not exist.
    """
    known = place_known(state)
    _expect_pair(predicted, truth, known)
    if not lines:
        return predicted.new_zeros(len(predicted), 0, dtype=torch.float64)
    _expect_lines(lines, known.shape[1])
    measured = torch.zeros(known.shape[1], dtype=torch.bool, device=known.device)
    measured[[i for ends in lines.values() for i in ends]] = True
    _expect_finite(predicted, known & measured, ())
    both = torch.stack([known[:, a] & known[:, b] for a, b in lines.values()], -1)
    return torch.where(both, (line_lengths(predicted, lines) - line_lengths(truth, lines)).abs(), torch.nan)


def to_cm(errors: Float[Tensor, " m *n"], px_per_cm: Float[Tensor, " m"]) -> Float[Tensor, " m *n"]:
    """Pixels -> centimetres, picture by picture; NaN where the scale is not known.

    Raises:
        ShapeError: not one scale per picture.
        OptionError: a scale that is 0, negative or infinite.
    """
    if px_per_cm.shape != errors.shape[:1]:
        raise ShapeError(
            f"px_per_cm has shape {tuple(px_per_cm.shape)}; expected ({len(errors)},), one scale per picture"
        )
    bad = (px_per_cm <= 0) | px_per_cm.isinf()
    if bool(bad.any()):
        raise OptionError(
            f"px_per_cm is {float(px_per_cm[bad][0])}; expected a finite number above 0, or NaN where it is not known"
        )
    return errors / px_per_cm.view(-1, *[1] * (errors.ndim - 1)).to(errors)


def out_of_bounds(predicted: Float[Tensor, "m n 2"], sizes: Int[Tensor, "m 2"]) -> Bool[Tensor, "m n"]:
    """Which predicted points lie outside of their picture, [0, w] x [0, h]; one that is nowhere (NaN) lies outside.

    Args:
        predicted: (m, n, 2) source pixels, edge-origin.
        sizes: (m, 2) (h, w) of the pictures.
    """
    limit = sizes.flip(-1)[:, None].to(predicted)
    return ~((predicted >= 0) & (predicted <= limit)).all(-1)


def _expect_pair(predicted: Tensor, truth: Tensor, known: Tensor) -> None:
    if (
        predicted.ndim != 3
        or predicted.shape[-1] != 2
        or predicted.shape != truth.shape
        or known.shape != predicted.shape[:2]
    ):
        raise ShapeError(
            f"predicted has shape {tuple(predicted.shape)}, the truth {tuple(truth.shape)} and the states {tuple(known.shape)}; expected (m, n, 2) twice and (m, n)"
        )


def _expect_groups(exchangeable: Groups, n: int) -> None:
    taken = [i for group in exchangeable for i in group]
    if any(not 0 <= i < n for i in taken) or len(set(taken)) < len(taken):
        raise OptionError(
            f"exchangeable is {tuple(map(tuple, exchangeable))}; expected points from 0 to {n - 1}, each in one group at most"
        )


def _expect_lines(lines: Mapping[str, tuple[int, int]], n: int) -> None:
    for name, ends in lines.items():
        if any(not 0 <= i < n for i in ends):
            raise OptionError(f"the line {name!r} has the ends {tuple(ends)}; expected points from 0 to {n - 1}")


def _expect_finite(predicted: Tensor, known: Tensor, exchangeable: Groups) -> None:
    compared = known.clone()
    for group in exchangeable:  # any of a group may be compared with the one that is known
        at = list(group)
        compared[:, at] = known[:, at].any(-1, keepdim=True)
    lost = compared & ~torch.isfinite(predicted).all(-1)
    if bool(lost.any()):
        picture, point = lost.nonzero()[0].tolist()
        raise InputError(
            f"the predicted point {point} of picture {picture} is {predicted[picture, point].tolist()}; expected a finite place, because the true one is known"
        )
