"""Modules that are odd in one way each: they give the map of the plain network that they are, or a reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from isotherm import explain
from isotherm.errors import LayerError
from isotherm.methods import Occlusion

PICTURE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
OPTIONS = {"size": 64, "target": 2, "trust": "off"}


class Plain(nn.Module):
    """Two stages of convolution, batch norm that has seen pictures, and a head; what is odd overrides ``forward``."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.stage = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 4)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.head(self.stage(self.stem(x)).mean((2, 3)))


class InPlace(Plain):
    """Writes over what the gradient of its own step needs, as one may where gradients are off."""

    def forward(self, x):
        y = self.stage(self.stem(x))
        return self.head(y.exp_().mul_(1.0).log_().mean((2, 3)))


class InPlaceActivation(Plain):
    def __init__(self):
        super().__init__()
        self.stem[2], self.stage[2] = nn.ReLU(inplace=True), nn.ReLU(inplace=True)


class Views(Plain):
    """Goes on with views of the chosen layer's output."""

    def forward(self, x):
        y = self.stage(self.stem(x))
        return self.head(y.permute(0, 2, 3, 1).reshape(len(y), -1, 8)[:, :].transpose(1, 2).mean(2))


class Checkpointed(Plain):
    reentrant = False

    def forward(self, x):
        return self.head(checkpoint(self.stage, self.stem(x), use_reentrant=self.reentrant).mean((2, 3)))


class Reentrant(Checkpointed):
    reentrant = True


class WithDropout(Plain):
    """Drops out while it is trained."""

    def forward(self, x):
        y = nn.functional.dropout(self.stage(self.stem(x)), 0.5, self.training)
        return self.head(y.mean((2, 3)))


class NoGrad(Plain):
    def forward(self, x):
        with torch.no_grad():
            y = self.stage(self.stem(x))
        return self.head(y.mean((2, 3)))


class Keywords(Plain):
    def forward(self, x=None, *, scale=1.0, **others):
        return super().forward(x) * scale


class FloatsInside(Plain):
    def forward(self, x):
        return super().forward(x.double().float().contiguous())


class InAList(Plain):
    """Holds its layers in a list of Python as well, so that they are registered once and found twice."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([self.stem, self.stage])

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return self.head(x.mean((2, 3)))


class CallsForward(Plain):
    """Calls ``forward`` of its stage, so that no hook of the stage itself fires."""

    def forward(self, x):
        return self.head(self.stage.forward(self.stem(x)).mean((2, 3)))


class Slots(Plain):
    """Keeps what it computed, as code that was written to be looked at does."""

    def forward(self, x):
        self.seen = self.stage(self.stem(x))
        return self.head(self.seen.mean((2, 3)))


class Chunked(Plain):
    def forward(self, x):
        parts = [self.head(self.stage(self.stem(one)).mean((2, 3))) for one in x.split(1)]
        return torch.cat(parts)


class WithGradient(Plain):
    """Asks for a gradient inside of its own forward pass."""

    def forward(self, x):
        with torch.enable_grad():
            y = self.stage(self.stem(x))
            weight = torch.ones(1, requires_grad=True)
            (slope,) = torch.autograd.grad((weight * 3).sum(), weight)
        return self.head(y.mean((2, 3))) * slope / 3


def hooked() -> nn.Module:
    model = Plain()
    model.stage.register_forward_hook(lambda module, args, output: output * 1.0)
    model.stage.register_full_backward_hook(lambda module, before, behind: None)
    return model


def half() -> nn.Module:
    return Plain().to(torch.bfloat16)


def channels_last() -> nn.Module:
    return Plain().to(memory_format=torch.channels_last)


def parallel() -> nn.Module:
    return nn.DataParallel(Plain())


def frozen() -> nn.Module:
    return Plain().requires_grad_(requires_grad=False)


def parametrised() -> nn.Module:
    model = Plain()
    nn.utils.parametrizations.weight_norm(model.stage[0])
    return model


def shared() -> nn.Module:
    model = Plain()
    model.again = model.stage  # the same module by another name
    return model


def averaged() -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(Plain())


def in_a_sequence() -> nn.Module:
    return nn.Sequential(nn.Identity(), Plain(), nn.Flatten())


class Holder(nn.Module):
    """A training module, which holds the network and has other things beside it."""

    def __init__(self):
        super().__init__()
        self.model, self.loss, self.metric = Plain(), nn.CrossEntropyLoss(), nn.Identity()

    def forward(self, x):
        return self.model(x)


SAME = [InPlaceActivation, Views, Checkpointed, WithDropout, NoGrad, Keywords, FloatsInside, InAList]
SAME += [
    CallsForward,
    Slots,
    Chunked,
    WithGradient,
    hooked,
    half,
    channels_last,
    parallel,
    frozen,
    parametrised,
    shared,
]
SAME += [averaged, in_a_sequence, Holder]


def map_of(model: nn.Module, **options) -> torch.Tensor:
    (found,) = explain(model, PICTURE, **{**OPTIONS, **options})
    return found.values.float()


@pytest.fixture(scope="module")
def plain() -> torch.Tensor:
    return map_of(Plain().eval(), layers="stage")


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("odd", SAME, ids=lambda odd: odd.__name__)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_an_odd_module_gives_the_map_of_the_plain_one(odd, training, plain):
    model = odd().train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    values = map_of(model)
    close = {"rtol": 0.1, "atol": 0.02 * float(plain.abs().max())} if odd is half else {"rtol": 1e-4, "atol": 1e-7}
    torch.testing.assert_close(values, plain, **close)
    assert all(module.training == training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("odd", [CallsForward, InPlace, WithDropout, Reentrant], ids=lambda odd: odd.__name__)
def test_perturbation_methods_ask_odd_modules_too(odd):
    method = Occlusion(window=16, stride=16)
    torch.testing.assert_close(
        map_of(odd(), method=method, layers="stem"), map_of(Plain().eval(), method=method), rtol=1e-3, atol=1e-6
    )


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize(
    ("odd", "reason"), [(InPlace, "the model writes over values that the gradient needs"), (Reentrant, "use_reentrant")]
)
@pytest.mark.parametrize("layers", ["auto", "stage.0"])
def test_what_cannot_be_followed_is_refused_with_the_reason(odd, reason, layers):
    with pytest.raises(LayerError, match=reason):
        map_of(odd().eval(), layers=layers)
