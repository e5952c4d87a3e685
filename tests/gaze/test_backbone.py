"""V-JEPA 2's features and futures are those of transformers, and what it would take without a word is an error."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.gaze.backbone import VideoBackbone
from isotherm.models.transformers.vjepa2.build import make_vjepa2
from rigs.anticipation_models import TINY, clips_of

PER = 16


@pytest.fixture(scope="module")
def backbone():
    return VideoBackbone(make_vjepa2(TINY, seed=0))


def test_features_are_those_of_transformers_to_the_bit(backbone):
    video = clips_of()
    out = backbone.model(pixel_values_videos=video, skip_predictor=True)
    assert torch.equal(backbone.encode(backbone.embed(video)), out.last_hidden_state)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 7, 3, 32, 32), "7 frames; expected a multiple of 2.*drop frames"),
        ((1, 1, 3, 32, 32), "1 frames; expected a multiple of 2.*repeat frames"),
        ((1, 8, 3, 40, 40), "40 x 40 pixels; expected 32 x 32"),
        ((1, 8, 3, 32, 40), "32 x 40 pixels"),
        ((1, 8, 1, 32, 32), "1 channels; expected 3"),
    ],
)
def test_what_transformers_takes_without_a_word_is_refused(backbone, shape, words):
    with pytest.raises(ShapeError, match=words):
        backbone.embed(torch.zeros(shape))


def test_another_number_of_whole_tubelets_is_welcome(backbone):
    assert backbone.encode(backbone.embed(clips_of(1, frames=4))).shape == (1, 2 * PER, 48)


@pytest.mark.parametrize(
    ("ahead_s", "fps", "output_frames", "first", "many"),
    [
        (0.0, 8, 2, 4 * PER, PER),
        (1.0, 8, 2, 8 * PER, PER),
        (0.9, 8, 2, 7 * PER, PER),  # 3.6 tubelets
        (0.7, 10, 2, 7 * PER, PER),  # 3.5 tubelets
        (4.2, 30, 2, 67 * PER, PER),  # 63 tubelets, 62.999996 in float32
        (1.0, 8, 5, 8 * PER, 2 * PER),
        (1.0, 8, 1, 8 * PER, PER),
    ],
)
def test_a_time_ahead_is_a_place_beyond_the_clip(backbone, ahead_s, fps, output_frames, first, many):
    ids = backbone.target_ids(4, torch.tensor([ahead_s]), frames_per_second=fps, output_frames=output_frames)
    assert ids.tolist() == [list(range(first, first + many))]


def test_a_future_is_that_of_the_predictor_called_by_itself(backbone):
    features = backbone.encode(backbone.embed(clips_of()))
    ahead = torch.tensor([0.5, 1.5])
    got = backbone.predict(features, ahead, frames_per_second=8)
    context = torch.arange(64).expand(2, 64)
    target = torch.stack([torch.arange(16) + 96, torch.arange(16) + 160])
    out = backbone.predictor(encoder_hidden_states=features, context_mask=[context], target_mask=[target])
    assert torch.equal(got, out.last_hidden_state)
    # which VJEPA2Model itself cannot be asked for
    with pytest.raises((RuntimeError, IndexError)):
        backbone.model(pixel_values_videos=clips_of(), context_mask=[context], target_mask=[target])


def test_each_clip_has_its_own_time_ahead(backbone):
    features = backbone.encode(backbone.embed(clips_of()))
    both = backbone.predict(features, torch.tensor([0.5, 1.5]), frames_per_second=8)
    alone = backbone.predict(features[1:], torch.tensor([1.5]), frames_per_second=8)
    torch.testing.assert_close(both[1:], alone)
    sooner = backbone.predict(features[1:], torch.tensor([0.5]), frames_per_second=8)
    assert not torch.allclose(alone, sooner, atol=1e-3)


def test_what_cannot_be_is_refused(backbone):
    with pytest.raises(ShapeError, match=r"expected \(b, m x 16, 48\)"):
        backbone.tubelets(torch.zeros(1, 63, 48))
    with pytest.raises(OptionError, match="at least 0 after the end"):
        backbone.target_ids(4, torch.tensor([-0.1]), frames_per_second=8, output_frames=2)
    with pytest.raises(OptionError, match="above 0"):
        backbone.target_ids(4, torch.tensor([1.0]), frames_per_second=0, output_frames=2)
