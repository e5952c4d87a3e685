"""Pictures through a transformers image processor, and the frame of what comes out.

The pixels are the processor's own, to the bit. It does not say where they come from, so the geometry is computed
from its settings; and because classes overrule their settings silently, it is measured once per view on pictures of
known gradients, and refused where it is not what was computed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.premises import Premise, Source
from isotherm.cam.view import Inputs
from isotherm.errors import AdapterError, InputError, OptionError
from isotherm.frame import Frame, Size
from isotherm.models.shared.preprocess import IMAGENET_MEAN, check_picture, numbers, size_of
from isotherm.models.transformers.own_sizes import own_place

PROBE: Size = (96, 168)
"""(h, w) of the pictures that the geometry is measured with: neither square nor a common aspect ratio."""
SETTINGS = ("do_resize", "size", "do_center_crop", "crop_size", "crop_pct", "do_pad", "pad_size")


class Preparer:
    """From decoded pictures to model inputs.

    Args:
        processor: a transformers image processor.
        size: one side or (h, w) in place of its own, see :func:`resized_settings`.
        by_user: the user gave the size.
        source, why: where the processor comes from.
    """

    def __init__(
        self,
        processor: Any,
        *,
        size: int | Sequence[int] | None = None,
        by_user: bool = True,
        source: Source = "declared",
        why: str = "",
    ) -> None:
        self.processor = processor
        self._sources: tuple[Source, Source] = ("given" if size is not None and by_user else source, source)
        self._why = why or f"its processor, {type(processor).__name__}"
        self.name = type(processor).__name__
        self.options = {} if size is None else resized_settings(processor, size)
        self._levels: tuple[Tensor, Tensor] | None = None

    @property
    def premises(self) -> tuple[Premise, ...]:
        """What the processor feeds the model, and whether the model declares that."""
        words = described(self.processor, self.options)
        if self._sources[0] == self._sources[1]:
            words = [", ".join(words)]
        why = {"given": "", self._sources[1]: self._why}
        return tuple(
            Premise(about="input", value=value, source=source, why=why[source])
            for value, source in zip(words, self._sources, strict=False)
        )

    def feed(self, tensor: Float[Tensor, "b c h w"]) -> dict[str, Tensor]:
        """The arguments of the forward pass that stand for an input's pixels."""
        return {"pixel_values": tensor}

    # Sequence[np.ndarray], not Sequence[Picture]: its H and W would have to be the same for all pictures
    def batch(
        self, pictures: Sequence[np.ndarray], *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> Inputs:
        """Pictures of any sizes -> one batch.

        ``extra`` holds ``sizes`` (b, 2), the (h, w) that each picture fills from the top left corner of its input, and
        ``pixel_mask`` (b, h, w) where the processor makes one.

        Raises:
            InputError: no picture, or pictures whose inputs differ in size from a processor that does not pad.
            AdapterError: the processor's output is not what its settings say.
        """
        if not len(pictures):
            raise InputError("there are no pictures to prepare: the list is empty")
        for picture in pictures:
            check_picture(picture)
        if self._levels is None:
            self._levels = self._calibrate()
        frames, sizes = self._place(pictures)
        out = self._process(pictures)
        low, high = self._levels
        tensor = out["pixel_values"]
        extra: dict[str, Any] = {"sizes": torch.tensor(sizes, device=device)}
        if "pixel_mask" in out:
            extra["pixel_mask"] = out["pixel_mask"].to(device)
        blank = low + self._mean(low) * (high - low)
        return Inputs(
            tensor.to(device=device, dtype=dtype), Frame.stack(frames), extra, blank.to(device=device, dtype=dtype)
        )

    def _process(self, pictures: Sequence[np.ndarray]) -> dict[str, Tensor]:
        # copies: torch must not see numpy's read-only memory
        out = self.processor(
            images=[np.array(p) for p in pictures],
            return_tensors="pt",
            input_data_format="channels_last",
            **self.options,
        )
        tensor = out["pixel_values"]
        if not isinstance(tensor, Tensor) or tensor.ndim != 4 or len(tensor) != len(pictures):
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise AdapterError(
                f"{self.name} makes {shape} of {len(pictures)} pictures, but one (c, h, w) input per picture is needed; "
                "models that cut pictures into tiles or patches beforehand cannot be explained in picture coordinates"
            )
        return {k: v for k, v in out.items() if isinstance(v, Tensor)}

    def _place(self, pictures: Sequence[np.ndarray]) -> tuple[list[Frame], list[Size]]:
        """Frames in one common size, and the (h, w) that each picture fills."""
        settings = settings_of(self.processor, self.options)
        placed = [place(self.processor, settings, (int(p.shape[0]), int(p.shape[1]))) for p in pictures]
        sizes = [frame.size for frame in placed]
        if len(set(sizes)) > 1 and not settings["do_pad"]:
            raise InputError(
                f"{self.name} makes inputs of different sizes {sorted(set(sizes))} of these pictures and does not pad them, so they "
                "are no batch; give them one at a time, or size=(h, w) to stretch them to one"
            )
        height, width = (max(s[i] for s in sizes) for i in range(2))
        pad = settings["pad_size"]
        if settings["do_pad"] and pad and pad.get("height"):
            height, width = int(pad["height"]), int(pad["width"])
        if _is(self.processor, "Owlv2ImageProcessor"):
            sizes = [(height, width)] * len(placed)
        return [f.padded(0, 0, width - f.size[1], height - f.size[0]) for f in placed], sizes

    def _mean(self, like: Tensor) -> Tensor:
        """The data set's mean colour in [0, 1], in the input's channel order; without normalisation ImageNet's."""
        mean = (
            getattr(self.processor, "image_mean", None) if getattr(self.processor, "do_normalize", False) else None
        ) or IMAGENET_MEAN
        colours = torch.tensor([float(m) for m in (mean if isinstance(mean, Sequence) else [mean])]).to(like)
        return (colours.flip(0) if getattr(self.processor, "do_flip_channel_order", False) else colours).expand_as(like)

    def _calibrate(self) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """Black's and white's input values, after checking that the frame is where the processor puts the pixels."""
        h, w = PROBE
        across = np.broadcast_to(255 * (np.arange(w) + 0.5) / w, (h, w))
        down = np.broadcast_to(255 * (np.arange(h)[:, None] + 0.5) / h, (h, w))
        grey = [np.zeros((h, w)), np.full((h, w), 255.0), across, down]
        pictures = [np.repeat(np.rint(g)[..., None], 3, -1).astype(np.uint8) for g in grey]
        tensor = self._process(pictures)["pixel_values"].double()
        frames, sizes = self._place(pictures)
        if frames[0].size != tuple(tensor.shape[-2:]):
            raise AdapterError(
                f"{self.name} made an input of {tuple(tensor.shape[-2:])} of a {PROBE} picture where its settings say {frames[0].size}; "
                "its geometry is not known, so no map could be put on the picture. Give another processor, or size=(h, w)"
            )
        y, x = (sizes[0][0] // 2, sizes[0][1] // 2)
        low, high = tensor[0, :, y, x], tensor[1, :, y, x]
        if bool((high == low).any()):
            raise AdapterError(
                f"{self.name} makes black and white the same, so its pixels cannot be followed; is a do_ setting of it wrong?"
            )
        share = ((tensor[2:] - low[:, None, None]) / (high - low)[:, None, None]).mean(
            1
        )  # (2, h, w) of the source's extent
        yy, xx = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in tensor.shape[-2:]), indexing="ij")
        points = frames[0].points_to_source(torch.stack([xx, yy], -1).flatten(0, 1)).unflatten(0, xx.shape)
        size = torch.tensor([w, h], dtype=torch.float64)
        # filters bend the gradient near the edges; antialiasing reaches two input pixels
        margin = 3 + 2 * float(frames[0].cell_size.max())
        inside = ((points > margin) & (points < size - margin)).all(-1)
        off = (share.permute(1, 2, 0) * size - points)[inside]
        if not len(off) or float(off.mean(0).abs().max()) > 0.25 or float(off.abs().max()) > 1.5:
            where = "nowhere" if not len(off) else f"{float(off.abs().max()):.1f} source pixels off"
            raise AdapterError(
                f"{self.name} puts a test picture {where} from where its settings say, so a map would lie in the wrong place; "
                "its class does something of its own. Give size=(h, w), or write a view for it (isotherm.cam.view)"
            )
        return low.float(), high.float()


