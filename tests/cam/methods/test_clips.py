"""Methods over the layers of clips: every formula sums over cells alike, so a clip is as good as its moments below each other."""

from __future__ import annotations

import pytest
import torch

from isotherm.cam import methods
from isotherm.cam.fields import Axis
from isotherm.cam.methods import FinerCAM, eigen_smooth
from isotherm.cam.trace import LayerMap, LayerTrace, Trace, at_moments, fuse
from isotherm.cam.view import Inputs
from isotherm.errors import MethodError, ShapeError
from isotherm.frame import Frame
from isotherm.moments import Timeline
from isotherm.relevance.method import explains
from rigs.breadth import wide

FORMULAS = (
    "gradcam",
    "hirescam",
    "layercam",
    "gradcampp",
    "xgradcam",
    "elementwisecam",
    "eigencam",
    "eigengradcam",
    "kpcacam",
)
TIME = Axis(1.0, 2.0)


def traces(seed: int) -> tuple[Trace, Trace]:
    """One layer of 2 clips with 3 moments of 4 x 5 cells; and the same with the moments below each other, as of tall pictures."""
    torch.manual_seed(seed)
    activation, gradient = torch.randn(2, 6, 3, 4, 5), torch.randn(2, 6, 3, 4, 5)
    picture, scores = torch.tensor([0, 0]), torch.tensor([2.0, 1.0])
    frame = Frame.resize((40, 50), (4, 5)).expanded(2)
    clip = Inputs(
        torch.zeros(1, 6, 3, 40, 50), Frame.identity((40, 50)).expanded(1), timelines=(Timeline.of(6, fed=6),)
    )
    still = Inputs(torch.zeros(1, 3, 120, 50), Frame.identity((120, 50)).expanded(1))
    tall = Frame.resize((120, 50), (12, 5)).expanded(2)
    return (
        Trace(scores, picture, clip, (LayerTrace("layer", activation, gradient, frame, TIME),)),
        Trace(scores, picture, still, (LayerTrace("layer", activation.flatten(2, 3), gradient.flatten(2, 3), tall),)),
    )


@pytest.mark.parametrize("seed", [0, *wide([1])])
@pytest.mark.parametrize(
    "method",
    [*(getattr(methods, name) for name in FORMULAS), FinerCAM(similar=1), eigen_smooth(methods.gradcam)],
    ids=lambda m: m.name,
)
def test_a_clip_is_explained_as_its_moments_together(method, seed):
    clip, tall = traces(seed)
    (found,), (expected,) = method(clip), method(tall)
    assert explains(method, "clips")
    assert found.values.shape == (2, 3, 4, 5)
    assert found.time == TIME
    torch.testing.assert_close(found.values, expected.values.unflatten(1, (3, 4)), rtol=1e-5, atol=1e-6)


def test_moments_of_two_layers_meet_on_the_finer_one():
    frame = Frame.resize((40, 50), (2, 2)).expanded(1)
    fine = LayerMap("fine", torch.zeros(1, 4, 2, 2), frame, time=Axis(0.5, 1.0))
    coarse = LayerMap(
        "coarse", torch.tensor([1.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2), frame, time=Axis(1.0, 2.0)
    )
    fused = fuse([fine, coarse])
    # the middles of the four moments lie at -1/4, 1/4, 3/4 and 5/4 of the way between the two; beyond them their values go on
    assert fused.values[0, :, 0, 0].tolist() == pytest.approx([v / 3 / 2 for v in (1.0, 1.5, 2.5, 3.0)])
    assert fused.time == Axis(0.5, 1.0)


def test_cells_off_centre_in_time():
    values = torch.tensor([1.0, 5.0]).view(1, 2, 1, 1)
    at = at_moments(values, Axis(0.5, 8.0), Axis(0.5, 1.0), 16)[0, :, 0, 0]
    assert at.tolist() == pytest.approx([1 + 4 * min(f / 8, 1) for f in range(16)])
    assert at_moments(values, None, None, 16) is values


@pytest.mark.parametrize("name", ["rise", "scorecam", "rollout", "legrad_final", "fullgrad", "integratedgradients"])
def test_methods_of_pictures_are_refused(name):
    from isotherm.cam.attribute import check_methods

    clip, tall = traces(0)
    with pytest.raises(MethodError, match=r"cannot explain clips.*such as hirescam"):
        check_methods(clip.inputs, [getattr(methods, name)])
    check_methods(tall.inputs, [getattr(methods, name)])


def test_inputs_of_clips_need_their_timelines():
    frame = Frame.identity((40, 50)).expanded(1)
    with pytest.raises(ShapeError, match="there are 0 timelines"):
        Inputs(torch.zeros(1, 6, 3, 40, 50), frame)
    with pytest.raises(ShapeError, match="of \\[4\\] frames"):
        Inputs(torch.zeros(1, 6, 3, 40, 50), frame, timelines=(Timeline.of(6, fed=4),))
    with pytest.raises(ShapeError, match="which have no timelines"):
        Inputs(torch.zeros(1, 3, 40, 50), frame, timelines=(Timeline.of(6, fed=4),))
