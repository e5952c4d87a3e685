"""The view protocol: what an adapter tells the rest of isotherm about a model.

An adapter knows four things that nobody else may guess: how pictures become the model's input (and
therefore which source pixel each input pixel is), how to run the model so that gradients flow, what the
raw output says in the model's own terms *with its graph still attached*, and how a layer's output lies
over the input. Everything else, hooks, scores, methods, drawing, is the same for all models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from isotherm.cam.activation import Activation
from isotherm.cam.fields import Axis, Field
from isotherm.cam.maps import Maps
from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size
from isotherm.moments import Timeline
from isotherm.ops.names import known_word

Picture = UInt8[np.ndarray, "_ _ 3"]
"""A source picture as decoded: upright, RGB, 8 bits."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a model is fed, and where each of its pixels comes from.

    Args:
        tensor: (b, c, h, w), preprocessed, on the model's device and in its dtype; of clips (b, t, c, h, w).
        frame: batch (b,), ``frame.size == (h, w)``: input pixels -> source pixels.
        extra: further arguments of the forward pass; a tensor value has a leading dimension b.
        blank: (c,) the input value that stands for "nothing there" (what the dataset's mean colour becomes
            after preprocessing); perturbation methods fill with it.
        timelines: of clips, one each: which of their frames the t are; empty for pictures.
    """

    tensor: Float[Tensor, "b *time c h w"]
    frame: Frame
    extra: Mapping[str, Any] = field(default_factory=dict)
    blank: Float[Tensor, " c"] | None = None
    timelines: tuple[Timeline, ...] = ()

    def __post_init__(self) -> None:
        fed = {len(timeline.fed) for timeline in self.timelines}
        if self.tensor.ndim == 5 and (len(self.timelines) != len(self.tensor) or fed != {self.tensor.shape[1]}):
            raise ShapeError(
                f"input tensor {tuple(self.tensor.shape)} is of clips, but there are {len(self.timelines)} timelines of "
                f"{sorted(fed)} frames; expected one per clip, of as many frames as it has"
            )
        if self.tensor.ndim == 4 and self.timelines:
            raise ShapeError(f"input tensor {tuple(self.tensor.shape)} is of pictures, which have no timelines")
        if tuple(self.frame.batch_shape) != (self.tensor.shape[0],) or self.frame.size != tuple(self.tensor.shape[-2:]):
            raise ShapeError(f"input tensor {tuple(self.tensor.shape)} does not go with {self.frame!r}")

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def with_tensor(self, tensor: Float[Tensor, "b *time c h w"]) -> Inputs:
        """The same pictures in other pixels (masked, blurred, stepped towards a baseline)."""
        return replace(self, tensor=tensor)

    def take(self, rows: Int[Tensor, " n"] | Sequence[int]) -> Inputs:
        """Rows of the batch, any number of times each, in any order."""
        index = torch.as_tensor(rows, dtype=torch.long)
        on = index.to(self.tensor.device)
        extra = {k: v[on.to(v.device)] if isinstance(v, Tensor) and v.ndim else v for k, v in self.extra.items()}
        timelines = tuple(self.timelines[i] for i in index.tolist()) if self.timelines else ()
        return replace(self, tensor=self.tensor[on], frame=self.frame[index], extra=extra, timelines=timelines)


@dataclass(frozen=True, eq=False)
class Classification:
    """A classifier's answer, differentiable.

    Args:
        logits: (b, k) before softmax or sigmoid.
        names: k class names.
        embedding: (b, d) the feature that the last linear layer reads, or None.
        exclusive: the classes exclude each other and the model is known to have been trained so, by cross-entropy over
            a softmax: only then is a softmax of the logits the probabilities that the model gives.
        independent: each class is known to have been trained by a sigmoid of its own, as multi-label models are: only
            then is a sigmoid of a logit the probability that the model gives the class.
        raw: what the model itself put out, see :func:`isotherm.cam.reading.read_prediction`.
    """

    logits: Float[Tensor, "b k"]
    names: Sequence[str]
    embedding: Float[Tensor, "b d"] | None = None
    exclusive: bool = False
    raw: Any = field(default=None, repr=False)
    independent: bool = False


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A semantic segmenter's answer, differentiable: (b, k, h, w) logits over the whole input."""

    logits: Float[Tensor, "b k h w"]
    names: Sequence[str]
    raw: Any = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class RawOutput:
    """The answer of a model that nobody described, differentiable: what it put out, of which a function says what is
    explained.

    Args:
        raw: a tensor, or tensors in tuples, lists, mappings and objects.
        model: its name.
    """

    raw: Any = field(repr=False)
    model: str = "the model"


@runtime_checkable
class MaskReader(Protocol):
    """Mask logits over the whole input, with graph, of all findings or of some rows: large, so made when asked for."""

    def __call__(self, rows: Int[Tensor, " m"] | None = None) -> Float[Tensor, "m h w"]: ...


