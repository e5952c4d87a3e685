"""All of a plan's patches as maps, put together as :mod:`isotherm.cam.attribute` does for one method."""

from __future__ import annotations

from isotherm.cam.locality import Refused
from isotherm.cam.patches import PatchPlan, join_maps, level_map, patch_gradients
from isotherm.cam.trace import LayerMap
from isotherm.cam.view import Inputs
from isotherm.relevance.method import LayerMethod


def patch_maps(plan: PatchPlan | Refused, method: LayerMethod, inputs: Inputs) -> LayerMap | Refused:
    """One map per target of a plan, on the finest of its levels.

    A target's map is that of the level it was made on; dense passes show the same values there, and besides them
    what reaches a coarse level's finding through the layers in front of it.

    Args:
        method: a gradient method. A local one is computed on the squares alone; another on dense gradients in turns.

    Returns:
        (t, h, w) in the order of the targets, with the frames of their pictures, or the reason why not.
    """
    if isinstance(plan, Refused):
        return plan
    if not method.uses_gradient:
        return Refused(f"{method.name} does not use gradients, so it says the same of every target")
    gradients = patch_gradients(plan)
    if isinstance(gradients, Refused):
        return gradients
    return join_maps(
        [level_map(g, method, inputs) for g in gradients], [g.group.targets for g in gradients], plan.count
    )
