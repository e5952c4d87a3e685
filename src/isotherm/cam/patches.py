"""Gradients of many local scores in one small pass: the squares that they read, cut out and batched.

A finding of a one-stage detector is the output at one cell of one level, and that output reads only the few cells
around it. So the gradients of a hundred findings at the features in front of the head are a hundred small squares,
and one batched run of the head's branches over them gives all of them at once, where a dense backward pass would be
needed per finding. The numbers are those of the dense pass: what the squares give is compared with what the model
said, and where that fails, or where it cannot be proved that a score is local, the answer is a reason instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.locality import Chain, Refused, prove_chain
from isotherm.cam.trace import LayerMap
from isotherm.cam.view import Inputs
from isotherm.errors import MethodError
from isotherm.frame import Frame, Size
from isotherm.ops.resample import to_frame
from isotherm.relevance.method import LayerMethod, PooledMethod

CHUNK = 1 << 24
"""Most values of dense gradients held at once."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""How far patches may be from the dense pass, relative to the largest value: rounding, not another computation."""

Outputs = Mapping[str, Tensor]
"""What a model says of m cells, by name, each (m, ...)."""


@dataclass(frozen=True, eq=False)
class PatchGroup:
    """The targets that are made on one level of features.

    Args:
        layer: name of the layer whose output the level is.
        features: (b, c, h, w), that output, detached.
        targets: (m,) which targets these are.
        picture: (m,) row of the batch.
        cell: (m, 2) as (row, column).
        branches: the modules that read the level, by name: (b, c, h, w) -> (b, o, h, w).
        decode: the branches' outputs at the cells, each (m, o), -> what the model says there.
        expected: what the dense pass said, under the names of ``decode``.
        score: the targets' scores, (m,), from what ``decode`` returns.
    """

    layer: str
    features: Float[Tensor, "b c h w"]
    targets: Int[Tensor, " m"]
    picture: Int[Tensor, " m"]
    cell: Int[Tensor, "m 2"]
    branches: Mapping[str, nn.Module]
    decode: Callable[[Outputs], Outputs]
    expected: Outputs
    score: Callable[[Outputs], Tensor]


@dataclass(frozen=True, eq=False)
class PatchPlan:
    """How to explain ``count`` targets of ``model`` by patches; every target is in exactly one group."""

    model: nn.Module
    groups: tuple[PatchGroup, ...]
    count: int


@dataclass(frozen=True, eq=False)
class PatchGradient:
    """Gradients of one group's scores at its level, on the squares where they are not 0.

    Args:
        group: what was explained.
        scores: (m,) detached.
        activation, gradient: (m, c, k, k), the cell in the middle; both 0 outside of the picture.
    """

    group: PatchGroup
    scores: Float[Tensor, " m"]
    activation: Float[Tensor, "m c k k"]
    gradient: Float[Tensor, "m c k k"]

    @property
    def size(self) -> Size:
        """(h, w) of the level."""
        return self.group.features.shape[-2], self.group.features.shape[-1]

    def place(self, values: Float[Tensor, "n *c k k"], rows: Int[Tensor, " n"]) -> Float[Tensor, "n *c h w"]:
        """Squares of the group's ``rows`` in maps of the whole level that are 0 elsewhere."""
        h, w = self.size
        k = values.shape[-1]
        r = k // 2
        n, middle = len(rows), values.shape[1:-2]
        span = torch.arange(k, device=values.device)
        at = self.group.cell[rows].to(values.device)
        # a frame of r cells around the level takes what lies outside of the picture, and is cut off
        flat = (at[:, 0, None, None] + span[:, None]) * (w + 2 * r) + at[:, 1, None, None] + span
        level = values.new_zeros(n, *middle, (h + 2 * r) * (w + 2 * r))
        index = flat.reshape(n, *[1] * len(middle), k * k).expand(n, *middle, k * k)
        level.scatter_(-1, index, values.reshape(n, *middle, k * k))
        return level.unflatten(-1, (h + 2 * r, w + 2 * r))[..., r : h + r, r : w + r]

    def dense(self, rows: Int[Tensor, " n"]) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
        """Activation and gradient of the group's ``rows`` over the whole level."""
        picture = self.group.picture[rows].to(self.group.features.device)
        return self.group.features[picture], self.place(self.gradient[rows.to(self.gradient.device)], rows)


def patch_gradients(plan: PatchPlan | Refused) -> tuple[PatchGradient, ...] | Refused:
    """Gradients of all targets of a plan with one batched pass, or why that is not exact.

    Parameters get no gradient, and the modules are left as they are. A refused plan comes back as it is.
    """
    if isinstance(plan, Refused):
        return plan
    chains: list[dict[str, Chain]] = []
    for group in plan.groups:
        proved: dict[str, Chain] = {}
        for name, module in group.branches.items():
            chain = prove_chain(module, group.features.shape[1])
            if isinstance(chain, Refused):
                return Refused(f"the {name} branch at {group.layer} cannot be explained by patches: {chain.reason}")
            proved[name] = chain
        chains.append(proved)
    with torch.inference_mode(False), torch.enable_grad(), evaluating(plan.model):
        leaves, scores = [], []
        for group, proved in zip(plan.groups, chains, strict=True):
            radius = max((chain.radius for chain in proved.values()), default=0)
            patches, inside = cut(group.features, group.picture, group.cell, radius)
            leaf = patches.requires_grad_()
            outputs = group.decode({name: chain.at_centres(leaf, inside) for name, chain in proved.items()})
            off = _disagreement(outputs, group.expected, group.features.dtype)
            if off is not None:
                return Refused(f"patches at {group.layer} give another {off} than the model itself")
            # the value the model gave, with the patch's gradient: a score with a kink must not see the rounding
            score = group.score({name: group.expected[name].detach() + (v - v.detach()) for name, v in outputs.items()})
            if not score.requires_grad:
                return Refused(f"the score does not depend on {group.layer} through {' and '.join(proved)}")
            leaves.append(leaf)
            scores.append(score)
        gradients = torch.autograd.grad([s.sum() for s in scores], leaves) if leaves else ()
    return tuple(
        PatchGradient(group, score.detach(), leaf.detach(), gradient)
        for group, score, leaf, gradient in zip(plan.groups, scores, leaves, gradients, strict=True)
    )


