"""Maps in one call: by a converter, by the head of a checkpoint, or by one that says that it knows nothing."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from isotherm.errors import OptionError, ShapeError, WeightsError
from isotherm.systems.bridgevla import LLMToHeatmapConverter, quick_heatmap_from_llm

OPTIONS = {"patch_size": 4, "target_size": 8}


def states(views=1):
    n = 16 * views + 3
    image = torch.arange(n)[None] >= 3
    return torch.randn(1, n, 6), image


def test_a_converter_is_used_as_it_is():
    hidden, image = states(2)
    converter = LLMToHeatmapConverter(6, **OPTIONS)
    maps = quick_heatmap_from_llm(hidden, None, 2, converter=converter, image_token_mask=image)
    assert torch.equal(maps, converter(hidden, None, 2, image_token_mask=image))
    assert not maps.requires_grad


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_the_head_of_a_checkpoint(tmp_path, suffix):
    converter = LLMToHeatmapConverter(6, **OPTIONS, padding="zeros")
    weights = {f"mvt.up0.{k}": v.clone() for k, v in converter.up.state_dict().items()} | {"other": torch.zeros(2)}
    fpath = tmp_path / f"head{suffix}"
    save_file(weights, fpath) if suffix == ".safetensors" else torch.save(weights, fpath)
    hidden, image = states()
    maps = quick_heatmap_from_llm(hidden, image_token_mask=image, checkpoint=fpath, padding="zeros", **OPTIONS)
    assert torch.equal(maps, converter(hidden, image_token_mask=image).detach())
    with pytest.raises(WeightsError, match=r"shape \(12, 6, 3, 3\) and does not fit.*ratio=4"):
        quick_heatmap_from_llm(hidden, image_token_mask=image, checkpoint=fpath, patch_size=4, target_size=16)


def test_a_random_head_warns_that_it_means_nothing():
    hidden, image = states()
    with pytest.warns(UserWarning, match=r"random weights.*give converter= or checkpoint="):
        maps = quick_heatmap_from_llm(hidden, image_token_mask=image, vlm_dim=6, **OPTIONS)
    assert maps.shape == (1, 1, 8, 8)


def test_nothing_is_built_for_states_that_do_not_fit():
    """At the published width a head has 309 million weights: the error comes before them."""
    with pytest.raises(ShapeError, match="768 image tokens"):
        quick_heatmap_from_llm(torch.zeros(2, 300, 2048), torch.ones(2, 300), num_views=3, vlm_dim=2048)


def test_options_of_a_converter_that_is_there_are_refused():
    hidden, image = states()
    with pytest.raises(OptionError, match="checkpoint, vlm_dim would say it twice"):
        quick_heatmap_from_llm(
            hidden, image_token_mask=image, converter=LLMToHeatmapConverter(6, **OPTIONS), checkpoint="x", vlm_dim=6
        )