def _masks_of_some(masks: MaskReader, chosen: Tensor, rows: Tensor | None = None) -> Tensor:
    return masks(chosen if rows is None else chosen[rows.to(chosen.device)])


@dataclass(frozen=True, eq=False)
class Detections:
    """A detector's findings over a batch, differentiable, ordered by picture and then as the model's own package
    reports them.

    Args:
        picture: (n,) which row of the batch each finding is in.
        boxes: (n, 4) x0, y0, x1, y1 in *input* pixels (edge-origin), with graph.
        logits: (n, k) class logits of the candidate, with graph; before sigmoid or softmax.
        classes: (n,) the class reported;
        confidence: (n,) the confidence reported, in [0, 1].
        candidate: (n,) the model's own index of the anchor, query or proposal.
        names: k class names.
        objectness: (n,) logit that there is anything, where the model has one.
        masks: called when asked for: (n, h, w) mask logits over the whole input, with graph, or those of some rows.
        keypoints: (n, j, 3) x, y in input pixels and a visibility/score logit, with graph.
        keypoint_names: j names of the keypoints, where they are known.
        angles: (n,) radians, of oriented boxes, with graph.
        boxes_move: the boxes have a graph; False where they are read off a mask, which ends it.
        activation: what makes a class's probability of its logit; None where that is not known.
        confidence_of_class: the confidence is that probability; False where something else goes into it, as the
            centreness of FCOS does.
        raw: what the model itself put out, see :func:`isotherm.cam.reading.read_prediction`.
    """

    picture: Int[Tensor, " n"]
    boxes: Float[Tensor, "n 4"]
    logits: Float[Tensor, "n k"]
    classes: Int[Tensor, " n"]
    confidence: Float[Tensor, " n"]
    candidate: Int[Tensor, " n"]
    names: Sequence[str]
    objectness: Float[Tensor, " n"] | None = None
    masks: MaskReader | None = None
    keypoints: Float[Tensor, "n j 3"] | None = None
    keypoint_names: Sequence[str] = ()
    angles: Float[Tensor, " n"] | None = None
    boxes_move: bool = True
    raw: Any = field(default=None, repr=False)
    activation: Activation | None = None
    confidence_of_class: bool = True

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def take(self, rows: Int[Tensor, " m"]) -> Detections:
        """Some of the findings."""

        def pick(t):
            return None if t is None else t[rows.to(t.device)]

        return replace(
            self,
            picture=pick(self.picture),
            boxes=pick(self.boxes),
            logits=pick(self.logits),
            classes=pick(self.classes),
            confidence=pick(self.confidence),
            candidate=pick(self.candidate),
            objectness=pick(self.objectness),
            masks=None if self.masks is None else partial(_masks_of_some, self.masks, rows),
            keypoints=pick(self.keypoints),
            angles=pick(self.angles),
        )


Prediction = Classification | Segmentation | Detections | Maps | RawOutput


def giver_of(prediction: Prediction) -> str:
    """What kind of model gives such a prediction, in a word."""
    words = {
        Classification: "a classifier",
        Segmentation: "a segmenter",
        Detections: "a detector",
        Maps: "a model that puts out maps",
        RawOutput: "a model whose output isotherm does not read",
    }
    return words[type(prediction)]


@dataclass(frozen=True, eq=False)
class Pins:
    """Findings to be read again from changed pictures: row i of the batch is asked for pin i.

    Without pins, masking half of a picture would reorder the findings and the score would jump to another object.
    """

    boxes: Float[Tensor, "n 4"]
    classes: Int[Tensor, " n"]
    candidate: Int[Tensor, " n"]

    def take(self, rows: Int[Tensor, " m"]) -> Pins:
        return replace(self, boxes=self.boxes[rows], classes=self.classes[rows], candidate=self.candidate[rows])


