"""The whole way from pictures to maps on models small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.cam import attribute as attribute_module
from isotherm.cam.attribute import attribute
from isotherm.cam.augmented import attribute_augmented
from isotherm.cam.methods.finercam import finercam
from isotherm.cam.methods.gradcam import gradcam
from isotherm.cam.methods.gradcampp import gradcampp
from isotherm.cam.methods.hirescam import hirescam
from isotherm.cam.observation import effective_bias
from isotherm.cam.scores import Classes, Contrast, Detection, TopK
from isotherm.cam.trace import LayerMap, fuse
from isotherm.errors import LayerError, MethodError
from isotherm.frame import Frame
from isotherm.ops.resample import to_frame
from rigs.tiny_views import TinyClassifier, TinyDetector, TinyNet

PICTURES = [np.random.default_rng(i).integers(0, 255, (40, 60 + 8 * i, 3), dtype=np.uint8) for i in range(3)]


def by_hand(net, x, k):
    a = torch.relu(net.first(x))
    z = net.second(a).detach().requires_grad_()
    logit = net.head(torch.relu(z).mean((2, 3)))[:, k].sum()
    (g,) = torch.autograd.grad(logit, z)
    return z.detach(), g


def test_maps_are_those_computed_by_hand():
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    a = attribute(view, inputs, methods=[hirescam, gradcam], score=Classes((1, 3)))
    assert a.layers == ("second",)
    assert a.targets.picture.tolist() == [0, 0, 1, 1, 2, 2]
    for column, k in enumerate((1, 3)):
        z, g = by_hand(view.model, inputs.tensor, k)
        torch.testing.assert_close(a.maps[0].values[column::2], (z * g).sum(1))
        torch.testing.assert_close(a.maps[1].values[column::2], (z * g.mean((2, 3), keepdim=True)).sum(1))
    # two 3x3 convolutions with stride 2: cell i is centred on input pixel 4 i
    assert a.maps[0].frame[4].allclose(inputs.frame[2].to_cells((0.5, 0.5), (4, 4), (4, 6)))


def test_hirescam_sums_to_the_logit_less_its_bias():
    view = TinyClassifier()
    a = attribute(view, view.prepare(PICTURES), methods=[hirescam])
    bias = view.model.head.bias[[view.names.index(label) for label in a.targets.labels]]
    torch.testing.assert_close(a.maps[0].values.sum((1, 2)), (a.targets.scores - bias).detach(), atol=1e-5, rtol=1e-4)


def test_one_forward_serves_every_method(monkeypatch):
    view = TinyClassifier()
    runs = []
    run = view.run
    view.run = lambda inputs: runs.append(1) or run(inputs)
    attribute(view, view.prepare(PICTURES), methods=[hirescam, gradcam], score=TopK(4))
    assert len(runs) == 1


def test_maps_are_told_of_as_each_method_is_done(monkeypatch):
    view, told = TinyClassifier(), []
    inputs = view.prepare(PICTURES)
    methods = [hirescam, gradcam, gradcampp]
    scores = Classes((1, 3))
    whole = attribute(
        view, inputs, methods=methods, score=scores, early=lambda part, places: told.append((list(places), part.maps))
    )
    assert [places for places, _ in told] == [[0], [0, 1]]
    for places, maps in told:
        for place, one in zip(places, maps, strict=True):
            assert torch.equal(one.values, whole.maps[place].values)
    told.clear()
    monkeypatch.setattr(attribute_module, "CHUNK", 1)  # targets in turns: no method is done before the last turn
    attribute(view, inputs, methods=methods, score=scores, early=lambda part, places: told.append(places))
    assert told == []


def test_what_is_raised_when_maps_are_told_of_ends_the_explanation():
    view = TinyClassifier()

    def stop(part, places):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attribute(view, view.prepare(PICTURES), methods=[hirescam, gradcam], score=Classes((1,)), early=stop)


def test_taking_turns_changes_nothing(monkeypatch):
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    together = attribute(view, inputs, methods=[gradcam], score=TopK(3))
    monkeypatch.setattr(attribute_module, "CHUNK", 2 * 6 * 4 * 6)  # two targets at a time
    turns = attribute(view, inputs, methods=[gradcam], score=TopK(3))
    torch.testing.assert_close(turns.maps[0].values, together.maps[0].values)
    assert turns.maps[0].frame.allclose(together.maps[0].frame)


def test_a_pictures_targets_take_their_turn_together(monkeypatch):
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    together = attribute(view, inputs, methods=[finercam], score=TopK(3))
    monkeypatch.setattr(attribute_module, "CHUNK", 4 * 6 * 4 * 6)  # four targets at a time, three of a picture
    turns = attribute(view, inputs, methods=[finercam], score=TopK(3))
    torch.testing.assert_close(turns.maps[0].values, together.maps[0].values)


def test_targets_may_come_in_any_order():
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)

    class Mixed(TopK):
        def __call__(self, prediction, inputs):
            return super().__call__(prediction, inputs).take(torch.tensor([4, 0, 3, 5, 1, 2]))

    a, b = (attribute(view, inputs, methods=[gradcam], score=s) for s in (Mixed(2), TopK(2)))
    torch.testing.assert_close(a.maps[0].values, b.maps[0].values[torch.tensor([4, 0, 3, 5, 1, 2])])


def test_findings_one_by_one():
    view = TinyDetector()
    inputs = view.prepare(PICTURES)
    a = attribute(view, inputs, methods=[hirescam], score=Detection(of=("class", "left")))
    assert a.maps[0].values.shape == (18, 4, 6)
    # a class logit reads its own cell only
    cells = a.prediction.candidate.repeat_interleave(2)
    for row in range(0, 18, 2):
        where = torch.nonzero(a.maps[0].values[row].flatten()).flatten().tolist()
        assert where == [int(cells[row])]


def test_nothing_found_is_an_empty_result():
    view = TinyDetector()
    find = view.find
    view.find = lambda raw, inputs: find(raw, inputs).take(torch.arange(0))
    a = attribute(view, view.prepare(PICTURES), methods=[hirescam, gradcam])
    assert len(a.targets) == 0
    assert [tuple(m.values.shape) for m in a.maps] == [(0, 4, 6)] * 2


def test_a_layer_behind_which_no_cell_is_read():
    class FirstOnly(nn.Module):
        """Like a transformer's class token: the score reads one row, the map the others."""

        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.layer(x)[:, :, 0, 0] * 1.0 + self.layer.weight.sum() * 0

    view = TinyClassifier(FirstOnly())
    view.auto_layers = lambda: type("C", (), {"layers": ("layer",), "reason": ""})()
    with torch.no_grad():
        view.model.layer.weight.zero_()
    view.model.register_forward_hook(lambda m, i, o: o * 0)
    with pytest.raises(MethodError, match="exactly 0 in every cell"):
        attribute(view, view.prepare(PICTURES), methods=[hirescam])


