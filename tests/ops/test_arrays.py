"""One name for tensors and arrays: which way an argument goes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.arrays import also_arrays
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap


def doubled_jax(values, *, times=2):
    return "jax", values * times


@also_arrays(doubled_jax)
def doubled(values, *, times=2):
    """Twice as much."""
    return (values.values if isinstance(values, Heatmap) else values) * times


def test_jax_is_not_imported_for_numpy(programs, tmp_path):
    script = (
        "import sys, numpy as np; from isotherm import arrays\n"
        "arrays.moment_inverse(np.zeros((1, 4, 4)), sigma_cells=1.0); arrays.gaussian(np.ones((1, 2)), (3, 3), sigma_cells=1.0)\n"
        "assert 'jax' not in sys.modules and 'jaxlib' not in sys.modules"
    )
    ended = programs.run(script, cwd=tmp_path)
    assert ended.returncode == 0, ended


def test_the_first_argument_decides():
    for array in (doubled(np.ones(2)), doubled(values=np.ones(2), times=2)):
        assert isinstance(array, np.ndarray)
        assert array.tolist() == [2, 2]
    assert isinstance(doubled(torch.ones(2)), torch.Tensor)
    assert isinstance(doubled(values=torch.ones(2)), torch.Tensor)
    heatmap = Heatmap(torch.ones(2, 2), Frame.identity((2, 2)), "peak")
    assert isinstance(doubled(heatmap), torch.Tensor)
    assert doubled.__name__ == "doubled"
    assert doubled.__doc__ == "Twice as much."


def test_jax_arrays_go_to_their_own_version():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    assert doubled(jax.numpy.ones(2))[0] == "jax"
    assert jax.jit(lambda x: doubled(x, times=3)[1])(jax.numpy.ones(2)).tolist() == [3, 3]
    assert float(jax.grad(lambda x: doubled(x, times=3)[1])(1.0)) == 3
    assert jax.vmap(lambda x: doubled(x)[1])(jax.numpy.ones(2)).tolist() == [2, 2]


def test_compiled_tensors_stay_one_graph():
    assert torch.compile(doubled, fullgraph=True, backend="eager")(torch.ones(2)).tolist() == [2, 2]


@pytest.mark.parametrize("value", [[1.0], (1.0,), None, "map", 2.0])
def test_other_types_are_refused(value):
    with pytest.raises(ShapeError, match=r"doubled: values is a builtins\.\w+; expected a torch\.Tensor.*as_tensor"):
        doubled(value)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'values'"):
        doubled()


def test_two_libraries_at_once_are_refused():
    with pytest.raises(ShapeError, match=r"NumPy arrays and tensors together \(times\).*numpy\.asarray"):
        doubled(np.ones(2), times=torch.ones(2))
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    with pytest.raises(ShapeError, match=r"NumPy arrays and JAX arrays together \(times\).*numpy\.asarray"):
        doubled(np.ones(2), times=jax.numpy.ones(2))
    with pytest.raises(ShapeError, match=r"JAX arrays and NumPy arrays together.*jax\.numpy\.asarray"):
        doubled(jax.numpy.ones(2), times=np.ones(2))


def test_an_option_that_jax_does_not_have():
    @also_arrays(doubled_jax)
    def shifted(values, *, times=2, by=0):
        return values * times + by

    assert shifted(torch.ones(1), by=1).item() == 3
    assert shifted(np.ones(1), by=np.ones(1)).item() == 3
    with pytest.raises(TypeError, match="off"):  # nobody's option is Python's own message
        shifted(np.ones(1), off=1)
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    with pytest.raises(OptionError, match="shifted of JAX arrays has no by; leave it out, or give NumPy arrays or"):
        shifted(jax.numpy.ones(1), by=1)
    with pytest.raises(TypeError, match="off"):
        shifted(jax.numpy.ones(1), off=1)
