"""A user's own way from a picture to a model's input: any callable, whose geometry is measured and not believed.

torchvision's transforms (v1 and v2) and timm's take a PIL picture, albumentations' take ``image=`` an array, image
processors of transformers take ``images=``, and functions of one's own take what they take: they are tried with a PIL
picture, an array (H, W, 3) and a tensor (3, H, W) of bytes, in this order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from isotherm.cam.view import Inputs, Picture
from isotherm.errors import InputError, IsothermError, OptionError
from isotherm.frame import Frame, Size
from isotherm.models.shared.as_it_is import AsItIs
from isotherm.models.shared.fringes import Measured, measure
from isotherm.models.shared.preprocess import Pictures, Preprocess, check_picture, numbers

CHANNELS = (1, 3, 4)
"""By which an array (H, W, c) is told from (c, H, W)."""
SAMPLE: Size = (240, 320)
"""Of the picture by which the input's size is found before there is any other."""
REMEMBERED = 64
"""Sizes of pictures whose frames are remembered."""


class OwnTransform:
    """From a decoded picture to a model input by a callable of the user's; stands where a
    :class:`isotherm.models.shared.preprocess.Preprocess` stands.

    Args:
        transform: gives a float tensor (c, h, w) or (1, c, h, w), or such an array, or (h, w, c).

    Attributes:
        size: (h, w) of the input, of a picture of 240 x 320 pixels where it depends on the picture's.
        sample: (h, w) of a picture to try a model with.
        mean, std: of each channel of pixels in [0, 1], as the values of a dark and a light picture have it; 0 and
            infinite where each picture is normalised by its own values.

    Raises:
        OptionError: it is not callable.
        InputError: from :meth:`one`, :meth:`batch` and the attributes: it is random, bends pictures, gives several
            inputs, whole numbers or no tensor, or fails.
    """

    sample = SAMPLE

    def __init__(self, transform: Any) -> None:
        if not callable(transform):
            raise OptionError(
                f"preprocess is {transform!r}; expected a callable from a picture to what the model is fed, such as torchvision's transforms"
            )
        self.transform = transform
        self._way: str | None = None
        self._measured: dict[Size, Measured] = {}

    @cached_property
    def size(self) -> Size:
        """(h, w) of the input."""
        return self.measured(SAMPLE).frame.size

    @property
    def _normalises(self) -> bool:
        """Whether each picture is normalised by its own values, so that no colour has a value."""
        return self.measured(SAMPLE).normalises

    @cached_property
    def _levels(self) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
        if self._normalises:
            nothing = np.zeros(len(self.measured(SAMPLE).sign))
            return nothing, nothing
        dark, light = (self.values(np.full((*SAMPLE, 3), level, np.uint8)) for level in (51, 204))
        ends = [np.median(v.reshape(len(v), -1), axis=1).astype(np.float64) for v in (dark, light)]
        return ends[0], ends[1]

    @cached_property
    def std(self) -> tuple[float, ...]:
        """Per channel; infinite where it does not depend on brightness."""
        dark, light = self._levels
        with np.errstate(divide="ignore"):
            return tuple(round(float(s), 3) for s in (204 - 51) / 255 / (light - dark))

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """Per channel."""
        dark, _ = self._levels
        return tuple(
            round(51 / 255 - d * s, 3) + 0.0 if np.isfinite(s) else 0.0 for d, s in zip(dark, self.std, strict=True)
        )

    @property
    def words(self) -> str:
        """In a line: what is called how, and what was measured."""
        h, w = self.size
        kind = type(self.transform).__name__
        name = getattr(self.transform, "__name__", kind) if kind == "function" else kind
        colours = (
            "each picture normalised by its own values (its colours depend on the picture)"
            if self._normalises
            else f"mean {numbers(self.mean)}, std {numbers(self.std)}"
        )
        return f"what {name} makes of {self._way}: {h} x {w} pixels, {colours} as measured"

    def one(self, picture: Picture) -> tuple[Float[Tensor, "c h w"], Frame]:
        """One picture (H, W, 3) uint8 RGB -> (its input (c, h, w), the frame of it)."""
        check_picture(picture)
        values = self.values(picture)
        frame = self.measured((int(picture.shape[0]), int(picture.shape[1]))).frame
        if frame.size != values.shape[1:]:
            raise InputError(
                f"{self._name} made {values.shape[1]} x {values.shape[2]} pixels of this picture and {frame.size[0]} x {frame.size[1]} of a test "
                "picture of its size; give a transform that depends on the size alone"
            )
        return torch.from_numpy(values), frame

    def batch(
        self, pictures: Pictures, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> Inputs:
        """Pictures -> one batch on ``device`` in ``dtype``."""
        if not len(pictures):
            raise InputError("there are no pictures to prepare: the list is empty")
        prepared = [self.one(p) for p in pictures]
        sizes = {tuple(t.shape) for t, _ in prepared}
        if len(sizes) > 1:
            raise InputError(
                f"{self._name} makes inputs of {len(sizes)} sizes of these pictures ({', '.join(map(str, sorted(sizes)))}); "
                "explain them one at a time (batch=1), or let it end with one size"
            )
        blank = torch.tensor([0.0 if min(ends) <= 0 <= max(ends) else sum(ends) / 2 for ends in self._range])
        return Inputs(
            torch.stack([t for t, _ in prepared]).to(device=device, dtype=dtype),
            Frame.stack([f for _, f in prepared]),
            blank=blank.to(device=device, dtype=dtype),
        )

    @cached_property
    def _range(self) -> list[tuple[float, float]]:
        """What black and white become, by channel, in a picture that has both; 0 between them is the mean colour of a
        normalised input."""
        if self._normalises:
            both = self.values(np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (*SAMPLE, 1)).repeat(3, 2))
            return [(float(one.min()), float(one.max())) for one in both]
        return [
            (-m / s, (1 - m) / s) if np.isfinite(s) and s else (0.0, 0.0)
            for m, s in zip(self.mean, self.std, strict=True)
        ]

    def measured(self, source: Size) -> Measured:
        """Where the pixels of the input come from, for pictures of a size; measured once.

        Args:
            source: (h, w).
        """
        if source not in self._measured:
            self._expect_steady(source)
            while len(self._measured) >= REMEMBERED:
                del self._measured[next(iter(self._measured))]
            self._measured[source] = measure(self.values, source)
        return self._measured[source]

    def _expect_steady(self, source: Size) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (*source, 3), np.uint8)
        before = _random_states()
        first, *others = (self.values(picture) for _ in range(3))
        same = all(v.shape == first.shape and np.array_equal(v, first, equal_nan=True) for v in others)
        if not same or _random_states() != before:
            raise InputError(
                f"{self._name} is random: it draws numbers, so that one picture becomes several inputs and no map has a place; "
                "give the transform that the model is evaluated with"
            )

    @property
    def _name(self) -> str:
        return f"preprocess ({type(self.transform).__name__})"

    def values(self, picture: Picture) -> Float[np.ndarray, "c h w"]:
        """What the transform makes of a picture, as an array.

        Args:
            picture: (H, W, 3) of bytes.
        """
        if self._way is None:
            self._way = self._find_way(picture)
        try:
            made = WAYS[self._way](self.transform, picture)
        except IsothermError:
            raise
        except Exception as error:  # a transform of one's own raises anything at all
            raise InputError(
                f"{self._name} fails for a picture of {picture.shape[1]} x {picture.shape[0]} pixels ({_first_line(error)})"
            ) from error
        return _array(made, self._name)

    def _find_way(self, picture: Picture) -> str:
        package = {base.__module__.partition(".")[0] for base in type(self.transform).__mro__}
        if "albumentations" in package:
            return "image= an array"
        if "transformers" in package:
            return "images= a PIL picture"
        troubles = []
        for way in ("a PIL picture", "an array (H, W, 3)", "a tensor (3, H, W)"):
            try:
                _array(WAYS[way](self.transform, picture), self._name)
            except Exception as error:  # the next way may be the right one
                troubles.append(f"with {way}: {_first_line(error)}")
            else:
                return way
        raise InputError(
            f"{self._name} gives no input for a model; tried {'; '.join(troubles)}. Expected a callable from a picture to a float tensor (c, h, w)"
        )


