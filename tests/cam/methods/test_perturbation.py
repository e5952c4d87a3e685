"""Methods that score changed pictures: against slow references, by hand, and in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm.cam import methods
from isotherm.cam.methods import DRISE, RISE, AblationCAM, IntegratedGradients, Occlusion, ScoreCAM, SharedRerun
from isotherm.cam.trace import Trace
from isotherm.cam.view import Inputs
from isotherm.errors import MethodError
from isotherm.frame import Frame
from isotherm.moments import Timeline
from oracles import cam_formulas as oracle
from rigs.plain_classifier import PlainRerun, SharingRerun, make_inputs, make_net, make_trace

BLANK = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)


def compare(got, want, atol=1e-10):
    np.testing.assert_allclose(got.numpy(), want, rtol=0, atol=atol * max(1.0, np.abs(want).max()))


@pytest.fixture(scope="module")
def net():
    return make_net()


@pytest.fixture(scope="module")
def x():
    return torch.randn(2, 3, 16, 12, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def score(net, k):
    def of(picture):
        with torch.no_grad():
            return float(net(torch.as_tensor(picture)[None])[0, k])

    return of


@pytest.mark.parametrize("batch", [3, 64])
def test_scorecam_equals_its_reference(net, x, batch):
    trace = make_trace(net, x, [1, 4])
    got = ScoreCAM(batch=batch)(trace)[0].values
    for i, k in enumerate([1, 4]):
        want = oracle.scorecam(
            trace.layers[0].activation[i].numpy(),
            lambda m, i=i, k=k: score(net, k)(x[i].numpy() * m),
            lambda a: oracle.bilinear(a, (16, 12)),
        )
        compare(got[i], want)


def test_scorecam_fills_with_the_blank(net, x):
    trace = make_trace(net, x[:1], [1], blank=BLANK)
    blank = BLANK.numpy()[:, None, None]
    want = oracle.scorecam(
        trace.layers[0].activation[0].numpy(),
        lambda m: score(net, 1)(x[0].numpy() * m + blank * (1 - m)),
        lambda a: oracle.bilinear(a, (16, 12)),
    )
    compare(methods.scorecam(trace)[0].values[0], want)


def test_scorecam_on_a_few_channels_keeps_those_that_vary_most(net, x):
    trace = make_trace(net, x, [1, 4])
    weights = ScoreCAM(channels=3).weights(trace, 0)
    for w, a in zip(weights, trace.layers[0].activation, strict=True):
        assert set(torch.nonzero(w).flatten().tolist()) == set(a.flatten(1).var(1).topk(3).indices.tolist())
        assert float(w.sum()) == pytest.approx(1)
    full = methods.scorecam.weights(trace, 0)
    assert (full > 0).all()


def test_scorecam_corners_alignment_is_off_by_half_a_cell():
    """A 2 x 2 layer over 8 x 8 pixels: the left cell's centre lies at pixel 2, not at pixel 0."""
    ramp = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
    inputs = make_inputs(torch.zeros(1, 3, 8, 8))
    frame = inputs.frame.to_grid(size=(2, 2))
    from isotherm.cam.trace import LayerTrace

    trace = Trace(torch.zeros(1), torch.tensor([0]), inputs, (LayerTrace("l", ramp[None], None, frame),))
    cells = ScoreCAM()._over_input(ramp, trace, 0, 0)[0, 0]
    corners = ScoreCAM(alignment="corners")._over_input(ramp, trace, 0, 0)[0, 0]
    torch.testing.assert_close(cells, torch.tensor([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]))
    torch.testing.assert_close(corners, torch.arange(8) / 7)


def test_ablationcam_equals_its_reference(net, x):
    trace = make_trace(net, x, [1, 4])
    got = AblationCAM(batch=3)(trace)[0].values
    for i, k in enumerate([1, 4]):
        a = trace.layers[0].activation[i]

        def without(c, a=a, k=k):
            b = a.clone()
            b[c] = 0
            with torch.no_grad():
                return float(net.head(net.act(net.mix(b[None])).mean((2, 3)))[0, k])

        compare(got[i], oracle.ablationcam(a.numpy(), float(trace.scores[i]), without))


