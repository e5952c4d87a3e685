"""Opening a model by name does not load torch's compiler, and who asks for it later gets it."""

from __future__ import annotations

import pytest

START = "import sys, torch\nfrom isotherm.models.without_compiler import without_compiler\n"
LOADED = "print([name for name in ('torch._dynamo', 'torch._inductor', 'sympy') if name in sys.modules])\n"


@pytest.fixture
def lines_of(programs, tmp_path):
    def lines(code: str) -> list[str]:
        done = programs.run(START + code, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return lines


def test_no_model_that_is_opened_by_name_loads_the_compiler(lines_of):
    opened = """
from isotherm.models.choose import open_view
decorate = torch.compiler.disable
for name, options in {"imagenet": {}, "scenes": {}, "detector": {}, "resnet18": {"weights": "none"},
                      "timm:resnet18": {"weights": "none"}, "yolo11n.yaml": {}}.items():
    print(open_view(name, **options).view.name)
print(decorate is torch.compiler.disable, "torch._dynamo.utils" in sys.modules)
"""
    later = """
import timm
align = sys.modules["torchvision.ops.roi_align"]
print(align.is_compile_supported("cpu"), align.is_compile_supported("meta"))
print(timm.layers.disable_compiler(lambda number: number + 1)(1), "torch._dynamo" in sys.modules)
"""
    *names, same, loaded, supported, asked = lines_of(opened + LOADED + later)
    assert len(names) == 6
    assert same == "True False"
    assert loaded == "[]"
    assert supported == "True False"
    assert asked == "2 True"


def test_what_needs_the_compiler_at_once_gets_it(lines_of):
    wanted = """
decorate = torch.compiler.disable
with without_compiler():
    from torch._dynamo.utils import counters, is_compile_supported
    print(is_compile_supported("cpu"), type(counters).__name__)
    @torch.compiler.disable(recursive=False, reason="to be tried")
    def doubled(x):
        return 2 * x
print(decorate is torch.compiler.disable, counters is torch._dynamo.utils.counters)
print(torch.compile(lambda x: doubled(x) + 1, backend="eager")(torch.ones(2)).tolist())
"""
    assert lines_of(wanted) == ["True defaultdict", "True True", "[3.0, 3.0]"]
