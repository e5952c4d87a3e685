"""torchvision's classifiers and segmenters as views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.models as tv
from PIL import Image
from torch import nn

from isotherm.cam.view import Classification, Pins, Segmentation, TokenReader, View
from isotherm.errors import AdapterError, InputError, LayerError, OptionError, WeightsError
from isotherm.models.shared.preprocess import check_picture
from isotherm.models.torchvision import view as adapter
from rigs.breadth import wide
from rigs.torchvision_classifiers import FAMILIES, small_vit
from rigs.view_checks import (
    alive_cells,
    assert_block_moves_its_cell,
    assert_one_channel,
    assert_state_unchanged,
    noise_picture,
    record_at,
    state_of,
)


@pytest.fixture(scope="module")
def views():
    made = {}

    def get(name) -> View:
        if name not in made:
            build, side, _, _ = FAMILIES[name]
            torch.manual_seed(0)
            made[name] = adapter.wrap(build().eval(), size=side)
        return made[name]

    return get


FIRST = ("resnet18", "squeezenet", "densenet", "convnext", "vit", "swin")


@pytest.mark.parametrize("name", [*FIRST, *wide(name for name in FAMILIES if name not in FIRST)])
def test_the_view_answers_as_the_model_does_and_its_auto_layer_carries_gradient(views, name):
    view = views(name)
    assert isinstance(view, View)
    _, side, layer, length = FAMILIES[name]
    choice = view.auto_layers()
    assert choice.layers == (layer,)
    assert len(choice.reason) > 20
    before = state_of(view.model)
    pictures = [noise_picture(90, 120), noise_picture(120, 90, seed=1)]
    inputs, recording = record_at(view, pictures)
    assert inputs.tensor.shape == (2, 3, side, side)
    found = view.find(recording.raw, inputs)
    assert isinstance(found, Classification)
    with torch.no_grad():
        torch.testing.assert_close(found.logits.detach(), view.model(inputs.tensor), rtol=1e-4, atol=1e-5)
    assert list(found.names) == [f"class {i}" for i in range(6)]
    (alive,) = alive_cells(view, recording, inputs, which=1)
    assert alive == 1.0
    assert_state_unchanged(view, before)
    if length is None:
        assert found.embedding is None
    else:
        assert found.embedding.shape == (2, length)
        head = [m for m in view.model.modules() if isinstance(m, nn.Linear)][-1]
        torch.testing.assert_close(head(found.embedding), found.logits)
        assert found.embedding.requires_grad


@pytest.mark.parametrize(
    ("name", "layer", "cells"),
    [
        ("resnet18", "layer1", 1.0),
        ("resnet18", "layer3", 1.0),
        ("efficientnet_b0", "features.3", 1.0),
        ("convnext", "features.1", 1.0),
        ("convnext", "features[-1]", 1.0),
        ("maxvit", "stem", 1.0),
        ("swin", "features.0", 0.75),
        ("swin", "features.1.0.mlp.1", 0.75),
        ("swin", "features.2", 0.75),
        ("swin_v2", "features.0", 0.75),
        ("vit", "conv_proj", 0.75),
        ("vit", "encoder.layers[0].ln_1", 0.75),
        ("vit", "encoder.layers[-1].ln_1", 0.75),
    ],
)
@pytest.mark.parametrize("at", [(85, 30), (35, 66)])
def test_a_block_in_the_picture_moves_the_cell_that_the_frame_says(views, name, layer, cells, at):
    # 90 x 120 to a square by centre crop: only the middle 78 columns are seen
    assert_block_moves_its_cell(views(name), layer, (90, 120), at, cells=cells)


def test_the_tokens_behind_the_last_block_give_the_models_answer(views):
    view = views("vit")
    assert isinstance(view, TokenReader)
    assert not isinstance(views("resnet18"), TokenReader)
    inputs, recording = record_at(view, [noise_picture(64, 64)], list(view.blocks))
    assert len(recording.calls) == 2
    last = view.read_tokens(recording.calls[-1].output, inputs)
    torch.testing.assert_close(last.logits, view.find(recording.raw, inputs).logits)
    torch.testing.assert_close(last.embedding, view.find(recording.raw, inputs).embedding)


def test_the_last_block_of_a_vit_has_no_gradient_at_its_patches_which_is_why_it_is_not_chosen(views):
    view = views("vit")
    inputs, recording = record_at(view, [noise_picture(64, 64)], ["encoder.layers[-1]"])
    assert alive_cells(view, recording, inputs) == [0.0]


@pytest.mark.parametrize(
    "builder",
    [
        tv.ResNet50_Weights.IMAGENET1K_V2,
        tv.EfficientNet_B1_Weights.DEFAULT,
        tv.Swin_T_Weights.DEFAULT,
        tv.ViT_B_16_Weights.DEFAULT,
        tv.MaxVit_T_Weights.DEFAULT,
    ],
)
@pytest.mark.parametrize("source", [(300, 401), (401, 300), (224, 224), (90, 57)])
def test_prepared_pixels_are_those_of_the_weights_own_transform(builder, source):
    picture = noise_picture(*source)
    tensor, frame = adapter.preprocess_of(nn.Identity(), builder).one(picture)
    expected = builder.transforms()(Image.fromarray(picture))
    assert torch.equal(tensor, expected)
    assert frame.size == tuple(expected.shape[1:])


def test_the_frame_of_a_centre_crop_knows_what_is_not_seen():
    from isotherm.ops.resample import seen

    view = adapter.wrap(tv.resnet18(num_classes=6).eval())
    inputs = view.prepare([noise_picture(256, 512)])
    # 256 is the shorter side already, so the crop is the middle 224 x 224
    assert inputs.frame[0].points_to_source(torch.tensor([[0.0, 0.0], [224.0, 224.0]])).tolist() == [
        [144.0, 16.0],
        [368.0, 240.0],
    ]
    mask = seen(inputs.frame[0])
    assert int(mask.sum()) == 224 * 224
    assert not mask[:, :144].any()
    assert inputs.blank.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("geometry", ["squash", "letterbox"])
def test_other_geometries_see_the_whole_picture(geometry):
    view = adapter.wrap(tv.resnet18(num_classes=6).eval(), size=(64, 96), geometry=geometry)
    inputs = view.prepare([noise_picture(100, 60), noise_picture(60, 100)])
    assert inputs.tensor.shape == (2, 3, 64, 96)
    for frame, (h, w) in zip(inputs.frame, [(100, 60), (60, 100)], strict=True):
        corners = frame.points_from_source(torch.tensor([[0.0, 0.0], [float(w), float(h)]]))
        assert bool((corners >= -1e-6).all())
        assert bool((corners <= torch.tensor([96.0, 64.0]) + 1e-6).all())


def test_names_come_from_the_weights_or_from_the_number_of_classes():
    imagenet = adapter.wrap(tv.squeezenet1_1().eval())
    assert imagenet.names[281] == "tabby"
    assert adapter.wrap(small_vit().eval(), names=list("abcdef")).names == tuple("abcdef")
    with pytest.raises(OptionError, match="5 class names were given for the 6"):
        adapter.wrap(small_vit().eval(), names=list("abcde"))


class Custom(nn.Module):
    """A user's own network: an unused side branch, a class head made of functions."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.middle = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU())
        self.side = nn.Conv2d(16, 4, 1)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.middle(torch.relu(self.stem(x)))
        self.side(x)  # put out last, but off the path
        return self.head(x.mean((2, 3)))


