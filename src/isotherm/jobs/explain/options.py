"""What ``isotherm explain`` is asked for. No torch here: ``isotherm --help`` must answer at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from isotherm.errors import OptionError
from isotherm.jobs.explain.like import picture_of_like
from isotherm.jobs.options import AUTO, ModelOptions


@dataclass(frozen=True, kw_only=True)
class ExplainJob(ModelOptions):
    """Heatmaps of what speaks for what a model sees: one per detection, or of a classifier's classes."""

    words: ClassVar[tuple[str, ...]] = ("explain",)
    positional: ClassVar[tuple[str, ...]] = ("sources",)
    names: ClassVar[Mapping[str, str]] = {**ModelOptions.names, "cls": "class"}

    sources: Positional[tuple[str, ...]]
    """Pictures, folders, "globs", lists (.txt), videos, webcam numbers, http(s) addresses."""
    model: str = AUTO
    """imagenet, resnet50, timm:NAME, yolo11n.pt, yoloe-11s-seg.pt, model.onnx, owner/name of a hub, a folder,
    package.module:factory for a network of your own (naming it lets its module run), or what ships with isotherm:
    scenes, detector, tiny-vlm. Default: imagenet, a network trained on ImageNet's photographs."""
    cls: Annotated[str | None, arg(name="class")] = None
    """Which class or classes to explain, by name or number, separated by commas. Default: what the model says."""
    versus: str | None = None
    """Classifiers: explain the class rather than this other one. Questions: --answer rather than this other answer."""
    prompt: str | None = None
    """Vision-language models: the question. All maps are then of its answer."""
    answer: str | None = None
    """Questions: explain this answer. Default: what the model itself says."""
    mask: Path | None = None
    """Questions: a picture, white where the answer should rest; how well each map fits is then told."""
    fill: Literal["mean", "blur", "mask"] | None = None
    """Questions: what a vision token becomes where it is taken away to judge the maps. Default: mask, nobody attends to
    it.
    """
    together: bool = False
    """Questions: ask about all pictures, or about a video's frames as a video, in one prompt, rather than about
    each.
    """
    top: int | None = None
    """Classifiers: explain the K most likely classes."""
    box: str | None = None
    """Detectors: which finding: its number from 0, or x0,y0,x1,y1 in picture pixels. Models of depth and of keypoints:
    the place, x0,y0,x1,y1."""
    point: str | None = None
    """Models of depth and of keypoints: explain the value at this place, x,y in picture pixels."""
    max_findings: int = 20
    """Detectors: explain so many of the most confident findings of a picture; how many are left out is then told."""
    like: str | None = None
    """A picture's file: explain how like it the model finds each picture (embeddings: DINOv2, CLIP, and classifiers).
    YOLOE: find things like those in these boxes of the first picture, in it and in all others. x0,y0,x1,y1 in
    picture pixels, several separated by semicolons, each with a name if you like: "bus=20,30,120,200;
    wheel=40,170,60,190"."""
    target: str = "class"
    """Detectors: what of a finding: class, box, left, top, right, bottom, width, height, size, mask, objectness,
    keypoint:K (a number or a name), or all. Several separated by commas. Questions: count, answer (a map per word),
    whole, token, next, word:WORD; default: count where the prompt asks how many, else whole."""
    method: str | None = None
    """One method, such as hirescam, gradcam, eigencam, scorecam. Default: the best for this kind of model."""
    compare: str | None = None
    """Several methods side by side, separated by commas."""
    layer: str = "auto"
    """Target layers separated by commas, such as layer4[-1] or model.16; auto chooses and says why."""
    fuse: Literal["mean", "max", "none"] = "mean"
    """How several layers become one map; none: each layer has a map of its own, side by side."""
    smooth: Literal["none", "eigen", "augment", "both"] = "none"
    """Smoothing by principal direction, by augmentation, or both."""
    trust: Literal["fast", "full", "off"] = "fast"
    """How thoroughly to judge the maps: fast, full or off."""
    shared_scale: bool = False
    """One colour scale for all pictures and frames, so that colours can be compared."""
    style: str = "isotherm"
    """How maps are drawn: isotherm (colour over a picture that keeps its light and shade, lines of equal value, the
    peak), tint, grey, lines, outline, or even (one opacity everywhere)."""
    colormap: str | None = None
    """Any matplotlib colour map, such as jet. Default: isotherm's own."""
    opacity: float | None = None
    """Of the strongest values, 0 to 1. Default: that of the style."""
    renormalise: bool = False
    """Detectors: draw each map within its finding's box alone, by the box's own maximum. For looking only: boxes can
    then no longer be compared, and the files of raw maps stay as they are."""
    show_boxes: bool = True
    """Detectors: draw the boxes of the findings."""
    batch: int = 1
    """Pictures per forward pass."""
    every: int = 1
    """Videos: explain every n-th frame."""
    max_frames: int | None = None
    """Videos and webcams: stop after so many frames."""
    start_s: float = 0.0
    """Videos: begin at this second."""
    end_s: float | None = None
    """Videos: end before this second."""
    max_pixels: int = 50_000_000
    """The most pixels that a picture or a video's frame may have; a larger one is refused, since it can fill the
    memory."""
    recursive: bool = False
    """Look into the folders within folders."""
    out: Path | None = None
    """Folder for the results. Default: a new one, runs/explain-001 and so on."""
    overwrite: bool = False
    """Let --out hold something already: files of the same name are replaced, others stay."""
    raw: Literal["npz", "safetensors", "none"] = "npz"
    """Format of the raw maps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "batch", "every", "top", "max_frames", "max_findings", "max_pixels")
        if self.opacity is not None and not 0 <= self.opacity <= 1:
            raise OptionError(f"--opacity {self.opacity}: expected a number from 0 to 1")
        if not 0 <= self.start_s < math.inf:
            raise OptionError(f"--start-s {self.start_s}: expected seconds from the video's start, at least 0")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise OptionError(f"--end-s {self.end_s}: expected more seconds than --start-s, {self.start_s:g}")
        if self.renormalise and self.shared_scale:
            raise OptionError(
                "--renormalise gives each box a scale of its own and --shared-scale all pictures one; leave one out"
            )
        if self.like is not None:
            picture = picture_of_like(self.like)
            if picture is None and self.classes is not None:
                raise OptionError("--classes and --like both say what to look for; give one of them")
