"""What is said of a model that no view of this folder reads."""

from __future__ import annotations

AS_ONES_OWN = (
    "any model is explained as a module of your own: view_of(model, preprocess=processor, forward=lambda m, x: m(pixel_values=x)), and target=, "
    "a function of what it puts out"
)
"""What works in Python."""
IN_A_MODULE = "name a function that wraps it in a module which takes pictures alone, as --model package.module:factory"
"""What works on the command line."""
