"""Pictures of the best and the worst answers: the right ones by rank, with the place that is meant as a ring."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from isotherm.data.grounding.cache import cache_grounding
from isotherm.data.grounding.records import GroundingRecord, GroundingSet, point_place
from isotherm.train.grounding import pictures
from isotherm.train.grounding.pictures import write_extremes
from isotherm.train.grounding.validate import judge_maps, maps_of
from rigs.grounding import random_trained


def test_the_best_and_the_worst_are_drawn_by_rank(families, tmp_path, monkeypatch):
    trained = random_trained(families("paligemma")[0])
    greys = (30, 90, 150, 210)
    records = [
        GroundingRecord(
            pictures=(np.full((40, 60, 3), grey, np.uint8),), text="red ?", places=((point_place((10.0, 5.0 + i)),),)
        )
        for i, grey in enumerate(greys)
    ]
    data = cache_grounding(GroundingSet(records=records), tmp_path, side=trained.side)
    judged = judge_maps(maps_of(trained.model, data, trained, batch=4), trained.calibration)
    judged = replace(
        judged, error_cells=torch.tensor([2.0, 9.0, 1.0, 5.0]), error_px=torch.tensor([4.0, 18.0, 2.0, 10.0])
    )
    drawn = []
    original = pictures.draw_answer

    def watched(answer, **options):
        drawn.append((int(answer.heatmap.picture[0, 0, 0]), options["truth"].tolist(), options["title"]))
        return original(answer, **options)

    monkeypatch.setattr(pictures, "draw_answer", watched)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "worst-3.jpg").write_bytes(b"of an earlier evaluation")
    written = write_extremes(judged, data, trained, tmp_path / "out", count=2, command="isotherm eval")
    assert [f.name for f in written] == ["best-1.jpg", "best-2.jpg", "worst-1.jpg", "worst-2.jpg"]
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [f.name for f in written]
    ranks = (2, 0, 1, 3)
    assert [grey for grey, _, _ in drawn] == [greys[i] for i in ranks]
    assert [truth for _, truth, _ in drawn] == [[[10.0, 5.0 + i]] for i in ranks]
    assert [title.rpartition("; ")[2] for _, _, title in drawn] == [
        f"off by {px} px" for px in ("2.0", "4.0", "18.0", "10.0")
    ]
    seen = [np.median(np.asarray(Image.open(f).convert("L"))) for f in written]
    assert sorted(seen) == [seen[k] for k in np.argsort([greys[i] for i in ranks])]
