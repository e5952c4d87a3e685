"""Every drawing function: what it takes, what it refuses, what it shows, and that nothing of it stays."""

from __future__ import annotations

import gc
import io
import weakref
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.errors import InputError, KindError, OptionError, ShapeError
from isotherm.systems.bridgevla import (
    generate_hm_from_pt,
    visualize_attention_comparison,
    visualize_bboxes_and_heatmap,
    visualize_multi_view_heatmaps,
    visualize_points_and_heatmap,
)
from rigs.breadth import wide

RNG = np.random.default_rng(0)
PHOTO = Image.fromarray(RNG.integers(0, 255, (30, 40, 3), dtype=np.uint8))
TARGET = generate_hm_from_pt([20.0, 8.0], (24, 32), 2.0)
LOGITS = torch.randn(24, 32, generator=torch.Generator().manual_seed(0)) * 3 - 2

DRAWN = {
    "points": lambda image, heatmap, **o: visualize_points_and_heatmap(image, [(0.5, 0.5), (0.1, 0.9)], heatmap, **o),
    "boxes": lambda image, heatmap, **o: visualize_bboxes_and_heatmap(image, [(0.5, 0.5, 0.2, 0.4)], heatmap, **o),
    "views": lambda image, heatmap, **o: visualize_multi_view_heatmaps([image] * 2, [heatmap] * 2, **o),
    "comparison": lambda image, heatmap, **o: visualize_attention_comparison(image, heatmap, TARGET, **o),
}
each = pytest.mark.parametrize("name", DRAWN)


def narrow_first(forms, one: str) -> list:
    """A function with all forms of what it takes and the others with one of them; then the other pairs, marked wide."""
    first = [*(("boxes", form) for form in forms), *((name, one) for name in DRAWN if name != "boxes")]
    return [*first, *wide([(name, form) for name in DRAWN for form in forms if (name, form) not in first])]


PICTURES = {
    "RGB": PHOTO,
    "RGBA": PHOTO.convert("RGBA"),
    "grey": PHOTO.convert("L"),
    "array": np.asarray(PHOTO),
    "transparent array": np.dstack([np.asarray(PHOTO), np.full((30, 40), 128, np.uint8)]),
    "floating point": np.asarray(PHOTO) / np.float32(255),
}
MAPS = {
    "probability": TARGET[0],
    "with its channel": TARGET,
    "logits": LOGITS,
    "logits with a gradient": LOGITS.clone().requires_grad_(),
    "half precision": LOGITS.half(),
    "array": LOGITS.numpy(),
    "nothing above 0": torch.zeros(24, 32),
}


