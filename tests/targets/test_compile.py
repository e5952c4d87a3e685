"""Targets in one compiled graph, with gradients."""

from __future__ import annotations

COMPILED = """
import torch
from isotherm import Frame, targets

SIZE = Frame.resize((60, 60), (6, 8)).flipped()
classes, angle, width = torch.tensor([[0, 1, 1]]), torch.rand(1, 3), torch.rand(1, 3)

def parts(at):
    corners = torch.cat([at, at + 20], -1)
    found = targets.boxes(corners, SIZE, classes=classes, count=2)
    grasp = targets.grasps(at, angle, width, SIZE, sigma_cells=1.0)
    maps = [
        targets.gaussian(at, SIZE, sigma_cells=1.2, kind="probability", cut_sigmas=3.0).heatmap.values,
        targets.multi_scale(at, SIZE, sigmas=[1.0, 2.0], reduce="max", off_frame="drop").heatmap.values,
        targets.mixture(at, SIZE, sigma_cells=1.2, how="mixture").heatmap.values,
        targets.mixture(at, SIZE, sigma_cells=1.2, how="max").heatmap.values,
        found.centres.heatmap.values, found.size, found.offset, grasp.quality.heatmap.values, grasp.cos2, grasp.width,
    ]
    return [m.float() for m in maps]

torch.manual_seed(0)
at = (torch.rand(1, 3, 2) * 60).requires_grad_()
compiled = torch.compile(parts, backend="aot_eager", fullgraph=True)
for a, b in zip(compiled(at), parts(at), strict=True):
    torch.testing.assert_close(a, b)
ours, plain = (torch.autograd.grad(sum(m.square().sum() for m in f(at)), at)[0] for f in (compiled, parts))
torch.testing.assert_close(ours, plain)
print("equal")
"""


def test_compile_in_one_graph(unchecked_process):
    """In another process: the run-time shape checker of the tests cannot be compiled."""
    assert unchecked_process.run(COMPILED) == "equal\n"
