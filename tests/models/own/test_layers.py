"""The layer of a module of one's own: a transformer inside of it is seen, and its tokens may be described."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from isotherm import explain, open_model
from isotherm.errors import InputError, LayerError, OptionError

PICTURE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)


class OwnTransformer(nn.Module):
    """Patches of 16 pixels, a class token in front, torch's own encoder layers; nothing declares the grid."""

    def __init__(self, mixed: bool = False) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True) for _ in range(3)
        )
        self.head = nn.Linear(16, 4)
        self.mixed = mixed

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        if self.mixed:  # cells in an order that no square can be followed in
            x = x[:, torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(1))]
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


class Holder(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.fc = nn.Linear(48, 3)

    def forward(self, x):
        return {"answer": self.fc(self.body(x))}


def small_vit(**options):
    return timm.create_model(
        "vit_tiny_patch16_224", embed_dim=48, depth=3, num_heads=2, num_classes=0, img_size=64, **options
    )


def test_a_transformer_of_ones_own_is_explained_behind_attention():
    torch.manual_seed(0)
    view = open_model(OwnTransformer().eval(), size=(64, 96))
    choice = view.auto_layers()
    assert choice.layers[0].startswith("blocks.")
    assert "CAUTION" not in choice.reason
    (heatmap,) = explain(view, PICTURE, trust="off")
    assert heatmap.frame.size == (4, 6)


def test_a_transformer_inside_a_module_with_any_output_is_explained_behind_attention():
    torch.manual_seed(0)
    net = Holder(small_vit()).eval()
    maps = explain(net, PICTURE, size=64, target=lambda out: out["answer"][:, 1], trust="off")
    assert maps[0].meta["layer"].startswith("body.blocks.")
    assert maps[0].frame.size == (4, 4)


@pytest.mark.parametrize("layer", ["body.blocks.1", "body.blocks.0", "body.blocks.1.norm1"])
def test_a_block_of_a_transformer_inside_a_module_is_explained_by_its_name(layer):
    torch.manual_seed(0)
    net = Holder(small_vit()).eval()
    maps = explain(net, PICTURE, size=64, target=lambda out: out["answer"][:, 1], layers=layer, trust="off")
    (heatmap,) = maps
    assert (heatmap.meta["layer"], heatmap.frame.size) == (layer, (4, 4))


def test_a_block_is_found_by_its_name_in_the_wrapper_that_was_taken_off():
    """Names are copied from ``named_modules()`` of what the user holds."""
    torch.manual_seed(0)
    net = nn.DataParallel(
        timm.create_model("vit_tiny_patch16_224", embed_dim=48, depth=2, num_heads=2, img_size=64).eval()
    )
    name = next(name for name, _ in net.named_modules() if name.endswith("blocks.1.norm1"))
    assert name == "module.blocks.1.norm1"
    (heatmap,) = explain(net, PICTURE, size=64, layers=name, trust="off")
    assert (heatmap.meta["layer"], heatmap.frame.size) == ("blocks.1.norm1", (4, 4))
    with pytest.raises(LayerError, match="there is no layer 'module'"):
        explain(net, PICTURE, size=64, layers="module", trust="off")


def test_any_layer_can_be_named_and_its_tokens_described():
    torch.manual_seed(0)
    net = OwnTransformer(mixed=True).eval()
    with pytest.raises(LayerError, match=r"25 tokens|a sequence of tokens") as caught:
        explain(net, PICTURE, size=(64, 96), layers="blocks.1", trust="off")
    assert "grid=" in str(caught.value)
    (heatmap,) = explain(net, PICTURE, size=(64, 96), layers="blocks.1", trust="off", grid=(4, 6), prefix=1)
    assert heatmap.frame.size == (4, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefix": 1}, "prefix= is how many tokens stand in front of a grid; give grid="),
        ({"grid": (4, 6), "prefix": -1}, "prefix is -1; expected how many tokens"),
        ({"grid": (4,)}, r"expected one side or \(h, w\)|grid"),
    ],
)  # fmt: skip
def test_numbers_that_describe_no_tokens_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        open_model(OwnTransformer().eval(), size=(64, 96), **options)


class Levels(nn.Module):
    """A body that puts out two maps beside each other, as HRNet does."""

    def __init__(self, form) -> None:
        super().__init__()
        self.fine, self.coarse, self.form = nn.Conv2d(3, 4, 3, 4, 1), nn.Conv2d(4, 4, 3, 2, 1), form

    def forward(self, x):
        fine = self.fine(x)
        return self.form([fine, self.coarse(fine)])


@pytest.mark.parametrize("form", [list, tuple], ids=["list", "tuple"])
def test_a_layer_that_puts_out_several_maps_says_which_is_explained(form):
    torch.manual_seed(0)
    net = nn.ModuleDict({"body": Levels(form)})
    net.forward = lambda x: sum(level.mean((2, 3)) for level in net["body"](x))
    maps = explain(net.eval(), PICTURE, size=64, layers="body", trust="off")
    assert maps[0].frame.size == (16, 16)
    assert any(note.startswith("layer body puts out 2 maps, and what is explained is the first") for note in maps.notes)
    inside = explain(net, PICTURE, size=64, layers="body.coarse", trust="off")
    assert inside[0].frame.size == (8, 8)
    assert not any("maps" in note for note in inside.notes)


class Beside(nn.Module):
    """A body that puts out a vector and a map, as those with an auxiliary head do."""

    def __init__(self, form) -> None:
        super().__init__()
        self.map, self.form = nn.Conv2d(3, 4, 3, 4, 1), form

    def forward(self, x):
        features = self.map(x)
        return self.form(features.mean((2, 3)), features)


@pytest.mark.parametrize(
    "form",
    [
        lambda vector, features: (vector, features),
        lambda vector, features: [vector, features],
        lambda vector, features: {"aux": vector, "features": features},
    ],
    ids=["tuple", "list", "dict"],
)
def test_of_a_vector_and_a_map_the_map_is_explained_and_it_is_said(form):
    torch.manual_seed(0)
    net = nn.ModuleDict({"body": Beside(form)})

    def forward(x):
        out = net["body"](x)
        vector, features = out.values() if isinstance(out, dict) else out
        return vector + features.amax((2, 3))

    net.forward = forward
    maps = explain(net.eval(), PICTURE, size=64, layers="body", trust="off")
    inside = explain(net, PICTURE, size=64, layers="body.map", trust="off")
    assert maps[0].frame.size == inside[0].frame.size == (16, 16)
    assert maps[0].values.any()
    line = "layer body puts out 2 tensors, and what is explained is number 2, the first that may be a grid"
    assert line in maps.notes


def test_a_picture_of_a_network_of_clips_is_refused_with_what_works():
    net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    with pytest.raises(InputError, match=r"goes as \[picture\]"):
        explain(net, PICTURE, size=64)
    assert len(explain(net, [PICTURE], size=64, trust="off")[0].moments) == 16

    def still(x):
        return net(x[:, :, None].expand(-1, -1, 8, -1, -1))

    maps = explain(still, PICTURE, size=64, method="occlusion", trust="off")
    assert maps[0].frame.source_size.tolist() == list(PICTURE.shape[:2])
