"""How a layer's output lies over a clip: maps by what was followed or by the module's type, tokens by what the model
declares.

What is not certain is refused, as for pictures (:mod:`isotherm.models.shared.grids`).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from isotherm.cam.clips import ClipLayout
from isotherm.cam.receptive import followed_dims
from isotherm.cam.view import Inputs
from isotherm.errors import LayerError
from isotherm.frame import Size
from isotherm.models.shared.grids import CHANNELS_FIRST


@dataclass(frozen=True)
class ClipTokens:
    """What a transformer declares about its tokens of a clip.

    Args:
        prefix: tokens in front that are no cells.
        tubelet: frames per moment.
        patch: (h, w) of a patch in input pixels.
        time_last: the tokens of one place follow each other through time.
    """

    prefix: int
    tubelet: int
    patch: Size
    time_last: bool = False

    def layout(self, inputs: Inputs) -> ClipLayout:
        """The layout of a sequence of all tokens of these inputs."""
        frames, h, w = (int(inputs.tensor.shape[d]) for d in (1, 3, 4))
        grid = (h // self.patch[0], w // self.patch[1])
        return ClipLayout(
            "tokens",
            self.prefix,
            grid,
            self.patch,
            moments=max(1, frames // self.tubelet),
            time_last=self.time_last,
            tubelet=self.tubelet,
        )


def module_width(module: nn.LayerNorm | nn.Linear) -> int:
    """How many channels a module puts out in its last dimension."""
    return int(module.normalized_shape[-1] if isinstance(module, nn.LayerNorm) else module.out_features)


def clip_layout_of(
    model: nn.Module, name: str, output: Tensor, inputs: Inputs, *, tokens: ClipTokens | None = None
) -> ClipLayout:
    """The layout of one layer's output.

    Args:
        model: whose layer it is.
        name: of the layer.
        output: its raw output.
        inputs: what the model was fed.
        tokens: what the model declares about its tokens, if it is a transformer.

    Raises:
        LayerError: the output is no grid over the clip, or which it is cannot be told.
    """
    shape = tuple(output.shape)
    around = "choose the block around it, whose output has one cell per image region and moment"
    if shape[0] != len(inputs):
        raise LayerError(
            f"layer {name} puts out {shape}: its first dimension is not the batch of {len(inputs)} clips (frames, windows or heads "
            f"are stacked there), so its cells cannot be placed; {around}"
        )
    if output.ndim == 5:
        size = tuple(int(inputs.tensor.shape[d]) for d in (1, 3, 4))
        dims = followed_dims(model, name, size)
        if dims in ((2, 3, 4), (1, 2, 3)):
            return ClipLayout("nchw" if dims == (2, 3, 4) else "nhwc")
        module = model.get_submodule(name)
        if isinstance(module, CHANNELS_FIRST):
            return ClipLayout("nchw")
        if isinstance(module, nn.LayerNorm | nn.Linear) and module_width(module) == shape[-1] != shape[1]:
            return ClipLayout("nhwc")
        raise LayerError(
            f"layer {name} puts out {shape}, and which of its dimensions are moments, rows and columns could not be followed through "
            f"the network's operations; choose a convolution, or {around}"
        )
    if output.ndim == 3 and tokens is not None:
        layout = tokens.layout(inputs)
        count = layout.moments * layout.grid[0] * layout.grid[1] if layout.grid else 0
        if shape[1] == layout.prefix + count:
            return layout
        raise LayerError(
            f"layer {name} puts out {shape}: {shape[1]} tokens, but this model declares {layout.moments} moments of "
            f"{layout.grid} cells and {layout.prefix} tokens in front of them; choose a layer with all of them"
        )
    raise LayerError(
        f"layer {name} puts out {shape}, which is no grid over a clip; choose a layer with 5 dimensions (channels, moments, rows, columns)"
        + (" or all tokens" if tokens is not None else "")
    )
