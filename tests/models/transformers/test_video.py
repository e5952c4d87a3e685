"""transformers' video classifiers: tokens stand for the right tubelets and patches, through the processor's resizing and crop."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from isotherm.api import explain, explain_many, open_model
from isotherm.cam.clips import Clip, ClipView
from isotherm.errors import AdapterError, LayerError, OptionError
from rigs.breadth import wide
from rigs.clip_checks import WRONG, Sighting, Square, assert_follows, changes, square_clips

transformers = pytest.importorskip("transformers")
SMALL = dict(num_hidden_layers=2, num_attention_heads=2, num_labels=5)
TINY = dict(hidden_size=32, intermediate_size=48, image_size=64, num_frames=8, **SMALL)
SIZE = (120, 150)
"""(h, w) of the frames, whose middle is fed, 64 x 64 pixels after scaling."""
SQUARES = (
    Square((33, 40), (0, 4), 20),
    Square((100, 80), (6, 8), 20),
    Square((60, 85), (8, 12), 20),
    Square((117, 35), (12, 16), 20),
)
"""In some of 16 frames, of which 8 are fed."""
CELLS = 1.1
"""How far the peak may be: the squares are one and a half cells wide, and the strongest cell that one touches need not be its middle."""
FAMILIES = {"vjepa2": (4, 8, 8), "videomae": (4, 8, 8), "timesformer": (8, 8, 8), "vivit": (4, 8, 8)}


@cache
def model_of(family: str, seed: int):
    torch.manual_seed(seed)
    t = transformers
    if family == "vjepa2":
        config = t.VJEPA2Config(
            patch_size=8,
            crop_size=64,
            frames_per_clip=8,
            tubelet_size=2,
            hidden_size=48,
            mlp_ratio=2.0,
            num_pooler_layers=1,
            pred_hidden_size=24,
            pred_num_attention_heads=2,
            pred_num_hidden_layers=1,
            **SMALL,
        )
        return t.VJEPA2ForVideoClassification(config).eval()
    if family == "videomae":
        return t.VideoMAEForVideoClassification(t.VideoMAEConfig(patch_size=8, tubelet_size=2, **TINY)).eval()
    if family == "timesformer":
        return t.TimesformerForVideoClassification(t.TimesformerConfig(patch_size=8, **TINY)).eval()
    return t.VivitForVideoClassification(t.VivitConfig(tubelet_size=[2, 8, 8], **TINY)).eval()


@cache
def seen_by(family: str) -> list[Sighting]:
    found = []
    for seed in range(3):
        view = open_model(model_of(family, seed))
        (layer,) = view.auto_layers().layers
        found += changes(view, [layer], square_clips(SIZE, 16, SQUARES, seed=seed), SQUARES)[layer]
    return found


@pytest.mark.parametrize(("family", "grid"), FAMILIES.items(), ids=list(FAMILIES))
def test_what_changes_follows_a_square_in_space_and_time(family, grid):
    assert {tuple(one.values.shape) for one in seen_by(family)} == {grid}
    assert_follows(seen_by(family), cells=CELLS)


def transposed(seen: Sighting) -> Sighting:
    """Rows read as columns."""
    return Sighting(seen.values.mT, seen.frame, seen.moments, seen.square)


def time_last(seen: Sighting) -> Sighting:
    """The tokens of one place taken for those of one moment."""
    return Sighting(
        seen.values.flatten().unflatten(0, (8, 8, -1)).permute(2, 0, 1), seen.frame, seen.moments, seen.square
    )


@pytest.mark.parametrize("wrong", [*WRONG, transposed, time_last])
def test_a_wrong_layout_would_be_seen(wrong):
    with pytest.raises(AssertionError):
        assert_follows([wrong(seen) for seen in seen_by("vjepa2")], cells=CELLS)


@pytest.mark.parametrize("family", ["videomae", *wide(["vjepa2"])])
def test_the_maps_of_an_explanation_follow_the_square(family):
    """Of a score that is about the square, trained or not: along what the square changes in the embedding."""
    seen = []
    for seed in range(3):
        view = open_model(model_of(family, seed))
        base, *lit = square_clips(SIZE, 16, SQUARES, seed=seed)
        with torch.no_grad():
            embeddings = view.run(view.prepare([base, *lit])).embedding
        for clip, square, embedding in zip(lit, SQUARES, embeddings[1:], strict=True):
            along = embedding - embeddings[0]
            before, after = explain_many(
                view, [base, clip], target=lambda p, along=along: p.embedding @ along, trust="off"
            )
            assert after[0].moments.frames == ((0, 4), (4, 8), (8, 12), (12, 16))
            seen.append(Sighting(after[0].values - before[0].values, after[0].frame, after[0].moments, square))
    assert_follows(seen, exact=1.0, cells=CELLS)


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_are_the_processors_own_to_the_bit(family):
    from isotherm.models.transformers.video import PROCESSORS

    processor = getattr(transformers, PROCESSORS[family])()
    frames = np.random.default_rng(0).integers(0, 256, (16, 90, 130, 3), dtype=np.uint8)
    view = open_model(model_of(family, 0), processor=processor)
    inputs = view.prepare([Clip(frames)])
    out = processor([frames[1::2]], return_tensors="pt", do_sample_frames=False)
    torch.testing.assert_close(inputs.tensor, next(iter(out.values())), rtol=0, atol=0)
    assert inputs.timelines[0].fed == tuple(range(1, 16, 2))


def test_an_explanation_of_v_jepa_2():
    clip = np.random.default_rng(0).integers(0, 256, (16, 60, 80, 3), dtype=np.uint8)
    view = open_model(model_of("vjepa2", 0), names=list("abcde"))
    assert isinstance(view, ClipView)
    found = explain(view, clip, video_fps=8, method=["hirescam", "gradcam", "eigencam", "ablationcam"], target="b")
    assert [m.values.shape for m in found] == [(4, 8, 8)] * 4
    assert found[0].moments.times_s == ((0, 0.5), (0.5, 1), (1, 1.5), (1.5, 2))
    assert found[0].label == "b"
    assert len(found.trust) == 4
    said = "\n".join(found.chosen)
    for words in (
        "8 frames, declared by its configuration",
        "64 x 64 pixels",
        "8 of its 16 frames are fed",
        "layernorm",
    ):
        assert words in said


def test_v_jepa_2_takes_more_frames():
    view = open_model(model_of("vjepa2", 0), frames=12)
    clip = np.random.default_rng(0).integers(0, 256, (12, 60, 80, 3), dtype=np.uint8)
    heatmap = explain(view, clip, trust="off")[0]
    assert heatmap.moments.frames == tuple((2 * i, 2 * i + 2) for i in range(6))
    assert "12 frames, as given" in "\n".join(map(str, view.premises))


def test_a_saved_model_opens_by_its_folder(tmp_path):
    model_of("videomae", 0).save_pretrained(tmp_path)
    transformers.VideoMAEVideoProcessor(
        size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}
    ).save_pretrained(tmp_path)
    clip = np.random.default_rng(0).integers(0, 256, (8, 60, 80, 3), dtype=np.uint8)
    assert explain(str(tmp_path), clip, trust="off")[0].values.shape == (4, 8, 8)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: open_model(model_of("videomae", 0), frames=4), OptionError, "clips of 8 frames only"),
        (lambda: open_model(model_of("vjepa2", 0), frames=3), OptionError, "tubelets of 2 frames"),
        (lambda: open_model(model_of("vjepa2", 0), classes=["cat"]), OptionError, "takes no classes"),
        (
            lambda: open_model(
                transformers.TimesformerForVideoClassification(
                    transformers.TimesformerConfig(patch_size=8, attention_type="space_only", **TINY)
                )
            ),
            AdapterError,
            "attends in space only",
        ),
        (
            lambda: explain(model_of("vjepa2", 0), np.zeros((8, 60, 80, 3), np.uint8), layers="pooler", trust="off"),
            LayerError,
            "tokens",
        ),
    ],
    ids=["frames", "tubelets", "classes", "space only", "layer"],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
