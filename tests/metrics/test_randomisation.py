"""Randomised weights: everything is random inside the block, and every bit is back after it."""

from __future__ import annotations

import copy
import zlib

import pytest
import torch
from torch import nn

from isotherm.errors import MethodError, OptionError
from isotherm.metrics import learned_modules, randomised
from isotherm.metrics.references import mix


class Scale(nn.Module):
    """Parameters of its own and no way to reset them, as LayerScale."""

    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((4,), 0.3))
        self.nothing = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        return x * self.gamma[:, None, None] + self.nothing[:, None, None]


class Frozen(nn.Module):
    """Batch statistics as buffers, as torchvision's FrozenBatchNorm2d."""

    def __init__(self):
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.rand(4) + 0.5)

    def forward(self, x):
        scale = (self.weight / self.running_var.sqrt())[:, None, None]
        return (x - self.running_mean[:, None, None]) * scale + self.bias[:, None, None]


def make_model():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        Scale(),
        Frozen(),
        nn.Flatten(2),
        nn.MultiheadAttention(16, 2, batch_first=True),
    )
    model.add_module("head", nn.Linear(16, 5))
    with torch.no_grad():
        for p in (*model[1].parameters(), model[6].in_proj_bias, model[6].out_proj.bias):
            p.copy_(torch.rand_like(p) + 0.5)
        model[1].running_mean.copy_(torch.randn(4))
        model[1].running_var.copy_(torch.rand(4) + 0.5)
    return model.eval()


def run(model, x):
    for part in model:
        x = part(x, x, x)[0] if isinstance(part, nn.MultiheadAttention) else part(x)
    return x


def snapshot(model):
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return [
        (n, t, t.detach().clone(), t.requires_grad, t.grad, t._version if not t.is_inference() else 0)
        for n, t in tensors
    ]


def assert_as_before(model, before):
    now = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    assert [n for n, _ in now] == [n for n, *_ in before]
    for (_, tensor), (_, same, value, flag, grad, version) in zip(now, before, strict=True):
        assert tensor is same
        assert torch.equal(tensor, value)
        assert tensor.requires_grad == flag
        assert tensor.grad is grad
        assert tensor.is_inference() or tensor._version == version  # not even written to and written back


def test_everything_learned_is_random_inside_and_back_outside():
    model, x = make_model(), torch.randn(2, 3, 4, 4)
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before, out = snapshot(model), run(model, x)
    with randomised(model) as what:
        inside = {n: t.detach().clone() for n, t in [*model.named_parameters(), *model.named_buffers()]}
        assert not torch.allclose(run(model, x), out, atol=1e-2)
    assert_as_before(model, before)
    assert torch.equal(run(model, x), out)
    assert what.noised == ("3",)
    assert what.reset == ("head", "6.out_proj", "6", "4", "1", "0")
    for name, _, old, *_ in before:
        if name in ("1.num_batches_tracked", "3.nothing"):
            continue
        assert not torch.equal(inside[name], old), name
    assert torch.equal(inside["1.running_mean"], torch.zeros(4))
    assert torch.equal(inside["4.running_var"], torch.ones(4))
    assert inside["3.gamma"].square().mean().sqrt().item() == pytest.approx(0.3, rel=0.8)
    assert inside["3.gamma"].std() > 0


@pytest.mark.parametrize("where", ["inside", "calibrate", "reset"])
def test_back_after_an_exception(where, monkeypatch):
    model = make_model()
    before = snapshot(model)

    def fail(*_):
        raise RuntimeError("stop")

    if where == "reset":
        monkeypatch.setattr(nn.Conv2d, "reset_parameters", fail)
    with pytest.raises(RuntimeError, match="stop"), randomised(model, calibrate=fail if where == "calibrate" else None):
        fail()
    assert_as_before(model, before)
    assert all(not m._forward_pre_hooks for m in model.modules())


def frozen(model):
    return model.requires_grad_(False)


def half(model):
    return model.to(torch.bfloat16)


def tied(model):
    model.twin = nn.Linear(16, 5)
    model.twin.weight = model.head.weight
    return model


def inference(model):
    with torch.inference_mode():
        for module in model.modules():
            for name, p in list(module._parameters.items()):
                if p is not None:
                    module._parameters[name] = nn.Parameter(p.clone(), requires_grad=False)
            for name, b in list(module._buffers.items()):
                module._buffers[name] = b.clone()
    assert model.head.weight.is_inference()
    return model


@pytest.mark.parametrize("change", [frozen, half, tied, inference])
def test_any_kind_of_tensor(change):
    model = change(make_model())
    before = snapshot(model)
    dtype = model.head.weight.dtype
    with randomised(model):
        assert not torch.equal(model.head.weight, before[[n for n, *_ in before].index("head.weight")][2])
        assert model.head.weight.dtype == dtype
        assert model.head.weight.requires_grad == (change in (half, tied))
        assert not model.head.weight.is_inference()
        if change is tied:
            assert model.twin.weight is model.head.weight
    assert_as_before(model, before)


