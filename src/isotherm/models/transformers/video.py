"""transformers' video classifiers as views: V-JEPA 2, VideoMAE, TimeSformer and ViViT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from isotherm.cam.activation import Activation
from isotherm.cam.premises import Premise
from isotherm.cam.view import Classification, Inputs, LayerChoice
from isotherm.errors import AdapterError, OptionError
from isotherm.frame import Frame, Size
from isotherm.models.shared.classifier import ClassifierOutput
from isotherm.models.shared.clip_classifier import ClipClassifierView
from isotherm.models.shared.clip_grids import ClipTokens
from isotherm.models.shared.preprocess import Preprocess
from isotherm.models.transformers.classify import embedding_of, heads_of, reading, trained_by
from isotherm.models.transformers.layers import last_named
from isotherm.models.transformers.prepare import Preparer

PROCESSORS = {
    "vjepa2": "VJEPA2VideoProcessor",
    "videomae": "VideoMAEVideoProcessor",
    "timesformer": "TimesformerVideoProcessor",
    "vivit": "VivitVideoProcessor",
}
BEFORE_LAST = "the normalisation in front of the last attention: what the answer is read from is made of these tokens"


class VideoPreparer(Preparer):
    """Frames of one clip through a video processor, which gets all of them as one video and chooses none itself."""

    def _process(self, pictures: Sequence[np.ndarray]) -> dict[str, Tensor]:
        further: dict[str, Any] = {"do_sample_frames": False} if hasattr(self.processor, "do_sample_frames") else {}
        out = self.processor(
            [np.stack(pictures)], return_tensors="pt", input_data_format="channels_last", **further, **self.options
        )
        tensor = out["pixel_values_videos" if "pixel_values_videos" in out else "pixel_values"]
        if not isinstance(tensor, Tensor) or tensor.ndim != 5 or tuple(tensor.shape[:2]) != (1, len(pictures)):
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise AdapterError(
                f"{self.name} makes {shape} of a clip of {len(pictures)} frames, but (1, t, c, h, w) is needed; give the model's own video processor"
            )
        return {"pixel_values": tensor[0]}


class TransformersVideoView(ClipClassifierView):
    """Fulfils :class:`isotherm.cam.clips.ClipView` for ``...ForVideoClassification``."""

    activation: Activation | None = None
    """As of :class:`isotherm.models.transformers.classify.ImageClassifierView`."""

    def __init__(self, model: Any, *, preparer: VideoPreparer, **arguments: Any) -> None:
        super().__init__(
            model,
            # pixels are the processor's affair
            preprocess=Preprocess(size=(1, 1)),
            default_method="hirescam",
            **arguments,
        )
        self.preparer = preparer

    def prepared(self, frames: Sequence[Any]) -> tuple[Tensor, Frame, Tensor]:
        """Frames by the model's own video processor."""
        made = self.preparer.batch(frames)
        assert made.blank is not None
        return made.tensor, made.frame[0], made.blank

    def run(self, inputs: Inputs) -> ClassifierOutput:
        """The forward pass; what the last linear layer reads is kept beside the logits."""
        with reading(heads_of(self.model)) as read:
            try:
                named: dict[str, Any] = {str(self.model.main_input_name): inputs.tensor}
                logits = self.model(**named, return_dict=True).logits
            except ValueError as error:
                raise AdapterError(
                    f"{self.name} does not take clips of {tuple(inputs.tensor.shape)} ({error}); leave size and frames out, which fit the model"
                ) from error
        return ClassifierOutput(logits, embedding_of(read, logits))

    def find(self, raw: ClassifierOutput, inputs: Inputs) -> Classification:
        """The logits with their names; probabilities where the configuration says that one class excludes the
        others, or that each is a question of its own.
        """
        trained = self.activation or trained_by(self.model.config)
        return Classification(
            raw.logits, self.names, raw.embedding, trained == "softmax", independent=trained == "sigmoid"
        )


def video_processor(config: Any) -> Any:
    """The video processor that a family has unless told."""
    import transformers

    return getattr(transformers, PROCESSORS[_family(config)])()


