"""The layers of a model that the worker has no time to open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.open_model import open_model
from isotherm.studio.work.layers import layer_tree


def layers(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Open a model and list its layers, as :func:`isotherm.studio.work.layers.layer_tree` does.

    Args:
        options: of an explain job that names the model.
    """
    return layer_tree(open_model(ExplainJob.from_json(options)))
