"""ViTPose: heatmaps lie where the processor says, by name, around the whole picture or a person in it."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from isotherm.api import explain, open_model
from isotherm.cam.scores import MapValue
from isotherm.cam.view import View
from isotherm.errors import OptionError, UnfitTargetError
from rigs.transformers_maps import make_pose, pose_view
from rigs.transformers_models import picture
from rigs.transformers_views import hit, view_of

PERSON = (30.0, 10.0, 110.0, 85.0)


@pytest.mark.parametrize("person", [None, PERSON], ids=["whole", "person"])
def test_peaks_are_where_the_processor_finds_them(person):
    view = pose_view(person=person)
    assert isinstance(view, View)
    photo = picture(90, 150)
    inputs = view.prepare([photo])
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
    x0, y0, x1, y1 = person or (0, 0, 150, 90)
    box = [x0, y0, x1 - x0, y1 - y0]
    processor = hf.VitPoseImageProcessor(size={"height": 96, "width": 64})
    own = processor(photo, boxes=[[box]], return_tensors="pt")["pixel_values"]
    assert torch.equal(inputs.tensor, own)
    output = type("Output", (), {"heatmaps": raw})
    ((pose,),) = processor.post_process_pose_estimation(output, boxes=[[box]])
    peaks = found.values[0].flatten(1).argmax(1)
    w = found.values.shape[-1]
    cells = torch.stack([peaks % w + 0.5, peaks // w + 0.5], -1)
    # the processor counts pixels from the first one's centre, and looks between cells
    off = found.frame[0].points_to_source(cells.double()) - 0.5 - pose["keypoints"].double()
    assert float((off / found.frame[0].cell_size.flip(-1)).abs().max()) <= 1.0
    assert float(off.abs().mean()) <= 0.5 * float(found.frame[0].cell_size.max())


def test_a_keypoint_is_explained_by_name_at_cells_that_follow_a_block():
    view = pose_view()
    (layer,) = view.auto_layers().layers
    assert layer == "backbone.encoder.layer.2.layernorm_before"
    for centre in ((80, 90), (130, 60), (60, 100)):
        assert max(hit(view, layer, centre)) <= 0.5
    wrist = explain(view, picture(), target="left wrist", trust="off")
    assert [m.label for m in wrist] == ["left wrist peak"]
    assert float(wrist[0].values.abs().max()) > 0
    everyone = explain(view, picture(), trust="off")
    assert [m.label for m in everyone] == [f"{name} peak" for name in view.names]
    torch.testing.assert_close(everyone[1].values, wrist[0].values)
    at = explain(view, picture(), target=MapValue("nose", point=(60, 40)), trust="off")[0]
    assert at.label == "nose at 60,40"
    assert next(str(p) for p in view.premises if p.about == "person").startswith("person: the whole picture")


def test_a_folder_is_opened_and_what_does_not_fit_is_refused(tmp_path):
    model = make_pose()
    model.save_pretrained(tmp_path)
    hf.VitPoseImageProcessor(size={"height": 96, "width": 64}).save_pretrained(tmp_path)
    view = open_model(str(tmp_path), person=PERSON)
    assert tuple(view.names) == ("nose", "left wrist", "right wrist", "left knee", "right knee")
    with pytest.raises(UnfitTargetError, match="no class 'tail'"):
        explain(view, picture(), target="tail")
    with pytest.raises(OptionError, match="expected x0, y0, x1, y1"):
        pose_view(person=(30, 10, 20, 85))
    with pytest.raises(OptionError, match="leave size out"):
        pose_view(size=64)
    with pytest.raises(OptionError, match="person is for models of keypoints"):
        view_of("vit", person=PERSON)
