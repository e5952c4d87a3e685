"""The protocol of fusions: how gaze gets to the tokens of a video model.

A fusion acts at a :class:`Site`, on tokens (b, n, d) that stand in a grid (m, h, w): the embeddings in front of the
encoder, or its features, which are what the predictor and the probe read. It may add to the tokens themselves, and it
may condition the attention of the layers that follow, the encoder's or the predictor's. All of it goes through gates
that begin at 0, so that the first step is that of the model without gaze, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.maps import SIGMA, GazeMaps
from isotherm.gaze.state_tokens import States, StateTokens
from isotherm.models.transformers.vjepa2.conditioned import Conditioning

At = Literal["embeddings", "features"]
"""Where a fusion acts. embeddings: in front of the encoder and in its layers. features: on what the encoder gives, and
in the predictor's layers; with a frozen encoder that works on features that were computed once.
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a fusion is made for.

    Args:
        tokens: size of the tokens that it adds to.
        layer_tokens: size of tokens within the layers that follow.
        layers: how many follow; 0: none, so that attention cannot be conditioned.
        heads: of their attention.
        grid: (h, w) of tokens.
        tubelet: frames per token.
        size: (h, w) of the model's input in pixels.
    """

    tokens: int
    layer_tokens: int
    layers: int
    heads: int
    grid: Size
    tubelet: int
    size: Size

    @property
    def patch(self) -> Size:
        """(h, w) of a token in pixels."""
        return self.size[0] // self.grid[0], self.size[1] // self.grid[1]


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """What all fusions are asked for.

    Args:
        at: see :data:`At`.
        states: see :data:`isotherm.gaze.state_tokens.States`.
        sigma: standard deviation of rendered gaze as a share of the input's width.
        learned_sigma: it is trained, through the rendering.

    Raises:
        OptionError: another word, or a sigma outside of 0 to 1.
    """

    name: ClassVar[str]
    at: At = "features"
    states: States = "tokens"
    sigma: float = SIGMA
    learned_sigma: bool = False

    def __post_init__(self) -> None:
        for field, words in (("at", get_args(At)), ("states", get_args(States))):
            if getattr(self, field) not in words:
                raise OptionError(f"{field} is {getattr(self, field)!r}; expected one of {', '.join(words)}")
        if not 0 < self.sigma < 1:
            raise OptionError(f"sigma is {self.sigma}; expected a share of the width above 0 and below 1")

    def make(self, site: Site) -> Fusion:
        """The module.

        Args:
            site: where it acts.
        """
        raise NotImplementedError


class Fusion(nn.Module):
    """Gaze to tokens at one site.

    Args:
        config: what it is asked for.
        site: where it acts.
    """

    conditions_attention: ClassVar[bool] = False
    """Whether it needs layers behind its site."""
    renders: ClassVar[bool] = True
    """Whether it makes maps of gaze, whose sigma may be learned."""

    def __init__(self, config: FusionConfig, site: Site) -> None:
        super().__init__()
        if self.conditions_attention and not site.layers:
            raise OptionError(
                f"the fusion {config.name!r} acts in the attention of the layers behind the {config.at}, but there are none; "
                "use at='embeddings', or the predictor"
            )
        if config.learned_sigma and not self.renders:
            raise OptionError(f"the fusion {config.name!r} renders no maps, so it cannot learn their sigma")
        self.config, self.site = config, site
        self.maps = GazeMaps(sigma=config.sigma, learned=config.learned_sigma)

    def add(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Float[Tensor, "b n d"]:
        """The tokens with what gaze adds to them.

        Args:
            tokens: at the site.
            gaze: of the same clips.
        """
        return tokens

    def condition(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Conditioning | None:
        """What the attention of the layers behind the site takes, or None.

        Args:
            tokens: at the site, gaze added.
            gaze: of the same clips.
        """
        return None

    def state_tokens(self, size: int) -> StateTokens:
        """Vectors of states as the configuration has them.

        Args:
            size: of a vector.
        """
        return StateTokens(size, self.config.states)


def expect_positive(config: Any, *names: str) -> None:
    """Raise OptionError where a number is not at least 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise OptionError(f"{name} is {getattr(config, name)}; expected at least 1")
