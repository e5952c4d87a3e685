"""Low-rank adaptation of a backbone through peft: its weights stay, and small matrices beside its linear layers are
trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from isotherm.errors import MissingExtraError, OptionError
from isotherm.models.backbone import Backbone


@dataclass(frozen=True, kw_only=True)
class Lora:
    """How the backbone is adapted.

    Args:
        rank: of the matrices.
        alpha: their product counts alpha / rank times.
        dropout: of their input.
        layers: ends of the names of the linear layers that get them, such as ('q_proj', 'v_proj'); empty: all linear
            layers of all blocks.

    Source: Hu et al., "LoRA" (ICLR 2022), section 4.1; all linear layers: Dettmers et al., "QLoRA" (NeurIPS 2023),
    section 4.
    """

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise OptionError(
                f"rank is {self.rank}, alpha {self.alpha}, dropout {self.dropout}; expected at least 1, at least 1, and 0 to less than 1"
            )


def adapt(backbone: Backbone, lora: Lora, *, seed: int) -> None:
    """Freeze a backbone and put trained matrices beside its linear layers, in place; at first they change nothing.

    Args:
        seed: of the matrices that do not begin as 0.

    Raises:
        MissingExtraError: peft is not installed.
        OptionError: the backbone has no such linear layers.
    """
    adapt_blocks(backbone, backbone.blocks(), lora, seed=seed)


def adapt_blocks(model: nn.Module, blocks: Sequence[nn.Module], lora: Lora, *, seed: int) -> None:
    """As :func:`adapt`, of any model whose blocks are known, such as the language model of one that sees.

    Args:
        model: frozen whole.
        blocks: modules of it, whose linear layers get the matrices.
        lora: how.
        seed: of the matrices that do not begin as 0.

    Raises:
        MissingExtraError: peft is not installed.
        OptionError: the blocks have no such linear layers.
    """
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("peft", "train", "low-rank adaptation") from error
    inside = {id(module) for block in blocks for module in block.modules()}
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and id(module) in inside]
    chosen = [name for name in linear if not lora.layers or name.endswith(lora.layers)]
    if not chosen:
        known = sorted({name.rpartition(".")[2] for name in linear})
        raise OptionError(
            f"no linear layer of {type(model).__name__} ends in {', '.join(lora.layers) or 'anything'}; it has {', '.join(known) or 'none, so it cannot be adapted this way'}"
        )
    model.requires_grad_(False)
    config = peft.LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=chosen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(config, model)
