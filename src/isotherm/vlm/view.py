"""The language view: what an adapter tells the rest of isotherm about a model that sees pictures and answers in words.

The picture's part ends at the *vision tokens*, what the language model gets in the places of the pictures. Some models
give it more than one stream of them: Qwen3-VL adds features of earlier vision layers at its first layers (deepstack).
Explaining starts there, so the vision tower runs once and without a graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from isotherm.cam.view import Picture
from isotherm.vlm.tokens import PictureTokens

Streams = tuple[Float[Tensor, "b n d"], ...]
"""The vision tokens of a batch of versions of one prompt: the merged ones first, then those of deepstack."""


@dataclass(frozen=True, eq=False)
class PromptInputs:
    """A question about one or more pictures, processed.

    Args:
        inputs: of the model, a batch of one.
        ids: (l) the prompt's tokens.
        text: the question in words.
        sources: the pictures.
        pictures: which tokens each became, in the prompt's order.
        positions: (n) where in ``ids`` the vision tokens stand, picture after picture.
        video: the frames of a video and how many make a second, where the pictures are its moments.
    """

    inputs: Mapping[str, Any]
    ids: Int[Tensor, " l"]
    text: str
    sources: tuple[Picture, ...]
    pictures: tuple[PictureTokens, ...]
    positions: Int[Tensor, " n"]
    video: tuple[tuple[Picture, ...], float] | None = None

    @property
    def first(self) -> tuple[int, ...]:
        """The number of each picture's first token among the n, and n."""
        out = [0]
        for picture in self.pictures:
            out.append(out[-1] + picture.count)
        return tuple(out)


@dataclass(frozen=True, eq=False)
class Reading:
    """What the language model says.

    Args:
        logits: (b, k + 1, v) for the token after the prompt and after each token of the continuation.
        hidden: (b, l + k, d) behind its final norm.
    """

    logits: Float[Tensor, "b k v"]
    hidden: Float[Tensor, "b l d"]


@runtime_checkable
class Vocabulary(Protocol):
    """Words and their numbers."""

    def encode(self, text: str) -> list[int]:
        """Tokens of an answer, without any special ones."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        ...

    def texts(self) -> Sequence[str]:
        """The text of every token by itself."""
        ...

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end an answer."""
        ...

    def __len__(self) -> int: ...


@runtime_checkable
class LanguageView(Protocol):
    """What an adapter provides. Nothing in the model is changed, and no weight gets a gradient."""

    model: nn.Module
    name: str
    layers: int
    """Of the language model."""
    shares: bool
    """True where :meth:`read` can read what versions share once."""
    count_prompt: str | None
    """How it was taught to be asked for a number, with ``{category}``; None: in any words."""
    hides: bool
    """True where every layer of its language model has attention, so that a token can be hidden from all others."""
    causal: bool
    """True where no token of the prompt sees those behind it: then what vision tokens before the question become cannot
    depend on it.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """Its words."""
        ...

    def ask(self, pictures: Sequence[Picture], prompt: str) -> PromptInputs:
        """A prompt with pictures in front of it, as the model's own template has them."""
        ...

    def ask_video(self, frames: Sequence[Picture], prompt: str, *, fps: float) -> PromptInputs:
        """A prompt with one video; its moments are the pictures, each shown as its first frame.

        Args:
            frames: of one size.
            fps: how many of them make a second.
        """
        ...

    def embed(self, prompt: PromptInputs) -> Streams:
        """The vision tower's part, without graph: b = 1."""
        ...

    def answer(self, prompt: PromptInputs, *, most: int) -> list[int]:
        """The model's own answer, greedily, without the token that ends it; at most so many tokens."""
        ...

    def read(
        self,
        prompt: PromptInputs,
        streams: Streams,
        continuation: Int[Tensor, "b k"],
        *,
        hidden: Bool[Tensor, "b n"] | None = None,
        shared: int = 0,
    ) -> Reading:
        """The language model's part, in whatever grad mode is on.

        Args:
            streams: vision tokens of b versions.
            continuation: tokens behind the prompt, teacher-forced.
            hidden: vision tokens that nobody may attend to.
            shared: tokens of the prompt in which all versions are alike, which then are read once and without graph;
                the reading has no ``hidden``.
        """
        ...

    def pixels(self, prompt: PromptInputs) -> Tensor:
        """What the vision tower is fed, as the processor made it."""
        ...

    def embed_pixels(self, prompt: PromptInputs, pixels: Tensor) -> Streams:
        """:meth:`embed` from other pixels, with their graph, in which norms' divisors are constants.

        Gradients stay on through the model's own blocks; where a mode of the adapter's own changes operations
        (:func:`~isotherm.vlm.frozen.frozen_norms` does), :func:`~isotherm.vlm.graph.kept_graph` is entered inside of
        it.
        """
        ...

    def positive_per_cell(
        self, prompt: PromptInputs, pixels: Tensor, gradient: Tensor, places: Sequence[PictureTokens]
    ) -> Float[Tensor, " n"]:
        """For every cell the sum of gradient x (pixel - that of the mean patch), its positive part.

        Args:
            places: the cells of each picture, such as :func:`isotherm.vlm.fine_cells.fine_cells` makes them.
        """
        ...

    def column(self, token: int) -> Float[Tensor, " d"]:
        """The output weights of one token."""
        ...
