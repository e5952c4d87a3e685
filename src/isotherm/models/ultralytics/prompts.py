"""What a YOLOE looks for: words, boxes drawn on a picture, or embeddings made before.

A prompt becomes class embeddings that are handed to the model with each run, so the model itself is never changed
(the package's ``set_classes`` writes into it, and leaves inference tensors that autograd refuses).
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.view import Inputs, Picture
from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.frame import Size
from isotherm.models.ultralytics.description import check_text_model
from isotherm.models.ultralytics.head import borrowed, head_of
from isotherm.models.ultralytics.input import letterbox

CLIP_SOURCE = "git+https://github.com/ultralytics/CLIP.git"
MASK_STRIDE = 8
"""Input pixels per cell of the masks that visual prompts are drawn as."""


@dataclass(frozen=True)
class TextPrompt:
    """Class names in words. Needs the text encoder that belongs to the model, which the package downloads once."""

    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EmbeddingPrompt:
    """Class embeddings made before, as the package's ``get_text_pe`` or ``get_visual_pe`` return them.

    Args:
        names: k class names.
        values: (k, d).
    """

    names: tuple[str, ...]
    values: Float[Tensor, "k d"]


@dataclass(frozen=True, eq=False)
class VisualPrompt:
    """Things to look for, shown by boxes on a picture.

    Args:
        boxes: (n, 4) x0, y0, x1, y1 in pixels of the picture.
        classes: n class numbers from 0; boxes of one number show the same kind of thing. One class if None.
        picture: where the boxes are; None: on every picture that is explained.
        names: names of the classes; object0, object1, ... if None.
    """

    boxes: Sequence[Sequence[float]]
    classes: Sequence[int] | None = None
    picture: Picture | None = None
    names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, like: Mapping[str, Sequence[Sequence[float]]]) -> VisualPrompt:
        """The prompt of boxes by the names of what they show.

        Example:
            >>> VisualPrompt.of({"bus": [(0, 0, 9, 9), (9, 9, 20, 20)], "wheel": [(2, 2, 4, 4)]}).classes
            [0, 0, 1]
        """
        return cls(
            boxes=[box for boxes in like.values() for box in boxes],
            classes=[number for number, boxes in enumerate(like.values()) for _ in boxes],
            names=tuple(like),
        )

    @property
    def numbers(self) -> list[int]:
        return [0] * len(self.boxes) if self.classes is None else [int(c) for c in self.classes]

    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the class numbers."""
        count = len(set(self.numbers))
        if not self.boxes or len(self.numbers) != len(self.boxes) or any(len(b) != 4 for b in self.boxes):
            raise OptionError(
                f"a visual prompt has {len(self.boxes)} boxes and {len(self.numbers)} class numbers; expected as many, at least one, each box (x0, y0, x1, y1)"
            )
        if self.names is not None and len(self.names) != count:
            raise OptionError(
                f"a visual prompt names {len(self.names)} classes but its boxes show {count}; give one name per class number"
            )
        return self.names or tuple(f"object{i}" for i in range(count))


Prompt = TextPrompt | EmbeddingPrompt | VisualPrompt


def is_promptable(model: nn.Module) -> bool:
    """True for a YOLOE whose classes are not built in."""
    head = head_of(model)
    return hasattr(model, "get_text_pe") and hasattr(head, "savpe") and not hasattr(head, "lrpc")


def check_promptable(model: nn.Module, names: tuple[str, ...]) -> None:
    """Raises AdapterError for a model whose classes cannot be chosen."""
    if not is_promptable(model):
        raise AdapterError(
            f"this {type(model).__name__} takes no prompts: its classes are {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}; "
            "use a YOLOE with prompts, such as yoloe-11s-seg.pt"
        )
    if head_of(model).is_fused:
        raise AdapterError(
            "this YOLOE's classes are fused into its weights and cannot be changed; load the file again, unfused"
        )


