"""Methods in one place: those that explain pictures by their names, and under ``answers`` those that explain a model's
words.

All of them fulfil one protocol, :class:`Method`; :func:`catalogue` lists them by what they explain.

Example:
    >>> from isotherm import methods
    >>> methods.RISE(masks=200).masks
    200
    >>> methods.answers.Propagation().name
    'propagation'
    >>> sorted(methods.catalogue("clips"))[:3]
    ['ablationcam', 'eigencam', 'eigengradcam']
"""

from typing import get_args

from isotherm.cam.methods import (
    ALL,
    DRISE,
    RISE,
    AblationCAM,
    ChannelWeighted,
    FinerCAM,
    FullGrad,
    IntegratedGradients,
    Integration,
    LeGrad,
    Occlusion,
    Rollout,
    ScoreCAM,
    ShapleyCAM,
    SharedRerun,
    ablationcam,
    drise,
    eigen_smooth,
    eigencam,
    eigengradcam,
    elementwisecam,
    finercam,
    fullgrad,
    gradcam,
    gradcampp,
    hirescam,
    integratedgradients,
    kpcacam,
    layercam,
    legrad,
    legrad_final,
    make_gradcampp,
    make_kpcacam,
    occlusion,
    rise,
    rollout,
    scorecam,
    shapleycam,
    xgradcam,
)
from isotherm.ops.names import known_word
from isotherm.relevance.method import NEEDS, LayerMethod, Method, Subject, explains
from isotherm.vlm import methods as answers
from isotherm.vlm.choose import answer_methods

__all__ = [
    "ALL",
    "DRISE",
    "NEEDS",
    "RISE",
    "AblationCAM",
    "ChannelWeighted",
    "FinerCAM",
    "FullGrad",
    "IntegratedGradients",
    "Integration",
    "LayerMethod",
    "LeGrad",
    "Method",
    "Occlusion",
    "Rollout",
    "ScoreCAM",
    "ShapleyCAM",
    "SharedRerun",
    "ablationcam",
    "answers",
    "catalogue",
    "drise",
    "eigen_smooth",
    "eigencam",
    "eigengradcam",
    "elementwisecam",
    "finercam",
    "fullgrad",
    "gradcam",
    "gradcampp",
    "hirescam",
    "integratedgradients",
    "kpcacam",
    "layercam",
    "legrad",
    "legrad_final",
    "make_gradcampp",
    "make_kpcacam",
    "occlusion",
    "rise",
    "rollout",
    "scorecam",
    "shapleycam",
    "xgradcam",
]


def catalogue(subject: Subject = "pictures") -> dict[str, Method]:
    """The ready-made methods for a subject, by the names that ``explain`` and the command line take.

    Args:
        subject: ``pictures``, ``clips`` or ``answers``. Methods that are one formula per layer are in all three.

    Raises:
        OptionError: another subject.

    Example:
        >>> from isotherm import methods
        >>> "hirescam" in methods.catalogue("answers"), "propagation" in methods.catalogue("pictures")
        (True, False)
    """
    known_word(subject, get_args(Subject), "subject")
    if subject == "answers":
        return answer_methods()
    every: dict[str, Method] = {name: globals()[name] for name in ALL}
    return {name: method for name, method in every.items() if explains(method, subject)}
