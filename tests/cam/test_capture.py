"""Capture keeps calls by identity and leaves nothing behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isotherm.cam.capture import original_module, record
from isotherm.errors import AdapterError, LayerError
from isotherm.relevance.modules import resolve


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.unused = nn.Conv2d(4, 4, 1)
        self.side = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.relu(self.norm(self.first(x)))
        self.side(x)
        y = self.second(x)
        y += x  # in place on a hooked output
        return self.head(self.relu(y).mean((2, 3)))


def run(net, layers, x, gradient=True):
    return record(net, lambda: net(x), resolve(net, layers), gradient=gradient)


def state(net):
    return (
        [m.training for m in net.modules()],
        [p.requires_grad for p in net.parameters()],
        [p.grad for p in net.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in net.modules()],
        [b.clone().tolist() for b in net.buffers()],
        torch.is_grad_enabled(),
    )


def test_activation_and_gradient_are_those_of_the_call_even_after_an_in_place_sum():
    net, x = Net().eval(), torch.randn(2, 3, 6, 6)
    rec = run(net, ["second", "first"], x)
    scores = rec.raw[:, 1]
    g2, g1 = rec.gradients(scores, torch.tensor([0, 1]))
    # by hand, out of place
    a1 = net.first(x).detach().requires_grad_()
    h = torch.relu(net.norm(a1))
    a2 = net.second(h)
    out = net.head(torch.relu(a2 + h).mean((2, 3)))
    w2, w1 = torch.autograd.grad(out[:, 1].sum(), [a2, a1])
    torch.testing.assert_close(rec.calls[0].output, a2)
    torch.testing.assert_close(rec.calls[1].output, a1)
    torch.testing.assert_close(g2, w2)
    torch.testing.assert_close(g1, w1)


def test_several_scores_of_one_picture_keep_their_order():
    net, x = Net().eval(), torch.randn(2, 3, 6, 6)
    rec = run(net, ["second"], x)
    picture = torch.tensor([1, 0, 1, 1, 0])
    classes = torch.tensor([0, 1, 2, 3, 4])
    (g,) = rec.gradients(rec.raw[picture, classes], picture)
    for row, (p, k) in enumerate(zip(picture.tolist(), classes.tolist(), strict=True)):
        single = run(net, ["second"], x[p : p + 1])
        (one,) = single.gradients(single.raw[:, k], torch.tensor([0]))
        torch.testing.assert_close(g[row], one[0])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fail", [False, True])
def test_nothing_is_left_behind(training, fail):
    net, x = Net().train(training), torch.randn(2, 3, 6, 6)
    net.norm.eval()
    net.first.weight.requires_grad_(False)
    before = state(net)
    if fail:
        with pytest.raises(RuntimeError, match="on purpose"):
            record(net, lambda: (net(x), (_ for _ in ()).throw(RuntimeError("on purpose"))), resolve(net, "second"))
    else:
        rec = run(net, "second", x)
        rec.gradients(rec.raw[:, 0], torch.arange(2))
    assert state(net) == before


def test_a_frozen_model_and_inference_mode_make_no_difference():
    net, x = Net().eval(), torch.randn(1, 3, 6, 6)
    rec = run(net, "second", x)
    (free,) = rec.gradients(rec.raw[:, 0], torch.zeros(1, dtype=torch.long))
    net.requires_grad_(False)
    with torch.inference_mode():
        rec = run(net, "second", x)
    (frozen,) = rec.gradients(rec.raw[:, 0], torch.zeros(1, dtype=torch.long))
    torch.testing.assert_close(free, frozen)


def test_a_module_called_twice_must_be_chosen():
    net, x = Net().eval(), torch.randn(1, 3, 6, 6)
    with pytest.raises(LayerError, match=r"relu ran 2 times.*relu@0, relu@1"):
        run(net, "relu", x)
    first, second = run(net, ["relu@0", "relu@1"], x).calls
    assert not torch.equal(first.output, second.output)
    with pytest.raises(LayerError, match=r"relu@2 does not exist"):
        run(net, "relu@2", x)


def test_layers_off_the_path_are_named():
    net, x = Net().eval(), torch.randn(1, 3, 6, 6)
    with pytest.raises(LayerError, match="unused did not run"):
        run(net, "unused", x)
    rec = run(net, ["second", "side"], x)
    with pytest.raises(LayerError, match="layer side has no path"):
        rec.gradients(rec.raw[:, 0], torch.tensor([0]))
    rec = run(net, ["side"], x)
    with pytest.raises(LayerError, match="side"):
        rec.gradients(rec.raw[:, 0], torch.tensor([0]))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("secnd", "did you mean second"),
        ("first.weight", "first"),
        ("[99]", "has 7 children"),
        ("", "no layer"),
        ("relu@x", "number of a call"),
    ],
)
def test_a_wrong_name_is_answered_with_what_there_is(name, says):
    with pytest.raises(LayerError, match=says):
        resolve(Net(), name)


def test_names_find_modules():
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(nn.ReLU(), nn.Conv2d(3, 3, 1)))
    assert resolve(net, "[-1][-1]")[0].module is net[1][1]
    assert resolve(net, "1.1")[0].module is net[1][1]
    assert resolve(net, net[1][0])[0].name == "1.0"
    with pytest.raises(LayerError, match="not part of"):
        resolve(net, nn.ReLU())


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit:FutureWarning",
    "ignore:.*torch.jit:DeprecationWarning",
    "ignore:.*quantize:UserWarning",
    "ignore:.*quantization:DeprecationWarning",
)
def test_wrappers_are_looked_through_and_unexplainable_models_refused():
    net = Net().eval()
    assert original_module(nn.DataParallel(net)) is net
    assert original_module(torch.compile(net)) is net
    with pytest.raises(AdapterError, match="TorchScript"):
        original_module(torch.jit.trace(net, torch.randn(1, 3, 6, 6)))
    packed = torch.ao.nn.quantized.dynamic.Linear(4, 5)
    with pytest.raises(AdapterError, match="quantised"):
        original_module(nn.Sequential(packed))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_channels_last(dtype):
    net = Net().eval().to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 6, 6, dtype=dtype).to(memory_format=torch.channels_last)
    rec = run(net, "second", x)
    (g,) = rec.gradients(rec.raw[:, 0], torch.arange(2))
    assert g.dtype == dtype
    assert g.abs().sum() > 0
