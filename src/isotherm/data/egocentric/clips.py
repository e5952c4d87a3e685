"""Generated egocentric clips in which it is known what gaze is worth.

A person looks over a table and then does something that is not shown. In the part *gaze* the next action follows from
what was looked at last and before that, so a model without gaze can only guess; in *out_of_frame* it also follows from
whether gaze has left the picture or is merely missing; in *video* the picture alone says it, and gaze wanders.
:func:`isotherm.data.egocentric.bounds.bounds` says what can be reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int, UInt8

from isotherm.data.egocentric.config import ACTIONS, NOUNS, PARTS, VERBS, EgocentricConfig, Part
from isotherm.data.egocentric.paint import paint
from isotherm.data.egocentric.story import Stories, generators, make_stories
from isotherm.data.gaze.recording import GazeRecording

AT_ONCE = 200
"""Clips of 32 x 32 pixels that are painted together; more of them do not fit into the processor's cache."""


@dataclass(frozen=True, eq=False)
class EgocentricClip:
    """One clip, as a person's recording would be: pixels, gaze on the frames' clock, and what is done next.

    Args:
        video: (t, 3, h, w) RGB.
        time_s: (t,) from 0; the last is the clip's end.
        gaze: (t, 2) edge-origin pixels, NaN where it is missing; outside of the picture where it has left.
        state: (t,) numbers of :class:`isotherm.data.gaze.states.GazeState`.
        confidence: (t,) 0 to 1.
        verb, noun, action: numbers into VERBS, NOUNS and ACTIONS.
        part: which part of the set it is of.
    """

    video: UInt8[np.ndarray, "t 3 h w"]
    time_s: Float[np.ndarray, " t"]
    gaze: Float[np.ndarray, "t 2"]
    state: UInt8[np.ndarray, " t"]
    confidence: Float[np.ndarray, " t"]
    verb: int
    noun: int
    action: int
    part: Part

    @property
    def label(self) -> str:
        """What is done next, in words.

        Example:
            >>> make_egocentric(0).label
            'press cross'
        """
        return f"{VERBS[self.verb]} {NOUNS[self.noun]}"

    def recording(self) -> GazeRecording:
        """The gaze as a recording of an eye tracker, a sample for each frame."""
        h, w = self.video.shape[-2:]
        return GazeRecording(
            self.time_s, self.gaze, self.state, self.confidence.astype(np.float32), (h, w), ("generated",)
        )


@dataclass(frozen=True, eq=False)
class EgocentricClips:
    """Clips as arrays; the fields are those of a clip, with all clips along the first axis.

    Args:
        video: RGB.
        time_s: of the frames, from 0; the last is the clip's end.
        gaze: edge-origin pixels, NaN where it is missing.
        state: numbers of gaze states.
        confidence: 0 to 1.
        verb, noun, action: numbers into VERBS, NOUNS and ACTIONS.
        part: numbers into PARTS.
        stories: everything that is known of them.
    """

    video: UInt8[np.ndarray, "n t 3 h w"]
    time_s: Float[np.ndarray, "n t"]
    gaze: Float[np.ndarray, "n t 2"]
    state: UInt8[np.ndarray, "n t"]
    confidence: Float[np.ndarray, "n t"]
    verb: Int[np.ndarray, " n"]
    noun: Int[np.ndarray, " n"]
    action: Int[np.ndarray, " n"]
    part: Int[np.ndarray, " n"]
    stories: Stories

    def __len__(self) -> int:
        return len(self.verb)

    def __getitem__(self, i: int) -> EgocentricClip:
        return EgocentricClip(
            self.video[i],
            self.time_s[i],
            self.gaze[i],
            self.state[i],
            self.confidence[i],
            int(self.verb[i]),
            int(self.noun[i]),
            int(self.action[i]),
            PARTS[self.part[i]],
        )


def make_egocentric(index: int, config: EgocentricConfig | None = None, *, seed: int = 0) -> EgocentricClip:
    """The clip of a number.

    Args:
        index: 0 to 2**42 - 1; see TRAINING, VALIDATION and HELD_OUT of :mod:`isotherm.data.egocentric.config`.
        config: how it is drawn; the same clip is drawn at any side, with any noise, and at any number of frames a
            second.
        seed: of the whole set.

    Raises:
        OptionError: a number out of range.

    Example:
        >>> clip = make_egocentric(3)
        >>> clip.video.shape, clip.part, clip.label
        ((8, 3, 32, 32), 'gaze', 'take triangle')
    """
    return make_many([index], config, seed=seed)[0]


def make_many(index: Sequence[int], config: EgocentricConfig | None = None, *, seed: int = 0) -> EgocentricClips:
    """Clips by their numbers, each the same whatever it is made together with.

    Args:
        index: such as ``range(4000)``.
        config: how they are drawn.
        seed: of the whole set.

    Raises:
        OptionError: a number out of range.
    """
    config = EgocentricConfig() if config is None else config
    rngs = generators(seed, index)
    stories = make_stories(rngs, config)
    size = max(1, AT_ONCE * 32 * 32 // config.side**2)
    video = np.empty((len(rngs), config.frames, 3, config.side, config.side), np.uint8)
    for first in range(0, len(rngs), size):
        rows = slice(first, first + size)
        some = Stories(**{f.name: getattr(stories, f.name)[rows] for f in fields(Stories)})
        video[rows] = paint(some, rngs[rows], config)
    number = np.array([[ACTIONS.index((v, n)) for n in range(len(NOUNS))] for v in range(len(VERBS))])
    return EgocentricClips(
        video,
        stories.time_s,
        stories.gaze * config.side,
        stories.state,
        stories.confidence,
        stories.verb,
        stories.noun,
        number[stories.verb, stories.noun],
        stories.part,
        stories,
    )
