"""The functions that take NumPy and JAX arrays as well as tensors: those of targets, losses and decode themselves.

NumPy arrays run the very algorithm of tensors, without a copy, and come back as NumPy arrays of the same precision (of
float32 at least). JAX arrays run it under jax.jit and jax.grad; frames and options are constants there: close over
them, or name them as static arguments. JAX is optional and never imported unless a JAX array is given.
"""

from isotherm.decode import argmax, least_squares, moment_inverse, soft_argmax
from isotherm.losses import gaussian_cross_entropy, gaussian_mse
from isotherm.ops.arrays import also_arrays
from isotherm.ops.decoded import Decoded
from isotherm.targets import gaussian

__all__ = [
    "Decoded",
    "also_arrays",
    "argmax",
    "gaussian",
    "gaussian_cross_entropy",
    "gaussian_mse",
    "least_squares",
    "moment_inverse",
    "soft_argmax",
]
