"""Generated egocentric clips as a set to train on, drawn once and kept in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from isotherm.data.egocentric.clips import EgocentricClips, make_many
from isotherm.data.egocentric.config import ACTIONS, NOUNS, PARTS, VERBS
from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.gaze.clips import gaze_of_egocentric
from isotherm.gaze.inputs import GazeInputs
from isotherm.train.anticipation.clip_data import HEADS, ClipBatch
from isotherm.train.anticipation.source import ClipSource

CLASSES: Mapping[str, Sequence[str]] = {
    "verb": VERBS,
    "noun": NOUNS,
    "action": tuple(f"{VERBS[verb]} {NOUNS[noun]}" for verb, noun in ACTIONS),
}


class GeneratedClips:
    """Fulfils :class:`isotherm.train.anticipation.clip_data.ClipData`.

    Args:
        sources: generated ones, of the same size and number of frames.

    Raises:
        OptionError: no source, or sources whose clips cannot be in one batch.
    """

    classes: Mapping[str, Sequence[str]] = CLASSES
    part_names: Sequence[str] = PARTS
    slow = False

    def __init__(self, sources: Sequence[ClipSource]) -> None:
        forms = {(s.clips.side, s.clips.frames) for s in sources}
        if len(forms) != 1:
            raise OptionError(f"generated sources have (side, frames) {sorted(forms)}; expected one for all of them")
        ((self._side, self.frames),) = forms
        self.size: Size = (self._side, self._side)
        self.rate_hz = float(sources[0].clips.rates_hz[0])
        self.clips: list[EgocentricClips] = [make_many(s.numbers, s.clips, seed=s.seed) for s in sources]
        self.video = self._joined("video")
        self.labels: Int[Tensor, "n 3"] = torch.stack([self._joined(head) for head in HEADS], dim=1)
        self.parts: Int[Tensor, " n"] = self._joined("part")
        self.gaze = GazeInputs.joined([gaze_of_egocentric(clips) for clips in self.clips])

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"] | None = None) -> ClipBatch:
        """As of :class:`isotherm.train.anticipation.clip_data.ClipData`; generated clips are not changed.

        Args:
            index: which.
            epoch: not looked at.
        """
        return ClipBatch(self.video[index], self.gaze.clips(index), self.labels[index], torch.zeros(len(index)))

    def _joined(self, name: str) -> Tensor:
        return torch.cat([torch.from_numpy(getattr(clips, name)) for clips in self.clips])
