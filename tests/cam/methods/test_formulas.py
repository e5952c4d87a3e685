"""Every formula against its slow float64 reference, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.cam import methods
from isotherm.cam.methods import FinerCAM, FullGrad, eigen_smooth, make_gradcampp, make_kpcacam, shapleycam
from isotherm.cam.trace import LayerTrace, Trace
from isotherm.errors import MethodError
from isotherm.frame import Frame
from isotherm.relevance.method import LayerMethod, Method
from oracles import cam_formulas as oracle
from rigs.plain_classifier import make_net, make_trace

GRADIENT_METHODS = (
    "gradcam",
    "hirescam",
    "gradcampp",
    "xgradcam",
    "layercam",
    "elementwisecam",
    "eigencam",
    "eigengradcam",
    "kpcacam",
)


@pytest.fixture(scope="module")
def trace() -> Trace:
    net = make_net()
    return make_trace(net, torch.randn(3, 3, 32, 24, dtype=torch.float64), [1, 4, 0], layers=("second", "first"))


def compare(got, want, atol=1e-10):
    np.testing.assert_allclose(got.numpy(), want, rtol=0, atol=atol * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("name", GRADIENT_METHODS)
def test_a_formula_equals_its_reference(trace, name):
    maps = getattr(methods, name)(trace)
    assert [m.name for m in maps] == ["second", "first"]
    for layer, m in zip(trace.layers, maps, strict=True):
        assert m.values.dtype == torch.float64
        assert m.frame is layer.frame
        want = np.stack(
            [getattr(oracle, name)(a, g) for a, g in zip(layer.activation.numpy(), layer.gradient.numpy(), strict=True)]
        )
        assert np.abs(want).max() > 1e-4  # not a comparison of zeros
        compare(m.values, want)


@pytest.mark.parametrize("name", GRADIENT_METHODS)
def test_a_formula_by_hand(name):
    """Two channels of 1 x 2 cells: A = [1 3], [2 0]; g = [2 -1], [1 1]."""
    a = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
    g = torch.tensor([[[[2.0, -1.0]], [[1.0, 1.0]]]])
    # GradCAM: weights 0.5 and 1 -> [0.5 + 2, 1.5]. HiRes: [2 + 2, -3 + 0].
    # ++ (eps 1e-6): channel 0 has sum A 4: 2 * 4 / (8 + 32) = 0.2; channel 1 has sum A 2: 2 * 1 / (2 + 2) = 0.5.
    # X: channel 0 (2 - 3) / 4 = -0.25; channel 1 2 / 2 = 1 -> [-0.25 + 2, -0.75].
    # Layer: relu(g) A: [2 + 2, 0]. ElementWise: [2 + 2, 0].
    # Eigen: centred cells (-1, 1) and (1, -1); direction (-1, 1) / sqrt 2; projections +-sqrt 2; the centred channel
    #   mean is 0 in both cells, so the rule of the larger extreme applies: a tie, the first cell is positive.
    # EigenGrad: gA = [2 -3], [2 0]: centred (2.5, 1), (-2.5, -1); projections +-sqrt(7.25), first cell positive (mean 2 > -1.5).
    # KPCA, gamma 1/2: K = tanh(1/2 (2 or -2) + 1) = tanh 2 and tanh 0 = 0; centred: tanh(2) / 2 [[1 -1] [-1 1]], eigenvalue tanh 2.
    want = {
        "gradcam": [2.5, 1.5],
        "hirescam": [4.0, -3.0],
        "gradcampp": [0.2 * 1 + 0.5 * 2, 0.2 * 3],
        "xgradcam": [1.75, -0.75],
        "layercam": [4.0, 0.0],
        "elementwisecam": [4.0, 0.0],
        "eigencam": [2**0.5, -(2**0.5)],
        "eigengradcam": [7.25**0.5, -(7.25**0.5)],
        "kpcacam": [(np.tanh(2) / 2) ** 0.5, -((np.tanh(2) / 2) ** 0.5)],
    }[name]
    got = getattr(methods, name).map(a, g)[0, 0]
    if name in ("eigencam", "kpcacam"):  # the tie: either sign is right, the size is not free
        got, want = got.abs(), torch.tensor(want).abs().tolist()
    torch.testing.assert_close(got, torch.tensor(want, dtype=got.dtype), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", ["sigmoid", "rbf", "linear"])
def test_kernels_equal_their_reference(trace, kernel):
    layer = trace.layers[0]
    got = make_kpcacam(kernel=kernel, gamma=0.3)(trace)[0].values
    want = np.stack([oracle.kpcacam(a, kernel=kernel, gamma=0.3) for a in layer.activation.numpy()])
    compare(got, want)


def test_a_linear_kernel_is_eigencam(trace):
    torch.testing.assert_close(make_kpcacam(kernel="linear")(trace)[0].values, methods.eigencam(trace)[0].values)


def test_gradcampp_without_epsilon_does_not_depend_on_the_scores_unit(trace):
    layer = trace.layers[0]
    a, g = layer.activation, layer.gradient
    exact = make_gradcampp(epsilon=0)
    compare(exact.map(a, g)[0], oracle.gradcampp(a[0].numpy(), g[0].numpy(), epsilon=0))
    # the paper's alpha depends on g only through g sum A, so with A up and g down by the same factor maps stay alike
    like = exact.map(1e4 * a, 1e-4 * g)
    torch.testing.assert_close(like, exact.map(a, g), rtol=1e-9, atol=0)
    customary = methods.gradcampp.map(1e4 * a, 1e-4 * g)
    assert (customary / like)[like > 0].max() < 0.9  # the epsilon has taken over


def test_hirescam_of_a_linear_head_sums_to_the_score_less_its_bias():
    net = make_net()
    net.act = torch.nn.Identity()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    trace = make_trace(net, x, [2, 3], layers=("mix",))
    total = methods.hirescam(trace)[0].values.sum((1, 2))
    torch.testing.assert_close(total, trace.scores - net.head.bias[[2, 3]])


def test_xgradcam_keeps_the_sum_of_hirescam_on_a_relu_layer(trace):
    torch.testing.assert_close(
        methods.xgradcam(trace)[0].values.sum((1, 2)),
        methods.hirescam(trace)[0].values.sum((1, 2)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", GRADIENT_METHODS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(trace, name, dtype):
    method = getattr(methods, name)
    a, g = trace.layers[0].activation.to(dtype), trace.layers[0].gradient.to(dtype)
    got = method.map(a, g)
    assert got.dtype == torch.float32
    want = method.map(a.double(), g.double())
    torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


def test_arguments_are_not_changed(trace):
    before = [(t.activation.clone(), t.gradient.clone()) for t in trace.layers]
    for name in GRADIENT_METHODS:
        getattr(methods, name)(trace)
    for layer, (a, g) in zip(trace.layers, before, strict=True):
        assert torch.equal(layer.activation, a)
        assert torch.equal(layer.gradient, g)


@pytest.mark.parametrize("name", GRADIENT_METHODS)
def test_a_layer_of_zeros_gives_zeros(name):
    zero = torch.zeros(2, 3, 4, 5)
    assert torch.equal(getattr(methods, name).map(zero, zero), torch.zeros(2, 4, 5))


@pytest.mark.parametrize("name", ["gradcam", "layercam", "elementwisecam", "hirescam"])
def test_eigen_smoothing_projects_the_weighted_activations(trace, name):
    plain = getattr(methods, name)
    smooth = eigen_smooth(plain)
    assert "eigen-smoothed" in smooth.name
    assert smooth.signed
    layer = trace.layers[0]
    product = plain.weighted(layer.activation, layer.gradient)
    compare(smooth(trace)[0].values, np.stack([oracle.first_component(p) for p in product.numpy()]))
    flat = smooth(trace)[0].values.flatten(1), plain(trace)[0].values.flatten(1)
    assert (torch.stack(flat).sub(torch.stack(flat).mean(-1, keepdim=True)).prod(0).sum(-1) > 0).all()


def test_eigen_smoothing_reaches_channel_weights_and_refuses_the_rest(trace):
    smooth = eigen_smooth(shapleycam)
    product = shapleycam.weights(trace, 0)[:, :, None, None] * trace.layers[0].activation
    compare(smooth(trace)[0].values, np.stack([oracle.first_component(p) for p in product.numpy()]))
    with pytest.raises(MethodError, match="EigenCAM is a projection already"):
        eigen_smooth(methods.eigencam)
    with pytest.raises(MethodError, match="RISE does not sum weighted activations"):
        eigen_smooth(methods.rise)


# --- second derivatives and contrasts ----------------------------------------------------------------


def test_shapleycam_equals_its_reference_with_the_full_hessian():
    net = make_net(smooth=True)
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    trace = make_trace(net, x, [1, 3])
    got = shapleycam(trace)[0].values
    for i, k in enumerate([1, 3]):
        a = trace.layers[0].activation[i]

        def head(flat, shape=a.shape, k=k):
            return net.head(net.act(net.mix(flat.reshape(1, *shape))).mean((2, 3)))[0, k]

        hessian = torch.autograd.functional.hessian(head, a.reshape(-1))
        assert hessian.abs().max() > 1e-4
        want = oracle.shapleycam(a.numpy(), trace.layers[0].gradient[i].numpy(), hessian.numpy())
        compare(got[i], want)
    assert not torch.allclose(got, methods.gradcam(trace)[0].values)


def test_shapleycam_is_gradcam_where_the_head_is_piecewise_linear(trace):
    torch.testing.assert_close(shapleycam(trace)[0].values, methods.gradcam(trace)[0].values)


def test_shapley_weights_of_a_quadratic_score_share_it_out_exactly():
    """Score b.A + A.H.A / 2 on one cell per channel: the Shapley value of channel c is A_c (b + H A / 2)_c."""
    b, h, a = torch.randn(3), torch.randn(3, 3), torch.randn(1, 3, 1, 1)
    h = h + h.T

    class Quadratic:
        def hessian_vector(self, layer, vector):
            return (h @ vector.reshape(3)).reshape(1, 3, 1, 1)

        def scores(self, *_): ...
        def input_gradient(self, *_): ...
        def scores_with_channels(self, *_): ...

    flat = a.reshape(3)
    score = b @ flat + flat @ h @ flat / 2
    gradient = (b + h @ flat).reshape(1, 3, 1, 1)
    frame = Frame.identity((4, 4)).expanded(1).to_grid(size=(1, 1))
    from rigs.plain_classifier import make_inputs

    one = Trace(
        score[None],
        torch.tensor([0]),
        make_inputs(torch.zeros(1, 3, 4, 4)),
        (LayerTrace("x", a, gradient, frame),),
        rerun=Quadratic(),
    )
    torch.testing.assert_close(shapleycam(one)[0].values.sum(), score)
    # with a plus sign, or without the half, it would not be the score
    assert not torch.allclose((gradient + 0.5 * (h @ flat).reshape(1, 3, 1, 1)).mul(a).sum(), score)


def test_finercam_equals_gradcam_of_the_contrast_by_autograd():
    net = make_net()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    classes = [0, 1, 2, 3, 4]
    trace = make_trace(net, x, classes * 2, picture=[0] * 5 + [1] * 5)
    got = FinerCAM(alpha=0.7, similar=3)(trace)[0].values
    for p in range(2):
        a = trace.layers[0].activation[5 * p : 5 * p + 1].clone().requires_grad_()
        z = net.head(net.act(net.mix(a)).mean((2, 3)))[0]
        for k in classes:
            others = [j for j in torch.argsort((z - z[k]).abs()).tolist() if j != k][:3]
            probability = z.softmax(0)[others]  # the weights carry gradient too, as in the authors' code
            contrast = (probability * (z[k] - 0.7 * z[others])).sum() / probability.sum()
            (g,) = torch.autograd.grad(contrast, a, retain_graph=True)
            compare(got[5 * p + k], oracle.gradcam(a[0].detach().numpy(), g[0].numpy()))


def test_finercam_with_one_rival_is_gradcam_of_the_difference_of_two_logits():
    net = make_net()
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    trace = make_trace(net, x, [1, 3], picture=[0, 0])
    g = trace.layers[0].gradient
    want = methods.gradcam.map(trace.layers[0].activation[:1], g[:1] - g[1:])
    torch.testing.assert_close(methods.finercam(trace)[0].values[:1], want)


def test_finercam_refuses_a_single_class(trace):
    with pytest.raises(MethodError, match=r"only one target.*TopK\(4\)"):
        methods.finercam(trace)
    with pytest.raises(MethodError, match="EigenCAM uses none"):
        FinerCAM(base=methods.eigencam)
    with pytest.raises(MethodError, match="similar is 0"):
        FinerCAM(similar=0)


# --- biases ------------------------------------------------------------------------------------------


def test_fullgrad_equals_its_reference():
    net = make_net()
    x = torch.randn(2, 3, 16, 12, dtype=torch.float64)
    trace = make_trace(net, x, [1, 3], biases=True)
    assert [b.name for b in trace.biases] == ["first.0", "first.1", "second.0", "second.1", "mix"]
    got = methods.fullgrad(trace)[0]
    _, gradient = trace.rerun.input_gradient(x, torch.arange(2))
    for i in range(2):
        pairs = [(b.activation[i, :, 0, 0].numpy(), b.gradient[i].numpy()) for b in trace.biases]
        compare(got.values[i], oracle.fullgrad(x[i].numpy(), gradient[i].numpy(), pairs))
    assert got.frame.size == (16, 12)


def test_full_gradients_of_a_relu_network_sum_to_the_score():
    """Eq. 3 of the paper: input and all biases; only the last linear layer's bias lies on no grid."""
    net = make_net()
    x = torch.randn(3, 3, 20, 16, dtype=torch.float64)
    trace = make_trace(net, x, [1, 3, 0], biases=True)
    method = FullGrad(channels="exact", batch=2)
    assert method.signed
    assert not methods.fullgrad.signed
    torch.testing.assert_close(method(trace)[0].values.sum((1, 2)), trace.scores - net.head.bias[[1, 3, 0]])


