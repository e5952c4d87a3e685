"""States of every family's vision tokens become grids where their pixels lie, and a head's maps know their frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import ShapeError
from isotherm.heads import ConvexUpsample
from isotherm.heatmap import Heatmap
from isotherm.vlm.blindness import image_states
from isotherm.vlm.features import picture_features
from rigs.vlm_models import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_each_state_lies_where_its_pixels_are(families, family):
    """States that say which token they are; the layouts, proved elsewhere, say where that token's pixels lie."""
    _, question = families(family, count=1 if family == "gemma3_crops" else 2)
    prompt = question.prompt
    states = torch.arange(len(prompt.positions)).float()[:, None].expand(-1, 4)
    pictures = picture_features(states, prompt)
    assert len(pictures) == len(prompt.pictures)
    seen = set()
    for first, grids, picture in zip(prompt.first, pictures, prompt.pictures, strict=False):
        assert len(grids) == len(picture.grids)
        for grid, tokens in zip(grids, picture.grids, strict=True):
            assert torch.equal(grid.features[0].long(), first + tokens.token)
            seen |= set(grid.features[0].flatten().tolist())
            assert grid.frame.source_size.tolist() == list(picture.size)
            head = ConvexUpsample(4, 1, ratio=3)
            values = head(grid.features[None] / len(states))[0, 0]
            heatmap = Heatmap(values.detach(), head.output_frame(grid.frame), "logits")
            corner = grid.frame.points_to_source(torch.zeros(1, 2))
            assert torch.allclose(heatmap.frame.points_to_source(torch.zeros(1, 2)), corner, atol=1e-4)
    # what is in no grid stands for no place: ends of rows
    assert len(seen) == sum(len({int(t) for g in p.grids for t in g.token.flatten()}) for p in prompt.pictures)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "paligemma", "smolvlm"])
def test_a_pixel_moves_the_features_of_its_own_cell_most(families, family):
    """Of real states, through the whole model."""
    view, _ = families(family)
    picture = np.full((32, 32, 3), 128, np.uint8)
    changed = picture.copy()
    changed[20:28, 4:12] = (255, 0, 0)
    grids = []
    for one in (picture, changed):
        prompt = view.ask([one], "where is red ?")
        grids.append(picture_features(image_states(view, prompt), prompt)[0])
    apart = [(b.features - a.features).abs().mean(0) for a, b in zip(*grids, strict=True)]
    which = int(torch.tensor([float(a.max()) for a in apart]).argmax())
    y, x = divmod(int(apart[which].argmax()), apart[which].shape[1])
    centre = grids[0][which].frame.points_to_source(torch.tensor([[x + 0.5, y + 0.5]]))[0]
    assert (centre - torch.tensor([8.0, 24.0])).abs().max() <= 6


def test_states_of_another_prompt_are_refused(families):
    _, question = families("paligemma")
    with pytest.raises(ShapeError, match="there are 3 states for 64 vision tokens"):
        picture_features(torch.zeros(3, 4), question.prompt)
