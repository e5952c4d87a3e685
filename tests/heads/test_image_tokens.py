"""States of image tokens -> grids: any padding, any place in the prompt, and counts that are checked."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.heads import image_grids


def prompts():
    """Three prompts with the same two pictures of 2 x 3 tokens: text behind, text between, padding on the left."""
    pictures = torch.randn(12, 5)
    t = 20
    states, mask = torch.randn(3, t, 5), torch.zeros(3, t, dtype=torch.bool)
    for row, places in enumerate(([*range(12)], [*range(1, 7), *range(10, 16)], [*range(8, 14), *range(14, 20)])):
        states[row, places] = pictures
        mask[row, places] = True
    return pictures, states, mask


def test_wherever_the_tokens_stand_the_grids_are_the_same():
    pictures, states, mask = prompts()
    grids = image_grids(states, mask, grid=(2, 3), views=2)
    assert grids.shape == (3, 2, 5, 2, 3)
    expected = pictures.view(2, 2, 3, 5).permute(0, 3, 1, 2)
    assert torch.equal(grids, expected.expand(3, -1, -1, -1, -1))


def test_gradients_reach_the_image_tokens_alone():
    _, states, mask = prompts()
    states.requires_grad_()
    image_grids(states, mask, grid=(2, 3), views=2).square().sum().backward()
    assert torch.equal(states.grad.abs().sum(-1) > 0, mask)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"views": 3}, ShapeError, r"3 view\(s\) of 2 x 3 are 18 image tokens, and prompt 0 has 12"),
        ({"grid": (2, 2)}, ShapeError, "are 8 image tokens, and prompt 0 has 12"),
        ({"views": 0}, OptionError, "at least one view"),
        ({"grid": (0, 3)}, OptionError, r"\(h, w\) of at least 1"),
    ],
)
def test_another_number_of_tokens_is_refused_with_the_reason(change, error, words):
    _, states, mask = prompts()
    with pytest.raises(error, match=words):
        image_grids(states, mask, **{"grid": (2, 3), "views": 2, **change})


def test_the_prompt_that_does_not_fit_is_named():
    _, states, mask = prompts()
    mask[2, 19] = False
    with pytest.raises(ShapeError, match="prompt 2 has 11"):
        image_grids(states, mask, grid=(2, 3), views=2)


def test_a_mask_of_another_length_is_refused(unchecked):
    _, states, mask = prompts()
    with pytest.raises(ShapeError, match=r"shape \(3, 19\); expected \(3, 20\)"):
        image_grids(states, mask[:, 1:], grid=(2, 3), views=2)


def test_compiled_in_one_graph(unchecked):
    _, states, mask = prompts()
    compiled = torch.compile(lambda s, m: image_grids(s, m, grid=(2, 3), views=2), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(states, mask), image_grids(states, mask, grid=(2, 3), views=2))
