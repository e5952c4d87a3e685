"""NaN and infinity between a picture and its map: the picture fails, and the message says where the first one arises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from isotherm import Contrast, TopK, explain, explain_many
from isotherm.cam.methods import ALL, RISE, Occlusion, make_gradcampp
from isotherm.cam.origin import backward_origin, forward_origin, is_finite
from isotherm.errors import NonFiniteError, TargetError
from rigs.tiny_views import TinyClassifier, TinyDetector, TinyNet

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
NAN, INF = torch.nan, torch.inf


def damaged(name: str, value: float, view=None):
    """A view one of whose weights is set to a value."""
    torch.manual_seed(0)
    view = (view or TinyClassifier)()
    with torch.no_grad():
        dict(view.model.named_parameters())[name].view(-1)[0] = value
    return view


class Typed(TinyClassifier):
    """Inputs of the model's own type."""

    def prepare(self, pictures):
        inputs = super().prepare(pictures)
        return inputs.with_tensor(inputs.tensor.to(next(self.model.parameters()).dtype))


class Scaled(TinyNet):
    """The features times ``up``, and the answer divided by ``down``: what is large in between need not show at the end."""

    def __init__(self, up: float = 1.0, down: float = 1.0):
        super().__init__()
        self.up, self.down = up, down

    def forward(self, x):
        features = torch.relu(self.second(torch.relu(self.first(x)))) + 0.1
        return self.head((features * self.up).mean((2, 3))) / self.down


def why(view, image=PICTURE, **options) -> NonFiniteError:
    with pytest.raises(NonFiniteError) as caught:
        explain(view, image, **{"trust": "off", **options})
    return caught.value


@pytest.mark.parametrize("trust", ["off", "fast"])
@pytest.mark.parametrize(
    ("weight", "value", "layer", "holds"),
    [
        ("second.weight", NAN, "second", "weight holds NaN (1 of 270 values)"),
        ("head.bias", INF, "head", "bias holds infinity (1 of 4 values)"),
        ("first.bias", -INF, "first", "holds infinity"),
    ],
)
def test_the_layer_whose_weights_are_broken_is_named(weight, value, layer, holds, trust):
    error = why(
        damaged(weight, value),
        trust=trust,
        method="gradcam" if layer != "first" else "eigencam",
        layers="first" if layer == "first" else "auto",
    )
    assert error.layer == layer
    assert holds in str(error)
    assert "load them anew" in str(error)
    assert "evidence" not in str(error)


@pytest.mark.parametrize("method", [m for m in ALL if m not in ("rollout", "legrad", "legrad_final")])
def test_no_method_makes_a_map_of_a_layer_with_nan(method):
    """FinerCAM compares classes, so there are two everywhere."""
    error = why(damaged("second.weight", NAN), method=method, target=TopK(2))
    assert error.layer == "second"


@pytest.mark.parametrize(
    "method",
    [
        "hirescam",
        "gradcam",
        "gradcampp",
        "layercam",
        "eigencam",
        "eigengradcam",
        "kpcacam",
        "scorecam",
        "elementwisecam",
    ],
)
def test_nor_of_an_infinite_layer_that_the_score_does_not_show(method):
    """Squashed behind the layer, infinity is a finite score."""

    class Squashed(TinyNet):
        def forward(self, x):
            return self.head(torch.sigmoid(self.second(torch.relu(self.first(x)))).mean((2, 3)))

    error = why(damaged("second.bias", INF, lambda: TinyClassifier(Squashed())), method=method, target="cat")
    assert error.layer == "second"
    assert "bias holds infinity" in str(error)


def test_half_precision_overflows_with_finite_weights():
    view = Typed(Scaled(up=1e6).half())
    error = why(view)
    assert "between layer second (Conv2d) and layer head (Linear)" in str(error)
    assert "float16 holds nothing above 65504" in str(error)
    assert "bfloat16" in error.advice
    assert "--dtype bfloat16" in error.on_command_line()
    assert "--dtype" not in str(error)
    assert len(explain(Typed(Scaled(up=1e6).bfloat16()), PICTURE, trust="off")) == 1
    assert len(explain(Typed(Scaled(up=1e6)), PICTURE, trust="off")) == 1


def test_single_precision_overflows_too():
    error = why(TinyClassifier(Scaled(up=1e38, down=1e-3)))
    assert "infinity" in str(error)
    assert "in float32" in str(error)


def test_a_gradient_that_overflows_on_its_way_back():
    """The score is 0 because a step of slope 1e5 stands where it is 0, and half precision holds no gradient of 1e5 times 6."""

    class Steep(TinyNet):
        def forward(self, x):
            f = torch.relu(self.second(torch.relu(self.first(x)))) + 0.1
            return (self.head(f.mean((2, 3))) - self.head(f.detach().mean((2, 3)))) * 3e4 * 1e2

    view = Typed(Steep().half())
    error = why(view, target="cat", method="hirescam")
    assert "what every layer puts out is finite, but the gradient on its way back is" in str(error)
    assert "float16 holds nothing above 65504" in str(error)
    assert "bfloat16" in error.advice


