"""How to count: what is asked, in which crops, which places become dots, when two dots are one."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from isotherm.errors import OptionError
from isotherm.train.recipe import from_plain, read_recipe
from isotherm.vlm.scores import ExpectedNumber
from isotherm.vlm.view import LanguageView

USUAL = "How many {category} are there in this picture? Answer with one number."
"""The question, for a model that says nothing of its own."""


@dataclass(frozen=True, kw_only=True)
class CountPrompts:
    """What the model is asked; ``{category}`` stands for what is counted.

    Args:
        whole: of the whole picture; None: as the model was taught to be asked, otherwise :data:`USUAL`.
        part: of a crop; None: the same.
    """

    whole: str | None = None
    part: str | None = None

    def __post_init__(self) -> None:
        for name, text in {"whole": self.whole, "part": self.part}.items():
            if text is not None:
                _check_template(name, text)

    def of(self, category: str, *, part: bool) -> str:
        """The question about a category."""
        return ((self.part if part else None) or self.whole or USUAL).format(category=category)


@dataclass(frozen=True, kw_only=True)
class CountingConfig:
    """Everything that decides a count beside the model, the picture and the strategy.

    Args:
        prompts: what is asked.
        score: what the maps are of.
        method: of the maps, a name of :mod:`isotherm.vlm.methods`; None: the best for expected numbers.
        grid: (rows, columns) of the strategy dense.
        overlap: of neighbouring crops, as a share of a cell's side; at least as wide as an object.
        crop_side: crops are scaled to this longer side, in pixels, before the model sees them; None: as they are.
            Models that keep a picture's own resolution see small things better in crops that are made larger.
        by: a view's count is what its ``answer`` says, or its ``expected`` number.
        dot_threshold: a dot is at least so high, as a share of its map's largest value.
        dot_radius_tokens: a dot is the largest within so many vision tokens each way.
        same_tokens: dots of two crops this near, in vision tokens, are one object; 0: never, each place is counted by
            the crop that owns it.
        answer_tokens: of an answer, at most.
    """

    prompts: CountPrompts = field(default_factory=CountPrompts)
    score: ExpectedNumber = field(default_factory=ExpectedNumber)
    method: str | None = None
    grid: tuple[int, int] = (3, 3)
    overlap: float = 0.2
    crop_side: int | None = None
    by: Literal["answer", "expected"] = "answer"
    dot_threshold: float = 0.1
    dot_radius_tokens: float = 1.0
    same_tokens: float = 1.5
    answer_tokens: int = 64

    def worded(self, view: LanguageView) -> CountingConfig:
        """The same with every question in words, as the model was taught to be asked where nothing else was said."""
        whole = self.prompts.whole or view.count_prompt or USUAL
        return replace(self, prompts=replace(self.prompts, whole=whole))

    def __post_init__(self) -> None:
        if self.by not in ("answer", "expected"):
            raise OptionError(f"by is {self.by!r}; expected answer or expected")
        if not 0 < self.dot_threshold < 1:
            raise OptionError(
                f"dot_threshold is {self.dot_threshold}; expected a share of the map's largest value, between 0 and 1"
            )
        if not 0 < self.dot_radius_tokens < 100 or not 0 <= self.same_tokens < 100:
            raise OptionError(
                f"dot_radius_tokens is {self.dot_radius_tokens} and same_tokens {self.same_tokens}; expected above 0 and from 0, in vision tokens"
            )
        if self.crop_side is not None and not 16 <= self.crop_side <= 8192:
            raise OptionError(f"crop_side is {self.crop_side}; expected 16 to 8192 pixels")
        if self.answer_tokens < 1:
            raise OptionError(f"answer_tokens is {self.answer_tokens}; expected at least 1")

    @classmethod
    def from_file(cls, fpath: str | os.PathLike[str], **changes: Any) -> CountingConfig:
        """The configuration in a YAML or JSON file, with some of its values changed.

        Raises:
            OptionError: no such file, or an option or value that does not exist.
        """
        return from_plain(cls, {**read_recipe(fpath), **changes}, where=str(fpath))


def _check_template(name: str, text: str) -> None:
    try:
        fields = [f for _, f, _, _ in string.Formatter().parse(text) if f is not None]
    except ValueError as error:
        raise OptionError(f"the prompt {text!r} cannot be read ({error}); write {{{{ for a brace") from error
    if fields != ["category"] * max(1, len(fields)):
        raise OptionError(
            f"the prompt {name} is {text!r}; it must have {{category}} where the category's name goes, and no other braces"
        )
