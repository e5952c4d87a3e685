"""Both libraries, in both precisions; JAX's 64-bit switch is put back afterwards."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

HAS_JAX = importlib.util.find_spec("jax") is not None


@pytest.fixture(params=["numpy-32", "numpy-64", "jax-32", "jax-64"])
def make(request):
    """A function that makes arrays of floats (or of whole numbers) of one library and precision."""
    library, bits = request.param.split("-")
    if library == "numpy":
        yield lambda values: _cast(np, np.asarray(values), bits)
        return
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", bits == "64")
    yield lambda values: _cast(jax.numpy, np.asarray(values), bits)
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def jax32():
    """JAX in float32, its own precision."""
    return pytest.importorskip("jax", reason="JAX is not installed")


@pytest.fixture
def jax64():
    """JAX in float64."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


def _cast(xp, values, bits):
    return xp.asarray(values, dtype=f"float{bits}") if values.dtype.kind == "f" else xp.asarray(values, dtype="int32")
