"""What every head is: a module from a grid of features to maps, a whole number of times as fine."""

# annotations are no text here: TorchScript reads those of a class as they are
from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.ops.tensors import check_tensors


class Head(nn.Module, ABC):
    """Abstract: features (b, in_dim, h, w) -> maps (b, out_dim, h ratio, w ratio).

    Cell (i, j) of the grid and the ratio x ratio block of map cells that starts at (i ratio, j ratio) are the same
    place. What the numbers mean (logits, peaks) is decided by the loss that the head is trained with.

    A head's forward says its shapes in words alone, because TorchScript reads no other annotations than ``Tensor``:
    ``torch.jit.script(head)``, ``torch.compile(head)`` and an export give the numbers of the head.
    """

    ratio: int
    """Map cells per grid cell and axis."""

    def __call__(self, features: Tensor) -> Tensor:
        """The maps of these features; where they do not fit the head, an error in words.

        This stands here and not in the forward, which TorchScript reads.

        Raises:
            ShapeError: no tensor, not (b, c, h, w), or of other channels than the head was made for.
        """
        check_tensors(features=features)
        in_dim = getattr(getattr(self, "config", None), "in_dim", None)
        if features.ndim != 4 or in_dim not in (None, features.shape[1]):
            channels = "c" if in_dim is None else in_dim
            raise ShapeError(
                f"features have shape {tuple(features.shape)}; this {type(self).__name__} reads (b, {channels}, h, w), as its in_dim says"
            )
        maps: Tensor = super().__call__(features)
        return maps

    @abstractmethod
    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n H W"]:
        """The maps of these features."""

    def output_frame(self, grid: Frame) -> Frame:
        """The frame of the maps, given that of the grid of features.

        Example:
            >>> from isotherm.heads import ConvexUpsample
            >>> grid = Frame.identity((224, 224)).to_grid(stride=14)
            >>> ConvexUpsample(8, 1, ratio=7).output_frame(grid).cell_size.tolist()
            [2.0, 2.0]
        """
        return grid.to_grid(size=(grid.size[0] * self.ratio, grid.size[1] * self.ratio))


def check_at_least_one(**values: int) -> None:
    """Raise OptionError unless all these options of a head are whole numbers of at least 1."""
    for name, value in values.items():
        if value < 1:
            raise OptionError(f"{name} is {value}; expected a whole number of at least 1")
