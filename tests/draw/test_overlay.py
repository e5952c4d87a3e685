"""Overlays: right pixels, right colours, the type that came in."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import STYLES, Scale, Style, blend, overlay, scale_of, shared_scale
from isotherm.draw import picture as picture_module
from isotherm.draw.colour import Ink
from isotherm.draw.describe import line_of
from isotherm.draw.overlay import silence_of
from isotherm.draw.picture import open_canvas
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_source
from oracles import overlay as oracle
from rigs.breadth import wide

PLAIN = Style(colormap="inferno", lines=(), peak=False, negative="fill", unseen=False)
"""Colour and greying alone, so that every pixel follows from the definition."""

H, W = 37, 53
SOURCE = (H, W)


def picture(dtype=np.uint8, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(1)
    eight = rng.integers(0, 256, (H, W, channels) if channels else (H, W), dtype=np.uint8)
    if dtype == np.uint8:
        return eight
    return eight.astype(np.uint16) * 257 if dtype == np.uint16 else (eight / 255).astype(dtype)


def frame(kind: str) -> Frame:
    turn = torch.tensor([[0.8, -0.6, 3.0], [0.6, 0.8, -4.0]], dtype=torch.float64)
    return {
        "resize": Frame.resize(SOURCE, (7, 5)),
        "letterbox": Frame.letterbox(SOURCE, (64, 64)).to_grid(stride=8),
        "crop": Frame.identity(SOURCE).cropped((10, 6, 42, 30)).to_grid(stride=4),
        "flip": Frame.resize(SOURCE, (6, 9)).flipped(),
        "rotated": Frame.identity(SOURCE).warped(turn, (40, 40)).to_grid(stride=8),
        "one cell": Frame.resize(SOURCE, (1, 1)),
        "finer than the picture": Frame.resize(SOURCE, (90, 120)),
    }[kind]


FRAMES = ["rotated", "one cell", "finer than the picture", *wide(["resize", "letterbox", "crop", "flip"])]
"""A matrix with all of its entries comes first; those that make test leaves out are simpler ones."""


def heatmap(kind: str = "resize", *, signed: bool = False, holes: bool = False) -> Heatmap:
    f = frame(kind)
    values = torch.randn(f.size, generator=torch.Generator().manual_seed(3)).abs() + 0.05
    if f.size == (1, 1):
        return Heatmap(values, f, "relevance", signed=signed)
    if signed:
        values = values - 0.6
    if holes:
        values[f.size[0] // 2, f.size[1] // 2] = torch.nan
        values[0, 0] = torch.nan
    return Heatmap(values, f, "relevance", signed=signed)


def stops(name: str) -> np.ndarray:
    return matplotlib.colormaps[name](np.arange(256))[:, :3]


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    ("signed", "by_value", "holes", "grey"),
    [(False, True, False, True), (True, True, True, True), (False, False, True, False)],
)
def test_equals_the_slow_definition_within_one_level(kind, signed, by_value, holes, grey, monkeypatch):
    monkeypatch.setattr(blend, "BLOCK_PIXELS", 5 * W)  # several blocks, the last of them shorter
    monkeypatch.setattr(picture_module, "BAND_PIXELS", 12 * W)  # and several bands
    m, p = heatmap(kind, signed=signed, holes=holes), picture()
    scale = scale_of(m)
    name = "coolwarm" if signed and scale.low < 0 else "inferno"
    got = overlay(m, p, style=replace(PLAIN, colormap=name, opacity=0.8, by_value=by_value, grey=grey, unseen=True))
    expected = oracle.overlay(
        p / 255,
        m.values.double().numpy(),
        m.frame.to_source.numpy(),
        scale.low,
        scale.high,
        stops(name),
        signed=signed,
        opacity=0.8,
        by_value=by_value,
        grey=grey,
        unseen=(0.06, 0.22),
    )
    if (
        kind in ("letterbox", "resize", "flip") and not holes
    ):  # lines and marks are drawn where nothing else is; see below
        assert (
            overlay(m, p, style=replace(PLAIN, colormap=name, opacity=0.8, by_value=by_value, grey=grey)) == got
        ).all()
    edges = _edges(m)
    got, expected, p = got[~edges], expected[~edges], p[~edges]
    error = np.abs(got / 255.0 - expected) * 255
    assert (
        error.max() <= 2.5
    )  # 0.5 is the rounding to 8 bits; 256 steps of opacity and of greying, and 1023 of colour, are the rest
    assert error.mean() < 0.4  # rounding alone has 0.25
    assert (got != p).any()


def _edges(m: Heatmap) -> np.ndarray:
    """Pixels that the faint border of what the frame covers may touch."""
    from scipy.ndimage import binary_dilation

    seen = np.isfinite(to_source(torch.zeros(m.frame.size), m.frame, outside="nan").numpy())
    return binary_dilation(seen, iterations=4) & binary_dilation(~seen, iterations=4)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_deep_pictures_are_mixed_in_their_own_depth(dtype):
    m, p = heatmap("letterbox"), picture(dtype)
    scale = scale_of(m)
    got = overlay(m, p, style=PLAIN)
    white = 65535 if dtype == np.uint16 else 1
    expected = oracle.overlay(
        p / white,
        m.values.double().numpy(),
        m.frame.to_source.numpy(),
        scale.low,
        scale.high,
        stops("inferno"),
        signed=False,
        opacity=PLAIN.opacity,
        by_value=True,
        grey=True,
    )
    assert got.dtype == dtype
    assert np.abs(got / white - expected).max() < 3e-3  # half of a step of 1/1022, in colour and in opacity


@pytest.mark.parametrize("style", ["isotherm", "tint", "even"])
def test_large_pictures_are_coloured_from_a_table_as_small_ones_are_directly(style, monkeypatch):
    m, p = heatmap("letterbox", holes=True), picture()
    ink = Ink.of(STYLES[style], scale_of(m), signed=False)
    directly = np.asarray(blend.blend_image(p, m.values, m.frame, scale=scale_of(m), ink=ink))
    lookup = blend._lookup
    monkeypatch.setattr(blend, "_lookup", lambda ink, _: lookup(ink, 4000 * 3000))
    np.testing.assert_array_equal(
        np.asarray(blend.blend_image(p, m.values, m.frame, scale=scale_of(m), ink=ink)), directly
    )
    assert (directly != p).any()


@pytest.mark.parametrize(
    "style", ["isotherm", "even", *wide(name for name in STYLES if name not in ("isotherm", "even"))]
)
def test_white_stays_white_under_white(style):
    """Colour times opacity is never above opacity, though both are rounded: their sum with the rest of a white pixel would be 256."""
    for colormap in ("gray", "inferno", "viridis", "coolwarm"):
        for opacity in (0.1, 0.37, 0.5, 0.83, 1.0):
            ink = Ink.of(replace(STYLES[style], colormap=colormap, opacity=opacity), Scale(0.0, 1.0), signed=False)
            levels, lumas = np.indices((len(ink.alpha), 256))
            pixels = ink.layer(levels, lumas.astype(np.uint8)).view(np.uint8).reshape(-1, 4)
            assert (pixels[:, :3] <= pixels[:, 3:]).all()


def test_pil_gives_the_same_pixels_as_an_array():
    m, p = heatmap("letterbox", holes=True), picture()
    for style in (PLAIN, None):
        out = overlay(m, Image.fromarray(p), style=style)
        assert isinstance(out, Image.Image)
        np.testing.assert_array_equal(np.asarray(out), overlay(m, p, style=style))


@pytest.mark.parametrize(
    ("mode", "back"),
    [
        ("RGB", "RGB"),
        ("L", "RGB"),
        ("P", "RGB"),
        ("1", "RGB"),
        ("CMYK", "RGB"),
        ("RGBA", "RGBA"),
        ("LA", "RGBA"),
        ("I;16", "RGB"),
    ],
)
def test_every_mode_of_pil_is_taken(mode, back):
    source = Image.fromarray(picture())
    given = Image.fromarray(picture(np.uint16, 0)) if mode == "I;16" else source.convert(mode)
    if mode == "RGBA":
        given.putalpha(Image.fromarray(picture(channels=0)))
    before = given.tobytes()
    out = overlay(heatmap(), given)
    assert out.mode == back
    assert out.size == (W, H)
    assert given.tobytes() == before
    if mode == "RGBA":
        assert out.getchannel("A").tobytes() == given.getchannel("A").tobytes()
    if mode == "I;16":
        np.testing.assert_array_equal(np.asarray(out), overlay(heatmap(), picture(channels=0)))


@pytest.mark.parametrize(("channels", "shape"), [(0, (H, W, 3)), (1, (H, W, 3)), (3, (H, W, 3)), (4, (H, W, 4))])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("marks", [{}, {"boxes": [[5, 5, 20, 20]], "labels": ["a"]}])
def test_arrays_keep_dtype_and_transparency(channels, shape, dtype, marks):
    p = picture(dtype, channels)
    before = p.copy()
    out = overlay(heatmap(), p, **marks)
    assert out.dtype == dtype
    assert out.shape == shape
    np.testing.assert_array_equal(p, before)
    if channels == 4:
        np.testing.assert_array_equal(out[..., 3], p[..., 3])


def test_text_and_boxes_leave_the_precision_elsewhere():
    p = picture(np.float64)
    plain, marked = (
        overlay(heatmap(), p, style=PLAIN),
        overlay(heatmap(), p, style=PLAIN, boxes=[[5.0, 5.0, 20.0, 20.0]]),
    )
    same = (plain == marked).all(-1)
    assert same[25:, 30:].all()
    assert not same[5, 5:20].any()


def test_read_only_and_mirrored_arrays_are_taken():
    p = picture()
    p.flags.writeable = False
    np.testing.assert_array_equal(overlay(heatmap(), p), overlay(heatmap(), p.copy()))
    bgr = picture()[..., ::-1]
    np.testing.assert_array_equal(overlay(heatmap(), bgr), overlay(heatmap(), bgr.copy()))


def test_what_the_frame_does_not_cover_stays_untouched():
    m, p = heatmap("crop"), picture()
    out = overlay(m, p, style="even")
    changed = (out != p).any(-1)
    assert changed[6:30, 10:42].mean() > 0.99
    changed[6:30, 10:42] = False
    assert not changed.any()


def test_a_hole_hides_its_own_cell_and_no_other():
    f = Frame.resize((40, 40), (4, 4))
    values = torch.ones(4, 4)
    values[1, 2] = torch.nan
    p = np.zeros((40, 40, 3), np.uint8)
    drawn = (overlay(Heatmap(values, f, "relevance"), p, style="even") != 0).any(-1)
    assert not drawn[10:20, 20:30].any()
    drawn[10:20, 20:30] = True
    assert drawn.all()


def test_infinities_are_drawn_as_the_ends_of_the_scale():
    f = Frame.resize((20, 20), (2, 2))
    p = np.zeros((20, 20, 3), np.uint8)
    infinite = torch.tensor([[torch.inf, 1.0], [-torch.inf, 0.5]])
    finite = torch.tensor([[1.0, 1.0], [0.0, 0.5]])
    np.testing.assert_array_equal(
        overlay(Heatmap(infinite, f, "relevance"), p), overlay(Heatmap(finite, f, "relevance"), p)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_dtype_is_drawn(dtype):
    values = torch.tensor([[0.0, 1.0], [0.5, 0.25]])
    f, p = Frame.resize(SOURCE, (2, 2)), picture()
    expected = overlay(Heatmap(values, f, "relevance"), p)
    np.testing.assert_array_equal(overlay(Heatmap(values.to(dtype), f, "relevance"), p), expected)


def test_a_map_without_positive_values_draws_nothing_and_says_so():
    m = heatmap()
    p = np.full((300, 400, 3), 90, np.uint8)
    silent = Heatmap(-m.values * 1e-6, Frame.resize((300, 400), (7, 5)), "relevance", signed=True)
    out = overlay(silent, p)
    assert (out[:250] == 90).all()  # nothing is drawn over the picture ...
    assert (out[250:, :250] != 90).any()  # ... but the words below
    shared = shared_scale([silent, silent.with_(values=m.values)])
    assert np.abs(overlay(silent, p, scale=shared)[:250].astype(int) - 90).max() <= 1


def test_a_shared_scale_gives_the_same_value_the_same_colour():
    f, p = Frame.resize(SOURCE, (1, 2)), np.zeros((H, W, 3), np.uint8)
    weak, strong = (
        Heatmap(torch.tensor([[0.2, 0.1]]), f, "relevance"),
        Heatmap(torch.tensor([[0.2, 0.8]]), f, "relevance"),
    )
    scale = shared_scale([weak, strong])
    a, b = overlay(weak, p, scale=scale, style=PLAIN), overlay(strong, p, scale=scale, style=PLAIN)
    np.testing.assert_array_equal(a[:, 0], b[:, 0])
    assert (overlay(weak, p, style=PLAIN)[:, 0] != overlay(strong, p, style=PLAIN)[:, 0]).any()
    assert a.max() < b.max()


def test_threshold_hides_the_weak():
    f, p = Frame.resize((20, 40), (1, 2)), np.zeros((20, 40, 3), np.uint8)
    m = Heatmap(torch.tensor([[0.4, 1.0]]), f, "relevance")
    out = overlay(m, p, style=replace(STYLES["even"], threshold=0.5))
    assert (out[:, :10] == 0).all()
    assert (out[:, 30:] != 0).any(-1).all()


def test_strips_add_to_the_picture_and_do_not_cover_it():
    p = np.zeros((200, 400, 3), np.uint8)
    m = Heatmap(torch.rand(4, 4), Frame.resize((200, 400), (4, 4)), "relevance")
    plain = overlay(m, p)
    full = overlay(m, p, title="a title", footer="isotherm explain x.jpg " * 20, colour_bar=True)
    top = next(y for y in range(full.shape[0]) if (full[y, :400] == plain[0]).all())
    np.testing.assert_array_equal(full[top : top + 200, :400], plain)
    assert 20 <= top <= 60
    assert full.shape[0] > top + 200 + 20
    assert full.shape[1] > 440


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"picture": np.zeros((W, H, 3), np.uint8)}, ShapeError, "exif_transpose"),
        ({"picture": np.zeros((64, 64, 3), np.uint8)}, ShapeError, "64 x 64"),
        ({"picture": np.zeros((3, H, W), np.uint8)}, ShapeError, "transpose"),
        ({"picture": np.zeros((H, W, 3), np.int64)}, ShapeError, "int64"),
        ({"picture": np.full((H, W, 3), 200.0, np.float32)}, ShapeError, "divide by 255"),
        (
            {"heatmap": Heatmap(torch.rand(2, 7, 5), Frame.resize(SOURCE, (7, 5)), "relevance")},
            ShapeError,
            "heatmap\\[0\\]",
        ),
        ({"style": "isotherms"}, OptionError, "did you mean 'isotherm'"),
        ({"boxes": [[5, 5, 20, 20]], "labels": ["a", "b"]}, ShapeError, "1 boxes but 2 labels"),
        ({"boxes": [[20, 20, 5, 5]]}, ShapeError, "x, y, w, h"),
        ({"boxes": [[1, 2, 3]]}, ShapeError, r"\(n, 4\)"),
        ({"boxes": [[0, 0, float("nan"), 3]]}, ShapeError, "finite"),
    ],
)
def test_mistakes_are_explained(change, error, words):
    arguments = {"heatmap": heatmap(), "picture": picture(), **change}
    with pytest.raises(error, match=words):
        overlay(arguments.pop("heatmap"), arguments.pop("picture"), **arguments)


def test_a_tensor_is_told_how_to_become_a_picture():
    with pytest.raises(ShapeError, match="permute"):
        open_canvas(torch.zeros(3, H, W))


def test_an_explicit_scale_is_used_as_it_is():
    f, p = Frame.resize(SOURCE, (1, 1)), np.zeros((H, W, 3), np.uint8)
    m = Heatmap(torch.tensor([[0.5]]), f, "relevance")
    out = overlay(m, p, scale=Scale(0.0, 1.0), style=replace(PLAIN, opacity=1.0, by_value=False))
    middle = (stops("inferno")[127] + stops("inferno")[128]) / 2 * 255
    assert np.abs(out[0, 0] - middle).max() <= 1


@pytest.mark.parametrize("size", [(16, 24), (1, 400), (400, 1), (3, 3), (1, 1)])
@pytest.mark.parametrize("style", ["isotherm", "lines", "even"])
def test_the_smallest_pictures_are_drawn_with_all_that_goes_with_them(size, style):
    m = Heatmap(
        torch.rand(4, 4, generator=torch.Generator().manual_seed(0)) - 0.3,
        Frame.resize(size, (4, 4)),
        "relevance",
        signed=True,
    )
    p = np.zeros((*size, 3), np.uint8)
    out = overlay(m, p, style=style, colour_bar=True, title="a title", footer="a command")
    assert out.shape[0] > size[0]
    assert out.shape[1] > size[1]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_map_without_a_finite_value_says_so_and_claims_nothing_about_evidence(value):
    m = Heatmap(torch.full((4, 4), value), Frame.resize((200, 300), (4, 4)), "relevance")
    assert silence_of(m) == "no finite value"
    assert "no finite value" in line_of(m)
    out = overlay(m, np.full((200, 300, 3), 90, np.uint8))
    assert (out[:120] == 90).all()
    assert (out[120:] != 90).any()
