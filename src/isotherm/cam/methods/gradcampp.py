"""Grad-CAM++: channel weights from positive gradients, each cell weighted so that several objects count alike.

Chattopadhay et al., "Grad-CAM++: Improved visual explanations for deep convolutional networks" (WACV 2018),
eqs. 5 and 19, with the exponential of the score as the function explained, so that all derivatives are powers of g:
alpha = g^2 / (2 g^2 + g^3 sum A), weight = sum of relu(g) alpha.

Every implementation in use adds an absolute epsilon to the denominator. It is not in the paper and it is not
harmless: where g^2 is below it, alpha becomes g^2 / epsilon and the weights go with the cube of the gradient.
The default keeps the customary 1e-6, so that maps can be compared with published ones;
``make_gradcampp(epsilon=0)`` is the paper's formula, whose map does not depend on the score's unit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isotherm.errors import MethodError
from isotherm.relevance.method import PooledMethod


def make_gradcampp(*, epsilon: float = 1e-6) -> PooledMethod:
    """Grad-CAM++ with another epsilon in the denominator; 0 is the paper's.

    Raises:
        MethodError: epsilon is negative.
    """
    if not epsilon >= 0:
        raise MethodError(f"epsilon is {epsilon}; expected 0 (the paper) or a small positive number")

    def term(_activation: Tensor, gradient: Tensor, total: Tensor, _cells: int) -> Tensor:
        if epsilon:
            square = gradient.square()
            alpha = square / (2 * square + total * square * gradient + epsilon)
        else:
            # g^2 cancels; written out it would be 0 / 0 for gradients whose square underflows
            alpha = 1 / (2 + total * gradient)
        alpha = torch.where(gradient != 0, alpha, torch.zeros_like(alpha))
        return gradient.clamp(min=0) * alpha

    return PooledMethod.of("GradCAM++", term, signed=True)


gradcampp = make_gradcampp()
"""sum_c (sum relu(g) g^2 / (2 g^2 + g^3 sum A + 1e-6)) A."""
