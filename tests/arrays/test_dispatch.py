"""Which library a call is about, and one name for tensors and arrays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from isotherm.arrays import also_arrays, namespace
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap


def doubled_array(values, *, times=2):
    return "array", values * times


@also_arrays(doubled_array)
def doubled(values, *, times=2):
    """Twice as much."""
    return "tensor", (values.values if isinstance(values, Heatmap) else values) * times


def test_namespaces():
    assert namespace(np.zeros(2), None, 3.0, np.float64(1)) is np
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    assert namespace(jax.numpy.zeros(2), 1) is jax.numpy
    seen = []
    jax.jit(lambda x: seen.append(namespace(x)) or x)(jax.numpy.zeros(2))
    jax.vmap(lambda x: seen.append(namespace(x)) or x)(jax.numpy.zeros(2))
    jax.grad(lambda x: seen.append(namespace(x)) or x)(1.0)
    assert seen == [jax.numpy] * 3
    with pytest.raises(ShapeError, match="NumPy and JAX arrays together"):
        namespace(np.zeros(2), jax.numpy.zeros(2))


def test_no_namespace():
    with pytest.raises(ShapeError, match="no array among"):
        namespace(None, 2.0)
    with pytest.raises(ShapeError, match=r"builtins\.list.*numpy\.asarray"):
        namespace([1.0])
    with pytest.raises(ShapeError, match=r"torch\.Tensor.*isotherm\.targets"):
        namespace(torch.zeros(2))


def test_jax_is_not_imported_for_numpy():
    script = (
        "import sys, numpy as np; from isotherm import arrays\n"
        "arrays.moment_inverse(np.zeros((1, 4, 4)), sigma_cells=1.0); arrays.gaussian(np.ones((1, 2)), (3, 3), sigma_cells=1.0)\n"
        "assert 'jax' not in sys.modules and 'jaxlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_first_argument_decides():
    assert doubled(np.ones(2))[0] == "array"
    assert doubled(values=np.ones(2), times=3)[1].tolist() == [3, 3]
    assert doubled(torch.ones(2))[0] == "tensor"
    assert doubled(values=torch.ones(2))[0] == "tensor"
    heatmap = Heatmap(torch.ones(2, 2), Frame.identity((2, 2)), "peak")
    assert doubled(heatmap)[0] == "tensor"
    assert doubled.__name__ == "doubled"
    assert doubled.__doc__ == "Twice as much."


def test_traced_arrays_count_as_arrays():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    assert jax.jit(lambda x: doubled(x, times=3)[1])(jax.numpy.ones(2)).tolist() == [3, 3]
    assert float(jax.grad(lambda x: doubled(x, times=3)[1])(1.0)) == 3


def test_compiled_tensors_stay_one_graph():
    assert torch.compile(doubled, fullgraph=True, backend="eager")(torch.ones(2))[1].tolist() == [2, 2]


@pytest.mark.parametrize("given", [[1.0], (1.0,), None, "map", 2.0])
def test_other_types_are_refused(given):
    with pytest.raises(ShapeError, match=r"doubled: values is a builtins\.\w+; expected a torch\.Tensor.*as_tensor"):
        doubled(given)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'values'"):
        doubled()


def test_an_option_of_tensors_alone():
    @also_arrays(doubled_array)
    def shifted(values, *, times=2, by=0):
        return values * times + by

    assert shifted(torch.ones(1), by=1).item() == 3
    with pytest.raises(OptionError, match="shifted of arrays has no by; leave it out, or give tensors"):
        shifted(np.ones(1), by=1)
    with pytest.raises(TypeError, match="of"):  # nobody's option is Python's own message
        shifted(np.ones(1), off=1)