def test_the_gradient_is_followed_to_the_layer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    with torch.no_grad():
        model[1].weight.fill_(3e38)
    x = torch.zeros(1, 3)

    def read(tensor):
        out = model[2](model[1](model[0](tensor) * 0))
        return out.sum() * 1e3

    origin = backward_origin(model, x, read)
    assert origin is not None
    assert origin.layer == "0"
    assert "finite at layer 1" in origin.words
    assert backward_origin(model, x, lambda tensor: model[0](tensor).sum()) is None


def test_the_gradient_is_followed_through_a_block_without_gradients_as_the_map_is():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    with torch.no_grad():
        model[1].weight.fill_(3e38)

    def read(tensor):
        with torch.no_grad():
            features = model[1](model[0](tensor) * 0)
        return model[2](features).sum() * 1e3

    origin = backward_origin(model, torch.zeros(1, 3), read)
    assert origin is not None
    assert origin.layer == "0"


@pytest.mark.parametrize("method", ["eigencam", "eigengradcam"])
@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_eigen_maps_of_large_and_of_small_features(method, scale):
    """Their squares are not representable; the direction is that of the plain features."""
    torch.manual_seed(0)
    model = TinyNet()
    plain = explain(TinyClassifier(model), PICTURE, method=method, target="cat", trust="off")[0].values
    with torch.no_grad():
        model.second.weight *= scale
        model.second.bias *= scale
        model.head.weight /= scale
    found = explain(TinyClassifier(model), PICTURE, method=method, target="cat", trust="off")[0].values
    torch.testing.assert_close(found / found.abs().max(), plain / plain.abs().max(), rtol=1e-4, atol=1e-4)


def test_a_masked_picture_without_a_finite_score():
    """The model divides by what the middle of the input holds, and occlusion blanks it."""

    class Divides(TinyNet):
        def forward(self, x):
            return super().forward(x) / (x[:, :, 8, 12] - 0.5).abs().sum(1, keepdim=True)

    error = why(TinyClassifier(Divides()), method=Occlusion(window=8, stride=4), target="cat")
    assert "of the picture itself everything is finite, but not of a changed one" in str(error)
    assert "the map of Occlusion for cat holds infinity" in str(error)
    assert len(explain(TinyClassifier(Divides()), PICTURE, method="hirescam", target="cat", trust="off")) == 1


def test_an_input_that_is_not_finite():
    class Broken(TinyClassifier):
        def prepare(self, pictures):
            inputs = super().prepare(pictures)
            inputs.tensor[-1, 0, 3, 4] = NAN
            return inputs

    error = why(Broken())
    assert "the model's input holds NaN (1 of 1152 values), before any layer has run" in str(error)
    assert error.layer is None
    many = explain_many(Broken(), [PICTURE, PICTURE], titles=["a.png", "b.png"], trust="off")
    with pytest.raises(NonFiniteError, match=r"^b\.png: the model's input"):
        next(many)


def test_the_pictures_of_a_batch_that_fail_are_named():
    class Picky(TinyNet):
        """Divides by the first pixel's blue."""

        def forward(self, x):
            return super().forward(x) / x[:, 2, 0, 0, None].round()

    bright, dark = np.full((16, 24, 3), 255, np.uint8), np.zeros((16, 24, 3), np.uint8)
    many = explain_many(TinyClassifier(Picky()), [bright, dark, bright], titles=["a", "b", "c"], trust="off")
    with pytest.raises(NonFiniteError, match=r"^b: the model's answer is infinity \(\d of 12 values\)") as caught:
        next(many)
    assert caught.value.rows == (1,)


@pytest.mark.parametrize("value", [NAN, INF])
def test_pictures_with_such_pixels_are_refused(value):
    array = np.full((8, 8, 3), 0.5)
    array[2, 3, 1] = value
    with pytest.raises(Exception, match="NaN or infinite"):
        explain(TinyClassifier(), array, trust="off")
    with pytest.raises(Exception, match="NaN or infinite"):
        explain(TinyClassifier(), torch.from_numpy(array).permute(2, 0, 1), trust="off")


def test_a_detector_that_finds_nothing_because_of_nan():
    class Nothing(TinyDetector):
        """Reports what is above its threshold, and NaN never is."""

        def find(self, raw, inputs):
            found = super().find(raw, inputs)
            return found.take(torch.nonzero(found.logits.detach().amax(1) > -100).flatten())

    assert len(explain(damaged("classes.bias", 0.0, Nothing), PICTURE, trust="off")) == 3
    error = why(damaged("classes.bias", NAN, Nothing))
    assert error.layer == "classes"
    assert "what the detector says of its candidates is NaN (24 of 96 values)" in str(error)
    sides = why(damaged("sides.bias", NAN, Nothing))
    assert sides.layer == "sides"
    everything = Nothing()
    with torch.no_grad():
        everything.model.classes.bias.fill_(-INF)
    assert why(everything).layer == "classes"


