"""From features to maps: tokens to a grid, and heads that make a grid of features into finer maps."""

from isotherm.heads.alignment import check_alignment, response_centre
from isotherm.heads.convex import ConvexUpsample, ConvexUpsampleConfig
from isotherm.heads.deconv import DeconvHead, DeconvHeadConfig
from isotherm.heads.head import Head
from isotherm.heads.image_tokens import image_grids
from isotherm.heads.linear import LinearHead, LinearHeadConfig
from isotherm.heads.pixel_shuffle import PixelShuffleHead, PixelShuffleHeadConfig
from isotherm.heads.sample import sample_features
from isotherm.heads.to_grid import to_grid

__all__ = [
    "ConvexUpsample",
    "ConvexUpsampleConfig",
    "DeconvHead",
    "DeconvHeadConfig",
    "Head",
    "LinearHead",
    "LinearHeadConfig",
    "PixelShuffleHead",
    "PixelShuffleHeadConfig",
    "check_alignment",
    "image_grids",
    "response_centre",
    "sample_features",
    "to_grid",
]
