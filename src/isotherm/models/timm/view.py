"""timm's image models as views.

``wrap`` takes a model that the user has, ``load`` a name from timm's list. Pictures are prepared by the model's own
data configuration, tokens are placed by what the model declares.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from isotherm.cam.activation import Activation
from isotherm.cam.capture import original_module
from isotherm.cam.premises import Premise, Source
from isotherm.errors import AdapterError, MissingExtraError, OptionError, WeightsError
from isotherm.models.family import takes_options_of
from isotherm.models.shared.classifier import ClassifierView, TransformerView, numbered
from isotherm.models.shared.input_options import InputOptions
from isotherm.models.shared.own_transform import Preparation
from isotherm.models.shared.premises import assumed, names_premise, why_assumed, with_weights_named
from isotherm.models.shared.preprocess import CAN_BE_GIVEN, Geometry, Preprocess, size_of
from isotherm.models.weights.configs import read_checked
from isotherm.models.weights.files import open_weights, unfetched
from isotherm.models.weights.fitting import as_named, load_fitting, needed
from isotherm.models.weights.hub import hub_at_once

GEOMETRY_OF_CROP_MODE = {"center": "crop", "squash": "squash", "border": "letterbox"}


def wrap(
    model: nn.Module,
    *,
    names: Sequence[str] | None = None,
    size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    geometry: Geometry | None = None,
    preprocess: Any = None,
    activation: Activation | None = None,
) -> ClassifierView:
    """A view of a timm model.

    Args:
        model: eager, compiled or data-parallel; on any device, in any floating-point type. Nothing in it changes.
            Without a classifier (``num_classes=0``) its embedding is the answer.
        names: class names, one per logit. Without: ImageNet's, for a model with the number of classes of one of its
            versions that timm has labels of; otherwise "class 0", ...
        size: one side or (h, w) of the input; that of the model's patch grid or data configuration unless given.
        mean, std: of pixels in [0, 1]; those of the data configuration unless given.
        geometry: how a picture of another aspect ratio is fitted, see
            :data:`isotherm.models.shared.preprocess.Geometry`; the configuration's crop mode unless given.
        preprocess: a callable from a picture to the model's input, in place of size, mean, std and geometry:
            torchvision's or timm's transforms, an image processor, albumentations, a function. Where its pixels come
            from is measured.
        activation: what makes a class's probability of its logit, ``softmax`` or ``sigmoid``, where the model was
            trained so and does not say it: the probability then stands beside the logit.

    Raises:
        AdapterError: a feature extractor without one answer per picture, traced or quantised.
    """
    _need_timm()
    from isotherm.models.timm.layers import is_plain_vit, known_layer, order_of, token_head, token_rule

    inner: Any = original_module(model)
    if not hasattr(inner, "get_classifier"):
        raise AdapterError(
            f"{type(inner).__name__} is not a timm classifier (no get_classifier); "
            "create it without features_only=True, or wrap it with the torchvision adapter, which takes any module that puts out logits"
        )
    fixed = fixed_size(inner)
    if size is not None and fixed is not None and size_of(size) != fixed:
        raise OptionError(
            f"this {type(inner).__name__} reads {fixed[0]} x {fixed[1]} pixels only, but size is {size}; create it with img_size={size}"
        )
    options = InputOptions(
        names=names, size=size, mean=mean, std=std, geometry=geometry, transform=preprocess, activation=activation
    )
    sized = options if preprocess is not None else replace(options, size=fixed or size)
    preprocess = sized.preprocess(preprocess_of(inner))
    if fixed is not None and preprocess.size != fixed:
        raise OptionError(
            f"this {type(inner).__name__} reads {fixed[0]} x {fixed[1]} pixels only, but preprocess= gives {preprocess.size}"
        )
    tokens = token_rule(inner)(preprocess.size)
    patch = None if tokens is None else tokens.patch
    if fixed is None and patch is not None and any(s % p for s, p in zip(preprocess.size, patch, strict=True)):
        raise OptionError(
            f"size {preprocess.size} is not a multiple of this {type(inner).__name__}'s patch of {patch[0]} x {patch[1]} pixels; choose one that is"
        )
    classifier = inner.get_classifier()
    heads = [
        h for h in (classifier if isinstance(classifier, tuple | list) else (classifier,)) if isinstance(h, nn.Linear)
    ]
    outputs = int(inner.num_classes) or embedding_size(inner)
    options.check_names(outputs, what=f"outputs of this {type(inner).__name__}", one="output")
    arguments: dict[str, Any] = dict(
        name=f"{(getattr(inner, 'pretrained_cfg', None) or {}).get('architecture', type(inner).__name__)} (timm)",
        names=names or names_of(inner),
        preprocess=preprocess,
        heads=heads,
        known=known_layer(inner),
        tokens=token_rule(inner),
        four=order_of(inner),
        embeds=int(inner.num_classes) == 0,
        premises=_premises(inner, preprocess, options),
        **options.trained(outputs),
    )
    return (
        TransformerView(inner, **arguments, **token_head(inner))
        if is_plain_vit(inner)
        else ClassifierView(inner, **arguments)
    )


@takes_options_of(wrap)
def load(
    name: str,
    *,
    weights: str | os.PathLike[str] = "auto",
    seed: int = 0,
    device: str | torch.device = "cpu",
    allow_code: Any = None,
    **options: Any,
) -> ClassifierView:
    """A view of one of timm's models, by name.

    Args:
        name: as in ``timm.list_models()``, with or without a tag (``vit_base_patch16_224.augreg_in21k``), or
            ``hf-hub:owner/name``.
        weights: "auto" downloads timm's (or takes them from the cache); "none" leaves seeded random ones; anything else
            is the path of a state dict, whose number of classes the model then gets.
        seed: of random weights.
        device: where the model goes.
        allow_code: a weights file that may run code while it is opened, or the ``config.json`` of a model on a hub that
            may hand arguments on.
        options: names, size, mean, std, geometry, as in :func:`wrap`. Transformers of a fixed size are built for
            ``size``.

    Raises:
        AdapterError: no such model; the message has the nearest names.
        WeightsError: the weights cannot be downloaded, read, or do not fit.
    """
    _need_timm()
    import timm

    on_hub = name.startswith(("hf-hub:", "hf_hub:"))
    if not on_hub and not timm.is_model(name.partition(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0.5)
        raise AdapterError(
            f"timm has no model {name!r}; " + (f"did you mean {', '.join(near)}?" if near else "see timm.list_models()")
        )
    if on_hub and weights != "auto":
        raise OptionError(
            f"{name} is a model on a hub: its structure comes with its weights, so weights must be 'auto'; for a file give timm's own model name"
        )
    built: dict[str, Any] = {}
    size = options.get("size")
    if size is not None and not on_hub and _takes_size(name):
        built["img_size"] = size_of(size)
    if weights == "auto":
        with hub_at_once() as cut_off:
            try:
                model = timm.create_model(_checked(name, allow_code) if on_hub else name, pretrained=True, **built)
            except (AdapterError, WeightsError):
                raise
            except Exception as error:  # timm lets its downloaders' many kinds of error through
                first = str(error).splitlines()[0] if str(error) else "no reason given"
                raise unfetched(name, cut_off or f"{type(error).__name__}: {first}") from error
    elif weights == "none":
        model = build(name, seed, **built)
    else:
        model = _fitted(name, open_weights(Path(weights), allow_code=allow_code), Path(weights), seed, built)
    view = wrap(model.to(device).eval(), **options)
    if weights != "auto":
        view.premises = assumed(
            view.premises,
            "input",
            why_assumed(weights, f"those of timm's {name} are", f"timm's own weights of {name} are"),
        )
    return with_weights_named(view, name, weights, seed, package="timm", own="timm weights")


def _checked(name: str, allow_code: Any) -> str:
    """The name of a model on a hub with the very revision whose configuration was checked.

    The configuration's ``model_args`` become arguments of the model, and ``checkpoint_path`` among them would open any
    file.
    """
    from huggingface_hub import hf_hub_download

    repository, _, revision = name.partition(":")[2].partition("@")
    fpath = Path(hf_hub_download(repository, "config.json", revision=revision or None))
    read_checked(fpath, allow_code=allow_code)
    return f"hf-hub:{repository}@{fpath.parent.name}"  # the cache has one folder per revision, named after it


def preprocess_of(model: Any) -> Preprocess:
    """The evaluation transform of timm's data configuration
    (``create_transform(**resolve_data_config(model=model))``).
    """
    return preprocess_from(getattr(model, "pretrained_cfg", None) or {})


def preprocess_from(pretrained_cfg: Mapping[str, Any]) -> Preprocess:
    """The evaluation transform that a configuration of timm's declares; what it leaves out is timm's default."""
    from timm.data import resolve_data_config

    # timm asks for something to resolve, and takes its defaults where an empty configuration has nothing
    config = resolve_data_config({"in_chans": None}, pretrained_cfg=dict(pretrained_cfg))
    size = size_of(config["input_size"][1:])
    resize = (math.floor(size[0] / config["crop_pct"]), math.floor(size[1] / config["crop_pct"]))
    return Preprocess(
        size=size,
        resize=resize,
        geometry=GEOMETRY_OF_CROP_MODE[config["crop_mode"] or "center"],  # type: ignore[arg-type]
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def names_of(model: Any) -> list[str]:
    """ImageNet's names from timm's own tables, for models with the classes of one of its versions; numbers
    otherwise.
    """
    from timm.data import ImageNetInfo, infer_imagenet_subset

    if int(model.num_classes) == 0:
        return numbered(embedding_size(model), "feature")
    subset = infer_imagenet_subset(model)
    return numbered(int(model.num_classes)) if subset is None else list(ImageNetInfo(subset).label_descriptions())


def _premises(model: Any, preprocess: Preparation, options: InputOptions) -> tuple[Premise, ...]:
    """What is taken for granted: a configuration declares the input; a number of classes only suggests whose names they
    are.
    """
    from timm.data import infer_imagenet_subset

    config = getattr(model, "pretrained_cfg", None) or {}
    declares = any(config.get(key) is not None for key in ("input_size", "mean", "std"))
    label = ".".join(filter(None, (config.get("architecture"), config.get("tag")))) or type(model).__name__
    source: Source = "declared" if declares else "assumed"
    why = (
        f"timm's configuration of {label}"
        if declares
        else f"this {label} has no configuration (pretrained_cfg); it is timm's default, that of ImageNet; {CAN_BE_GIVEN}"
    )
    of_input = options.premises(preprocess, source=source, why=why)
    subset = infer_imagenet_subset(model) if int(model.num_classes) else None
    return (
        of_input
        if options.names is not None or subset is None
        else (*of_input, names_premise(subset.replace("imagenet", "ImageNet"), int(model.num_classes)))
    )


def embedding_size(model: Any) -> int:
    """Length of the answer of a model without classifier: some have one more layer between pooling and classifier."""
    return int(getattr(model, "head_hidden_size", None) or model.num_features)


def fixed_size(model: Any) -> tuple[int, int] | None:
    """The only input size that the model reads, or the one its patch grid was built for; None where any will do."""
    grid, stride = getattr(model, "tokens_spatial_shape", None), getattr(model, "patch_stride", None)
    if grid is not None and stride is not None:  # Hiera's units of windows are those of one grid
        return int(grid[0] * stride[0]), int(grid[1] * stride[1])
    embedding = getattr(model, "patch_embed", None) or getattr(model, "stem", None)
    size = getattr(embedding, "img_size", None)
    if size is None or not getattr(embedding, "strict_img_size", True):
        return None
    return size_of(size)


def _takes_size(name: str) -> bool:
    """True where the model is built for one input size, as transformers with positions or windows are."""
    import timm

    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    return getattr(getattr(model, "patch_embed", None), "img_size", None) is not None


def build(name: str, seed: int, **config: Any) -> Any:
    """timm's model of that name with seeded random weights; the surrounding random state stays as it is."""
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return timm.create_model(name, pretrained=False, **config)


def _fitted(name: str, state: Any, fpath: Path, seed: int, built: dict[str, Any]) -> Any:
    """The model with a state dict's weights, and with as many classes as the state dict has."""
    model = build(name, seed, **built)
    state = as_named(state, needed(model.state_dict()), fpath)
    classifier = model.get_classifier()
    head = classifier[0] if isinstance(classifier, tuple | list) else classifier
    key = next((n for n, module in model.named_modules() if module is head), "") + ".weight"
    if key not in model.state_dict() or key not in state:
        count = 0 if key in model.state_dict() else int(model.num_classes)
    else:
        count = int(state[key].shape[0])
    if count != int(model.num_classes):
        model = build(name, seed, num_classes=count, **built)
    load_fitting(model, state, name, fpath)
    return model


def _need_timm() -> None:
    try:
        import timm  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("timm", "models", "reading a timm model") from error
