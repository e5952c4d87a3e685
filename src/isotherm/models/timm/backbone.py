"""Backbones of timm: plain vision transformers by their tokens, convolutional networks by one of their stages."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import AdapterError, MissingExtraError, OptionError, WeightsError
from isotherm.frame import Size
from isotherm.heads.to_grid import to_grid
from isotherm.models.backbone import Backbone
from isotherm.models.timm.layers import token_rule


class TimmTokens(Backbone):
    """A plain vision transformer: ``forward_features`` as a grid, the tokens in front dropped as the model declares.

    Raises:
        AdapterError: the model declares no grid of square patches.
    """

    def __init__(self, model: Any, *, size: Size) -> None:
        tokens = token_rule(model)(size)
        if tokens is None or tokens.patch is None or tokens.patch[0] != tokens.patch[1]:
            raise AdapterError(
                f"{type(model).__name__} does not declare a grid of square patches; choose another, or a network with features_only"
            )
        super().__init__(int(model.num_features), tokens.patch[0], *_colours(model))
        self.model, self.prefix = model, tokens.prefix

    def features(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        return to_grid(
            self.model.forward_features(x),
            grid=(x.shape[-2] // self.stride, x.shape[-1] // self.stride),
            prefix=self.prefix,
        )

    def summary(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        if not self.prefix:
            return super().summary(pictures)
        return self.model.forward_features((pictures - self.mean) / self.std)[:, 0]

    def blocks(self) -> list[nn.Module]:
        return list(self.model.blocks)


class TimmStage(Backbone):
    """One stage of a network that timm makes with ``features_only``.

    Its cells may be centred half a stride off the even grid (strided odd convolutions); a trained head makes up for a
    constant shift, and frames speak of the even grid.
    """

    def __init__(self, model: Any) -> None:
        info = model.feature_info
        super().__init__(int(info.channels()[-1]), int(info.reduction()[-1]), *_colours(model))
        self.model = model

    def features(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        features: Tensor = self.model(x)[-1]
        return (
            features.permute(0, 3, 1, 2)
            if features.shape[1] != self.channels and features.shape[-1] == self.channels
            else features
        )


def load_backbone(
    name: str, *, pretrained: bool = True, size: Size = (256, 256), stage: int | None = None, seed: int = 0
) -> Backbone:
    """A backbone by timm's name.

    Args:
        name: such as ``vit_small_patch16_dinov3`` or ``resnet50``.
        pretrained: timm's weights; otherwise seeded random ones.
        size: (h, w) of the pictures, for models that are built for one.
        stage: which stage of a network with stages; the one of stride 16 unless given, or the last that there is before
            it.

    Raises:
        MissingExtraError: timm is not installed.
        AdapterError, WeightsError: no such model, or no weights.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "models", "a backbone of timm") from error
    if not timm.is_model(name.partition(".")[0]):
        raise AdapterError(f"timm has no model {name!r}; see timm.list_models()")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = timm.create_model(name, pretrained=pretrained, num_classes=0, **_sizes(timm, name, size))
            if token_rule(model)(size) is not None and hasattr(model, "blocks"):
                return TimmTokens(model, size=size)
            torch.manual_seed(seed)
            stages: Any = timm.create_model(name, pretrained=pretrained, features_only=True)
            strides = stages.feature_info.reduction()
            chosen = max(i for i, s in enumerate(strides) if s <= 16) if stage is None else stage
            if not 0 <= chosen < len(strides):
                raise OptionError(
                    f"stage is {stage}; {name} has the stages 0 to {len(strides) - 1} of strides {strides}"
                )
            torch.manual_seed(seed)
            return TimmStage(timm.create_model(name, pretrained=pretrained, features_only=True, out_indices=(chosen,)))
        except (OptionError, AdapterError):
            raise
        except Exception as error:  # timm lets its downloaders' many kinds of error through
            if not pretrained:
                raise
            first = str(error).splitlines()[0] if str(error) else "no reason given"
            raise WeightsError(
                f"the weights of {name} could not be fetched ({type(error).__name__}: {first}); check the network, or start from random ones"
            ) from error


def _sizes(timm: Any, name: str, size: Size) -> dict[str, Any]:
    with torch.device("meta"):
        embedding = getattr(timm.create_model(name, pretrained=False), "patch_embed", None)
    return {"img_size": size} if getattr(embedding, "img_size", None) is not None else {}


def _colours(model: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from timm.data import resolve_data_config

    config = resolve_data_config(model=model)
    return tuple(config["mean"]), tuple(config["std"])
