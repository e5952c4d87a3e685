"""What answers look like, for the description of the interface."""

from __future__ import annotations

from typing import Any

RUN_ID, PICTURE_ID = "7" * 32, "0" * 32
RUN: dict[str, Any] = {
    "id": RUN_ID,
    "key": "a" * 64,
    "job": "explain",
    "status": "finished",
    "created_s": 1795974000.0,
    "ended_s": 1795974002.5,
    "title": "cat.jpg",
    "model": "imagenet",
    "options": {"model": "imagenet", "sources": ["cat.jpg"]},
    "command": "isotherm explain cat.jpg --model imagenet",
    "message": "",
    "star": False,
    "note": "",
    "marks": [],
    "tags": ["paper"],
    "maps": [
        {
            "picture": "cat.jpg",
            "label": "tiger cat",
            "method": "GradCAM",
            "layers": "bn2",
            "verdict": "believable",
            "statistics": {"min": 0.0, "max": 0.31, "sum": 4.2, "entropy_nats": 3.1, "peak_xy": [210.0, 130.0]},
        }
    ],
    "pictures": [{"id": PICTURE_ID, "name": "cat.jpg"}],
}
PICTURE = {
    "index": 0,
    "name": "cat.jpg",
    "h": 300,
    "w": 451,
    "moment_s": None,
    "status": "done",
    "error": None,
    "maps": 1,
    "verdicts": ["believable"],
    "checking": False,
    "labels": ["tiger cat 39 %"],
    "score": 8.4,
    "peak": 0.31,
    "thumb": f"/api/runs/{RUN_ID}/view/0/thumb",
}
MAP = {
    "label": "tiger cat 39 %",
    "kind": "relevance",
    "signed": False,
    "silent": None,
    "low": 0.0,
    "high": 0.31,
    "beyond": "",
    "lowest": 0.0,
    "h": 7,
    "w": 7,
    "m": [0.0155, 0.0, 0.0, 0.0, 0.0155, 0.0],
    "limits": [0.0, 0.0, 7.0, 7.0],
    "type": "f2",
    "unit": 0.31,
    "box": None,
    "method": "GradCAM",
    "layer": "bn2",
    "model": "imagenet",
    "score": 8.4,
    "probability": 0.39,
    "verdict": "believable",
    "checking": False,
    "trust": "trust: ... → believable",
    "statistics": {"min": 0.0, "max": 0.31, "histogram": {"edges": [0.0, 0.31], "counts": [49]}, "mass_per_box": []},
    "offset": 0,
    "bytes": 98,
    "files": ["cat.00-tiger_cat_39-GradCAM.npz"],
    "heatmap": "heatmap_20261129_120000.jpg",
}
VIEW = {"name": "cat.jpg", "h": 300, "w": 451, "boxes": [], "labels": [], "notes": [], "lines": [], "maps": [MAP]}
VALUES = {"values": "AAAAPAA4"}
LAYER = {
    "name": "features",
    "type": "Sequential",
    "shape": [1280, 7, 7],
    "automatic": True,
    "why": "the last layer whose cells still have places",
    "children": [],
}
STATE = {
    "version": "0.1.0",
    "example": RUN_ID,
    "models": [{"name": "scenes", "kind": "classifier", "prompts": "none", "family": "scenes"}],
    "devices": ["auto", "cpu"],
    "limits": {"picture_bytes": 67108864, "pictures": 1000},
}


def answered(example: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The description of a good answer by an example."""
    return {status: {"content": {"application/json": {"example": example}}}}
