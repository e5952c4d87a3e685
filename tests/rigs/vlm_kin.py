"""Every tiny vision-language model that there is here, by its family."""

from __future__ import annotations

from functools import cache

from isotherm.errors import AdapterError
from isotherm.models.transformers.vlm.open import vlm_view
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.models.transformers.vlm.whole import WholeVlm
from rigs.vlm_askers import ASKERS
from rigs.vlm_decoders import DECODERS
from rigs.vlm_grids import GRIDS
from rigs.vlm_models import FAMILIES
from rigs.vlm_newest import NEWEST
from rigs.vlm_ocr import DOCUMENTS
from rigs.vlm_omni import OMNI
from rigs.vlm_others import OTHERS
from rigs.vlm_recent import RECENT
from rigs.vlm_tiles import TILES
from rigs.vlm_towers import TOWERS
from rigs.vlm_whole import WHOLE

EVERY = FAMILIES | GRIDS | TILES | OTHERS | NEWEST | TOWERS | OMNI | ASKERS | DOCUMENTS | RECENT | WHOLE | DECODERS


@cache
def opened(name: str) -> TransformersVlm | WholeVlm:
    """One of them as a view, opened once: those that nobody wrote a layout for are measured then."""
    return vlm_view(*EVERY[name]())


def opened_or_none(name: str) -> TransformersVlm | WholeVlm | None:
    """The same; None where it is refused."""
    try:
        return opened(name)
    except AdapterError:
        return None
