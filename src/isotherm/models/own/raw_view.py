"""The view of any module at all: what it puts out is not read, and a function says what of it is explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.outputs import how_to_read, tensors_by_path, words_of
from isotherm.cam.scores import Function, Named
from isotherm.cam.scores.function import Of
from isotherm.cam.view import Inputs, LayerChoice, Pins, Prediction, RawOutput
from isotherm.errors import IsothermError, TargetError, UnfitTargetError
from isotherm.models.shared.dense import coarsest
from isotherm.models.shared.grid_choice import choice_of
from isotherm.models.shared.module_view import ModuleView
from isotherm.models.shared.probe import Candidate, last_grid
from isotherm.relevance.score import Score

LOCAL = 0.5
"""Share of an output's positions below which what is explained is said to be read at a place."""


class RawView(ModuleView):
    """Fulfils :class:`isotherm.cam.view.View` for a module whose output is a tensor of any shape, or tensors in
    tuples, lists, mappings and objects.

    Args:
        model: eager module.
        example: what it put out for one picture.
        arguments: of :class:`isotherm.models.shared.module_view.ModuleView`.
    """

    function_of: Of = "output"

    def __init__(self, model: nn.Module, *, example: Any, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        self._described = words_of(example), how_to_read(example)
        self._score: Function | None = None
        self._choices: dict[Function | None, LayerChoice] = {}

    def of_score(self, score: Score | None) -> RawView:
        """The view that chooses its layers for what is explained. Fulfils
        :class:`isotherm.cam.reading.ChoosesByScore`.

        Raises:
            TargetError: nothing says what is explained, or it is a class where there are none; the message says what
                the output looks like.
        """
        what, advice = self._described
        if score is None:
            raise TargetError(f"{self.name} put out {what}; {advice}")
        if isinstance(score, Named):
            raise UnfitTargetError(
                f"{self.name} put out {what}, in which isotherm sees no classes; say with output= which part of it are the logits, or {advice}",
                gives="a model whose output isotherm does not read",
            )
        other = copy(self)
        other._score = score if isinstance(score, Function) else None
        return other

    def find(self, raw: Any, inputs: Inputs) -> Prediction:
        """The output as it is."""
        return RawOutput(raw, self.name)

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Prediction:
        """The same as :meth:`find`."""
        return self.find(raw, inputs)

    def auto_layers(self) -> LayerChoice:
        """The last layer whose cells are places and carry gradient of what is explained; of what is read at one
        place of the output, the last layer on the coarsest grid, since later ones look at that place alone.
        """
        if self.known is not None:
            return self.known
        if self._score not in self._choices:
            self._choices[self._score] = self._chosen()
        return self._choices[self._score]

    def _chosen(self) -> LayerChoice:
        inputs = self._noise()
        kind = type(self.model).__name__
        read, grid, caution = self._what_is_read(inputs)
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))

        def among(candidates: Sequence[Candidate]) -> list[Candidate]:
            return coarsest(candidates, grid or (0, 0), size)

        if grid is None:
            choice = choice_of(last_grid(self.places, read, inputs), kind)
            return LayerChoice(choice.layers, choice.reason + caution)
        layer = last_grid(self.places, read, inputs, among=among)
        return LayerChoice(
            (layer.name,),
            f"the last layer of this {kind} on its coarsest grid ({layer.grid[0]} x {layer.grid[1]}), found by running the model once: what is explained "
            f"is read at single places of the output, and later layers look at little more than those{caution}",
        )

    def _what_is_read(self, inputs: Inputs) -> tuple[Callable[[Any], Tensor], tuple[int, int] | None, str]:
        """What to follow gradients of, in place of the output; the (h, w) of its grid where it is read at places,
        (0, 0) where those are no rows and columns; and what to be careful about.

        The score itself may read one place only, and another one in the next picture, so all of the tensors that it
        reads are followed.
        """
        with torch.enable_grad(), evaluating(self.model):
            raw = self.run(inputs.with_tensor(inputs.tensor.clone().requires_grad_()))
        real = {path: t for path, t in tensors_by_path(raw) if t.is_floating_point() and t.requires_grad}
        paths, local, caution = list(real), False, ""
        if self._score is not None and real:
            try:
                number = self._score.of_output(RawOutput(raw, self.name))
                gradients = torch.autograd.grad(number.sum(), list(real.values()), retain_graph=True, allow_unused=True)
            except (IsothermError, RuntimeError, AttributeError):
                caution = "; CAUTION: the target cannot be read of noise, so all that the model puts out was followed"
            else:
                read = {p: g for (p, _), g in zip(real.items(), gradients, strict=True) if g is not None}
                paths = _furthest({p: real[p] for p in read}) or paths
                read = {p: read[p] for p in paths if p in read}
                local = any(g.ndim > 2 and float((g != 0).float().mean()) < LOCAL for g in read.values())

        def answer(output: Any) -> Tensor:
            by_path = dict(tensors_by_path(output))
            rows = [_mixed(by_path[path]) for path in paths if path in by_path]
            return torch.stack(rows).sum()[None, None] if rows else torch.zeros(1, 1)

        if not local:
            return answer, None, caution
        grids = [real[path].shape[-2:] for path in paths if real[path].ndim == 4]
        return answer, (int(grids[0][0]), int(grids[0][1])) if grids else (0, 0), caution


def _mixed(tensor: Tensor) -> Tensor:
    """A sum of a tensor's values with weights without any order, so that no two of them cancel by rule."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(tensor.shape, generator=generator, dtype=torch.float32)
    return (tensor.float() * weights.to(tensor.device)).sum()


def _furthest(tensors: dict[str, Tensor]) -> list[str]:
    """The paths of those parts of an output that no other part is made of: models put out what is inside of them beside
    their answer, and a score that reads the answer has a gradient there as well.
    """
    once = {id(t): path for path, t in reversed(tensors.items())}
    apart = {path: tensors[path] for path in once.values()}
    inner: set[str] = set()
    for path, tensor in apart.items():
        others = {p: t for p, t in apart.items() if p != path}
        if others:
            gradients = torch.autograd.grad(_mixed(tensor), list(others.values()), retain_graph=True, allow_unused=True)
            inner |= {p for p, g in zip(others, gradients, strict=True) if g is not None}
    return [path for path in tensors if path in apart and path not in inner]