def settings_of(processor: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The geometric settings that a call with ``options`` uses; sizes as plain dicts."""
    settings: dict[str, Any] = {}
    for name in SETTINGS:
        value = options.get(name, getattr(processor, name, None))
        settings[name] = _plain(value) if name in ("size", "crop_size", "pad_size") else value
    if settings["do_pad"] is None:  # no setting at all: those that make a mask of what is picture pad always
        settings["do_pad"] = "pixel_mask" in getattr(processor, "model_input_names", ())
    return settings


def described(processor: Any, options: Mapping[str, Any]) -> list[str]:
    """In words what a call with ``options`` makes of a picture: its size, and the rest."""
    try:
        return _described(processor, settings_of(processor, options))
    except (TypeError, ValueError, OverflowError, LookupError) as error:
        raise AdapterError(
            f"the settings of the processor {type(processor).__name__} cannot be read ({error}); were they written by save_pretrained?"
        ) from error


def _described(processor: Any, settings: Mapping[str, Any]) -> list[str]:
    cut = settings["do_center_crop"] and settings["crop_size"]
    size = settings["crop_size"] if cut else settings["size"] if settings["do_resize"] else None
    places = (
        "as large as the picture"
        if not size
        else " x ".join(str(size[k]) for k in ("height", "width")) + " pixels"
        if "height" in size
        else ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in size.items())
    )
    rest = ["cut in the centre"] if cut else []
    if settings["do_resize"] and not size and getattr(processor, "size_divisor", None):
        places = f"as large as the picture, down to multiples of {processor.size_divisor}"
    if settings["do_resize"] and hasattr(processor, "limit_side_len"):
        which = {"max": "longer side at most", "min": "shorter side at least"}.get(processor.limit_type, "longer side")
        places = f"{which} {processor.limit_side_len} pixels, both rounded to multiples of 32"
    if settings["do_resize"] and getattr(processor, "keep_aspect_ratio", False):
        places = f"about {places}, the aspect ratio kept"
    if getattr(processor, "do_normalize", False):
        rest += [f"{name} {numbers(_listed(getattr(processor, f'image_{name}', ())))}" for name in ("mean", "std")]
    return [places, ", ".join(rest or ["not normalised"])]


def _listed(value: Any) -> list[float]:
    return [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]


def _plain(size: Any) -> dict[str, int] | None:
    if size is None or isinstance(size, int):
        return None if size is None else {"shortest_edge": size}
    return {k: int(v) for k, v in dict(size).items() if v is not None}


def _is(processor: Any, name: str) -> bool:
    """Whether it is a processor of that family, of either backend."""
    return any(base.__name__.startswith(name) for base in type(processor).__mro__)


def place(processor: Any, settings: Mapping[str, Any], source: Size) -> Frame:
    """Where the processor puts a picture of ``source`` (h, w), before the padding to the largest of the batch."""
    frame = Frame.identity(source)
    if _is(processor, "Owlv2ImageProcessor"):
        # padded to a square right and below, then scaled
        if settings["do_pad"]:
            side = max(source)
            frame = frame.padded(0, 0, side - source[1], side - source[0])
        return frame.resized(_pair(settings["size"])) if settings["do_resize"] else frame
    own = own_place(processor, settings, frame)
    if own is not None:
        frame = own
    elif settings["do_resize"] and _is(processor, "ConvNextImageProcessor"):
        edge = settings["size"]["shortest_edge"]
        if edge >= 384:
            frame = frame.resized((edge, edge))
        else:
            frame = _centre(frame.resized(_shortest(source, int(edge / settings["crop_pct"]))), (edge, edge))
    elif settings["do_resize"]:
        frame = frame.resized(_divided(processor, _resized(processor, settings["size"] or {}, source)))
    if settings["do_center_crop"]:
        frame = _centre(frame, _pair(settings["crop_size"]))
    return frame


def _pair(size: Mapping[str, int] | None) -> Size:
    size = size or {}
    if "height" in size:
        return size["height"], size["width"]
    return size["shortest_edge"], size["shortest_edge"]


def _resized(processor: Any, size: Mapping[str, int], source: Size) -> Size:
    """(h, w) after scaling, rounded by the package's own functions."""
    from transformers.image_transforms import get_size_with_aspect_ratio
    from transformers.image_utils import get_image_size_for_max_height_width

    if "shortest_edge" in size and "longest_edge" in size:
        rule = get_size_with_aspect_ratio
        for base in type(processor).__mro__:  # YOLOS rounds to whole patches by a function of its own
            rule = getattr(sys.modules[base.__module__], "get_size_with_aspect_ratio_yolos", None) or rule
        h, w = rule(source, size["shortest_edge"], size["longest_edge"])
        return int(h), int(w)
    if "shortest_edge" in size:
        return _shortest(source, size["shortest_edge"])
    if "max_height" in size:
        h, w = get_image_size_for_max_height_width(source, size["max_height"], size["max_width"])
        return int(h), int(w)
    if "height" in size:
        return _pair(size)
    raise AdapterError(
        f"{type(processor).__name__} has size {dict(size)}; expected height and width, shortest_edge (with longest_edge or not), "
        "or max_height and max_width. Give size=(h, w)"
    )


def _divided(processor: Any, size: Size) -> Size:
    """The size stretched to whole multiples of a divisor, as MaskFormer's kin do."""
    by = getattr(processor, "size_divisor", None) or 0
    if not by or not hasattr(processor, "post_process_panoptic_segmentation"):
        return size
    return -(-size[0] // by) * by, -(-size[1] // by) * by


def _shortest(source: Size, edge: int) -> Size:
    h, w = source
    longer = int(edge * max(h, w) / min(h, w))
    return (longer, edge) if w <= h else (edge, longer)


def _centre(frame: Frame, size: Size) -> Frame:
    """The centre, padded where the raster is too small; rounded as the package rounds."""
    before = [max(0, n - have) // 2 for n, have in zip(size, frame.size, strict=True)]
    after = [(max(0, n - have) + 1) // 2 for n, have in zip(size, frame.size, strict=True)]
    frame = frame.padded(before[1], before[0], after[1], after[0])
    top, left = (int((have - n) / 2) for n, have in zip(size, frame.size, strict=True))
    return frame.cropped((left, top, left + size[1], top + size[0]))


def resized_settings(processor: Any, size: int | Sequence[int]) -> dict[str, Any]:
    """Options of a processor's call that make its inputs another size.

    One number is the side that its own setting means: of the square input, or the shorter side of one that keeps its
    aspect ratio, whose limit on the longer side grows with it. The share of a picture that a centre crop keeps stays.
    (h, w) is the input itself.
    """
    if hasattr(processor, "limit_side_len"):
        raise OptionError(
            f"{type(processor).__name__} scales each picture to a size of its own, up to {processor.limit_side_len} pixels, and takes no size; "
            "leave size out, or give a processor with another limit_side_len"
        )
    settings = settings_of(processor, {})
    own, crop = settings["size"] or {}, settings["crop_size"] if settings["do_center_crop"] else None
    if _is(processor, "ConvNextImageProcessor"):
        h, w = size_of(size)
        if h != w:
            raise OptionError(
                f"{type(processor).__name__} makes square inputs only, but size is {(h, w)}; give one number"
            )
        return {"size": {"shortest_edge": h}}
    if "shortest_edge" in own and isinstance(size, int) and crop is None:
        size_of(size)
        if "longest_edge" not in own:
            return {"size": {"shortest_edge": size}}
        return {
            "size": {"shortest_edge": size, "longest_edge": round(own["longest_edge"] * size / own["shortest_edge"])}
        }
    h, w = size_of(size)
    if crop is None:
        return {"size": {"height": h, "width": w}}
    wanted = {"crop_size": {"height": h, "width": w}}
    if "shortest_edge" in own and h == w:
        return {"size": {"shortest_edge": round(own["shortest_edge"] * h / _pair(crop)[0])}, **wanted}
    scale = [a / b for a, b in zip(_pair(own), _pair(crop), strict=True)]
    return {"size": {"height": round(h * scale[0]), "width": round(w * scale[1])}, **wanted}


def image_processor_of(processor: Any) -> Any:
    """The image processor inside of a processor that also tokenises, or the processor itself."""
    return getattr(processor, "image_processor", processor)


def takes(function: Any, name: str) -> bool:
    """Whether a forward pass has an argument of that name."""
    return name in inspect.signature(function).parameters
