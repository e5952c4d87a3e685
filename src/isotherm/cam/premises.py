"""Premises: what an explanation takes for granted about its model, and where each of it comes from.

A view may have an attribute ``premises``, what it is sure of or had to assume of its input and its names, and an
attribute ``random_weights`` where isotherm itself made the model's weights at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from isotherm.relevance.modules import modules_of

Source = Literal["given", "declared", "default", "assumed", "random"]
"""Where a premise comes from: the user; the model, its weights or its processor; isotherm's own choice, because nobody
says otherwise; a guess that can be wrong; or chance, which is what random weights are made by."""
RANDOM = "random weights"
INITIAL = {"weight": (0.0, 1.0), "bias": (0.0,), "running_mean": (0.0,), "running_var": (1.0,)}
"""What the tensors of a normalisation layer may be before any training."""


@dataclass(frozen=True, kw_only=True)
class Premise:
    """One thing that is taken for granted.

    Args:
        about: what of the model: ``input``, ``output``, ``class names`` or ``weights``.
        value: what is taken.
        source: see :data:`Source`.
        why: the reason, or who declares it.

    Example:
        >>> print(Premise(about="input", value="64 x 64 pixels", source="given"))
        input: 64 x 64 pixels, as given
        >>> print(Premise(about="class names", value="ImageNet's", source="assumed", why="there are 1000 outputs"))
        class names: ImageNet's, an assumption: there are 1000 outputs
    """

    about: str
    value: str
    source: Source
    why: str = ""

    @property
    def alarming(self) -> bool:
        """True where nobody should look at a map without knowing it."""
        return self.source == "random"

    def __str__(self) -> str:
        if self.alarming:
            return f"WARNING: {RANDOM.upper()}. The {self.about} are {self.value}: {self.why}, so no map shows anything that was learned"
        how = {
            "given": ", as given",
            "declared": ", declared by ",
            "default": ", isotherm's default",
            "assumed": ", an assumption",
        }[self.source]
        why = self.why if self.source == "declared" else f": {self.why}" if self.why else ""
        return f"{self.about}: {self.value}{how}{why}"


@dataclass(frozen=True, eq=False)
class RandomWeights:
    """A mark that isotherm made a model's weights at random; it holds until they are changed.

    Args:
        seed: of the weights.
        name: of one parameter.
        values: what it was.
    """

    seed: int
    name: str
    values: Tensor

    @classmethod
    def of(cls, model: nn.Module, seed: int) -> RandomWeights:
        """The mark of a model as it is now."""
        weights = [(name, p) for name, p in model.named_parameters() if p.numel()]
        # the smallest one with several dimensions: vectors (biases, norms) are mostly constant before training and may
        # be after it
        name, values = min(weights, key=lambda pair: (pair[1].ndim < 2, pair[1].numel()))
        return cls(seed, name, values.detach().clone())

    def still_of(self, model: nn.Module) -> bool:
        """False where the model was trained, or given other weights, since then."""
        try:
            now = model.get_parameter(self.name)
        except AttributeError:
            return False
        return now.shape == self.values.shape and torch.equal(self.values.to(now), now.detach())


def premises_of(view: Any) -> tuple[Premise, ...]:
    """What is taken for granted of a view's model: what the view says, and random weights where they are known or seen.

    Weights are seen to be random where every normalisation layer still has the values that it is made with: no training
    leaves a single one so. A model without such layers is not judged, and nothing is said of its weights.
    """
    premises: tuple[Premise, ...] = tuple(getattr(view, "premises", ()))
    made = getattr(view, "random_weights", None)
    if made is not None and made.still_of(view.model):
        return (
            Premise(about="weights", value=f"random (seed {made.seed})", source="random", why="nothing trained them"),
            *premises,
        )
    untouched = untouched_norms(view.model)
    if untouched:
        layers = (
            "the one normalisation layer still has the values that it was"
            if untouched == 1
            else f"all {untouched} normalisation layers still have the values that they were"
        )
        return (
            Premise(about="weights", value="random, as it seems", source="random", why=f"{layers} made with"),
            *premises,
        )
    return premises


def untouched_norms(model: nn.Module) -> int:
    """How many normalisation layers a model has, if not one of them differs from how such layers are made; else 0.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        >>> untouched_norms(model)
        1
        >>> _ = model(torch.rand(2, 3, 5, 5))  # training mode: the running mean moves
        >>> untouched_norms(model)
        0
    """
    count = 0
    for module in modules_of(model):
        if "Norm" not in type(module).__name__:
            continue
        own = {**module._parameters, **module._buffers}
        tensors = {name: tensor for name in INITIAL if isinstance(tensor := own.get(name), Tensor)}
        if "weight" in tensors and all(t.ndim == 1 and t.is_floating_point() for t in tensors.values()):
            for name, tensor in tensors.items():
                if not any(bool((tensor == value).all()) for value in INITIAL[name]):
                    return 0
            count += 1
    return count


def of_given(premises: tuple[Premise, ...], words: list[str]) -> tuple[Premise, ...]:
    """The premises where tensors were given, of which nothing is taken for granted.

    Args:
        premises: of the model.
        words: how the tensors came, one or none; without them nothing changes.
    """
    others = tuple(p for p in premises if not words or p.about != "input")
    return (*others, *(Premise(about="input", value=one, source="given") for one in words))