def test_an_unknown_network_is_probed_and_a_grid_off_the_path_is_passed_over():
    view = adapter.wrap(Custom().eval(), size=(32, 48))
    choice = view.auto_layers()
    assert choice.layers == ("middle",)
    assert "8 x 12" in choice.reason
    assert "1 later one was passed over" in choice.reason
    assert list(view.names) == ["class 0", "class 1", "class 2"]
    before = state_of(view.model)
    inputs, recording = record_at(view, [noise_picture(32, 48)])
    assert alive_cells(view, recording, inputs) == [1.0]
    assert view.find(recording.raw, inputs).embedding.shape == (1, 16)
    assert_state_unchanged(view, before)


def test_wrapped_models_are_explained_through_the_original():
    model = tv.mobilenet_v3_small(num_classes=6).eval()
    for wrapped in (nn.DataParallel(model), torch.compile(model)):
        assert adapter.wrap(wrapped, size=64).model is model


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["resnet18", "vit"])
def test_half_precision_models_work(name, dtype):
    build, side, _, _ = FAMILIES[name]
    view = adapter.wrap(build().eval().to(dtype), size=side)
    inputs, recording = record_at(view, [noise_picture(70, 70)])
    assert inputs.tensor.dtype == dtype
    assert inputs.blank.dtype == dtype
    assert view.find(recording.raw, inputs).logits.dtype == dtype
    assert alive_cells(view, recording, inputs)[0] > 0.9


