"""Vision tokens of each family lie where its layout says: through whole processors, and by what the models themselves make of changed pixels."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image

from isotherm.errors import AdapterError, ShapeError
from isotherm.models.transformers.vlm.families import FAMILIES as KNOWN
from isotherm.models.transformers.vlm.families import layout_of, proved_layout
from isotherm.models.transformers.vlm.layouts.layout import check_layout, coordinate_picture
from isotherm.models.transformers.vlm.layouts.onevision import OneVisionLayout, PaddedLayout
from isotherm.models.transformers.vlm.layouts.qwen import QwenLayout
from isotherm.models.transformers.vlm.layouts.squares import CentreCropLayout, PanAndScanLayout, SquashedLayout
from isotherm.models.transformers.vlm.layouts.tiles import InternLayout
from isotherm.models.transformers.vlm.proof import image_token_id, picture_positions, prove, prove_by_model
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from rigs.vlm_models import COLOURS, FAMILIES, asked, family

SIZES = [[(48, 56)], [(60, 33)], [(37, 90)], [(96, 60)], [(70, 20)], [(48, 56), (37, 90)]]
QWENS = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"]


def coordinates(sizes):
    return [Image.fromarray(coordinate_picture(size)) for size in sizes]


def colours(processor):
    return {"mean": list(processor.image_processor.image_mean), "std": list(processor.image_processor.image_std)}


def names(sizes):
    return " ".join(f"{h}x{w}" for h, w in sizes)


# --- through the processors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sizes", SIZES, ids=names)
def test_tokens_lie_where_the_layout_says_and_are_as_many(name, sizes):
    model, processor, layout = family(name)
    inputs = asked(processor, name, coordinates(sizes))
    assert check_layout(layout, inputs, sizes, **colours(processor)) < 0.2
    pictures = layout.pictures(inputs, sizes)
    assert sum(picture.count for picture in pictures) == len(
        picture_positions(inputs["input_ids"], image_token_id(model.config))
    )
    for picture in pictures:
        tokens = torch.cat([grid.token.flatten() for grid in picture.grids]).tolist()
        assert len(set(tokens)) == len(tokens)
        assert 0 <= min(tokens) <= max(tokens) < picture.count


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_proves_itself(name):
    model, processor, layout = family(name)
    assert prove(layout, processor, name, token_id=image_token_id(model.config)) < 0.2


FULL = {
    "qwen2_vl": (hf.Qwen2VLConfig, lambda: hf.Qwen2VLImageProcessor()),
    "qwen3_vl": (hf.Qwen3VLConfig, lambda: hf.Qwen2VLImageProcessor(patch_size=16)),
    "paligemma": (hf.PaliGemmaConfig, lambda: hf.SiglipImageProcessor()),
    "gemma3": (
        lambda: hf.Gemma3Config(vision_config={"image_size": 896, "patch_size": 14}),
        lambda: hf.Gemma3ImageProcessor(
            size={"height": 896, "width": 896},
            do_pan_and_scan=True,
            pan_and_scan_min_crop_size=256,
            pan_and_scan_max_num_crops=4,
            pan_and_scan_min_ratio_to_activate=1.2,
        ),
    ),
    "llava": (
        hf.LlavaConfig,
        lambda: hf.CLIPImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}),
    ),
    "llava_onevision": (hf.LlavaOnevisionConfig, lambda: hf.LlavaOnevisionImageProcessor()),
    "idefics3": (
        lambda: hf.Idefics3Config(vision_config={"image_size": 364, "patch_size": 14}),
        lambda: hf.Idefics3ImageProcessor(),
    ),
    "smolvlm": (
        lambda: hf.SmolVLMConfig(vision_config={"image_size": 512, "patch_size": 16}, scale_factor=4),
        lambda: hf.SmolVLMImageProcessor(size={"longest_edge": 2048}, max_image_size={"longest_edge": 512}),
    ),
    "internvl": (
        hf.InternVLConfig,
        lambda: hf.GotOcr2ImageProcessor(size={"height": 448, "width": 448}, crop_to_patches=True),
    ),
}


@pytest.mark.parametrize("name", FULL)
def test_image_processors_of_full_size_prove_themselves(name):
    """With the numbers of the models that people have; what the vision towers make of it is not asked here."""
    config, processor = (make() for make in FULL[name])
    assert prove(layout_of(name, config, processor), processor, name) < 0.2


def test_the_families_are_cut_up_as_they_are_known_to_be():
    """Without this a layout and its test might agree that there is nothing to see."""

    def grids(name, *sizes):
        _, processor, layout = family(name)
        return [len(picture.grids) for picture in layout.pictures(asked(processor, name, coordinates(sizes)), sizes)]

    assert grids("gemma3", (37, 90)) == [1]
    assert grids("gemma3_crops", (37, 90)) == [3]
    assert grids("idefics3", (37, 90)) == [7]
    assert grids("internvl", (37, 90)) == [3]
    assert grids("llava_next", (37, 90)) == [2]  # one over all tiles: 32 is a multiple of 4
    assert grids("llava_onevision", (20, 70)) == [4]  # three tiles beside each other
    assert grids("llava_onevision", (30, 60)) == [
        11
    ]  # two by three, shrunk: two blocks of rows, three of columns, and two columns across the borders
    assert grids("llava_onevision", (48, 56), (37, 90)) == [1, 1]


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_centre_crop_leaves_out_is_unseen_and_nothing_else(name):
    _, processor, layout = family(name)
    (picture,) = layout.pictures(asked(processor, name, coordinates([(37, 90)])), [(37, 90)])
    unseen = 1 - float(picture.seen().double().mean())
    # OneVision's squares of 26 pixels have patches on 24 of them: a strip at the right and at the bottom, that tiles may see
    assert (
        unseen == pytest.approx(1 - 37 / 90, abs=0.02)
        if name == "llava"
        else unseen < (0.05 if name == "llava_onevision" else 1e-9)
    )


# --- by the models -------------------------------------------------------------------------------------------------------------------------


class Stop(Exception):
    pass


@cache
def still_family(name):
    """A model whose vision tower's attention passes nothing on, so that a token knows its own pixels only."""
    model, processor = FAMILIES[name]()
    tower = [
        module
        for name, module in model.named_modules()
        if any(part in name for part in ("vision_tower", "vision_model", "visual"))
    ]
    outputs = [
        m
        for module in tower
        for name, m in module.named_children()
        if name in ("out_proj", "projection_layer") or (name == "proj" and isinstance(m, torch.nn.Linear))
    ]
    assert outputs
    for output in outputs:
        torch.nn.init.zeros_(output.weight)
    return model, processor, layout_of(model.config.model_type, model.config, processor)


