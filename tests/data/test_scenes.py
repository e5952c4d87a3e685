"""Generated scenes: the same bytes from the same seed, and ground truth that agrees with itself and with the pixels."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from isotherm.data.scene_clutter import random_clutter
from isotherm.data.scene_layout import Pose, cover
from isotherm.data.scene_shapes import CLASSES, MAX_KEYPOINTS, SHAPES, polygon
from isotherm.data.scene_textures import value_noise
from isotherm.data.scenes import HELD_OUT, TRAINING, VALIDATION, SceneConfig, held_out_scenes, make_scene, scenes
from isotherm.errors import OptionError

SEEDS = range(40)


@pytest.fixture(scope="module")
def drawn():
    return [make_scene(seed) for seed in SEEDS]


def digest(scene) -> str:
    arrays = (
        scene.picture,
        scene.masks,
        scene.boxes,
        scene.labels,
        scene.keypoints,
        scene.centres,
        scene.angles,
        scene.radii,
        scene.clutter,
    )
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_any_order_and_process(drawn, programs, tmp_path):
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    again = [make_scene(seed) for seed in reversed(SEEDS[:10])][::-1]
    assert [digest(s) for s in again] == [digest(s) for s in drawn[:10]]
    script = "from isotherm.data.scenes import make_scene\nprint(make_scene(11).picture.tobytes().hex()[:20000])"
    other = programs.run(script, cwd=tmp_path).stdout.strip()
    assert other == drawn[11].picture.tobytes().hex()[:20000]
    assert len({digest(s) for s in drawn}) == len(SEEDS)


def test_shapes_and_types(drawn):
    for scene in drawn:
        n, (h, w) = len(scene), (128, 128)
        assert scene.picture.shape == (h, w, 3)
        assert scene.picture.dtype == np.uint8
        assert scene.masks.shape == (n, h, w)
        assert scene.masks.dtype == bool
        assert scene.boxes.shape == (n, 4)
        assert scene.keypoints.shape == (n, MAX_KEYPOINTS, 3)
        assert scene.labels.dtype == np.int64
        assert 1 <= n <= 3


def test_labels_are_classes_each_at_most_once(drawn):
    for scene in drawn:
        assert len(set(scene.labels.tolist())) == len(scene)
        assert all(0 <= k < len(CLASSES) for k in scene.labels)
    shown = {k for scene in drawn for k in scene.labels.tolist()}
    assert shown == set(range(len(CLASSES)))


def test_masks_are_disjoint_from_each_other_and_from_clutter(drawn):
    for scene in drawn:
        assert scene.masks.sum(0).max() <= 1
        assert not (scene.masks.any(0) & scene.clutter).any()
    assert any(scene.clutter.any() for scene in drawn)


def test_boxes_are_the_extents_of_masks(drawn):
    for scene in drawn:
        for box, mask in zip(scene.boxes, scene.masks, strict=True):
            ys, xs = np.nonzero(mask)
            assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_visible_keypoints_lie_in_their_mask_and_hidden_ones_do_not(drawn):
    seen = hidden = 0
    for scene in drawn:
        for i, k in enumerate(scene.labels):
            points = scene.keypoints[i]
            count = len(SHAPES[k].keypoints)
            assert (points[count:] == 0).all()
            for x, y, v in points[:count]:
                assert v in (1, 2)
                assert scene.masks[i, int(y), int(x)] == (v == 2)
                seen, hidden = seen + (v == 2), hidden + (v == 1)
    assert seen > 10 * hidden > 0


def test_objects_stay_visible_and_where_their_pose_says():
    config = SceneConfig(clutter=(0, 0), objects=(1, 1), visible=1.0)
    for seed in range(30):
        scene = make_scene(seed, config)
        assert not scene.clutter.any()
        ys, xs = np.nonzero(scene.masks[0])
        offset = np.hypot(xs + 0.5 - scene.centres[0, 0], ys + 0.5 - scene.centres[0, 1])
        assert offset.max() <= scene.radii[0] * config.stretch + 1
        assert offset.max() >= 0.85 * scene.radii[0]


def test_occlusion_keeps_the_share_that_was_asked_for():
    """Each object again without what lies in front: what is left of it is at least the share asked for."""
    config = SceneConfig(objects=(3, 3), clutter=(12, 12), visible=0.8)
    hidden = 0
    for seed in range(12):
        scene = make_scene(seed, config)
        for i, k in enumerate(scene.labels):
            # area of the outline from its signed distance, on a grid ten times finer
            axis = (np.arange(400, dtype=np.float32) + 0.5) / 200 * 1.1 - 1.1
            inside = SHAPES[k].distance(*np.meshgrid(axis, axis)) < 0
            area = inside.sum() * (2.2 / 400) ** 2 * scene.radii[i] ** 2
            share = scene.masks[i].sum() / area
            assert 0.8 - 0.04 <= share <= 1.04
            hidden += share < 0.95
    assert hidden > 3


def test_the_picture_shows_what_the_masks_say():
    """The same scene with and without its object differs at the object and its shadow only."""
    config = SceneConfig(objects=(1, 1), clutter=(0, 0), grain=0.0)
    for seed in range(20):
        scene = make_scene(seed, config)
        # the ground is smooth at this scale, the object's outline is not: contrast across the mask's edge
        inside = scene.picture[scene.masks[0]].astype(float).mean(0)
        y0, x0, y1, x1 = (int(v) for v in scene.boxes[0][[1, 0, 3, 2]])
        around = np.zeros_like(scene.masks[0])
        around[max(0, y0 - 12) : y1 + 12, max(0, x0 - 12) : x1 + 12] = True
        outside = scene.picture[around & ~scene.masks[0]].astype(float).mean(0)
        assert np.abs(inside - outside).max() > 15


def test_the_world_does_not_depend_on_resolution():
    small, large = (make_scene(3, SceneConfig(size=s)) for s in ((96, 128), (384, 512)))
    assert small.labels.tolist() == large.labels.tolist()
    np.testing.assert_allclose(small.centres * 4, large.centres, rtol=1e-5)
    np.testing.assert_allclose(small.boxes * 4, large.boxes, atol=6)


def test_nothing_but_the_classes_changes_the_labels():
    config = SceneConfig(classes=("ring", "gear"), objects=(2, 2))
    scene = make_scene(1, config)
    assert scene.names == ("ring", "gear")
    assert sorted(scene.labels.tolist()) == [0, 1]


def test_no_objects_at_all():
    scene = make_scene(0, SceneConfig(objects=(0, 0)))
    assert len(scene) == 0
    assert scene.masks.shape == (0, 128, 128)
    assert scene.keypoints.shape == (0, MAX_KEYPOINTS, 3)


def test_splits_are_disjoint():
    splits = [TRAINING, VALIDATION, HELD_OUT]
    assert sum(len(s) for s in splits) == HELD_OUT.stop
    assert all(a.stop <= b.start for a, b in pairwise(splits))
    held_out = list(held_out_scenes(4))
    assert [s.seed for s in held_out] == [HELD_OUT[i] for i in range(4)]
    assert [digest(s) for s in held_out] == [digest(s) for s in scenes(HELD_OUT[:4])]


@pytest.mark.parametrize("shape", SHAPES, ids=CLASSES)
def test_shapes_fill_the_unit_disc_and_carry_their_keypoints(shape):
    axis = (np.arange(500, dtype=np.float32) + 0.5) / 250 * 1.25 - 1.25
    x, y = np.meshgrid(axis, axis)
    d = shape.distance(x, y)
    r = np.hypot(x, y)
    assert d.dtype == np.float32
    assert 0.9 < r[d < 0].max() <= 1.03
    assert 0.12 < (d < 0).mean() * 2.5**2 / np.pi < 0.85
    # distances near the outline grow by one per unit, or the edge would not be one pixel wide
    gy, gx = np.gradient(d, axis[1] - axis[0])
    slope = np.hypot(gx, gy)[np.abs(d) < 0.03]
    assert np.median(slope) == pytest.approx(1, abs=0.02)
    assert len(shape.keypoints) <= MAX_KEYPOINTS
    for px, py in shape.keypoints.values():
        at = shape.distance(np.full((1, 1), px, np.float32), np.full((1, 1), py, np.float32))
        assert at[0, 0] < -0.03


@pytest.mark.parametrize("shape", SHAPES, ids=CLASSES)
def test_turns_map_a_shape_onto_itself(shape):
    axis = (np.arange(200, dtype=np.float32) + 0.5) / 100 * 1.1 - 1.1
    x, y = np.meshgrid(axis, axis)
    here = shape.distance(x, y) < 0

    def turned(angle):
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return (shape.distance(c * x - s * y, s * x + c * y) < 0) != here

    for turns in range(2, 9):
        same = shape.turns == 0 or shape.turns % turns == 0
        # a shape is either the same but for pixels on its outline, or plainly another
        assert (turned(2 * np.pi / turns).mean() < 0.012) == same


def test_polygon_distance_of_a_square_by_hand():
    square = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    x = np.array([[0, 0.5, 2, 4, -1.5]], np.float32)
    y = np.array([[0, 0.25, 0, 5, -1.5]], np.float32)
    np.testing.assert_allclose(polygon(x, y, square), [[-1, -0.5, 1, 5, np.sqrt(0.5)]], rtol=1e-6)


def test_coverage_is_the_area_covered():
    """A disc: coverage sums to its area, and its centre of mass is where the pose says, to a hundredth of a pixel."""
    pose = Pose(20.3, 17.8, 9.0, 0.7, (1.0, 1.0), 1)
    thing = cover(lambda x, y: np.hypot(x, y) - np.float32(1), pose, (40, 40))
    assert thing.alpha.sum() == pytest.approx(np.pi * 81, rel=2e-3)
    ys, xs = np.mgrid[thing.patch]
    assert (thing.alpha * (xs + 0.5)).sum() / thing.alpha.sum() == pytest.approx(20.3, abs=0.01)
    assert (thing.alpha * (ys + 0.5)).sum() / thing.alpha.sum() == pytest.approx(17.8, abs=0.01)


@pytest.mark.parametrize("mirror", [1, -1])
def test_pose_there_and_back(mirror):
    pose = Pose(50.0, 40.0, 20.0, 2.0, (1.25, 0.8), mirror)
    thing = cover(lambda x, y: np.hypot(x, y) - np.float32(1), pose, (100, 100))
    ys, xs = np.mgrid[thing.patch]
    unit = np.stack([thing.x.ravel(), thing.y.ravel()], 1)
    np.testing.assert_allclose(pose.to_pixels(unit), np.stack([xs.ravel() + 0.5, ys.ravel() + 0.5], 1), atol=1e-4)


def test_a_mirrored_pose_is_a_mirrored_picture():
    def shape(x, y):  # nothing like its mirror image
        return polygon(x, y, [(-0.9, 0.1), (0.3, -0.8), (0.8, 0.6)])

    plain, mirrored = (cover(shape, Pose(30.0, 30.0, 20.0, 0.0, (1.0, 1.0), m), (60, 60)).alpha for m in (1, -1))
    np.testing.assert_allclose(plain[:, ::-1], mirrored, atol=1e-5)
    assert np.abs(plain - mirrored).max() == 1


def test_clutter_stays_in_the_unit_disc():
    axis = (np.arange(120, dtype=np.float32) + 0.5) / 40 - 1.5
    x, y = np.meshgrid(axis, axis)
    for seed in range(60):
        d = random_clutter(np.random.default_rng(seed))(x, y)
        assert (d < 0).any()
        assert np.hypot(x, y)[d < 0].max() < 1.12


def test_noise_is_smooth_and_spans_its_range():
    noise = value_noise(np.random.default_rng(0), (64, 96), 6)
    assert noise.shape == (64, 96)
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert noise.std() > 0.1
    assert np.abs(np.diff(noise, axis=1)).max() < 0.12  # 1.5 / (96 / 6) at the steepest of the smooth step


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (16, 128)}, "size"),
        ({"classes": ("star", "lamp")}, "lamp"),
        ({"classes": ("star", "star")}, "different names"),
        ({"classes": ()}, "classes"),
        ({"objects": (2, 1)}, "least"),
        ({"objects": (1, 11)}, "its own"),
        ({"clutter": (-1, 2)}, "clutter"),
        ({"radius": (0.0, 0.2)}, "radius"),
        ({"radius": (0.2, 0.6)}, "radius"),
        ({"visible": 0.0}, "visible"),
        ({"stretch": 0.5}, "radius|stretch"),
        ({"contrast": 2.0}, "contrast"),
        ({"grain": -1.0}, "grain"),
    ],
)
def test_wrong_configurations_are_refused(change, message):
    with pytest.raises(OptionError, match=message):
        replace(SceneConfig(), **change)


@pytest.mark.parametrize("seed", [-1, HELD_OUT.stop])
def test_seeds_outside_of_the_splits_are_refused(seed):
    with pytest.raises(OptionError, match="seed"):
        make_scene(seed)
