"""The same maps as pytorch-grad-cam 1.5.7, torch-cam 0.5.0 and captum 0.9.0, and, where not, who is right and why."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.cam import methods
from isotherm.cam.capture import record
from isotherm.cam.methods import AblationCAM, ScoreCAM, eigen_smooth, make_gradcampp
from isotherm.errors import LayerError
from isotherm.relevance.modules import resolve
from oracles import cam_formulas as oracle
from rigs.breadth import wide
from rigs.plain_classifier import make_net, make_trace


class _PytorchGradCam:
    """The package, imported when a test needs it: with what it brings along, a seventh of collecting all tests."""

    def __getattr__(self, name):
        if not name[0].isupper():  # pytest asks everything in a file whether it is a fixture
            raise AttributeError(name)
        return getattr(pytest.importorskip("pytorch_grad_cam", reason="pytorch-grad-cam is a test extra"), name)


pgc = _PytorchGradCam()

SIZE = (32, 24)


@pytest.fixture(scope="module")
def net():
    return make_net(dtype=torch.float32).requires_grad_(True)  # frozen models give pgc no gradient at all


@pytest.fixture(scope="module")
def x():
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(5))


def positive_classes(net, x):
    with torch.no_grad():
        return net(x).argmax(1).tolist()


def logit_of(index):
    """What pytorch-grad-cam calls the score of a class."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    return ClassifierOutputTarget(index)


def theirs(cls, model, layers, x, classes, *, eigen=False, **settings):
    with cls(model, layers, **settings) as cam:
        return cam(x.clone(), [logit_of(k) for k in classes], eigen_smooth=eigen)


def shown(values, size=SIZE):
    return np.stack([oracle.pgc_display(v.numpy(), size) for v in values])


