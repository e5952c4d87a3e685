"""One forward pass with everything that methods need of it, and the Trace that they are pure functions of.

The biases of a network count as evidence beside the input in FullGrad: Srinivas & Fleuret, "Full-gradient
representation for neural network visualization" (NeurIPS 2019), section 3: a piecewise-linear network's output is the
sum of input gradient times input and bias gradient times bias, where normalisation layers count with the bias that they
amount to in eval mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.cam.capture import Call, Recording, record
from isotherm.cam.clips import rows_of_each
from isotherm.cam.fields import Field, Placing
from isotherm.cam.receptive import following
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.trace import AttentionTrace, LayerTrace, Trace
from isotherm.cam.view import Inputs, Layout, TokenReader, View
from isotherm.errors import MethodError
from isotherm.ops.names import known_word
from isotherm.relevance.attention import AttentionCall, recorded_attention
from isotherm.relevance.grad_mode import differentiate, gradients_kept
from isotherm.relevance.modules import LayerRef, resolve

CLEARLY = 1 / 8
"""Of a cell, what kernels may move it without a word."""
WITH_GRAPH = frozenset({"gradient", "bias", "attention_gradient", "attention_own_gradient"})


@dataclass(frozen=True, eq=False)
class Observation:
    """One forward pass with everything that the methods need from it, graph attached.

    Args:
        recording: the target layers, the biases.
        attention: every self-attention, if any method reads it.
        refs, layouts: of the target layers.
        needs: of all methods together.
        fields: where the cells of the recording's ``calls``, and then of its ``every``, lie, as the view's ``placing``
            says.
    """

    recording: Recording
    attention: tuple[AttentionCall, ...]
    refs: tuple[LayerRef, ...]
    layouts: tuple[Layout, ...]
    fields: tuple[Field | None, ...]
    needs: frozenset[str]

    @property
    def has_graph(self) -> bool:
        return bool(self.needs & WITH_GRAPH)

    @property
    def layers(self) -> tuple[str, ...]:
        """The target layers' names, with the call where there are several."""
        return tuple(map(str, self.recording.calls))

    @property
    def moved(self) -> list[str]:
        """A note for each layer whose cells the kernels on the way place clearly beside their receptive fields."""
        notes = []
        for call, layout, field in zip(self.recording.calls, self.layouts, self.fields, strict=False):
            if field is None or layout.declared or max(abs(a.off) / a.stride for a in (field.x, field.y)) <= CLEARLY:
                continue
            across = f"{abs(field.x.off):.1f} px to the {'left' if field.x.off < 0 else 'right'}"
            up = f"{abs(field.y.off):.1f} px {'up' if field.y.off < 0 else 'down'}"
            notes.append(
                f"maps of {call} were moved {across} and {up}, in pixels of the input, to where the trained weights "
                "before it look"
            )
        return notes


def observe(view: View, inputs: Inputs, needs: frozenset[str], refs: tuple[LayerRef, ...]) -> Observation:
    """Run the model once and keep what methods need.

    Args:
        needs: of all methods together, words of :data:`isotherm.relevance.method.NEEDS`.
        refs: the target layers.
    """
    graph = bool(needs & WITH_GRAPH)
    every = bias_layers(view.model) if "bias" in needs else ()
    if "attention_own_gradient" in needs:
        every = (*every, *resolve(view.model, list(token_reader(view).blocks)))
    listening = any(need.startswith("attention") for need in needs)
    listener: AbstractContextManager[list[AttentionCall]] = (
        recorded_attention(view.model, gradient=graph) if listening else nullcontext([])
    )
    with (
        listener as attention,
        following(view.model, inputs.tensor, [f"{ref.name}@{ref.call or 0}" for ref in (*refs, *every)]) as place,
    ):
        recording = record(view.model, partial(view.run, inputs), refs, every_call=every, gradient=graph)
    for call in recording.calls:
        place(f"{call.layer.name}@{call.index}", call.output)  # before the layouts, which ask what was followed
    layouts = tuple(view.layout(call.layer.name, call.output, inputs) for call in recording.calls)
    lying = (*layouts, *(Layout() for _ in recording.every))
    followed = [
        place(f"{call.layer.name}@{call.index}", call.output, dims=layout.cell_dims, grid=layout.cells)
        for call, layout in zip((*recording.calls, *recording.every), lying, strict=True)
    ]
    placing: Placing = getattr(view, "placing", "kernels")
    known_word(placing, get_args(Placing), "placing")
    fields = tuple(None if field is None else field.placed(placing) for field in followed)
    calls = tuple(global_attention(attention, layouts[-1], inputs)) if listening else ()
    return Observation(recording, calls, refs, layouts, fields, needs)