def test_inside_inference_mode():
    model, x = make_model(), torch.randn(1, 3, 4, 4)
    before = snapshot(model)
    with torch.inference_mode(), randomised(model, calibrate=lambda: run(model, x)):
        run(model, x)
    assert_as_before(model, before)


def test_a_tie_that_reaches_out_of_the_part_is_kept():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].weight = model[2].weight
    before = snapshot(model)
    with randomised(model, ["2"]):
        assert model[0].weight is model[2].weight
        assert not torch.equal(model[0].weight, before[0][2])
    assert_as_before(model, before)


def test_buffers_written_inside_are_back():
    model, x = make_model(), torch.randn(2, 3, 4, 4)
    before = snapshot(model)
    with randomised(model, ["head"]):
        model.train()
        run(model, x)
        assert not torch.equal(model[1].running_mean, before[[n for n, *_ in before].index("1.running_mean")][2])
        model.eval()
    assert_as_before(model, before)


def test_graphs_recorded_before_stay_valid():
    model, x = make_model(), torch.randn(2, 3, 4, 4)
    loss = run(model, x).square().sum()
    (want,) = torch.autograd.grad(loss, model[0].weight, retain_graph=True)
    with randomised(model):
        run(model, x)
    (got,) = torch.autograd.grad(loss, model[0].weight)
    assert torch.equal(want, got)


def test_parts_are_nested_from_the_output():
    model = make_model()
    names = learned_modules(model)
    assert names == ("head", "6.out_proj", "6", "4", "3", "1", "0")
    with randomised(model, 0.3) as what:
        assert (*what.reset, *what.noised) == names[:3]
        part = model.head.weight.detach().clone()
        assert torch.equal(model[0].weight, make_same(model, "0.weight"))
    with randomised(model, 1.0):
        assert torch.equal(model.head.weight, part)  # the same draw, however far the cascade has gone
    with randomised(model, 1.0, seed=1):
        assert not torch.equal(model.head.weight, part)
    with randomised(model, ["6"]) as what:
        assert what.reset == ("6.out_proj", "6")
    with randomised(model, keep=["head", "6"]) as what:
        assert what.modules == 4


def make_same(model, name):
    return dict(copy.deepcopy(model).named_parameters())[name]


def test_the_global_random_state_is_left_alone():
    model = make_model()
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    with randomised(model):
        pass
    assert torch.equal(torch.rand(3), want)


def test_numbers_are_those_of_the_seed_and_no_other_device_is_seeded(monkeypatch):
    model = make_model()
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("a device was seeded"))
        with randomised(model, ["head"], seed=7):
            weight = model.head.weight.detach().clone()
    torch.manual_seed(mix(7, zlib.crc32(b"head")))
    assert torch.equal(weight, nn.Linear(16, 5).weight)


def test_a_reset_that_does_nothing_is_noticed():
    class Lazy(nn.Linear):
        def reset_parameters(self):
            if not hasattr(self, "made"):
                super().reset_parameters()
                self.made = True

    model = nn.Sequential(Lazy(4, 4))
    old = model[0].weight.detach().clone()
    with randomised(model) as what:
        assert not torch.equal(model[0].weight, old)
    assert what.noised == ("0",)


def test_parametrised_weights_are_reached():
    model = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)))
    x = torch.randn(1, 6)
    before, out = snapshot(model), model(x)
    with randomised(model):
        assert not torch.allclose(model(x), out)
    assert_as_before(model, before)
    assert torch.equal(model(x), out)


def test_recurrent_layers_run_with_the_random_weights():
    model, x = nn.Sequential(nn.LSTM(3, 4, batch_first=True)), torch.randn(1, 5, 3)
    out = model(x)[0]
    with randomised(model):
        inside = model(x)[0]
    assert not torch.allclose(inside, out)
    assert torch.equal(model(x)[0], out)


def test_calibration_keeps_the_signal_alive():
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(12)]
    model, x = nn.Sequential(*blocks).eval(), torch.randn(2, 8, 8, 8)
    with randomised(model):
        assert model(x).std() < 1e-3  # statistics of 0 and 1 let it fade
    with randomised(model, calibrate=lambda: model(x)):
        assert 0.3 < model(x).std() < 1.5
        last = model[-1][1]
        y = model[:-1](x)
        assert torch.allclose(last(model[-1][0](y)).mean((0, 2, 3)), torch.zeros(8), atol=1e-3)
        assert all(not m._forward_pre_hooks for m in model.modules())
        assert not last.training


def test_mistakes(unchecked):
    model = make_model()
    for wrong, words in (
        (0.0, "above 0 to 1"),
        (1.5, "above 0 to 1"),
        (["hed"], "no module 'hed'"),
        (["2"], "nothing to randomise"),
    ):
        with pytest.raises(OptionError, match=words), randomised(model, wrong):
            pass
    with pytest.raises(OptionError, match="keep names"):
        learned_modules(model, keep=["heads"])
    model.whole = nn.Parameter(torch.zeros(3, dtype=torch.int8), requires_grad=False)
    before = snapshot(model)
    with pytest.raises(MethodError, match="quantised"), randomised(model):
        pass
    assert_as_before(model, before)
