"""Where a graph ends or is computed twice, a layer in front of that is refused, with the step and the layer that helps."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils.checkpoint import checkpoint

from isotherm import explain
from isotherm.cam.methods import IntegratedGradients, hirescam
from isotherm.errors import LayerError, MethodError
from rigs.grad_mode_nets import assert_same, maps_of
from rigs.tiny_views import TinyNet


class Cut(TinyNet):
    def __init__(self, cut):
        torch.manual_seed(0)
        super().__init__()
        self.cut = cut

    def forward(self, x):
        f = self.cut(torch.relu(self.first(x)))
        return self.head(torch.relu(self.second(f)).mean((2, 3)))


@pytest.mark.parametrize(
    ("cut", "step"),
    [
        (lambda f: f.detach(), "detach"),
        (lambda f: f.data, "data"),
        (lambda f: torch.from_numpy(f.numpy()), "numpy"),
        (lambda f: torch.tensor(f.tolist()), "tolist"),
        (lambda f: (f > 0.1).float(), "gt"),
        (lambda f: f * 0 + f.mean().item(), None),
    ],
)
def test_a_graph_that_ends_is_refused_with_the_step_and_a_later_layer(cut, step):
    net = Cut(cut)
    assert_same(maps_of(net, "second", [hirescam]), maps_of(net, "second", [hirescam]))
    if step is None:  # gradient 0 is another thing, and told as such
        with pytest.raises(MethodError, match="exactly 0 in every cell"):
            maps_of(net, "first", [hirescam])
        return
    for layers, says in (
        ("first", "layer first has no path"),
        (["first", "second"], "layer first has no path"),
        ("first", "no gradient at layer first"),
    ):
        net.requires_grad_("no gradient" not in says)
        with pytest.raises(
            LayerError,
            match=rf"{says}.*the gradient ends at {step} in .*lambda.* \(test_breaks.py, line \d+\).*choose a later layer",
        ):
            maps_of(net, layers, [hirescam])
    with pytest.raises(
        MethodError,
        match=rf"at the model's input.*it ends at {step} in .*choose a method that needs a layer's gradient",
    ):
        maps_of(net, "second", [IntegratedGradients(steps=1)])


def test_a_layer_off_the_path_is_not_advised_to_come_later():
    class Side(TinyNet):
        def __init__(self):
            super().__init__()
            self.side = nn.Conv2d(5, 5, 1)

        def forward(self, x):
            f = torch.relu(self.first(x))
            self.side(f)
            return self.head(torch.relu(self.second(f.detach())).mean((2, 3)))

    for layers in ("side", ["second", "side"]):
        with pytest.raises(
            LayerError, match=r"side.*does not depend on its output; choose a layer that the score is computed from"
        ):
            maps_of(Side(), layers, [hirescam])


def test_a_step_without_derivative_is_refused_with_its_place():
    class Unbinding(TinyNet):
        def forward(self, x):
            f = self.first(x)
            with torch.no_grad():
                for channel in f.unbind(1):
                    channel.clamp_(min=0)  # of several views of one tensor, which autograd does not follow
            return self.head(torch.relu(self.second(f)).mean((2, 3)))

    with pytest.raises(
        LayerError,
        match=r"clamp_ in .*Unbinding.forward \(test_breaks.py, line \d+\) cannot be differentiated.*choose a later layer",
    ):
        maps_of(Unbinding(), "first", [hirescam])
    assert maps_of(Unbinding(), "second", [hirescam]).maps[0].values.abs().max() > 0


class Checkpointed(TinyNet):
    def __init__(self, reentrant, block=nullcontext):
        torch.manual_seed(0)
        super().__init__()
        self.reentrant, self.block = reentrant, block

    def part(self, f):
        with self.block():
            f = self.second(f)
        return torch.sigmoid(f).square()

    def forward(self, x):
        f = torch.sigmoid(self.first(x))
        f = self.part(f) if self.reentrant is None else checkpoint(self.part, f, use_reentrant=self.reentrant)
        return self.head(f.mean((2, 3)))


@pytest.mark.parametrize("layers", ["first", "second", ["first", "second"]])
def test_checkpoints_that_keep_a_graph_change_nothing(layers):
    assert_same(maps_of(Checkpointed(False), layers), maps_of(Checkpointed(None), layers))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("layers", ["first", "second", ["first", "second"]])
def test_reentrant_checkpoints_are_refused_with_advice(layers):
    with pytest.raises(LayerError, match=r"use_reentrant=True.*switch checkpointing off.*use_reentrant=False"):
        maps_of(Checkpointed(True), layers, [hirescam])
    with pytest.raises(LayerError, match=r"use_reentrant=True.*switch checkpointing off"):
        maps_of(Checkpointed(True), "first", [IntegratedGradients(steps=1)])
    assert torch.is_grad_enabled()
    assert not _get_current_function_mode_stack()


def test_a_block_inside_of_a_checkpoint_is_refused_or_right():
    # the second computation is torch's own, with the block as it stands
    with pytest.raises(
        LayerError, match=r"second computation was not that of the forward pass.*switch checkpointing off"
    ):
        maps_of(Checkpointed(False, torch.no_grad), "first", [hirescam])
    assert_same(
        maps_of(Checkpointed(False, torch.no_grad), "second", [hirescam]),
        maps_of(Checkpointed(None), "second", [hirescam]),
    )


def test_values_that_are_written_over_where_gradients_are_off_are_refused_with_advice():
    """Plain torch runs this, since nothing keeps what a gradient would need; with gradients kept on it is gone."""

    class Over(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = (
                nn.Conv2d(3, 4, 3, padding=1),
                nn.Conv2d(4, 4, 3, padding=1),
                nn.Linear(4, 2),
            )

        def forward(self, x):
            x = self.first(x)
            with torch.no_grad():
                y = self.second(x)
                z = torch.sigmoid(y)
                z.mul_(2)
            return self.head((z + y).mean((2, 3)))

    with pytest.raises(LayerError, match=r"writes over values that the gradient needs.*eigencam"):
        explain(
            Over().eval(), np.zeros((32, 32, 3), np.uint8) + 90, layers="first", method="gradcam", trust="off", size=32
        )
    assert (
        len(
            explain(
                Over().eval(),
                np.zeros((32, 32, 3), np.uint8) + 90,
                layers="first",
                method="eigencam",
                trust="off",
                size=32,
            )
        )
        == 1
    )
