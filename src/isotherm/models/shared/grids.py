"""How a layer's output lies over the input: from what the modules declare, from exact arithmetic, and from cells that
were followed from the input, never from a square root of a token count.

A wrong answer here would draw a plausible map in the wrong place, so whatever is not certain is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from isotherm.cam.receptive import Follower
from isotherm.cam.view import Inputs, Layout
from isotherm.errors import LayerError
from isotherm.frame import Size

CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.GroupNorm,
    nn.Upsample,
)
"""Modules that act on dimension 1 by definition."""


@dataclass(frozen=True)
class Tokens:
    """What a transformer declares about its tokens.

    Args:
        prefix: tokens in front that are no cells.
        patch: (h, w) of a patch in input pixels, where patches are cut from the picture itself; None where convolutions
            come before, so that a cell lies at the centre of its receptive field.
        grid: (h, w) of the patches for the input at hand.
    """

    prefix: int
    patch: Size | None
    grid: Size


def fits(grid: Size, size: Size) -> bool:
    """True where one whole stride (or one whole enlargement) explains a grid of this size over an input of that size.

    Padded strided layers leave floor(N / s) to ceil(N / s) cells of N pixels; unpadded stems (AlexNet, Inception)
    up to three fewer, even kernels with full padding one more.
    """
    for s in range(1, max(size) + 1):
        if all(max(1, size[i] // s - 3) <= grid[i] <= math.ceil(size[i] / s) + 1 for i in range(2)):
            return True
    return all(g % s == 0 for g, s in zip(grid, size, strict=True)) and grid[0] // size[0] == grid[1] // size[1]


class NotDeclaredError(LayerError):
    """A sequence of tokens that the model's own numbers do not describe: another way may find out what grid it is."""


def layout_of(
    name: str, module: nn.Module, output: Tensor, inputs: Inputs, *, tokens: Tokens | None = None, four: str = "nchw"
) -> Layout:
    """The layout of one layer's output.

    Args:
        name: the layer, for messages.
        module: the layer.
        output: its raw output.
        inputs: what the model was fed.
        tokens: what the model declares about its tokens, if it is a transformer.
        four: order of this family's 4-dimensional outputs, where neither module nor arithmetic says it.

    Raises:
        LayerError: the output is no grid over the input, or which it is cannot be told.
    """
    shape, size = tuple(output.shape), (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
    if output.ndim in (3, 4) and shape[0] != len(inputs):
        raise LayerError(
            f"layer {name} puts out {shape}: its first dimension is not the batch of {len(inputs)} "
            "(windows, regions or heads are stacked there), so its cells cannot be placed; choose a layer outside of them, "
            "or leave the choice to layers='auto'"
        )
    if output.ndim == 3:
        return _of_tokens(name, shape, size, tokens)
    if output.ndim != 4:
        raise LayerError(
            f"layer {name} puts out {shape}, which is no grid over the picture; choose a layer with 3 (tokens) or 4 dimensions"
        )
    if tokens is not None and shape[2] == shape[3] and shape[2] - tokens.grid[0] * tokens.grid[1] in (0, tokens.prefix):
        raise LayerError(
            f"layer {name} puts out {shape}: attention of every token to every token, not a grid; choose the block around it"
        )
    if tokens is not None and shape[2] - tokens.grid[0] * tokens.grid[1] in (0, tokens.prefix):
        raise LayerError(
            f"layer {name} puts out {shape}: the {shape[2]} tokens of each of {shape[1]} heads, not a grid of {shape[1]} x {shape[2]} cells; "
            f"choose the block around it, such as {name.rpartition('.')[0]}"
        )
    order = "nchw" if isinstance(module, CHANNELS_FIRST) else None
    if order is None:
        first, last = fits((shape[2], shape[3]), size), fits((shape[1], shape[2]), size)
        declared = _declared(module, shape)
        first, last = first and declared != "nhwc", last and declared != "nchw"
        if not first and not last:
            raise LayerError(
                f"layer {name} puts out {shape}, and neither its last nor its middle two dimensions are a grid over the "
                f"{size[0]} x {size[1]} input (attention weights, heads x tokens?); choose the block around it, whose output has one cell per image region"
            )
        order = four if first and last else "nchw" if first else "nhwc"
    return Layout("nhwc") if order == "nhwc" else Layout("nchw")


def _declared(module: nn.Module, shape: tuple[int, ...]) -> str | None:
    """Where the channels are, as the module's type says; the two dimensions that are left may be cells, or heads and
    tokens.
    """
    if isinstance(module, nn.Linear):
        return "nhwc"
    if isinstance(module, nn.LayerNorm):
        # families derive channel-first norms from LayerNorm; where the channels are tells which one this is
        channels = module.normalized_shape[-1]
        if (shape[-1] == channels) != (shape[1] == channels):
            return "nhwc" if shape[-1] == channels else "nchw"
    return None


def _of_tokens(name: str, shape: tuple[int, ...], size: Size, tokens: Tokens | None) -> Layout:
    if tokens is None:
        raise NotDeclaredError(
            f"layer {name} puts out {shape}: a sequence of tokens, but this model does not declare the grid that they "
            "come from; choose a layer with 4 dimensions, or say it of a module of your own with grid= and prefix="
        )
    cells = tokens.grid[0] * tokens.grid[1]
    if shape[1] not in (cells, cells + tokens.prefix):
        raise NotDeclaredError(
            f"layer {name} puts out {shape}: {shape[1]} tokens, but this model declares a grid of {tokens.grid[0]} x "
            f"{tokens.grid[1]} and {tokens.prefix} tokens in front of it; choose a layer with all patches"
        )
    prefix = shape[1] - cells
    if tokens.patch is not None and any(g * p > s for g, p, s in zip(tokens.grid, tokens.patch, size, strict=True)):
        raise LayerError(
            f"this model pads its {size[0]} x {size[1]} input to whole patches of {tokens.patch}, which shifts the cells; "
            "give a size= that is a multiple of the patch"
        )
    return Layout("tokens", prefix, tokens.grid, tokens.patch)


def followed_layout(module: nn.Module, output: Tensor, follower: Follower) -> Layout | None:
    """The layout of a map whose cells need no proof: followed from the input, or made by convolutions on a grid that
    was.

    A network that regroups its cells for a while and then goes on with convolutions may have mixed them so much that no
    square is seen any more; rows and columns they still are.
    """
    field = follower.of(output)
    if field is None or field.dims not in ((1, 2), (2, 3)):
        return None
    if field.followed or (field.dims == (2, 3) and any(isinstance(m, CHANNELS_FIRST) for m in module.modules())):
        return Layout("nchw" if field.dims == (2, 3) else "nhwc")
    return None