Preparation = Preprocess | OwnTransform | AsItIs
"""From pictures to a model's input."""


def _by_keyword(transform: Callable[..., Any], picture: Picture) -> Any:
    return transform(image=picture)["image"]


def _by_processor(transform: Any, picture: Picture) -> Any:
    processor = getattr(transform, "image_processor", transform)
    return processor(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"]


WAYS: Mapping[str, Callable[[Any, UInt8[np.ndarray, "h w 3"]], Any]] = {
    "image= an array": _by_keyword,
    "images= a PIL picture": _by_processor,
    "a PIL picture": lambda transform, picture: transform(Image.fromarray(picture)),
    "an array (H, W, 3)": lambda transform, picture: transform(picture),
    "a tensor (3, H, W)": lambda transform, picture: transform(torch.from_numpy(picture).permute(2, 0, 1)),
}
"""How transforms are called, by what they are given."""


def _array(made: Any, name: str) -> Float[np.ndarray, "c h w"]:
    if isinstance(made, Tensor):
        made = made.detach().cpu().numpy()
    if not isinstance(made, np.ndarray):
        raise InputError(
            f"{name} gives a {type(made).__name__}; expected a float tensor (c, h, w): let it end with ToTensor or ToDtype(float32, scale=True)"
        )
    if made.ndim == 4:
        if len(made) != 1:
            raise InputError(f"{name} gives {len(made)} inputs for a picture; expected one")
        made = made[0]
    if made.ndim != 3 or 0 in made.shape:
        raise InputError(f"{name} gives an array of shape {made.shape}; expected (c, h, w)")
    if made.dtype.kind != "f":
        raise InputError(f"{name} gives {made.dtype}; expected floats: let it end with ToDtype(float32, scale=True)")
    if made.shape[0] not in CHANNELS and made.shape[2] in CHANNELS:
        made = made.transpose(2, 0, 1)
    return np.ascontiguousarray(made, dtype=np.float32)


def _random_states() -> tuple[Any, ...]:
    # transforms of the old kind draw from NumPy's global state, which is why it is looked at
    numpy_state: Any = np.random.get_state(legacy=True)  # noqa: NPY002
    keys = numpy_state[1].tobytes()
    return random.getstate(), keys, numpy_state[2:], torch.get_rng_state().numpy().tobytes()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
