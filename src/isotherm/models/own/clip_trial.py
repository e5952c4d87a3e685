"""In which form a module of one's own takes clips: as its user says, or as trying it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.premises import Premise
from isotherm.cam.view import Inputs
from isotherm.errors import AdapterError, OptionError
from isotherm.models.own.trial import black
from isotherm.models.shared.calling import Calling, call
from isotherm.models.shared.own_transform import Preparation
from isotherm.moments import Timeline
from isotherm.ops.names import known_word

Axes = Literal["b c t h w", "b t c h w", "b (t c) h w", "b (c t) h w"]
"""The form of what a module is called with: channels in front of frames, frames in front of channels, or one picture
whose channels are those of one frame after another, or the frames of one channel after another.
"""
STACKED: tuple[Axes, ...] = ("b (t c) h w", "b (c t) h w")
USUAL_FRAMES = (16, 8, 32)
"""Frames that a module is tried with where nobody says how many it takes."""


@dataclass(frozen=True)
class Arranged:
    """The forward pass of a module with clips (b, t, c, h, w), in the form that it takes.

    Args:
        axes: the form.
        forward: (module, clips in that form) -> what it puts out.
    """

    axes: Axes
    forward: Callable[..., Any] = call

    def __call__(self, model: nn.Module, clips: Tensor) -> Any:
        return self.forward(model, self.of(clips))

    def of(self, clips: Float[Tensor, "b t c h w"]) -> Tensor:
        """Clips in the form that the module takes."""
        if self.axes in STACKED:
            return rearrange(clips, f"b t c h w -> {self.axes}")
        return clips.transpose(1, 2) if self.axes == "b c t h w" else clips


@dataclass(frozen=True, eq=False)
class ClipTrial:
    """What a module was tried with that takes clips.

    Args:
        inputs: one black clip.
        calling: how the module is called.
        premises: how many frames it is fed, and in which form.
    """

    inputs: Inputs
    calling: Calling
    premises: tuple[Premise, ...]

    @property
    def fed_frames(self) -> int:
        """How many frames of a clip it is fed."""
        return int(self.inputs.tensor.shape[1])


def begins_with_clips(model: nn.Module) -> bool:
    """Whether the first convolution of a module goes over time too, so that it may take clips."""
    first = next((m for m in model.modules() if isinstance(m, nn.modules.conv._ConvNd)), None)
    return isinstance(first, nn.Conv3d)


def clip_trial(
    model: nn.Module,
    prepared: Preparation,
    *,
    frames: int | None = None,
    axes: str | None = None,
    forward: Callable[..., Any] | None = None,
) -> ClipTrial:
    """A clip that a module can be run on.

    Args:
        model: eager module.
        prepared: how each frame is prepared.
        frames: how many it takes, as the user says.
        axes: in which form, as the user says; see :data:`Axes`.
        forward: (module, clips) -> what it puts out.

    Raises:
        OptionError: options that cannot be, or a form that only the user can know.
        AdapterError: it cannot be run on any clip; the message says what was tried.
    """
    if axes is not None:
        known_word(axes, get_args(Axes), "axes")
    if frames is not None and (not isinstance(frames, int) or isinstance(frames, bool) or frames < 1):
        raise OptionError(f"frames is {frames!r}; it is how many frames of a clip the model is fed, at least 1")
    if forward is not None and not callable(forward):
        raise OptionError(
            f"forward is {forward!r}; expected a function of the module and a clip, such as lambda m, x: m(x)"
        )
    picture = black(model, prepared)
    failed: list[str] = []
    for count in USUAL_FRAMES if frames is None else (frames,):
        clip = _black_clip(picture, count)
        worked: list[Axes] = []
        for form in get_args(Axes) if axes is None else (axes,):
            # of frames that are stacked nothing but the user knows which follow which
            if form == STACKED[1] and axes is None:
                break
            error = _error_of(model, clip, Arranged(form, forward or call))
            if error is None:
                worked.append(form)
            else:
                failed.append(f"{_shape_of(form, clip)}: {error}")
        if worked:
            return _settled(type(model).__name__, clip, worked, frames=frames, axes=axes, forward=forward)
    name = type(model).__name__
    raise AdapterError(
        f"{name} cannot be run on a clip; tried were {'; '.join(failed)}. Give frames=, how many it takes, size=, or forward=, a function of the "
        "module and clips (b, t, c, h, w) if axes='b t c h w' is given too"
    )


def _black_clip(picture: Inputs, count: int) -> Inputs:
    tensor = picture.tensor[:, None].expand(-1, count, -1, -1, -1).contiguous()
    return replace(picture, tensor=tensor, timelines=(Timeline.of(count, fed=count),))


def _error_of(model: nn.Module, clip: Inputs, forward: Arranged) -> str | None:
    """What a module raises that is called with a clip, in a line; None where it runs."""
    try:
        with torch.no_grad(), evaluating(model):
            forward(model, clip.tensor)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a module of one's own raises anything at all
        return f"{type(error).__name__}, {(str(error).strip().splitlines() or [''])[0][:120]}"
    return None


def _shape_of(form: str, clip: Inputs) -> str:
    """A form with its numbers, such as b c t h w (1, 3, 16, 112, 112)."""
    return f"{form} {tuple(rearrange(clip.tensor, f'b t c h w -> {form}').shape)}"


def _settled(
    name: str, clip: Inputs, worked: list[Axes], *, frames: int | None, axes: str | None, forward: Any
) -> ClipTrial:
    """The trial in the form that worked. Raises OptionError where only the user can know it."""
    count = int(clip.tensor.shape[1])
    if len(worked) > 1:
        forms = " and as ".join(_shape_of(form, clip) for form in worked)
        raise OptionError(f"{name} runs on clips as {forms}; say which it takes, such as axes={worked[0]!r}")
    if worked[0] in STACKED and axes is None:
        raise OptionError(
            f"{name} takes the {count} frames of a clip as channels of one picture, {tuple(rearrange(clip.tensor, 'b t c h w -> b (t c) h w').shape)}; "
            f"say which follow which: axes={STACKED[0]!r} where all channels of a frame stand together, axes={STACKED[1]!r} where all frames of a "
            "channel do"
        )
    many = f"{count} frames"
    shape = f"clips {_shape_of(worked[0], clip)}"
    return ClipTrial(
        clip,
        Calling(forward=Arranged(worked[0], forward or call)),
        (
            Premise(about="input", value=many, source="given")
            if frames is not None
            else Premise(about="input", value=many, source="assumed", why="it runs on so many; frames can be given"),
            Premise(about="input", value=shape, source="given")
            if axes is not None
            else Premise(
                about="input",
                value=shape,
                source="assumed",
                why="it runs on no other form that was tried; axes can be given",
            ),
        ),
    )
