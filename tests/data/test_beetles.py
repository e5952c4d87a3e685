"""Generated beetles: the same bytes from a seed, and points, states and scale that agree with what is drawn."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from isotherm.data.beetle_body import elytra_distance, random_body
from isotherm.data.beetle_paint import soften
from isotherm.data.beetles import HELD_OUT, LOOKS, TRAINING, VALIDATION, BeetleConfig, beetles, make_beetle
from isotherm.errors import OptionError
from isotherm.points import State
from rigs.breadth import wide

INSIDE = {"cut_off": 0.0, "near_edge": 0.0}


@pytest.fixture(scope="module")
def drawn():
    return [make_beetle(seed) for seed in range(60)]


def digest(beetle) -> str:
    record = beetle.record
    arrays = (
        beetle.picture,
        beetle.points,
        beetle.outline,
        beetle.ruler,
        beetle.ruler_mask,
        record.points.numpy(),
        record.state.numpy(),
    )
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_any_order_and_process(drawn, programs, tmp_path):
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    assert [digest(make_beetle(seed)) for seed in reversed(range(12))][::-1] == [digest(b) for b in drawn[:12]]
    script = "from isotherm.data.beetles import make_beetle\nimport hashlib\nprint(hashlib.sha256(make_beetle(11).picture.tobytes()).hexdigest())"
    other = programs.run(script, cwd=tmp_path).stdout.strip()
    assert other == hashlib.sha256(drawn[11].picture.tobytes()).hexdigest()
    assert len({digest(b) for b in drawn}) == 60


# every collection, and every size of one: how a beetle is drawn depends on neither
@pytest.mark.parametrize(
    ("side", "group"),
    [
        *[(48, "Hawaii"), (128, "BeetlePalooza"), (128, "BioRepo"), (320, "Hawaii")],
        *wide([(48, "BeetlePalooza"), (48, "BioRepo"), (128, "Hawaii"), (320, "BeetlePalooza"), (320, "BioRepo")]),
    ],
)
def test_the_points_are_the_extremes_of_the_mask_along_and_across_the_axis(side, group):
    off = []
    for seed in range(12):
        beetle = make_beetle(seed, BeetleConfig(size=(side, side), groups=(group,), **INSIDE))
        rows, columns = np.nonzero(beetle.outline)
        places = np.stack([columns, rows], 1) + 0.5
        for pair, axis in ((slice(0, 2), np.array([-beetle.axis[1], beetle.axis[0]])), (slice(2, 4), beetle.axis)):
            mask, truth = places @ axis, np.sort(beetle.points[pair] @ axis)
            # pixel centres are inside of the outline, and the outermost are within about a pixel of it
            assert mask.min() > truth[0] - 0.3
            assert mask.max() < truth[1] + 0.3
            assert mask.min() < truth[0] + 1.3
            assert mask.max() > truth[1] - 1.3
            off.append(((mask.min() + mask.max()) - truth.sum()) / 2)
    # to either side the errors of single pixels cancel
    assert abs(np.mean(off)) < 0.15


def test_the_points_are_the_extremes_of_a_fine_mask_to_a_tenth_of_a_pixel():
    for seed in range(2):
        beetle = make_beetle(seed, BeetleConfig(size=(1024, 1024), grain=0, **INSIDE))
        rows, columns = np.nonzero(beetle.outline)
        places = (np.stack([columns, rows], 1) + 0.5) / 8  # in the pixels of a picture of 128 x 128
        for pair, axis in ((slice(0, 2), np.array([-beetle.axis[1], beetle.axis[0]])), (slice(2, 4), beetle.axis)):
            along = places @ axis
            np.testing.assert_allclose(np.sort(beetle.points[pair] / 8 @ axis), [along.min(), along.max()], atol=0.1)


def test_the_points_lie_on_the_outline_of_the_formula():
    for seed in range(50):
        body = random_body(np.random.default_rng(seed))
        u, v = body.points.astype(np.float32).T[:, None]
        np.testing.assert_allclose(elytra_distance(body, u, v), 0, atol=1e-6)
        grid_u, grid_v = np.meshgrid(
            np.linspace(-0.5, 1.5, 401, dtype=np.float32), np.linspace(-1, 1, 401, dtype=np.float32)
        )
        inside = elytra_distance(body, grid_u, grid_v) < -1e-5
        assert grid_u[inside].min() >= 0
        assert grid_u[inside].max() <= 1
        assert np.abs(grid_v[inside]).max() <= body.half_width
        assert np.abs(grid_v[inside]).max() >= body.half_width - 0.006


def test_width_is_across_length():
    for seed in range(30):
        p = make_beetle(seed, BeetleConfig(size=(64, 64))).points
        assert abs((p[1] - p[0]) @ (p[3] - p[2])) < 1e-9 * 64 * 64
        assert 0.55 < np.linalg.norm(p[1] - p[0]) / np.linalg.norm(p[3] - p[2]) < 0.85


@pytest.mark.parametrize("shape", [(64, 64), (48, 96)])
def test_a_picture_of_twice_the_size_shows_the_same_beetle(shape):
    for seed in range(8):
        small = make_beetle(seed, BeetleConfig(size=shape))
        large = make_beetle(seed, BeetleConfig(size=(2 * shape[0], 2 * shape[1])))
        np.testing.assert_allclose(large.points, 2 * small.points, atol=1e-9)
        np.testing.assert_allclose(large.ruler, 2 * small.ruler, atol=1e-9)
        assert large.record.px_per_cm == pytest.approx(2 * small.record.px_per_cm)
        assert large.record.state.tolist() == small.record.state.tolist()
        # the pictures agree as well, but for grain and texture
        halved = large.picture.reshape(shape[0], 2, shape[1], 2, 3).mean((1, 3))
        assert np.abs(halved - small.picture).mean() < 14


def test_the_order_within_a_pair_is_chance(drawn):
    first = [np.linalg.norm(b.points[2] - b.points[3]) > 0 and (b.points[3] - b.points[2]) @ b.axis > 0 for b in drawn]
    side = [(b.points[1] - b.points[0]) @ np.array([-b.axis[1], b.axis[0]]) > 0 for b in drawn]
    # 60 tosses: fewer than 15 or more than 45 would be one in ten thousand
    assert 15 < sum(first) < 45
    assert 15 < sum(side) < 45


def test_the_scale_is_that_of_the_ruler(drawn):
    for b in drawn:
        length = float(np.linalg.norm(b.ruler[1] - b.ruler[0]))
        assert length == pytest.approx(b.ruler_cm * b.record.px_per_cm, abs=1e-9)
        assert b.ruler_cm * 10 == pytest.approx(round(b.ruler_cm * 10))
        rows, columns = np.nonzero(b.ruler_mask)
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert abs(extent - length) <= 1
        assert b.ruler.min() >= 0
        assert b.ruler.max() <= 128
        width_cm = np.linalg.norm(b.points[2] - b.points[3]) / b.record.px_per_cm
        assert 0.39 < width_cm < 1.21


def test_the_ruler_has_a_tick_every_tenth_of_a_centimetre():
    beetle = make_beetle(0, BeetleConfig(size=(640, 640), groups=("Hawaii",), grain=0, **INSIDE))
    (x0, y0), (x1, y1) = np.sort(beetle.ruler, 0)
    upright = x1 - x0 < 1
    inks = []
    for shift in (-7, 7):  # ticks stand on one side of the line
        line = (
            beetle.picture[int(y0) - 3 : int(y1) + 3, int(x0) + shift]
            if upright
            else beetle.picture[int(y0) + shift, int(x0) - 3 : int(x1) + 3]
        )
        dark = line.mean(-1) < 110
        inks.append(int((np.diff(dark.astype(int)) == 1).sum()))
    assert max(inks) == round(beetle.ruler_cm * 10) + 1


def test_states_say_where_a_point_is():
    seen = set()
    for seed in range(40):
        b = make_beetle(seed, BeetleConfig(size=(64, 64), groups=("Hawaii", "BioRepo"), cut_off=0.7))
        for (x, y), state in zip(b.points, b.record.state.tolist(), strict=True):
            inside = 0 <= x < 64 and 0 <= y < 64
            assert (state == State.OUT_OF_FRAME) == (not inside)
            if inside:
                assert state == (State.OCCLUDED if b.ruler_mask[int(y), int(x)] else State.LABELLED)
            seen.add(state)
        np.testing.assert_allclose(b.record.points, b.points, atol=1e-4)
    assert {State.LABELLED, State.OUT_OF_FRAME} <= seen


def test_cut_off_and_near_edge_do_what_they_say():
    for seed in range(12):
        cut = make_beetle(seed, BeetleConfig(size=(64, 64), cut_off=1, near_edge=0)).points
        near = make_beetle(seed, BeetleConfig(size=(64, 64), cut_off=0, near_edge=1)).points
        whole = make_beetle(seed, BeetleConfig(size=(64, 64), **INSIDE)).points
        assert min(cut.min(), (64 - cut).min()) < 0
        assert 0 <= min(near.min(), (64 - near).min()) < 0.02 * 64
        assert min(whole.min(), (64 - whole).min()) >= 0.02 * 64


def test_collections_differ_as_the_real_ones_do():
    def of(group):
        return [make_beetle(seed, BeetleConfig(groups=(group,), **INSIDE)) for seed in range(15)]

    hawaii, palooza, biorepo = (of(group) for group in ("Hawaii", "BeetlePalooza", "BioRepo"))
    for b in palooza:
        assert b.record.state[:2].tolist() == [State.UNLABELLED] * 2
        assert b.record.points[:2].isnan().all()
        assert np.isfinite(b.points).all()  # the truth is known all the same
    assert all((b.record.state[:2] != State.UNLABELLED).all() for b in hawaii + biorepo)
    area = {b[0].group: np.mean([x.outline.mean() for x in b]) for b in (hawaii, palooza, biorepo)}
    bright = {b[0].group: np.mean([x.picture.mean() for x in b]) for b in (hawaii, palooza, biorepo)}
    assert area["Hawaii"] > area["BeetlePalooza"] > 2 * area["BioRepo"]
    assert bright["Hawaii"] > bright["BeetlePalooza"] > bright["BioRepo"] + 20


def test_the_wings_stand_out_from_the_ground(drawn):
    apart = [
        abs(float(b.picture[b.outline].mean()) - float(b.picture[~b.outline].mean()))
        for b in drawn
        if b.outline.sum() > 50
    ]
    assert np.median(apart) > 40


def test_annotators_err_by_what_is_asked_for_and_the_truth_stays():
    exact = [make_beetle(s, BeetleConfig(size=(48, 48), groups=("Hawaii",))) for s in range(60)]
    noisy = [make_beetle(s, BeetleConfig(size=(48, 48), groups=("Hawaii",), annotator_px=1.5)) for s in range(60)]
    errors = np.concatenate([b.record.points.numpy() - a.points for a, b in zip(exact, noisy, strict=True)])
    assert errors.std() == pytest.approx(1.5, rel=0.1)
    assert all(
        (a.points == b.points).all() and (a.picture == b.picture).all() for a, b in zip(exact, noisy, strict=True)
    )


def test_a_set_of_beetles_is_what_training_takes():
    found = beetles(HELD_OUT[:6], BeetleConfig(size=(48, 48)))
    assert found.names == ("width_p0", "width_p1", "length_p0", "length_p1")
    assert found.exchangeable == ((0, 1), (2, 3))
    assert found.lines == {"width": (0, 1), "length": (2, 3)}
    assert set(found.groups) <= set(LOOKS)
    assert len({record.name for record in found}) == 6


@pytest.mark.parametrize("seeds", [TRAINING, VALIDATION, HELD_OUT])
def test_every_seed_makes_a_picture(seeds):
    config = BeetleConfig(size=(32, 40), cut_off=0.4, near_edge=0.2, scale=1.3)
    for seed in [*seeds[:24], seeds[-1]]:
        beetle = make_beetle(seed, config)
        assert beetle.picture.shape == (32, 40, 3)
        assert beetle.picture.std() > 3


def test_a_mean_by_running_sums_is_the_mean():
    plane = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    padded = np.pad(plane, 2, mode="edge")
    slow = np.array([[padded[i : i + 5, j : j + 5].mean() for j in range(9)] for i in range(7)])
    np.testing.assert_allclose(soften(plane, 2), slow, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": (16, 64)}, "at least 32 pixels"),
        ({"groups": ("mars",)}, "Hawaii, BeetlePalooza, BioRepo"),
        ({"groups": ()}, "different names"),
        ({"scale": 0.0}, r"factor in \(0, 1.6\]"),
        ({"cut_off": 0.8, "near_edge": 0.3}, "sum is at most 1"),
        ({"annotator_px": -1.0}, "at least 0"),
        ({"grain": float("nan")}, "at least 0"),
    ],
)
def test_bad_options_are_named(wrong, message):
    with pytest.raises(OptionError, match=message):
        BeetleConfig(**wrong)


@pytest.mark.parametrize("seed", [-1, 1 << 42])
def test_a_seed_outside_of_the_ranges_is_refused(seed):
    with pytest.raises(OptionError, match=r"0 to 2\*\*42 - 1"):
        make_beetle(seed)
