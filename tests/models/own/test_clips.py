"""Modules of one's own that take clips: a map for every moment, at the right place and time, by layers and by occlusion."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.api import explain, explain_many, open_model, view_of
from isotherm.cam.clips import ClipView
from isotherm.cam.methods import Occlusion
from isotherm.errors import AdapterError, InputError, LayerError, MethodError, OptionError
from rigs.breadth import wide
from rigs.clip_checks import WRONG, Sighting, Square, assert_follows, changes, square_clips
from rigs.clip_networks import ByFrame, FramesFirst, OfTorchvision, SpaceTime, Stacked, made

SIZE = (120, 150)
"""(h, w) of the frames: scaled to 73 x 91 pixels, of which the middle 64 x 64 are fed."""
SQUARES = (
    Square((50, 40), (0, 4), 24),
    Square((100, 80), (6, 8), 24),
    Square((60, 85), (22, 24), 24),
    Square((95, 35), (28, 32), 24),
)
"""In some of 32 frames, of which 16 are fed."""
FILM = np.random.default_rng(0).integers(0, 256, (32, 60, 80, 3), dtype=np.uint8)
KINDS = {
    "convolutions over time": (SpaceTime, {}),
    "frames as pictures": (ByFrame, {"frames": 16}),
    "frames as channels": (partial(Stacked, 16), {"axes": "b (t c) h w", "frames": 16}),
    "of torchvision": (OfTorchvision, {"output": "classes"}),
}


def opened(kind: str, seed: int = 0, **options):
    make, own = KINDS[kind]
    return open_model(made(make, seed), size=64, **{**own, **options})


@pytest.mark.parametrize(
    ("kind", "moments"), [("convolutions over time", 8), ("frames as pictures", 16), *wide([("of torchvision", 2)])]
)
def test_the_chosen_layer_follows_a_square_in_space_and_time(kind, moments):
    seen: list[Sighting] = []
    for seed in range(1 if kind == "of torchvision" else 2):
        view = opened(kind, seed)
        assert isinstance(view, ClipView)
        (layer,) = view.auto_layers().layers
        seen += changes(view, [layer], square_clips(SIZE, 32, SQUARES, seed=seed), SQUARES)[layer]
    assert {len(one.values) for one in seen} == {moments}
    assert_follows(seen, exact=0.875)
    for wrong in WRONG if moments > 2 else ():
        with pytest.raises(AssertionError):
            assert_follows([wrong(one) for one in seen], exact=0.875)


@pytest.mark.parametrize("kind", ["frames as pictures", "frames as channels", *wide(["convolutions over time"])])
def test_occlusion_sees_the_square_in_space_and_time(kind):
    """What falls when a part of some frames is blanked: of a score along what the square changes."""
    view = opened(kind)
    squares = SQUARES[1::2]
    base, *lit = square_clips(SIZE, 32, squares)
    with torch.no_grad():
        logits = view.run(view.prepare([base, *lit])).logits
    seen = []
    for clip, square, after in zip(lit, squares, logits[1:], strict=True):
        along = after - logits[0]
        options = {"method": Occlusion(window=16, stride=16), "trust": "off"}
        (before,), (found,) = explain_many(view, [base, clip], target=lambda out, along=along: out @ along, **options)
        assert len(found.moments) == 8  # of two frames each
        seen.append(Sighting((found.values - before.values).abs(), found.frame, found.moments, square))
    for one in seen:
        moments, rows, columns = torch.nonzero(one.values == one.values.max()).double().T
        middle = torch.stack([columns, rows], 1).mean(0, keepdim=True) + 0.5
        x, y = one.frame.points_to_source(middle)[0].tolist()
        # a window of 26 x 26 pixels overlaps a square of 24 x 24
        assert max(abs(x - one.square.at[0]), abs(y - one.square.at[1])) <= 25, (x, y, one.square)
        moment = int(moments[0])
        assert moment in {one.moments.of_frame(f) for f in range(*one.square.lasts)}


def test_rows_of_several_clips_stay_apart():
    """The frames of each clip are rows of a layer: two clips and two classes together give what each gives alone."""
    view = opened("frames as pictures", frames=4)
    clips = [FILM[:8], FILM[8:20]]
    options = {"target": (1, 2), "method": ["hirescam", "ablationcam"], "trust": "off"}
    together = list(explain_many(view, clips, batch=2, **options))
    for clip, found in zip(clips, together, strict=True):
        for one, alone in zip(found, explain(view, clip, **options), strict=True):
            torch.testing.assert_close(one.values, alone.values, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(together[0][0].values, together[1][0].values)


def test_frames_of_all_clips_beside_each_other_are_refused():
    view = open_model(made(FramesFirst), size=64, frames=4)
    with pytest.raises(LayerError, match="does not follow a cube that stands at several places and times"):
        view.auto_layers()


def test_what_was_found_out_is_told():
    found = explain(made(SpaceTime), FILM, size=64, video_fps=10.0, trust="fast")
    (heatmap,) = found
    assert heatmap.values.shape == (8, 8, 8)
    assert heatmap.moments.times_s is not None
    told = "\n".join(found.chosen)
    for words in (
        "16 frames, an assumption: it runs on so many; frames can be given",
        "clips b c t h w (1, 3, 16, 64, 64), an assumption: it runs on no other form that was tried",
        "body: the last layer of this SpaceTime with several moments",
        "(8 x 8 x 8)",
        "16 of its 32 frames are fed",
    ):
        assert words in told, words
    assert found.trust[0].gain is not None
    stacked = explain(opened("frames as channels"), FILM, trust="off")
    assert len(stacked[0].moments) == 1
    assert "no layer keeps the moments of a clip apart" in "\n".join(stacked.chosen)


def test_any_output_and_any_layer_can_be_named():
    class Both(SpaceTime):
        def forward(self, x):
            features = self.body(x)
            return features, {"mean": features.mean((2, 3, 4))}

    net = made(Both)
    with pytest.raises(Exception, match=r"put out a tuple.*target="):
        explain(net, FILM, size=64, trust="off")
    found = explain(net, FILM, size=64, target=lambda out: out[1]["mean"][:, 3], layers="body.0", trust="off")
    assert found[0].values.shape == (16, 16, 16)
    assert explain(net, FILM, size=64, target=lambda out: out[1]["mean"][:, 3], trust="off")[0].meta["layer"] == "body"
    with pytest.raises(LayerError, match="no grid over"):
        explain(made(SpaceTime), FILM, size=64, layers="head", trust="off")


def test_a_function_of_clips_is_explained_by_occlusion():
    net = made(SpaceTime)
    found = explain(lambda clips: net(clips), FILM, frames=8, size=64, axes="b c t h w", trust="off")
    assert found[0].values.shape == (8, 64, 64)
    assert found[0].meta["method"] == "Occlusion"
    with pytest.raises(MethodError, match="is a function, which has none to look into; occlusion needs neither"):
        explain(lambda clips: net(clips), FILM, frames=8, size=64, axes="b c t h w", method="gradcam")


def test_tokens_of_every_frame_take_the_users_grid():
    class Tokens(nn.Module):
        """A class token and 4 x 4 patches of every frame."""

        def __init__(self):
            super().__init__()
            self.cut, self.block, self.head = nn.Conv2d(3, 16, 16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

        def forward(self, x):
            patches = self.cut(x.flatten(0, 1)).flatten(2).transpose(1, 2)
            tokens = self.block(torch.cat([patches.mean(1, keepdim=True), patches], 1))
            return self.head(tokens.mean(1).unflatten(0, x.shape[:2]).amax(1))

    view = view_of(made(Tokens), size=64, frames=8, grid=(4, 4), prefix=1)
    found = explain(view, FILM, layers="block", trust="off")
    assert found[0].values.shape == (8, 4, 4)
    with pytest.raises(LayerError, match=r"follow a cube|declares a grid"):
        explain(view_of(made(Tokens), size=64, frames=8, grid=(2, 8), prefix=1), FILM, layers="block", trust="off")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: explain(made(SpaceTime), FILM[0], size=64), InputError, r"goes as \[picture\]"),
        (
            lambda: open_model(made(partial(Stacked, 8)), size=64, frames=8),
            OptionError,
            r"which follow which: axes='b \(t c\) h w'",
        ),
        (lambda: open_model(made(ByFrame), size=64, frames=0), OptionError, "frames is 0"),
        (lambda: open_model(made(ByFrame), size=64, axes="b t h w c"), OptionError, "b c t h w"),
        (lambda: open_model(made(ByFrame), size=64, frames=3), OptionError, "say which it takes"),
        (
            lambda: open_model(made(partial(Stacked, 8)), size=64, frames=4),
            AdapterError,
            "cannot be run on a clip; tried were",
        ),
        (
            lambda: open_model(made(SpaceTime), size=64, frames=8, findings=len),
            OptionError,
            "findings= is of detectors that take pictures",
        ),
        (lambda: explain(made(SpaceTime), FILM, size=64, method="rise"), MethodError, "RISE cannot explain clips"),
        (lambda: explain(made(SpaceTime), FILM, size=64, method=Occlusion(frames=17)), MethodError, "from 1 to 16"),
    ],
    ids=["picture", "stacked", "frames", "axes", "two forms", "count", "findings", "method", "together"],
)
def test_what_cannot_be_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