def features(model, inputs):
    """What enters the language model in the pictures' places, (tokens, hidden)."""
    kept = {}

    def keep(module, args, kwargs):
        kept["embeds"] = kwargs["inputs_embeds"]
        raise Stop

    hook = model.get_decoder().register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with torch.no_grad(), pytest.raises(Stop):
            model(**inputs)
    finally:
        hook.remove()
    return kept["embeds"][0, picture_positions(inputs["input_ids"], image_token_id(model.config))]


def boxes_of(picture):
    """(tokens, 4) of each token in source pixels and (tokens,) which grid it is of; nan and -1 for those that stand for no place."""
    boxes, grid_of = torch.full((picture.count, 4), torch.nan, dtype=torch.float64), torch.full((picture.count,), -1)
    for k, grid in enumerate(picture.grids):
        rows, columns = grid.frame.size
        ys, xs = torch.meshgrid(torch.arange(rows).double(), torch.arange(columns).double(), indexing="ij")
        boxes[grid.token.flatten()] = grid.frame.boxes_to_source(torch.stack([xs, ys, xs + 1, ys + 1], -1).view(-1, 4))
        grid_of[grid.token.flatten()] = k
    return boxes, grid_of


def spots(picture, rng):
    """Cells to be changed: of up to eight grids the first, the last and one more that lie inside of the picture."""
    boxes, grid_of = boxes_of(picture)
    h, w = picture.size
    count = len(picture.grids)
    for k in sorted({0, count - 1, *rng.choice(count, min(count, 6), replace=False).tolist()}):
        tokens = (grid_of == k).nonzero().flatten()
        middle = (boxes[tokens, :2] + boxes[tokens, 2:]) / 2
        tokens = tokens[(middle > 0.5).all(1) & (middle[:, 0] < w - 0.5) & (middle[:, 1] < h - 0.5)]
        if len(tokens):
            yield from {int(tokens[0]), int(tokens[-1]), int(rng.choice(tokens))}