def pixels(figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return np.asarray(Image.open(file).convert("RGB"))


SHOWN = {
    "grey": PHOTO.convert("L").convert("RGB"),
    "transparent array": Image.composite(PHOTO, Image.new("RGB", PHOTO.size, "white"), Image.new("L", PHOTO.size, 128)),
}
"""What is to be seen of a picture; of the others the photo. What shines through is white."""


def drawn_pictures(figure) -> list[np.ndarray]:
    """The pixels of every panel, without what lies over them."""
    return [np.asarray(axes.images[0].get_array()).astype(int) for axes in figure.axes if axes.images]


@cache
def in_three_colours(name: str, picture: str) -> list[np.ndarray]:
    """The panels of what is to be seen, given as an RGB picture."""
    return drawn_pictures(DRAWN[name](SHOWN.get(picture, PHOTO), TARGET[0]))


# all read a picture and a map in one place: one function goes through all forms, the others through one each
@pytest.mark.parametrize(("name", "picture"), narrow_first(PICTURES, "transparent array"))
def test_any_picture(name, picture):
    """Every panel shows the pixels that the picture has, whatever form it came in."""
    found = drawn_pictures(DRAWN[name](PICTURES[picture], TARGET[0]))
    expected = in_three_colours(name, picture if picture in SHOWN else "RGB")
    assert len(found) == len(expected) > 2
    assert max(np.abs(a - b).max() for a, b in zip(found, expected, strict=True)) <= 2
    # the first is the picture itself, made larger
    larger = SHOWN.get(picture, PHOTO).resize((480, 360), Image.Resampling.LANCZOS)
    assert np.abs(found[0] - np.asarray(larger).astype(int)).max() <= 2


@pytest.mark.parametrize(("name", "heatmap"), narrow_first(MAPS, "logits with a gradient"))
def test_any_map(name, heatmap):
    assert len(DRAWN[name](PHOTO, MAPS[heatmap]).axes) >= 2


@each
def test_a_file_is_written_whole_and_the_figure_can_be_used_on(name, tmp_path):
    fpath = tmp_path / "figure.png"
    figure = DRAWN[name](PHOTO, TARGET, save_path=fpath, title="a title")
    with Image.open(fpath) as saved:
        assert saved.size[0] > 500
    assert figure.get_suptitle() == "a title"
    assert pixels(figure).std() > 10
    with pytest.raises(InputError, match=r"'figure\.xyz'; the name must end in"):
        DRAWN[name](PHOTO, TARGET, save_path=tmp_path / "figure.xyz")


@pytest.fixture
def new_objects():
    """How many objects of Python there are that were not there before this test: the others are left out of the count."""
    gc.collect()
    gc.freeze()  # for good: those of modules and tests, which were frozen before, are a second's work each time

    def count() -> int:
        gc.collect()
        return len(gc.get_objects())

    return count


@pytest.mark.parametrize("name", ["boxes", "views", *wide(["points", "comparison"])])
def test_nothing_stays_open_and_nothing_grows(name, new_objects):
    """So a thousand calls take what one takes: pyplot holds no figure, and of a call nothing is left before the next.

    ``python -m bench vla_speed`` makes the thousand calls.
    """
    import matplotlib.pyplot as plt

    def left(calls: int) -> int:
        for _ in range(calls):
            gone.append(weakref.ref(DRAWN[name](PHOTO, TARGET)))
        return new_objects()

    gone: list[weakref.ref] = []
    left(1)  # what is made once, such as fonts
    first, last = left(1), left(3)
    assert plt.get_fignums() == []
    assert [one() for one in gone] == [None] * 5
    assert last - first < 100  # a figure is made of thousands of objects
    kept = DRAWN[name](PHOTO, TARGET)
    assert new_objects() - last > 500  # and one that stays is seen
    assert kept.axes


@each
def test_several_maps_where_one_belongs_are_refused(name):
    with pytest.raises(ShapeError, match=r"shape \(3, 24, 32\).*heatmaps\[0, 0\].*visualize_multi_view_heatmaps"):
        DRAWN[name](PHOTO, LOGITS.expand(3, -1, -1))


@each
def test_logits_below_zero_are_drawn_as_the_map_that_they_are(name):
    """The strongest cell is the least negative one, and shows; nothing is cut off at zero."""
    grey = Image.new("RGB", (64, 48), (128, 128, 128))
    logits = (TARGET[0] / TARGET.max()) * 9 - 10
    assert logits.max() < 0
    panel = {"points": 2, "boxes": 2, "views": 2, "comparison": 1}[name]
    shown = drawn_pictures(DRAWN[name](grey, logits))[panel]
    h, w, _ = shown.shape
    apart = np.abs(shown - 128).sum(-1)
    ys, xs = np.nonzero(apart > 0.7 * apart.max())
    assert apart.max() > 60
    assert (xs.mean() / w * 32, ys.mean() / h * 24) == pytest.approx((20.5, 8.5), abs=1)
    assert len(ys) < 0.2 * h * w


def test_a_peak_is_drawn_where_it_is():
    figure = visualize_points_and_heatmap(Image.new("RGB", (64, 48)), [(20.5 / 32, 8.5 / 24)], TARGET)
    _, alone, over = (axes for axes in figure.axes if axes.get_title(loc="left"))
    for axes in (alone, over):
        shown = np.asarray(axes.images[0].get_array()).astype(float)
        h, w = shown.shape[:2]
        colour = np.abs(shown - np.median(shown, (0, 1))).sum(-1)
        ys, xs = np.nonzero(colour > 0.7 * colour.max())
        assert abs(xs.mean() / w * 32 - 20.5) < 1
        assert abs(ys.mean() / h * 24 - 8.5) < 1
    dots = figure.axes[0].collections[0].get_offsets()
    assert np.allclose((dots + 0.5) / [480, 360], [[20.5 / 32, 8.5 / 24]])


def test_boxes_are_drawn_where_they_are():
    def edges(box, form):
        figure = visualize_bboxes_and_heatmap(PHOTO, [box], TARGET, box_format=form)
        return figure.axes[0].patches[-1].get_bbox().extents + 0.5

    expected = np.array([0.4 * 480, 0.3 * 360, 0.6 * 480, 0.7 * 360])
    assert np.allclose(edges((0.5, 0.5, 0.2, 0.4), "cxcywh"), expected)
    assert np.allclose(edges((0.4, 0.3, 0.6, 0.7), "x0y0x1y1"), expected)
    assert np.allclose(edges((0.4, 0.3, 0.2, 0.4), "xywh"), expected)


def test_logits_are_told_from_probabilities_by_a_negative_value():
    def caption(heatmap, **options):
        figure = visualize_points_and_heatmap(PHOTO, [], heatmap, **options)
        (bar,) = (child for axes in figure.axes for child in axes.child_axes)
        return bar.get_ylabel()

    assert caption(LOGITS) == "logit"
    assert caption(TARGET) == "probability"
    assert caption(TARGET * 1e4) == "relevance"
    assert caption(LOGITS.abs() + 1, kind="logits") == "logit"
    with pytest.raises(KindError, match="it is no probability map"):
        caption(LOGITS, kind="probability")


def test_views_have_one_scale_and_their_names():
    figure = visualize_multi_view_heatmaps(
        [PHOTO] * 2, torch.stack([TARGET[0], TARGET[0] / 2]), view_names=["front", "top"]
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["front", "top"]
    strong, weak = (np.asarray(axes.images[0].get_array()).astype(int) for axes in figure.axes[2:4])
    picture = np.asarray(figure.axes[0].images[0].get_array()).astype(int)
    assert np.abs(strong - picture).sum() > 1.1 * np.abs(weak - picture).sum()


def test_a_comparison_says_how_far_the_peaks_are_apart():
    moved = generate_hm_from_pt([23.0, 12.0], (24, 32), 2.0)
    figure = visualize_attention_comparison(PHOTO, moved.log().clamp(min=-50), TARGET)
    notes = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any(note.startswith("peaks 5.0 cells apart, KL") for note in notes)
    with pytest.raises(ShapeError, match=r"\(24, 32\) cells and the target \(12, 32\)"):
        visualize_attention_comparison(PHOTO, TARGET, TARGET[:, :12])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: visualize_points_and_heatmap(PHOTO, [(20, 0.5)], TARGET), ShapeError, "from 0 to 1.*divide pixels"),
        (lambda: visualize_points_and_heatmap(PHOTO, [(0.1, 0.2, 0.3)], TARGET), ShapeError, r"\(1, 3\)"),
        (lambda: visualize_bboxes_and_heatmap(PHOTO, [(0.1, 0.2)], TARGET), ShapeError, "four numbers"),
        (
            lambda: visualize_bboxes_and_heatmap(PHOTO, [(0.5, 0.5, 0.2, 0.1)], TARGET, box_format="x0y0x1y1"),
            ShapeError,
            "ends before it starts",
        ),
        (lambda: visualize_bboxes_and_heatmap(PHOTO, [], TARGET, box_format="yx"), OptionError, "box_format is 'yx'"),
        (lambda: visualize_multi_view_heatmaps([PHOTO], [TARGET, TARGET]), ShapeError, "1 images, 2 heatmaps"),
        (lambda: visualize_multi_view_heatmaps([], []), ShapeError, "at least one view"),
    ],
)
def test_misuse(call, error, words, unchecked):
    with pytest.raises(error, match=words):
        call()


