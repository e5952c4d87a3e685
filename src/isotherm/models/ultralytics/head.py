"""Running ultralytics models and reading their heads' raw outputs, with the graph attached and nothing left behind.

The package's heads keep state on themselves: anchors of the last picture's shape (inference tensors after a
``predict``, which autograd then refuses), the number of classes of the last prompt, which of two branches answers.
:func:`borrowed` sets what a run needs and puts everything back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.errors import AdapterError


@dataclass(frozen=True, eq=False)
class AnchorOutput:
    """What an anchor-based head (detect, segment, pose, obb, YOLOE) says of every anchor.

    Args:
        dense: (b, 4 + k + extra, n) decoded: box in input pixels, probabilities, then mask coefficients, keypoints or
            the angle.
        corners: True where boxes are x0, y0, x1, y1; False for centre, width, height.
        end_to_end: True where the head itself chooses its findings, by top-k of this branch.
        logits: (b, k, n) class logits.
        feats: the levels that the head reads, fine to coarse.
        raw: the branch's own raw output.
        proto: (b, m, H, W) mask prototypes.
        kept: (n,) anchors that a prompt-free head's proposal filter kept, in the order of all anchors; else None.
        proposals: what the prompt-free head's last layers read, so that a filtered anchor can be read as well.
        prompt: (1 or b, k, d) class embeddings that the run was given.
    """

    dense: Float[Tensor, "b a n"]
    corners: bool
    end_to_end: bool
    logits: Float[Tensor, "b k n"]
    feats: tuple[Tensor, ...]
    raw: Mapping[str, Any]
    proto: Tensor | None = None
    kept: Int[Tensor, " n"] | None = None
    proposals: Proposals | None = None
    prompt: Float[Tensor, "o k d"] | None = None

    @property
    def classes(self) -> int:
        return self.logits.shape[1]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(h, w) of every level."""
        return [(f.shape[-2], f.shape[-1]) for f in self.feats]

    def anchor(self, column: Int[Tensor, " m"]) -> Int[Tensor, " m"]:
        """Columns of ``dense`` -> indices among all anchors."""
        return column if self.kept is None else self.kept[column.to(self.kept.device)]


@dataclass(eq=False)
class Proposals:
    """Of a prompt-free head, per level: features in front of its vocabulary, and mask coefficients of all anchors."""

    features: list[Tensor] = field(default_factory=list)
    coefficients: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class QueryOutput:
    """What RT-DETR says: its own list, and all queries.

    Args:
        pred: (b, m, 6) normalised centre, width, height, confidence, class.
        query: (b, m) which query each is from.
        boxes: (b, q, 4) normalised centre, width, height.
        logits: (b, q, k).
    """

    pred: Float[Tensor, "b m 6"]
    query: Int[Tensor, "b m"]
    boxes: Float[Tensor, "b q 4"]
    logits: Float[Tensor, "b q k"]


@dataclass(frozen=True, eq=False)
class ClassifyOutput:
    """(b, k) logits and (b, d) the features that the last linear layer reads."""

    logits: Float[Tensor, "b k"]
    embedding: Float[Tensor, "b d"] | None


@contextmanager
def borrowed(head: nn.Module, **attributes: Any) -> Iterator[None]:
    """Attributes set on a head; afterwards it has those that it had, whatever the run changed."""
    before = dict(head.__dict__)
    try:
        head.__dict__.update(attributes)
        yield
    finally:
        for name in set(head.__dict__) - set(before):
            del head.__dict__[name]
        head.__dict__.update(before)


def run_anchors(model: nn.Module, tensor: Tensor, *, end_to_end: bool, prompt: Tensor | None) -> AnchorOutput:
    """One forward pass of an anchor-based model.

    Args:
        end_to_end: read the one-to-one branch instead of the one-to-many branch.
        prompt: (1 or b, k, d) class embeddings of a YOLOE, or None.
    """
    head = head_of(model)
    state: dict[str, Any] = {"shape": None, "export": False, "_end2end": end_to_end}
    if end_to_end:
        state["postprocess"] = lambda y: y  # the choice among anchors is made when findings are read
    more = {} if prompt is None else {"vpe": prompt}
    with borrowed(head, **state), _proposals(head) as proposals:
        out = model(tensor, **more)
    (pred, raw) = _pair(out, model)
    proto = None
    if isinstance(pred, tuple):
        pred, proto = pred
    if "one2one" in raw:
        raw = raw["one2one" if end_to_end else "one2many"]
    kept = raw.get("index")
    return AnchorOutput(
        dense=pred.transpose(1, 2) if end_to_end else pred,
        corners=end_to_end and "angle" not in raw,
        end_to_end=end_to_end,
        logits=raw["scores"],
        feats=tuple(raw["feats"][: head.nl]),
        raw=raw,
        proto=proto,
        kept=None if kept is None else torch.nonzero(kept).flatten(),
        proposals=proposals,
        prompt=prompt,
    )


def run_queries(model: nn.Module, tensor: Tensor) -> QueryOutput:
    """One forward pass of an RT-DETR."""
    head = head_of(model)
    with borrowed(head, shapes=None, export=False):
        pred, raw = _pair(model(tensor), model)
    # the decoder's outputs are (1, b, q, .) in eval mode
    boxes, logits = raw[0].squeeze(0), raw[1].squeeze(0)
    # the model sorts (query, class) pairs by probability: the same sort says which query each row is
    order = logits.detach().sigmoid().flatten(1).topk(pred.shape[1], dim=1).indices
    return QueryOutput(pred, order // logits.shape[2], boxes, logits)


def run_classify(model: nn.Module, tensor: Tensor) -> ClassifyOutput:
    """One forward pass of a classifier."""
    head = head_of(model)
    seen: list[Tensor] = []
    handle = head.linear.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    try:
        with borrowed(head, export=False):
            _, logits = _pair(model(tensor), model)
    finally:
        handle.remove()
    return ClassifyOutput(logits, seen[0] if seen else None)


def head_of(model: nn.Module) -> Any:
    """The last module of an ultralytics model: its head."""
    return model.model[-1]  # type: ignore[index]


@contextmanager
def _proposals(head: Any) -> Iterator[Proposals | None]:
    """What the last layers of a prompt-free head read, recorded during a run."""
    if not hasattr(head, "lrpc"):
        yield None
        return
    lrpc = head.one2one_lrpc if head.end2end and hasattr(head, "one2one_lrpc") else head.lrpc
    masks = (head.one2one_cv5 if head.end2end else head.cv5) if hasattr(head, "cv5") else []
    seen = Proposals()
    with ExitStack() as stack:
        for module in lrpc:
            hook = module.register_forward_pre_hook(lambda _m, args: seen.features.append(args[0]))
            stack.callback(hook.remove)
        for module in masks:
            hook = module.register_forward_hook(lambda _m, _a, out: seen.coefficients.append(out))
            stack.callback(hook.remove)
        yield seen


def _pair(out: Any, model: nn.Module) -> tuple[Any, Any]:
    if not isinstance(out, tuple) or len(out) != 2:
        raise AdapterError(
            f"this {type(model).__name__} gave {type(out).__name__} instead of (prediction, raw output); "
            "is it in training mode? Run it in eval mode (isotherm.cam.capture.evaluating)"
        )
    return out