def token_reader(view: View) -> TokenReader:
    """The view, if it can read a score from the tokens behind any block."""
    if not isinstance(view, TokenReader):
        raise MethodError(
            f"LeGrad asks every block for its own score, and the adapter of {view.name} cannot read a score from the tokens "
            "behind a block; use legrad_final, which takes the model's score for all blocks"
        )
    return view


def trace_of(kept: Observation, rerun: ViewRerun, *, keep: bool) -> Trace:
    """The trace of some targets of an observation.

    Args:
        rerun: has the targets.
        keep: the graph is needed again, for other targets.
    """
    targets, inputs, recording = rerun.targets, rerun.inputs, kept.recording
    picture = targets.picture.cpu()
    n_layers, n_every = len(recording.calls), len(recording.every)
    own = "attention_own_gradient" in kept.needs
    grads: list[Tensor] = []
    if kept.has_graph and len(targets):
        also = [*(c.output for c in recording.every), *(a.probabilities for a in kept.attention)]
        per = [rows_of_each(layout) for layout in kept.layouts]
        grads = recording.gradients(targets.scores, picture, also=also, keep_graph=keep or own, rows=per)
    layers = []
    for i, (call, layout) in enumerate(zip(recording.calls, kept.layouts, strict=True)):
        activation = rows_of(layout.to_grid(call.output.detach()), picture)
        grad = layout.to_grid(grads[i]) if grads else None
        frame = layout.frame(inputs, (activation.shape[-2], activation.shape[-1]), kept.fields[i])[picture]
        time = layout.time_axis(inputs, activation.shape[2], kept.fields[i])
        layers.append(LayerTrace(str(call), activation, grad, frame, time))
    every = slice(n_layers, n_layers + n_every)
    biases = bias_traces(recording.every, grads[every], kept.fields[every], inputs, picture) if grads else ()
    attention: tuple[AttentionTrace, ...] = ()
    if kept.attention:
        attention = attention_traces(
            kept.attention,
            kept.layouts[-1],
            inputs,
            picture,
            field=kept.fields[n_layers - 1],
            gradients=grads[n_layers + n_every :] if grads else None,
            own_gradients=_own_gradients(kept, rerun) if own and len(targets) else None,
        )
    return Trace(
        targets.scores.detach().float(), picture, inputs, tuple(layers), attention=attention, rerun=rerun, biases=biases
    )


def _own_gradients(kept: Observation, rerun: ViewRerun) -> list[Float[Tensor, "t a n n"]]:
    reader, targets = token_reader(rerun.view), rerun.targets
    behind = {call.layer.name: call.output for call in kept.recording.every}
    rows = targets.picture.cpu()

    def read(tokens: Float[Tensor, "b n d"]) -> Float[Tensor, " t"]:
        inputs = rerun.inputs.take(rows)
        prediction = reader.read_tokens(tokens[rows.to(tokens.device)], inputs)
        return targets.read(prediction, torch.arange(len(targets)))

    return own_score_gradients(kept.attention, [behind[name] for name in reader.blocks], read, rows)


def rows_of(values: Float[Tensor, "b c *m h w"], picture: Int[Tensor, " t"]) -> Float[Tensor, "t c *m h w"]:
    """``values[picture]`` without copying where every picture has one target or there is one picture."""
    if torch.equal(picture, torch.arange(len(values))):
        return values
    if len(values) == 1:
        return values.expand(len(picture), *values.shape[1:])
    return values[picture.to(values.device)]


def bias_layers(model: nn.Module) -> tuple[LayerRef, ...]:
    """Every convolution with a bias and every batch normalisation, in the order of ``named_modules()``."""
    return tuple(LayerRef(name, m) for name, m in model.named_modules() if effective_bias(m) is not None)


@torch.no_grad()
def effective_bias(module: nn.Module) -> Float[Tensor, " c"] | None:
    """What the module adds to each channel in eval mode; None for other modules."""
    bias = getattr(module, "bias", None)
    mean, var = getattr(module, "running_mean", None), getattr(module, "running_var", None)
    if isinstance(mean, Tensor) and isinstance(var, Tensor):
        weight = getattr(module, "weight", None)
        scale = (var + getattr(module, "eps", 1e-5)).rsqrt() * (1 if weight is None else weight)
        return -(mean * scale) + (0 if bias is None else bias)
    if isinstance(module, nn.Conv2d) and bias is not None:
        return bias.detach()
    return None


def bias_traces(
    calls: Sequence[Call],
    gradients: Sequence[Float[Tensor, "t ..."]],
    fields: Sequence[Field | None],
    inputs: Inputs,
    picture: Tensor,
) -> tuple[LayerTrace, ...]:
    """One LayerTrace per call that lies on a grid: the bias broadcast as activation, the gradient at its output."""
    traces = []
    for call, gradient, field in zip(calls, gradients, fields, strict=True):
        bias = effective_bias(call.layer.module)
        if bias is None or gradient.ndim != 4 or len(bias) != gradient.shape[1]:
            continue
        activation = bias.to(gradient)[None, :, None, None].expand_as(gradient)
        frame = Layout().frame(inputs, (gradient.shape[-2], gradient.shape[-1]), field)[picture]
        traces.append(LayerTrace(str(call), activation, gradient, frame))
    return tuple(traces)


