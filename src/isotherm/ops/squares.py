"""How far and how long the fit of a Gaussian to a peak map goes, the same for tensors and for JAX arrays."""

STEPS = 6
"""Damped Gauss-Newton steps after the start, which is exact already on clean maps."""
BEYOND = 2.0
"""How far outside of the raster a centre may be found: this many sigma and 2 cells."""