def test_errors():
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    with pytest.raises(MethodError, match="no method"):
        attribute(view, inputs, methods=[])
    with pytest.raises(LayerError, match="did you mean second"):
        attribute(view, inputs, methods=[gradcam], layers="secnd")


def test_several_layers_by_mean_and_by_max():
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    each = [attribute(view, inputs, methods=[gradcam], layers=layer).maps[0] for layer in ("first", "second")]
    mean = attribute(view, inputs, methods=[gradcam], layers=["first", "second"]).maps[0]
    assert mean.values.shape[-2:] == (8, 12)
    peaks = [m.values.abs().amax((1, 2), keepdim=True) for m in each]
    # both layers' cells are centred on whole pixels: every other cell of the first lies on one of the second
    coarse = nn.functional.pad((each[1].values / peaks[1])[None], (0, 1, 0, 1), mode="replicate")
    up = nn.functional.interpolate(coarse, (9, 13), mode="bilinear", align_corners=True)[0, :, :8, :12]
    torch.testing.assert_close(mean.values, (each[0].values / peaks[0] + up) / 2, atol=1e-5, rtol=0)
    most = attribute(view, inputs, methods=[gradcam], layers=["first", "second"], how="max").maps[0]
    first = each[0].values / peaks[0]
    torch.testing.assert_close(most.values, torch.where(first.abs() >= up.abs(), first, up), atol=1e-5, rtol=0)


def test_a_layer_of_zeros_stays_zero_when_fused():
    frame = Frame.identity((4, 4)).expanded(1)
    zero, one = torch.zeros(1, 4, 4), torch.rand(1, 4, 4)
    out = fuse([LayerMap("a", zero, frame), LayerMap("b", one, frame)])
    torch.testing.assert_close(out.values, one / one.max() / 2)
    assert fuse([LayerMap("b", one, frame)]).values is one


