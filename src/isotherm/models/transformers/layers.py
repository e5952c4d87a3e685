"""How the layers of transformers' models lie over their input, and which of them to explain.

Where tokens come from is read from the modules that make them: the stride of the patch convolution, the class,
register, distillation and detection tokens that the embedding really adds. Tokens of other origin (text, queries) can
have the same number by accident, so a rule holds only for the layers in its scope.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.fields import Field
from isotherm.cam.view import Inputs, LayerChoice, Layout
from isotherm.errors import LayerError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.models.shared.grids import Tokens, layout_of
from isotherm.relevance.modules import resolve

FRONT = ("cls_token", "class_embedding", "distillation_token", "register_tokens")
BEHIND = ("detection_tokens",)
BEFORE_ATTENTION = ("layernorm_before", "norm1", "layer_norm1")
MERGING = ("swin", "swinv2", "donut-swin", "maskformer-swin")
"""Model types whose stages merge 2 x 2 tokens, padding odd sides."""


@dataclass(frozen=True)
class TokenLayout(Layout):
    """Tokens with some that are no cells behind the grid, or whose grid reaches past the input.

    Args:
        suffix: tokens behind the grid that are no cells (YOLOS' detection tokens).
    """

    suffix: int = 0

    def to_grid(self, output: Float[Tensor, "..."]) -> Float[Tensor, "b c h w"]:
        """Raw output (or its gradient) -> (b, c, h, w)."""
        if not self.suffix:
            return super().to_grid(output)
        if (
            self.grid is None
            or output.ndim != 3
            or output.shape[1] != self.prefix + self.grid[0] * self.grid[1] + self.suffix
        ):
            raise ShapeError(
                f"a layer output of shape {tuple(output.shape)} is not {self.prefix} tokens, a grid of {self.grid} and {self.suffix} more tokens"
            )
        return output[:, self.prefix : -self.suffix].unflatten(1, self.grid).permute(0, 3, 1, 2)

    def frame(self, inputs: Inputs, size: Size, field: Field | None = None) -> Frame:
        """The frame of this layer's grid; cells that the model padded lie outside of the input."""
        if self.stride is None or self.first is not None:
            return super().frame(inputs, size, field)
        h, w = inputs.frame.size
        beyond = [max(0, n * s - have) for n, s, have in zip(size, self.stride, (h, w), strict=True)]
        return inputs.frame.padded(0, 0, beyond[1], beyond[0]).to_grid(stride=self.stride)


@dataclass(frozen=True)
class TokenRule:
    """What some layers' tokens are.

    Args:
        scope: the names of the layers that it speaks of begin so.
        grid: input (h, w) -> (h, w) of the grid.
        prefix, suffix: tokens in front of and behind it that are no cells.
        stride: input pixels per cell, where exact.
        first: (y, x) of the first cell's centre in input pixels, where it is not half a stride.
    """

    scope: str
    grid: Callable[[Size], Size]
    prefix: int = 0
    suffix: int = 0
    stride: Size | None = None
    first: tuple[float, float] | None = None


def token_rules(model: nn.Module) -> list[TokenRule]:
    """What the model's own embedding modules say about its tokens; empty for convolutional networks."""
    rules: list[TokenRule] = []
    overlapping: list[nn.Conv2d] = []
    for name, module in model.named_modules():
        kind = type(module).__name__
        parent = name.rpartition(".")[0]
        if kind.endswith("OverlapPatchEmbeddings"):
            # each stage of a SegFormer has its own, with overlap; grids chain by the arithmetic of convolutions
            overlapping.append(next(m for m in module.modules() if isinstance(m, nn.Conv2d)))
            if isinstance(model.get_submodule(parent), nn.ModuleList):  # GLPN's stages are lists side by side
                parent = parent.rpartition(".")[0]
            rules.append(TokenRule(f"{parent}.", _chain(overlapping)))
        elif kind.endswith("Embeddings") and not kind.endswith("PatchEmbeddings"):
            stride, scope = _patch_stride(module), f"{parent}." if parent else ""
            # convolutional networks cut patches too, but keep them as maps
            if stride is None or last_named(model, rf"{re.escape(scope)}.*\.({'|'.join(BEFORE_ATTENTION)})") is None:
                continue
            if any(kind.lower().startswith(t.replace("-", "")) for t in MERGING):
                rules += _merging(model, scope, stride)
            else:
                rule = TokenRule(scope, _floor(stride), _count(module, FRONT), _count(module, BEHIND), stride)
                conv = _padded_patches(module)
                if conv is not None:
                    y, x = ((k / 2 - p) for k, p in zip(conv.kernel_size, conv.padding, strict=True))  # type: ignore[operator]
                    rule = replace(rule, grid=_chain([conv]), first=(y, x))
                rules.append(rule)
    return rules


def _patch_stride(embeddings: nn.Module) -> Size | None:
    """The sides of the patches: the stride of a convolution that is its kernel, or what a linear layer of patches
    reads. None: these embeddings are of something else.
    """
    linear, patch = getattr(embeddings, "patch_embedding", None), getattr(embeddings, "patch_size", None)
    if isinstance(linear, nn.Linear) and isinstance(patch, int) and linear.in_features % patch**2 == 0:
        return patch, patch
    convs = [m for m in embeddings.modules() if isinstance(m, nn.Conv2d)]
    if len(convs) == 1 and convs[0].kernel_size == convs[0].stride:
        return int(convs[0].stride[0]), int(convs[0].stride[1])
    return None


def _padded_patches(embeddings: nn.Module) -> nn.Conv2d | None:
    """The convolution that cuts patches of an input with a margin, as ViTPose's does; None where there is no margin."""
    convs = [m for m in embeddings.modules() if isinstance(m, nn.Conv2d)]
    return convs[0] if len(convs) == 1 and convs[0].padding not in ((0, 0), "valid") else None


def _count(module: nn.Module, names: Sequence[str]) -> int:
    """Tokens that an embedding's own parameters add."""
    matches = [getattr(module, name, None) for name in names]
    return sum(int(t.shape[-2]) if t.ndim > 1 else 1 for t in matches if isinstance(t, Tensor))


def _floor(stride: Size) -> Callable[[Size], Size]:
    return lambda size: (size[0] // stride[0], size[1] // stride[1])


def _ceil(stride: Size) -> Callable[[Size], Size]:
    return lambda size: (-(-size[0] // stride[0]), -(-size[1] // stride[1]))


def _chain(convs: Iterable[nn.Conv2d]) -> Callable[[Size], Size]:
    convs = tuple(convs)

    def grid(size: Size) -> Size:
        h, w = size
        for conv in convs:
            padding = conv.padding if isinstance(conv.padding, tuple) else (0, 0)
            h, w = (
                (n + 2 * p - k) // s + 1
                for n, p, k, s in zip((h, w), padding, conv.kernel_size, conv.stride, strict=True)
            )
        return h, w

    return grid


def _merging(model: nn.Module, scope: str, patch: Size) -> list[TokenRule]:
    """One rule per stage; a stage's merged tokens are the grid of the next."""
    stages = len(model.get_submodule(f"{scope}encoder.layers"))  # type: ignore[arg-type]
    strides = [(patch[0] << i, patch[1] << i) for i in range(stages)]
    return [TokenRule(scope, _ceil(stride), stride=stride) for stride in strides]


def layer_layout(
    model: nn.Module, layer: str, output: Tensor, inputs: Inputs, rules: Sequence[TokenRule], *, four: str = "nchw"
) -> Layout:
    """How a layer's output lies over the input; refuses what it cannot place."""
    (ref,) = resolve(model, layer)
    size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
    mine = [rule for rule in rules if ref.name.startswith(rule.scope)]
    if output.ndim == 3 and output.shape[0] == len(inputs):
        return _of_tokens(ref.name, output, size, mine)
    first = mine[0] if mine else None
    tokens = None if first is None else Tokens(first.prefix + first.suffix, first.stride or (1, 1), first.grid(size))
    layout = layout_of(ref.name, ref.module, output, inputs, tokens=tokens, four=four)
    if first is not None and first.stride and layout.order == "nchw" and tuple(output.shape[2:]) == first.grid(size):
        return TokenLayout("nchw", stride=first.stride)  # the patch convolution drops a remainder, or pads
    return layout


def _of_tokens(name: str, output: Tensor, size: Size, rules: Sequence[TokenRule]) -> Layout:
    shape = tuple(output.shape)
    for rule in rules:
        grid = rule.grid(size)
        cells = grid[0] * grid[1]
        if shape[1] in (cells, cells + rule.prefix + rule.suffix):
            bare = shape[1] == cells
            return TokenLayout(
                "tokens", 0 if bare else rule.prefix, grid, rule.stride, rule.first, suffix=0 if bare else rule.suffix
            )
    if not rules:
        raise LayerError(
            f"layer {name} puts out {shape}: a sequence of tokens whose places in the picture nothing declares "
            "(text, queries, levels put together); choose a layer whose output has one cell per image region"
        )
    known = " or ".join(
        f"{rule.prefix} + {rule.grid(size)[0]} x {rule.grid(size)[1]}" + (f" + {rule.suffix}" if rule.suffix else "")
        for rule in rules
    )
    raise LayerError(
        f"layer {name} puts out {shape}: {shape[1]} tokens, but here they are {known}; choose a layer with all patches"
    )


def last_named(model: nn.Module, pattern: str) -> str | None:
    """The last module, in order of definition, whose whole name the pattern matches."""
    matches = [name for name, _ in model.named_modules() if re.fullmatch(pattern, name)]
    return matches[-1] if matches else None


def known_choice(model: nn.Module, rules: Sequence[TokenRule], model_type: str) -> LayerChoice | None:
    """The layer to explain in an encoder whose family is known; None: find it by running once."""
    if rules and any(rule.scope and model_type in MERGING for rule in rules):
        name = last_named(model, rf"{re.escape(rules[-1].scope)}layernorm")
        if name:
            return LayerChoice(
                (name,),
                "the last normalisation: its cells are averaged into what the classifier reads, each with its share",
            )
    if rules and rules[0].stride and model_type not in MERGING:
        name = last_named(model, rf"{re.escape(rules[0].scope)}.*\.({'|'.join(BEFORE_ATTENTION)})")
        if name:
            return LayerChoice(
                (name,),
                "the normalisation in front of the last attention: behind it a transformer reads a few tokens only, "
                "and the gradient of the patches would be exactly zero",
            )
    name = last_named(model, r"(.*\.)?(encoder|model)\.stages\.\d+")
    if name and not rules:
        return LayerChoice(
            (name,), "the last stage: the last layer with one cell per image region in front of the pooling"
        )
    return None


def detector_choice(model: nn.Module, rules: Sequence[TokenRule]) -> LayerChoice | None:
    """The layers to explain in a detector; None: find one by running once."""
    name = last_named(model, r"(.*\.)?model\.encoder\.layers\.\d+")
    # in front of a normalisation of the whole sum gradient x activation is zero in every cell, as its scale is lost
    name = last_named(model, r"(.*\.)?model\.encoder\.layernorm") or name
    if name and any(rule.scope and name.startswith(rule.scope) for rule in rules):
        return LayerChoice(
            (name,),
            "the encoder's output, as the grid that it was before it was flattened: every query's attention reads all of it",
        )
    for stem in ("model.encoder_input_proj", "model.input_proj_vision", "model.input_proj"):
        levels = [name for name, _ in model.named_modules() if re.fullmatch(rf"{re.escape(stem)}\.\d+", name)]
        if levels:
            return LayerChoice(
                tuple(levels),
                "all levels of the feature maps that enter the encoder: behind it deformable attention reads a few points per query, "
                "and a map of those would be specks",
            )
    return known_choice(model, rules, "")


def forward_options(model: Any, inputs: Inputs, trained: Size | None) -> dict[str, Any]:
    """Arguments that the input's size asks for: position embeddings are interpolated away from the trained size."""
    size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
    if trained is None or size == trained or not _interpolates(model):
        return {}
    return {"interpolate_pos_encoding": True}


def _interpolates(model: nn.Module) -> bool:
    top = inspect.signature(model.forward).parameters
    if "interpolate_pos_encoding" in top:
        return True
    if not any(p.kind is p.VAR_KEYWORD for p in top.values()):
        return False
    return any(
        "interpolate_pos_encoding" in inspect.signature(m.forward).parameters for m in model.modules() if m is not model
    )


def trained_size(config: Any) -> Size | None:
    """(h, w) that the position embeddings were made for, where the configuration has one."""
    side = getattr(getattr(config, "vision_config", config), "image_size", None)
    if side is None:
        return None
    return (int(side), int(side)) if isinstance(side, int) else (int(side[0]), int(side[1]))