def test_a_map_much_lower_than_the_other_is_still_seen(unchecked):
    """On the scale of a sharp prediction a wide target would be nothing; each has its own then, and it is said."""
    wide, narrow = generate_hm_from_pt([16.0, 12.0], (24, 32), 6.0), generate_hm_from_pt([16.0, 12.0], (24, 32), 1.0)
    plain = np.asarray(PHOTO.resize((480, 360), Image.Resampling.LANCZOS), np.int16)
    figure = visualize_attention_comparison(PHOTO, narrow, wide)
    shown = {axes.get_title(loc="left"): axes for axes in figure.axes}
    target = np.asarray(shown["target"].images[0].get_array(), np.int16)
    assert np.abs(target[..., :3] - plain)[170:190, 230:250].mean() > 20
    assert "on its own scale: one peak is" in shown["target"].texts[0].get_text()
    same = visualize_attention_comparison(PHOTO, narrow, narrow)
    assert not any("own scale" in text.get_text() for axes in same.axes for text in axes.texts)


def test_a_dollar_in_a_title_is_a_dollar(unchecked):
    for title in ("a $\\frac{ $ b", "5 $ or 6 $"):
        figure = visualize_multi_view_heatmaps([PHOTO], [TARGET], view_names=[title], title=title)
        figure.savefig(io.BytesIO(), format="png", dpi=20)
        assert title in [axes.get_title(loc="left") for axes in figure.axes]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: visualize_points_and_heatmap(PHOTO, [], "x"), ShapeError, r"the heatmap is 'x'; expected one map"),
        (
            lambda: visualize_points_and_heatmap(PHOTO, [[0.1, 0.2], [0.3]], TARGET),
            ShapeError,
            r"a point is .* of numbers",
        ),
        (lambda: visualize_points_and_heatmap(PHOTO, None, TARGET), ShapeError, "given were None"),
        (lambda: visualize_multi_view_heatmaps(PHOTO, TARGET), ShapeError, "images is a Image"),
        (lambda: visualize_bboxes_and_heatmap(PHOTO, [], TARGET, bbox_colors=[]), OptionError, "nothing in it"),
        (lambda: visualize_bboxes_and_heatmap(PHOTO, [], TARGET, bbox_colors=["rot"]), OptionError, "'rot'; expected"),
    ],
)
def test_what_is_none_of_its_kind_is_refused_in_words(unchecked, call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_points_may_be_tensors(unchecked):
    visualize_points_and_heatmap(PHOTO, [torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.4])], TARGET)
