"""Encoding, losses and decoding of NumPy and JAX arrays: the same functions as those of tensors, under jax.jit and jax.grad.

Frames and options are constants: close over them, or name them as static arguments of jax.jit. JAX is optional and never
imported unless a JAX array is given.
"""

from isotherm.arrays.argmax import argmax
from isotherm.arrays.dispatch import also_arrays
from isotherm.arrays.gaussian import gaussian
from isotherm.arrays.least_squares import least_squares
from isotherm.arrays.losses import gaussian_cross_entropy, gaussian_mse
from isotherm.arrays.moment_inverse import moment_inverse
from isotherm.arrays.namespace import namespace
from isotherm.arrays.reading import Decoded
from isotherm.arrays.soft_argmax import soft_argmax

__all__ = [
    "Decoded",
    "also_arrays",
    "argmax",
    "gaussian",
    "gaussian_cross_entropy",
    "gaussian_mse",
    "least_squares",
    "moment_inverse",
    "namespace",
    "soft_argmax",
]
