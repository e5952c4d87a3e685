"""Drawing: overlays, panels, animations and reports of heatmaps, all in source pixels.

>>> import isotherm.draw
"""

from isotherm.draw.animation import overlay_frames, save_animation
from isotherm.draw.boxes import draw_boxes
from isotherm.draw.colour import colour_table
from isotherm.draw.moments import moment_sheet
from isotherm.draw.notebook import gallery_html, heatmap_html, heatmap_png
from isotherm.draw.overlay import overlay
from isotherm.draw.panels import comparison_grid, contact_sheet, side_by_side
from isotherm.draw.points import draw_points
from isotherm.draw.renormalise import renormalise_in_boxes
from isotherm.draw.report import ReportEntry, write_report
from isotherm.draw.save import load_map16, read_command, save_map16, save_picture
from isotherm.draw.scale import Scale, scale_of, shared_scale
from isotherm.draw.style import STYLES, Style

__all__ = [
    "STYLES",
    "ReportEntry",
    "Scale",
    "Style",
    "colour_table",
    "comparison_grid",
    "contact_sheet",
    "draw_boxes",
    "draw_points",
    "gallery_html",
    "heatmap_html",
    "heatmap_png",
    "load_map16",
    "moment_sheet",
    "overlay",
    "overlay_frames",
    "read_command",
    "renormalise_in_boxes",
    "save_animation",
    "save_map16",
    "save_picture",
    "scale_of",
    "shared_scale",
    "side_by_side",
    "write_report",
]
