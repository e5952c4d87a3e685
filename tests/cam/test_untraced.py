"""Following a model's operations needs no compiler, and keeps it out of what is compiled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from isotherm import explain
from isotherm.cam.receptive import Follower, following

HERE = """
import sys, torch
from torch import nn
from isotherm.cam.receptive import Follower
net, x = nn.Conv2d(1, 1, 3, stride=2, padding=1), torch.zeros(1, 1, 8, 8)
with Follower(x) as follower:
    print(follower.of(net(x)).first)
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""


class Net(nn.Module):
    """Two convolutions as one part, which can be compiled, and a last one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1))
        self.last = nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, x):
        return self.last(self.stem(x)).mean((2, 3))


@pytest.fixture
def compiled():
    """The network with its stem compiled, and how many of its frames the compiler has read since."""
    import torch._dynamo

    net = Net()
    net.stem.compile(backend="aot_eager")
    torch._dynamo.utils.counters.clear()
    yield net, torch._dynamo.utils.counters["frames"]
    torch._dynamo.reset()


def test_operations_are_followed_without_the_compiler(programs, tmp_path):
    done = programs.run(HERE, cwd=tmp_path)
    assert done.stdout.splitlines() == ["(0.5, 0.5)", "[]"]


def test_cells_behind_a_compiled_part_lie_where_they_lie_without_it(compiled):
    net, frames = compiled
    x = torch.zeros(1, 3, 32, 32)
    places = []
    for model in (Net(), net):
        out = []
        model.last.register_forward_hook(lambda _module, _args, result, out=out: out.append(result))
        with following(model, x, ["last@0"]) as place:
            model(x)
        places.append(place("last@0", out[0]))
    assert places[0] == places[1]
    assert places[0].first == (0.5, 0.5)
    assert places[0].stride == (8.0, 8.0)
    assert not frames  # neither the follower nor, while it follows, the part


def test_a_network_with_a_compiled_part_is_explained_as_it_is_without(compiled):
    net, _ = compiled
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    options = {"size": 64, "names": list("abcd"), "trust": "off", "layers": "last"}
    with_part, without = explain(net, picture, **options), explain(Net(), picture, **options)
    torch.testing.assert_close(with_part[0].frame.to_source, without[0].frame.to_source, rtol=0, atol=0)
    torch.testing.assert_close(with_part[0].values, without[0].values)


def test_a_mode_is_of_its_class_with_and_without_the_compiler():
    import torch._dynamo

    follower = Follower(torch.zeros(1, 1, 4, 4))
    assert isinstance(follower, Follower)
    assert type(follower) is type(Follower(torch.zeros(1, 1, 4, 4)))
