"""Methods: each turns a Trace into relevance. The lower-case names are ready to use."""

from isotherm.cam.methods.ablationcam import AblationCAM, ablationcam
from isotherm.cam.methods.channel_weighted import ChannelWeighted
from isotherm.cam.methods.eigen_smooth import eigen_smooth
from isotherm.cam.methods.eigencam import eigencam
from isotherm.cam.methods.eigengradcam import eigengradcam
from isotherm.cam.methods.elementwisecam import elementwisecam
from isotherm.cam.methods.finercam import FinerCAM, finercam
from isotherm.cam.methods.fullgrad import FullGrad, fullgrad
from isotherm.cam.methods.gradcam import gradcam
from isotherm.cam.methods.gradcampp import gradcampp, make_gradcampp
from isotherm.cam.methods.hirescam import hirescam
from isotherm.cam.methods.integratedgradients import IntegratedGradients, Integration, integratedgradients
from isotherm.cam.methods.kpcacam import kpcacam, make_kpcacam
from isotherm.cam.methods.layercam import layercam
from isotherm.cam.methods.legrad import LeGrad, legrad, legrad_final
from isotherm.cam.methods.occlusion import Occlusion, occlusion
from isotherm.cam.methods.rise import DRISE, RISE, drise, rise
from isotherm.cam.methods.rollout import Rollout, rollout
from isotherm.cam.methods.scorecam import ScoreCAM, scorecam
from isotherm.cam.methods.scoring import SharedRerun
from isotherm.cam.methods.shapleycam import ShapleyCAM, shapleycam
from isotherm.cam.methods.xgradcam import xgradcam

ALL: tuple[str, ...] = (
    "hirescam",
    "gradcam",
    "gradcampp",
    "xgradcam",
    "layercam",
    "elementwisecam",
    "eigencam",
    "eigengradcam",
    "kpcacam",
    "finercam",
    "shapleycam",
    "scorecam",
    "ablationcam",
    "fullgrad",
    "occlusion",
    "rise",
    "drise",
    "integratedgradients",
    "rollout",
    "legrad",
    "legrad_final",
)
"""Names of the ready-made methods, as the command line takes them."""

__all__ = [
    "ALL",
    "DRISE",
    "RISE",
    "AblationCAM",
    "ChannelWeighted",
    "FinerCAM",
    "FullGrad",
    "IntegratedGradients",
    "Integration",
    "LeGrad",
    "Occlusion",
    "Rollout",
    "ScoreCAM",
    "ShapleyCAM",
    "SharedRerun",
    "ablationcam",
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
