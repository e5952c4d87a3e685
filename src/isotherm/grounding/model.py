"""A language model that sees, and a head on its states at the image tokens: pictures and an instruction -> heatmaps."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.grounding.query import TextQuery
from isotherm.heads import Head
from isotherm.vlm.batch import BatchedView, PromptBatch
from isotherm.vlm.blindness import BLIND, instruction_change

Conditioning = Literal["auto", "text_first", "as_is", "text_query"]
"""How an instruction reaches the maps. text_first: the words stand before the pictures, so that a causal model's image
states know them. as_is: as the model's own template has it, which suits prompts that see themselves both ways.
text_query: the head is given the state of the last token. auto: as_is where no causal mask hides the words, else
text_first.
"""
PROBES = ("find the red cup", "put it left of the blue block")
"""Two instructions that differ, to see whether the image states do."""
PROBE_SIDE = 64


class GroundingModel(nn.Module):
    """Prompts -> maps (b, v, k, H, W): of b prompts, v pictures each and k outputs of the head.

    Args:
        view: of the language model.
        head: reads the features of a picture, (b, c, h, w).
        conditioning: see :data:`Conditioning`.
        frozen: the language model keeps its weights and its evaluation mode, and no graph is made of it.
        normalise: a layer norm between the states and the head, since families differ in how large their states are.
        probes: two instructions in words that the model knows, for the check whether they arrive; None: no check.

    Attributes:
        instruction_change: by how much the image states change with the instruction, as a share of their size; None
            where it was not looked at.

    Raises:
        OptionError: another conditioning, or a view that takes no batches.

    Warns:
        UserWarning: the image states do not change, and nothing else tells the head.
    """

    def __init__(
        self,
        view: BatchedView,
        head: Head,
        *,
        conditioning: Conditioning = "auto",
        frozen: bool = False,
        normalise: bool = True,
        probes: tuple[str, str] | None = PROBES,
    ) -> None:
        super().__init__()
        if conditioning not in get_args(Conditioning):
            raise OptionError(f"conditioning is {conditioning!r}; expected one of {', '.join(get_args(Conditioning))}")
        if not isinstance(view, BatchedView):
            raise OptionError(
                f"the model is a {type(view).__name__}; expected a vision-language model that takes several prompts at once, such as a PaliGemma, Qwen-VL, LLaVA or SmolVLM of transformers"
            )
        self.view, self.vlm, self.head, self.frozen = view, view.model, head, frozen
        self.conditioning: Conditioning = (
            conditioning if conditioning != "auto" else "text_first" if view.causal else "as_is"
        )
        dim = state_size(view)
        self.norm: nn.Module = nn.LayerNorm(dim) if normalise else nn.Identity()
        self.query = TextQuery(dim) if self.conditioning == "text_query" else None
        if frozen:
            self.vlm.requires_grad_(False)
        self.instruction_change = None if probes is None else self._checked(probes)
        self.train(self.training)

    @property
    def text_first(self) -> bool:
        """Whether the words stand before the pictures."""
        return self.conditioning == "text_first"

    def train(self, mode: bool = True) -> GroundingModel:
        """As :meth:`torch.nn.Module.train`, but a frozen language model stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.vlm.eval()
        return self

    def batch(self, pictures: Any, texts: Any) -> PromptBatch:
        """The prompts of :meth:`isotherm.vlm.batch.BatchedView.batch`, words and pictures in the model's order."""
        return self.view.batch(pictures, texts, text_first=self.text_first)

    def forward(self, batch: PromptBatch) -> Float[Tensor, "b v k H W"]:
        """The maps; what their numbers mean is decided by the objective that they are trained with."""
        features = self.features(batch)
        maps: Tensor = self.head(features.flatten(0, 1))
        return maps.unflatten(0, tuple(features.shape[:2]))

    def features(self, batch: PromptBatch) -> Float[Tensor, "b v c h w"]:
        """What the head reads: for rotations and grippers, :func:`isotherm.heads.sample_features` reads it at a
        place.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            states = self.view.states(batch)
        return self.features_of(states, batch)

    def features_of(self, states: Float[Tensor, "b t c"], batch: PromptBatch) -> Float[Tensor, "b v c h w"]:
        """What the head reads, made of the language model's last states."""
        states = states.to(next(self.head.parameters()).dtype)
        features = self.norm(batch.features(states).movedim(2, -1)).movedim(-1, 2)
        return features if self.query is None else self.query(features, batch.at_last(states))

    def grid_frame(self, batch: PromptBatch, frame: Frame) -> Frame:
        """The frame of the features, given that of the prompts' pictures.

        Args:
            batch: the prompts.
            frame: of their pictures, (b, v).
        """
        to_pictures = torch.stack([grid.frame.to_source for grid in batch.grids])
        return frame.warped(to_pictures, batch.grids[0].frame.size)

    def output_frame(self, batch: PromptBatch, frame: Frame) -> Frame:
        """The frame of the maps, given that of the prompts' pictures; arguments as of :meth:`grid_frame`."""
        return self.head.output_frame(self.grid_frame(batch, frame))

    def __deepcopy__(self, memo: dict[int, Any]) -> GroundingModel:
        """A copy that shares what is never changed: frozen weights, configurations, the processor."""
        shared: list[Any] = [p for p in self.parameters() if not p.requires_grad]
        shared += [m.config for m in self.modules() if hasattr(m, "config")]
        shared += [part for part in vars(self.view).values() if not isinstance(part, nn.Module)]
        memo |= {id(part): part for part in shared}
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def _checked(self, probes: tuple[str, str]) -> float:
        picture = np.random.default_rng(0).integers(0, 255, (PROBE_SIDE, PROBE_SIDE, 3), dtype=np.uint8)
        options = {"text_first": True} if self.text_first else {}
        prompts = [self.view.ask([picture], text, **options) for text in _known_words(self.view, probes)]
        change = instruction_change(self.view, prompts[0], prompts[1])
        if change < BLIND and self.query is None:
            warnings.warn(
                f"the states of {self.view.name} at the image tokens change by {change:.1g} of their size where the instruction changes, so its maps "
                f"cannot depend on the instruction; choose conditioning 'text_first' or 'text_query' instead of {self.conditioning!r}, or a model whose prompts see themselves both ways",
                stacklevel=3,
            )
        return change


def state_size(view: BatchedView) -> int:
    """Channels of the states of a view's language model."""
    config: Any = view.model.config
    return int(config.get_text_config().hidden_size)


def _known_words(view: BatchedView, probes: tuple[str, str]) -> tuple[str, str]:
    """The instructions, or two words of the model's vocabulary where it has the same tokens for both instructions."""
    tokens = [view.vocabulary.encode(text) for text in probes]
    if tokens[0] != tokens[1] and len(set(tokens[0]) ^ set(tokens[1])) > 1:
        return probes
    words = [text.strip() for text in view.vocabulary.texts() if text.strip().isalpha()]
    return (words[0], words[1]) if len(words) > 1 else probes
