"""The graph behind the pixels or the vision tokens: it goes on through whatever blocks a model opens, and where it ends
all the same is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from isotherm.errors import MethodError
from isotherm.relevance.breaks import Break, ends_of
from isotherm.relevance.grad_mode import GradientKeeper, gradients_kept

PIXELS, TOKENS = "the pixels", "the vision tokens"
INSTEAD = "choose a method that needs no gradient there, such as {}"
WITHOUT = {PIXELS: "attention_gradient", TOKENS: "token_occlusion"}
"""Methods that do without the gradient at each start."""


@contextmanager
def kept_graph(model: nn.Module, notes: dict[str, None], *, start: str) -> Iterator[GradientKeeper]:
    """For one forward pass inside of the block, gradients stay on behind ``start``, whatever the model puts off.

    Args:
        notes: gets what a person should know of it.
        start: ``PIXELS`` or ``TOKENS``.
    """
    with gradients_kept(model, begun=True, start=start, instead=INSTEAD.format(WITHOUT[start])) as keeper:
        yield keeper
    notes.update(dict.fromkeys(keeper.notes))


def no_gradient(what: str, start: str, breaks: Sequence[Break], leaves: Sequence[Tensor]) -> MethodError:
    """The error for a graph that does not reach from ``start`` to where it is needed.

    Args:
        what: has no gradient, with its verb.
        breaks: of the forward pass.
        leaves: where the graph begins.
    """
    # with frozen norms a reciprocal square root is a constant on purpose
    ends = ends_of([b for b in breaks if b.step != "rsqrt"], leaves)
    why = (
        f"on the way it ends at {ends}"
        if ends
        else "what is explained does not depend on them, or by a step that has none (an argmax or a count)"
    )
    return MethodError(
        f"{what} no gradient at {start}, and this method needs it: {why}; {INSTEAD.format(WITHOUT[start])}"
    )
