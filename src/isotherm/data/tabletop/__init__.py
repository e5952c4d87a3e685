"""Generated tables with coloured blocks, seen by cameras with exact poses, and instructions whose places are known."""

from isotherm.data.tabletop.blocks import COLOURS, Block
from isotherm.data.tabletop.instructions import KINDS, WORDS, Instruction
from isotherm.data.tabletop.table import BOUNDS, ORTHOGRAPHIC, PERSPECTIVE, Tabletop, make_tabletop
from isotherm.data.tabletop.views import TableView

__all__ = [
    "BOUNDS",
    "COLOURS",
    "KINDS",
    "ORTHOGRAPHIC",
    "PERSPECTIVE",
    "WORDS",
    "Block",
    "Instruction",
    "TableView",
    "Tabletop",
    "make_tabletop",
]