def test_a_model_in_training_mode_is_read_in_eval_mode_and_left_in_training_mode():
    model = tv.resnet18(num_classes=6).train()
    view = adapter.wrap(model, size=64)
    before = state_of(model)
    inputs, recording = record_at(view, [noise_picture(64, 64)])
    assert_state_unchanged(view, before)
    assert model.training
    with torch.no_grad():
        torch.testing.assert_close(view.find(recording.raw, inputs).logits.detach(), model.eval()(inputs.tensor))


def test_load_random_weights_are_those_of_the_seed_and_leave_the_random_state_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one = adapter.load("mobilenet_v3_small", weights="none", seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    two = tv.mobilenet_v3_small()
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.parameters(), strict=True))
    assert one.names[281] == "tabby"
    assert not one.model.training
    assert "random weights" in one.name


def test_load_without_a_network_says_so():
    with pytest.raises(WeightsError, match=r"could not be fetched \(https://download"):
        adapter.load("mobilenet_v3_small")


def test_load_an_unknown_name_gives_the_nearest():
    with pytest.raises(AdapterError, match=r"did you mean .*resnet50"):
        adapter.load("resnet5o", weights="none")


def test_probabilities_are_claimed_of_the_packages_own_weights_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    cached = tmp_path / "checkpoints" / tv.MobileNet_V3_Small_Weights.DEFAULT.url.rpartition("/")[2]
    cached.parent.mkdir()
    torch.save(tv.mobilenet_v3_small().state_dict(), cached)
    assert adapter.load("mobilenet_v3_small").exclusive
    assert not adapter.load("mobilenet_v3_small", weights="none").exclusive
    assert not adapter.load("mobilenet_v3_small", weights=cached).exclusive  # nobody says how it was trained
    assert not adapter.wrap(tv.mobilenet_v3_small()).exclusive


