"""Video and gaze go through one frame: what is looked at stays under the gaze."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from isotherm.data.anticipation.actions import Action
from isotherm.data.anticipation.anchors import ClipPlan
from isotherm.data.anticipation.clips import VideoClip
from isotherm.data.anticipation.transforms import ClipTransform, through
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError
from isotherm.frame import Frame

SIZE, T = (120, 160), 5
TURNING = ClipTransform(size=(96, 96), degrees=25.0, area=(0.3, 1.0))


def spots(seed=0, size=SIZE):
    """A clip with a bright spot in every frame, and gaze on it."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform((15, 15), (size[1] - 15, size[0] - 15), (T, 2))
    ys, xs = np.mgrid[: size[0], : size[1]] + 0.5
    glow = np.exp(-((xs - xy[:, 0, None, None]) ** 2 + (ys - xy[:, 1, None, None]) ** 2) / (2 * 4.0**2))
    video = torch.from_numpy((255 * glow).round().astype(np.uint8))[:, None].expand(T, 3, *size).contiguous()
    gaze = GazeRecording.of(np.arange(T) / 8, xy, size=size)
    clip = GazeClip.of_samples(gaze.at(np.arange(T) / 8, window_s=0.01), size)
    return VideoClip(video, Frame.identity(size), torch.arange(T, dtype=torch.float64) / 8, 1.0, clip)


@pytest.mark.parametrize("index", range(12))
def test_what_is_looked_at_stays_under_the_gaze(index):
    clip = spots(index)
    out = TURNING(clip, index, epoch=2)
    assert out.video.shape == (T, 3, 96, 96)
    assert out.gaze is not None
    ys, xs = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(96) + 0.5, indexing="ij")
    for i in range(T):
        x, y = out.gaze.cells[i].tolist()
        inside = 14 <= x <= 82 and 14 <= y <= 82
        weight = out.video[i, 0] ** 2
        if inside:
            assert out.gaze.state[i] == GazeState.TRACKED
            centre = float((weight * xs).sum() / weight.sum()), float((weight * ys).sum() / weight.sum())
            assert centre == pytest.approx((x, y), abs=0.25)
        elif not (0 <= x <= 96 and 0 <= y <= 96):
            assert out.gaze.state[i] == GazeState.OUT_OF_FRAME


def test_gaze_leaves_the_crop_in_some_clips_and_is_mirrored_in_some():
    states, mirrored = [], 0
    for i in range(40):
        out = ClipTransform(size=(64, 64), area=(0.2, 0.4))(spots(i), i)
        states += out.gaze.state.tolist()
        mirrored += float(out.frame.to_source[0, 0]) < 0
    assert states.count(GazeState.OUT_OF_FRAME) > 50
    assert states.count(GazeState.TRACKED) > 20
    assert 10 < mirrored < 30


def test_what_is_drawn_depends_on_seed_epoch_and_number_alone():
    def frame(**kinds):
        options = {"seed": 0, "index": 4, "epoch": 1} | kinds
        transform = ClipTransform(size=(32, 32), degrees=10.0, seed=options["seed"])
        return transform.drawn(SIZE, options["index"], epoch=options["epoch"])

    assert frame().allclose(frame())
    assert not any(frame().allclose(frame(**{kind: 7})) for kind in ("seed", "index", "epoch"))


def test_draws_of_plan_and_transform_have_nothing_in_common():
    plan, transform = ClipPlan(anticipation_s=(0.0, 1.0)), ClipTransform(size=(8, 8))
    ahead = [plan.planned(Action("a", 9.0, 10.0, 0, 0), i).anticipation_s for i in range(300)]
    mirrored = [float(transform.drawn(SIZE, i).to_source[0, 0]) < 0 for i in range(300)]
    assert abs(np.corrcoef(ahead, mirrored)[0, 1]) < 0.2


def test_random_crops_are_distributed_as_torchvisions():
    transform, torchvision = ClipTransform(size=(8, 8), flip=0.0), v2.RandomResizedCrop((8, 8), scale=(0.3, 1.0))
    frames = [transform.drawn(SIZE, i) for i in range(600)]
    ours = np.array([[*f.points_to_source(torch.tensor([[0.0, 0.0], [8.0, 8.0]])).flatten().tolist()] for f in frames])
    theirs = []
    for _ in range(600):
        box = torchvision.make_params([torch.zeros(3, *SIZE)])
        theirs.append((box["left"], box["top"], box["left"] + box["width"], box["top"] + box["height"]))
    theirs = np.array(theirs)
    for values in (lambda b: b[:, 2] - b[:, 0], lambda b: b[:, 3] - b[:, 1], lambda b: b[:, 0], lambda b: b[:, 1]):
        a, b = values(ours), values(theirs)
        spread = np.sqrt((a.var() + b.var()) / 600)
        assert abs(a.mean() - b.mean()) < 4 * spread
        assert a.std() == pytest.approx(b.std(), rel=0.15)