def reach_of(layout, name, extent):
    """How far beyond its cell a token sees, (tokens, 2) in source pixels: bicubic resampling takes 2 pixels of the source, or of the raster where
    that is coarser, Lanczos 3, and Idefics resamples twice; a shrunk token of OneVision is made of two by two."""
    stride = getattr(layout, "stride", None) or layout.patch * getattr(layout, "merge", 1)
    taps = 6 if name in ("idefics3", "smolvlm") else 2
    return taps * (extent / stride).clamp(min=1) + (extent if name == "llava_onevision" else 0)


CAUSES = [[(60, 96)], [(64, 30)], [(96, 50), (40, 60)]]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sizes", CAUSES, ids=names)
def test_changed_pixels_change_the_tokens_that_stand_for_them_and_no_others(name, sizes):
    """The models are the judges: order and place of tokens are read off what enters the language model."""
    model, processor, layout = still_family(name)
    rng = np.random.default_rng(0)
    noise = [rng.integers(64, 192, (*size, 3), dtype=np.uint8) for size in sizes]
    inputs = asked(processor, name, [Image.fromarray(picture) for picture in noise])
    before = features(model, inputs)
    pictures = layout.pictures(inputs, sizes)
    firsts = np.cumsum([0, *(picture.count for picture in pictures)])
    assert len(before) == firsts[-1]
    for k, picture in enumerate(pictures):
        boxes, grid_of = boxes_of(picture)
        extent = (boxes[:, 2:] - boxes[:, :2]).nan_to_num(1)
        reach = reach_of(layout, name, extent)
        for token in spots(picture, rng):
            x0, y0, x1, y1 = boxes[token].tolist()
            cx, cy, w, h = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
            left, top = int(cx - w / 8), int(cy - h / 8)
            right, bottom = max(left + 1, int(cx + w / 8)), max(top + 1, int(cy + h / 8))
            changed = [part.copy() for part in noise]
            changed[k][top:bottom, left:right] ^= 0xFF
            moved = (
                (features(model, asked(processor, name, [Image.fromarray(part) for part in changed])) - before)
                .abs()
                .amax(1)
            )
            mine = moved[firsts[k] : firsts[k + 1]]
            assert mine[token] > 1e-4, f"token {token}: nothing changed"
            others = torch.cat([moved[: firsts[k]], moved[firsts[k + 1] :]])
            assert not len(others) or others.max() < 1e-6
            near = (
                (boxes[:, 0] - reach[:, 0] < right)
                & (boxes[:, 2] + reach[:, 0] > left)
                & (boxes[:, 1] - reach[:, 1] < bottom)
                & (boxes[:, 3] + reach[:, 1] > top)
            )
            assert not (~near).any() or mine[~near].max() < 1e-6  # nan is near nothing: ends of rows never change
            # of all tokens of its size the one that has them in it changes most
            alike = ((extent - extent[token]).abs() < 0.1 * extent[token]).all(1) & (grid_of >= 0)
            holds = (boxes[:, 0] < cx) & (boxes[:, 2] > cx) & (boxes[:, 1] < cy) & (boxes[:, 3] > cy)
            rivals = mine[alike & ~holds]
            assert not len(rivals) or mine[token] > rivals.max()


# --- what is refused ------------------------------------------------------------------------------------------------------------------------


def test_a_family_that_nobody_knows_is_refused():
    model, processor, _ = family("llava_onevision")
    with pytest.raises(
        AdapterError,
        match=r"pixels the vision tokens of 'mystery' stand for, and a map would have to guess; supported are gemma3, .*qwen3_vl",
    ) as error:
        layout_of("mystery", model.config, processor)
    assert "none applies" in str(error.value)
    model, processor, _ = family("gemma3_crops")  # one square of a picture that is nearly square, several of others
    with pytest.raises(
        AdapterError, match=r"mystery.*SquashedLayout: .*the processor made 3 squares; its layout says 1"
    ):
        proved_layout("mystery", model.config, processor)
    with pytest.raises(AdapterError, match="would have to guess"):
        layout_of("mystery", model.config, processor.image_processor)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("qwen3_vl", QwenLayout),
        ("paligemma", SquashedLayout),
        ("gemma3", SquashedLayout),
        ("llava", CentreCropLayout),
        ("llava_squashed", SquashedLayout),
    ],
)
def test_a_family_that_nobody_knows_is_taken_where_a_simple_layout_proves_itself(name, kind):
    model, processor, known = family(name)
    layout = layout_of("mystery", model.config, processor, model=model)
    assert type(layout) is kind
    pictures = [
        found.pictures({"image_grid_thw": torch.tensor([[1, 12, 18]])}, [(50, 70)])[0] for found in (layout, known)
    ]
    assert pictures[0].grids[0].frame.allclose(pictures[1].grids[0].frame)
    with pytest.raises(
        AdapterError, match="without the model of mystery it cannot be seen whether its tokens stand for places"
    ):
        layout_of("mystery", model.config, processor)


