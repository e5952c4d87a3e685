"""How far and how long the fit of a Gaussian to a peak map goes, the same for tensors and for JAX arrays."""

import math

STEPS = 6
"""Damped Gauss-Newton steps after the start, which is exact already on clean maps."""
BEYOND = 2.0
"""How far outside of the raster a centre may be found: this many sigma and 2 cells."""
PLACES = 8
"""Places along each axis in which the noise of a map is looked at."""
ROWS = 8
"""Rows of a map, up to twice as many, from which the variance of its noise is taken."""
FITTED = 5
"""Numbers of a peak on a background: place, sigma, amplitude and level."""
LOST = 6.0
"""Independent places that a variance found in a map lacks: a fit takes a part of the noise at its place for the peak,
and ellipses of an estimated size hold less often than they say (measured on smooth noise)."""
SCATTER = 2 / (3 * math.pi)
"""Independent places of a Gaussian's derivative in white noise: so many of h w / sigma^2."""
