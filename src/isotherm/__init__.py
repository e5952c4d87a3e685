"""isotherm: heatmaps of any vision model, made, explained and shown; see the stub beside this file for the names.

The face is lazy: ``import isotherm`` imports no torch, and no model library until a model of it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
