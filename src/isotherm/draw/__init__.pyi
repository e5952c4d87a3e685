from .animation import overlay_frames, save_animation
from .boxes import draw_boxes
from .colour import Scale, colour_table, scale_of, shared_scale
from .gaze import GazeLook, GazeTrack, draw_gaze, gaze_frames
from .gaze_panels import GazePanel, gaze_panels
from .moments import moment_sheet
from .notebook import gallery_html, heatmap_html, heatmap_png
from .overlay import overlay
from .panels import comparison_grid, contact_sheet, side_by_side
from .points import draw_points
from .renormalise import renormalise_in_boxes
from .report import ReportEntry, write_report
from .save import load_map16, read_command, save_map16, save_picture
from .style import STYLES, Style

__all__ = [
    "STYLES",
    "GazeLook",
    "GazePanel",
    "GazeTrack",
    "ReportEntry",
    "Scale",
    "Style",
    "colour_table",
    "comparison_grid",
    "contact_sheet",
    "draw_boxes",
    "draw_gaze",
    "draw_points",
    "gallery_html",
    "gaze_frames",
    "gaze_panels",
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
