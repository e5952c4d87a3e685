"""The heatmap module of BridgeVLA-style robots: the names that its users know, as thin calls of the core."""

from isotherm.systems.bridgevla.animation import create_heatmap_animation_frames, save_heatmap_animation
from isotherm.systems.bridgevla.converter import LLMToHeatmapConverter
from isotherm.systems.bridgevla.figures.boxes import visualize_bboxes_and_heatmap
from isotherm.systems.bridgevla.figures.comparison import visualize_attention_comparison
from isotherm.systems.bridgevla.figures.points import visualize_points_and_heatmap
from isotherm.systems.bridgevla.figures.views import visualize_multi_view_heatmaps
from isotherm.systems.bridgevla.quick import quick_heatmap_from_llm
from isotherm.systems.bridgevla.targets import (
    create_multi_scale_heatmap,
    generate_hm_from_pt,
    generate_target_heatmap_from_annotation,
)
from isotherm.systems.bridgevla.upsample import ConvexUpSample

__all__ = [
    "ConvexUpSample",
    "LLMToHeatmapConverter",
    "create_heatmap_animation_frames",
    "create_multi_scale_heatmap",
    "generate_hm_from_pt",
    "generate_target_heatmap_from_annotation",
    "quick_heatmap_from_llm",
    "save_heatmap_animation",
    "visualize_attention_comparison",
    "visualize_bboxes_and_heatmap",
    "visualize_multi_view_heatmaps",
    "visualize_points_and_heatmap",
]
