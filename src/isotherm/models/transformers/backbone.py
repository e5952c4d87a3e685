"""Backbones of transformers: DINOv3, DINOv2, SigLIP, CLIP, I-JEPA and every other model of plain patches."""

from __future__ import annotations

import os
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import AdapterError, WeightsError
from isotherm.heads.to_grid import to_grid
from isotherm.models.backbone import IMAGENET_MEAN, IMAGENET_STD, Backbone
from isotherm.models.transformers.layers import token_rules
from isotherm.models.transformers.load import need_transformers, open_config


class TransformersBackbone(Backbone):
    """The last hidden state of a model of patches as a grid; class and register tokens dropped as its embedding
    declares.

    Args:
        model: a vision model that returns ``last_hidden_state``; CLIP's and SigLIP's vision part, not the pair.
        mean, std: of pixels from 0 to 1 that it was trained with.

    Raises:
        AdapterError: its modules do not declare one grid of patches.
    """

    def __init__(
        self, model: nn.Module, *, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD
    ) -> None:
        rules = [rule for rule in token_rules(model) if rule.stride is not None]
        if len(rules) != 1 or rules[0].stride is None or rules[0].stride[0] != rules[0].stride[1]:
            raise AdapterError(
                f"{type(model).__name__} does not declare one grid of square patches; choose a plain vision transformer (DINO, SigLIP, CLIP's vision model, I-JEPA)"
            )
        super().__init__(int(model.config.hidden_size), rules[0].stride[0], mean, std)  # type: ignore[union-attr, arg-type]
        self.model, self.prefix, self.suffix = model, rules[0].prefix, rules[0].suffix

    def features(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        tokens = self.model(pixel_values=x).last_hidden_state
        tokens = tokens[:, : tokens.shape[1] - self.suffix]
        return to_grid(tokens, grid=(x.shape[-2] // self.stride, x.shape[-1] // self.stride), prefix=self.prefix)

    def summary(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        if not self.prefix:
            return super().summary(pictures)
        return self.model(pixel_values=(pictures - self.mean) / self.std).last_hidden_state[:, 0]

    def blocks(self) -> list[nn.Module]:
        stacks = [m for m in self.model.modules() if isinstance(m, nn.ModuleList) and len(m) > 1]
        return max((list(stack) for stack in stacks), key=len, default=[self])


def load_backbone(name: str, *, weights: str | os.PathLike[str] = "auto", seed: int = 0) -> TransformersBackbone:
    """A backbone by hub name or folder.

    Args:
        name: such as ``facebook/dinov3-vits16-pretrain-lvd1689m``.
        weights: "auto" for those of the name, "none" for seeded random ones.

    Raises:
        MissingExtraError: transformers is not installed.
        AdapterError, WeightsError: no such model, or one without patches.
    """
    need_transformers()
    return backbone_of(open_config(name), name=name, weights=weights, seed=seed)


def backbone_of(
    config: Any, *, name: str = "", weights: str | os.PathLike[str] = "none", seed: int = 0
) -> TransformersBackbone:
    """A backbone from a configuration; a pair of text and vision gives its vision part."""
    need_transformers()
    from transformers import AutoModel

    config = getattr(config, "vision_config", config)
    if weights == "none":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModel.from_config(config, trust_remote_code=False)
    else:
        source = name if weights == "auto" else os.fspath(weights)
        try:
            model, info = AutoModel.from_pretrained(
                source, config=config, weights_only=True, trust_remote_code=False, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise WeightsError(
                f"the weights of {source} cannot be loaded ({str(error).splitlines()[0]}); check the name, the network, or give a folder"
            ) from error
        missing = [key for key in info["missing_keys"] if "pooler" not in key and not key.startswith("head")]
        if missing:
            raise WeightsError(
                f"{source} holds no weights for {len(missing)} parts ({', '.join(missing[:3])}), which would stay random"
            )
    half = config.model_type.startswith(("siglip", "ijepa")) and config.model_type != "ijepa"
    colours: tuple[tuple[float, ...], tuple[float, ...]] = (IMAGENET_MEAN, IMAGENET_STD)
    if half:
        colours = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    elif config.model_type.startswith("clip"):
        colours = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    return TransformersBackbone(model, mean=colours[0], std=colours[1])
