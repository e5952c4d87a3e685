"""Prompts that are processed together: what a model makes of each has to be what it makes of it alone."""

from __future__ import annotations

import numpy as np
import torch

from isotherm.vlm.features import picture_features

TEXTS = ("how many red ?", "where is blue circle ? yes", "red ?")
"""Of unequal length, so that two of three are padded."""
NOTHING = torch.zeros(1, 0, dtype=torch.long)


def batch_apart(view, size, side, *, count: int = 1) -> float:
    """The largest difference between a state of a padded batch and that of the same token in a prompt alone.

    Compared are all real tokens, the last ones, and the grids of the pictures where each has one grid only.

    Args:
        view: of a model of transformers.
        size: (h, w) of the pictures.
        side: where the prompts are padded.
        count: pictures in each prompt.
    """
    rng = np.random.default_rng(0)
    shown = [[rng.integers(0, 255, (*size, 3), dtype=np.uint8) for _ in range(count)] for _ in TEXTS]
    batch = view.batch(shown, TEXTS, side=side)
    ids = batch.inputs["input_ids"]
    with torch.no_grad():
        states = view.states(batch)
        ends = batch.at_last(states)
        grids = batch.features(states)
    worst, padded = 0.0, 0
    for i, (pictures, text) in enumerate(zip(shown, TEXTS, strict=True)):
        prompt = view.ask(pictures, text)
        with torch.no_grad():
            alone = view.read(prompt, view.embed(prompt), NOTHING).hidden[0]
        fill = ids.shape[1] - len(prompt.ids)
        padded += fill > 0
        real = slice(fill, None) if side == "left" else slice(0, len(prompt.ids))
        assert torch.equal(ids[i, real].cpu(), prompt.ids), "the tokens of a prompt are others in a batch"
        assert torch.equal(batch.positions[i].cpu() - real.start, prompt.positions), "vision tokens stand elsewhere"
        pairs = [(states[i, real], alone), (ends[i], alone[-1])]
        for j, known in enumerate(picture_features(alone[prompt.positions.to(alone.device)], prompt)):
            if len(known) == 1:
                assert batch.grids[j].frame.allclose(known[0].frame)
                pairs.append((grids[i, j], known[0].features))
        worst = max(worst, *(float((one - other).abs().max()) for one, other in pairs))
    assert padded == len(TEXTS) - 1, f"{padded} prompts are padded; expected all but the longest"
    return worst
