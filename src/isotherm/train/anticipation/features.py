"""Clips of videos in front of a frozen encoder: its features are computed once, and read in place of the videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.data.anticipation.cache import CachedFeatures, Kept, cache_features, clip_identity
from isotherm.frame import Size
from isotherm.gaze.clips import gaze_of_clips
from isotherm.gaze.model import AnticipationModel
from isotherm.ops.hashing import state_hash
from isotherm.progress import Say, silent
from isotherm.train.anticipation.build import MEAN, STD, normalised
from isotherm.train.anticipation.clip_data import ClipBatch, ClipData
from isotherm.train.anticipation.videos import VideoClips
from isotherm.untrusted.arrays import read_array

TIMES = "times.npy"
"""Beside the features: when the frames of every clip are shown, which its gaze is read by."""


def with_features(
    data: ClipData,
    model: AnticipationModel,
    dpath: Path,
    *,
    kept: Kept | None,
    blind: bool = False,
    device: torch.device | None = None,
    say: Say = silent,
) -> ClipData:
    """The same clips with features in place of videos, where they can be computed once; otherwise as they are.

    Args:
        data: any clips.
        model: whose encoder is asked.
        dpath: a folder for caches.
        kept: as what numbers lie there; None: nothing is kept.
        blind: the model is to be shown grey pictures.
        device: where the model is; None: the CPU.
        say: is told why not, and how far it is.
    """
    if not isinstance(data, VideoClips) or kept is None or blind or not model.takes_features:
        return data
    if data.changes:
        say(f"the encoder is frozen, but its features are not kept: {data.changes}")
        return data
    return FeatureClips(data, model, dpath, kept=kept, device=device, say=say)


class FeatureClips:
    """Fulfils :class:`isotherm.train.anticipation.clip_data.ClipData`.

    Args:
        data: clips that are the same in every epoch.
        model, dpath, kept, device, say: as of :func:`with_features`.
    """

    slow = True

    def __init__(
        self,
        data: VideoClips,
        model: AnticipationModel,
        dpath: Path,
        *,
        kept: Kept = "float16",
        device: torch.device | None = None,
        say: Say = silent,
    ) -> None:
        self._data, device = data, torch.device("cpu") if device is None else device
        self.classes: Mapping[str, Sequence[str]] = data.classes
        self.labels, self.parts, self.part_names = data.labels.clone(), data.parts, data.part_names
        self.frames, self.rate_hz = data.frames, data.rate_hz
        self.size: Size = data.size
        times: dict[int, Float[Tensor, " t"] | None] = {}

        def encode(rows: list[int]) -> Float[Tensor, "b n d"]:
            clips = [data.clip(i) for i in rows]
            times.update({i: None if clip is None else clip.before_s for i, clip in zip(rows, clips, strict=True)})
            video = torch.stack([data.pictures(clip) for clip in clips])
            return model.encode(normalised(video, device))

        settings: dict[str, Any] = {"size": list(self.size), "crop": "centre", "mean": MEAN, "std": STD}
        identities = [clip_identity(data.fpath(i), data.planned(i)) for i in range(len(data))]
        training = model.training
        model.eval()
        self.cache: CachedFeatures = cache_features(
            identities, encode, dpath, weights=state_hash(model.backbone.encoder), settings=settings, kept=kept, say=say
        )
        model.train(training)
        for note in self.cache.notes:
            say(f"features of {len(data)} clips in {self.cache.dpath}, {note}")
        self._before_s = self._kept_times(times)
        self.labels[~torch.isfinite(self._before_s).all(1)] = -1

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, index: Int[Tensor, " b"], epoch: Int[Tensor, " b"] | None = None) -> ClipBatch:
        """As of :class:`isotherm.train.anticipation.clip_data.ClipData`.

        Args:
            index: which.
            epoch: not looked at, as the clips are the same in all of them.
        """
        rows = index.tolist()
        clips = [self._data.clip_at(i, self._before_s[i]) for i in rows]
        ahead = torch.tensor([self._data.planned(i).anticipation_s for i in rows], dtype=torch.float32)
        return ClipBatch(None, gaze_of_clips(clips), self.labels[index], ahead, self.cache[index])

    def _kept_times(self, times: Mapping[int, Float[Tensor, " t"] | None]) -> Float[Tensor, "n t"]:
        """(n, t) counted from the end of each clip; NaN where a clip cannot be read."""
        fpath = self.cache.dpath / TIMES
        if fpath.is_file():
            read = read_array(fpath)
            if read.shape == (len(self), self.frames) and read.dtype == np.float64:
                return torch.from_numpy(read)
        whole = torch.full((len(self), self.frames), torch.nan, dtype=torch.float64)
        for i in range(len(self)):  # a cache that was begun by another process has no times of its first clips
            clip = times[i] if i in times else getattr(self._data.clip(i), "before_s", None)
            if clip is not None:
                whole[i] = clip
        with atomic_write(fpath) as file:
            np.save(file, whole.numpy())
        return whole