def test_ablationcam_with_a_negative_score_still_counts_what_the_score_falls_without():
    """Score = -10 + sum of channel 0: channel 0 speaks for it. Dividing by the score itself would say the contrary."""

    class Score:
        def scores_with_channels(self, layer, keep, target):
            return -10 + keep[:, 0] * 4.0

        def scores(self, *_): ...
        def input_gradient(self, *_): ...
        def hessian_vector(self, *_): ...

    from isotherm.cam.trace import LayerTrace

    inputs = make_inputs(torch.zeros(1, 3, 4, 4))
    a = torch.ones(1, 2, 2, 2)
    trace = Trace(
        torch.tensor([-6.0]),
        torch.tensor([0]),
        inputs,
        (LayerTrace("l", a, None, inputs.frame.to_grid(size=(2, 2))),),
        rerun=Score(),
    )
    weights = methods.ablationcam.weights(trace, 0)
    torch.testing.assert_close(weights, torch.tensor([[4 / 6, 0.0]]))
    assert (-6 - -10) / -6 < 0  # what the paper's quotient gives


@pytest.mark.parametrize(
    ("window", "stride"), [((4, 4), (2, 2)), ((5, 3), (3, 2)), ((16, 12), (1, 1)), ((3, 3), (3, 3))]
)
def test_occlusion_equals_its_reference(net, x, window, stride):
    trace = make_trace(net, x, [1, 4], blank=BLANK)
    got = Occlusion(window=window, stride=stride, batch=5)(trace)[0]
    assert got.frame.size == (16, 12)
    for i, k in enumerate([1, 4]):
        compare(got.values[i], oracle.occlusion(x[i].numpy(), score(net, k), window, stride, BLANK.numpy()))


@pytest.mark.parametrize(("window", "stride"), [(4, 2), ((5, 3), (3, 2))])
def test_occlusion_equals_captum(net, x, window, stride):
    from captum.attr import Occlusion as CaptumOcclusion

    trace = make_trace(net, x[:1], [1])
    pair = (
        (window, window) if isinstance(window, int) else window,
        (stride, stride) if isinstance(stride, int) else stride,
    )
    want = CaptumOcclusion(net).attribute(x[:1], (3, *pair[0]), (3, *pair[1]), baselines=0.0, target=1)
    got = Occlusion(window=window, stride=stride)(trace)[0].values
    torch.testing.assert_close(got.float(), want[:, 0], rtol=0, atol=1e-5)  # captum answers in float32


def test_occlusion_by_hand():
    """Score = sum of a row 1 2 3 4; window 2, stride 1: falls 3, 5, 7; means 3, 4, 6, 7."""

    class Sum:
        def scores(self, tensor, target):
            return tensor.sum((1, 2, 3))

        def input_gradient(self, *_): ...
        def scores_with_channels(self, *_): ...
        def hessian_vector(self, *_): ...

    inputs = make_inputs(torch.tensor([[[[1.0, 2, 3, 4]]]]))
    trace = Trace(torch.tensor([10.0]), torch.tensor([0]), inputs, rerun=Sum())
    values = Occlusion(window=(1, 2), stride=(1, 1))(trace)[0].values
    assert values.tolist() == [[[3.0, 4.0, 6.0, 7.0]]]


def test_rise_equals_its_reference(net, x):
    trace = make_trace(net, x, [1, 4], blank=BLANK)
    settings = {"masks": 50, "grid": (3, 4), "keep": 0.4, "seed": 7}
    for centred in (False, True):
        method = RISE(**settings, centred=centred, batch=7)
        masks = torch.cat(list(method.make_masks((16, 12), dtype=torch.float64))).numpy()
        got = method(trace)[0].values
        for i, k in enumerate([1, 4]):
            if centred:
                want = oracle.rise_centred(x[i].numpy(), score(net, k), masks, BLANK.numpy())
            else:
                want = oracle.rise(x[i].numpy(), score(net, k), masks, 0.4, BLANK.numpy())
            compare(got[i], want)


def test_rise_masks_are_those_of_the_paper():
    method = RISE(masks=2000, grid=(4, 3), keep=0.3, batch=300)
    chunks = list(method.make_masks((18, 13)))
    assert {len(c) for c in chunks} == {300, 200}  # never all at once
    masks = torch.cat(chunks)
    assert masks.shape == (2000, 18, 13)
    assert 0 <= masks.min() < 0.01
    assert 0.99 < masks.max() <= 1
    assert abs(float(masks.mean()) - 0.3) < 0.01
    # smooth: neighbouring pixels differ by at most what one cell of the enlarged grid spans
    assert float(masks.diff(dim=1).abs().max()) <= 4 / (5 * 5) + 1e-6
    # shifted: the same cells are not always at the same place
    assert float(masks[:, 0, 0].var()) > 0.01


def test_rise_masks_do_not_depend_on_the_batch_and_do_on_the_seed():
    def masks(**given):
        return torch.cat(list(RISE(masks=40, **given).make_masks((12, 10))))

    torch.testing.assert_close(masks(batch=7), masks(batch=40))
    assert not torch.allclose(masks(seed=1), masks(seed=2))


