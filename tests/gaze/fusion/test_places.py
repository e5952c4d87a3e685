"""What a fusion inserts or adds lies where and when somebody looked."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError
from isotherm.gaze.fusion import fusion_from
from isotherm.gaze.fusion.heatmap_embedding import HeatmapEmbedding
from isotherm.gaze.gate import opened_gates
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.maps import GazeMaps
from rigs.anticipation_models import random_gaze, tiny_model

ROW, COLUMN = 2, 1
NUMBER = ROW * 4 + COLUMN
LOOKED = 2
"""The tubelet in whose two frames somebody looks at the middle of one patch; nothing is known of the others."""


def one_look() -> GazeInputs:
    xy = torch.tensor([8.0 * COLUMN + 4, 8.0 * ROW + 4]).expand(1, 8, 2)
    state = torch.ones(1, 8, dtype=torch.long)
    state[:, 2 * LOOKED : 2 * LOOKED + 2] = 0
    return GazeInputs(xy, state, torch.ones(1, 8), torch.arange(-7.0, 1)[None] / 8, (32, 32))


def fusion_of(name: str, **options):
    return tiny_model(fusion_from({"name": name, "states": "zeros", "sigma": 0.03} | options)).fusion


def tokens_of() -> torch.Tensor:
    return torch.randn(1, 64, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["patch_add", "multi_scale", "temporal", "cross_attention"])
def test_what_is_added_is_added_where_somebody_looked(name):
    fusion, tokens = fusion_of(name), tokens_of()
    if name == "cross_attention":  # it learns how near is near
        fusion.log_width.data[:, 0] = torch.tensor(0.3).log()
    nothing = GazeInputs.missing(1, 8, (32, 32))
    with opened_gates(fusion), torch.no_grad():
        if name == "temporal":  # what all tokens are told is another part
            fusion.everywhere.weight.zero_()
        change = (fusion.add(tokens, one_look()) - fusion.add(tokens, nothing)).norm(dim=-1).view(4, 16)
    assert int(change.argmax()) == LOOKED * 16 + NUMBER
    others = change[LOOKED].clone()
    others[NUMBER] = 0
    # a map that is four times as wide reaches the neighbours as well
    assert change[LOOKED, NUMBER] > (1.2 if name == "multi_scale" else 3) * others.max()


@pytest.mark.parametrize(
    ("options", "count", "place"),
    [
        ({}, 64, (LOOKED, ROW, COLUMN)),
        ({"per": "frame"}, 128, (LOOKED - 0.25, ROW, COLUMN)),
        ({"heatmap_patch_size": 16}, 16, (LOOKED, 2.5, 0.5)),
        ({"heatmap_patch_size": 4}, 256, None),
        ({"scales": (1, 2)}, 80, (LOOKED, ROW, COLUMN)),
        ({"pooled": True}, 4, (LOOKED, 1.5, 1.5)),
        ({"pooled": True, "per": "frame"}, 8, (LOOKED - 0.25, 1.5, 1.5)),
    ],
)
def test_interleaved_tokens_stand_at_the_places_of_their_patches(options, count, place):
    fusion = fusion_of("interleave", **options)
    given = fusion.condition(tokens_of(), one_look())
    assert given.extra.shape[1] == given.places.shape[1] == count
    size = given.extra.norm(dim=-1)[0]
    at = given.places[0]
    if place is not None:
        strongest = at[int((size * (at[:, 0] < LOOKED + 0.1)).argmax())]
        assert strongest.tolist() == pytest.approx(place)
    assert at.amin(0).tolist() >= [-0.5, -0.5, -0.5]
    assert at.mean(0).tolist() == pytest.approx([1.5, 1.5, 1.5])
    # tokens of moments without gaze are empty, as there are no vectors of states here
    assert (size[(at[:, 0] - LOOKED).abs() > 0.6] == 0).all()


def test_a_pooled_token_cannot_say_in_which_patch_somebody_looked():
    """The published predictor's token: a whole patch further, far from the border, it is the same."""
    fusion = fusion_of("interleave", pooled=True, cells=8)
    gaze = one_look()
    further = GazeInputs(gaze.xy + gaze.tracked[..., None] * 8.0, gaze.state, gaze.confidence, gaze.time_s, gaze.size)
    a, b = (fusion.condition(tokens_of(), each).extra for each in (gaze, further))
    assert a.abs().max() > 0.01
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_points_and_regions_stand_where_somebody_looked():
    points = fusion_of("points").condition(tokens_of(), one_look())
    assert points.places[0, 2 * LOOKED].tolist() == [LOOKED - 0.25, ROW, COLUMN]
    region = fusion_of("region").condition(tokens_of(), one_look())
    assert region.places[0, LOOKED].tolist() == [LOOKED, ROW, COLUMN]
    assert region.extra.shape == (1, 4, 24)


def test_a_region_is_what_was_looked_at():
    fusion, tokens = fusion_of("region", how="add"), tokens_of()
    got = fusion.regions(tokens, one_look())
    expected = fusion.project(fusion.norm(tokens[:, LOOKED * 16 + NUMBER]))
    torch.testing.assert_close(got[:, LOOKED], expected, atol=0.05, rtol=0.05)
    assert (got[:, [0, 1, 3]] == 0).all()


def test_a_bias_raises_the_tokens_that_were_looked_at():
    given = fusion_of("attention_bias").condition(tokens_of(), one_look())
    assert int(given.density.argmax()) == LOOKED * 16 + NUMBER
    assert float(given.density.sum()) == pytest.approx(1)


@pytest.mark.parametrize(("cells", "scale"), [(4, 1), (4, 2), (4, 4), (4, 8), (4, 16), (1, 1), (2, 8)])
def test_an_embedding_has_a_vector_for_each_patch_at_every_scale(cells, scale):
    embedding = HeatmapEmbedding(6, (5, 3), cells=cells, scale=scale)
    vectors = embedding(GazeMaps(), random_gaze(), tubelet=2)
    assert vectors.shape == (2, 4, 5, 3, 6)
    if scale >= 2 * cells:
        assert torch.equal(vectors[:, :, 0, 0], vectors[:, :, 1, 1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"name": "interleave", "heatmap_patch_size": 12},
            "12 x 12 pixels .* do not divide the model's input of 32 x 32",
        ),
        ({"name": "interleave", "scales": [8]}, "64 x 64 pixels"),
        ({"name": "interleave", "scales": [1, 1]}, "each at least 1 and once"),
        ({"name": "interleave", "per": "clip"}, "expected one of tubelet, frame"),
        ({"name": "patch_add", "cells": 4, "scales": [3]}, "4 cells and the scale is 3"),
        ({"name": "patch_add", "scales": []}, "at least one, each once"),
        ({"name": "region", "how": "lay"}, "expected one of insert, add"),
        ({"name": "cross_attention", "width": 10}, "expected a multiple of the heads"),
        ({"name": "temporal", "width": 10, "heads": 4}, "an even width that the heads divide"),
        ({"name": "points", "learned_sigma": True}, "'points' renders no maps"),
        ({"name": "attention_bias", "strength": 0}, "strength is 0"),
        ({"name": "patch_add", "cells": 0}, "cells is 0"),
    ],
)
def test_what_cannot_be_is_refused(settings, words, unchecked):
    with pytest.raises(OptionError, match=words):
        tiny_model(fusion_from(settings))
