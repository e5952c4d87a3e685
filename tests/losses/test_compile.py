"""The losses in one compiled graph, through frames, with gradients."""

from __future__ import annotations

COMPILED = """
import torch
from isotherm import Frame, losses

frame = Frame.stack([Frame.resize((64, 64), (8, 8)), Frame.letterbox((40, 64), (8, 8)).flipped()])
state = torch.tensor([[1, 0, 1], [1, 1, 4]])
torch.manual_seed(0)
maps, at = torch.randn(2, 3, 8, 8, requires_grad=True), (torch.rand(2, 3, 2) * 64).requires_grad_()
target = torch.rand(2, 3, 8, 8)
share = target / target.sum((-2, -1), keepdim=True)
peak = target.clone()
peak[..., 2, 3] = 1
STEPS = {
    "mse": lambda m, p: losses.gaussian_mse(m, p, frame, sigma_cells=1.5, state=state),
    "cross-entropy": lambda m, p: losses.gaussian_cross_entropy(m, p, frame, sigma_cells=1.5, state=state),
    "groups": lambda m, p: losses.gaussian_mse(m, p, frame, sigma_cells=1.5, state=state, groups=((0, 1),)),
    "maps": lambda m, p: losses.mse(m, target) + losses.js(m, share) + losses.focal(m, peak) + losses.adaptive_wing(m, target),
}
for name, step in STEPS.items():
    torch._dynamo.reset()
    # one of them all the way to machine code, the others as far as the graph and its gradient
    fused = torch.compile(step, fullgraph=True, backend="inductor" if name == "cross-entropy" else "aot_eager")
    torch.testing.assert_close(fused(maps, at), step(maps, at))
    wanted = [maps] if name == "maps" else [maps, at]
    for a, b in zip(*(torch.autograd.grad(f(maps, at), wanted) for f in (fused, step)), strict=True):
        torch.testing.assert_close(a, b, msg=lambda text: f"{name}: {text}")
print("equal")
"""


def test_compiled_in_one_graph(unchecked_process):
    """In another process: the run-time shape checker of the tests cannot be compiled."""
    assert unchecked_process.run(COMPILED) == "equal\n"
