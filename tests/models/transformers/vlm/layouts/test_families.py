"""Vision tokens of each family lie where its layout says: through whole processors, and by what the models themselves make of changed pixels."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image

from isotherm.models.transformers.vlm.families import layout_of
from isotherm.models.transformers.vlm.layouts.layout import check_layout, coordinate_picture
from isotherm.models.transformers.vlm.proof import image_token_id, picture_positions, prove
from rigs.breadth import wide
from rigs.vlm_models import FAMILIES, asked, family

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
@pytest.mark.parametrize("sizes", [*SIZES[3:], *wide(SIZES[:3])], ids=names)
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


FULL_FIRST = ("qwen3_vl", "gemma3", "llava", "idefics3", "internvl")


@pytest.mark.parametrize("name", [*FULL_FIRST, *wide(name for name in FULL if name not in FULL_FIRST)])
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
    """Cells to be changed: of up to five grids the first, the last and one more that lie inside of the picture."""
    boxes, grid_of = boxes_of(picture)
    h, w = picture.size
    count = len(picture.grids)
    for k in sorted({0, count - 1, *rng.choice(count, min(count, 3), replace=False).tolist()}):
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


CAUSES = [[(60, 96)], [(64, 30), (40, 60)]]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sizes", [*CAUSES[1:], *wide(CAUSES[:1])], ids=names)
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