def test_a_class_that_is_never_said_is_legal():
    """Minus infinity masks a class; explaining another one is as it always was."""
    masked = damaged("head.bias", -INF)
    assert explain(masked, PICTURE, target="bus", trust="off")[0].label == "bus"
    assert "the score of cat is -inf" in str(why(masked, target="cat"))
    with pytest.raises(NonFiniteError):
        explain(masked, PICTURE, target=Contrast("bus", "cat"), trust="off")


def test_a_function_of_ones_own_that_is_not_finite():
    error = why(TinyClassifier(), target=lambda p: (p.logits[:, 0] * 0).log())
    assert "the score of score is -inf" in str(error)
    assert "what every layer puts out is finite" in str(error)


def test_an_error_that_nan_leads_to_is_traced_back():
    class Rounds(TinyClassifier):
        def find(self, raw, inputs):
            int(raw.sum())
            return super().find(raw, inputs)

    error = why(damaged("second.weight", NAN, Rounds))
    assert "cannot convert float NaN to integer" in str(error)
    assert error.layer == "second"
    assert isinstance(error.__cause__, ValueError)


def test_errors_of_another_kind_stay_what_they_are():
    with pytest.raises(TargetError, match="no class"):
        explain(TinyClassifier(), PICTURE, target="zebra", trust="off")

    class Wrong(TinyClassifier):
        def find(self, raw, inputs):
            raise RuntimeError("of another kind")

    with pytest.raises(RuntimeError, match="of another kind"):
        explain(Wrong(), PICTURE, trust="off")


def test_copies_that_are_brightened_over_the_edge():
    """Half precision holds the picture's sums but not those of the copy at gain 1.1."""
    view = Typed(Scaled().half())
    white = np.full((16, 24, 3), 255, np.uint8)
    with torch.no_grad():
        view.model.first.weight.fill_(1.0)
        view.model.first.bias.zero_()
        view.model.second.weight.fill_(1.0)
        view.model.second.bias.zero_()
        view.model.head.weight.fill_(1e-3)
    view.model.second.weight.data.fill_(65504 / (27 * 45) * 0.97)
    assert len(explain(view, white, target="cat", trust="off")) == 1
    error = why(view, white, target="cat", smooth="augment")
    assert error.layer == "second"
    assert "65504" in str(error)


def test_masks_that_are_handed_to_layers_are_no_fault():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Masked()

        def forward(self, x):
            return self.inner(x, mask=torch.tensor([[0.0, -INF], [0.0, 0.0]]))

    class Masked(nn.Module):
        def forward(self, x, mask):
            return (x @ x.T + mask).softmax(-1).log().clamp(min=-1).exp()

    model = Attends()
    assert forward_origin(model, lambda: model(torch.eye(2))) is None


def test_a_layer_of_masks_counts_last():
    class Hides(nn.Module):
        def forward(self, x):
            return x.masked_fill(x < 0.5, -INF)

    model = nn.Sequential(Hides(), nn.Softmax(-1), nn.Linear(2, 2))
    run = lambda: model(torch.eye(2))  # noqa: E731
    assert forward_origin(model, run).layer == "0"
    with torch.no_grad():
        model[2].bias[0] = NAN
    assert forward_origin(model, run).layer == "2"


def test_broken_weights_that_do_not_run_harm_nobody():
    torch.manual_seed(0)
    view = TinyClassifier()
    view.model.aside = nn.Linear(2, 2)
    with torch.no_grad():
        view.model.aside.weight[0, 0] = NAN
    assert len(explain(view, PICTURE, trust="off")) == 1


@pytest.mark.parametrize("first", [False, True])
def test_broken_weights_that_what_follows_hides(first):
    """As fused attention does; also where the model was sound when it was looked at first."""

    class Cleans(TinyNet):
        def forward(self, x):
            return self.head(torch.relu(self.second(torch.relu(self.first(x)))).nan_to_num(0.0).mean((2, 3)))

    view = TinyClassifier(Cleans())
    if first:
        assert len(explain(view, PICTURE, trust="off", layers="first")) == 1
    with torch.no_grad():
        view.model.second.bias[0] = NAN
    error = why(view, layers="first", target="cat")
    assert error.layer == "second"
    assert "hides the broken values" in str(error)


def test_is_finite_of_values_whose_sum_overflows():
    assert is_finite(torch.full((4,), 3e38))
    assert is_finite(torch.full((4,), 6e4, dtype=torch.float16))
    assert is_finite(torch.zeros(0))
    assert is_finite(torch.tensor([1, 2]))
    assert not is_finite(torch.tensor([INF, -INF]))


def test_nothing_is_left_in_the_model():
    view = damaged("second.weight", NAN)
    view.model.train()
    why(view)
    assert view.model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in view.model.modules())
    assert all(p.grad is None for p in view.model.parameters())


def test_the_checks_change_no_map():
    torch.manual_seed(0)
    view = TinyClassifier()
    a = explain(view, PICTURE, method=[make_gradcampp(), RISE(masks=20)], trust="off")
    assert all(bool(torch.isfinite(m.values).all()) for m in a)
