"""Whatever a model's own forward pass does with grad mode, its maps are those of the model without it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.overrides import _get_current_function_mode_stack

from isotherm.cam.attribute import attribute_again
from isotherm.cam.capture import record
from isotherm.cam.methods import IntegratedGradients, eigencam, gradcam, hirescam
from isotherm.errors import LayerError
from isotherm.relevance.attention import recorded_attention
from isotherm.relevance.grad_mode import GradientKeeper, begin_graph, gradients_kept, without_gradients
from isotherm.relevance.modules import resolve
from rigs.attention_models import torchvision_vit
from rigs.breadth import wide
from rigs.grad_mode_nets import BLOCKS, METHODS, PICTURES, Net, assert_same, expected_of, make, maps_of
from rigs.tiny_views import TinyClassifier, TinyNet

FIRST = ("no_grad", "inference_mode", "function below")
BLOCKS_FIRST = [*FIRST, *wide(block for block in BLOCKS if block not in FIRST)]


@pytest.mark.parametrize("places", [("body",), ("neck",), ("everything",), ("mix", "fc")], ids="+".join)
@pytest.mark.parametrize("block", BLOCKS_FIRST)
def test_maps_are_those_of_the_model_without_blocks(block, places):
    layers = ("body", "neck.mix", "neck")
    assert_same(maps_of(make(block, *places), list(layers)), expected_of(layers))
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("layer", ["body", "neck"])
@pytest.mark.parametrize("block", BLOCKS_FIRST)
def test_one_layer_alone_is_enough(block, layer):
    assert_same(maps_of(make(block, "body", "fc"), [layer]), expected_of((layer,)))


def test_a_decorated_forward_is_no_other_model():
    class Decorated(Net):
        @torch.inference_mode()
        def forward(self, x):
            return super().forward(x)

    torch.manual_seed(0)
    net = Decorated().eval()
    net.body[1].running_mean.uniform_(-1, 1)
    assert_same(maps_of(net, ["body", "neck"]), maps_of(make(), ["body", "neck"]))


@pytest.mark.parametrize("block", ["no_grad", "inference_mode"])
@pytest.mark.parametrize("layers", ["backbone.first", "backbone.second", "backbone", "behind"])
def test_a_frozen_backbone_is_explained_inside_at_its_end_and_behind(block, layers):
    class Probe(nn.Module):
        def __init__(self, block):
            super().__init__()
            torch.manual_seed(0)
            self.backbone = nn.Sequential()
            self.backbone.first, self.backbone.act = nn.Conv2d(3, 5, 3, stride=2), nn.Softplus()
            self.backbone.second = nn.Conv2d(5, 6, 3, padding=1)
            self.behind, self.fc = nn.Identity(), nn.Linear(6, 4)
            self.backbone.requires_grad_(False)
            self.block = block

        def forward(self, x):
            with self.block():
                f = self.backbone(x)
            return self.fc(self.behind(f).square().mean((2, 3)))

    assert_same(maps_of(Probe(BLOCKS[block]).eval(), layers), maps_of(Probe(nullcontext).eval(), layers))


@pytest.mark.parametrize("ambient", [torch.no_grad, torch.inference_mode])
def test_the_callers_own_block_makes_no_difference(ambient):
    expected = maps_of(make(), ["body", "neck"])
    with ambient():
        found = maps_of(make("inference_mode", "mix"), ["body", "neck"])
        again, _ = attribute_again(
            found.rerun.view,
            found.rerun.inputs.take(found.targets.picture),
            found.targets,
            methods=METHODS,
            layers=["body", "neck"],
        )
        assert not torch.is_grad_enabled()
        assert torch.is_inference_mode_enabled() == (ambient is torch.inference_mode)
    assert_same(found, expected)
    for got, want in zip(again, expected.maps, strict=True):
        torch.testing.assert_close(got.values, want.values, rtol=1e-5, atol=1e-5 * float(want.values.abs().max()))


def test_a_model_made_under_inference_mode_has_gradients():
    with torch.inference_mode():
        net = make("no_grad", "neck")
    assert net.fc.weight.is_inference()
    assert_same(maps_of(net, ["body", "neck"]), maps_of(make(), ["body", "neck"]))


def test_what_is_written_into_tensors_made_under_inference_mode_stays_written():
    class Writing(TinyNet):
        """Tensors made in front of the layer, under inference mode, are changed in place behind it."""

        def __init__(self, through=False):
            torch.manual_seed(0)
            super().__init__()
            self.through = through

        @torch.inference_mode()
        def forward(self, x):
            scale, shift = x.mean((1, 2, 3)) * 0 + 1, x.new_zeros(5)
            f = torch.relu(self.first(x))
            scale.mul_(2)
            shift[1:3] = 0.5
            torch.add(shift, 0.25, out=shift)
            if self.through:
                shift += f.mean((0, 2, 3))
            return self.head(
                torch.relu(self.second(f * scale[:, None, None, None] + shift[:, None, None])).mean((2, 3))
            )

    class Plain(Writing):
        def forward(self, x):
            f = torch.relu(self.first(x))
            shift = torch.tensor([0.25, 0.75, 0.75, 0.25, 0.25])
            return self.head(torch.relu(self.second(f * 2 + shift[:, None, None])).mean((2, 3)))

    assert_same(maps_of(Writing(), "first", [hirescam, gradcam]), maps_of(Plain(), "first", [hirescam, gradcam]))
    with pytest.raises(
        LayerError,
        match=r"add_ in .*cannot be differentiated \(Inplace update to inference tensor.*choose a later layer",
    ):
        maps_of(Writing(through=True), "first", [hirescam])


def test_methods_without_gradients_get_tensors_that_can_be_used():
    view = TinyClassifier(make("inference_mode", "everything"))
    inputs = view.prepare(PICTURES)
    kept = record(view.model, lambda: view.run(inputs), resolve(view.model, "neck"), gradient=False)
    assert not kept.calls[0].output.is_inference()
    assert_same(maps_of(make("inference_mode", "everything"), "neck", [eigencam]), maps_of(make(), "neck", [eigencam]))


def test_a_frozen_vision_transformer_attends_with_gradients():
    """Attention begins a graph of its own, in front of the target layer and inside of the block."""

    def observe(freeze):
        net, size = torchvision_vit()
        if freeze:
            net.encoder.forward = torch.no_grad()(net.encoder.forward)
            net.forward = torch.inference_mode()(net.forward)
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
        with recorded_attention(net, gradient=True) as calls:
            kept = record(net, lambda: net(x), resolve(net, "encoder.layers[1]"))
        return kept.gradients(kept.raw[:, 2], torch.arange(2), also=[call.probabilities for call in calls])

    frozen, free = observe(True), observe(False)
    assert len(frozen) == 4
    for got, want in zip(frozen, free, strict=True):
        assert want.abs().max() > 0
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6 * float(want.abs().max()))


def test_what_was_kept_on_is_told():
    notes = maps_of(make("no_grad", "neck"), "body", [hirescam]).notes
    assert [
        n
        for n in notes
        if "puts gradients off" in n and "Net.forward (grad_mode_nets.py, line" in n and "were kept on" in n
    ]
    assert maps_of(make(), "body", [hirescam]).notes == ()
    # a block that only puts gradients on, one that ends behind the layer, and one without a tensor of the graph overrule nothing
    for block, place in (("enable_grad", "neck"), ("no_grad", "body")):
        assert maps_of(make(block, place), ["body"], [hirescam]).notes == ()

    class Positions(TinyNet):
        @torch.no_grad()
        def positions(self, x):
            return torch.arange(x.shape[-1], dtype=x.dtype).sin()

        def forward(self, x):
            f = torch.relu(self.second(torch.relu(self.first(x))))
            return self.head((f * self.positions(f)).mean((2, 3)))

    assert maps_of(Positions(), ["first"], [hirescam]).notes == ()
    # a method that starts at the input tells it as well
    assert any(
        "puts gradients off" in n
        for n in maps_of(make("inference_mode", "body"), "neck", [IntegratedGradients(steps=2, tolerance=1e9)]).notes
    )


def test_an_autograd_function_runs_as_it_was_written():
    seen = []

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            seen.append((torch.is_grad_enabled(), y.requires_grad))
            with torch.enable_grad():
                inner = x.detach().requires_grad_() * 3
            seen.append((torch.is_grad_enabled(), inner.requires_grad))
            return y

        @staticmethod
        def backward(ctx, g):
            return g * 2

    class Thrice(torch.autograd.Function):
        @staticmethod
        def forward(x):
            y = x * 3
            seen.append((torch.is_grad_enabled(), y.requires_grad))
            return y

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return g * 3

    class WithFunctions(TinyNet):
        def __init__(self, functions):
            torch.manual_seed(0)
            super().__init__()
            self.functions = functions

        def forward(self, x):
            with torch.no_grad():
                f = self.first(x)
            f = Thrice.apply(Twice.apply(f)) if self.functions else f * 6
            return self.head(torch.relu(self.second(torch.relu(f))).mean((2, 3)))

    found = maps_of(WithFunctions(True), "first", [hirescam])
    assert set(seen) == {(False, False), (False, True)}
    assert_same(found, maps_of(WithFunctions(False), "first", [hirescam]))


def test_steps_that_autograd_cannot_follow_run_as_the_model_meant_them():
    class Counting(TinyNet):
        def __init__(self):
            torch.manual_seed(0)
            super().__init__()
            self.register_buffer("mean", torch.zeros(5))
            self.seen = nn.Parameter(torch.zeros(5))
            self.largest = None

        def forward(self, x):
            f = torch.relu(self.first(x))
            with torch.no_grad():
                self.mean.mul_(0.9).add_(f.mean((0, 2, 3)))
                self.seen.copy_(f.amax((0, 2, 3)))
                self.seen.mul_(2)
                self.largest = float(f.max()), f.numpy().max()
            return self.head(torch.relu(self.second(f)).mean((2, 3)))

    torch.manual_seed(0)
    plain = TinyNet()
    net = Counting()
    assert_same(maps_of(net, "first", [hirescam]), maps_of(plain, "first", [hirescam]))
    assert net.largest[0] == net.largest[1] > 0
    assert float(net.seen.detach().max()) == pytest.approx(2 * net.largest[0])
    assert net.mean.grad_fn is None
    assert not net.mean.requires_grad
    assert float(net.mean.sum()) > 0
    assert net.seen.is_leaf
    assert net.seen.requires_grad
    assert net.seen.grad is None


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("ambient", [torch.enable_grad, torch.inference_mode])
def test_nothing_is_left_behind_by_an_exception(block, ambient):
    class Failing(Net):
        def forward(self, x):
            with BLOCKS[block]():
                f = self.neck(self.body(x).relu())
                raise ValueError(f"on purpose {f.shape}")

    net = Failing().eval()
    with ambient():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        for methods in ([hirescam], [IntegratedGradients(steps=1)]):
            with pytest.raises(ValueError, match="on purpose"):
                maps_of(net, "body", methods)
            assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
            assert not _get_current_function_mode_stack()
            assert not any(m._forward_hooks for m in net.modules())
            assert torch.ones(1).is_inference() == torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_threads_keep_their_own_grad_mode():
    """Two models traced at once, one with blocks, while a third thread stays without gradients."""
    expected = maps_of(make(), ["body", "neck"], [hirescam])
    ready = threading.Barrier(3)

    def traced(net):
        torch.set_grad_enabled(False)
        ready.wait()
        found = [maps_of(net, ["body", "neck"], [hirescam]) for _ in range(5)]
        assert not torch.is_grad_enabled()
        return found

    def bystander():
        torch.set_grad_enabled(False)
        ready.wait()
        weight = torch.ones(3, requires_grad=True)
        return [((weight * 2).requires_grad, torch.is_grad_enabled()) for _ in range(500)]

    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(traced, make(block, "body", "mix")) for block in ("no_grad", "inference_mode")]
        assert set(pool.submit(bystander).result()) == {(False, False)}
        for run in runs:
            for found in run.result():
                assert_same(found, expected)


def test_a_model_that_runs_its_parts_in_threads_has_gradients():
    class Spread(Net):
        def forward(self, x):
            with ThreadPoolExecutor(1) as pool:
                f = pool.submit(lambda: self.body(x).relu()).result()
                f = pool.submit(lambda: self.neck(f)).result()
            return self.fc(self.pool(f.sigmoid()).flatten(1))

    torch.manual_seed(0)
    net = Spread().eval()
    net.body[1].running_mean.uniform_(-1, 1)
    assert_same(maps_of(net, "neck", [hirescam, gradcam]), maps_of(make(), "neck", [hirescam, gradcam]))


def test_adapters_can_leave_gradients_off():
    weight = torch.ones(2, requires_grad=True)
    with gradients_kept(begun=True) as keeper:
        with torch.no_grad():
            assert (weight * 2).requires_grad
        with without_gradients():
            assert not (weight * 2).requires_grad
        assert (weight * 2).requires_grad
    assert len(keeper.notes) == 1
    with without_gradients():
        assert not (weight * 2).requires_grad


def test_a_graph_begins_where_it_is_told_to():
    weight = torch.ones(2, requires_grad=True)
    with torch.no_grad(), gradients_kept() as keeper:
        assert isinstance(keeper, GradientKeeper)
        assert not (weight * 2).requires_grad
        with torch.inference_mode():
            begin_graph("here")
            assert (weight * 2).requires_grad
        assert (weight * 2).requires_grad
    with torch.no_grad():
        begin_graph("a pass that nobody keeps")
        assert torch.is_grad_enabled()
