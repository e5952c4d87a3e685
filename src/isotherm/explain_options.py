"""What to explain and how: said once, for Python, the command line and jobs, and checked before any model is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from isotherm.cam import methods as methods_module
from isotherm.cam.attribute import Layers
from isotherm.cam.fuse import Fuse
from isotherm.cam.scores import Function, Named
from isotherm.cam.scores.targets import Score
from isotherm.cam.trace import Method
from isotherm.cam.view import Prediction
from isotherm.errors import OptionError, TargetError
from isotherm.ops.names import check_seed, known_method, known_word, plain
from isotherm.vlm.choose import answer_score, method_names
from isotherm.vlm.fills import Fill

Target = Score | str | int | Callable[[Prediction], Tensor] | Sequence[str | int] | None
Smooth = Literal["none", "eigen", "augment", "both"]
TrustLevel = Literal["fast", "full", "off"]


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What to explain and how.

    Args:
        target: a class by name or number, several of them, a score, or a function of the prediction; of a question count, answer,
            whole, token, next, word:WORD, or a score of answers. None: what the model itself says.
        method: name or function, or several; None: the view's choice.
        layers: names of target layers, or ``auto``.
        fuse: how several layers become one map, mean or max.
        smooth: none, eigen, augment or both.
        trust: how thoroughly maps are judged, fast, full or off.
        seed: of everything random, from 0; None: 0, and methods given as objects keep their own.
        prompt: what a vision-language model is asked. The rest goes with it, but for the last:
        answer, versus: explain why it says ``answer`` (None: what it says itself) rather than ``versus``.
        mask: (H, W) bool, the pixels that the answer should rest on.
        fill: what a vision token becomes where it is taken away for the trust line: mask, mean or blur; None: mask.
        video_fps: the pictures are frames of a video, so many a second; also of a clip, for models that see several moments.

    Raises:
        OptionError, TargetError, MethodError: a word that is not known, with the nearest ones; options that do not go together.
    """

    target: Target = None
    method: str | Method | Sequence[str | Method] | None = None
    layers: Layers = "auto"
    fuse: Fuse = "mean"
    smooth: Smooth = "none"
    trust: TrustLevel = "fast"
    seed: int | None = None
    prompt: str | None = None
    answer: str | None = None
    versus: str | None = None
    mask: Any = None
    fill: Fill | None = None
    video_fps: float | None = None

    @classmethod
    def split(cls, options: Mapping[str, Any]) -> tuple[ExplainOptions, dict[str, Any]]:
        """The options of explaining out of all that a front door was given, and those that are left for the model's family.

        Two words mean something to both: ``prompt`` is a question or what a YOLOE looks for, ``fuse`` a word or whether a YOLO's
        batch norms are merged. The value tells which.
        """
        names = {field.name for field in fields(cls)}
        own = {name: value for name, value in options.items() if name in names}
        left = {name: value for name, value in options.items() if name not in names}
        if isinstance(own.get("fuse"), bool):
            left["fuse"] = own.pop("fuse")
        if own.get("prompt") is not None and not isinstance(own["prompt"], str):
            left["prompt"] = own.pop("prompt")
        return cls(**own), left

    def __post_init__(self) -> None:
        known_word(self.fuse, get_args(Fuse), "fuse")
        known_word(self.smooth, get_args(Smooth), "smooth")
        _check_trust(self.trust)
        check_seed(self.seed)
        if self.prompt is None:
            for what in ("answer", "versus", "mask", "fill"):
                if getattr(self, what) is not None:
                    raise OptionError(f"{what} goes with prompt, the question that it is about")
            resolve_score(self.target)
        else:
            answer_score(self.target, self.prompt, answer=self.answer, versus=self.versus)
        if self.fill is not None:
            known_word(self.fill, get_args(Fill), "fill")
        _check_methods(self.method, question=self.prompt is not None)


def _check_methods(method: Any, *, question: bool) -> None:
    several = [method] if isinstance(method, str) else method if isinstance(method, Sequence) else ()
    for name in several:
        # which of the two kinds it is turns out when the model is open
        if isinstance(name, str) and plain(name) not in {plain(known) for known in method_names()}:
            if question:
                known_method(name, list(method_names()), of=" for language models")
            else:
                known_method(name, list(methods_module.ALL))


def _check_trust(trust: Any) -> None:
    """Raises OptionError for anything but a level; a file is told how files are allowed to run code."""
    if isinstance(trust, str) and trust in get_args(TrustLevel):
        return
    if isinstance(trust, os.PathLike) or (isinstance(trust, str) and Path(trust).expanduser().is_file()):
        raise OptionError(
            f"trust is how thoroughly maps are judged ({', '.join(get_args(TrustLevel))}), not {os.fspath(trust)}; "
            "a file that may run code while it is opened is named with allow_code="
        )
    known_word(trust, get_args(TrustLevel), "trust")


def resolve_score(target: Target) -> Score | None:
    """A score from what a user may give."""
    if target is None or isinstance(target, Score):
        return target
    if isinstance(target, str | int):
        return Named((target,))
    if isinstance(target, Sequence):
        if not target:
            raise TargetError("the list of targets is empty; leave target out to explain what the model itself says")
        return Named(tuple(target))
    if callable(target):
        return Function(target)
    raise OptionError(
        f"target is a {type(target).__name__}; expected a class, a score such as Detection(2), or a function of the prediction"
    )