def resolve_prompt(
    model: Any, prompt: Prompt | None, names: tuple[str, ...], *, size: Size, stride: int
) -> tuple[Float[Tensor, "o k d"] | None, tuple[str, ...]]:
    """Class embeddings, (1, k, d), and class names for a model; no embeddings where they depend on each picture.

    Raises:
        AdapterError: the model takes no prompts, or needs one.
        WeightsError: the text encoder cannot be had.
    """
    if not is_promptable(model):
        if prompt is not None:
            check_promptable(model, names)
        return None, names
    head = head_of(model)
    if prompt is None:
        own = getattr(model, "pe", None)
        if own is None:
            raise AdapterError(
                "this YOLOE has no classes of its own; give it words to look for (classes), or boxes around such things (like)"
            )
        return _plain(own, head), names
    check_promptable(model, names)
    if isinstance(prompt, EmbeddingPrompt):
        if len(prompt.names) != len(prompt.values) or prompt.values.shape[1] != head.embed:
            raise OptionError(
                f"an embedding prompt has {len(prompt.names)} names and values of shape {tuple(prompt.values.shape)}; this model needs one row of {head.embed} per name"
            )
        return _plain(prompt.values[None], head), tuple(prompt.names)
    if isinstance(prompt, TextPrompt):
        if not prompt.classes or any(not c.strip() for c in prompt.classes):
            raise OptionError(
                f"the class names to look for are {list(prompt.classes)}; give at least one, none of them empty"
            )
        return _plain(_encode_text(model, list(prompt.classes)), head), tuple(prompt.classes)
    names_of_prompt = prompt.class_names()
    if prompt.picture is None:
        return None, names_of_prompt
    like = next(model.parameters())
    inputs = letterbox(
        [prompt.picture], size, stride=stride, like=like, square=True
    )  # as the package does with a reference
    return visual_embeddings(model, inputs, prompt), names_of_prompt


def visual_embeddings(model: Any, inputs: Inputs, prompt: VisualPrompt) -> Float[Tensor, "b k d"]:
    """Embeddings of what the prompt's boxes show on each picture of a batch, (b, k, d), detached.

    They are made once and then kept fixed, so that what is explained is the finding, given what was looked for.
    """
    shape = (inputs.tensor.shape[-2], inputs.tensor.shape[-1])
    sources = inputs.frame.source_size.reshape(-1, 2).tolist()
    masks = torch.stack([_draw(prompt, (int(s[0]), int(s[1])), shape) for s in sources]).to(inputs.tensor)
    with torch.inference_mode(False), torch.no_grad(), evaluating(model), borrowed(head_of(model)):
        return model(inputs.tensor, vpe=masks, return_vpe=True).clone()


def _draw(prompt: VisualPrompt, source: Size, size: Size) -> Float[Tensor, "k h w"]:
    """The prompt's boxes as masks over the input, at the package's rounding."""
    from ultralytics.data.augment import LoadVisualPrompt

    boxes = np.array(prompt.boxes, dtype=np.float32)
    gain = min(size[0] / source[0], size[1] / source[1])
    boxes *= gain
    boxes[:, 0::2] += round((size[1] - round(source[1] * gain)) / 2 - 0.1)
    boxes[:, 1::2] += round((size[0] - round(source[0] * gain)) / 2 - 0.1)
    return LoadVisualPrompt(1 / MASK_STRIDE).get_visuals(np.asarray(prompt.numbers), size, bboxes=boxes)


def _encode_text(model: Any, classes: list[str]) -> Tensor:
    if "ultralytics.nn.text_model" not in sys.modules and importlib.util.find_spec("clip") is None:
        # the package would install it by itself, from a source repository, while importing
        raise WeightsError(
            f"turning {classes} into class embeddings needs CLIP's tokenizer, which is not installed; "
            f"run: pip install {CLIP_SOURCE}, show what to look for by boxes instead (like), or give an EmbeddingPrompt made elsewhere"
        )
    check_text_model(model, f"this {type(model).__name__}")  # any other name is a file that the package would open
    try:
        with evaluating(model), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)  # the file is theirs
            return model.get_text_pe(classes)
    except AttributeError as error:
        if hasattr(getattr(sys.modules.get("clip"), "clip", None), "tokenize"):
            raise
        raise WeightsError(
            f"the package named clip that is installed is not OpenAI's CLIP ({error}), whose tokenizer turns {classes} into class "
            f"embeddings; run: pip uninstall clip, then pip install {CLIP_SOURCE}"
        ) from error
    except (OSError, RuntimeError, ImportError) as error:
        raise WeightsError(
            f"the text encoder that turns {classes} into class embeddings cannot be had ({type(error).__name__}: {error}); "
            "it is downloaded on first use, so a network is needed once; or show what to look for by boxes instead (like), "
            "or give an EmbeddingPrompt made elsewhere"
        ) from error


def _plain(embeddings: Tensor, head: nn.Module) -> Tensor:
    """An ordinary tensor beside the head: prompts made in inference mode could not be saved for backward."""
    with torch.inference_mode(False):
        like = next(head.parameters())
        return embeddings.detach().clone().to(like.device, like.dtype)