@pytest.mark.parametrize(("flip", "crop"), [(0.0, "centre"), (1.0, "random")])
def test_upright_crops_are_torchvisions_to_rounding(flip, crop):
    clip = spots(3)
    transform = ClipTransform(size=(40, 50), crop=crop, flip=flip)
    frame = transform.drawn(SIZE, 0)
    x0, y0, x1, y1 = (round(v) for v in frame.boxes_to_source(torch.tensor([[0.0, 0.0, 50.0, 40.0]]))[0].tolist())
    wanted = v2.functional.resized_crop(clip.video.float(), y0, x0, y1 - y0, x1 - x0, [40, 50], antialias=True) / 255
    if flip:
        wanted = wanted.flip(-1)
    assert torch.allclose(through(clip.video, clip.frame, frame), wanted, atol=1e-6)


def test_a_turn_by_nothing_is_no_turn_and_a_shrunk_video_looks_alike():
    clip = spots(5)
    upright = ClipTransform.plain((60, 60)).drawn(SIZE, 0)
    turned = upright.rotated(1e-7)
    a, b = through(clip.video, clip.frame, upright), through(clip.video, clip.frame, turned)
    assert float((a - b).abs().max()) < 0.02
    small = torch.nn.functional.interpolate(clip.video.float(), (60, 80), mode="area").round().to(torch.uint8)
    c = through(small, Frame.resize(SIZE, (60, 80)), upright)
    assert float((a - c).abs().max()) < 0.06


@pytest.mark.parametrize("source", [(120, 160), (1080, 1920), (400, 300)])
@pytest.mark.parametrize("crop", ["random", "centre"])
def test_pictures_that_were_shrunk_to_what_is_enough_are_never_enlarged(source, crop):
    transform = ClipTransform(size=(48, 32), crop=crop, area=(0.3, 1.0), seed=3)
    side = transform.enough(source)
    assert side < min(source)
    shrunk = Frame.resize(source, tuple(round(n * side / min(source)) for n in source))
    cells = torch.stack([transform.drawn(shrunk, index).cell_size for index in range(300)])
    assert bool((shrunk.cell_size <= cells + 1e-9).all())
    # and no more pixels are kept than the smallest crops need
    assert float((cells / shrunk.cell_size).amin(0).min()) < 1.15
    assert ClipTransform(size=(300, 300), crop=crop).enough((120, 160)) is None


def test_beyond_the_picture_it_is_black():
    clip = spots(1)
    away = Frame.identity(SIZE).cropped((-300, -300, -200, -200))
    assert float(through(clip.video, clip.frame, away).abs().max()) == 0
    white = torch.full_like(clip.video, 255)
    half = Frame.identity(SIZE).cropped((-80, 0, 80, 120)).resized((24, 32))
    out = through(white, clip.frame, half)
    assert float(out[..., :15].max()) == 0
    assert float(out[..., 17:].min()) == pytest.approx(1.0)


def test_gaze_that_is_missing_stays_missing():
    clip = spots(2)
    gaze = GazeClip.missing(clip.time_s, SIZE)
    out = TURNING(VideoClip(clip.video, clip.frame, clip.time_s, 1.0, gaze), 0)
    assert (out.gaze.state == GazeState.MISSING).all()
    assert TURNING(VideoClip(clip.video, clip.frame, clip.time_s, 1.0, None), 0).gaze is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (0, 4)}, "at least 1 each"),
        ({"area": (0.5, 0.2)}, "in order"),
        ({"area": (0.5, 1.2)}, "up to 1"),
        ({"flip": 2.0}, "a probability"),
        ({"degrees": 200.0}, "0 to 180"),
    ],
)
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(OptionError, match=words):
        ClipTransform(**{"size": (8, 8), **options})


def test_a_crop_that_there_is_not_is_named(unchecked):
    with pytest.raises(OptionError, match="random, centre"):
        ClipTransform(size=(8, 8), crop="five")
