"""torchvision's video classifiers: what they are fed, and that cell (t, i, j) stands for the right frames and pixels."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from isotherm.api import explain, explain_many, open_model
from isotherm.cam.clips import Clip, ClipView
from isotherm.errors import AdapterError, InputError, LayerError, MethodError, OptionError
from isotherm.moments import Moments
from rigs.breadth import wide
from rigs.clip_checks import WRONG, Sighting, Square, assert_follows, changes, square_clips

SIZE = (120, 150)
"""(h, w) of the frames: stretched to 73 x 98 pixels, of which the middle 64 x 64 are fed."""
SQUARES = (
    Square((50, 40), (0, 4), 24),
    Square((100, 80), (6, 8), 24),
    Square((60, 85), (22, 24), 24),
    Square((95, 35), (28, 32), 24),
)
"""In some of 32 frames, of which 16 are fed."""


@cache
def view_of(name: str, seed: int, **options):
    return open_model(name, weights="none", seed=seed, **{"size": 64, **options})


@cache
def changes_of(name: str, seed: int):
    layers = ["layer3", "layer4"]
    return changes(view_of(name, seed), layers, square_clips(SIZE, 32, SQUARES, seed=seed), SQUARES)


def seen_by(name: str, layer: str):
    """Of two networks, where a layer of theirs is looked at in several ways, of one otherwise."""
    return [seen for seed in range(2 if name == "r3d_18" else 1) for seen in changes_of(name, seed)[layer]]


@pytest.mark.parametrize(
    ("name", "layer", "moments"),
    [
        ("r3d_18", "layer3", 4),
        ("r3d_18", "layer4", 2),
        ("mc3_18", "layer4", 16),
        *wide([("r2plus1d_18", "layer3", 4), ("r2plus1d_18", "layer4", 2)]),
    ],
)
def test_what_changes_follows_a_square_in_space_and_time(name, layer, moments):
    seen = seen_by(name, layer)
    assert {len(one.values) for one in seen} == {moments}
    # all but one of two networks' eight, all of one's four; a moment of mc3_18 is a single frame, and a random kernel
    # over three frames may be strongest at the one beside it
    assert_follows(seen, exact=0.5 if name == "mc3_18" else 0.875)


def evenly(seen: Sighting) -> Sighting:
    """Moments as if the cells divided the clip evenly, which those of strided convolutions do not."""
    n = len(seen.moments)
    return replace(seen, moments=Moments(tuple((32 * i / n, 32 * (i + 1) / n) for i in range(n)), seen.moments.shown))


@pytest.mark.parametrize("wrong", [*WRONG, evenly])
def test_a_wrong_layout_would_be_seen(wrong):
    with pytest.raises(AssertionError):
        assert_follows([wrong(seen) for seen in seen_by("r3d_18", "layer3")])


@pytest.mark.parametrize("seed", [0, *wide([1])])
def test_the_maps_of_an_explanation_follow_the_square(seed):
    """Of a score that is about the square, trained or not: along what the square changes in the embedding.

    A map also shows what was there before the square came, so what is followed is how it changes.
    """
    view, squares = view_of("r3d_18", seed), SQUARES[seed::2]  # an early one and a late one for each network
    base, *lit = square_clips(SIZE, 32, squares, seed=seed)
    with torch.no_grad():
        embeddings = view.run(view.prepare([base, *lit])).embedding
    seen = []
    for clip, square, embedding in zip(lit, squares, embeddings[1:], strict=True):
        along = embedding - embeddings[0]
        before, after = explain_many(
            view,
            [base, clip],
            target=lambda p, along=along: p.embedding @ along,
            method=["gradcam", "hirescam", "layercam"],
            trust="off",
        )
        assert [m.moments.frames for m in after] == [((0, 9), (9, 32))] * 3
        seen += [Sighting(b.values - a.values, b.frame, b.moments, square) for a, b in zip(before, after, strict=True)]
    assert_follows(seen)


@pytest.mark.parametrize("name", ["r3d_18", "s3d", "swin3d_t", "mvit_v2_s"])
def test_frames_are_those_of_the_weights_transforms_to_the_bit(name):
    from torchvision.models import get_model_weights

    from isotherm.models.torchvision.video import VideoClassifierView, preprocess_of

    weights = get_model_weights(name).DEFAULT
    frames = np.random.default_rng(0).integers(0, 256, (3, 70, 97, 3), dtype=np.uint8)
    expected = weights.transforms()(torch.from_numpy(frames).permute(0, 3, 1, 2))
    view = object.__new__(VideoClassifierView)
    view.preprocess = preprocess_of("", weights)
    tensor, frame, _ = view.prepared(list(frames))
    torch.testing.assert_close(tensor.transpose(0, 1), expected, rtol=0, atol=0)
    assert frame.size == tuple(expected.shape[-2:])


def test_the_frame_is_where_the_transform_puts_the_pixels():
    """Columns and rows that grow evenly are read back at the places that the frame gives."""
    h, w = SIZE
    across = np.broadcast_to(255 * (np.arange(w) + 0.5) / w, (h, w))
    down = np.broadcast_to((255 * (np.arange(h) + 0.5) / h)[:, None], (h, w))
    clip = Clip(np.stack([np.repeat(np.rint(g)[..., None], 3, -1).astype(np.uint8) for g in (across, down)]))
    inputs = view_of("r3d_18", 0, frames=2).prepare([clip])
    n = inputs.tensor.shape[-1]
    std, mean = torch.tensor([0.22803, 0.22145, 0.216989]), torch.tensor([0.43216, 0.394666, 0.37645])
    seen = (inputs.tensor[0] * std[:, None, None] + mean[:, None, None]).mean(1)
    yy, xx = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5,) * 2, indexing="ij")
    points = inputs.frame[0].points_to_source(torch.stack([xx, yy], -1).flatten(0, 1)).unflatten(0, (n, n))
    torch.testing.assert_close(seen[0].double() * w, points[..., 0], atol=0.6, rtol=0)
    torch.testing.assert_close(seen[1].double() * h, points[..., 1], atol=0.6, rtol=0)


def test_an_explanation_says_what_was_chosen():
    clip = np.random.default_rng(0).integers(0, 256, (40, 60, 80, 3), dtype=np.uint8)
    found = explain(view_of("r3d_18", 0), clip, video_fps=10.0, trust="off")
    (heatmap,) = found
    assert isinstance(view_of("r3d_18", 0), ClipView)
    assert heatmap.values.shape == (2, 4, 4)
    # of 40 frames 16 are fed; their middles lie at frames 0 and 8 of those
    assert heatmap.moments.frames == ((0, 11.25), (11.25, 40))
    assert heatmap.moments.times_s == ((0, 1.125), (1.125, 4.0))
    assert heatmap.moments.shown == (1, 21)
    np.testing.assert_array_equal(heatmap[1].picture, clip[21])
    np.testing.assert_array_equal(found.picture, clip[1])
    np.testing.assert_array_equal(found.clip.frames, clip)
    said = "\n".join(found.chosen)
    for words in (
        "16 of its 40 frames are fed to the model, evenly spread over all of it; it lasts from 0 to 4 s",
        "64 x 64 pixels, as given",
        "stretched to 73 x 98 and cut in the centre",
        "mean 0.4322 0.3947 0.3765",
        "16 frames, isotherm's default",
        "the 400 of R3D_18_Weights",
        "layer4",
    ):
        assert words in said, words


def test_two_clips_of_different_length_and_size_in_one_batch():
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (n, h, 80, 3), dtype=np.uint8) for n, h in ((8, 60), (20, 90))]
    together = list(explain_many(view_of("r3d_18", 0), clips, target=3, trust="off", batch=2))
    for clip, found in zip(clips, together, strict=True):
        alone = explain(view_of("r3d_18", 0), clip, target=3, trust="off")
        torch.testing.assert_close(found[0].values, alone[0].values, rtol=1e-4, atol=1e-7)
        assert found[0].moments == alone[0].moments
    assert "some more than once" in together[0].chosen[-1]


def test_several_layers_and_smoothing():
    clip = np.random.default_rng(0).integers(0, 256, (16, 60, 80, 3), dtype=np.uint8)
    view = view_of("r3d_18", 0, size=32)
    found = explain(view, clip, target=[3, 5], layers=["layer3", "layer4"], smooth="both", trust="off")
    assert [m.values.shape for m in found] == [(4, 4, 4)] * 2
    assert found[0].moments.frames == ((0, 2.5), (2.5, 6.5), (6.5, 10.5), (10.5, 16))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda v: explain(v, np.zeros((60, 80, 3), np.uint8)), InputError, r"goes as \[picture\]"),
        (
            lambda v: explain(v, [np.zeros((60, 80, 3), np.uint8)], method="rise"),
            MethodError,
            "RISE cannot explain clips",
        ),
        (lambda v: explain(v, [np.zeros((60, 80, 3), np.uint8)], layers="fc"), LayerError, "no grid over a clip"),
        (
            lambda v: explain("resnet18", np.zeros((60, 80, 3), np.uint8), weights="none", video_fps=2.0),
            OptionError,
            "sees one picture",
        ),
        (lambda v: open_model("resnet18", weights="none", frames=8), OptionError, "sees one picture"),
        (lambda v: open_model("r3d_18", weights="none", frames=0), OptionError, "frames is 0"),
        (lambda v: open_model("r3d_18", weights="none", geometry="letterbox"), OptionError, "crop or squash"),
        (
            lambda v: open_model("r3d_18", weights="none", names=["a"]),
            OptionError,
            "for the 400 logits of this VideoResNet",
        ),
        (lambda v: open_model("mvit_v1_b", weights="none"), AdapterError, "VideoResNet, S3D"),
    ],
    ids=["picture", "method", "layer", "rate", "frames", "no frames", "geometry", "names", "mvit"],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(view_of("r3d_18", 0))


def test_trust_judges_a_clip(quick_verdicts):
    """A map that is right of a network whose class reads one channel: better than random maps in both directions, or said why not."""
    clip = np.random.default_rng(0).integers(0, 256, (8, 40, 40, 3), dtype=np.uint8)
    view = view_of("r3d_18", 0, frames=8, size=32)
    (trust,) = explain(view, clip, target=3).trust
    assert trust.untrained
    assert np.isfinite([trust.gain.value, *trust.gain.kept, *trust.gain.cut]).all()
    (other,) = explain(view, clip, target=lambda prediction: prediction.logits[:, 3]).trust
    assert other.deletion.orders == 2
    assert (
        np.isfinite([other.deletion.random, other.insertion.random, other.similarity]).all()
        or "unknown" in other.line()
    )
    again = explain(view, clip, target=3).trust[0]
    assert again.line() == trust.line()
