"""Does a map lie where people look? AUC-Judd, shuffled AUC, NSS, information gain, KL, CC and SIM."""

from isotherm.metrics.saliency.between import correlation, kl_divergence, similarity
from isotherm.metrics.saliency.fixated import auc_judd, auc_shuffled, information_gain, nss
from isotherm.metrics.saliency.report import NAMES, middle_map, saliency_figures

__all__ = [
    "NAMES",
    "auc_judd",
    "auc_shuffled",
    "correlation",
    "information_gain",
    "kl_divergence",
    "middle_map",
    "nss",
    "saliency_figures",
    "similarity",
]