def _family(config: Any) -> str:
    family = str(config.model_type)
    if family not in PROCESSORS:
        raise AdapterError(
            f"the tokens of video models of type {family!r} are not known to isotherm; of transformers it reads {', '.join(PROCESSORS)}"
        )
    return family


def described_clips(config: Any) -> tuple[int, ClipTokens, Size]:
    """Of a configuration: how many frames the model is fed, what its tokens are, and (h, w) that it was made for.

    Raises:
        AdapterError: a family whose tokens nobody described, or a TimeSformer that never mixes its frames.
    """
    family = _family(config)
    if family == "vjepa2":
        patch, side = int(config.patch_size), int(config.crop_size)
        return int(config.frames_per_clip), ClipTokens(0, int(config.tubelet_size), (patch, patch)), (side, side)
    h, w = (config.image_size,) * 2 if isinstance(config.image_size, int) else tuple(config.image_size)
    if family == "vivit":
        tubelet, *patch_size = (int(n) for n in config.tubelet_size)
        return int(config.num_frames), ClipTokens(1, tubelet, (patch_size[0], patch_size[1])), (h, w)
    patch = int(config.patch_size)
    if family == "videomae":
        return int(config.num_frames), ClipTokens(0, int(config.tubelet_size), (patch, patch)), (h, w)
    if config.attention_type == "space_only":
        raise AdapterError(
            "this TimeSformer attends in space only: it puts its frames into one batch and has no tokens over time; explain an image model"
        )
    return int(config.num_frames), ClipTokens(1, 1, (patch, patch), time_last=True), (h, w)


def known_layer(model: Any) -> LayerChoice:
    """The layer to explain of a family, and why."""
    family = str(model.config.model_type)
    if family == "vjepa2":
        return LayerChoice(
            ("vjepa2.encoder.layernorm",),
            "the encoder's last normalisation: the pooler's attention reads all of its tokens",
        )
    if family == "timesformer":
        # divided attention regroups tokens inside of a block, so that its norms have no place; its input has
        blocks = len(model.timesformer.encoder.layer)
        at = f"timesformer.encoder.layer.{blocks - 2}" if blocks > 1 else "timesformer.embeddings"
        return LayerChoice((at,), "what the last block reads: behind it only the class token goes on to the answer")
    name = last_named(model, r".*\.layernorm_before")
    assert name is not None
    return LayerChoice((name,), BEFORE_LAST)


def wrap_video(
    model: Any, *, processor: Any, names: Sequence[str], size: int | Sequence[int] | None, frames: int | None
) -> TransformersVideoView:
    """The view of a video classifier.

    Args:
        processor: its video processor; None: the family's default, at the size that the configuration names.
        names: of the classes.
        size: of the input in place of the processor's.
        frames: how many the model is fed, for V-JEPA 2, which takes any number of whole tubelets.
    """
    config, kind = model.config, type(model).__name__
    fed, tokens, trained = described_clips(config)
    if frames is not None and frames != fed and config.model_type != "vjepa2":
        raise OptionError(f"this {kind} takes clips of {fed} frames only, but frames is {frames}; leave it out")
    if frames is not None and (frames < tokens.tubelet or frames % tokens.tubelet):
        raise OptionError(
            f"frames is {frames}, but this {kind} cuts clips into tubelets of {tokens.tubelet} frames; give a multiple of that"
        )
    by_user = size is not None
    if processor is None:
        preparer = VideoPreparer(
            video_processor(config),
            size=size if by_user else trained,
            by_user=by_user,
            source="assumed",
            why=f"no processor came with it, so it is the default of {config.model_type} models, at the size that its configuration names; a processor can be given",
        )
    else:
        preparer = VideoPreparer(processor, size=size, by_user=by_user)
    count = (
        Premise(about="input", value=f"{frames} frames", source="given")
        if frames is not None
        else Premise(about="input", value=f"{fed} frames", source="declared", why="its configuration")
    )
    return TransformersVideoView(
        model,
        preparer=preparer,
        name=f"{kind} (transformers)" if processor is not None else f"{kind} (transformers, default {preparer.name})",
        names=names,
        known=known_layer(model),
        fed_frames=fed if frames is None else frames,
        clip_tokens=tokens,
        premises=(*preparer.premises, count),
    )