def test_smoothing_is_the_mean_over_the_copies():
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    score = Contrast("cat", "bus")
    smooth = attribute_augmented(view, inputs, methods=[gradcam], score=score)
    total = 0
    for gain in (0.9, 1.0, 1.1):
        for flip in (False, True):
            x = inputs.tensor.flip(-1) * gain if flip else inputs.tensor * gain
            one = attribute(view, inputs.with_tensor(x), methods=[gradcam], score=score).maps[0].values
            # cells lie off centre, so those of a mirrored picture lie between those of the plain one
            cells = smooth.maps[0].frame
            back = Frame.stack([f.flipped() for f in inputs.frame]).to_cells((0.5, 0.5), (4, 4), (4, 6))
            total = total + (to_frame(one, back, cells, outside="edge") if flip else one)
    torch.testing.assert_close(smooth.maps[0].values, total / 6, atol=1e-6, rtol=1e-4)
    assert "6 copies" in smooth.notes[-1]
    detector = TinyDetector()
    assert "brightness only" in attribute_augmented(detector, detector.prepare(PICTURES), methods=[gradcam]).notes[-1]


class TestRerun:
    @pytest.fixture(params=[TinyClassifier, TinyDetector])
    def explained(self, request):
        view = request.param()
        inputs = view.prepare(PICTURES)
        score = TopK(2) if request.param is TinyClassifier else Detection()
        return attribute(view, inputs, methods=[gradcam], score=score), inputs

    def test_unchanged_pictures_score_the_same(self, explained):
        a, inputs = explained
        target = torch.tensor([3, 0, 5, 1])
        again = a.rerun.scores(inputs.tensor[a.targets.picture[target]], target)
        torch.testing.assert_close(again, a.targets.scores[target].detach())
        assert not again.requires_grad

    def test_input_gradient(self, explained):
        a, inputs = explained
        target = torch.tensor([0, 4])
        x = inputs.tensor[a.targets.picture[target]]
        _, gradient = a.rerun.input_gradient(x, target)
        step = torch.randn_like(x) * 1e-3
        moved = a.rerun.scores(x + step, target) - a.rerun.scores(x - step, target)
        torch.testing.assert_close(moved, 2 * (gradient * step).flatten(1).sum(1), rtol=0.05, atol=2e-5)
        assert all(p.grad is None for p in a.rerun.view.model.parameters())

    def test_channels_taken_away(self, explained):
        a, inputs = explained
        ref = a.rerun.layers[0]
        c = ref.module.out_channels
        keep = (torch.rand(4, c) > 0.5).float()
        target = torch.zeros(4, dtype=torch.long)
        quick = a.rerun.scores_with_channels(0, keep, target)
        assert a.rerun._front_at_one[0]
        for i in range(4):
            handle = ref.module.register_forward_hook(lambda m, x, o, i=i: o * keep[i][None, :, None, None])
            plain = a.rerun.scores(inputs.tensor[:1], target[:1])
            handle.remove()
            torch.testing.assert_close(quick[i : i + 1], plain)
        mixed = torch.tensor([0, len(a.targets) - 1, 0, 1])
        assert a.rerun.scores_with_channels(0, keep, mixed).shape == (4,)

    def test_models_that_cannot_broadcast_take_the_plain_way(self):
        class Concatenates(TinyNet):
            def forward(self, x):
                a = torch.relu(self.first(x))
                z = torch.relu(self.second(a))
                both = torch.cat([z.mean((2, 3)), a.mean((2, 3))], 1)
                return self.head(both[:, :6] + both[:, 5:])

        view = TinyClassifier(Concatenates())
        a = attribute(view, view.prepare(PICTURES), methods=[gradcam])
        keep = torch.eye(6)
        out = a.rerun.scores_with_channels(0, keep, torch.zeros(6, dtype=torch.long))
        assert not a.rerun._front_at_one[0]
        assert len(out.unique()) > 1

    def test_hessian_vector(self):
        class Quadratic(TinyNet):
            def forward(self, x):
                return self.head((self.second(self.first(x)) ** 2).mean((2, 3)))

        view = TinyClassifier(Quadratic())
        a = attribute(view, view.prepare(PICTURES), methods=[gradcam], score=Classes((2,)))
        v = torch.randn(3, 6, 4, 6)
        expected = 2 * view.model.head.weight[2][None, :, None, None] * v / 24
        torch.testing.assert_close(a.rerun.hessian_vector(0, v), expected.detach())


def test_effective_bias_of_a_normalisation_is_what_it_adds_to_zero():
    norm = nn.BatchNorm2d(3).eval()
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2)
    torch.testing.assert_close(effective_bias(norm), norm(torch.zeros(1, 3, 1, 1)).flatten().detach())
    assert effective_bias(nn.ReLU()) is None
    assert effective_bias(nn.Conv2d(1, 1, 1, bias=False)) is None