def test_fullgrad_of_one_cell_by_hand():
    """x = 3, 1, 2, 0 with gradient 1: |xg| stretched is 1, 1/3, 2/3, 0. Bias -2 with gradient (1, 3) over the left and
    right half: |bg| = 2, 6, stretched 0, 1, enlarged to four columns: 0, 1/4, 3/4, 1."""
    from rigs.plain_classifier import make_inputs

    class Ones:
        def input_gradient(self, tensor, target):
            return tensor.sum((1, 2, 3)), torch.ones_like(tensor)

        def scores(self, *_): ...
        def scores_with_channels(self, *_): ...
        def hessian_vector(self, *_): ...

    x = torch.tensor([3.0, 1, 2, 0]).reshape(1, 1, 1, 4)
    inputs = make_inputs(x)
    bias = LayerTrace(
        "conv",
        torch.full((1, 1, 1, 2), -2.0),
        torch.tensor([1.0, 3]).reshape(1, 1, 1, 2),
        inputs.frame.to_grid(size=(1, 2)),
    )
    trace = Trace(x.sum((1, 2, 3)), torch.tensor([0]), inputs, rerun=Ones(), biases=(bias,))
    stretched = methods.fullgrad(trace)[0].values[0, 0]
    torch.testing.assert_close(stretched, torch.tensor([1, 1 / 3 + 0.25, 2 / 3 + 0.75, 1.0]))
    exact = FullGrad(channels="exact")(trace)[0].values
    torch.testing.assert_close(exact.sum(), torch.tensor(6.0 - 2 - 6))