def test_rise_finds_the_pixels_that_the_score_is_made_of():
    class Corner:
        def scores(self, tensor, target):
            return tensor[:, 0, :4, :4].mean((1, 2))

        def input_gradient(self, *_): ...
        def scores_with_channels(self, *_): ...
        def hessian_vector(self, *_): ...

    inputs = make_inputs(torch.ones(1, 3, 16, 16))
    trace = Trace(torch.ones(1), torch.tensor([0]), inputs, rerun=Corner())
    for method in (RISE(masks=400, grid=4), DRISE(masks=400)):
        m = method(trace)[0].values[0]
        assert m[:4, :4].mean() > 5 * m[8:, 8:].abs().mean()  # 0 means "makes no difference"
    raw = RISE(masks=400, grid=4, centred=False)(trace)[0].values[0]
    assert raw[8:, 8:].min() > 0.1  # the paper's map does not say so


def test_d_rise_is_rise_with_the_papers_settings():
    assert (methods.drise.masks, methods.drise.grid, methods.drise.keep) == (5000, 16, 0.5)
    assert methods.drise.name == "D-RISE"


@pytest.mark.parametrize(
    "method", [ScoreCAM(batch=4), RISE(masks=20, batch=4), Occlusion(window=4, batch=4), AblationCAM(batch=4)]
)
def test_memory_is_bounded_by_the_batch_whatever_the_number_of_masks(net, x, method):
    trace = make_trace(net, x, [1, 4, 2], picture=[0, 1, 0])
    method(trace)
    assert trace.rerun.rows > 12
    assert trace.rerun.largest == 4


@pytest.mark.parametrize("method", [ScoreCAM(batch=4), RISE(masks=20, batch=4), Occlusion(window=4, batch=4)])
def test_targets_of_one_picture_share_forward_passes_where_the_rerun_can(net, x, method):
    arguments = (net, x, [1, 4, 2]), {"picture": [0, 1, 0]}
    plain = make_trace(*arguments[0], **arguments[1])
    shared = make_trace(*arguments[0], **arguments[1], rerun=SharingRerun)
    assert isinstance(shared.rerun, SharedRerun)
    assert not isinstance(plain.rerun, SharedRerun)
    torch.testing.assert_close(method(plain)[0].values, method(shared)[0].values)
    assert shared.rerun.rows * 3 == plain.rerun.rows * 2


@pytest.mark.parametrize("rule", ["gauss", "midpoint"])
def test_integrated_gradients_equal_their_reference(x, rule):
    net = make_net(smooth=True)
    trace = make_trace(net, x, [1, 4], blank=BLANK)
    got = IntegratedGradients(steps=24, rule=rule, batch=7, tolerance=1.0).integrate(trace)
    for i, k in enumerate([1, 4]):

        def gradient(at, k=k):
            leaf = torch.as_tensor(at)[None].requires_grad_()
            return torch.autograd.grad(net(leaf)[0, k], leaf)[0][0].numpy()

        want = oracle.integrated_gradients(x[i].numpy(), gradient, BLANK.numpy(), 24 if rule == "midpoint" else 400)
        compare(got.values[i], want, atol=1e-10 if rule == "midpoint" else 1e-5)
        blank = BLANK[:, None, None].expand_as(x[i])
        assert float(got.gain[i]) == pytest.approx(score(net, k)(x[i]) - score(net, k)(blank))
    torch.testing.assert_close(got.error, got.values.sum((1, 2)) - got.gain)
    assert float((got.error / got.gain).abs().max()) < (1e-6 if rule == "gauss" else 1e-2)


def test_integrated_gradients_equal_captum(x):
    from captum.attr import IntegratedGradients as Captum

    net = make_net(smooth=True)
    want = Captum(net).attribute(x, baselines=0.0, target=torch.tensor([1, 4]), n_steps=16, method="gausslegendre")
    got = IntegratedGradients(steps=16)(make_trace(net, x, [1, 4]))[0].values
    torch.testing.assert_close(got, want.sum(1), rtol=1e-5, atol=1e-7)


