"""Tensors that a model eats as they are, lists of pictures, and several inputs: one explanation a picture, drawn on the right one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from isotherm import ClassLogit, Explanation, explain, explain_many, open_model
from isotherm.errors import InputError, OptionError, TargetError
from isotherm.feeding import drawn

SQUARE = slice(8, 24), slice(40, 56)
"""Rows and columns of what is bright."""


def network(channels: int, outputs: int = 3) -> nn.Module:
    """A classifier whose logits grow with the brightness of what it sees."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.AvgPool2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs)
    )  # fmt: skip
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    return net.eval()


def bright(channels: int, rows: int = 1) -> torch.Tensor:
    x = torch.zeros(rows, channels, 64, 64)
    x[(..., *SQUARE)] = 1.0
    return x


def strongest(heatmap) -> tuple[float, float]:
    row, column = np.unravel_index(int(heatmap.values.argmax()), heatmap.values.shape)
    (point,) = heatmap.frame.points_to_source(torch.tensor([[column + 0.5, row + 0.5]], dtype=torch.float64))
    return float(point[0]), float(point[1])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 12])
def test_a_tensor_of_any_number_of_channels_is_fed_as_it_is(channels):
    net, x = network(channels), bright(channels)
    maps = explain(net, x, target=2)
    assert isinstance(maps, Explanation)
    assert maps[0].meta["score"] == pytest.approx(float(net(x)[0, 2].detach()), abs=1e-5)
    x0, y0 = strongest(maps[0])
    assert 36 <= x0 <= 60
    assert 4 <= y0 <= 28
    assert f"input: a tensor (1, {channels}, 64, 64), as given" in maps.chosen
    assert sum(line.startswith("input: ") for line in maps.chosen) == 1
    assert maps[0].picture.shape == (64, 64, 3)
    assert maps[0].picture[10, 48].min() == 255


def test_a_batch_gives_one_explanation_a_picture_and_those_of_its_rows():
    net, x = network(12), torch.rand(3, 12, 64, 64, generator=torch.Generator().manual_seed(1))
    several = explain(net, x, target=1, trust="off")
    assert [one.name for one in several] == ["picture 0", "picture 1", "picture 2"]
    for i, one in enumerate(several):
        alone = explain(net, x[i : i + 1], target=1, trust="off")
        assert np.allclose(one[0].values, alone[0].values, atol=1e-5)
    many = list(explain_many(net, x.numpy(), target=1, trust="off", batch=2))
    assert [np.allclose(a[0].values, b[0].values, atol=1e-5) for a, b in zip(several, many, strict=True)] == [True] * 3


def test_a_model_of_a_package_eats_tensors_too_as_the_model_itself_does():
    torch.manual_seed(0)
    net, x = resnet18(num_classes=5).eval(), torch.randn(2, 3, 96, 64)
    several = explain(net, x, target=3, trust="off")
    for i, one in enumerate(several):
        assert one[0].meta["score"] == pytest.approx(float(net(x)[i, 3].detach()), abs=1e-4)
        assert one[0].frame.source_size.tolist() == [96, 64]
    view = open_model(net)
    assert len(explain(view, x, target=3, trust="off")) == 2


def test_a_tensor_is_drawn_on_the_picture_that_is_given():
    net, x = network(12), bright(12)
    picture = np.full((128, 256, 3), 90, np.uint8)
    maps = explain(net, x, target=2, trust="off", picture=picture)
    assert maps[0].picture.shape == (128, 256, 3)
    x0, y0 = strongest(maps[0])
    assert 4 * 36 <= x0 <= 4 * 60
    assert 2 * 4 <= y0 <= 2 * 28
    with pytest.raises(InputError, match=r"picture= has 1 picture\(s\) for a tensor of 2 rows"):
        explain(net, bright(12, 2), target=2, picture=picture)
    with pytest.raises(OptionError, match="picture= says how a tensor"):
        explain(network(3), picture, picture=picture)


def test_the_channels_that_are_drawn_are_an_option_and_told():
    x = bright(12)
    x[0, 7] = 5.0
    maps = explain(network(12), x, target=2, trust="off", channels=(7, 7, 0))
    assert maps[0].picture[0, 0].tolist() == [255, 255, 0]
    assert "drawn: channels 7, 7, 0 of 12, from their least to their largest value" in maps.notes
    assert any("drawn: channels 0, 1, 2 of 12" in note for note in explain(network(12), x, trust="off").notes)
    assert drawn(torch.zeros(2, 4, 5))[1].startswith("drawn: channel 0 of 2")
    for wrong in (12, (0, 1), (0, 1, 12)):
        with pytest.raises(OptionError, match="expected one or three of the 12 channels"):
            explain(network(12), x, channels=wrong)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_models_eat_what_is_brought_to_their_type(dtype):
    net, x = network(4).to(dtype), bright(4)
    maps = explain(net, x, target=2, trust="off")
    assert maps[0].meta["score"] == pytest.approx(float(network(4)(x)[0, 2].detach()), rel=0.02)
    assert 36 <= strongest(maps[0])[0] <= 60


