"""A user's own transform: called as it wants to be, its geometry measured, and refused where it has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

import isotherm
from isotherm.errors import InputError, OptionError
from isotherm.models.shared.own_transform import OwnTransform
from isotherm.models.shared.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess

FLOATS = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)])
PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


class Net(nn.Module):
    """A classifier of one's own that is told nothing of its input."""

    def __init__(self, channels=3, k=5):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, k)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def test_torchvisions_evaluation_is_measured_as_it_is_declared():
    own = OwnTransform(v2.Compose([v2.Resize(72), v2.CenterCrop(64), FLOATS]))
    ours = Preprocess(size=(64, 64), resize=(72, 72))
    tensor, frame = own.one(PICTURE)
    expected, declared = ours.one(PICTURE)
    assert torch.allclose(tensor, expected, atol=1e-6)
    torch.testing.assert_close(frame.to_source, declared.to_source, atol=0.01, rtol=0)
    assert (frame.size, frame.source_size.tolist()) == ((64, 64), [120, 160])
    assert own.size == (64, 64)
    assert (own.mean, own.std) == (IMAGENET_MEAN, IMAGENET_STD)


WAYS = {
    "pil": (v2.Compose([v2.Resize((32, 32)), FLOATS]), "a PIL picture"),
    "array": (lambda a: (a[::2, ::2] / 255).astype(np.float32), "an array (H, W, 3)"),
    "tensor": (v2.Compose([v2.ToDtype(torch.float32, scale=True), lambda t: t[:, ::2, ::2] + 0 * t.sum()]), "a tensor"),
}


@pytest.mark.parametrize("kind", WAYS)
def test_it_is_called_with_what_it_takes(kind):
    transform, way = WAYS[kind]
    own = OwnTransform(transform)
    inputs = own.batch([PICTURE, PICTURE])
    assert inputs.tensor.shape[:2] == (2, 3)
    assert way in own.words


def test_albumentations_like_transforms_get_their_keyword():
    class Like:
        __module__ = "albumentations.core"

        def __call__(self, *, image):
            return {"image": (image[10:, 20:] / 255).astype(np.float32)}

    _, frame = OwnTransform(Like()).one(PICTURE)
    expected = torch.tensor([[1.0, 0.0, 20.0], [0.0, 1.0, 10.0]], dtype=torch.float64)
    torch.testing.assert_close(frame.to_source, expected, atol=0.01, rtol=0)


def test_image_processors_of_transformers():
    from transformers import ViTImageProcessor

    own = OwnTransform(ViTImageProcessor(size={"height": 48, "width": 48}))
    _, frame = own.one(PICTURE)
    expected = torch.tensor([[160 / 48, 0.0, 0.0], [0.0, 120 / 48, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(frame.to_source, expected, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (v2.Compose([v2.RandomHorizontalFlip(0.5), FLOATS]), "is random"),
        (v2.Compose([v2.RandomResizedCrop(32), FLOATS]), "is random"),
        (lambda p: FLOATS(p) + torch.from_numpy(np.random.default_rng().random((120, 160), np.float32)), "is random"),
        (v2.Compose([v2.FiveCrop(32), lambda crops: torch.stack([FLOATS(c) for c in crops])]), "gives 5 inputs"),
        (v2.Resize(32), "ToDtype"),
        (v2.ToImage(), "expected floats"),
        (lambda p: torch.zeros(3, 8, 8), "does not depend"),
        (lambda p: FLOATS(p)[0], "expected .c, h, w."),
    ],
)
def test_what_has_no_place_is_refused(transform, words):
    with pytest.raises(InputError, match=words):
        OwnTransform(transform).one(PICTURE)


def test_a_failure_is_told_in_the_words_of_the_transform():
    def fails(picture):
        raise KeyError("no calibration")

    with pytest.raises(InputError, match=r"KeyError: 'no calibration'.*an array"):
        OwnTransform(fails).one(PICTURE)


def test_other_options_of_the_input_contradict_it():
    with pytest.raises(OptionError, match="size="):
        isotherm.open_model(Net(), preprocess=FLOATS, size=64)
    with pytest.raises(OptionError, match="callable"):
        isotherm.open_model(Net(), preprocess="resize")


def test_maps_lie_where_the_transform_has_taken_them():
    """A crop of a corner: the map speaks of that corner of the picture, at its scale."""
    transform = v2.Compose([lambda p: v2.functional.crop(p, 60, 100, 48, 48), v2.Resize((96, 96)), FLOATS])
    (heatmap,) = isotherm.explain(Net(), PICTURE, preprocess=transform, target=2, trust="off")
    corners = heatmap.frame.points_to_source(
        torch.tensor([[0.0, 0.0], [float(heatmap.frame.size[1]), float(heatmap.frame.size[0])]])
    )
    assert corners[0].tolist() == pytest.approx([100, 60], abs=2.1)
    assert corners[1].tolist() == pytest.approx([148, 108], abs=2.1)


def test_one_channel_and_different_pictures():
    grey = v2.Compose([v2.Grayscale(), v2.Resize(40), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    view = isotherm.open_model(Net(channels=1), preprocess=grey)
    assert view.prepare([PICTURE]).tensor.shape == (1, 1, 40, 53)
    assert "as measured, as given" in " ".join(map(str, view.premises))
    with pytest.raises(InputError, match="2 sizes"):
        view.prepare([PICTURE, np.array(Image.fromarray(PICTURE).resize((50, 50)))])


def test_timms_models_take_it_too():
    timm = pytest.importorskip("timm")
    model = timm.create_model("resnet10t", num_classes=4)
    view = isotherm.open_model(model, preprocess=v2.Compose([v2.Resize((64, 96)), FLOATS]))
    assert view.prepare([PICTURE]).tensor.shape == (1, 3, 64, 96)
    fixed = timm.create_model("vit_tiny_patch16_224", num_classes=4)
    with pytest.raises(OptionError, match="reads 224 x 224"):
        isotherm.open_model(fixed, preprocess=v2.Compose([v2.Resize((64, 96)), FLOATS]))


def test_a_mean_of_zero_is_told_without_a_sign():
    def halves(picture):
        return torch.from_numpy(np.array(picture)[::2, ::2].astype(np.float32) / 255).movedim(2, 0)

    own = OwnTransform(halves)
    assert "mean 0 0 0, std 1 1 1 as measured" in own.words
    assert "-0" not in own.words
