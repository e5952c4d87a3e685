"""Grounding models that were trained here, as views: which part of a picture speaks for the place that an instruction
means.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from isotherm.cam.fields import Field
from isotherm.cam.maps import Maps
from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.view import Inputs, LayerChoice, Layout, Pins
from isotherm.errors import AdapterError, LayerError, OptionError
from isotherm.frame import Frame, Size
from isotherm.grounding.model import GroundingModel
from isotherm.models.shared.preprocess import check_picture
from isotherm.relevance.modules import resolve
from isotherm.train.grounding.build import TrainedGrounding, open_grounding
from isotherm.train.grounding.predict import letterboxed
from isotherm.vlm.batch import PromptBatch, whole_grid
from isotherm.vlm.together import EmbeddingView
from isotherm.vlm.view import PromptInputs

LAYERS = ("vision_tokens", "features")
GREY = 0.5
"""What stands for "nothing there": the middle of what a pixel can be."""


class GroundingView:
    """Fulfils :class:`isotherm.cam.view.View` for a :class:`isotherm.train.grounding.build.TrainedGrounding` and one
    instruction: the map of each step, which are logits of a softmax over the map.

    Its layers are ``vision_tokens``, where a picture enters the language model, ``features``, the language model's last
    states at these tokens, which the head reads, and those of the head with whole cells, such as ``grounding.head``.
    Pictures go through the model's own processor, so no gradient reaches the pixels.

    Args:
        trained: the model and what its maps mean.
        instruction: what it is told, such as "put it left of the blue block".
        name: one line for people.

    Raises:
        OptionError: the instruction is empty.
        AdapterError: a model that is asked about several pictures at once.
    """

    default_method = "hirescam"
    random_weights: RandomWeights | None = None

    def __init__(self, trained: TrainedGrounding, instruction: str, *, name: str = "grounding model") -> None:
        if not instruction.strip():
            raise OptionError("the instruction is empty; tell the model what to find, such as 'find the red cup'")
        if trained.views > 1:
            raise AdapterError(
                f"{name} is asked about {trained.views} pictures at once, so that a picture alone is not what it was trained on; "
                "explain one whose views are apart (recipe: model.views=apart), or look at its maps by isotherm predict grounding"
            )
        self.trained, self.instruction, self.name = trained, instruction, name
        self.model: nn.Module = _Instructed(trained.model.eval(), instruction)
        steps = trained.outputs.steps
        self.names: Sequence[str] = (
            (instruction,) if steps == 1 else [f"{instruction}, step {i + 1}" for i in range(steps)]
        )
        self.premises = (
            Premise(
                about="input",
                value=f"{trained.side} x {trained.side} pixels, letterbox, told {instruction!r}",
                source="declared",
                why="its training",
            ),
        )

    def prepare(self, pictures: Sequence[np.ndarray]) -> Inputs:
        """Pictures of any sizes -> one batch of squares, values from 0 to 1."""
        for picture in pictures:
            check_picture(picture)
        boxed, frame = letterboxed(pictures, self.trained.side)
        shown = torch.from_numpy(np.stack(boxed)).permute(0, 3, 1, 2).float() / 255
        return Inputs(shown, frame, {}, torch.full((3,), GREY))

    def run(self, inputs: Inputs) -> Float[Tensor, "b s H W"]:
        """The map of every step."""
        return self.trained.outputs.heatmaps(self.model(inputs.tensor))

    def find(self, raw: Any, inputs: Inputs) -> Maps:
        """The maps of the steps."""
        (h, w), grid = raw.shape[-2:], self._grid(inputs)
        return Maps(raw, self.names, grid.to_grid(size=(h, w)), peaked=True)

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Maps:
        """The same as :meth:`find`: maps cannot be reordered."""
        return self.find(raw, inputs)

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input.

        Raises:
            LayerError: a layer without whole cells of the grid of vision tokens.
        """
        (ref,) = resolve(self.model, layer)
        grid = self._grid(inputs)
        h, w = grid.size
        if ref.name in LAYERS or ref.name.startswith("grounding.head"):
            rows, columns = output.shape[-2:] if output.ndim == 4 else (0, 0)
            if rows >= h and rows % h == 0 and columns * h == rows * w:
                return _OnGrid(cells_of=grid)
        raise LayerError(
            f"layer {ref.name} of a grounding model puts out {tuple(output.shape)}, which are no whole cells of its {h} x {w} vision tokens; "
            f"choose {' or '.join(LAYERS)}, or a layer of its head, such as grounding.head"
        )

    def auto_layers(self) -> LayerChoice:
        """Where the picture enters the language model."""
        return LayerChoice(
            LAYERS[:1], "the vision tokens, where the picture enters the language model that the instruction is told to"
        )

    def _grid(self, inputs: Inputs) -> Frame:
        """The frame of the vision tokens: (b,)."""
        assert isinstance(self.model, _Instructed)
        grid = whole_grid(self.model.prompt(np.zeros((self.trained.side,) * 2 + (3,), np.uint8)).pictures[0]).frame
        return inputs.frame.warped(grid.to_source, grid.size)


