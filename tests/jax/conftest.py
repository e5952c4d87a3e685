"""Both libraries, in both precisions; JAX's 64-bit switch is put back afterwards."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os

import numpy as np
import pytest

HAS_JAX = importlib.util.find_spec("jax") is not None

# Most of the time here goes into compiling, of a thousand functions that run once: as plainly as XLA can, in half of it.
# What is held are our formulas, which are the same either way. An XLA that does not know a switch ends the process.
if HAS_JAX and importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false",
    )


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
