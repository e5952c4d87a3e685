"""Ten photographs with maps of random classes, and the ways of laying them over: what bench/drawing.py measures and viewers read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 500
MAPS = 4
READ = 2
"""Of the four maps of each photograph, the one that viewers read."""


@dataclass(frozen=True)
class Photo:
    """A photograph that comes with a package. shown: its licence lets it be shown in the documentation."""

    name: str
    package: str
    file: str
    source: str
    shown: bool = True

    def open(self) -> Image.Image:
        """At 500 pixels on its longer side."""
        spec = find_spec(self.package)
        assert spec is not None
        assert spec.submodule_search_locations
        image = Image.open(Path(spec.submodule_search_locations[0]) / self.file).convert("RGB")
        factor = SIDE / max(image.size)
        return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


PHOTOS = (
    Photo("chelsea", "skimage", "data/chelsea.png", "Stefan van der Walt, CC0"),
    Photo("coffee", "skimage", "data/coffee.png", "Rachel Michetti, CC0"),
    Photo("rocket", "skimage", "data/rocket.jpg", "SpaceX, public domain"),
    Photo("astronaut", "skimage", "data/astronaut.png", "NASA, public domain"),
    Photo("motorcycle", "skimage", "data/motorcycle_left.png", "Middlebury 2014, no licence stated", shown=False),
    Photo("hopper", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "US Navy, public domain"),
    Photo("camera", "skimage", "data/camera.png", "Lav Varshney, CC0"),
    Photo("retina", "skimage", "data/retina.jpg", "M. Häggström, CC0"),
    Photo("china", "sklearn", "datasets/images/china.jpg", "danielbuechele on Flickr, CC-BY 2.0"),
    Photo("flower", "sklearn", "datasets/images/flower.jpg", "vultilion on Flickr, CC-BY 2.0"),
)
"""Bright, dark, red, blue and grey ones."""


def mapped() -> Iterator[tuple[Photo, Image.Image, list]]:
    """Each photograph, at 500 pixels, with the default map of four random classes, so that its object tells nothing."""
    from isotherm import explain, open_model

    model = open_model("imagenet")
    rng = np.random.default_rng(0)
    for photo in PHOTOS:
        image = photo.open()
        classes = rng.choice(1000, MAPS, replace=False).tolist()
        yield photo, image, list(explain(model, image, target=classes, trust="off"))


def field(heatmap, image: Image.Image) -> np.ndarray:
    """The map at the picture's pixels, float64; NaN where the model saw nothing."""
    from isotherm.ops.resample import source_raster, to_frame

    raster = source_raster(heatmap.frame, (image.height, image.width))
    return to_frame(heatmap.values.double(), heatmap.frame, raster, outside="nan").numpy()


def jet(image: Image.Image, heatmap) -> Image.Image:
    """As pytorch-grad-cam shows a map: what is negative cut off, stretched to its own range, jet at one opacity everywhere."""
    from pytorch_grad_cam.utils.image import scale_cam_image, show_cam_on_image

    positive = np.nan_to_num(field(heatmap, image)).clip(min=0)
    pixels = np.asarray(image).astype(np.float32) / 255
    return Image.fromarray(show_cam_on_image(pixels, scale_cam_image(positive[None])[0], use_rgb=True))


def ways() -> dict[str, Callable]:
    """Functions of (picture, heatmap) by name: isotherm's styles, and pytorch-grad-cam's jet."""
    from isotherm.draw import STYLES, overlay

    ours = {name: (lambda image, heatmap, name=name: overlay(heatmap, image, style=name)) for name in STYLES}
    return {**ours, "jet": jet}
