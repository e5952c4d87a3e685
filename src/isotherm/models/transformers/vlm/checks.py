"""What no vision-language model can be asked, refused before its processor stumbles over it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError, OptionError
from isotherm.models.transformers.other_jobs import AS_ONES_OWN
from isotherm.models.transformers.vlm.layouts.layout import NoTokensError
from isotherm.models.transformers.vlm.proof import marking_token_id


def picture_marks(processor: Any, config: Any) -> frozenset[str]:
    """The words that stand for a picture or a video in a model's prompts, such as ``<image>``.

    Args:
        processor: of the model; it replaces each of them by as many tokens as a picture has.
        config: of the model.
    """
    ids = [marking_token_id(config, what) for what in ("image", "video")]
    marks = [getattr(processor, name, None) for name in ("image_token", "video_token", "boi_token")]
    marks += [processor.tokenizer.convert_ids_to_tokens(number) for number in ids if number is not None]
    return frozenset(mark for mark in marks if isinstance(mark, str) and mark)


def sees(model: Any) -> bool:
    """Whether a model of transformers is fed pictures or videos."""
    modalities = getattr(model, "input_modalities", None) or ()
    return hasattr(model.config, "vision_config") or any(what in modalities for what in ("image", "video"))


def writes(model: Any) -> bool:
    """Whether a model of transformers is asked in words about pictures, and writes tokens."""
    modalities = getattr(model, "input_modalities", None) or ()
    return "text" in modalities and "image" in modalities and bool(model.can_generate())


def check_job(model: Any, processor: Any) -> None:
    """Refuse a model that is not asked about pictures, that does not answer in words, or whose processor reads words in
    the picture.

    Raises:
        AdapterError: with the reason.
    """
    kind = type(model).__name__
    if not sees(model):
        raise AdapterError(f"{kind} sees no pictures, so no answer of it can be explained by one")
    if not model.can_generate():
        raise AdapterError(
            f"{kind} writes no words (it has no generate), so it has no answer to explain; {AS_ONES_OWN}"
        )
    if getattr(getattr(processor, "image_processor", None), "apply_ocr", False):
        raise AdapterError(
            f"the processor of {kind} reads words in the picture (apply_ocr) and puts them into the prompt, where they stay "
            "when pixels are covered, so a map would say nothing of what the model knows from them; explain a model that sees pixels alone"
        )


def check_words(text: str, marks: Collection[str], *, what: str = "prompt", example: str) -> None:
    """Refuse words that no processor takes.

    Args:
        text: of a person.
        marks: as of :func:`picture_marks`; in a person's words one would be counted as a picture that is not there.
        what: what to call the text.
        example: of a good one, where it is empty.

    Raises:
        OptionError: no words, characters that no encoding has, a mark of a picture.
    """
    if not text.strip():
        raise OptionError(f"the {what} is empty; {example}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"character {error.start + 1} of the {what} is half of a pair (a surrogate), as bytes that are not UTF-8 become; write the {what} as UTF-8"
        ) from error
    mark = next((mark for mark in sorted(marks) if mark in text), None)
    if mark is not None:
        raise OptionError(
            f"the {what} has {mark!r} in it, by which this model marks its pictures; leave it out: pictures are put into the prompt as they are given"
        )


def check_one_sequence(config: Any, name: str) -> None:
    """Refuse a model with an encoder and a decoder: what writes the answer does not read the pictures' tokens.

    Args:
        config: of the model.
        name: what to call the model.

    Raises:
        NoTokensError: the answer is written by a decoder that asks an encoder.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise NoTokensError(
            f"{name} has its answers written by a decoder that asks an encoder by cross-attention: pictures and the question "
            "are tokens of the encoder, and none of the decoder's"
        )


def check_length(tokens: int, config: Any, name: str, *, what: str = "prompt") -> None:
    """Refuse a prompt that is longer than what the model was made for: behind that its answers mean nothing.

    Args:
        tokens: of the whole prompt, pictures included.
        config: of the model.
        name: what to call the model.
        what: what to call the text.

    Raises:
        OptionError: with both numbers.
    """
    most = getattr(config.get_text_config(), "max_position_embeddings", None)
    if most is not None and tokens > most:
        raise OptionError(
            f"the {what} and its pictures are {tokens:,} tokens, and {name} reads at most {most:,}; shorten the {what}"
        )


def check_question(pictures: Sequence[Picture], prompt: str, marks: Collection[str]) -> None:
    """Refuse a question without pictures, or with words as of :func:`check_words`."""
    if not len(pictures):
        raise OptionError("a question needs at least one picture")
    check_words(prompt, marks, example="ask something, such as 'How many peaches are there?'")


def check_video(frames: Sequence[Picture], fps: float) -> None:
    """Refuse frames that are no video: a rate of nothing, a single frame, frames of several sizes."""
    if not fps > 0:
        raise OptionError(f"fps is {fps}; expected frames per second, above 0")
    if len(frames) < 2:
        raise OptionError(
            "a video of one frame was given; ask about it as a picture, without video_fps, or give at least two frames"
        )
    if len(sizes := list(dict.fromkeys((f.shape[0], f.shape[1]) for f in frames))) > 1:
        shown = " and ".join(f"{w} x {h}" for h, w in sizes[:2])
        raise OptionError(
            f"the frames of a video are of one size; given were {shown} pixels (width x height): ask about them as pictures, without video_fps"
        )
