"""The models that ship with isotherm, and the one that a package brings, as families."""

from __future__ import annotations

from isotherm.models.family import Family, named

SCENES = Family(
    name="scenes",
    matches=named(
        r"scenes(-?\d+)?",
        "the small classifier of generated scenes that ships with isotherm",
        wrapped="isotherm.zoo.scenes.network:SceneNet",
    ),
    load="isotherm.zoo.scenes.view:load",
    wrap="isotherm.zoo.scenes.view:wrap",
    names=lambda: ("scenes",),
    shipped=True,
)
DETECTOR = Family(
    name="detector",
    matches=named(
        r"detector(-?\d+)?",
        "the small heatmap detector of generated scenes that ships with isotherm",
        wrapped="isotherm.zoo.detector.network:HeatmapDetector",
    ),
    load="isotherm.zoo.detector.view:load",
    wrap="isotherm.zoo.detector.view:wrap",
    names=lambda: ("detector",),
    shipped=True,
)
_OF_SHAPES = named(r"tiny-vlm(-\d+)?", "the small vision-language model of generated shapes that ships with isotherm")
_OF_TABLES = named("tiny-grounding", "the small grounding model that ships with isotherm")
TINY_VLM = Family(
    name="tiny-vlm",
    matches=lambda model: _OF_SHAPES(model) or _OF_TABLES(model),
    load="isotherm.zoo.tiny_vlm.view:load",
    names=lambda: ("tiny-vlm",),
    shipped=True,
)
TINY_ANTICIPATION = Family(
    name="tiny-anticipation",
    matches=named(
        "tiny-anticipation",
        "the small model of the next action in generated clips that ships with isotherm, or one that was trained here",
    ),
    load="isotherm.zoo.tiny_anticipation.view:load",
    names=lambda: ("tiny-anticipation",),
    shipped=True,
)
IMAGENET = Family(
    name="imagenet",
    matches=named(
        "imagenet", "EfficientNet-Lite0, trained on ImageNet's photographs, with the weights of an installed package"
    ),
    load="isotherm.zoo.imagenet.view:load",
    names=lambda: ("imagenet",),
)
