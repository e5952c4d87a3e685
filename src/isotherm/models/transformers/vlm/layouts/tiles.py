"""Vision tokens of models that cut a picture into square tiles and add the whole one last: Idefics 3 and SmolVLM,
InternVL.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from isotherm.frame import Frame, Size
from isotherm.models.transformers.vlm.layouts.squares import SquareLayout


class TiledLayout(SquareLayout):
    """Abstract: the picture, stretched to rows x columns of squares, tile by tile in reading order, and then the whole
    one in a square.

    However often a processor resizes on the way, each step is of the whole picture, so only the last size counts.
    """

    @abstractmethod
    def tiling(self, size: Size) -> tuple[int, int]:
        """(rows, columns) of tiles of a picture; (0, 0) or (1, 1): only the whole one."""

    def squares(self, size: Size) -> list[Frame]:
        rows, columns = self.tiling(size)
        whole = Frame.resize(size, (self.side, self.side))
        if rows * columns <= 1:
            return [whole]
        canvas = Frame.resize(size, (rows * self.side, columns * self.side))
        return [*canvas.tiles((self.side, self.side)), whole]


class IdeficsLayout(TiledLayout):
    """Idefics 3 and SmolVLM: a token is ``shuffle`` x ``shuffle`` patches put behind each other (pixel shuffle).

    Args:
        processor: an image processor of transformers, which is asked how it cuts.
        stride: pixels of a token, the patch times the shuffle.

    Source: Laurençon et al., "Building and better understanding vision-language models" (2024), section 4;
        ``Idefics3ImageProcessor``.
    """

    def __init__(self, processor: Any, *, stride: int) -> None:
        super().__init__(side=int(processor.max_image_size["longest_edge"]), stride=stride)
        self.processor = processor

    def tiling(self, size: Size) -> tuple[int, int]:
        _, rows, columns = self.processor.get_number_of_image_patches(*size, {})
        return int(rows), int(columns)


class InternLayout(TiledLayout):
    """InternVL: the tiling whose shape is nearest to the picture's, among those of at most so many tiles.

    Args:
        processor: an image processor of transformers (``GotOcr2ImageProcessor``).
        stride: pixels of a token, the patch over the downsampling.

    Source: Chen et al., "How far are we to GPT-4V?" (2024), section 3.3.
    """

    def __init__(self, processor: Any, *, stride: int) -> None:
        super().__init__(side=int(processor.size["height"]), stride=stride)
        self.processor = processor

    def tiling(self, size: Size) -> tuple[int, int]:
        if not self.processor.crop_to_patches:
            return 1, 1
        from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

        columns, rows = get_optimal_tiled_canvas(
            size, (self.side, self.side), self.processor.min_patches, self.processor.max_patches
        )
        return int(rows), int(columns)
