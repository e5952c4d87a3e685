"""timm's models as views: convolutions, tokens with prefixes, channels-last grids, inputs that are not square."""

from __future__ import annotations

import pytest
import timm
import torch
from PIL import Image
from torch import nn

from isotherm.cam.attribute import attribute
from isotherm.cam.methods import hirescam, legrad_final, rollout
from isotherm.cam.view import Inputs, TokenReader, View
from isotherm.errors import AdapterError, LayerError, OptionError, WeightsError
from isotherm.frame import Frame
from isotherm.models.timm import view as adapter
from isotherm.models.timm.layers import patch_of
from rigs.breadth import wide
from rigs.view_checks import (
    alive_cells,
    assert_block_moves_its_cell,
    assert_state_unchanged,
    noise_picture,
    record_at,
    state_of,
)

VIT = {"embed_dim": 48, "depth": 2, "num_heads": 2, "num_classes": 6}
FAMILIES = {
    # name: (timm's name, configuration, size of the input, auto layer, grid, tokens in front)
    "resnet10t": ("resnet10t", {"num_classes": 6}, 64, "layer4", (2, 2), 0),
    "vit": ("vit_tiny_patch16_224", {**VIT, "img_size": 64}, None, "blocks[-1].norm1", (4, 4), 1),
    "vit not square": ("vit_tiny_patch16_224", {**VIT, "img_size": (160, 224)}, None, "blocks[-1].norm1", (10, 14), 1),
    "vit average": (
        "vit_tiny_patch16_224",
        {**VIT, "img_size": 64, "global_pool": "avg", "class_token": False},
        None,
        "blocks[-1]",
        (4, 4),
        0,
    ),
    "siglip": ("vit_base_patch16_siglip_224", {**VIT, "img_size": 64}, None, "norm", (4, 4), 0),
    "deit distilled": ("deit_tiny_distilled_patch16_224", {**VIT, "img_size": 64}, None, "blocks[-1].norm1", (4, 4), 2),
    "dinov2 registers": (
        "vit_small_patch14_reg4_dinov2",
        {**VIT, "img_size": (56, 84)},
        None,
        "blocks[-1].norm1",
        (4, 6),
        5,
    ),
    "dinov3": ("vit_small_patch16_dinov3", {**VIT, "img_size": 64}, (64, 96), "norm", (4, 6), 5),
    "eva02": ("eva02_tiny_patch14_224", {**VIT, "img_size": 56}, None, "blocks[-1]", (4, 4), 1),
    "beit": ("beit_base_patch16_224", {**VIT, "img_size": 64}, None, "blocks[-1]", (4, 4), 1),
    "hybrid": ("vit_tiny_r_s16_p8_224", {**VIT, "img_size": 96}, None, "blocks[-1].norm1", (3, 3), 1),
    "hybrid not square": ("vit_tiny_r_s16_p8_224", {**VIT, "img_size": (96, 160)}, None, "blocks[-1].norm1", (3, 5), 1),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {
            "img_size": (64, 96),
            "window_size": 4,
            "embed_dim": 24,
            "depths": (1, 1),
            "num_heads": (2, 4),
            "num_classes": 6,
        },
        None,
        "norm",
        (8, 12),
        0,
    ),
    "convnext": (
        "convnext_atto",
        {"dims": (16, 16, 32, 32), "depths": (1, 1, 1, 1), "num_classes": 6},
        96,
        "stages",
        (3, 3),
        0,
    ),
    "efficientnet": ("tinynet_e", {"num_classes": 6}, 64, "bn2", (2, 2), 0),
}
PROBED = {
    # families that nobody described, found by running: any layer is right whose every cell carries gradient
    "mobilenetv3_small_050": ({"num_classes": 6}, 64),
    "regnetx_002": ({"num_classes": 6}, 64),
    "cait_xxs24_224": ({**VIT, "img_size": 64}, None),
    "xcit_nano_12_p16_224": ({"img_size": 64, "embed_dim": 48, "depth": 2, "num_heads": 2, "num_classes": 6}, None),
    "mixer_s32_224": ({"img_size": 128, "num_classes": 6}, None),
    "hiera_tiny_224": ({"img_size": 64, "embed_dim": 24, "num_heads": 1, "stages": (1, 1, 1, 1), "num_classes": 6}, 64),
}
PROBED_FIRST = ("regnetx_002", "cait_xxs24_224", "hiera_tiny_224")