def cut(
    features: Float[Tensor, "b c h w"], picture: Int[Tensor, " m"], cell: Int[Tensor, "m 2"], radius: int
) -> tuple[Float[Tensor, "m c k k"], Bool[Tensor, "m k k"]]:
    """The squares of ``2 * radius + 1`` cells around cells (row, column), and which of their cells exist; the others
    are 0.
    """
    h, w = features.shape[-2:]
    span = torch.arange(-radius, radius + 1, device=features.device)
    cell = cell.to(features.device)
    rows, columns = cell[:, :1] + span, cell[:, 1:] + span
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
    square = features.detach()[
        picture.to(features.device)[:, None, None],
        :,
        rows.clamp(0, h - 1)[:, :, None],
        columns.clamp(0, w - 1)[:, None, :],
    ].permute(0, 3, 1, 2)
    if not bool(inside.all()):
        square = square.masked_fill(~inside[:, None], 0)
    return square.contiguous(), inside


def level_map(gradient: PatchGradient, method: LayerMethod, inputs: Inputs) -> LayerMap:
    """The group's maps on its own level, in the order of its targets."""
    group = gradient.group
    everyone = torch.arange(len(group.targets))
    if method.local and not bool(method.map(gradient.activation, torch.zeros_like(gradient.gradient)).any()):
        values = gradient.place(method.map(gradient.activation, gradient.gradient), everyone)
    elif isinstance(method, PooledMethod):
        values = _pooled(gradient, method)
    else:
        per = max(1, CHUNK // max(1, group.features[0].numel()))
        parts = [method.map(*gradient.dense(rows)) for rows in everyone.split(per)]
        values = torch.cat(parts) if parts else group.features.new_zeros(0, *gradient.size)
    return LayerMap(group.layer, values, inputs.frame.to_grid(size=gradient.size)[group.picture.cpu()])


def _pooled(gradient: PatchGradient, method: PooledMethod) -> Float[Tensor, "m h w"]:
    """Maps of a method that pools: the channels' weights come from the squares, and one product per picture does the
    rest.
    """
    group, (h, w) = gradient.group, gradient.size
    picture = group.picture.to(group.features.device)
    wide = torch.promote_types(group.features.dtype, torch.float32)
    total = group.features.detach().sum((2, 3), dtype=wide)
    weights = method.weights(gradient.activation, gradient.gradient, total[picture], h * w)
    values = weights.new_zeros(len(weights), h, w)
    for p in picture.unique().tolist():
        rows = picture == p
        values[rows] = (weights[rows] @ group.features[p].detach().to(wide).flatten(1)).view(-1, h, w)
    return values


def join_maps(maps: Sequence[LayerMap], targets: Sequence[Int[Tensor, " _"]], count: int) -> LayerMap:
    """Maps of several levels as one batch on the finest level, in the order of the targets.

    Args:
        maps: one per level.
        targets: which targets each holds.
        count: how many there are in all.
    """
    if not maps or sum(len(t) for t in targets) != count:
        raise MethodError(f"{sum(len(t) for t in targets)} maps for {count} targets; every target needs exactly one")
    finest = max(maps, key=lambda m: m.values.shape[-2] * m.values.shape[-1])
    size = finest.frame.size
    values = finest.values.new_zeros(count, *size)
    order = torch.cat([t.cpu() for t in targets])
    frames = Frame.cat([m.frame if m.frame.size == size else m.frame.resized(size) for m in maps])
    for m, members in zip(maps, targets, strict=True):
        level = Frame.identity(
            m.frame.size
        )  # all levels span the same input, so how they lie on it does not matter here
        values[members.to(values.device)] = to_frame(m.values, level, level.resized(size), outside="edge")
    sizes = dict(zip(order.tolist(), [m.frame.size for m in maps for _ in range(len(m.values))], strict=True))
    return LayerMap(
        " + ".join(m.name for m in maps), values, frames[torch.argsort(order)], tuple(sizes[i] for i in range(count))
    )


def _disagreement(outputs: Outputs, expected: Outputs, dtype: torch.dtype) -> str | None:
    for name, values in outputs.items():
        want = expected[name].detach()
        scale = max(1.0, float(want.abs().max())) if want.numel() else 1.0
        tolerance = TOLERANCE[dtype] * scale
        if values.shape != want.shape or not bool(((values.detach() - want).abs() <= tolerance).all()):
            return name
    return None
