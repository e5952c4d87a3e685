"""A small classifier, its Trace and its Rerun, without any view: the ground on which methods are tested."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.cam.capture import record
from isotherm.cam.trace import LayerTrace, Trace
from isotherm.cam.view import Inputs
from isotherm.frame import Frame
from isotherm.relevance.modules import resolve


class SmallNet(nn.Module):
    """Two convolutions and a head that is not linear behind the last of them."""

    def __init__(self, classes: int = 5, *, smooth: bool = False):
        super().__init__()
        act = nn.Softplus if smooth else nn.ReLU
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), act())
        self.second = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), act())
        self.mix = nn.Conv2d(8, 8, 1)
        self.act = act()
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        x = self.act(self.mix(self.second(self.first(x))))
        return self.head(x.mean((2, 3)))


def make_net(*, seed: int = 0, smooth: bool = False, dtype: torch.dtype = torch.float64) -> SmallNet:
    torch.manual_seed(seed)
    net = SmallNet(smooth=smooth)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        net.head.weight.mul_(20)  # gradients of the size that trained networks have at their last maps
    return net.to(dtype).eval().requires_grad_(False)


def make_inputs(tensor: Float[Tensor, "b c h w"], blank: Float[Tensor, " c"] | None = None) -> Inputs:
    b, _, h, w = tensor.shape
    return Inputs(tensor, Frame.identity((h, w)).expanded(b), blank=blank)


@dataclass
class PlainRerun:
    """A Rerun for classifiers, in the model's own precision; counts rows and remembers the largest batch."""

    net: nn.Module
    inputs: Inputs
    picture: Int[Tensor, " t"]
    classes: Int[Tensor, " t"]
    layers: tuple[str, ...] = ()
    rows: int = 0
    largest: int = 0

    def _pick(self, logits: Tensor, target: Tensor) -> Tensor:
        return logits[torch.arange(len(target)), self.classes[target]]

    def _count(self, tensor: Tensor) -> None:
        self.rows += len(tensor)
        self.largest = max(self.largest, len(tensor))

    @torch.no_grad()
    def scores(self, tensor: Float[Tensor, "n c h w"], target: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        self._count(tensor)
        return self._pick(self.net(tensor), target)

    def input_gradient(self, tensor, target):
        self._count(tensor)
        leaf = tensor.detach().requires_grad_()
        scores = self._pick(self.net(leaf), target)
        return scores.detach(), torch.autograd.grad(scores.sum(), leaf)[0]

    @torch.no_grad()
    def scores_with_channels(self, layer: int, keep: Tensor, target: Tensor) -> Tensor:
        x = self.inputs.tensor[self.picture[target]]
        self._count(x)
        module = resolve(self.net, self.layers[layer])[0].module
        handle = module.register_forward_hook(lambda _m, _a, out: out * keep[:, :, None, None])
        try:
            return self._pick(self.net(x), target)
        finally:
            handle.remove()

    def hessian_vector(self, layer: int, vector: Tensor) -> Tensor:
        rec = record(
            self.net, lambda: self.net(self.inputs.tensor[self.picture]), resolve(self.net, self.layers[layer])
        )
        output = rec.calls[0].output
        with torch.enable_grad():
            score = self._pick(rec.raw, torch.arange(len(self.picture))).sum()
            (gradient,) = torch.autograd.grad(score, output, create_graph=True)
            if not gradient.requires_grad:
                return torch.zeros_like(vector)
            product = torch.autograd.grad((gradient * vector).sum(), output, allow_unused=True)[0]
        return torch.zeros_like(vector) if product is None else product


class SharingRerun(PlainRerun):
    """The same, reading all targets of a picture from one pass."""

    @torch.no_grad()
    def scores_of_each(self, tensor: Float[Tensor, "n c h w"], target: Int[Tensor, " m"]) -> Float[Tensor, "n m"]:
        self._count(tensor)
        return self.net(tensor)[:, self.classes[target]]


def make_trace(
    net: nn.Module,
    tensor: Float[Tensor, "b c h w"],
    classes: list[int],
    *,
    picture: list[int] | None = None,
    layers: tuple[str, ...] = ("second",),
    blank: Float[Tensor, " c"] | None = None,
    rerun: type[PlainRerun] = PlainRerun,
    biases: bool = False,
) -> Trace:
    """The trace of the given classes' logits; one per picture in order unless ``picture`` says otherwise."""
    inputs = make_inputs(tensor, blank)
    row = torch.arange(len(tensor)) if picture is None else torch.tensor(picture)
    which = torch.tensor(classes)
    rec = record(net, lambda: net(tensor), resolve(net, list(layers)))
    scores = rec.raw[row, which]
    traces = [
        LayerTrace(str(call), call.output.detach()[row], g, inputs.frame[row].to_grid(size=tuple(g.shape[-2:])))
        for call, g in zip(rec.calls, rec.gradients(scores, row), strict=True)
    ]
    bias_traces = _biases(net, inputs, row, which) if biases else ()
    return Trace(
        scores.detach(), row, inputs, tuple(traces), rerun=rerun(net, inputs, row, which, layers), biases=bias_traces
    )


def _biases(net: nn.Module, inputs: Inputs, row: Tensor, which: Tensor) -> tuple[LayerTrace, ...]:
    """What each convolution and normalisation adds, with the gradient at its output."""
    modules = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d) and m.bias is not None}
    outputs: dict[str, Tensor] = {}
    handles = [m.register_forward_hook(lambda _m, _a, o, n=n: outputs.__setitem__(n, o)) for n, m in modules.items()]
    x = inputs.tensor[row].detach().requires_grad_()
    try:
        score = net(x)[torch.arange(len(row)), which].sum()
    finally:
        for handle in handles:
            handle.remove()
    gradients = torch.autograd.grad(score, list(outputs.values()))
    traces = []
    for (name, _), gradient in zip(outputs.items(), gradients, strict=True):
        module = modules[name]
        bias = module.bias
        if isinstance(module, nn.BatchNorm2d):
            bias = bias - module.running_mean * module.weight / torch.sqrt(module.running_var + module.eps)
        frame = inputs.frame[row].to_grid(size=tuple(gradient.shape[-2:]))
        traces.append(LayerTrace(name, bias.detach()[None, :, None, None].expand_as(gradient), gradient, frame))
    return tuple(traces)