def global_attention(calls: Sequence[AttentionCall], layout: Layout, inputs: Inputs) -> list[AttentionCall]:
    """The calls that attend over all tokens of a picture: one row per picture, as many tokens as the layout has.

    Args:
        calls: from :func:`recorded_attention`.
        layout: of the model's token layers.
        inputs: what the model was fed.

    Raises:
        MethodError: there is none; the message says what there is instead.
    """
    if not calls:
        raise MethodError(
            "this model has no softmax attention (it is a convolutional network, or its attention is a kernel of its own), "
            "so rollout and LeGrad have nothing to read; use a method such as hirescam"
        )
    if layout.grid is None:
        raise MethodError(
            "this model attends, but its layers hold maps and no chain of tokens (Swin, or attention inside of a convolutional "
            "network), so rollout and LeGrad do not apply; use a method such as hirescam"
        )
    tokens = layout.prefix + layout.grid[0] * layout.grid[1]
    fitting = [
        call for call in calls if call.probabilities.shape[0] == len(inputs) and call.probabilities.shape[-1] == tokens
    ]
    if not fitting:
        seen = ", ".join(
            sorted(
                {
                    f"{c.probabilities.shape[-1]} tokens in {c.probabilities.shape[0] // len(inputs)} window(s)"
                    for c in calls
                }
            )
        )
        raise MethodError(
            f"no attention of this model goes over the whole picture ({tokens} tokens): there is {seen}; "
            "windowed attention has no rollout, use a method such as hirescam"
        )
    return fitting


def attention_traces(
    calls: Sequence[AttentionCall],
    layout: Layout,
    inputs: Inputs,
    picture: Int[Tensor, " t"],
    *,
    field: Field | None = None,
    gradients: Sequence[Float[Tensor, "t a n n"]] | None = None,
    own_gradients: Sequence[Float[Tensor, "t a n n"]] | None = None,
) -> tuple[AttentionTrace, ...]:
    """One AttentionTrace per call, lined up with the targets.

    Args:
        calls: from :func:`global_attention`.
        layout: of the token layers.
        picture: (t,) row of each target.
        field: where the cells of the token layers lie, if that was followed.
        gradients: of the model's score at each call's probabilities (``Recording.gradients(..., also=...)``).
        own_gradients: of each block's own score (:func:`own_score_gradients`).
    """
    assert layout.grid is not None
    frame = layout.frame(inputs, layout.grid, field)[picture.cpu()]
    traces: list[AttentionTrace] = []
    for i, call in enumerate(calls):
        rows = call.probabilities.detach()[picture.to(call.probabilities.device)]
        gradient = None if gradients is None else gradients[i]
        own = None if own_gradients is None else own_gradients[i]
        traces.append(AttentionTrace(call.name, rows, gradient, layout.prefix, frame, own))
    return tuple(traces)


def own_score_gradients(
    calls: Sequence[AttentionCall],
    tokens: Sequence[Float[Tensor, "b n d"]],
    read: Callable[[Float[Tensor, "b n d"]], Float[Tensor, " t"]],
    picture: Int[Tensor, " t"],
) -> list[Float[Tensor, "t a n n"]]:
    """Gradient of each block's own score at its attention, for LeGrad.

    Args:
        calls: with graph.
        tokens: behind each call's block, with graph (the block's output, recorded).
        read: tokens of any block -> the targets' scores, through the model's final norm, pooling and classifier.
        picture: (t,) row of each target.

    Raises:
        MethodError: as many blocks as calls are needed, or a block's tokens do not depend on its attention.

    Source: Bousselham et al., "LeGrad" (2024), eqs. 6 and 7.
    """
    if len(calls) != len(tokens):
        raise MethodError(
            f"there are {len(calls)} attention calls but tokens of {len(tokens)} blocks; LeGrad needs one block per attention"
        )
    everything = []
    for call, behind in zip(calls, tokens, strict=True):
        with torch.enable_grad(), gradients_kept(begun=True):
            scores = read(behind)
        rows = []
        for target, row in enumerate(picture.tolist()):
            (gradient,) = differentiate(scores[target], [call.probabilities], retain_graph=True, allow_unused=True)
            if gradient is None:
                raise MethodError(
                    f"the tokens given for {call.name} do not depend on its attention; give the output of the block around it"
                )
            rows.append(gradient[row])
        everything.append(torch.stack(rows))
    return everything
