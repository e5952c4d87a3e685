"""Opening transformers models by name or folder: safetensors first, never anybody's code."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch

from isotherm.errors import AdapterError, IsothermError, MissingExtraError, WeightsError
from isotherm.models.weights.configs import check_adapter, check_index, check_settings, read_checked

DEFAULT_PROCESSORS = {
    "rt_detr_v2": "RTDetrImageProcessor",
    "d_fine": "RTDetrImageProcessor",
    "dinov2_with_registers": "BitImageProcessor",
    "dinov3_convnext": "DINOv3ViTImageProcessor",
    "clip_vision_model": "CLIPImageProcessor",
    "siglip_vision_model": "SiglipImageProcessor",
}
"""What the hub's checkpoints of families without a processor of their own use."""


BESIDE = {
    "preprocessor_config.json": check_settings,
    "processor_config.json": check_settings,
    "video_preprocessor_config.json": check_settings,
    "tokenizer_config.json": check_settings,
    "generation_config.json": check_settings,
    "adapter_config.json": check_adapter,
}
"""Configurations that are read beside ``config.json``, and what each must not do."""
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def need_transformers() -> None:
    """Raises MissingExtraError where the package is not installed."""
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("transformers", "models", "reading a transformers model") from error


def open_config(name: str, *, allow_code: Any = None) -> Any:
    """The configuration of a hub name or folder, checked as plain data before the package sees it.

    Args:
        name: of the folder or repository.
        allow_code: the ``config.json`` that may hand arguments on, as the user said.

    Raises:
        AdapterError: something in it could open files or run code, and nobody allowed that.
        WeightsError: there is none.
    """
    from transformers import AutoConfig

    try:
        fpath = _file_of(name, "config.json", needed=True) or Path(name)
        settings = read_checked(fpath, allow_code=allow_code)
        check_beside(name, allow_code)
        settings.pop("configuration_files", None)  # names other files for other versions, which nobody has looked at
        with tempfile.TemporaryDirectory(prefix="isotherm-") as dpath:
            (Path(dpath) / "config.json").write_text(json.dumps(settings), "utf-8")  # what was checked is what is read
            config = AutoConfig.from_pretrained(dpath, trust_remote_code=False)
    except IsothermError:
        raise
    except Exception as error:  # what does not fit, the package says by errors of any kind, some of other packages
        raise _translated(name, "configuration", error) from error
    config.name_or_path = name
    return config


def _file_of(name: str, file_name: str, *, needed: bool = False) -> Path | None:
    """A file of a folder, or of a hub name (fetched, or from the cache); None where there is none and none is
    needed.
    """
    from transformers.utils import cached_file

    if Path(name).is_dir():
        fpath = Path(name) / file_name
        return fpath if needed or fpath.is_file() else None
    quiet = {f"_raise_exceptions_for_{what}": needed for what in ("missing_entries", "connection_errors", "gated_repo")}
    cached = cached_file(name, file_name, **quiet)
    return None if cached is None else Path(cached)


def check_beside(name: str, allow_code: Any) -> None:
    """Raise AdapterError where a file beside the configuration leads out of a folder or to code."""
    for file_name, check in BESIDE.items():
        fpath = _file_of(name, file_name)
        if fpath is not None:
            read_checked(fpath, allow_code=allow_code, check=check)
    for index in INDEXES:
        if (fpath := Path(name) / index).is_file():
            check_index(fpath)


def class_of(config: Any) -> Any:
    """The model class that a configuration was saved with, or the first of the family that has a job here."""
    import transformers

    named = config.architectures if isinstance(config.architectures, list) else []
    for architecture in named:
        cls = getattr(transformers, architecture, None) if isinstance(architecture, str) else None
        # the package has functions and pipelines by name as well, and models of other configurations
        if (
            isinstance(cls, type)
            and issubclass(cls, transformers.PreTrainedModel)
            and isinstance(config, cls.config_class or ())
        ):
            return cls
    autos = (
        "ObjectDetection",
        "ZeroShotObjectDetection",
        "SemanticSegmentation",
        "UniversalSegmentation",
        "DepthEstimation",
        "ImageClassification",
        "VideoClassification",
        "ImageTextToText",
    )
    for auto in autos:
        mapping = getattr(transformers, f"AutoModelFor{auto}")._model_mapping
        cls = mapping.get(type(config), None)
        if cls is not None:
            return cls[0] if isinstance(cls, tuple) else cls
    raise AdapterError(
        f"the configuration names {', '.join(map(str, named)) or 'no model class'} of type {config.model_type!r}, which this "
        "transformers does not have as a classifier of pictures or clips, segmenter, detector or vision-language model"
    )