def build(name, **config):
    torch.manual_seed(0)
    model = timm.create_model(name, **config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and float(parameter.std()) < 1e-5:
                nn.init.normal_(parameter, std=0.5)  # heads that start at zero would have no gradient
    return model


@pytest.fixture(scope="module")
def views():
    made = {}

    def get(name) -> View:
        if name not in made:
            architecture, config, size, *_ = FAMILIES[name]
            made[name] = adapter.wrap(build(architecture, **config), size=size)
        return made[name]

    return get


@pytest.mark.parametrize("name", FAMILIES)
def test_the_view_answers_as_the_model_does_and_its_auto_layer_carries_gradient(views, name):
    view = views(name)
    assert isinstance(view, View)
    _, _, _, layer, grid, prefix = FAMILIES[name]
    assert view.auto_layers().layers == (layer,)
    assert len(view.auto_layers().reason) > 20
    before = state_of(view.model)
    inputs, recording = record_at(view, [noise_picture(90, 120), noise_picture(120, 90, seed=1)])
    output = recording.calls[0].output
    layout = view.layout(layer, output, inputs)
    assert tuple(layout.to_grid(output).shape[2:]) == grid
    assert layout.prefix == prefix
    found = view.find(recording.raw, inputs)
    with torch.no_grad():
        torch.testing.assert_close(found.logits.detach(), view.model(inputs.tensor), rtol=1e-4, atol=1e-5)
        pooled = view.model.forward_head(view.model.forward_features(inputs.tensor), pre_logits=True)
    torch.testing.assert_close(found.embedding.detach(), pooled, rtol=1e-4, atol=1e-5)
    assert found.embedding.requires_grad
    assert alive_cells(view, recording, inputs, which=1) == [1.0]
    assert_state_unchanged(view, before)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet10t", "layer2"),
        ("convnext", "stages"),
        ("swin", "patch_embed"),
        ("swin", "layers.0"),
        ("swin", "norm"),
        *(
            (name, layer)
            for name in FAMILIES
            if FAMILIES[name][5] or "vit" in name or name == "siglip"
            for layer in ("blocks[0].norm1", "blocks[-1].norm1")
        ),
        ("vit", "patch_embed"),
        ("dinov3", "blocks[-1].mlp"),
    ],
)
@pytest.mark.parametrize("at", [(85, 30), (38, 62)])
def test_a_block_in_the_picture_moves_the_cell_that_the_frame_says(views, name, layer, at):
    view = views(name)
    assert_block_moves_its_cell(view, layer, (90, 120), at, cells=1.0 if name in ("resnet10t", "convnext") else 0.75)


@pytest.mark.parametrize("name", [*PROBED_FIRST, *wide(name for name in PROBED if name not in PROBED_FIRST)])
def test_other_families_get_a_layer_by_running_them_once(name):
    config, size = PROBED[name]
    view = adapter.wrap(build(name, **config), size=size)
    before = state_of(view.model)
    choice = view.auto_layers()
    assert "found by running the model once" in choice.reason
    inputs, recording = record_at(view, [noise_picture(64, 64)], choice.layers)
    assert alive_cells(view, recording, inputs) == [1.0]
    assert_state_unchanged(view, before)


def test_tokens_without_a_declared_grid_are_refused():
    view = adapter.wrap(build("hiera_tiny_224", **PROBED["hiera_tiny_224"][0]), size=64)
    inputs, recording = record_at(view, [noise_picture(64, 64)], ["blocks[0]"])
    with pytest.raises(LayerError, match="does not declare the grid"):
        view.layout("blocks[0]", recording.calls[0].output, inputs)


@pytest.mark.parametrize(
    ("name", "config", "patch"),
    [
        ("vit_tiny_r_s16_p8_224", {**VIT, "img_size": 96}, None),  # its patch of 8 counts cells of a stem of stride 4
        (
            "xcit_nano_12_p16_224",
            {"img_size": 64, "embed_dim": 48, "depth": 1, "num_heads": 2},
            None,
        ),  # four convolutions that overlap
        ("vit_tiny_patch16_224", {**VIT, "img_size": 64}, (16, 16)),
        ("mixer_s32_224", {"img_size": 64}, (32, 32)),
    ],
)
def test_a_patch_is_exact_where_it_is_cut_from_the_picture_itself(name, config, patch):
    model = build(name, **config)
    assert patch_of(model.stem if name.startswith("mixer") else model.patch_embed) == patch


