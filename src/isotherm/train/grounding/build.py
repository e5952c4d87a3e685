"""Which grounding model: a language model by name and a head, made from a configuration, kept as safetensors and opened
again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from isotherm import limits
from isotherm.errors import InputError, OptionError, WeightsError
from isotherm.grounding.answer import UNFITTED, Calibration
from isotherm.grounding.model import PROBES, Conditioning, GroundingModel, state_size
from isotherm.grounding.outputs import Outputs
from isotherm.headed import HeadedFile
from isotherm.heads import ConvexUpsample, DeconvHead, Head, LinearHead, PixelShuffleHead
from isotherm.models.choose import open_with
from isotherm.train.grounding.objective import GroundingObjective
from isotherm.train.peft import Lora, adapt_blocks
from isotherm.train.recipe import from_plain
from isotherm.untrusted.networks import built
from isotherm.vlm.batch import BatchedView

FORMAT = "isotherm.grounding/1"
NOUN = "a grounding model of isotherm"
FILE = HeadedFile(format=FORMAT, noun=NOUN, advice="expected a model.safetensors of a training run")
HALF = HeadedFile(format=FORMAT, noun=NOUN, advice="expected a model.safetensors of a training run", half=True)
"""The same in half precision on the disk, for what ships; read back in single precision, as any of them."""
HEADS = {"convex": ConvexUpsample, "deconv": DeconvHead, "pixel_shuffle": PixelShuffleHead, "linear": LinearHead}
SHIPPED = "tiny-grounding-0.safetensors"
LAST, BEST = "model.safetensors", "best.safetensors"
MOST_RATIO, BOTTLENECK = 14, 256


@dataclass(frozen=True, kw_only=True)
class GroundingChoice:
    """A language model and a head.

    Args:
        model: a name as :func:`isotherm.open_model` takes it, such as ``google/paligemma-3b-pt-224``, or a folder.
        pretrained: weights of the name; otherwise seeded random ones.
        dtype: of the language model's weights; the head computes in float32.
        frozen: the language model is not trained.
        lora: trains small matrices beside the layers of its language part instead of its weights.
        checkpointing: recompute its layers in the backward pass, which takes a third more time and far less memory.
        conditioning: how the instruction arrives, see :data:`isotherm.grounding.model.Conditioning`.
        normalise: a layer norm in front of the head.
        head: 'convex', 'deconv', 'pixel_shuffle' or 'linear'.
        head_options: passed to it; of a convex head ratio and hidden_dim are chosen where they are not given: as many
            map cells as a token has pixels, 14 at most, through 256 channels at most.
        side: of the square that pictures are letterboxed into, in pixels; None: what the language model takes.
        views: 'together' asks about all pictures of an instruction in one prompt, 'apart' about each by itself.
        seed: of random weights.
    """

    model: str = "google/paligemma-3b-pt-224"
    pretrained: bool = True
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    frozen: bool = True
    lora: Lora | None = None
    checkpointing: bool = False
    conditioning: Conditioning = "auto"
    normalise: bool = True
    head: Literal["convex", "deconv", "pixel_shuffle", "linear"] = "convex"
    head_options: Mapping[str, Any] = field(default_factory=dict)
    side: int | None = None
    views: Literal["together", "apart"] = "apart"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, hint in (
            ("head", tuple(HEADS)),
            ("conditioning", get_args(Conditioning)),
            ("views", ("together", "apart")),
        ):
            if getattr(self, name) not in hint:
                raise OptionError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(hint)}")
        if self.lora is not None and self.frozen:
            raise OptionError(
                "lora adapts the language model, so it is not frozen; choose frozen=False (its own weights stay all the same)"
            )
        if self.side is not None and not 16 <= self.side <= limits.MODEL_SIDE:
            raise OptionError(f"side is {self.side}; expected at least 16 pixels, and at most {limits.MODEL_SIDE}")

    @property
    def whole(self) -> bool:
        """Whether all of the language model is trained, and so is kept with the head."""
        return not self.frozen and self.lora is None


def open_language_model(choice: GroundingChoice) -> BatchedView:
    """The language model of a configuration alone.

    Raises:
        OptionError: the name is of a model that answers no questions about pictures.
    """
    weights = {} if choice.pretrained else {"weights": "none"}
    view = open_with(choice.model, weights, where_taken={"dtype": choice.dtype, "seed": choice.seed}).view
    if not isinstance(view, BatchedView):
        raise OptionError(
            f"model is {choice.model!r}, which is no vision-language model; choose one such as google/paligemma-3b-pt-224, Qwen/Qwen3-VL-2B-Instruct or HuggingFaceTB/SmolVLM-256M-Instruct"
        )
    return view


def make_grounding(
    choice: GroundingChoice,
    outputs: Outputs,
    *,
    view: BatchedView | None = None,
    probes: tuple[str, str] | None = PROBES,
) -> GroundingModel:
    """The model of a configuration.

    Args:
        choice: of everything.
        outputs: what its head shall put out.
        view: the language model, where it is open already.
        probes: two instructions that the model knows, to see whether they arrive; None: not looked at.

    Raises:
        OptionError: options that the head does not have. And as the language model's loader.
    """
    view = open_language_model(choice) if view is None else view
    language: Any = view.model
    if choice.lora is not None:
        adapt_blocks(language, list(language.get_decoder().layers), choice.lora, seed=choice.seed)
    if choice.checkpointing:
        # the second is its name before transformers 5.20
        enable = getattr(language, "activation_checkpointing_enable", None) or language.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    options = dict(choice.head_options)
    dim = state_size(view)
    if choice.head in ("convex", "linear", "pixel_shuffle"):
        options.setdefault("ratio", _ratio(view, side_of(choice, view)))
    if choice.head == "convex" and dim > BOTTLENECK:
        options.setdefault("hidden_dim", BOTTLENECK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(choice.seed + 1)
        try:
            head: Head = built(lambda: HEADS[choice.head](dim, outputs.channels, **options), most=limits.PARAMETERS)  # type: ignore[abstract]
        except TypeError as error:
            raise OptionError(f"head_options are {dict(choice.head_options)}: {error}") from error
        return GroundingModel(
            view,
            head,
            conditioning=choice.conditioning,
            frozen=choice.frozen,
            normalise=choice.normalise,
            probes=probes,
        )


def side_of(choice: GroundingChoice, view: BatchedView) -> int:
    """The side of the squares that pictures are letterboxed into: the choice's, or what the language model takes."""
    if choice.side is not None:
        return choice.side
    side = getattr(getattr(view, "layout", None), "side", None)
    return int(side) if side else 448