def test_load_a_file_finds_its_number_of_classes(tmp_path, monkeypatch):
    from safetensors.torch import save_file

    trained = tv.mobilenet_v3_small(num_classes=7)
    fpath = tmp_path / "mine.safetensors"
    save_file(trained.state_dict(), fpath)
    view = adapter.load("mobilenet_v3_small", weights=fpath)
    assert list(view.names) == [f"class {i}" for i in range(7)]
    assert all(torch.equal(a, b) for a, b in zip(view.model.parameters(), trained.parameters(), strict=True))
    with pytest.raises(WeightsError, match="does not fit resnet18"):
        adapter.load("resnet18", weights=fpath)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: adapter.wrap(small_vit(), size=96), OptionError, "64 x 64 pixels only"),
        (lambda: adapter.wrap(small_vit(), confidence=0.5), OptionError, "detector's findings"),
        (lambda: adapter.wrap(small_vit(), std=(1, 0, 1)), OptionError, "above 0"),
        (lambda: adapter.wrap(tv.resnet18(), size=(0, 5)), OptionError, "at least 1"),
        (lambda: adapter.wrap(tv.optical_flow.raft_small()), AdapterError, "RAFT does not map one picture"),
        (lambda: adapter.wrap(tv.resnet18()).prepare([]), InputError, "list is empty"),
        (
            lambda: check_picture(np.zeros((4, 4), np.uint8)),
            InputError,
            r"uint8 of shape \(4, 4\); expected an RGB array",
        ),
        (lambda: check_picture(np.zeros((4, 4, 3), np.float32)), InputError, "float32"),
        (lambda: check_picture("photo.jpg"), InputError, "a picture is str"),
    ],
)
def test_mistakes_say_what_was_given_and_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_layers_that_are_no_grid_are_refused(views):
    view = views("swin")
    inputs, recording = record_at(view, [noise_picture(64, 64)], ["head"])
    with pytest.raises(LayerError, match="no grid over the picture"):
        view.layout("head", recording.calls[0].output, inputs)
    vit = views("vit")
    inputs = vit.prepare([noise_picture(64, 64)])
    with pytest.raises(LayerError, match="declares a grid of 4 x 4 and 1 tokens in front"):
        vit.layout("encoder", torch.zeros(1, 18, 32), inputs)
    with pytest.raises(LayerError, match="attention of every token"):
        vit.layout("encoder", torch.zeros(1, 2, 17, 17), inputs)


SEGMENTERS = {
    "fcn": lambda: tv.segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=4),
    "deeplab": lambda: tv.segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4),
    "lraspp": lambda: tv.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4),
}


@pytest.mark.parametrize("name", SEGMENTERS)
def test_segmenters(name):
    torch.manual_seed(0)
    view = adapter.wrap(SEGMENTERS[name]().eval(), size=64)
    assert isinstance(view, View)
    before = state_of(view.model)
    inputs, recording = record_at(view, [noise_picture(70, 90)])
    assert inputs.tensor.shape == (1, 3, 64, 82)
    found = view.find(recording.raw, inputs)
    assert isinstance(found, Segmentation)
    with torch.no_grad():
        torch.testing.assert_close(found.logits.detach(), view.model(inputs.tensor)["out"])
    assert found.logits.shape == (1, 4, 64, 82)
    assert alive_cells(view, recording, inputs) == [1.0]
    assert_state_unchanged(view, before)
    assert_block_moves_its_cell(view, "backbone.layer2" if name == "fcn" else "backbone.4", (70, 90), (60, 25))


def test_a_segmenter_of_one_channel_is_explained_where_its_logit_is_above_0():
    torch.manual_seed(0)
    view = adapter.wrap(
        tv.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=1).eval(), size=64
    )
    inputs = view.prepare([noise_picture(64, 64)])
    assert_one_channel(view, inputs, view.model.classifier.high_classifier.bias)


def test_segmenters_prepare_as_their_weights_do_and_pad_batches():
    weights = tv.segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT
    view = adapter.load("lraspp_mobilenet_v3_large", weights="none")
    assert view.names[8] == "cat"
    picture = noise_picture(100, 130)
    assert torch.equal(view.prepare([picture]).tensor[0], weights.transforms()(Image.fromarray(picture)))
    both = view.prepare([picture, noise_picture(130, 100)])
    assert both.tensor.shape == (2, 3, 676, 676)
    assert bool((both.tensor[0, :, 520:] == 0).all())
    assert both.frame[0].points_to_source(torch.tensor([[676.0, 520.0]])).tolist() == [[130.0, 100.0]]


def test_refind_of_a_classifier_is_find(views):
    view = views("resnet18")
    inputs, recording = record_at(view, [noise_picture(64, 64)])
    pins = Pins(torch.zeros(1, 4), torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    assert view.refind(recording.raw, inputs, pins).logits is view.find(recording.raw, inputs).logits