# --- the set -----------------------------------------------------------------------------------------


def test_every_name_is_a_method_and_says_what_it_needs():
    assert len(set(methods.ALL)) == len(methods.ALL)
    known = {
        "activation",
        "gradient",
        "attention",
        "attention_gradient",
        "attention_own_gradient",
        "rerun",
        "hessian",
        "bias",
    }
    for name in methods.ALL:
        method = getattr(methods, name)
        assert isinstance(method, Method), name
        assert method.needs, name
        assert method.needs <= known, name
        assert name in methods.__all__
    assert len({getattr(methods, n).name for n in methods.ALL}) == len(methods.ALL)


@pytest.mark.parametrize("name", [n for n in methods.ALL])
def test_a_trace_without_what_is_needed_is_refused_with_advice(name):
    from rigs.plain_classifier import make_inputs

    bare = Trace(torch.zeros(1), torch.tensor([0]), make_inputs(torch.zeros(1, 3, 8, 8)))
    if name == "finercam":
        bare = Trace(torch.zeros(2), torch.tensor([0, 0]), make_inputs(torch.zeros(1, 3, 8, 8)))
    with pytest.raises(MethodError, match=r"the trace (has none|was recorded without)"):
        getattr(methods, name)(bare)


def test_local_methods_are_those_whose_cells_stand_alone(trace):
    """What is marked local may be computed on patches cut out of the map."""
    layer = trace.layers[0]
    for name in GRADIENT_METHODS:
        method = getattr(methods, name)
        assert isinstance(method, LayerMethod)
        whole = method.map(layer.activation, layer.gradient)[:, 2:5, 1:4]
        patch = method.map(layer.activation[:, :, 2:5, 1:4], layer.gradient[:, :, 2:5, 1:4])
        assert torch.allclose(whole, patch) == method.local, name