def map_size(model: GroundingModel, *, side: int, views: int) -> tuple[int, int]:
    """(h, w) of the maps of pictures of a side."""
    blank = [[np.zeros((side, side, 3), np.uint8)] * views]
    h, w = model.batch(blank, ["find it"]).grids[0].frame.size
    return h * model.head.ratio, w * model.head.ratio


def _ratio(view: BatchedView, side: int) -> int:
    blank = [[np.zeros((side, side, 3), np.uint8)]]
    return max(1, min(MOST_RATIO, side // max(view.batch(blank, ["find it"]).grids[0].frame.size)))


@dataclass(frozen=True, kw_only=True)
class TrainedGrounding:
    """A trained model with what is needed to use it.

    Args:
        model: in evaluation mode.
        choice, objective, outputs, side: how it was made and what its maps mean.
        views: pictures of a prompt.
        view_names: of them, where the data say so.
        calibration: how sure its maps may be taken to be.
        facts: whatever else is known of it, as plain data.
    """

    model: GroundingModel
    choice: GroundingChoice
    objective: GroundingObjective
    outputs: Outputs
    side: int
    views: int = 1
    view_names: tuple[str, ...] = ()
    calibration: Calibration = UNFITTED
    facts: Mapping[str, Any] = field(default_factory=dict)


def save_grounding(trained: TrainedGrounding, fpath: str | os.PathLike[str], *, half: bool = False) -> Path:
    """Weights and everything else in one safetensors file, whole or not at all; what was not trained stays with its
    name.

    Args:
        trained: the model.
        fpath: the file.
        half: numbers in half precision, as for what ships.
    """
    header = {
        "choice": asdict(trained.choice),
        "objective": asdict(trained.objective),
        "outputs": asdict(trained.outputs),
        "side": trained.side,
        "views": trained.views,
        "view_names": trained.view_names,
        "calibration": asdict(trained.calibration),
        "instruction_change": trained.model.instruction_change,
        "facts": dict(trained.facts),
    }
    spare = _spare(trained.model)
    tensors = {name: value for name, value in trained.model.state_dict().items() if name not in spare}
    return (HALF if half else FILE).write(fpath, tensors, header)


def _spare(model: nn.Module) -> set[str]:
    """Names of weights that a file need not hold: frozen ones, and those that are another one by another name."""
    spare = {name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    first: dict[int, str] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if first.setdefault(id(value), name) != name:
            spare.add(name)
    return spare


def open_grounding(
    where: str | os.PathLike[str] | None = None, *, model: GroundingModel | None = None
) -> tuple[TrainedGrounding, str]:
    """(a trained grounding model, a line that says which one it is).

    Args:
        where: the folder of a training run, a file that :func:`save_grounding` wrote, or None: the small one that ships
            with isotherm.
        model: one that was made by the same choice and is filled in place, instead of a new one.

    Raises:
        InputError: there is no such folder, or it holds no trained model yet.
        WeightsError: the file is damaged, of another format, or does not fit its own description.
    """
    if where is None:
        path = Path(str(files("isotherm") / "assets" / SHIPPED))
        if not path.is_file():
            raise WeightsError(
                f"{SHIPPED} is missing from this installation's assets; reinstall isotherm, make it by isotherm train tiny-grounding, or name a run of your own with --run"
            )
        return _opened(path, model), (
            f"the small model that ships with isotherm ({SHIPPED}), since no run was named; it knows generated tables with coloured blocks alone"
        )
    path = Path(where)
    if path.is_file():
        return _opened(path, model), f"model {path}"
    for name, why in ((BEST, "the best by validation"), (LAST, "the last one")):
        if (path / name).is_file():
            return _opened(path / name, model), f"model {path / name}, {why}"
    if not path.exists():
        raise InputError(
            f"there is no {path}; expected the folder of a training run, such as runs/grounding-001, or a .safetensors file of one"
        )
    raise InputError(
        f"{path} holds no trained grounding model ({BEST} or {LAST}); expected the folder of a training run, such as runs/grounding-001"
    )


def _opened(path: Path, model: GroundingModel | None) -> TrainedGrounding:
    weights = HALF.read(path)
    with FILE.reading(path):
        header = dict(weights.header)
        choice = from_plain(GroundingChoice, header["choice"])
        objective = from_plain(GroundingObjective, header["objective"])
        outputs = from_plain(Outputs, header["outputs"])
        rest: dict[str, Any] = {
            "side": int(header["side"]),
            "views": int(header["views"]),
            "view_names": tuple(map(str, header["view_names"])),
            "calibration": from_plain(Calibration, header["calibration"]),
            "facts": dict(header["facts"]),
        }
        change = header["instruction_change"]
        if model is None:
            model = make_grounding(choice, outputs, probes=None)
            model.instruction_change = change
    FILE.fill(model, _fitting(weights.tensors, model), path, spare=_spare(model))
    return TrainedGrounding(model=model.eval(), choice=choice, objective=objective, outputs=outputs, **rest)


def _fitting(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Numbers in the types of the model's own, which a language model may have in half precision."""
    own = model.state_dict()
    return {name: value.to(own[name].dtype) if name in own else value for name, value in tensors.items()}
