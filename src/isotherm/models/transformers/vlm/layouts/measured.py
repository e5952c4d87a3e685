"""The layout of vision tokens that nobody wrote down: it is measured, for each size of pictures once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.capture import evaluating
from isotherm.cam.view import Picture
from isotherm.errors import AdapterError
from isotherm.frame import Size
from isotherm.models.transformers.vlm.lattice import covered, grids_of
from isotherm.models.transformers.vlm.layouts.layout import UnknownPlacesError, VideoTokens, VisionLayout
from isotherm.models.transformers.vlm.prompts import entering
from isotherm.models.transformers.vlm.stripes import Looks, UnmovedError, measure_looks
from isotherm.relevance.still import still_attention
from isotherm.vlm.tokens import PictureTokens, TokenGrid

VIEWS = 6.0
"""Times a picture may be covered by its tokens; where each of them sees all of it, they are as many."""
TOGETHER = 0.3
"""Of what the frame does that moves a token most: those that do as much are shown in one moment."""


class MeasuredLayout(VisionLayout):
    """Stripes on the pictures tell where each token looks before attention mixes them, and grids are fitted to that.

    What was measured is kept, by the sizes of a prompt's pictures.

    Args:
        model: of transformers, in which nothing is changed.
        processor: of the model.
        token_id: of a picture in the prompt.
        name: what to call the model.
        video_token_id: of a video; None: it takes none.
    """

    def __init__(
        self, model: Any, processor: Any, *, token_id: int, name: str, video_token_id: int | None = None
    ) -> None:
        self.model, self.processor, self.token_id, self.name = model, processor, token_id, name
        self.video_token_id = video_token_id
        self._videos: dict[tuple[Size, int], VideoTokens] = {}
        self._known: dict[tuple[Size, ...], list[PictureTokens]] = {}

    def pictures(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[PictureTokens]:
        key = tuple((int(h), int(w)) for h, w in sizes)
        if key not in self._known:
            looks = self._looks(key)
            self._known[key] = [self._laid_out(looks, k, size) for k, size in enumerate(key)]
            self._add_placeless(looks, self._known[key])
        return self._known[key]

    def video(self, size: Size, count: int, fps: float) -> VideoTokens:
        """The tokens of a video: frames that move the same tokens are one moment.

        Args:
            size: (h, w) of its frames.
            count: of its frames.
            fps: how many of them make a second.

        Raises:
            AdapterError: it takes no videos, or shows frames in no order that could be told.
        """
        if self.video_token_id is None:
            raise AdapterError(f"{self.name} takes no videos; give it frames as pictures")
        key = (int(size[0]), int(size[1])), count
        if key not in self._videos:

            def entered(frames: Sequence[Picture]) -> Float[Tensor, "n c"]:
                token = self.video_token_id
                assert token is not None
                return entering(
                    self.model,
                    self.processor,
                    frames,
                    token_id=token,
                    name=self.name,
                    video_fps=fps,
                    frame_token_id=self.token_id,
                )[0]

            with evaluating(self.model), still_attention():
                looks = measure_looks(entered, [key[0]] * count)
            self._videos[key] = self._moments(looks, *key)
        return self._videos[key]

    def pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        raise AdapterError(
            f"which of its processor's values make each vision token of {self.name} is not known; choose a method that starts at the vision tokens, such as attention_gradient"
        )

    def _looks(self, key: Sequence[Size]) -> Looks:
        with evaluating(self.model):
            try:
                with still_attention():
                    return measure_looks(self._entering, key)
            except UnmovedError:
                noise = np.random.default_rng(0)
                first, second = (
                    self._entering([noise.integers(0, 256, (*size, 3), dtype=np.uint8) for size in key])
                    for _ in range(2)
                )
                if torch.equal(first, second):
                    raise
                raise UnknownPlacesError(
                    f"the {len(first)} vision tokens of {self.name} stand for no place: pixels reach them by attention alone, in which each asks all of the picture"
                ) from None

    def _entering(self, pictures: Sequence[Picture]) -> Float[Tensor, "n c"]:
        return entering(self.model, self.processor, pictures, token_id=self.token_id, name=self.name)[0]

    def _laid_out(self, looks: Looks, k: int, size: Size) -> PictureTokens:
        mine = (looks.picture == k).nonzero().flatten()
        if not len(mine):
            raise UnknownPlacesError(
                f"no vision token of {self.name} changes with picture {k + 1} of {size[1]} x {size[0]} pixels, so none stands for a place in it"
            )
        first = int(mine[0])
        grids, off = grids_of(looks.centre[mine], looks.width[mine], mine - first, size)
        if len(mine) > 1 and covered(grids, size) > min(VIEWS, 0.75 * len(mine)):
            share = 100 * looks.width[mine].median(0).values / torch.tensor([size[1], size[0]])
            raise UnknownPlacesError(
                f"the {len(mine)} vision tokens of {self.name} stand for no place: each changes with pixels all over the picture ({share[0]:.0f} % of its width, {share[1]:.0f} % of its height), as behind a resampler"
            )
        cells = torch.ones(len(mine), dtype=torch.float64)
        for grid in grids:
            cells[torch.searchsorted(mine - first, grid.token.flatten())] = float(grid.frame.cell_size.max())
        apart = off * cells
        return PictureTokens(size, grids, int(mine[-1]) - first + 1, (float(apart.median()), float(apart.max())))

    def _moments(self, looks: Looks, size: Size, count: int) -> VideoTokens:
        """Each moment's grids, with the numbers of all tokens of the video."""
        together = looks.share > TOGETHER
        firsts = together.long().argmax(0)  # of the frames that move a token the first
        starts = [k for k in range(count) if bool(((firsts == k) & (looks.picture >= 0)).any())]
        per_moment = -(-count // max(1, len(starts)))
        if starts != [per_moment * i for i in range(len(starts))]:
            raise UnknownPlacesError(
                f"the {count} frames of a video are shown by {self.name} in moments that begin with frames {starts}; expected as many frames in each"
            )
        known = Looks(torch.where(looks.picture >= 0, firsts, -1), looks.share, looks.centre, looks.width)
        moments = [self._laid_out(known, k, size) for k in starts]
        numbers = torch.arange(len(known.picture))
        begins = [int(numbers[known.picture == k][0]) for k in starts]
        ends = [int(numbers[known.picture == k][-1]) + 1 for k in starts]
        if any(begin < end for begin, end in zip(begins[1:], ends, strict=False)):
            raise UnknownPlacesError(f"the moments of a video stand in another order in the prompts of {self.name}")
        edges = [0, *begins[1:], len(known.picture)]
        placed = tuple(
            PictureTokens(
                size,
                tuple(TokenGrid(grid.frame, grid.token + begin) for grid in moment.grids),
                last - first,
                moment.off,
            )
            for moment, begin, (first, last) in zip(moments, begins, pairwise(edges), strict=True)
        )
        return VideoTokens(size, placed, len(known.picture))

    def _add_placeless(self, looks: Looks, known: list[PictureTokens]) -> None:
        """Count tokens that no pixel moves to the picture that they stand behind, or before where they come first."""
        firsts = [int((looks.picture == k).nonzero()[0]) for k in range(len(known))]
        if firsts != sorted(firsts):
            raise UnknownPlacesError(
                f"the vision tokens of the pictures of {self.name} stand in another order than the pictures"
            )
        ends = [*firsts[1:], len(looks.picture)]
        for k, (first, end) in enumerate(zip([0, *firsts[1:]], ends, strict=True)):
            shift = firsts[k] - first
            grids = tuple(type(g)(g.frame, g.token + shift) for g in known[k].grids)
            known[k] = PictureTokens(known[k].size, grids, end - first, known[k].off)
