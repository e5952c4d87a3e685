"""Published weights of V-JEPA 2 (.pt, as facebookresearch/vjepa2 names them) in the VJEPA2Model of transformers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isotherm.errors import WeightsError
from isotherm.models.weights.files import open_weights
from isotherm.models.weights.fitting import load_fitting

PREFIXES = ("module.", "backbone.", "_orig_mod.")
"""What wrappers have put before the names."""
PARTS = {
    "patch_embed": "embeddings.patch_embeddings",
    "norm": "layernorm",
    "predictor_embed": "embeddings.predictor_embeddings",
    "predictor_norm": "layernorm",
    "predictor_proj": "proj",
}
_BLOCK = re.compile(r"(?:predictor_)?blocks\.(\d+)\.(.+)")
_MASK = re.compile(r"mask_tokens\.(\d+)")
QKV = ("query", "key", "value")


def load_original(model: Any, fpath: str | os.PathLike[str], *, encoder_key: str = "target_encoder") -> None:
    """Published weights into a VJEPA2Model, all of them.

    Args:
        model: of the sizes that the weights have.
        fpath: the file, with an encoder and a predictor; it is opened without running anything.
        encoder_key: which encoder: 'target_encoder', the averaged one, or 'encoder'.

    Raises:
        WeightsError: missing, damaged, or weights of another model.
    """
    fpath = Path(fpath)
    for part, key, rename in (
        (model.encoder, encoder_key, encoder_names),
        (model.predictor, "predictor", predictor_names),
    ):
        load_fitting(part, rename(open_weights(fpath, key=key)), f"V-JEPA 2's {key}", fpath)


def encoder_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An encoder's weights by the names of transformers' VJEPA2Encoder.

    Args:
        state: by the original's names.

    Example:
        >>> sorted(encoder_names({"module.backbone.blocks.3.attn.qkv.bias": torch.zeros(6), "module.norm.bias": torch.zeros(2)}))
        ['layer.3.attention.key.bias', 'layer.3.attention.query.bias', 'layer.3.attention.value.bias', 'layernorm.bias']
    """
    return _renamed(state)


def predictor_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A predictor's weights by the names of transformers' VJEPA2Predictor.

    Args:
        state: by the original's names.

    Raises:
        WeightsError: mask tokens are missing among others.
    """
    tokens: dict[int, Tensor] = {}
    rest = {}
    for name, value in state.items():
        mask = _MASK.fullmatch(_bare(name))
        if mask is None:
            rest[name] = value
        else:
            tokens[int(mask[1])] = value
    renamed = _renamed(rest)
    if tokens:
        if sorted(tokens) != list(range(len(tokens))):
            raise WeightsError(f"there are mask tokens {sorted(tokens)}; expected them from 0 on, without a gap")
        shapes = {tuple(token.shape) for token in tokens.values()}
        if len(shapes) > 1:
            raise WeightsError(f"the mask tokens have the shapes {sorted(shapes)}; expected one shape")
        renamed["embeddings.mask_tokens"] = torch.stack([tokens[i] for i in range(len(tokens))])
    return renamed


def _bare(name: str) -> str:
    """A name without what wrappers have put before it."""
    while (prefix := next((p for p in PREFIXES if name.startswith(p)), None)) is not None:
        name = name.removeprefix(prefix)
    return name


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What has no counterpart keeps its name, by which loading refuses it."""
    renamed: dict[str, Tensor] = {}
    for wrapped, value in state.items():
        name = _bare(wrapped)
        block = _BLOCK.fullmatch(name)
        if block is None:
            part, _, rest = name.partition(".")
            renamed[f"{PARTS.get(part, part)}.{rest}" if rest else name] = value
            continue
        inner = block[2].replace("attn.", "attention.", 1)
        if inner.startswith("attention.qkv."):
            if value.ndim == 0 or value.shape[0] % 3:
                raise WeightsError(
                    f"{wrapped} has the shape {list(value.shape)}; expected queries, keys and values below each other, a third of its rows each"
                )
            kind = inner.removeprefix("attention.qkv.")
            for part, piece in zip(QKV, value.chunk(3), strict=True):
                renamed[f"layer.{block[1]}.attention.{part}.{kind}"] = piece
        else:
            renamed[f"layer.{block[1]}.{inner}"] = value
    return renamed
