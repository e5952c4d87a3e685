"""transformers' classifiers, encoders and segmenters: the model's own answers, layers where they say they are."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import transformers as hf

from isotherm import explain
from isotherm.cam.attribute import attribute
from isotherm.cam.capture import record
from isotherm.cam.methods import hirescam
from isotherm.cam.view import View
from isotherm.errors import AdapterError, LayerError, OptionError, ShapeError
from isotherm.jobs.explain.outputs import lines_of
from isotherm.models.transformers.view import wrap
from isotherm.ops.percent import percent
from isotherm.relevance.modules import resolve
from rigs.breadth import wide
from rigs.transformers_models import make, picture
from rigs.transformers_views import TEXTS, activation, hit, processor, view_of
from rigs.view_checks import assert_one_channel

CLASSIFIERS = (
    "vit",
    "deit",
    "beit",
    "swin",
    "swinv2",
    "convnext",
    "resnet",
    "mobilevit",
    "dinov2",
    "dinov2_registers",
    "siglip",
    "clip",
)
FIRST = ("vit", "swin", "convnext", "dinov2_registers", "siglip")
"""Tokens behind a class token, windows, convolutions, tokens behind registers, and nothing but patches."""
ENCODERS = ("dinov3", "dinov3_convnext", "clip_pair", "siglip_pair")
PREFIX = {"vit": 1, "deit": 2, "beit": 1, "dinov2": 1, "dinov2_registers": 5, "siglip": 0, "clip": 1, "dinov3": 4}
LAYER = {
    "vit": "vit.layers.1.layernorm_before",
    "deit": "deit.layers.1.layernorm_before",
    "beit": "beit.layers.1.layernorm_before",
    "swin": "swin.layernorm",
    "swinv2": "swinv2.layernorm",
    "convnext": "convnext.encoder.stages.3",
    "resnet": "resnet.encoder.stages.3",
    "mobilevit": "mobilevit.conv_1x1_exp",
    "dinov2": "dinov2.encoder.layer.1.norm1",
    "dinov2_registers": "dinov2_with_registers.encoder.layer.1.norm1",
    "siglip": "vision_model.encoder.layers.1.layer_norm1",
    "clip": "vision_model.encoder.layers.1.layer_norm1",
    "dinov3": "model.layer.1.norm1",
    "dinov3_convnext": "model.stages.3",
    "clip_pair": "vision_model.encoder.layers.1.layer_norm1",
    "siglip_pair": "vision_model.encoder.layers.1.layer_norm1",
    "segformer": "segformer.stages.3",
}


def small(family: str, **options):
    """At 64 x 96, or what the family can: inputs are not square wherever that is possible."""
    square = family in ("convnext", "resnet")
    return view_of(family, size=96 if square else (64, 96), **options)


@pytest.mark.parametrize(
    ("problem", "exclusive", "independent"),
    [
        ("single_label_classification", True, False),
        ("multi_label_classification", False, True),
        ("regression", False, False),
        (None, False, False),
    ],
)
def test_probabilities_are_claimed_where_the_configuration_says_what_was_trained(problem, exclusive, independent):
    view = small("vit")
    view.model.config.problem_type = problem
    inputs = view.prepare([picture()])
    with torch.no_grad():
        answer = view.find(view.run(inputs), inputs)
    assert (answer.exclusive, answer.independent) == (exclusive, independent)


def explained(names, problem):
    torch.manual_seed(0)
    config = hf.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=64,
        patch_size=16,
        id2label=dict(enumerate(names)),
        problem_type=problem,
    )
    model = hf.ViTForImageClassification(config).eval()
    return explain(model, picture(), target=tuple(names), method="gradcam", trust="off")


@pytest.mark.parametrize("names", [["damaged"], ["cat", "dog", "bus"]])
def test_a_multi_label_model_gives_each_class_its_sigmoid_beside_the_logit(names):
    maps = explained(names, "multi_label_classification")
    assert [m.label for m in maps] == names
    for m in maps:
        assert m.meta["probability"] == pytest.approx(torch.sigmoid(torch.tensor(m.meta["score"])).item(), abs=1e-6)
        words = f"{m.label}, {percent(m.meta['probability'])} by sigmoid, logit {m.meta['score']:.2f}  "
        assert f"{words}[{m.meta['method']} at " in str(maps)
        assert any(line.endswith(f"{words}({m.meta['method']})") for line in lines_of(maps))


def test_classes_that_exclude_each_other_have_their_share_of_the_softmax_beside_the_logit():
    maps = explained(["cat", "dog", "bus"], "single_label_classification")
    shares = torch.tensor([m.meta["score"] for m in maps]).softmax(0).tolist()
    for name, m, share in zip(["cat", "dog", "bus"], maps, shares, strict=True):
        words = f"{name} {percent(share)} by softmax, logit {m.meta['score']:.2f}  "
        assert f"{words}[{m.meta['method']} at " in str(maps)
        assert any(line.endswith(f"{words}({m.meta['method']})") for line in lines_of(maps))


def test_a_model_that_does_not_say_how_it_was_trained_claims_no_probability():
    maps = explained(["cat", "dog", "bus"], None)
    assert "logit" not in str(maps)
    assert not {"probability", "activation"} & set(maps[0].meta)


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_logits_and_embedding_are_the_models_own(family):
    view = small(family)
    assert isinstance(view, View)
    inputs = view.prepare([picture(), picture(120, 100, 1)])
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
        interpolate = {"interpolate_pos_encoding": True} if family in ("vit", "deit", "siglip", "clip") else {}
        own = view.model(pixel_values=inputs.tensor, **interpolate).logits
    assert torch.equal(found.logits, own)
    assert tuple(found.names) == tuple(f"LABEL_{i}" for i in range(5))
    heads = [m for n, m in view.model.named_modules() if "classifier" in n and isinstance(m, torch.nn.Linear)]
    assert found.embedding is not None
    if len(heads) == 1:
        assert torch.allclose(heads[0](found.embedding), own, atol=1e-5)
    else:
        assert found.embedding.shape == (2, 32)


@pytest.mark.parametrize(
    "family",
    [
        *FIRST,
        "clip_pair",
        "segformer",
        *wide(f for f in (*CLASSIFIERS, *ENCODERS[:2], "siglip_pair") if f not in FIRST),
    ],
)
def test_the_chosen_layer_has_gradient_in_every_cell(family):
    view = small(family) if family != "segformer" else view_of(family)
    choice = view.auto_layers()
    assert choice.layers == (LAYER[family],)
    assert len(choice.reason.split()) > 5
    inputs = view.prepare([picture(), picture(120, 100, 1)])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, list(choice.layers)))
    scores = view.find(recording.raw, inputs).logits.flatten(2 if family == "segformer" else 1).float()
    scores = scores[:, 1].mean(1) if family == "segformer" else scores[:, 1]
    (gradient,) = recording.gradients(scores, torch.arange(2))
    cells = view.layout(choice.layers[0], gradient, inputs).to_grid(gradient)
    assert bool((cells != 0).any(1).all())


@pytest.mark.parametrize(
    "family", [*FIRST, "clip_pair", "segformer", *wide(f for f in (*CLASSIFIERS, "dinov3") if f not in FIRST)]
)
def test_a_bright_block_moves_the_cell_that_the_frame_says(family):
    view = view_of(family, size=128 if family in ("convnext", "resnet") else (96, 128))
    # a token too many or too few in front would move a transformer's map by one cell; in the others windows and
    # filters with random weights answer to the block's surroundings too
    near = 0.4 if family in PREFIX or family == "clip_pair" else 1.1
    for centre in ((80, 90), (130, 60)):
        assert max(hit(view, LAYER[family], centre)) <= near


def test_the_last_blocks_output_has_no_gradient_in_its_patches():
    """Why the layer in front is chosen: class-token pooling reads nothing else of the last block."""
    view = small("vit")
    inputs = view.prepare([picture()])
    recording = record(view.model, lambda: view.run(inputs), resolve(view.model, ["vit.layers.1"]))
    (gradient,) = recording.gradients(view.find(recording.raw, inputs).logits[:, 0], torch.arange(1))
    assert float(view.layout("vit.layers.1", gradient, inputs).to_grid(gradient).abs().max()) == 0


@pytest.mark.parametrize("family", PREFIX)
def test_tokens_in_front_are_what_the_model_adds(family):
    view = small(family)
    inputs = view.prepare([picture()])
    layout = view.layout(LAYER[family], torch.zeros(1, 24 + PREFIX[family], 32), inputs)
    assert (layout.order, layout.prefix, layout.grid, layout.stride) == ("tokens", PREFIX[family], (4, 6), (16, 16))
    with pytest.raises(LayerError, match="25" if PREFIX[family] != 1 else "26"):
        view.layout(LAYER[family], torch.zeros(1, 25 + (PREFIX[family] == 1), 32), inputs)


def test_a_remainder_of_a_patch_is_not_seen():
    view = view_of("dinov2", size=(70, 100))
    grid, frame = activation(view, LAYER["dinov2"], view.prepare([picture(70, 100)]))
    assert grid.shape[2:] == (4, 6)
    corner = frame[0].points_to_source(torch.tensor([[6.0, 4.0]], dtype=torch.float64))[0]
    assert corner.tolist() == pytest.approx([96, 64])


def test_swin_cells_that_were_padded_lie_outside_of_the_picture():
    view = view_of("swin", size=(62, 90), processor=hf.ViTImageProcessor())
    inputs = view.prepare([picture(62, 90)])
    for layer, grid, stride in (("swin.encoder.layers.0.blocks.0", (16, 23), 4), ("swin.layernorm", (8, 12), 8)):
        values, frame = activation(view, layer, inputs)
        assert tuple(values.shape[2:]) == grid == frame.size
        corner = frame[0].points_to_source(torch.tensor([[float(grid[1]), float(grid[0])]], dtype=torch.float64))[0]
        assert corner.tolist() == pytest.approx([grid[1] * stride, grid[0] * stride])


@pytest.mark.parametrize(
    ("family", "layer"),
    [
        ("clip_pair", "text_model.encoder.layers.0"),
        ("vit", "classifier"),
        ("swin", "swin.encoder.layers.0.blocks.0.attention"),
    ],
)
def test_layers_that_are_no_grid_are_refused(family, layer):
    view = small(family)
    inputs = view.prepare([picture()])
    with pytest.raises((LayerError, ShapeError)):
        activation(view, layer, inputs)


@pytest.mark.parametrize("family", ["vit", "swin", "resnet", "clip_pair", "segformer"])
def test_nothing_in_the_model_changes(family):
    model = make(family).train()
    with torch.no_grad():  # transformers puts hooks of its own into some models when they first run
        (model.get_image_features if "pair" in family else model)(torch.zeros(1, 3, 64, 64))
    before = copy.deepcopy(model.state_dict())
    flags = {n: (m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in model.named_modules()}
    view = view_of(family, model=model) if family == "segformer" else small(family, model=model)
    found = attribute(view, view.prepare([picture()]), methods=[hirescam])
    assert float(found.maps[0].values.abs().max()) > 0
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert {
        n: (m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in model.named_modules()
    } == flags
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("family", ["vit", "swin", "convnext", "dinov2_registers", "dinov3", "clip_pair"])
def test_bfloat16(family):
    view = small(family, model=make(family).to(torch.bfloat16))
    inputs = view.prepare([picture()])
    assert inputs.tensor.dtype == torch.bfloat16
    found = attribute(view, inputs, methods=[hirescam])
    assert bool(found.maps[0].values.isfinite().all())
    assert float(found.maps[0].values.abs().max()) > 0


@pytest.mark.parametrize("family", ["clip_pair", "siglip_pair"])
def test_texts_are_classes(family):
    view = view_of(family)
    pictures = [picture(), picture(120, 100, 1)]
    inputs = view.prepare(pictures)
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
        padding = "max_length" if family == "siglip_pair" else True
        own = view.model(**processor(family)(images=pictures, text=TEXTS[family], return_tensors="pt", padding=padding))
    assert torch.equal(found.logits, own.logits_per_image)
    assert torch.equal(found.embedding, own.image_embeds)
    assert tuple(found.names) == ("cat", "a dog")
    assert float((found.logits[:, 0] - found.logits[:, 1]).abs().min()) > 1e-3  # the texts are told apart


@pytest.mark.parametrize(
    ("family", "width"), [("clip_pair", 24), ("siglip_pair", 32), ("dinov3", 32), ("dinov3_convnext", 32)]
)
def test_without_classes_the_embedding_is_the_answer(family, width):
    view = view_of(family, classes=None)
    inputs = view.prepare([picture()])
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
        own = view.model.get_image_features(inputs.tensor) if "pair" in family else view.model(inputs.tensor)
    assert found.logits.shape == (1, width)
    assert torch.equal(found.embedding, own.pooler_output.flatten(1))
    assert len(found.names) == width


def test_segmentation_is_the_packages_own():
    view = view_of("segformer")
    pictures = [picture(120, 160), picture(90, 150, 1)]
    inputs = view.prepare(pictures)
    with torch.no_grad():
        raw = view.model(inputs.tensor)
        found = view.find(view.run(inputs), inputs)
    own = processor("segformer").post_process_semantic_segmentation(raw, target_sizes=[(96, 128)] * 2)
    assert torch.equal(found.logits.argmax(1), torch.stack(own))
    assert len(torch.stack(own).unique()) > 1
    for layer, grid in (
        ("segformer.stages.0.blocks.0", (24, 32)),
        ("segformer.stages.1.layer_norm", (12, 16)),
        ("segformer.stages.3", (3, 4)),
    ):
        assert tuple(activation(view, layer, inputs)[0].shape[2:]) == grid


def test_a_segmenter_of_one_channel_is_explained_where_its_logit_is_above_0():
    torch.manual_seed(0)
    config = hf.SegformerConfig(
        hidden_sizes=[8, 16, 16, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        num_labels=1,
    )
    view = wrap(hf.SegformerForSemanticSegmentation(config).eval(), processor=processor("segformer"))
    assert_one_channel(view, view.prepare([picture(96, 128)]), view.model.decode_head.classifier.bias)


def test_names_and_what_is_refused():
    assert tuple(view_of("vit", names=list("abcde")).names) == tuple("abcde")
    assert "default ViTImageProcessor" in view_of("vit").name
    assert "default" not in view_of("vit", processor=hf.ViTImageProcessor()).name
    with pytest.raises(OptionError, match="2 class names were given for the 5"):
        view_of("vit", names=["a", "b"])
    with pytest.raises(OptionError, match="takes no others"):
        view_of("vit", classes=["a"])
    with pytest.raises(OptionError, match="confidence is for detectors"):
        view_of("vit", confidence=0.3)
    with pytest.raises(AdapterError, match="another job"):
        wrap(
            hf.ViTForMaskedImageModeling(
                hf.ViTConfig(
                    hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32
                )
            )
        )
    with pytest.raises(AdapterError, match="no tokeniser"):
        wrap(make("clip_pair"), classes=["a"], processor=hf.CLIPImageProcessor())


def test_an_input_that_the_model_cannot_read_is_named():
    view = view_of("vit")
    inputs = view.prepare([picture()])
    bad = replace(inputs, tensor=inputs.tensor[:, :1], blank=None)
    with pytest.raises(AdapterError, match="does not take an input of"):
        view.run(bad)
