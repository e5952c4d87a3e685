"""Scoring changed pictures: the way back from a method or a metric to the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from isotherm.cam.capture import evaluating, record, replaced
from isotherm.cam.clips import rows_of_each
from isotherm.cam.reading import kind_without_layers, read_prediction, what_works
from isotherm.cam.trace import Targets
from isotherm.cam.view import Inputs, Layout, View
from isotherm.errors import MethodError
from isotherm.relevance.breaks import ends_of
from isotherm.relevance.grad_mode import differentiate, gradients_kept
from isotherm.relevance.memory import parts_within_memory, within_memory
from isotherm.relevance.modules import LayerRef, exact_batch_norm

OTHER_METHOD = "choose a method that needs a layer's gradient, such as hirescam, and a layer behind that step"


@dataclass(eq=False)
class ViewRerun:
    """Fulfils :class:`isotherm.cam.trace.Rerun` for any view.

    Args:
        view, inputs, targets: what was explained.
        layers, layouts: the trace's target layers.
        notes: what a person should know of the passes so far; the keys of a dictionary, in order.
    """

    view: View
    inputs: Inputs
    targets: Targets
    layers: Sequence[LayerRef] = ()
    layouts: Sequence[Layout] = ()
    forwards: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    _front_at_one: dict[int, bool] = field(default_factory=dict)

    def take(self, index: Int[Tensor, " m"]) -> ViewRerun:
        """The same for some of the targets, numbered anew from 0."""
        return ViewRerun(self.view, self.inputs, self.targets.take(index), self.layers, self.layouts, notes=self.notes)

    def _inputs(self, tensor: Tensor, target: Tensor) -> Inputs:
        return self.inputs.take(self.targets.picture[target.cpu()]).with_tensor(tensor.to(self.inputs.tensor))

    def _score(self, inputs: Inputs, raw: object, target: Tensor) -> Tensor:
        pins = None if self.targets.pins is None else self.targets.pins.take(target.cpu())
        return self.targets.read(read_prediction(self.view, raw, inputs, pins), target.cpu())

    def _rivals(self, inputs: Inputs, raw: object, target: Tensor) -> Tensor:
        rivals = self.targets.rivals
        assert rivals is not None, "asked of targets that are classes among others"
        pins = None if self.targets.pins is None else self.targets.pins.take(target.cpu())
        return rivals(read_prediction(self.view, raw, inputs, pins), target.cpu()).float()

    def _one_by_one(self, rows: Tensor) -> bool:
        """Whether several changed pictures must go through the model one after another."""
        return self.targets.alone and len(rows) > 1

    def scores(self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Scores of changed model inputs, without graph."""
        if self._one_by_one(target):
            return torch.cat([self.scores(*row) for row in zip(tensor.split(1), target.split(1), strict=True)])

        def run(part: slice) -> Tensor:
            inputs = self._inputs(tensor[part], target[part])
            self.forwards += len(inputs)
            with torch.no_grad(), evaluating(self.view.model):
                return self._score(inputs, self.view.run(inputs), target[part]).float()

        return within_memory(len(target), run)

    def rival_logits(self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " n"]) -> Float[Tensor, "n k"]:
        """The logits of all classes in the places of the targets, for changed model inputs, without graph."""

        def run(part: slice) -> Tensor:
            inputs = self._inputs(tensor[part], target[part])
            self.forwards += len(inputs)
            with torch.no_grad(), evaluating(self.view.model):
                return self._rivals(inputs, self.view.run(inputs), target[part])

        return within_memory(len(target), run)

    def rival_logits_of_each(
        self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " m"]
    ) -> Float[Tensor, "n m k"]:
        """The same of n versions of one picture for each of its m targets, from one forward pass."""

        def run(part: slice) -> Tensor:
            inputs = self._inputs(tensor[part], target[:1].expand(len(tensor[part])))
            self.forwards += len(inputs)
            with torch.no_grad(), evaluating(self.view.model):
                raw = self.view.run(inputs)
                of_each = [self._rivals(inputs, raw, torch.full((len(inputs),), t)) for t in target.tolist()]
            return torch.stack(of_each, dim=1)

        return within_memory(len(tensor), run)

    def scores_of_each(self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " m"]) -> Float[Tensor, "n m"]:
        """Scores of n versions of one picture for each of its m targets, from one forward pass, without graph."""
        if self._one_by_one(tensor):
            return torch.cat([self.scores_of_each(row, target) for row in tensor.split(1)])

        def run(part: slice) -> Tensor:
            inputs = self._inputs(tensor[part], target[:1].expand(len(tensor[part])))
            self.forwards += len(inputs)
            with torch.no_grad(), evaluating(self.view.model):
                raw = self.view.run(inputs)
                columns = [self._score(inputs, raw, torch.full((len(inputs),), t)).float() for t in target.tolist()]
            return torch.stack(columns, dim=1)

        return within_memory(len(tensor), run)

    def input_gradient(
        self, tensor: Float[Tensor, "n *time c h w"], target: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n *time c h w"]]:
        """Scores and their gradient at the model's input; parameters get none."""
        if self._one_by_one(target):
            parts = [self._input_gradient(*row) for row in zip(tensor.split(1), target.split(1), strict=True)]
        else:
            parts = parts_within_memory(len(target), lambda part: self._input_gradient(tensor[part], target[part]))
        return torch.cat([scores for scores, _ in parts]), torch.cat([gradient for _, gradient in parts])

    def _input_gradient(self, tensor: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            evaluating(self.view.model),
            exact_batch_norm(self.view.model),
        ):
            leaf = tensor.detach().clone().to(self.inputs.tensor).requires_grad_()
            inputs = self._inputs(leaf.clone(), target)  # a model may change its input in place
            with gradients_kept(self.view.model, begun=True, start="the model's input", instead=OTHER_METHOD) as keeper:
                raw = self.view.run(inputs)
            self.notes.update(dict.fromkeys(keeper.notes))
            scores = self._score(inputs, raw, target)
            (gradient,) = differentiate(scores.sum(), [leaf], allow_unused=True) if scores.requires_grad else (None,)
            if gradient is None:
                kind = kind_without_layers(self.view)
                ends = ends_of(keeper.breaks, [leaf])
                raise MethodError(
                    "the score has no gradient at the model's input, and this method needs it: "
                    + (f"on the way it ends at {ends}; " if ends else "some step between them is not differentiable; ")
                    + (f"{self.view.name} is {kind}; {what_works(self.view)}" if kind else OTHER_METHOD)
                )
        return scores.detach().float(), gradient

    def scores_with_channels(
        self, layer: int, keep: Float[Tensor, "n c"], target: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """Scores when the channels of a target layer are multiplied by ``keep``.

        For one picture the layers in front run once, on one row, and only what follows the layer on n; that is
        checked once per layer against the plain way and dropped where the model cannot broadcast (concatenations).
        """
        if self._one_by_one(target):
            each = zip(keep.split(1), target.split(1), strict=True)
            return torch.cat([self.scores_with_channels(layer, kept, one) for kept, one in each])
        pictures = self.targets.picture[target.cpu()].unique()
        if len(pictures) == 1:
            if layer not in self._front_at_one and not self.targets.alone:
                self._front_at_one[layer] = self._can_start_at_one(layer, keep[:2], target[:2])
            if self._front_at_one.get(layer):
                return self._with_channels(layer, keep, target, rows=1)
        return self._with_channels(layer, keep, target, rows=len(target))

    def _with_channels(self, layer: int, keep: Tensor, target: Tensor, rows: int) -> Tensor:
        ref, layout = self.layers[layer], self.layouts[layer]
        full = self.inputs.take(self.targets.picture[target.cpu()])
        front = full if rows == len(full) else self.inputs.take(self.targets.picture[target[:1].cpu()])

        def scale(_i: int, call: int, output: Tensor) -> Tensor | None:
            if ref.call is not None and call != ref.call:
                return None
            shape, each = [1] * output.ndim, rows_of_each(layout)
            shape[0], shape[layout.channel_dim] = len(keep) * each, keep.shape[1]
            return output * keep.repeat_interleave(each, 0).to(output).view(shape)

        self.forwards += rows
        with torch.no_grad(), evaluating(self.view.model), replaced([ref], scale):
            return self._score(full, self.view.run(front), target).float()

    def _can_start_at_one(self, layer: int, keep: Tensor, target: Tensor) -> bool:
        if len(target) < 2:
            keep, target = keep.repeat(2, 1), target.repeat(2)
        try:
            quick = self._with_channels(layer, keep, target, rows=1)
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
            return False  # a model that reshapes or concatenates by its input's batch size
        plain = self._with_channels(layer, keep, target, rows=len(target))
        return quick.shape == plain.shape and bool(torch.allclose(quick, plain, rtol=1e-3, atol=1e-4))

    def hessian_vector(self, layer: int, vector: Float[Tensor, "t c *m h w"]) -> Float[Tensor, "t c *m h w"]:
        """Second derivative of each target's score at a target layer, times ``vector``; one row per target."""
        everything = torch.arange(len(self.targets))
        inputs = self.inputs.take(self.targets.picture)
        # fused attention has no second derivative
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            recording = record(self.view.model, lambda: self.view.run(inputs), [self.layers[layer]])
            scores = self._score(inputs, recording.raw, everything)
            output, layout = recording.calls[0].output, self.layouts[layer]
            (gradient,) = torch.autograd.grad(scores.sum(), output, create_graph=True)
            if not gradient.requires_grad:
                return torch.zeros_like(vector)  # the score is linear behind the layer
            along = (layout.to_grid(gradient) * vector.to(gradient)).sum()
            (product,) = torch.autograd.grad(along, output, allow_unused=True)
        return torch.zeros_like(vector) if product is None else layout.to_grid(product).detach()