def test_cells_of_a_hybrid_are_those_of_its_convolutions(views):
    """By hand: three cells of a picture of 96 pixels are 32 apart, whatever the embedding calls its patch."""
    view = views("hybrid")
    explained = attribute(view, view.prepare([noise_picture(96, 96)]), methods=[hirescam, rollout])
    for one in explained.maps:
        assert one.frame.size == (3, 3)
        apart = (
            one.frame[0]
            .points_to_source(torch.tensor([[0.5, 0.5], [1.5, 2.5]], dtype=torch.float64))
            .diff(dim=0)[0]
            .tolist()
        )
        scale = 96 / view.preprocess.resize[0]
        assert apart == pytest.approx([32 * scale, 64 * scale], abs=1)


def test_windows_stacked_into_the_batch_are_refused(views):
    view = views("swin")
    inputs, recording = record_at(view, [noise_picture(64, 96)], ["layers.0.blocks.0.attn"])
    with pytest.raises(LayerError, match="not the batch of 1"):
        view.layout("layers.0.blocks.0.attn", recording.calls[0].output, inputs)


@pytest.mark.parametrize("name", [n for n in FAMILIES if FAMILIES[n][5] or n in ("vit average", "siglip")])
def test_the_tokens_behind_the_last_block_give_the_models_answer(views, name):
    view = views(name)
    assert isinstance(view, TokenReader)
    assert not isinstance(views("swin"), TokenReader)
    inputs, recording = record_at(view, [noise_picture(64, 64)], list(view.blocks))
    last = view.read_tokens(recording.calls[-1].output, inputs)
    torch.testing.assert_close(last.logits, view.find(recording.raw, inputs).logits)
    torch.testing.assert_close(last.embedding, view.find(recording.raw, inputs).embedding)


@pytest.mark.parametrize("name", ["deit distilled", "dinov3"])
def test_attention_methods_see_the_grid_without_its_prefix(views, name):
    view = views(name)
    inputs = view.prepare([noise_picture(64, 96)])
    explained = attribute(view, inputs, methods=[rollout, legrad_final, hirescam])
    for one in explained.maps:
        assert one.values.shape == (1, *FAMILIES[name][4])
        assert float(one.values.abs().sum()) > 0


def test_the_last_block_of_a_class_token_vit_has_no_gradient_at_its_patches(views):
    view = views("deit distilled")
    inputs, recording = record_at(view, [noise_picture(64, 64)], ["blocks[-1]"])
    assert alive_cells(view, recording, inputs) == [0.0]


@pytest.mark.parametrize(
    "name",
    [
        "resnet50.a1_in1k",
        "convnext_tiny.fb_in1k",
        "vit_base_patch16_224.augreg_in21k_ft_in1k",
        "swin_tiny_patch4_window7_224.ms_in1k",
        "vit_small_patch16_dinov3",
        "tf_efficientnetv2_s.in21k_ft_in1k",
    ],
)
def test_prepared_pixels_are_those_of_timms_own_transform(name):
    from timm.data import create_transform, resolve_data_config

    with torch.device("meta"):
        model = timm.create_model(name)
    config = resolve_data_config(model=model)
    preprocess, transform = adapter.preprocess_of(model), create_transform(**config)
    for source in ((300, 401), (401, 300), (57, 90)):
        picture = noise_picture(*source)
        tensor, frame = preprocess.one(picture)
        assert torch.equal(tensor, transform(Image.fromarray(picture))), source
        assert frame.size == tuple(config["input_size"][1:])


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("source", [(300, 401), (401, 300), (57, 90)])
def test_every_crop_mode_and_sizes_that_are_not_square(mode, source):
    from timm.data import create_transform

    model = build("resnet10t")
    model.pretrained_cfg = {
        **model.pretrained_cfg,
        "input_size": (3, 160, 224),
        "crop_mode": mode,
        "crop_pct": 0.9,
        "interpolation": "bicubic",
    }
    picture = noise_picture(*source)
    tensor, frame = adapter.preprocess_of(model).one(picture)
    config = model.pretrained_cfg
    expected = create_transform(
        (3, 160, 224), crop_pct=0.9, crop_mode=mode, interpolation="bicubic", mean=config["mean"], std=config["std"]
    )(Image.fromarray(picture))
    assert torch.equal(tensor, expected)
    # the middle of the picture is the middle of the input, to the rounding of the crop
    middle = frame.points_from_source(torch.tensor([[source[1] / 2, source[0] / 2]]))
    torch.testing.assert_close(middle, torch.tensor([[112.0, 80.0]]), atol=1.0, rtol=0)


def test_names_come_from_timms_tables():
    assert adapter.names_of(build("resnet10t"))[281] == "tabby, tabby cat"
    assert adapter.names_of(build("resnet10t", num_classes=7)) == [f"class {i}" for i in range(7)]
    with torch.device("meta"):
        assert adapter.names_of(timm.create_model("resnet10t", num_classes=21841))[0] == "organism, being"


