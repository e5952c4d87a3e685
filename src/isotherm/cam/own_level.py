"""All findings of a detector in one pass, each at the level of features that it was made on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from isotherm.cam.locality import Refused
from isotherm.cam.patches import PatchPlan, join_maps, level_map, patch_gradients
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.scores.targets import Targets
from isotherm.cam.trace import LayerMap, LayerMethod, Method
from isotherm.cam.view import Prediction


@runtime_checkable
class PatchedView(Protocol):
    """A view of a detector whose findings are each made on one level of features, from a few cells."""

    def patch_plan(self, raw: Any, found: Prediction, targets: Targets) -> PatchPlan | Refused:
        """How to explain targets of ``found`` by patches, or why that is not exact."""
        ...


def own_level_maps(
    rerun: ViewRerun, raw: Any, prediction: Prediction, methods: Sequence[Method]
) -> tuple[dict[int, LayerMap], tuple[str, ...]]:
    """Maps of all findings from one batch of patches through the head, by position in ``methods``.

    Serves gradient methods of views whose findings are each made on one level of features; each finding is explained
    at that level. Where that is not exact nothing comes back but a note that says why.
    """
    view, targets, inputs = rerun.view, rerun.targets, rerun.inputs
    local: dict[int, LayerMethod] = {
        i: m for i, m in enumerate(methods) if isinstance(m, LayerMethod) and m.uses_gradient
    }
    if not isinstance(view, PatchedView) or not local or not len(targets):
        return {}, ()
    plan = view.patch_plan(raw, prediction, targets)
    gradients = plan if isinstance(plan, Refused) else patch_gradients(plan)
    if isinstance(plan, Refused) or isinstance(gradients, Refused):
        reason = gradients.reason if isinstance(gradients, Refused) else ""
        return {}, (f"explained one finding at a time, through all layers at once, because {reason}",)
    members = [g.group.targets for g in gradients]
    maps = {i: join_maps([level_map(g, m, inputs) for g in gradients], members, plan.count) for i, m in local.items()}
    named = {i: replace(m, name=f"own level of {m.name}") for i, m in maps.items()}
    return named, ("each finding is explained at the level of features that it was made on, all of them in one pass",)
