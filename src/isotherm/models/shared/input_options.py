"""What a user says of a model's input and classes, and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from isotherm.cam.activation import Activation
from isotherm.cam.premises import Premise, Source
from isotherm.errors import OptionError
from isotherm.models.shared.as_it_is import AsItIs
from isotherm.models.shared.own_transform import OwnTransform, Preparation
from isotherm.models.shared.preprocess import Geometry, Preprocess, input_premises
from isotherm.ops.names import known_word


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """What a user says of a model's input and classes, in place of what the model or its package says; None leaves
    that.

    Args:
        names: class names.
        size: one side or (h, w).
        mean, std: of pixels in [0, 1].
        geometry: see :data:`Geometry`.
        activation: what makes a class's probability of its logit.
        transform: a callable from a picture to the input, in place of all of these but the names.
    """

    names: Sequence[str] | None = None
    size: int | Sequence[int] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    geometry: Geometry | None = None
    activation: Activation | None = None
    transform: Any = None

    def __post_init__(self) -> None:
        if self.activation is not None:
            known_word(self.activation, get_args(Activation), "activation")
        others = {"size": self.size, "mean": self.mean, "std": self.std, "geometry": self.geometry}
        both = [f"{name}=" for name, value in others.items() if value is not None]
        if self.transform is not None and both:
            raise OptionError(
                f"preprocess= says all of the input, and {', '.join(both)} say(s) other parts of it; give one or the other"
            )

    def preprocess(self, own: Preprocess) -> Preparation:
        """The model's own way to prepare pictures, with what the user says, or the user's own way instead."""
        if self.transform is not None:
            return OwnTransform(self.transform)
        changed = own.with_size(self.size).with_colours(self.mean, self.std)
        if self.geometry is None:
            return changed
        return replace(
            changed, geometry=self.geometry, resize=changed.resize if self.geometry == "crop" else changed.size
        )

    def premises(self, preprocess: Preparation, *, source: Source, why: str) -> tuple[Premise, ...]:
        """What a model is fed, see :func:`input_premises`."""
        if isinstance(preprocess, OwnTransform | AsItIs):
            return (Premise(about="input", value=preprocess.words, source="given"),)
        return input_premises(
            preprocess, source=source, why=why, size=self.size, mean=self.mean, std=self.std, geometry=self.geometry
        )

    def trained(self, classes: int) -> dict[str, Any]:
        """How a classifier was trained, as :class:`isotherm.models.shared.classifier.ClassifierView` takes it.

        Raises:
            OptionError: the softmax of a single class, which is 1 whatever the picture.
        """
        if self.activation == "softmax" and classes == 1:
            raise OptionError(
                "activation is softmax, but the model has one class, whose share would always be 100 %; sigmoid is meant",
                command_line="--activation softmax: the model has one class, whose share would always be 100 %; --activation sigmoid is meant",
            )
        return {"exclusive": self.activation == "softmax", "independent": self.activation == "sigmoid"}

    def refuse_activation(self, name: str) -> None:
        """Raises OptionError where it was given for a model that is no classifier.

        Args:
            name: of the model.
        """
        if self.activation is not None:
            problem = f"says what makes a class's probability of its logit, and {name} is no classifier; leave it out"
            raise OptionError(f"activation= {problem}", command_line=f"--activation {problem}")

    def check_names(self, count: int, *, what: str, one: str) -> None:
        """Raises OptionError where there are names, but not one for each of ``count``. what: is named. one: of it, in a
        word.
        """
        if self.names is not None and len(self.names) != count:
            raise OptionError(f"{len(self.names)} class names were given for the {count} {what}; give one per {one}")
