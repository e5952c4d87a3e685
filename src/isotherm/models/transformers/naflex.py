"""Pictures of any aspect ratio as patches, as SigLIP 2 takes them: prepared as pixels, cut up when the model is called.

Its processor hands over rows of flattened patches, in which no pixel has a place. Here they are put together again, so
that the input is a picture like any other's, and cut up again in the forward pass, without the empty rows that only
fill a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.premises import Premise
from isotherm.errors import InputError, OptionError
from isotherm.frame import Frame, Size
from isotherm.models.shared.preprocess import numbers
from isotherm.models.transformers.prepare import Preparer


class PatchPreparer(Preparer):
    """From decoded pictures to pixels, for a processor that cuts patches.

    Args:
        processor: has ``patch_size`` and ``max_num_patches``.
        options: as :class:`isotherm.models.transformers.prepare.Preparer` has them; size is refused.
    """

    def __init__(self, processor: Any, *, size: int | Sequence[int] | None = None, **options: Any) -> None:
        if size is not None:
            raise OptionError(
                f"{type(processor).__name__} chooses the size of its input by a picture's sides and a number of patches, and takes no size; "
                "give a processor with another max_num_patches"
            )
        super().__init__(processor, **options)
        self.patch = int(processor.patch_size)

    @property
    def premises(self) -> tuple[Premise, ...]:
        """What the processor feeds the model, and whether the model declares that."""
        mean, std = (numbers(list(getattr(self.processor, f"image_{name}"))) for name in ("mean", "std"))
        words = f"at most {self.processor.max_num_patches} patches of {self.patch} x {self.patch} pixels, mean {mean}, std {std}"
        return (Premise(about="input", value=words, source=self._sources[1], why=self._why),)

    def feed(self, tensor: Float[Tensor, "b c h w"]) -> dict[str, Tensor]:
        """Patches (b, n, p * p * c) row by row, which of them are any (all), and how many rows and columns they are."""
        b, c, h, w = tensor.shape
        rows, columns = h // self.patch, w // self.patch
        cut = tensor.reshape(b, c, rows, self.patch, columns, self.patch).permute(0, 2, 4, 3, 5, 1)
        return {
            "pixel_values": cut.reshape(b, rows * columns, -1),
            "pixel_attention_mask": torch.ones(b, rows * columns, dtype=torch.int32, device=tensor.device),
            "spatial_shapes": torch.tensor([[rows, columns]] * b, device=tensor.device),
        }

    def _process(self, pictures: Sequence[np.ndarray]) -> dict[str, Tensor]:
        made = self.processor(
            images=[np.array(p) for p in pictures], return_tensors="pt", input_data_format="channels_last"
        )
        shapes = [(int(h), int(w)) for h, w in made["spatial_shapes"]]
        if len(set(shapes)) > 1:
            raise InputError(
                f"{self.name} makes inputs of different numbers of patches {sorted(set(shapes))} of these pictures, so they are no batch; "
                "give them one at a time"
            )
        h, w = shapes[0]
        patches = made["pixel_values"][:, : h * w].unflatten(1, (h, w)).unflatten(-1, (self.patch, self.patch, -1))
        return {"pixel_values": patches.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)}

    def _place(self, pictures: Sequence[np.ndarray]) -> tuple[list[Frame], list[Size]]:
        made = self.processor(
            images=[np.array(p) for p in pictures], return_tensors="pt", input_data_format="channels_last"
        )
        sizes = [(int(h) * self.patch, int(w) * self.patch) for h, w in made["spatial_shapes"]]
        frames = [
            Frame.identity((int(p.shape[0]), int(p.shape[1]))).resized(size)
            for p, size in zip(pictures, sizes, strict=True)
        ]
        return frames, sizes


def cuts_patches(processor: Any) -> bool:
    """Whether an image processor hands over patches with their numbers of rows and columns, in place of pixels."""
    return "spatial_shapes" in getattr(processor, "model_input_names", ())
