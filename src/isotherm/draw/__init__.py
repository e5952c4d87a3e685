"""Drawing: overlays, panels, animations and reports of heatmaps, all in source pixels; see the stub for the names.

>>> import isotherm.draw

Names are read when they are used: what a page needs (``page_script``, ``page_settings``) imports no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