def test_a_list_of_pictures_of_different_sizes_is_one_explanation_each():
    pictures = [np.full((40, 60, 3), 200, np.uint8), np.full((90, 50, 3), 200, np.uint8)]
    several = explain(network(3), pictures, size=64, trust="off")
    assert [one[0].frame.source_size.tolist() for one in several] == [[40, 60], [90, 50]]
    only = explain(network(3), pictures[:1], size=64, trust="off")
    assert isinstance(only, Explanation)


def test_a_picture_for_a_model_that_was_opened_for_tensors_is_refused_with_what_to_do():
    view = open_model(network(12), example=bright(12))
    with pytest.raises(InputError, match=r"opened for tensors \(b, 12, 64, 64\), as they are, and a picture was given"):
        explain(view, np.zeros((64, 64, 3), np.uint8))


def test_a_model_that_prepares_pictures_by_itself_takes_no_tensors():
    with pytest.raises(InputError, match=r"a tensor \(1, 3, 64, 64\) was given, but .* prepares its input by itself"):
        explain("detector", bright(3))


class Siamese(nn.Module):
    """How alike two pictures are, by one body that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network(3)[:4]

    def forward(self, left, right):
        return (self.body(left) * self.body(right)).sum((1, 2, 3))


@pytest.mark.parametrize("over", [0, 1])
def test_of_two_inputs_the_one_that_is_asked_about_is_explained_at_its_own_call(over):
    left, right = bright(3), bright(3).flip(-1) + 0.3
    maps = explain(
        Siamese().eval(), (left, right), forward=lambda m, a, b: m(a, b), target=lambda out: out, over=over, trust="off"
    )
    assert maps[0].meta["layer"] == f"body@{over}"
    assert maps[0].meta["score"] == pytest.approx(float(Siamese()(left, right).detach()), rel=1e-4)
    assert f"the map lies over input {over} of 2; over= chooses another" in maps.notes
    assert maps[0].picture[10, 48].min() == (255 if over == 0 else maps[0].picture.min())


def test_two_pictures_are_prepared_and_a_table_goes_beside_one():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = network(3)[:4]

        def forward(self, picture, other, *, table=None):
            weight = other.mean((1, 2, 3)) if table is None else table.sum(1)
            return self.body(picture).mean((2, 3)) * weight[:, None]

    picture = np.zeros((64, 64, 3), np.uint8)
    picture[SQUARE] = 255
    two = explain(Both().eval(), (picture, picture), size=64, mean=(0.0,) * 3, std=(1.0,) * 3, target=1)
    assert two.trust[0] is not None
    assert 36 <= strongest(two[0])[0] <= 60
    table = explain(
        Both().eval(),
        (picture, torch.rand(1, 5)),
        forward=lambda m, a, t: m(a, None, table=t),
        size=64,
        target=1,
        trust="off",
    )
    assert 36 <= strongest(table[0])[0] <= 60


@pytest.mark.parametrize(
    ("image", "options", "error", "message"),
    [
        ((bright(3), bright(3)), {"over": 2}, OptionError, r"over is 2; it is which of the 2 input\(s\)"),
        ((bright(3), bright(3)), {"forward": 3}, OptionError, "forward is 3; expected a function"),
        ((bright(3, 2), bright(3, 2)), {"target": 0}, InputError, "input 0 has 2 rows; give several inputs for one picture at a time"),
    ],
)  # fmt: skip
def test_several_inputs_that_are_none_are_refused(image, options, error, message):
    with pytest.raises(error, match=message):
        explain(Siamese().eval(), image, **options)


@pytest.mark.parametrize("as_tensor", [False, True])
def test_a_list_of_targets_is_one_for_each_picture_which_the_check_judges_by_itself(as_tensor):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6)).eval()
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 255, (32, 32, 3), dtype=np.uint8) for _ in range(3)]
    images = torch.randn(3, 3, 32, 32) if as_tensor else pictures
    options = {"seed": 3} if as_tensor else {"seed": 3, "size": 32}
    targets = [5, ClassLogit(2), lambda out: out[:, 0]]
    several = explain(net, images, target=targets, **options)
    assert [len(one) for one in several] == [1, 1, 1]
    assert [one[0].label.split()[-1] for one in several] == ["5", "2", "score"]
    for i, target in enumerate(targets):
        alone = explain(net, images[i : i + 1] if as_tensor else images[i], target=target, **options)
        assert torch.equal(several[i][0].values, alone[0].values)
        assert several[i].trust_lines == alone.trust_lines
    both = explain(net, images, target=(5, 2), trust="off", **options)
    assert [[m.label.split()[-1] for m in one] for one in both] == [["5", "2"]] * 3


@pytest.mark.parametrize("target", [[1], [1, 2, 3, 4]])
def test_a_list_of_targets_that_is_not_one_for_each_picture_is_refused(target):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6)).eval()
    with pytest.raises(TargetError, match=rf"a list of {len(target)} for 3 pictures; .* are a tuple, such as \("):
        explain(net, torch.randn(3, 3, 32, 32), target=target)