class _Instructed(nn.Module):
    """Pictures -> the outputs of the head, by way of vision tokens and features that can be watched.

    Args:
        grounding: the model.
        instruction: what it is told.
    """

    def __init__(self, grounding: GroundingModel, instruction: str) -> None:
        super().__init__()
        self.grounding, self.instruction = grounding, instruction
        self.vision_tokens, self.features = nn.Identity(), nn.Identity()

    def prompt(self, picture: UInt8[np.ndarray, "h w 3"]) -> PromptInputs:
        """The instruction and a picture, in the order in which the model was trained."""
        view: Any = self.grounding.view
        prompt: PromptInputs = view.ask([picture], self.instruction, text_first=self.grounding.text_first)
        return prompt

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k H W"]:
        view = self.grounding.view
        shown = (pictures.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        prompts = [self.prompt(picture) for picture in shown]
        first = prompts[0]
        grid = whole_grid(first.pictures[0])
        # they differ in their pixels alone, so to the language model they are versions of one prompt
        if isinstance(view, EmbeddingView):
            merged, *deeper = view.embed_alike(prompts)
        else:
            merged, *deeper = (torch.cat(parts) for parts in zip(*map(view.embed, prompts), strict=True))
        token = grid.token.flatten().to(merged.device)
        h, w = grid.frame.size
        laid = self.vision_tokens(merged[:, token].unflatten(1, (h, w)).permute(0, 3, 1, 2))
        merged = merged.index_copy(1, token, laid.flatten(2).transpose(1, 2))
        nothing = torch.zeros(len(prompts), 0, dtype=torch.long)
        states = view.read(first, (merged, *deeper), nothing).hidden
        positions = first.positions.expand(len(prompts), -1)
        last = torch.full((len(prompts),), states.shape[1] - 1)
        batch = PromptBatch({}, (self.instruction,) * len(prompts), positions, last, (grid,))
        features = self.features(self.grounding.features_of(states, batch)[:, 0])
        outputs: Tensor = self.grounding.head(features)
        return outputs


@dataclass(frozen=True)
class _OnGrid(Layout):
    """Cells, whole numbers of which make a vision token.

    Args:
        cells_of: the frame of the vision tokens, (b,).
    """

    cells_of: Frame | None = None

    @property
    def declared(self) -> bool:
        return True

    def frame(self, inputs: Inputs, size: Size, field: Field | None = None) -> Frame:
        assert self.cells_of is not None
        return self.cells_of.resized(size)


def load(
    name: str | os.PathLike[str] | None = None,
    *,
    instruction: str | None = None,
    device: str | torch.device | None = None,
) -> GroundingView:
    """A view of the model in a training's folder, or in its file.

    Args:
        name: of the folder or of its file; None: the small one that ships.
        instruction: what it is told.
        device: where it goes.

    Raises:
        OptionError: no instruction.
        WeightsError: the file is damaged, or does not fit its own description.
    """
    called = "tiny-grounding" if name is None else os.fspath(name)
    if instruction is None:
        raise OptionError(
            f"{called} is a grounding model, whose map depends on what it is told; give instruction=, such as "
            f"open_model({called!r}, instruction='find the red cup')",
            command_line=f"{called} is a grounding model, whose map depends on what it is told; give --instruction, such as --instruction 'find the red cup'",
        )
    trained, _ = open_grounding(name)
    view = GroundingView(trained, instruction, name=f"{called}: grounding model")
    if device is not None:
        view.model.to(device)
    return view
