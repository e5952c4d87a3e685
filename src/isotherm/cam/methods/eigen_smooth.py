"""Eigen-smoothing: the first principal component of a method's weighted activations instead of their sum.

It removes noise at the cost of exactness: HiResCAM's guarantee, for one, does not survive it.
"""

from __future__ import annotations

from dataclasses import replace

from isotherm.cam.methods.channel_weighted import ChannelWeighted
from isotherm.errors import MethodError
from isotherm.ops.eigen import first_component
from isotherm.relevance.method import LayerMethod, Method


def eigen_smooth(method: Method) -> LayerMethod | ChannelWeighted:
    """The same method with its weighted activations projected on their first right singular vector.

    Args:
        method: one that sums weighted activations over channels.

    Returns:
        A method whose map is signed and has mean 0, and correlates positively with the sum.

    Raises:
        MethodError: the method has no weighted activations (it masks the input, reads attention, or projects already).

    Source: Muhammad & Yeasin, "Eigen-CAM" (IJCNN 2020), eq. 4, applied to w A; known from pytorch-grad-cam.
    """
    if not isinstance(method, LayerMethod | ChannelWeighted):
        name = getattr(method, "name", type(method).__name__)
        raise MethodError(
            f"{name} does not sum weighted activations, so it cannot be eigen-smoothed; use a CAM such as gradcam or layercam"
        )
    if method.reduce is not type(method).reduce:
        raise MethodError(f"{method.name} is a projection already; smoothing it again would change nothing")
    if isinstance(method, ChannelWeighted):
        return replace(method, reduce=first_component)
    name = f"{method.name} eigen-smoothed"
    return LayerMethod(name, method.weighted, signed=True, uses_gradient=method.uses_gradient, reduce=first_component)