def test_tokens_that_stand_for_no_place_are_not_taken_for_a_square():
    """A resampler's, each made of all patches: 64 of them, whose processor squashes pictures as it should. And tokens of another order."""

    class Resampler(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.weights = inner, torch.randn(64, 64)

        def forward(self, features):
            return self.weights.softmax(1) @ self.inner(features)

    class Columns(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, features):
            return self.inner(features).unflatten(1, (8, 8)).transpose(1, 2).flatten(1, 2)

    for other in (Resampler, Columns):
        model, processor = FAMILIES["paligemma"]()
        assert (
            prove_by_model(SquashedLayout(side=32, stride=4), model, processor, token_id=image_token_id(model.config))
            > 0.9
        )
        model.model.multi_modal_projector = other(model.model.multi_modal_projector)
        with pytest.raises(
            AdapterError, match=r"of 12 tokens of mystery only [0-8] answer most to the pixels where a layout puts them"
        ):
            layout_of("mystery", model.config, processor, model=model)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_proved_by_its_model(name):
    model, processor, layout = family(name)
    assert prove_by_model(layout, model, processor, name, token_id=image_token_id(model.config), probes=3) >= 0.75


def wrong_layouts():
    canvases = [(26 * i, 26 * j) for i in range(1, 4) for j in range(1, 4)]

    class Even(OneVisionLayout):
        def _runs(self, first, count, shrunk):
            """As if nothing were unseen between tiles."""
            return [(0, shrunk, (first + count / shrunk / 2) * self.patch, self.patch * count / shrunk)]

    class Turned(OneVisionLayout):
        def pictures(self, inputs, sizes):
            """Column by column."""
            found = super().pictures(inputs, sizes)
            return [
                PictureTokens(
                    p.size, tuple(TokenGrid(g.frame, g.token.T.reshape(g.token.shape)) for g in p.grids), p.count
                )
                for p in found
            ]

    class First(InternLayout):
        def squares(self, size):
            """The whole picture first."""
            found = super().squares(size)
            return found[-1:] + found[:-1]

    return {
        "a crop taken for the whole": ("llava", lambda p: SquashedLayout(side=32, stride=4)),
        "a crop taken for padding": ("llava", lambda p: PaddedLayout(side=32, stride=4)),
        "crops that are not made": ("gemma3", lambda p: PanAndScanLayout(side=32, stride=8, least=20)),
        "crops that are made": ("gemma3_crops", lambda p: SquashedLayout(side=32, stride=8)),
        "tokens of twice the size": ("paligemma", lambda p: SquashedLayout(side=32, stride=8)),
        "another merge": ("qwen3_vl", lambda p: QwenLayout(patch=4, merge=1)),
        "tiles that are not shrunk": (
            "llava_onevision",
            lambda p: OneVisionLayout(side=26, patch=4, canvases=canvases, most=9),
        ),
        "tiles without unseen pixels": ("llava_onevision", lambda p: Even(side=26, patch=4, canvases=canvases, most=4)),
        "columns for rows": ("llava_onevision", lambda p: Turned(side=26, patch=4, canvases=canvases, most=4)),
        "other canvases": (
            "llava_onevision",
            lambda p: OneVisionLayout(side=26, patch=4, canvases=canvases[:2], most=4),
        ),
        "the whole picture first": (
            "internvl",
            lambda p: First(
                SimpleNamespace(size={"height": 32}, crop_to_patches=True, min_patches=1, max_patches=6), stride=8
            ),
        ),
        "what its image processor says of itself": ("internvl", lambda p: InternLayout(p.image_processor, stride=8)),
    }


@pytest.mark.parametrize("what", wrong_layouts())
def test_a_wrong_layout_is_refused(what):
    name, make = wrong_layouts()[what]
    model, processor, _ = family(name)
    with pytest.raises(
        AdapterError,
        match=r"do not lie where|are not those of its layout|makes \d+ vision tokens|tokens for pictures of",
    ):
        prove(make(processor), processor, name, token_id=image_token_id(model.config))


def test_a_processor_of_another_model_is_refused():
    def told(name, processor, **changed):
        config = family(name)[0].config
        vision = SimpleNamespace(**{"model_type": "x", **config.vision_config.to_dict(), **changed.pop("vision", {})})
        return layout_of(
            config.model_type, SimpleNamespace(**{**config.to_dict(), "vision_config": vision, **changed}), processor
        )

    small = hf.SiglipImageProcessor(size={"height": 24, "width": 24}, **COLOURS)
    with pytest.raises(
        AdapterError, match="processor of paligemma makes squares of 24 pixels, its vision tower takes 32"
    ):
        told("paligemma", small)
    with pytest.raises(
        AdapterError, match=r"qwen3_vl has \(patch, merge, temporal\) \(4, 2, 2\), its vision tower \(16, 2, 2\)"
    ):
        told("qwen3_vl", family("qwen3_vl")[1], vision={"patch_size": 16})
    with pytest.raises(AdapterError, match="different image_grid_pinpoints"):
        told("llava_onevision", family("llava_onevision")[1], image_grid_pinpoints=[[26, 26]])
    with pytest.raises(AdapterError, match="expected anyres_max_ and a number"):
        told("llava_onevision", family("llava_onevision")[1], vision_aspect_ratio="anyres")
    with pytest.raises(AdapterError, match="pictures of any size"):
        told("llava", family("llava")[1], vision={"model_type": "pixtral"})
    with pytest.raises(AdapterError, match=r"shorter side to 40 and crops .*; expected the same size"):
        told("llava", hf.CLIPImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}))
    with pytest.raises(AdapterError, match="crops none, so its tokens are no square"):
        told("llava", hf.CLIPImageProcessor(size={"shortest_edge": 32}, do_center_crop=False))
    with pytest.raises(AdapterError, match="does not stretch pictures to one square"):
        told("paligemma", hf.SiglipImageProcessor(size={"height": 24, "width": 32}))
    with pytest.raises(AdapterError, match="expected whole blocks of patches"):
        told("gemma3", family("gemma3")[1], mm_tokens_per_image=9)
    with pytest.raises(ShapeError, match="not of whole tiles of 26"):
        OneVisionLayout(side=26, patch=4, canvases=[(26, 30)])