def test_too_few_steps_are_told(x):
    net = make_net()
    with pytest.warns(UserWarning, match="take more steps than 1"):
        IntegratedGradients(steps=1, tolerance=1e-3)(make_trace(net, x, [1, 4]))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ScoreCAM(batch=0), "batch is 0"),
        (lambda: ScoreCAM(channels=0), "channels is 0"),
        (lambda: RISE(keep=1.0), "keep is 1.0"),
        (lambda: RISE(masks=0), "0 masks"),
        (lambda: RISE(grid=(3, 0)), "show nothing"),
        (lambda: IntegratedGradients(steps=0), "steps is 0"),
        (lambda: AblationCAM(batch=-1), "batch is -1"),
        (lambda: methods.make_gradcampp(epsilon=-1.0), "epsilon is -1"),
        (lambda: methods.make_kpcacam(gamma=0.0), "gamma is 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, says):
    with pytest.raises(MethodError, match=says):
        make()


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (Occlusion(window=99), "does not fit the input"),
        (Occlusion(window=2, stride=3), "pixels would stay unexplained"),
        (Occlusion(window=0), "does not fit"),
    ],
)
def test_windows_that_do_not_fit_are_refused(net, x, method, says):
    with pytest.raises(MethodError, match=says):
        method(make_trace(net, x, [1, 4]))


@pytest.mark.parametrize("name", ["scorecam", "ablationcam", "integratedgradients", "fullgrad", "shapleycam"])
def test_float32_and_bfloat16_models_agree_with_float64(x, name):
    method = getattr(methods, name)
    want = method(make_trace(make_net(smooth=True), x, [1, 4], biases=True))[0].values
    peak = float(want.abs().max())
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.15)):
        net = make_net(smooth=True, dtype=dtype)
        trace = make_trace(net, x.to(dtype), [1, 4], biases=True)
        if name == "integratedgradients" and dtype == torch.bfloat16:
            method = IntegratedGradients(tolerance=10.0)
        got = method(trace)[0].values
        assert got.dtype == torch.float32
        assert float((got.double() - want).abs().max()) < tolerance * peak, dtype


def test_a_letterboxed_input_keeps_its_frame(net):
    """Maps over the input carry the input's frame, so they reach the source picture through the padding."""
    from isotherm.cam.view import Inputs

    frame = Frame.letterbox((30, 60), (16, 12)).expanded(1)
    inputs = Inputs(torch.randn(1, 3, 16, 12, dtype=torch.float64), frame)
    rerun = PlainRerun(net, inputs, torch.tensor([0]), torch.tensor([1]))
    trace = Trace(rerun.scores(inputs.tensor, torch.tensor([0])), torch.tensor([0]), inputs, rerun=rerun)
    for method in (Occlusion(window=4), RISE(masks=5), IntegratedGradients(tolerance=1e9)):
        (m,) = method(trace)
        assert m.frame.allclose(frame)
        assert m.values.shape == (1, 16, 12)


def test_masks_multiply_the_picture_as_pgc_does_where_the_blank_is_zero():
    seen = []

    class Look(nn.Module):
        def forward(self, t):
            seen.append(t.clone())
            return t.mean((2, 3))

    picture = torch.randn(3, 4, 4)
    inputs = make_inputs(picture[None])
    rerun = PlainRerun(Look(), inputs, torch.tensor([0]), torch.tensor([1]))
    from isotherm.cam.methods.scoring import masked_scores

    masks = torch.rand(5, 4, 4)
    got = masked_scores(rerun, picture, masks, torch.zeros(3, 1, 1), torch.tensor([0]), batch=2)
    torch.testing.assert_close(torch.cat(seen), picture * masks[:, None])
    torch.testing.assert_close(got[:, 0], (picture * masks[:, None]).mean((2, 3))[:, 1])
    assert F.mse_loss(got[0], got[1]) > 0


def test_occlusion_of_a_clip_by_hand():
    """Three frames of a row of two pixels, 1 2, 3 4, 5 6; a pixel of two frames at a time is blanked, the last is alone."""

    class Sum:
        def scores(self, tensor, target):
            return tensor.sum((1, 2, 3, 4))

        def input_gradient(self, *_): ...
        def scores_with_channels(self, *_): ...
        def hessian_vector(self, *_): ...

    tensor = torch.arange(1.0, 7).reshape(1, 3, 1, 1, 2)
    inputs = Inputs(tensor, Frame.identity((1, 2)).expanded(1), timelines=(Timeline.of(3, fed=3),))
    trace = Trace(torch.tensor([21.0]), torch.tensor([0]), inputs, rerun=Sum())
    (found,) = Occlusion(window=(1, 1), frames=2)(trace)
    assert found.values.tolist() == [[[[4.0, 6.0]], [[5.0, 6.0]]]]
    moments = inputs.timelines[0].moments(found.time.first, found.time.stride, 2)
    assert moments.frames == ((0, 2), (2, 3))
