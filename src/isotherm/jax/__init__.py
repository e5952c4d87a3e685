"""Targets, losses and decoders of JAX arrays: the algorithms of the tensors' functions under jax.jit, jax.grad and
jax.vmap.

Users call :mod:`isotherm.targets`, :mod:`isotherm.losses` and :mod:`isotherm.decode`, which come here by the type of
what they are given. tests/jax holds every function here to the values and gradients of its counterpart for tensors.
Frames and options are constants: close over them, or name them as static arguments of jax.jit. JAX is optional and
never imported unless a JAX array is given.
"""
