"""The value of a map: at a point, in a box, over the picture, at its peak; each by hand."""

from __future__ import annotations

import pytest
import torch

from isotherm.cam.maps import Maps
from isotherm.cam.scores import Detection, MapValue, Named
from isotherm.cam.scores.named import Boxed
from isotherm.cam.view import Classification, Inputs
from isotherm.errors import ShapeError, TargetError, UnfitTargetError
from isotherm.frame import Frame

# a picture of 40 x 80 pixels, fed as 4 x 8 cells of 10 pixels, with 2 more rows of padding below
INPUTS = Inputs(
    torch.zeros(2, 3, 60, 80), Frame.stack([Frame.identity((40, 80)).padded(0, 0, 0, 20)] * 2), blank=torch.zeros(3)
)
FRAME = INPUTS.frame.to_grid(size=(6, 8))


def maps(*, peaked: bool) -> Maps:
    values = torch.arange(2 * 2 * 6 * 8, dtype=torch.float32).view(2, 2, 6, 8)
    values[1, 0, 2, 3] = 1000
    return Maps(values.requires_grad_(), ("near", "left wrist"), FRAME, peaked)


def test_a_point_is_its_nearest_cell():
    targets = MapValue("near", point=(34.0, 27.0))(maps(peaked=False), INPUTS)
    assert targets.scores.tolist() == [2 * 8 + 3, 1000]
    assert targets.labels == ("near at 34,27",) * 2
    with pytest.raises(TargetError, match="outside of what the model saw"):
        MapValue(point=(200.0, 20.0))(maps(peaked=False), INPUTS)


def test_a_box_is_the_mean_of_the_cells_inside_or_its_middle():
    p = maps(peaked=False)
    whole = MapValue(1, box=(20, 10, 41, 30))(p, INPUTS)
    assert whole.scores.tolist() == pytest.approx([48 + (10 + 11 + 18 + 19) / 4, 144 + (10 + 11 + 18 + 19) / 4])
    thin = MapValue(0, box=(21, 11, 23, 13))(p, INPUTS)
    assert thin.scores[0] == 8 + 2
    assert torch.equal(
        Boxed(Detection(box=(20, 10, 41, 30)))(p, INPUTS).scores, MapValue(box=(20, 10, 41, 30))(p, INPUTS).scores
    )


def test_of_neither_values_are_averaged_over_the_picture_and_heatmaps_read_at_their_peak():
    mean = MapValue("near")(maps(peaked=False), INPUTS)
    assert float(mean.scores[0].detach()) == pytest.approx(sum(range(32)) / 32)  # not the two padded rows
    peak = MapValue()(maps(peaked=True), INPUTS)
    assert peak.labels == ("near peak", "left wrist peak") * 2
    assert peak.scores.tolist() == [47, 95, 1000, 191]


def test_in_changed_pictures_the_same_cells_are_read():
    before = MapValue("near")(maps(peaked=True), INPUTS)
    changed = maps(peaked=True)
    with torch.no_grad():
        changed.values[:] = changed.values.flip(-1)
    again = before.read(changed, torch.tensor([1, 0]))
    assert again.tolist() == [changed.values[0, 0, 2, 3].item(), changed.values[1, 0, 5, 7].item()]


def test_names_and_what_is_refused():
    assert Named(("left wrist",))(maps(peaked=True), INPUTS).labels == ("left wrist peak",) * 2
    with pytest.raises(UnfitTargetError, match="no class 'tail'"):
        MapValue("tail")(maps(peaked=True), INPUTS)
    with pytest.raises(UnfitTargetError, match="gives Classification"):
        MapValue()(Classification(torch.zeros(2, 3), ("a", "b", "c")), INPUTS)
    with pytest.raises(UnfitTargetError, match="Detection is a score of detectors"):
        Detection(0)(maps(peaked=True), INPUTS)
    with pytest.raises(TargetError, match="give one of them"):
        MapValue(point=(1, 1), box=(0, 0, 1, 1))
    with pytest.raises(ShapeError, match="do not go with 1 names"):
        Maps(torch.zeros(2, 2, 6, 8), ("a",), FRAME, peaked=True)
