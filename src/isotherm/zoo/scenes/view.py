"""The classifier of generated scenes that ships with isotherm, as a view: ``--model scenes``."""

from __future__ import annotations

import os
import re

import torch

from isotherm.cam.premises import RandomWeights
from isotherm.cam.view import LayerChoice
from isotherm.errors import AdapterError, OptionError
from isotherm.models.shared.classifier import ClassifierView
from isotherm.models.shared.preprocess import input_premises
from isotherm.zoo.assets import asset
from isotherm.zoo.scenes.network import SceneNet, load_scene_net, random_scene_net, scene_preprocess

SEEDS = (0, 1, 2)
"""Seeds whose trained weights ship."""


class SceneView(ClassifierView):
    """The view of a :class:`SceneNet`.

    Behind the last stage there is only average pooling and one linear layer, so the gradient is the same at every
    cell, and HiResCAM and Grad-CAM are equal. On validation scenes, for all three training seeds, no other layer
    method at this layer put more on the class's own object with as little on the others; at the block before it,
    Grad-CAM's figures vary between training seeds. Of the two equal ones HiResCAM is the default, as for detectors.
    """

    model: SceneNet

    def __init__(self, model: SceneNet, *, name: str = "scene classifier") -> None:
        super().__init__(
            model,
            name=name,
            names=model.config.names,
            preprocess=scene_preprocess(model.config.size),
            premises=input_premises(scene_preprocess(model.config.size), source="declared", why="its training"),
            heads=[model.head],
            known=LayerChoice(
                ("stage3.0",),
                "the last stage: its grid of stride 8 still says where, and only average pooling and the linear head follow, "
                "so its maps add up to the logit less the bias",
            ),
            default_method="hirescam",
        )


def load_scenes(seed: int = 0, *, device: str | torch.device = "cpu") -> SceneView:
    """The shipped classifier that was trained with ``seed``, one of :data:`SEEDS`.

    Example:
        >>> view = load_scenes()
        >>> view.names[:3]
        ('star', 'cross', 'ring')
    """
    if seed not in SEEDS:
        raise OptionError(
            f"there are shipped weights of the training seeds {', '.join(map(str, SEEDS))}, not of {seed}"
        )
    view = wrap(
        load_scene_net(asset(f"scenes-{seed}.safetensors")),
        device=device,
        name=f"scene classifier, training seed {seed}",
    )
    view.independent = True  # trained by a sigmoid for each class, as a scene holds several
    return view


def load(
    name: str = "scenes",
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> SceneView:
    """The command line's ``--model scenes``.

    Args:
        name: ``scenes``, or with a training seed, ``scenes-1``.
        weights: a file that the training wrote; ``none`` for random weights; the shipped ones if None.
        seed: of random weights.

    Raises:
        AdapterError, OptionError, WeightsError: unknown name, seed or file.
    """
    match = re.fullmatch(r"(?:scenes)?-?(\d*)", name)
    if match is None:
        raise AdapterError(
            f"there is no embedded model {name!r}; expected scenes, or scenes-1 for another training seed ({', '.join(map(str, SEEDS))})"
        )
    if weights is None:
        return load_scenes(int(match[1] or 0), device=device)
    if str(weights) != "none":
        return wrap(load_scene_net(weights), device=device, name=f"scene classifier from {weights}")
    config = load_scenes(int(match[1] or 0)).model.config
    view = wrap(random_scene_net(config, seed), device=device, name=f"scene classifier, random weights of seed {seed}")
    view.random_weights = RandomWeights.of(view.model, seed)
    return view


def wrap(model: SceneNet, *, device: str | torch.device | None = None, name: str = "scene classifier") -> SceneView:
    """A view of a network of one's own training; the module itself is moved if a ``device`` is given."""
    return SceneView(model if device is None else model.to(device), name=name)