def test_options_of_a_call_that_the_layout_does_not_know_are_noticed():
    _, processor, layout = family("gemma3")
    crops = {"do_pan_and_scan": True, "pan_and_scan_min_crop_size": 20}
    inputs = asked(processor, "gemma3", coordinates([(37, 90)]), processor_kwargs=crops)
    with pytest.raises(ShapeError, match="made 3 squares; its layout says 1"):
        layout.pixels(inputs, [(37, 90)])
    inputs = asked(family("llava_onevision")[1], "llava_onevision", coordinates([(37, 90)]))
    inputs["pixel_values"] = inputs["pixel_values"][:, :2]
    with pytest.raises(ShapeError, match=r"made 1 tiles of a picture of 37 x 90; its layout says 2 x 3"):
        family("llava_onevision")[2].pixels(inputs, [(37, 90)])


def test_llava_with_padding():
    """LLaVA's own processor can pad to a square; its middle stays in the middle."""
    processor = hf.LlavaImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_pad=True, **COLOURS
    )
    layout = layout_of("llava", family("llava")[0].config, processor)
    assert type(layout) is PaddedLayout
    assert prove(layout, processor, "llava") < 0.2
    (picture,) = layout.pictures({}, [(32, 64)])
    assert picture.grids[0].frame.boxes_to_source(torch.tensor([[0.0, 2.0, 8.0, 6.0]])).tolist() == [[0, 0, 64, 32]]


def test_all_known_families_are_tried_here():
    assert set(KNOWN) == {family(name)[0].config.model_type for name in FAMILIES} | {"qwen3_vl_moe"}
