"""Ways for gaze into the tokens of a video model, one file each, behind one protocol."""

from isotherm.gaze.fusion.choose import FUSIONS, VARIANTS, fusion_from, fusion_settings
from isotherm.gaze.fusion.fusion import Fusion, FusionConfig, Site

__all__ = ["FUSIONS", "VARIANTS", "Fusion", "FusionConfig", "Site", "fusion_from", "fusion_settings"]
