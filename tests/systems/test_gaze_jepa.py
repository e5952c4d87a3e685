"""The names that people know, by the core: the same tokens as V-JEPA 2 alone at first, a heatmap embedding that learns."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.gaze.gate import opened_gates
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.trainable import check_gradients, expect_gradients
from isotherm.models.transformers.vjepa2.build import make_vjepa2
from isotherm.systems.gaze_jepa import (
    AnticipativeWrapperHeatmap,
    VisionTransformerPredictorHeatmap,
    vit_heatmap_predictor,
)
from rigs.anticipation_models import TINY, clips_of, random_gaze, tiny_model

ARGUMENTS = dict(
    img_size=32,
    patch_size=8,
    num_frames=8,
    embed_dim=48,
    predictor_embed_dim=24,
    depth=2,
    num_heads=2,
    init_std=0.2,
    num_mask_tokens=10,
    zero_init_mask_tokens=False,
    heatmap_patch_size=16,
)
OF_THE_YAML = dict(
    model_name="vit_predictor",
    checkpoint_key="predictor",
    uniform_power=True,
    use_mask_tokens=True,
    use_sdpa=True,
    use_silu=False,
    wide_silu=False,
    use_rope=True,
)


def wrapper_of(**options) -> AnticipativeWrapperHeatmap:
    model = make_vjepa2(TINY, seed=0)
    predictor = vit_heatmap_predictor(**ARGUMENTS, **OF_THE_YAML)
    predictor.predictor.load_state_dict(model.predictor.state_dict())
    sizes = dict(frames_per_second=8, crop_size=32, patch_size=8, tubelet_size=2)
    return AnticipativeWrapperHeatmap(model, predictor, **sizes, **options)


def heatmaps_of(t: int = 8) -> torch.Tensor:
    maps = torch.rand(2, t, 32, 32, generator=torch.Generator().manual_seed(0))
    maps[0, 1] = 0
    return maps


@pytest.mark.parametrize("options", [{}, {"num_steps": 2}, {"no_encoder": True}, {"num_output_frames": 4}])
def test_a_closed_wrapper_is_v_jepa_2_alone_to_the_bit(options):
    words = {"num_steps": "steps", "num_output_frames": "output_frames"}
    core = {words[k]: v for k, v in options.items() if k in words}
    if options.get("no_encoder"):
        core["reads_features"] = False
    model, times = tiny_model(**core), torch.tensor([0.6, 1.3])
    expected = model.context(model.encode(clips_of()), None, times)
    x = clips_of().movedim(1, 2)
    wrapper = wrapper_of(**options)
    assert torch.equal(wrapper(x, times, heatmaps_of()), expected)
    assert torch.equal(wrapper(x, times), expected)
    with opened_gates(wrapper):
        assert not torch.allclose(wrapper(x, times, heatmaps_of()), expected, atol=1e-4)


def test_the_encoder_alone():
    x = clips_of().movedim(1, 2)
    assert torch.equal(wrapper_of(no_predictor=True)(x, torch.ones(2)), tiny_model().encode(clips_of()))
    with pytest.raises(OptionError, match="nothing would be left"):
        wrapper_of(no_predictor=True, no_encoder=True)


def test_the_heatmap_embedding_is_trained_with_all_else_frozen():
    wrapper = wrapper_of().freeze_pretrained()
    x, maps = clips_of().movedim(1, 2), heatmaps_of()

    def loss() -> torch.Tensor:
        return wrapper(x, torch.ones(2), maps).square().mean()

    check_gradients(wrapper, loss)
    loss().backward()
    expect_gradients(wrapper)
    assert all(name.startswith("predictor.fusion.") for name, p in wrapper.named_parameters() if p.requires_grad)


def test_without_masks_the_clips_own_frames_are_said():
    predictor = VisionTransformerPredictorHeatmap(**ARGUMENTS)
    tokens = torch.randn(2, 64, 48, generator=torch.Generator().manual_seed(0))
    own = torch.arange(64).expand(2, 64)
    said = predictor(tokens, heatmaps_of())
    assert torch.equal(said, predictor(tokens, heatmaps_of(), masks_x=own, masks_y=own))
    assert said.shape == tokens.shape


def test_heatmaps_per_frame_and_per_tubelet_at_any_resolution_and_scale():
    predictor = VisionTransformerPredictorHeatmap(**ARGUMENTS)
    tokens, maps = torch.zeros(2, 64, 48), heatmaps_of()
    gaze = predictor.gaze(tokens, maps)
    assert gaze.state[:, :3].tolist() == [[0, 1, 0], [0, 0, 0]]
    per_tubelet = predictor.gaze(tokens, heatmaps_of(4)[:, :, None])
    assert per_tubelet.frames == 8
    assert torch.equal(per_tubelet.maps[:, 0], per_tubelet.maps[:, 1])
    with opened_gates(predictor):
        bright, sums = predictor(tokens, maps * 255), predictor(tokens, maps / 1024)
        torch.testing.assert_close(bright, sums)
        assert torch.isfinite(predictor(tokens, torch.rand(2, 8, 64, 48))).all()
        known = random_gaze()
        assert not torch.allclose(predictor(tokens, known), bright, atol=1e-4)
        gone = GazeInputs.missing(2, 8, (32, 32))
        torch.testing.assert_close(predictor(tokens, maps * 0), predictor(tokens, gone))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"use_rope": False}, "use_rope is False; expected True"),
        ({"is_frame_causal": True}, "is_frame_causal is True; expected False"),
        ({"heatmap_patchsize": 16}, "no argument heatmap_patchsize"),
        ({"img_size": (32, 40)}, "a square of whole patches"),
        ({"heatmap_patch_size": 12}, "do not divide"),
        ({"fusion": {"name": "patch_add", "at": "embeddings"}}, "acts at the features"),
    ],
)
def test_another_network_is_refused(arguments, words):
    with pytest.raises(OptionError, match=words):
        VisionTransformerPredictorHeatmap(**(ARGUMENTS | arguments))
    assert VisionTransformerPredictorHeatmap(**ARGUMENTS, fusion="patch_add").fusion.config.name == "patch_add"


@pytest.mark.parametrize(
    ("shape", "words"), [((2, 7, 32, 32), "t = 8, one per frame, or 4"), ((1, 8, 32, 32), "expected \\(2, t, H, W\\)")]
)
def test_heatmaps_of_other_clips_are_refused(shape, words, unchecked):
    with pytest.raises(ShapeError, match=words):
        VisionTransformerPredictorHeatmap(**ARGUMENTS)(torch.zeros(2, 64, 48), torch.zeros(shape))


def test_clips_that_would_be_cut_are_refused():
    wrapper = wrapper_of()
    for x in (torch.zeros(1, 3, 7, 32, 32), torch.zeros(1, 3, 8, 40, 40)):
        with pytest.raises(ShapeError, match="t a multiple of 2"):
            wrapper(x, torch.ones(1))
    with pytest.raises(OptionError, match="mask_index is 0"):
        wrapper.predictor(torch.zeros(1, 64, 48), mask_index=0)