def open_model(
    name: str,
    config: Any,
    *,
    weights: str | os.PathLike[str],
    seed: int,
    allow_code: Any,
    dtype: torch.dtype = torch.float32,
) -> Any:
    """The model with the weights of its hub name or folder, with seeded random ones, or with those of a file or
    folder.
    """
    model_class = class_of(config)
    if weights == "none":
        if getattr(config, "use_pretrained_backbone", False):
            config.use_pretrained_backbone = False  # it would be downloaded
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return model_class(config).to(dtype).eval()
    source = name if weights == "auto" else os.fspath(weights)
    if weights != "auto" and Path(source).is_dir():
        check_beside(source, allow_code)
    state = None
    if weights != "auto" and not Path(source).is_dir():
        from isotherm.models.weights.files import open_weights

        state = open_weights(Path(source), allow_code=allow_code)
    return _pretrained(model_class, config, source, state, dtype)


def _pretrained(model_class: Any, config: Any, source: str, state: Any, dtype: torch.dtype) -> Any:
    """The model with the weights of a hub name or folder, or with ``state``; the package's loader translates old
    names.
    """
    arguments: dict[str, Any] = {
        "pretrained_model_name_or_path": None if state is not None else source,
        "state_dict": state,
    }
    try:
        model, info = model_class.from_pretrained(
            **arguments,
            config=config,
            dtype=dtype,
            weights_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # a network that cannot be built fails anywhere in it
        raise _translated(source, "weights", error) from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise WeightsError(
            f"{source} holds no weights for {len(missing)} parts of {model_class.__name__} ({', '.join(missing[:3])}), which would stay random; "
            "is it a checkpoint of another model, or of one without a head?"
        )
    return model.eval()


def open_processor(name: str) -> Any | None:
    """The processor saved with a model; None where there is none."""
    from transformers import AutoImageProcessor, AutoProcessor

    has = any((Path(name) / f).is_file() for f in ("preprocessor_config.json", "processor_config.json"))
    if Path(name).is_dir() and not has:
        return None
    for auto in (AutoProcessor, AutoImageProcessor):
        try:
            processor = auto.from_pretrained(name, trust_remote_code=False)
        except Exception as error:
            last: Exception = error
            continue
        if (
            hasattr(processor, "image_processor")
            or hasattr(processor, "image_mean")
            or hasattr(processor, "preprocess")
        ):
            return processor
    raise _translated(name, "processor", last) from last


def default_processor(config: Any) -> Any:
    """The image processor that a family has unless told."""
    import transformers
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING

    if config.model_type == "timm_wrapper":
        raise AdapterError(
            f"this is timm's {config.architecture} in a wrapper of transformers, and its pixels are timm's affair; name timm's model and give "
            f"the weights as a file, such as --model timm:{config.architecture} --weights FOLDER/model.safetensors"
        )
    named = DEFAULT_PROCESSORS.get(config.model_type)
    if named:
        return getattr(transformers, named)()
    try:
        classes = IMAGE_PROCESSOR_MAPPING[type(config)]
    except KeyError as error:
        raise AdapterError(
            f"no image processor is known for models of type {config.model_type!r}; pass processor= as the model was trained with"
        ) from error
    made: Any = classes.get("torchvision") or classes["pil"] if isinstance(classes, dict) else classes
    return made()


def _translated(name: str, what: str, error: Exception) -> AdapterError | WeightsError:
    message = str(error).strip().splitlines()[0] if str(error).strip() else ""
    if "trust_remote_code" in str(error):
        return AdapterError(
            f"{name} needs Python code of its own that would have to be downloaded and run; isotherm never does that. Use a model that transformers has itself"
        )
    if isinstance(error, pickle.UnpicklingError):
        problem = f"the {what} of {name} are a broken pickle, or one that asks for more than tensors, which could run code; it was not opened"
        return WeightsError(
            f"{problem}. Save them as safetensors, or give the file as weights= and, if you trust it, as allow_code=",
            command_line=f"{problem}. Save them as safetensors, or give the file as --weights and, if you trust it, as --allow-code",
        )
    if Path(name).exists():
        return WeightsError(
            f"the {what} in {name} cannot be read ({type(error).__name__}: {message}); was it written by save_pretrained, for this model, and completely?"
        )
    return WeightsError(
        f"the {what} of {name} cannot be fetched ({type(error).__name__}: {message}); check the name and the network, or give a folder "
        "written by save_pretrained"
    )
