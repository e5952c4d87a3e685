"""Attentive probes: what frozen features say of the next action, read by a few attention blocks and three queries."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """How a probe is built.

    Args:
        blocks: of self-attention in front of the one in which the queries read; 3 as published.
        heads: of attention; 16 as published.
        mlp_ratio: how much wider than a token the hidden layer of a block is.

    Raises:
        OptionError: numbers out of range.

    Source: V-JEPA 2 (Assran et al. 2025), appendix on action anticipation; facebookresearch/vjepa2,
    evals/action_anticipation_frozen/models.py.
    """

    blocks: int = 3
    heads: int = 16
    mlp_ratio: float = 4.0

    def __post_init__(self) -> None:
        if self.blocks < 0 or self.heads < 1 or self.mlp_ratio <= 0:
            raise OptionError(
                f"blocks is {self.blocks}, heads {self.heads}, mlp_ratio {self.mlp_ratio}; expected at least 0, at least 1, and above 0"
            )


class Feedforward(nn.Sequential):
    """Two linear layers with GELU between them.

    Args:
        size: of a token.
        hidden: between the layers.
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))


class SelfBlock(nn.Module):
    """Self-attention and a feedforward layer, each behind a norm.

    Args:
        size: of a token.
        heads: of attention.
        mlp_ratio: of the feedforward layer.
    """

    def __init__(self, size: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(size, eps=1e-6), nn.LayerNorm(size, eps=1e-6)
        self.read = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.mlp = Feedforward(size, int(size * mlp_ratio))

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """The tokens, each knowing of the others."""
        query, key, value = self.read(self.norm1(tokens)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        tokens = tokens + self.out(_attend(query, key, value))
        return tokens + self.mlp(self.norm2(tokens))


class QueryBlock(nn.Module):
    """Learned queries read tokens once, and a feedforward layer follows.

    Args:
        queries: how many.
        size: of a token.
        heads: of attention.
        mlp_ratio: of the feedforward layer.
    """

    def __init__(self, queries: int, size: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Parameter(torch.empty(1, queries, size))
        self.norm1, self.norm2 = nn.LayerNorm(size, eps=1e-6), nn.LayerNorm(size, eps=1e-6)
        self.ask = nn.Linear(size, size)
        self.read = nn.Linear(size, 2 * size)
        self.mlp = Feedforward(size, int(size * mlp_ratio))

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b q d"]:
        """What each query has read."""
        query = self.ask(self.queries).unflatten(-1, (self.heads, -1)).expand(len(tokens), -1, -1, -1)
        key, value = self.read(self.norm1(tokens)).unflatten(-1, (2, self.heads, -1)).unbind(2)
        answer = self.queries + _attend(query, key, value)
        return answer + self.mlp(self.norm2(answer))


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(b, q, heads, c), (b, n, heads, c) twice -> (b, q, heads c)."""
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class AttentiveProbe(nn.Module):
    """Tokens -> logits by head: a query and a linear layer for each.

    Args:
        size: of a token.
        classes: how many each head has, by its name.
        config: how it is built.

    Raises:
        OptionError: no head, a head without classes, or heads of attention that do not divide the size.
    """

    def __init__(self, size: int, classes: Mapping[str, int], config: ProbeConfig) -> None:
        super().__init__()
        if not classes or min(classes.values()) < 1:
            raise OptionError(f"classes are {dict(classes)}; expected at least one head, each with at least one class")
        if size % config.heads:
            raise OptionError(f"heads is {config.heads}, which does not divide the {size} channels of a token")
        self.blocks = nn.ModuleList(SelfBlock(size, config.heads, config.mlp_ratio) for _ in range(config.blocks))
        self.query = QueryBlock(len(classes), size, config.heads, config.mlp_ratio)
        self.heads = nn.ModuleDict({name: nn.Linear(size, many) for name, many in classes.items()})
        self._start()

    def _start(self) -> None:
        """Small weights, smaller still at the end of deeper branches, as published."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.query.queries, std=0.02)
        with torch.no_grad():
            for depth, block in enumerate((*self.blocks, self.query), 1):
                for end in ("out", "mlp.2"):
                    if isinstance(block, SelfBlock) or end != "out":
                        block.get_submodule(end).get_parameter("weight").div_(math.sqrt(2 * depth))

    def forward(self, tokens: Float[Tensor, "b n d"]) -> dict[str, Float[Tensor, "b k"]]:
        """Logits by head."""
        for block in self.blocks:
            tokens = block(tokens)
        answers = self.query(tokens).unbind(1)
        return {name: head(answer) for (name, head), answer in zip(self.heads.items(), answers, strict=True)}


class Probes(nn.Module):
    """Several probes side by side on the same tokens, which are computed once: a grid of rates and decays at a time.

    All begin with the same weights, so that what differs in the end comes from how they were trained. Each has
    parameters of its own, which an optimiser takes as a group with a rate and a decay of its own. They run one after
    another: stacked parameters under ``vmap`` gave the same numbers and took 1.35 times as long on a processor (20
    probes of 64 channels on 8 clips of 80 tokens).

    Args:
        size: of a token.
        classes: how many each head has, by its name.
        config: how each is built.
        many: how many.

    Raises:
        OptionError: fewer than one, or what a probe refuses.
    """

    def __init__(self, size: int, classes: Mapping[str, int], config: ProbeConfig, *, many: int) -> None:
        super().__init__()
        if many < 1:
            raise OptionError(f"many is {many}; expected at least 1")
        first = AttentiveProbe(size, classes, config)
        self.probes = nn.ModuleList([first, *(copy.deepcopy(first) for _ in range(many - 1))])

    def __len__(self) -> int:
        return len(self.probes)

    def __getitem__(self, number: int) -> AttentiveProbe:
        probe = self.probes[number]
        assert isinstance(probe, AttentiveProbe)
        return probe

    def forward(self, tokens: Float[Tensor, "b n d"]) -> dict[str, Float[Tensor, "p b k"]]:
        """Logits by head, of every probe."""
        each: Sequence[dict[str, Tensor]] = [probe(tokens) for probe in self.probes]
        return {name: torch.stack([logits[name] for logits in each]) for name in each[0]}
