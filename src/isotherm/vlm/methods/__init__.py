"""Methods: from a trace to a value per vision token."""

from isotherm.vlm.methods.attention import Attention, AttentionGradient, RelativeAttention
from isotherm.vlm.methods.gradient import GradCam, GradientActivation, IntegratedGradients
from isotherm.vlm.methods.occlusion import Occlusion
from isotherm.vlm.methods.perturbation import Rise, TokenOcclusion
from isotherm.vlm.methods.propagation import Propagation
from isotherm.vlm.methods.rollout import Chefer, Rollout
from isotherm.vlm.methods.token_activation import TokenActivation

__all__ = [
    "Attention",
    "AttentionGradient",
    "Chefer",
    "GradCam",
    "GradientActivation",
    "IntegratedGradients",
    "Occlusion",
    "Propagation",
    "RelativeAttention",
    "Rise",
    "Rollout",
    "TokenActivation",
    "TokenOcclusion",
]
