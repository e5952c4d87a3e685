"""Every family of detectors, tiny and with seeded weights that find things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

TRANSFORMERS = (
    "detr",
    "detr_segmentation",
    "conditional_detr",
    "deformable_detr",
    "rf_detr",
    "rt_detr",
    "rt_detr_v2",
    "d_fine",
    "yolos",
    "grounding_dino",
    "owlvit",
    "owlv2",
)
"""In rigs/transformers_models.py."""
MORE = ("table_transformer", "dab_detr", "deimv2", "lw_detr", "rf_detr_masks")
"""In rigs/transformers_detectors.py."""
FURTHER = (
    "mm_grounding_dino",
    "omdet_turbo",
    "pp_doclayout_v2",
    "pp_doclayout_v3",
    "pp_doclayout_v4",
    "pp_ocrv5_mobile_det",
    "pp_ocrv5_server_det",
    "pp_ocrv6_small_det",
    "pp_ocrv6_medium_det",
)
"""In rigs/transformers_pages.py."""
CHEAP = ("lw_detr", "omdet_turbo", "pp_doclayout_v2", "pp_doclayout_v4", "pp_ocrv5_server_det")
"""Of the latter two, those that cost least, which the tests judge anew."""
TORCHVISION = ("faster", "mask", "keypoint", "retinanet", "fcos", "ssd", "ssdlite")
YOLO = (
    "yolov3-tiny",
    "yolov3",
    "yolov5n",
    "yolov6n",
    "yolov8n",
    "yolov8n-seg",
    "yolov8n-pose",
    "yolov8n-obb",
    "yolov8n-cls",
    "yolov8n-p2",
    "yolov8n-p6",
    "yolov8n-ghost",
    "yolov8s-world",
    "yolov8s-worldv2",
    "yoloe-v8s-seg",
    "yolov9t",
    "yolov10n",
    "yolo11n",
    "yolo11n-seg",
    "yolo11n-pose",
    "yolo11n-obb",
    "yolo11n-cls",
    "yoloe-11s-seg",
    "yolo12n",
    "yolo12n-seg",
    "yolo26n",
    "yolo26n-seg",
    "yolo26n-pose",
    "yolo26n-obb",
    "yolo26n-cls",
    "yolo26n-depth",
    "yolo26n-sem",
    "yoloe-26s-seg",
    "rtdetr-tiny",
)


def detectors() -> Iterator[tuple[str, str, str, Callable[[int], Any]]]:
    """(package, family, model's name, what opens a view of it)."""
    for family in TRANSFORMERS:
        yield "transformers", family, "tiny", partial(_transformers_view, family)
    for family in MORE:
        yield "transformers", family, "tiny", partial(_more_view, family)
    for family in FURTHER:
        yield "transformers", family, "tiny", partial(_further_view, family)
    for family in TORCHVISION:
        yield "torchvision", family, "small", partial(_torchvision_view, family)
    for name in YOLO:
        yield "ultralytics", name, f"{name}.yaml", partial(_yolo_view, name)


def _transformers_view(family: str, seed: int) -> Any:
    from rigs.transformers_models import make
    from rigs.transformers_views import processor, view_of

    prepare = processor(family)
    if "shortest_edge" in (getattr(prepare, "size", None) or {}):
        prepare.size = {"shortest_edge": 192, "longest_edge": 256}  # of 64 pixels some levels have but 2 x 2 cells
    return view_of(family, make(family, seed), processor=prepare, confidence=0.0)


def _more_view(family: str, seed: int) -> Any:
    from rigs.transformers_detectors import detector_view, make_detector

    return detector_view(family, make_detector(family, seed))


def _further_view(family: str, seed: int) -> Any:
    from rigs.transformers_pages import further_view, make_further

    return further_view(family, make_further(family, seed))


def _torchvision_view(family: str, seed: int) -> Any:
    import isotherm
    from rigs.torchvision_detectors import build

    model = build(family, seed)
    if not family.startswith("ssd"):
        model.transform.min_size, model.transform.max_size = (240,), 320
    return isotherm.open_model(model, confidence=0.0)


def _yolo_view(name: str, seed: int) -> Any:
    import isotherm
    from rigs.yolo_models import TINY_RTDETR, make_yolo

    config = TINY_RTDETR if name == "rtdetr-tiny" else f"{name}.yaml"
    return isotherm.open_model(make_yolo(config, seed=seed, size=320), size=320, confidence=0.01)
