"""What is taken for proved of where tokens lie, by pictures and by the model itself, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import transformers as hf
from PIL import Image

from isotherm.errors import AdapterError, ShapeError
from isotherm.models.transformers.vlm.families import FAMILIES as KNOWN
from isotherm.models.transformers.vlm.families import layout_of, proved_layout
from isotherm.models.transformers.vlm.layouts.layout import coordinate_picture
from isotherm.models.transformers.vlm.layouts.onevision import OneVisionLayout, PaddedLayout
from isotherm.models.transformers.vlm.layouts.qwen import QwenLayout
from isotherm.models.transformers.vlm.layouts.squares import CentreCropLayout, PanAndScanLayout, SquashedLayout
from isotherm.models.transformers.vlm.layouts.tiles import InternLayout
from isotherm.models.transformers.vlm.proof import image_token_id, prove, prove_by_model
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from rigs.vlm_models import FAMILIES, asked, family
from rigs.vlm_parts import COLOURS


def coordinates(sizes):
    return [Image.fromarray(coordinate_picture(size)) for size in sizes]


# --- what is refused ------------------------------------------------------------------------------------------------------------------------


def test_a_family_that_nobody_knows_is_refused():
    model, processor, _ = family("llava_onevision")
    with pytest.raises(
        AdapterError,
        match=r"pixels the vision tokens of 'mystery' stand for, and a map would have to guess: no layout proves itself",
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
    """A resampler's, each made of all patches: 64 of them, whose processor squashes pictures as it should. Tokens of another order are measured."""

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

    square = SquashedLayout(side=32, stride=4)
    model, processor, _ = family("paligemma")
    assert prove_by_model(square, model, processor, token_id=image_token_id(model.config)) > 0.9
    for other in (Resampler, Columns):
        model, processor = FAMILIES["paligemma"]()
        model.model.multi_modal_projector = other(model.model.multi_modal_projector)
        with pytest.raises(
            AdapterError, match=r"of 12 tokens of mystery only [0-8] answer most to the pixels where a layout puts them"
        ):
            prove_by_model(square, model, processor, "mystery", token_id=image_token_id(model.config))
        if other is Resampler:
            with pytest.raises(
                AdapterError,
                match=r"measured: the 64 vision tokens of mystery stand for no place: each changes with pixels all over the picture \(",
            ):
                layout_of("mystery", model.config, processor, model=model)
            continue
        (picture,) = layout_of("mystery", model.config, processor, model=model).pictures({}, [(60, 80)])
        (grid,) = picture.grids
        assert grid.token.tolist() == torch.arange(64).view(8, 8).T.tolist()


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