@dataclass(frozen=True)
class Layout:
    """How a layer's raw output lies over the input.

    Args:
        order: ``nchw``, ``nhwc``, or ``tokens`` (b, n, c).
        prefix: tokens in front that are no cells (class, register, distillation), declared by the model.
        grid: (h, w) of the tokens behind the prefix, row by row; None otherwise.
        stride: input pixels per cell where it is exact (patch embeddings drop a remainder); None: see ``spans``.
        first: with ``stride``: (y, x) of the first cell's centre in input pixels, where the model declares it
            (anchors).
        spans: the model itself spreads its cells evenly over the input: anchors half a stride in, outputs resized to
            the input. Otherwise a cell lies at the centre of its receptive field.
    """

    order: Literal["nchw", "nhwc", "tokens"] = "nchw"
    prefix: int = 0
    grid: Size | None = None
    stride: tuple[int, int] | None = None
    first: tuple[float, float] | None = None
    spans: bool = False

    def __post_init__(self) -> None:
        known_word(self.order, ("nchw", "nhwc", "tokens"), "order")

    @property
    def channel_dim(self) -> int:
        """Index of the channel dimension in the raw output."""
        return 1 if self.order == "nchw" else -1

    @property
    def cell_dims(self) -> tuple[int, ...]:
        """Indices of rows and columns in a raw output of 4 dimensions."""
        return (1, 2) if self.order == "nhwc" else (2, 3)

    @property
    def cells(self) -> tuple[int, ...] | None:
        """How many cells the tokens behind the prefix are, along each axis; None for maps."""
        return self.grid

    def to_grid(self, output: Float[Tensor, "..."]) -> Float[Tensor, "b c *time h w"]:
        """Raw output (or its gradient) -> (b, c, h, w). Linear, so it serves both."""
        if self.order == "nchw" and output.ndim == 4:
            return output
        if self.order == "nhwc" and output.ndim == 4:
            return output.permute(0, 3, 1, 2)
        if self.order == "tokens" and output.ndim == 3 and self.grid is not None:
            cells = output[:, self.prefix :]
            if cells.shape[1] == self.grid[0] * self.grid[1]:
                return cells.unflatten(1, self.grid).permute(0, 3, 1, 2)
        raise ShapeError(
            f"a layer output of shape {tuple(output.shape)} is not {self.order}"
            + (
                f" with {self.prefix} prefix tokens and a {self.grid} grid"
                if self.order == "tokens"
                else " with 4 dimensions"
            )
            + "; choose a layer whose output has one cell per image region"
        )

    @property
    def declared(self) -> bool:
        """True where the model says where its cells lie, so that nobody needs to look."""
        return self.spans or self.stride is not None

    def time_axis(self, inputs: Inputs, count: int, field: Field | None = None) -> Axis | None:
        """Where the moments of a clip's layer lie, see :class:`isotherm.cam.clips.ClipLayout`; None of a picture's."""
        return None

    def frame(self, inputs: Inputs, size: Size, field: Field | None = None) -> Frame:
        """The frame of this layer's grid, batch (b,).

        Args:
            size: (h, w) of the grid.
            field: where its cells lie, if that was followed; what the model declares goes before.
        """
        if self.stride and self.first:
            return inputs.frame.to_cells(self.first, self.stride, size)
        if self.stride:
            return inputs.frame.to_grid(stride=self.stride)
        if self.spans or field is None:
            return inputs.frame.to_grid(size=size)
        return inputs.frame.to_cells(field.first, field.stride, size)


@dataclass(frozen=True)
class LayerChoice:
    """Layers chosen automatically, with the reason that is told to the user."""

    layers: tuple[str, ...]
    reason: str


@runtime_checkable
class View(Protocol):
    """What an adapter provides. All tensors stay on the model's device; nothing in the model is changed."""

    model: nn.Module
    """The module whose submodules are the layers' names."""
    name: str
    """One line for people: family and variant."""
    names: Sequence[str]
    """Class names."""
    default_method: str
    """Name in :mod:`isotherm.cam.methods` of the method to use unless told."""

    def prepare(self, pictures: Sequence[Any]) -> Inputs:
        """Pictures of any sizes (or clips, see :class:`isotherm.cam.clips.ClipView`) -> one batch."""
        ...

    def run(self, inputs: Inputs) -> Any:
        """The forward pass, in whatever grad mode is on; never changes mode, parameters or buffers."""
        ...

    def find(self, raw: Any, inputs: Inputs) -> Prediction:
        """What the model itself would report (after NMS and thresholds), in its own order."""
        ...

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Prediction:
        """Findings ``pins`` read from the output for changed pictures, one per row of the batch.

        Classifiers return :meth:`find`. Anchor- and query-based models read the same candidate; two-stage
        models score the same box; models that reorder candidates take the best of IoU x class probability.
        """
        ...

    def auto_layers(self) -> LayerChoice:
        """Layers to explain at unless told, and why."""
        ...

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How the output of ``layer`` lies over ``inputs``."""
        ...


@runtime_checkable
class ShownView(Protocol):
    """A view of a model that can be shown what to look for."""

    def shown(self, picture: Any, like: Mapping[str, Sequence[Sequence[float]]]) -> View:
        """A view of the same model that looks for what boxes (x0, y0, x1, y1) on a picture show, by their names."""
        ...


@runtime_checkable
class ThresholdView(Protocol):
    """A view whose findings are those that the model is sure enough of."""

    def with_confidence(self, confidence: float) -> View | None:
        """A view of the same model with another least confidence of a finding, 0 to 1; None where it finds nothing that
        has one.
        """
        ...


@runtime_checkable
class TokenReader(Protocol):
    """A view of a transformer that can also say what its classifier makes of the tokens behind any block."""

    blocks: Sequence[str]
    """Names of the blocks, in order of execution, one per attention over all tokens."""

    def read_tokens(self, tokens: Float[Tensor, "b n d"], inputs: Inputs) -> Prediction:
        """The final norm, pooling and classifier applied to a block's output."""
        ...