NAMES = {
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "gradcampp": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "elementwisecam": "GradCAMElementWise",
    "ablationcam": "AblationCAM",
}
PROJECTIONS = {"eigencam": "EigenCAM", "eigengradcam": "EigenGradCAM", "kpcacam": "KPCA_CAM"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layer", ["first", *wide(["second"])])
def test_pgc_gives_the_same_map(net, x, name, layer):
    classes = positive_classes(net, x)
    want = theirs(getattr(pgc, NAMES[name]), net, [net.get_submodule(layer)], x, classes)
    got = shown(getattr(methods, name)(make_trace(net, x, classes, layers=(layer,)))[0].values)
    assert want.std() > 0.05
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("name", ["gradcam", "layercam", "xgradcam"])
def test_pgc_eigen_smoothing_gives_the_same_map_up_to_its_arbitrary_sign(net, x, name):
    classes = positive_classes(net, x)
    want = theirs(getattr(pgc, NAMES[name]), net, [net.second], x, classes, eigen=True)
    values = eigen_smooth(getattr(methods, name))(make_trace(net, x, classes))[0].values
    same_up_to_sign(values, want)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_pgc_projections_are_the_same_up_to_their_arbitrary_sign(net, x, name):
    classes = positive_classes(net, x)
    want = theirs(getattr(pgc, PROJECTIONS[name]), net, [net.second], x, classes)
    same_up_to_sign(getattr(methods, name)(make_trace(net, x, classes))[0].values, want)


def same_up_to_sign(values, want):
    for plus, minus, w in zip(shown(values), shown(-values), want, strict=True):
        assert w.std() > 0.05
        assert min(np.abs(plus - w).max(), np.abs(minus - w).max()) < 1e-5


def test_pgc_scorecam_is_the_same_with_its_corner_alignment(net, x):
    classes = positive_classes(net, x)
    want = theirs(pgc.ScoreCAM, net, [net.second], x, classes)
    trace = make_trace(net, x, classes)
    np.testing.assert_allclose(shown(ScoreCAM(alignment="corners")(trace)[0].values), want, atol=1e-5)
    # ours by default lays channels where their cells are; that is another map
    assert np.abs(shown(methods.scorecam(trace)[0].values) - want).max() > 1e-3


def test_pgc_fullgrad_gives_the_same_map_where_its_epsilon_does_not_matter(x):
    """pgc stretches each channel by an absolute 1e-7, which counts for channels of range 1e-5, and shifts maps by 1e-4;
    with gradients a thousand times larger it does not, and the maps are the same. Ours are, whatever the gradients."""
    weak = make_net(dtype=torch.float32).requires_grad_(True)
    strong = make_net(dtype=torch.float32).requires_grad_(True)
    with torch.no_grad():
        strong.head.weight.mul_(1000)
        strong.head.bias.mul_(1000)
    classes = positive_classes(weak, x)
    ours, peers = [], []
    for net in (weak, strong):
        peers.append(theirs(pgc.FullGrad, net, [], x, classes))
        got = methods.fullgrad(make_trace(net, x, classes, biases=True))[0].values.numpy()
        got = got - got.min((1, 2), keepdims=True)
        ours.append(got / got.max((1, 2), keepdims=True))
    np.testing.assert_allclose(ours[1], peers[1], atol=1e-5)
    np.testing.assert_allclose(ours[0], ours[1], atol=1e-5)
    assert np.abs(peers[0] - peers[1]).max() > 1e-4


def test_pgc_shapleycam_gives_the_same_map(x):
    net = make_net(smooth=True, dtype=torch.float32).requires_grad_(True)
    classes = positive_classes(net, x)
    want = theirs(pgc.ShapleyCAM, net, [net.second], x, classes)
    trace = make_trace(net, x, classes)
    np.testing.assert_allclose(shown(methods.shapleycam(trace)[0].values), want, atol=1e-5)
    assert np.abs(shown(methods.gradcam(trace)[0].values) - want).max() > 1e-4  # the curvature matters


def test_pgc_finercam_gives_the_same_map(net, x):
    from pytorch_grad_cam.finer_cam import FinerCAM

    with FinerCAM(net, [net.second]) as cam:
        want = cam(x.clone())  # the best class against the three most alike
    trace = make_trace(net, x, list(range(5)) * 2, picture=[0] * 5 + [1] * 5)
    rows = [k + 5 * i for i, k in enumerate(positive_classes(net, x))]
    np.testing.assert_allclose(shown(methods.finercam(trace)[0].values[rows]), want, atol=1e-5)


@pytest.fixture(scope="module")
def resnet():
    from torchvision.models import resnet18

    torch.manual_seed(0)
    return resnet18(weights=None).eval()


@pytest.mark.parametrize("name", ["gradcam", "gradcampp", "layercam"])
def test_pgc_on_two_layers_of_a_resnet(resnet, name):
    model, x = resnet, torch.randn(1, 3, 64, 64)
    want = theirs(getattr(pgc, NAMES[name]), model, [model.layer3, model.layer4], x, [7])
    trace = make_trace(model, x, [7], layers=("layer3", "layer4"))
    raw = [np.maximum(m.values[0].double().numpy(), 0) for m in getattr(methods, name)(trace)]
    mean = np.mean([oracle.bilinear((r - r.min()) / (1e-7 + (r - r.min()).max()), (64, 64)) for r in raw], axis=0)
    got = mean - mean.min()
    np.testing.assert_allclose(got / (1e-7 + got.max()), want[0], atol=1e-5)


# --- where we differ on purpose ----------------------------------------------------------------------


def test_pgc_shrinks_weak_maps_by_its_absolute_epsilon():
    """A map with peak 1e-8 is shown by pgc at 0.09 of full scale: 1e-8 / (1e-8 + 1e-7). Ours keeps the raw value, and a
    display that divides by the peak shows it in full; how weak it is, is told by the values, not by an epsilon."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    weak = np.float64([[[0, 1e-8]]])
    assert scale_cam_image(weak).max() == pytest.approx(1 / 11)
    a, g = torch.tensor([[[[0.0, 1e-8]]]], dtype=torch.float64), torch.ones(1, 1, 1, 2, dtype=torch.float64)
    ours = methods.gradcam.map(a, g)
    assert ours.max() == 1e-8
    assert (ours / ours.max()).max() == 1


def test_customary_epsilon_of_gradcampp_takes_over_at_the_gradients_of_trained_networks():
    """A = 1 1, g = 1e-4 2e-4. The paper: alpha = 1 / (2 + 2 g), both near 1/2: weight 1.5e-4.
    With 1e-6 in the denominator alpha = g^2 / 1.02e-6 and g^2 / 1.08e-6: weight 8.4e-6, eighteen times less, and
    channels compare by the cube of their gradients. The paper is right; pgc's is the default for comparability."""
    a, g = torch.ones(1, 1, 1, 2, dtype=torch.float64), torch.tensor([[[[1e-4, 2e-4]]]], dtype=torch.float64)
    paper = float(make_gradcampp(epsilon=0).map(a, g)[0, 0, 0])
    customary = float(methods.gradcampp.map(a, g)[0, 0, 0])
    assert paper == pytest.approx(1e-4 / (2 + 2e-4) + 2e-4 / (2 + 4e-4), rel=1e-12)
    assert customary == pytest.approx(oracle.gradcampp(a[0].numpy(), g[0].numpy())[0, 0], rel=1e-9)
    assert paper / customary == pytest.approx(17.8, abs=0.1)


def test_torchcam_gradcampp_never_divides(net, x):
    """torch-cam divides a copy, so that its alpha is g^2. On A = 1 3, g = 2 1: alpha of the paper is 1 / (2 + 4 g) = 1/10
    and 1/6, weight 2/10 + 1/6 = 11/30; torch-cam's is 4 * 2 + 1 * 1 = 9. The paper (eq. 19) is right, and so are we."""
    torchcam = pytest.importorskip("torchcam.methods", reason="torch-cam is a test extra")
    a, g = torch.tensor([[[[1.0, 3]]]], dtype=torch.float64), torch.tensor([[[[2.0, 1]]]], dtype=torch.float64)
    assert oracle.torchcam_gradcampp(a[0].numpy(), g[0].numpy())[0, 0] == pytest.approx(9)
    assert float(make_gradcampp(epsilon=0).map(a, g)[0, 0, 0]) == pytest.approx(11 / 30)
    # and this is what the package really does
    trace = make_trace(net, x[:1], [1])
    with torchcam.GradCAMpp(net, "second") as cam:
        want = cam(1, net(x[:1]), normalized=False)[0][0].detach()
    layer = trace.layers[0]
    undivided = oracle.torchcam_gradcampp(layer.activation[0].double().numpy(), layer.gradient[0].double().numpy())
    assert want.abs().max() > 0
    np.testing.assert_allclose(want.numpy(), np.maximum(undivided, 0), rtol=1e-4, atol=1e-6)
    ours = make_gradcampp(epsilon=0)(trace)[0].values[0]
    paper = oracle.gradcampp(layer.activation[0].double().numpy(), layer.gradient[0].double().numpy(), epsilon=0)
    np.testing.assert_allclose(ours.numpy(), paper, rtol=1e-4, atol=1e-6)
    assert np.abs(paper / paper.max() - undivided / undivided.max()).max() > 0.01


@pytest.mark.parametrize(("ours", "name"), [("gradcam", "GradCAM"), ("layercam", "LayerCAM"), ("xgradcam", "XGradCAM")])
def test_torchcam_gives_the_same_map_elsewhere(net, x, ours, name):
    torchcam = pytest.importorskip("torchcam.methods", reason="torch-cam is a test extra")
    (best,) = positive_classes(net, x[:1])
    with getattr(torchcam, name)(net, "second") as cam:
        want = cam(best, net(x[:1]), normalized=False)[0][0].detach()
    got = getattr(methods, ours)(make_trace(net, x[:1], [best]))[0].values[0].clamp(min=0)
    assert want.max() > 0
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_eigencams_sign_is_arbitrary_in_pgc_and_fixed_here():
    """A bright square: EigenCAM should light it. The sign of an SVD is not defined, and pgc takes what comes, so that
    some of its maps are turned over; ours correlate positively with the mean activation, always."""
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    turned = 0
    for seed in range(12):
        torch.manual_seed(seed)
        square = torch.zeros(8, 8)
        square[2:5, 3:6] = 1
        a = torch.relu(torch.rand(16, 1, 1) * square + 0.1 * torch.randn(16, 8, 8))[None]
        mean = a[0].mean(0) - a.mean()
        peer = torch.as_tensor(get_2d_projection(a.numpy())[0])
        ours = methods.eigencam.map(a)[0]
        turned += bool((peer * mean).sum() < 0)
        assert float((ours * mean).sum()) > 0
        torch.testing.assert_close(ours.abs(), peer.abs(), rtol=1e-4, atol=1e-4)
        # the same from the negated problem: the rule, not the solver, decides
        torch.testing.assert_close(methods.eigencam.map(-a)[0], -ours, rtol=1e-4, atol=1e-4)
    assert 0 < turned < 12


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.on = nn.Conv2d(3, 4, 3, padding=1)
        self.off = nn.Conv2d(3, 4, 3, padding=1)
        self.late = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        self.off(x)
        return self.head(self.late(torch.relu(self.on(x))).relu().mean((2, 3)))


def test_pgc_pairs_layers_by_the_order_in_which_hooks_fire_and_ours_by_identity():
    """pgc pairs the i-th activation with the i-th gradient to arrive. A layer off the path gets no gradient, so it takes
    that of the layer behind it, and the last layer has none left (a crash); layers named against the order of execution
    are taken for one another. Ours names the layer that has no path, and keeps the order asked for."""
    torch.manual_seed(0)
    model, x = Branches().eval(), torch.randn(1, 3, 6, 6)
    with pgc.GradCAM(model, [model.off, model.late]) as cam:
        with pytest.raises(AttributeError):
            cam(x, [logit_of(0)])
        paired_with_off = cam.activations_and_grads.gradients[0]
        activations = len(cam.activations_and_grads.activations)
    assert (activations, len(paired_with_off)) == (2, 1)
    a = model.late(torch.relu(model.on(x))).detach().requires_grad_()
    (at_late,) = torch.autograd.grad(model.head(a.relu().mean((2, 3)))[0, 0], a)
    torch.testing.assert_close(paired_with_off, at_late)  # the gradient of `late` explains `off`
    rec = record(model, lambda: model(x), resolve(model, ["off", "late"]))
    with pytest.raises(LayerError, match="layer off has no path"):
        rec.gradients(rec.raw[:, 0], torch.tensor([0]))

    with pgc.GradCAM(model, [model.late, model.on]) as cam:
        cam(x, [logit_of(0)])
        first = cam.activations_and_grads.activations[0]
    torch.testing.assert_close(first, model.on(x).detach())  # asked for `late` first, got `on`
    trace = make_trace(model, x, [0], layers=("late", "on"))
    assert [m.name for m in methods.gradcam(trace)] == ["late", "on"]
    torch.testing.assert_close(trace.layers[0].activation, a.detach())


def test_pgc_ablates_to_minus_ten_million_where_a_layers_minimum_is_not_zero(x):
    """The paper ablates by setting a channel to 0. pgc does so only where the layer's minimum is exactly 0 (behind a
    ReLU); elsewhere it sets min - 1e7, and its weights come out of scores of that order. Ours sets 0 everywhere."""
    net = make_net(smooth=True, dtype=torch.float32)
    classes = positive_classes(net, x)
    trace = make_trace(net, x, classes)
    assert trace.layers[0].activation.min() > 0

    class Weights(pgc.AblationCAM):
        def get_cam_weights(self, *args):
            type(self).seen = super().get_cam_weights(*args)
            return self.seen

    theirs(Weights, net, [net.second], x, classes)
    ours = AblationCAM().weights(trace, 0)
    for i, k in enumerate(classes):
        a, s = trace.layers[0].activation[i], float(trace.scores[i])
        paper = [(s - score_without(net, a, c, k)) / s for c in range(len(a))]
        np.testing.assert_allclose(ours[i].numpy(), paper, rtol=1e-3, atol=1e-4)
        assert np.abs(Weights.seen[i]).max() > 1e4 * np.abs(paper).max()


def score_without(net, activation, channel, k):
    changed = activation.clone()
    changed[channel] = 0
    with torch.no_grad():
        return float(net.head(net.act(net.mix(changed[None])).mean((2, 3)))[0, k])


# --- captum, by hand ---------------------------------------------------------------------------------


class OneConv(nn.Module):
    """The one-convolution network of captum's tests: two channels that sum 3 x 3 windows, then +1 and -1 weights."""

    def __init__(self):
        super().__init__()
        self.conv1, self.relu1, self.fc1 = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Linear(8, 4)
        with torch.no_grad():
            self.conv1.weight.fill_(1)
            self.conv1.bias.copy_(torch.tensor([-50.0, -75.0]))
            self.fc1.weight.copy_(torch.cat([torch.ones(4, 5), -torch.ones(4, 3)], 1))
            self.fc1.bias.zero_()

    def forward(self, x):
        return torch.relu(self.fc1(self.relu1(self.conv1(x)).reshape(-1, 8)))


@pytest.mark.parametrize("layer", ["conv1", "relu1"])
def test_captums_network_by_hand_and_by_captum(layer):
    # input 100 * (0 ... 15) as 4 x 4. The 3 x 3 window at the top left sums 0+1+2+4+5+6+8+9+10 = 45; one column on
    # adds 9, one row on adds 36: 4500 5400 / 8100 9000. Channel 0 (-50): 4450 5350 / 8050 8950;
    # channel 1 (-75): 4425 5325 / 8025 8925; all positive, so the ReLU changes nothing.
    # The head adds channel 0 and the first cell of channel 1 and subtracts the other three: score 8950 > 0, gradient
    # 1 on channel 0 and 1 -1 / -1 -1 on channel 1, mean 1 and -1/2.
    # Grad-CAM: channel 0 - channel 1 / 2 = 2237.5 2687.5 / 4037.5 4487.5.
    # HiResCAM: 4450 + 4425 = 8875, 5350 - 5325 = 25, 8050 - 8025 = 25, 8950 - 8925 = 25; it sums to the score.
    # LayerCAM: 4450 + 4425, then channel 0 alone.
    captum = pytest.importorskip("captum.attr", reason="captum is a test extra")
    model, x = OneConv(), 100 * torch.arange(16.0).reshape(1, 1, 4, 4)
    assert model(x)[0, 0] == 8950
    trace = make_trace(model, x, [0], layers=(layer,))
    by_hand = torch.tensor([[[2237.5, 2687.5], [4037.5, 4487.5]]])
    assert torch.equal(captum.LayerGradCam(model, model.get_submodule(layer)).attribute(x, 0)[:, 0], by_hand)
    assert torch.equal(methods.gradcam(trace)[0].values, by_hand)
    hires = methods.hirescam(trace)[0].values
    assert torch.equal(hires, torch.tensor([[[8875.0, 25], [25, 25]]]))
    assert hires.sum() == 8950
    assert torch.equal(methods.layercam(trace)[0].values, torch.tensor([[[8875.0, 5350], [8050, 8950]]]))
    product = captum.LayerGradientXActivation(model, model.get_submodule(layer)).attribute(x, 0)
    assert torch.equal(hires, product.sum(1))


def test_captum_where_one_channel_is_cut_off_by_hand():
    # biases -5000 and -75: channel 0 of conv1 is -500 400 / 3100 4000, and the ReLU cuts its first cell. The score is
    # 0 + 400 + 3100 + 4000 + 4425 - 5325 - 8025 - 8925 = -10350, cut by the last ReLU: gradient 0 everywhere, map 0.
    # With the head's signs turned it is 10350: gradient at conv1 0 -1 / -1 -1 (the first cell is cut) and -1 1 / 1 1,
    # mean -3/4 and 1/2. Map: 375 + 2212.5 = 2587.5; -300 + 2662.5 = 2362.5; -2325 + 4012.5 = 1687.5;
    # -3000 + 4462.5 = 1462.5.
    captum = pytest.importorskip("captum.attr", reason="captum is a test extra")
    model, x = OneConv(), 100 * torch.arange(16.0).reshape(1, 1, 4, 4)
    with torch.no_grad():
        model.conv1.bias[0] = -5000
    assert torch.equal(methods.gradcam(make_trace(model, x, [0], layers=("conv1",)))[0].values, torch.zeros(1, 2, 2))
    with torch.no_grad():
        model.fc1.weight.neg_()
    by_hand = torch.tensor([[[2587.5, 2362.5], [1687.5, 1462.5]]])
    assert model(x)[0, 0] == 10350
    assert torch.equal(captum.LayerGradCam(model, model.conv1).attribute(x, 0)[:, 0], by_hand)
    assert torch.equal(methods.gradcam(make_trace(model, x, [0], layers=("conv1",)))[0].values, by_hand)