def test_a_model_without_classifier_answers_with_its_embedding():
    view = adapter.wrap(build("vit_tiny_patch16_224", **{**VIT, "num_classes": 0}, img_size=64))
    inputs, recording = record_at(view, [noise_picture(64, 64)])
    found = view.find(recording.raw, inputs)
    assert found.logits.shape == (1, 48)
    assert found.embedding is found.logits
    assert view.names[47] == "feature 47"
    bare = adapter.wrap(build("mobilenetv3_small_050", num_classes=0), size=64)
    assert len(bare.names) == bare.run(bare.prepare([noise_picture(64, 64)])).logits.shape[1]


def test_sizes_that_are_no_multiple_of_the_patch_are_refused():
    with pytest.raises(OptionError, match="16 x 16"):
        adapter.wrap(build("vit_small_patch16_dinov3", **VIT), size=(70, 100))
    padding = adapter.wrap(build("vit_small_patch16_dinov3", **VIT, dynamic_img_pad=True), size=(64, 96))
    inputs = padding.prepare([noise_picture(70, 100)])
    grown = Inputs(torch.zeros(1, 3, 70, 100), Frame.stack([Frame.identity((70, 100))]))
    assert padding.layout("norm", torch.zeros(1, 29, 48), inputs).grid == (4, 6)
    with pytest.raises(LayerError, match="pads its 70 x 100 input"):
        padding.layout("norm", torch.zeros(1, 40, 48), grown)


def test_wrapped_and_half_precision_models():
    model = build("vit_tiny_patch16_224", **VIT, img_size=64)
    assert adapter.wrap(nn.DataParallel(model)).model is model
    for dtype in (torch.bfloat16, torch.float16):
        view = adapter.wrap(build("vit_tiny_patch16_224", **VIT, img_size=64).to(dtype))
        inputs, recording = record_at(view, [noise_picture(64, 64)])
        assert view.find(recording.raw, inputs).logits.dtype == dtype
        assert alive_cells(view, recording, inputs)[0] > 0.9


def test_load_random_weights_are_those_of_the_seed():
    state = torch.get_rng_state()
    one = adapter.load("resnet10t", weights="none", seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    two = timm.create_model("resnet10t")
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.parameters(), strict=True))
    assert "random weights" in one.name


def test_load_builds_transformers_for_the_size_asked_for():
    view = adapter.load("vit_tiny_patch16_224", weights="none", size=(64, 96))
    assert view.prepare([noise_picture(64, 96)]).tensor.shape == (1, 3, 64, 96)
    assert view.model.patch_embed.grid_size == (4, 6)


def test_load_a_file_finds_its_number_of_classes(tmp_path):
    from safetensors.torch import save_file

    trained = timm.create_model("resnet10t", num_classes=7)
    fpath = tmp_path / "mine.safetensors"
    save_file(trained.state_dict(), fpath)
    view = adapter.load("resnet10t", weights=fpath)
    assert list(view.names) == [f"class {i}" for i in range(7)]
    assert all(torch.equal(a, b) for a, b in zip(view.model.parameters(), trained.parameters(), strict=True))
    with pytest.raises(WeightsError, match="does not fit resnet18: 3 of 122 weights have other shapes"):
        adapter.load("resnet18", weights=fpath)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: adapter.load("resnet5o", weights="none"), AdapterError, "did you mean .*resnet50"),
        (lambda: adapter.load("resnet10t"), WeightsError, "could not be fetched"),
        (lambda: adapter.load("hf-hub:some/model", weights="none"), OptionError, "weights must be 'auto'"),
        (lambda: adapter.wrap(nn.Conv2d(3, 4, 1)), AdapterError, "not a timm classifier"),
        (
            lambda: adapter.wrap(build("vit_tiny_patch16_224", **VIT, img_size=64), size=96),
            OptionError,
            "create it with img_size=96",
        ),
        (lambda: adapter.wrap(build("resnet10t"), names=["a"]), OptionError, "1 class names were given for the 1000"),
        (lambda: adapter.wrap(timm.create_model("resnet10t", features_only=True)), AdapterError, "features_only"),
    ],
)
def test_mistakes_say_what_was_given_and_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_hiera_reads_the_size_it_was_built_for():
    model = timm.create_model("hiera_tiny_224", img_size=128, num_classes=3)
    assert adapter.wrap(model).prepare([noise_picture(80, 90)]).tensor.shape == (1, 3, 128, 128)
    with pytest.raises(OptionError, match="reads 128 x 128 pixels only"):
        adapter.wrap(model, size=256)
