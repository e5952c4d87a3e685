"""The model is the judge of where the tokens of a video lie: pixels of one frame have to move those of its moment, at their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isotherm.models.transformers.vlm.prompts import entering
from isotherm.models.transformers.vlm.proof import video_token_id
from isotherm.relevance.still import still_attention


@dataclass(frozen=True)
class VideoVerdict:
    """What came of it.

    Args:
        moments: of the video.
        tried: places whose pixels were changed in one frame.
        hit: for which the token of this moment and this place moved most among those of its kind in all moments.
        stray: the largest movement of a token of another moment, over that of the token.
    """

    moments: int
    tried: int
    hit: int
    stray: float

    @property
    def right(self) -> bool:
        """Whether every place that was tried moves its own token, give or take one in twelve."""
        return self.tried > 0 and self.hit >= self.tried - max(1, self.tried // 12) and self.stray < 0.5


def video_box(view, size, *, count: int = 4, fps: float = 2.0, most: int = 12) -> VideoVerdict:
    """Change the middle of a token's cell in one frame, and see what moves as it enters the language model.

    Args:
        view: of a model of transformers.
        size: (h, w) of the frames.
        count: of the frames.
        fps: how many of them make a second.
        most: places that are tried.
    """
    rng = np.random.default_rng(0)
    noise = [rng.integers(64, 192, (*size, 3), dtype=np.uint8) for _ in range(count)]
    prompt = view.ask_video(noise, "?", fps=fps)
    token = video_token_id(view.model.config)
    assert token is not None

    def read(frames):
        with still_attention():
            return entering(
                view.model,
                view.processor,
                frames,
                token_id=token,
                name=view.name,
                video_fps=fps,
                frame_token_id=view._token,
            )[0]

    before = read(noise)
    step = -(-count // len(prompt.pictures))
    cells = [
        (m, grid, i, j)
        for m, moment in enumerate(prompt.pictures)
        for grid in moment.grids
        for i in range(grid.frame.size[0])
        for j in range(grid.frame.size[1])
    ]
    hit, stray = 0, 0.0
    chosen = rng.permutation(len(cells))[:most]
    for number, index in enumerate(chosen):
        m, grid, i, j = cells[index]
        x0, y0, x1, y1 = grid.frame.boxes_to_source(torch.tensor([[j + 0.25, i + 0.25, j + 0.75, i + 0.75]]).double())[
            0
        ].tolist()
        shown = min(m * step + number % step, count - 1)
        left, top = max(int(x0), 0), max(int(y0), 0)
        changed = [frame.copy() for frame in noise]
        changed[shown][top : max(int(y1), top + 1), left : max(int(x1), left + 1)] ^= 0xFF
        moved = (read(changed) - before).norm(dim=1)
        first, last = prompt.first[m], prompt.first[m + 1]
        mine = moved[first:last][grid.token]
        hit += int(mine.argmax()) == i * grid.token.shape[1] + j
        others = torch.cat([moved[:first], moved[last:]])
        stray = max(stray, float(others.max() / mine[i, j].clamp(min=1e-12)) if len(others) else 0.0)
    return VideoVerdict(len(prompt.pictures), len(chosen), hit, stray)
