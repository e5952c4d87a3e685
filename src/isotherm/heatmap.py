"""Heatmap: values + frame + kind, the one type that every part of isotherm hands to the next.

Validation and storage only. Algorithms take tensors and a Frame; drawing lives in :mod:`isotherm.draw`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import DTypeLike
from torch import Tensor

from isotherm import limits
from isotherm.atomic import atomic_write
from isotherm.errors import InputError, KindError, ShapeError
from isotherm.frame import NO_MARGIN, Frame, Size
from isotherm.headed import Headed, HeadedFile, header_text
from isotherm.moments import Moments
from isotherm.untrusted.arrays import read_npz
from isotherm.untrusted.plain import json_of

Kind = Literal["logits", "probability", "peak", "relevance"]
"""What the numbers are: unnormalised log-probabilities, a distribution or per-cell probability,
a map whose peak is 1 (trained by regression), or how much each cell speaks for a score."""

MAX_VALUES = limits.MAP_VALUES
"""Largest map that is read from a file, in values: a header of a terabyte must not allocate one."""
FILE = HeadedFile(format="isotherm.heatmap/1", noun="a heatmap of isotherm", error=InputError, most=MAX_VALUES)
"""The .safetensors form; the .npz one has the same header and arrays."""


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A 2-D field over a picture.

    Args:
        values: (*batch, h, w) floating point, as computed: never normalised for display.
        frame: whose cells the values are; ``frame.size == (h, w)``. Its batch shape is that of the values, or the
            first of their dimensions (b pictures with n maps each), or empty when all maps lie over one picture in
            the same way.
        kind: what the numbers mean.
        signed: True where negative values mean something (evidence against), so that drawing uses a
            diverging colour map around 0.
        label: what this map is of, one line for a person.
        meta: anything JSON can hold about how it was made: method, layer, score, versions.
        picture: (H, W, 3) uint8 source picture, so that a single map can show itself; of a clip (m, H, W, 3), one per
            moment. Not saved.
        moments: of a clip: when each map is, along the last dimension in front of (h, w), or when a single map is; None
            of a picture.

    Raises:
        ShapeError: values are not floating point, their size is not the frame's, or there is not one map per moment.
        KindError: the kind is not one of the four, or the values contradict it.
    """

    values: Float[Tensor, "*b h w"]
    frame: Frame
    kind: Kind
    signed: bool = False
    label: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    picture: UInt8[np.ndarray, "*m H W 3"] | None = field(default=None, repr=False)
    moments: Moments | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise KindError(f"kind is {self.kind!r}; expected one of {', '.join(get_args(Kind))}")
        if not self.values.is_floating_point():
            raise ShapeError(f"values have dtype {self.values.dtype}; expected floating point")
        if self.values.ndim < 2 or tuple(self.values.shape[-2:]) != self.frame.size:
            raise ShapeError(
                f"values have shape {tuple(self.values.shape)} but the frame has {self.frame.size} cells; "
                "the last two dimensions must be the frame's size"
            )
        batch = tuple(self.values.shape[:-2])
        if tuple(self.frame.batch_shape) != batch[: len(self.frame.batch_shape)]:
            raise ShapeError(f"values have batch {batch} but the frame has batch {tuple(self.frame.batch_shape)}")
        maps = batch[-1] if batch else 1
        if self.moments is not None and len(self.moments) != maps:
            raise ShapeError(
                f"values have shape {tuple(self.values.shape)}, {maps} map(s) one after the other, but there are "
                f"{len(self.moments)} moments; expected one per map, along the last dimension in front of (h, w)"
            )
        if self.signed and self.kind != "relevance":
            raise KindError(f"a {self.kind} map is not signed; only relevance can be")
        object.__setattr__(self, "meta", MappingProxyType(dict(self.meta)))

    def expect(self, *kinds: Kind) -> Heatmap:
        """This map if it is of one of ``kinds``; otherwise KindError, because mixing kinds gives wrong answers
        silently.
        """
        if self.kind not in kinds:
            raise KindError(
                f"this heatmap is of kind {self.kind!r}; this operation needs {' or '.join(map(repr, kinds))}"
            )
        return self

    @property
    def has_evidence(self) -> bool:
        """False where no cell is positive: then there is nothing to show, and stretching it would draw noise."""
        return bool((self.values > 0).any())

    def with_(self, **changes: Any) -> Heatmap:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def __bool__(self) -> bool:
        return True  # a map is something whatever its length, and a single map has none

    def __len__(self) -> int:
        if self.values.ndim < 3:
            raise ShapeError("this heatmap is a single map, so it has no length")
        return self.values.shape[0]

    def __getitem__(self, index: int | slice) -> Heatmap:
        if self.values.ndim < 3:
            raise ShapeError("this heatmap is a single map, so it cannot be indexed")
        frame = self.frame[index] if self.frame.batch_shape else self.frame
        along_time = self.moments is not None and self.values.ndim == 3
        return replace(
            self,
            values=self.values[index],
            frame=frame,
            moments=self.moments.take(index) if self.moments is not None and along_time else self.moments,
            picture=self.picture[index]
            if self.picture is not None and self.picture.ndim == 4 and along_time
            else self.picture,
        )

    def __iter__(self) -> Iterator[Heatmap]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        finite = self.values[torch.isfinite(self.values)]
        extent = f"{finite.min():.4g} to {finite.max():.4g}" if finite.numel() else "no finite value"
        label = f"{self.label!r}, " if self.label else ""
        when = "" if self.moments is None else f", {len(self.moments)} moment(s) from {self.moments.names[0]}"
        return f"Heatmap({label}{self.kind}{', signed' if self.signed else ''}, {tuple(self.values.shape)}, {extent}, {self.frame!r}{when})"

    # --- files -----------------------------------------------------------------------------------------

    def save(self, fpath: str | os.PathLike[str]) -> Path:
        """Write values, frame and metadata to ``.npz`` or ``.safetensors``, whole or not at all.

        Values keep their dtype in safetensors; npz has no bfloat16, which is widened to float32.
        """
        fpath = Path(fpath)
        header = {
            "kind": self.kind,
            "signed": self.signed,
            "label": self.label,
            "size": self.frame.size,
            "margin": self.frame.margin,
            "meta": dict(self.meta),
            **({} if self.moments is None else {"moments": asdict(self.moments)}),
        }
        tensors = {
            "values": self.values.detach().cpu().contiguous(),
            "to_source": self.frame.to_source.detach().cpu().contiguous(),
            "source_size": self.frame.source_size.cpu().contiguous(),
        }
        if fpath.suffix == ".npz":
            tensors["values"] = (
                tensors["values"].float() if tensors["values"].dtype == torch.bfloat16 else tensors["values"]
            )
            arrays = {name: t.numpy() for name, t in tensors.items()}
            text = header_text({"format": FILE.format, **header})
            with atomic_write(fpath) as file:
                np.savez(file, header=np.frombuffer(text.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        elif fpath.suffix == ".safetensors":
            FILE.write(fpath, tensors, header)
        else:
            raise InputError(f"cannot save a heatmap as {fpath.name!r}; the name must end in .npz or .safetensors")
        return fpath

    @classmethod
    def load(cls, fpath: str | os.PathLike[str]) -> Heatmap:
        """Read what :meth:`save` wrote. Never unpickles; the shape is checked before anything is allocated."""
        fpath = Path(fpath)
        if not fpath.is_file():
            raise InputError(f"there is no heatmap file {fpath}; check the path")
        if fpath.suffix not in (".npz", ".safetensors"):
            raise InputError(f"cannot read {fpath.name!r} as a heatmap; expected .npz or .safetensors")
        with FILE.reading(fpath):
            content = _read_npz(fpath) if fpath.suffix == ".npz" else FILE.read(fpath)
            header, tensors = content.header, content.tensors
            frame = Frame(
                tensors["to_source"],
                tuple(header["size"]),
                tensors["source_size"],
                tuple(header.get("margin", NO_MARGIN)),
            )
            return cls(
                tensors["values"],
                frame,
                header["kind"],
                signed=bool(header["signed"]),
                label=str(header["label"]),
                meta=header["meta"],
                moments=_moments(header.get("moments")),
            )

    # --- for others: as an array, on the picture's pixels, in notebooks; the one place that reaches upwards, lazily ---

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """The values as NumPy has them, so that ``numpy.asarray(heatmap)`` and what builds on it work.

        On the same memory where that is possible: values on the CPU, of a type that NumPy has (bfloat16 becomes
        float32). Gradients end here.

        Args:
            dtype: another type.
            copy: True always copies, None where it must be, False never.

        Raises:
            ValueError: ``copy=False`` where a copy is needed, as NumPy's protocol has it.

        Example:
            >>> heatmap = Heatmap(torch.tensor([[0.0, 1.0]]), Frame.resize((2, 4), (1, 2)), "relevance")
            >>> np.asarray(heatmap).tolist()
            [[0.0, 1.0]]
        """
        values = self.values.detach()
        here = values.float() if values.dtype == torch.bfloat16 else values
        here = here.cpu()
        array = here.numpy()
        changed = here is not values and here.data_ptr() != values.data_ptr()
        other_type = dtype is not None and np.dtype(dtype) != array.dtype
        if copy is False and (changed or other_type):
            wanted = f"as {np.dtype(dtype)}" if other_type else "as NumPy has them"
            raise ValueError(
                f"the values are {values.dtype} on {values.device}: {wanted} they must be copied; leave copy=False out"
            )
        if other_type:
            return array.astype(dtype)
        return array.copy() if copy and not changed else array

    def at_source(
        self,
        size: Size | None = None,
        *,
        region: Sequence[float] | None = None,
        outside: Literal["nan", "edge"] = "nan",
    ) -> Float[Tensor, "*b H W"]:
        """The values on the picture's own pixels, interpolated through the frame; what drawing lays over the picture.

        Args:
            size: (H, W) of the result; unless given, one value per pixel of the picture, or of the region.
            region: (x0, y0, x1, y1) in source pixels, the part that the result is of; the whole picture unless given.
                Without a size, a side that is no whole number has as many values as the nearest one.
            outside: what pixels get that the map says nothing about, which a crop of the model's input left out or
                which lie beyond the picture's edge: NaN, or the value of the nearest cell.

        Returns:
            (*batch, H, W), of the values' type, on their device, differentiable in them.

        Raises:
            OptionError: another word for ``outside``, or a region without width or height.
            ShapeError: source pictures of several sizes; take the heatmap of one, ``heatmap[0]``.

        Example:
            >>> heatmap = Heatmap(torch.tensor([[0.0, 1.0]]), Frame.resize((2, 4), (1, 2)), "relevance")
            >>> heatmap.at_source().tolist()
            [[0.0, 0.25, 0.75, 1.0], [0.0, 0.25, 0.75, 1.0]]
            >>> heatmap.at_source(region=(2, 0, 5, 1)).tolist()   # beyond the edge there is no picture
            [[0.75, 1.0, nan]]
        """
        from isotherm.ops.resample import on_picture

        return on_picture(self.values, self.frame, size=size, region=region, outside=outside)

    def _repr_png_(self) -> bytes | None:
        from isotherm.draw.notebook import heatmap_png

        return heatmap_png(self)

    def _repr_html_(self) -> str | None:
        from isotherm.draw.notebook import heatmap_html

        return heatmap_html(self)


def _moments(header: Mapping[str, Any] | None) -> Moments | None:
    """The moments of a file's header, where it has any."""
    if header is None:
        return None
    frames, times = (
        None if header[name] is None else tuple((float(a), float(b)) for a, b in header[name])
        for name in ("frames", "times_s")
    )
    return Moments(frames or (), tuple(int(f) for f in header["shown"]), times)


def _read_npz(fpath: Path) -> Headed:
    arrays = read_npz(fpath, most=MAX_VALUES)
    header = json_of(arrays.pop("header").tobytes(), fpath)
    if not isinstance(header, dict):
        raise ValueError(f"its header is {type(header).__name__}; expected names with values")
    FILE.check_format(header.pop("format", None), fpath)
    return Headed(header, {name: torch.from_numpy(a) for name, a in arrays.items()})
